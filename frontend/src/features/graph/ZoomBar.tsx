import { useSyncExternalStore } from 'react'
import type { GraphEngine } from '@/graph/engine'
import { IconButton } from '@/ui/Button'
import styles from './ZoomBar.module.css'

/** Nearer, how near, farther, all. */
export function ZoomBar({ engine }: { engine: GraphEngine }) {
  const percent = useSyncExternalStore(engine.camera.subscribe, () => Math.round(engine.camera.get().view.k * 100))
  return (
    <div className={styles.zoom}>
      <IconButton icon="plus" label="Zoom in" onClick={() => engine.zoomBy(1.25)} />
      <button type="button" title="Back to life size" aria-label={`Zoom ${percent} per cent, back to 100`} onClick={() => engine.zoomBy(100 / percent)}>
        {percent}
      </button>
      <IconButton icon="minus" label="Zoom out" onClick={() => engine.zoomBy(0.8)} />
      <IconButton icon="fit" label="Fit everything" onClick={() => engine.fitAll()} />
    </div>
  )
}
