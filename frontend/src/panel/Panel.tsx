import { useEffect, useRef, useState } from 'react'
import { cx } from '@/lib/cx'
import type { PanelModel } from './model'
import styles from './Panel.module.css'
import { inTurn } from './turns'
import type { Choices, Range } from './query'
import { Embedded } from './Embedded'
import { Drawn } from './Drawn'

export type PanelProps = {
  /** The dashboard that the panel is of. */
  uid: string
  panel: PanelModel
  choices: Choices
  range: Range
  /** Who draws: we, or Grafana as long as it has a place and answers. */
  by: 'sidelight' | 'grafana'
}

/**
 * One panel of a dashboard, on whatever page. Nothing is asked for nor drawn
 * before it comes into view.
 */
export function Panel({ uid, panel, choices, range, by }: PanelProps) {
  const box = useRef<HTMLElement>(null)
  const seen = useInView(box)
  const ready = useTurn(seen)
  const [refused, setRefused] = useState(false)
  return (
    <section ref={box} className={styles.panel} aria-label={panel.title} data-kind={panel.type}>
      {by === 'grafana' && !refused ? (
        <Embedded uid={uid} panel={panel} choices={choices} range={range} visible={seen} onSilence={() => setRefused(true)}>
          <Own panel={panel} choices={choices} range={range} ready={ready} visible={seen} />
        </Embedded>
      ) : (
        <Own panel={panel} choices={choices} range={range} ready={ready} visible={seen} />
      )}
    </section>
  )
}

function Own({ panel, choices, range, ready, visible }: Omit<PanelProps, 'uid' | 'by'> & { ready: boolean; visible: boolean }) {
  return (
    <>
      <header className={styles.head}>
        <h3 className="cut" title={panel.description}>
          {panel.title}
        </h3>
        {panel.description ? <span className="sr-only">{panel.description}</span> : null}
      </header>
      <div className={cx(styles.body, panel.type === 'table' && styles.flush)}>
        {ready ? <Drawn panel={panel} choices={choices} range={range} visible={visible} /> : null}
      </div>
    </>
  )
}

/** Whether a part is in view, or within half a screen of it. */
function useInView(box: React.RefObject<HTMLElement | null>): boolean {
  const [seen, setSeen] = useState(typeof IntersectionObserver === 'undefined')
  useEffect(() => {
    const element = box.current
    if (!element || typeof IntersectionObserver === 'undefined') return
    const observer = new IntersectionObserver((entries) => setSeen(entries.at(-1)!.isIntersecting), { rootMargin: '50% 0px' })
    observer.observe(element)
    return () => observer.disconnect()
  }, [box])
  return seen
}

/** True from the frame on that is this panel's to draw in. */
function useTurn(wanted: boolean): boolean {
  const [ready, setReady] = useState(false)
  useEffect(() => {
    if (!wanted || ready) return
    return inTurn(() => setReady(true))
  }, [wanted, ready])
  return ready
}
