import { useRef, useState } from 'react'
import type { Picture } from '@/graph/engine'
import type { Model } from '@/graph/model'
import { describeEdge, describeNode } from '@/graph/words'
import { step } from './roving'

/**
 * The canvas for keyboard and screen reader: a button for each node and edge,
 * one Tab stop for all. Arrows walk along edges, Enter opens the panel; the
 * canvas shows where one stands.
 */
export function Mirror({
  model,
  picture,
  selected,
  onFocus,
  onOpen,
}: {
  model: Model
  picture: Picture
  selected: string | null
  onFocus: (id: string | null) => void
  onOpen: (id: string) => void
}) {
  const list = useRef<HTMLDivElement>(null)
  const [stop, setStop] = useState<string | null>(null)
  const ids = [...picture.positions.keys(), ...picture.routes.keys()]
  const current = stop !== null && ids.includes(stop) ? stop : (selected ?? ids[0] ?? null)

  const onKeyDown = (e: React.KeyboardEvent) => {
    if (current === null) return
    const next = step(e.key, current, model, picture.positions)
    if (next === null) return
    e.preventDefault()
    list.current?.querySelector<HTMLElement>(`[data-id="${CSS.escape(next)}"]`)?.focus()
  }
  const item = (id: string, label: string) => (
    <button
      key={id}
      type="button"
      data-id={id}
      tabIndex={id === current ? 0 : -1}
      aria-current={id === selected ? 'true' : undefined}
      onFocus={() => {
        setStop(id)
        onFocus(id)
      }}
      onClick={() => onOpen(id)}
    >
      {label}
    </button>
  )
  return (
    // A composite of buttons: the keys are heard here for all of them.
    // oxlint-disable-next-line jsx-a11y/interactive-supports-focus
    <div
      ref={list}
      className="sr-only"
      role="toolbar"
      aria-label="Services and edges; arrows walk along edges, Enter opens"
      aria-orientation="horizontal"
      onKeyDown={onKeyDown}
      onBlur={(e) => {
        if (!e.currentTarget.contains(e.relatedTarget)) onFocus(null)
      }}
    >
      {[...picture.positions.keys()].map((id) => {
        const node = model.nodes.get(id)
        return node ? item(id, describeNode(node, model)) : null
      })}
      {[...picture.routes.keys()].map((id) => {
        const edge = model.edges.get(id)
        return edge ? item(id, describeEdge(edge, model)) : null
      })}
    </div>
  )
}
