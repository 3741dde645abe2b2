import { useCallback, useEffect, useMemo, useRef, useSyncExternalStore } from 'react'
import type { KeyboardEvent } from 'react'
import { useWidth } from '@/ui/charts/measure'
import { roundMs } from '@/ui/charts/scale'
import { useFixedRows } from '@/ui/fixedRows'
import { cx } from '@/lib/cx'
import type { Folding } from './folding'
import { SpanRow } from './SpanRow'
import { hasChildren, visibleRows } from './tree'
import type { SpanTree } from './tree'
import styles from './Waterfall.module.css'
import { ticksOf } from './zoom'
import type { View } from './zoom'

export const ROW = 24

type WaterfallProps = {
  tree: SpanTree
  folding: Folding
  view: View
  selected: number | null
  /** A call is one row, its sidecars' spans inside. */
  byHop: boolean
  onSelect: (index: number | null) => void
  onNextError: () => void
  onRows: (from: number, to: number) => void
}

/** The spans as rows on one time axis: fixed heights, virtual, foldable. */
export function Waterfall({ tree, folding, view, selected, byHop, onSelect, onNextError, onRows }: WaterfallProps) {
  const { folded } = folding
  const version = useSyncExternalStore(folding.subscribe, folding.version)
  const onFold = useCallback((i: number, on: boolean) => folding.fold(i, on), [folding])
  const scroller = useRef<HTMLDivElement>(null)
  const buffer = useMemo(() => new Uint32Array(tree.size), [tree])
  // version stands for what changed inside folded
  // oxlint-disable-next-line react-hooks/exhaustive-deps
  const count = useMemo(() => visibleRows(tree, folded, buffer, byHop), [tree, folded, buffer, byHop, version])
  const { from, to, reveal } = useFixedRows(scroller, count, ROW, 6)
  const shown = Array.from(buffer.subarray(from, to))
  const first = shown[0] ?? 0
  const last = shown.at(-1) ?? 0
  useEffect(() => onRows(first, last), [onRows, first, last])

  const at = selected === null ? -1 : buffer.subarray(0, count).indexOf(selected)
  useEffect(() => {
    if (at >= 0) reveal(at)
  }, [reveal, at])

  const select = (row: number) => onSelect(buffer[Math.max(0, Math.min(count - 1, row))] ?? null)
  const right = () => {
    if (selected === null) return select(0)
    if (folded[selected]) onFold(selected, false)
    else if (hasChildren(tree, selected)) select(at + 1)
  }
  const left = () => {
    if (selected === null) return
    if (!folded[selected] && hasChildren(tree, selected)) onFold(selected, true)
    else if (tree.parent[selected]! >= 0) onSelect(tree.parent[selected]!)
  }
  const onKeyDown = (e: KeyboardEvent) => {
    if (e.target !== e.currentTarget || count === 0) return
    const act: Record<string, () => void> = {
      ArrowDown: () => select(at + 1),
      ArrowUp: () => select(at < 0 ? 0 : at - 1),
      PageDown: () => select(at + 20),
      PageUp: () => select(at - 20),
      Home: () => select(0),
      End: () => select(count - 1),
      ArrowRight: right,
      ArrowLeft: left,
      Escape: () => onSelect(null),
      n: onNextError,
    }
    const run = act[e.key]
    if (!run) return
    e.preventDefault()
    run()
  }

  return (
    <div className={styles.frame}>
      <Axis view={view} />
      <div
        ref={scroller}
        className={styles.scroller}
        role="treegrid"
        aria-label="Spans"
        aria-rowcount={count}
        aria-activedescendant={at >= 0 ? `span-${selected}` : undefined}
        tabIndex={0}
        onKeyDown={onKeyDown}
      >
        <div style={{ height: count * ROW, position: 'relative' }}>
          {shown.map((i, row) => (
            // The treegrid has the focus and the keys; the row only takes the pointer.
            // oxlint-disable-next-line jsx-a11y/click-events-have-key-events
            <div
              key={i}
              id={`span-${i}`}
              role="row"
              aria-rowindex={from + row + 1}
              aria-level={(byHop ? tree.shallow : tree.depth)[i]! + 1}
              aria-selected={i === selected}
              aria-expanded={hasChildren(tree, i) ? !folded[i] : undefined}
              className={cx(styles.cols, styles.row)}
              style={{ transform: `translateY(${(from + row) * ROW}px)` }}
              onClick={() => onSelect(i === selected ? null : i)}
            >
              <SpanRow tree={tree} index={i} folded={folded[i] === 1} byHop={byHop} view={view} onFold={onFold} />
            </div>
          ))}
        </div>
      </div>
    </div>
  )
}

function Axis({ view }: { view: View }) {
  const [ref, width] = useWidth<HTMLSpanElement>()
  const span = view.to - view.from
  const ticks = width > 0 ? ticksOf(view, Math.max(2, Math.floor(width / 110))) : []
  return (
    <div className={cx(styles.cols, styles.head)} aria-hidden="true">
      <span>Service, operation</span>
      <span ref={ref} className={styles.axis}>
        {ticks.map((t) => {
          const x = ((t - view.from) / span) * 100
          return (
            <i key={t} style={{ left: `${x}%` }} data-last={x > 94 || undefined}>
              {roundMs(t / 1000)}
            </i>
          )
        })}
      </span>
    </div>
  )
}
