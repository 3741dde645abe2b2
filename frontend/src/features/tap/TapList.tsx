import { useRef, useState } from 'react'
import type { KeyboardEvent } from 'react'
import { useWidth } from '@/ui/charts/measure'
import { niceMax, roundMs } from '@/ui/charts/scale'
import { count, plural } from '@/lib/format'
import { cx } from '@/lib/cx'
import { curlCommand } from './export'
import type { Row, TapRing, TapSnapshot } from './ring'
import { TapDrill } from './TapDrill'
import styles from './TapList.module.css'
import { TapRow } from './TapRow'
import { useFollow } from './useFollow'
import { useRows } from './useRows'

const ROW = 25
const COMPACT = 760

/** The rows of the tap, newest first, in a list that holds still while one looks. */
export function TapList({ ring, snapshot, filter }: { ring: TapRing; snapshot: TapSnapshot; filter: string }) {
  const [frame, width] = useWidth<HTMLDivElement>()
  const scroller = useRef<HTMLDivElement>(null)
  const { front, newer, shown, hold, release } = useFollow(snapshot.added, snapshot.rows)
  const [open, setOpen] = useState<number | null>(null)
  const [selected, setSelected] = useState<number | null>(null)
  const scale = niceMax(Math.max(1, snapshot.longest_ms))
  const [drillHeight, setDrillHeight] = useState(0)
  const rowHeight = width > 0 && width <= COMPACT ? 44 : ROW

  // Row i of the list is number front - 1 - i since the start.
  const numberOf = (i: number) => front - 1 - i
  const rowAt = (i: number): Row | undefined => ring.row(i + newer)
  const openAt = open === null ? -1 : front - 1 - open
  const window = useRows(scroller, { count: shown, height: rowHeight, open: openAt, extra: drillHeight })

  const toggle = (n: number, on = open !== n) => {
    setOpen(on ? n : null)
    hold('open', on)
  }
  const select = (i: number) => {
    const to = Math.max(0, Math.min(shown - 1, i))
    setSelected(numberOf(to))
    hold('keys', true)
    window.scrollTo(to)
  }
  const onKeyDown = (e: KeyboardEvent) => {
    if (e.target !== e.currentTarget || shown === 0) return
    const i = selected === null ? -1 : front - 1 - selected
    const event = i >= 0 ? rowAt(i) : undefined
    const act: Record<string, () => void> = {
      ArrowDown: () => select(i + 1),
      ArrowUp: () => select(i - 1),
      Home: () => select(0),
      End: () => select(shown - 1),
      // With nothing chosen yet, the first row is meant.
      ArrowRight: () => (selected === null ? select(0) : toggle(selected, true)),
      Enter: () => (selected === null ? select(0) : toggle(selected)),
      ArrowLeft: () => selected !== null && toggle(selected, false),
      Escape: () => {
        setOpen(null)
        setSelected(null)
        release()
      },
      y: () => event?.kind === 'event' && void navigator.clipboard?.writeText(curlCommand(event.event)),
    }
    const run = act[e.key]
    if (!run) return
    e.preventDefault()
    run()
  }
  const follow = () => {
    setOpen(null)
    setSelected(null)
    release()
    scroller.current?.scrollTo({ top: 0 })
  }

  return (
    <div ref={frame} className={styles.frame}>
      <div className={cx(styles.cols, styles.head)} aria-hidden="true">
        <span />
        <span data-col="time">Time</span>
        <span data-col="sides">From, to</span>
        <span data-col="request">Request</span>
        <span data-col="status">Status</span>
        <span data-col="by">Answered by</span>
        <span data-col="attempts">Attempts</span>
        <span data-col="duration">Duration, to {roundMs(scale)}</span>
        <span data-col="size" className="num">
          In, out
        </span>
        <span data-col="trace" className="num">
          Trace
        </span>
      </div>
      {newer > 0 ? (
        <button type="button" className={styles.newer} onClick={follow}>
          {plural(newer, 'newer row')}, show
        </button>
      ) : null}
      <div
        ref={scroller}
        className={styles.scroller}
        role="treegrid"
        aria-label="Tapped requests"
        aria-rowcount={shown}
        aria-activedescendant={selected === null ? undefined : `tap-${selected}`}
        tabIndex={0}
        onKeyDown={onKeyDown}
        onScroll={(e) => hold('scroll', e.currentTarget.scrollTop > 0)}
        onPointerMove={() => hold('pointer', true)}
        onPointerLeave={() => hold('pointer', false)}
      >
        <div style={{ height: window.total, position: 'relative' }}>
          {window.shown.map((v) => {
            const row = rowAt(v.index)
            const n = numberOf(v.index)
            if (!row) return null
            return (
              <div key={n} className={styles.item} style={{ transform: `translateY(${v.start}px)` }}>
                {row.kind === 'gap' ? (
                  <Gap lost={row.lost} cause={row.cause} />
                ) : (
                  // The treegrid has the focus and the keys; the row only takes the pointer.
                  // oxlint-disable-next-line jsx-a11y/click-events-have-key-events
                  <div
                    id={`tap-${n}`}
                    role="row"
                    aria-rowindex={v.index + 1}
                    aria-expanded={n === open}
                    aria-selected={n === selected}
                    className={cx(styles.cols, styles.row)}
                    onClick={() => {
                      setSelected(n)
                      toggle(n)
                    }}
                  >
                    <TapRow event={row.event} open={n === open} scale={scale} />
                  </div>
                )}
                {n === open && row.kind === 'event' ? (
                  <div role="row">
                    <div role="gridcell">
                      <TapDrill event={row.event} filter={filter} onHeight={setDrillHeight} />
                    </div>
                  </div>
                ) : null}
              </div>
            )
          })}
        </div>
      </div>
    </div>
  )
}

function Gap({ lost, cause }: { lost: number; cause: 'pause' | 'socket' }) {
  return (
    <div className={styles.gap} role="row">
      <span role="gridcell">{cause === 'pause' ? `${count(lost)} not kept: the pause had no more room` : `${count(lost)} lost: this page did not read fast enough`}</span>
    </div>
  )
}
