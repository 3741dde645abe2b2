import { useEffect, useLayoutEffect, useRef, useState, useSyncExternalStore } from 'react'
import { GraphEngine } from '@/graph/engine'
import type { Metric } from '@/graph/labels'
import { workerRunner } from '@/graph/layout-runner'
import type { Model } from '@/graph/model'
import { canvasActions, resetCanvasActions } from './canvas-actions'
import styles from './GraphCanvas.module.css'
import { Legend } from './Legend'
import { Minimap } from './Minimap'
import { Mirror } from './Mirror'
import { Overlay } from './Overlay'
import { ZoomBar } from './ZoomBar'

/** A thin shell over the engine: hands it models and marks, draws words over its canvas. */
export function GraphCanvas({
  model,
  level,
  noun,
  metric,
  selected,
  onSelect,
  onFold,
  live,
}: {
  model: Model
  /** Names the set of positions: each level and each focus has its own. */
  level: string
  /** What one node is. */
  noun: string
  metric: Metric
  selected: string | null
  onSelect: (id: string | null) => void
  onFold: (namespace: string) => void
  live: boolean
}) {
  const [engine] = useState(() => new GraphEngine({ runner: workerRunner(), storage: safeStorage() }))
  const host = useRef<HTMLDivElement>(null)
  const world = useRef<HTMLDivElement>(null)
  const [focused, setFocused] = useState<string | null>(null)
  const picture = useSyncExternalStore(engine.picture.subscribe, engine.picture.get)

  useLayoutEffect(() => {
    if (!host.current) return
    return engine.attach(host.current)
  }, [engine])
  useEffect(() => () => engine.stop(), [engine])
  useLayoutEffect(() => engine.setModel(model, level), [engine, model, level])
  useLayoutEffect(() => engine.setMetric(metric), [engine, metric])
  useLayoutEffect(() => engine.setMarks({ selected, focused }), [engine, selected, focused])
  useEffect(() => engine.setFlow(live), [engine, live])
  useEffect(() => engine.onPress((hit) => onSelect(hit?.id ?? null)), [engine, onSelect])
  useEffect(() => {
    canvasActions.set({ tidy: () => engine.tidy(), fit: () => engine.fitAll(), zoom: (f) => engine.zoomBy(f), svg: () => engine.toSVG(), added: picture.added })
    return resetCanvasActions
  }, [engine, picture.added])

  // Another focus is another picture: all of it comes into view.
  const focusSeen = useRef(level)
  useEffect(() => {
    if (focusSeen.current === level) return
    focusSeen.current = level
    engine.fitAll()
  }, [engine, level])

  // Panning and zooming move one element; React has no part in it.
  useLayoutEffect(() => {
    const follow = () => {
      const { x, y, k } = engine.camera.get().view
      if (world.current) world.current.style.transform = `translate(${x}px, ${y}px) scale(${k})`
      // Titles of boxes stay readable when the graph is small.
      host.current?.style.setProperty('--up', String(Math.min(16, Math.max(1, 0.86 / k))))
      host.current?.style.setProperty('--pan', `${x}px ${y}px`)
      host.current?.style.setProperty('--step', `${20 * Math.max(0.5, k)}px`)
    }
    follow()
    return engine.camera.subscribe(follow)
  }, [engine])

  return (
    <section className={styles.canvas} aria-label="Service graph" aria-busy={!picture.ready} ref={host}>
      <Overlay ref={world} model={model} picture={picture} selected={selected} focused={focused} metric={metric} noun={noun} onFold={onFold} />
      <Mirror
        model={model}
        picture={picture}
        selected={selected}
        onFocus={(id) => {
          setFocused(id)
          if (id !== null) engine.show(id)
        }}
        onOpen={onSelect}
        onFold={onFold}
      />
      <div className={styles.corner} data-no-pan>
        <Legend />
      </div>
      <div className={styles.map} data-no-pan>
        <ZoomBar engine={engine} />
        <Minimap engine={engine} model={model} />
      </div>
    </section>
  )
}

function safeStorage(): Storage | null {
  try {
    return localStorage
  } catch {
    return null
  }
}
