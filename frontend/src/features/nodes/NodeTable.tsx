import { useVirtualizer } from '@tanstack/react-virtual'
import { useLayoutEffect, useRef, useState } from 'react'
import type { KeyboardEvent } from 'react'
import { useWidth } from '@/ui/charts/measure'
import { cx } from '@/lib/cx'
import { count } from '@/lib/format'
import { AxisHead } from './AxisHead'
import type { Item } from './groups'
import { StripKey, ToneKey } from './Keys'
import { NodeDrill } from './NodeDrill'
import { GroupRow, NodeRow } from './NodeRow'
import styles from './NodeTable.module.css'
import type { Order } from './states'
import { LINE_PITCH } from './Strip'
import type { StripAxis } from './Strip'

const COMPACT = 640

export type NodeTableProps = {
  items: readonly Item[]
  axis: StripAxis
  newestBuild: string
  order: Order
  onOrder: (order: Order) => void
  selected: string | null
  onSelect: (id: string) => void
  onToggle: (item: Item, open?: boolean) => void
}

/** The list of nodes: a treegrid drawn virtually, moved through by the arrow keys. */
export function NodeTable({ items, axis, newestBuild, order, onOrder, selected, onSelect, onToggle }: NodeTableProps) {
  const [frame, width] = useWidth<HTMLDivElement>()
  const scroller = useRef<HTMLDivElement>(null)
  const compact = width > 0 && width <= COMPACT
  const [drillHeight, setDrillHeight] = useState(240)
  // Its functions are called here and handed to nobody.
  // oxlint-disable-next-line react/incompatible-library
  const virtual = useVirtualizer({
    count: items.length,
    getScrollElement: () => scroller.current,
    estimateSize: (i) => (items[i]!.kind === 'drill' ? drillHeight : heightOf(items[i]!, compact)),
    overscan: 8,
  })
  useLayoutEffect(() => virtual.measure(), [virtual, compact, items, drillHeight])

  const at = items.findIndex((i) => i.id === selected)
  const move = (to: number, step: number) => {
    for (let i = to; i >= 0 && i < items.length; i += step) {
      if (items[i]!.kind === 'head' || items[i]!.kind === 'drill') continue
      onSelect(items[i]!.id)
      virtual.scrollToIndex(i, { align: 'auto' })
      return
    }
  }
  const onKeyDown = (e: KeyboardEvent) => {
    if (e.target !== e.currentTarget) return
    const item = items[at]
    const act: Record<string, () => void> = {
      ArrowDown: () => move(at + 1, 1),
      ArrowUp: () => move(at < 0 ? 0 : at - 1, at < 0 ? 1 : -1),
      Home: () => move(0, 1),
      End: () => move(items.length - 1, -1),
      ArrowRight: () => item && onToggle(item, true),
      ArrowLeft: () => item && onToggle(item, false),
      Enter: () => item && onToggle(item),
    }
    const run = act[e.key]
    if (!run) return
    e.preventDefault()
    run()
  }

  return (
    <div ref={frame} className={styles.frame}>
      <div className={cx(styles.cols, styles.head)}>
        <OrderHead of="node" {...{ order, onOrder }}>Node</OrderHead>
        <OrderHead of="state" {...{ order, onOrder }}>State</OrderHead>
        <span data-col="build">Build</span>
        <span data-col="rev">Runs rev</span>
        <OrderHead of="lag" className={cx('num', styles.lag)} {...{ order, onOrder }}>Lag</OrderHead>
        <OrderHead of="push" {...{ order, onOrder }}>Push to applied</OrderHead>
        <AxisHead axis={axis} />
      </div>
      <div
        ref={scroller}
        className={styles.scroller}
        role="treegrid"
        aria-label="Nodes"
        aria-rowcount={items.length}
        aria-activedescendant={at >= 0 ? rowId(items[at]!.id) : undefined}
        tabIndex={0}
        onKeyDown={onKeyDown}
        onFocus={(e) => e.target === e.currentTarget && at < 0 && move(0, 1)}
      >
        <div style={{ height: virtual.getTotalSize(), position: 'relative' }}>
          {virtual.getVirtualItems().map((v) => {
            const item = items[v.index]!
            return (
              <div
                key={item.id}
                className={styles.item}
                style={{ transform: `translateY(${v.start}px)`, height: item.kind === 'drill' ? undefined : v.size }}
              >
                <Entry item={item} index={v.index} {...{ axis, newestBuild, selected, onSelect, onToggle }} onDrillHeight={setDrillHeight} />
              </div>
            )
          })}
        </div>
      </div>
    </div>
  )
}

function OrderHead({ of, order, onOrder, className, children }: { of: Order; order: Order; onOrder: (order: Order) => void; className?: string; children: string }) {
  const on = of === order
  return (
    <span data-col={of} className={className}>
      <button type="button" aria-pressed={on} title={`Sort by ${children.toLowerCase()}`} onClick={() => onOrder(of)}>
        {children}
        {on ? ' ↓' : ''}
      </button>
    </span>
  )
}

const rowId = (id: string) => `node-row-${id}`

function heightOf(item: Item, compact: boolean): number {
  switch (item.kind) {
    case 'head':
      return 25
    case 'node':
      return compact ? 50 : 25
    case 'group':
      return Math.max(compact ? 34 : 38, Math.ceil(item.group.lines.length * LINE_PITCH) + 9 + (compact ? 36 : 0))
    case 'drill':
      return 0 // measured where it stands
  }
}

type EntryProps = Omit<NodeTableProps, 'items' | 'order' | 'onOrder'> & { item: Item; index: number; onDrillHeight: (px: number) => void }

function Entry({ item, index, axis, newestBuild, selected, onSelect, onToggle, onDrillHeight }: EntryProps) {
  if (item.kind === 'head') {
    return (
      <div className={styles.section} role="row" aria-rowindex={index + 1}>
        <span role="gridcell">
          <b>{item.title}</b> <span className="t2">{count(item.nodes)}</span>
          {item.note ? <small className="cut">{item.note}</small> : null}
        </span>
        {item.key === 'states' ? <StripKey /> : <ToneKey />}
      </div>
    )
  }
  if (item.kind === 'drill') {
    return (
      <div role="row" aria-rowindex={index + 1}>
        <div role="gridcell">
          <NodeDrill node={item.node} onHeight={onDrillHeight} />
        </div>
      </div>
    )
  }
  const open = item.open
  return (
    // The treegrid has the focus and the keys; the row only takes the pointer.
    // oxlint-disable-next-line jsx-a11y/click-events-have-key-events
    <div
      id={rowId(item.id)}
      role="row"
      aria-rowindex={index + 1}
      aria-level={item.kind === 'node' && item.inGroup ? 2 : 1}
      aria-selected={selected === item.id}
      aria-expanded={open}
      className={cx(styles.cols, item.kind === 'group' ? styles.group : styles.row)}
      onClick={() => {
        onSelect(item.id)
        onToggle(item)
      }}
    >
      {item.kind === 'group' ? (
        <GroupRow group={item.group} open={item.open} axis={axis} />
      ) : (
        <NodeRow node={item.node} axis={axis} newest={newestBuild} inGroup={item.inGroup} />
      )}
    </div>
  )
}
