import { useLayoutEffect, useMemo, useRef, useState } from 'react'
import type { Picture } from '@/graph/engine'
import type { Model } from '@/graph/model'
import { describeEdge, describeNode } from '@/graph/words'
import { step } from './roving'

/**
 * The canvas for keyboard and screen reader: a button for each node and edge,
 * one Tab stop for all. Arrows walk along edges, Enter opens the panel, z folds
 * a namespace and opens it again; the canvas shows where one stands.
 */
export function Mirror({
  model,
  picture,
  selected,
  onFocus,
  onOpen,
  onFold,
}: {
  model: Model
  picture: Picture
  selected: string | null
  onFocus: (id: string | null) => void
  onOpen: (id: string) => void
  onFold: (namespace: string) => void
}) {
  const list = useRef<HTMLDivElement>(null)
  const [stop, setStop] = useState<string | null>(null)
  const there = (id: string | null): id is string => id !== null && (picture.positions.has(id) || picture.routes.has(id))
  const first = picture.positions.keys().next().value ?? null
  const current = there(stop) ? stop : there(selected) ? selected : first
  const told = useMemo(() => toldOf(model, picture, current), [model, picture, current])
  // Who is walked to may be told only from now on.
  const going = useRef<string | null>(null)
  useLayoutEffect(() => {
    if (going.current === null) return
    list.current?.querySelector<HTMLElement>(`[data-id="${CSS.escape(going.current)}"]`)?.focus()
    going.current = null
  })

  const onKeyDown = (e: React.KeyboardEvent) => {
    if (current === null) return
    const here = model.nodes.get(current)
    if (e.key === 'z' && here && (here.fold || model.groupOf.get(current)?.startsWith('namespace:'))) {
      e.preventDefault()
      onFold(here.namespace)
      return
    }
    const next = step(e.key, current, model, picture.positions)
    if (next === null) return
    e.preventDefault()
    going.current = next
    setStop(next)
    onFocus(next)
  }
  const item = (id: string, label: string) => (
    <button
      key={id}
      type="button"
      data-id={id}
      tabIndex={id === current ? 0 : -1}
      aria-current={id === selected ? 'true' : undefined}
      // Named, not filled: nobody sees the words, so nobody lays them out.
      aria-label={label}
      onFocus={() => {
        setStop(id)
        onFocus(id)
      }}
      onClick={() => onOpen(id)}
    />
  )
  return (
    // A composite of buttons: the keys are heard here for all of them.
    // oxlint-disable-next-line jsx-a11y/interactive-supports-focus
    <div
      ref={list}
      className="sr-only"
      role="toolbar"
      aria-label="Services and edges; arrows walk along edges, Enter opens, z folds"
      aria-orientation="horizontal"
      onKeyDown={onKeyDown}
      onBlur={(e) => {
        if (!e.currentTarget.contains(e.relatedTarget)) onFocus(null)
      }}
    >
      {told.nodes.map((id) => {
        const node = model.nodes.get(id)
        return node ? item(id, describeNode(node, model)) : null
      })}
      {told.edges.map((id) => {
        const edge = model.edges.get(id)
        return edge ? item(id, describeEdge(edge, model)) : null
      })}
    </div>
  )
}

const toldMost = 400

/**
 * What has a button: everything, or in a graph too large for that what is on
 * screen and what is joined to where one stands. The table has the rest.
 */
function toldOf(model: Model, picture: Picture, current: string | null): { nodes: string[]; edges: string[] } {
  const { positions, routes, visible } = picture
  if (positions.size + routes.size <= toldMost) return { nodes: [...positions.keys()], edges: [...routes.keys()] }
  const edge = current === null ? undefined : model.edges.get(current)
  const ends = edge ? [edge.source, edge.target] : current === null ? [] : [current]
  const edges = new Set(ends.flatMap((id) => [...(model.outgoing.get(id) ?? []), ...(model.incoming.get(id) ?? [])].map((e) => e.id)))
  const nodes = new Set(ends)
  for (const id of edges) {
    const e = model.edges.get(id)
    if (e) nodes.add(e.source).add(e.target)
  }
  for (const id of visible) {
    if (nodes.size >= toldMost / 2) break
    nodes.add(id)
  }
  return { nodes: [...nodes].filter((id) => positions.has(id)), edges: [...edges].filter((id) => routes.has(id)).slice(0, toldMost) }
}
