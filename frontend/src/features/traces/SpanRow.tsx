import { memo } from 'react'
import { HealthGlyph } from '@/ui/Health'
import { Icon } from '@/ui/Icon'
import { cx } from '@/lib/cx'
import { duration, plural, text } from '@/lib/format'
import { messageOf, statusOf } from './finding'
import { ATTEMPT, CRITICAL, ERROR, hasChildren, HEDGE, ORIGIN, ORPHAN, SIDECAR } from './tree'
import type { SpanTree } from './tree'
import styles from './Waterfall.module.css'
import type { View } from './zoom'

type SpanRowProps = { tree: SpanTree; index: number; folded: boolean; byHop: boolean; view: View; onFold: (index: number, fold: boolean) => void }

const DEEPEST = 16

/** One span: who did what, and when. Memoised, because scrolling draws only new rows. */
export const SpanRow = memo(function SpanRow({ tree, index, folded, byHop, view, onFold }: SpanRowProps) {
  const s = tree.spans[index]!
  const flags = tree.flags[index]!
  const depth = (byHop ? tree.shallow : tree.depth)[index]!
  const parent = tree.parent[index]!
  const inside = tree.end[index]! - index - 1
  const errorsInside = tree.errors[index]! - (flags & ERROR ? 1 : 0)
  // A service is written out where it changes; below, the eye follows the guide.
  const same = parent >= 0 && tree.spans[parent]!.service === s.service
  return (
    <>
      <span role="gridcell" className={styles.name} style={{ paddingLeft: `calc(6px + ${Math.min(depth, DEEPEST)} * var(--indent))` }}>
        <Guides depth={Math.min(depth, DEEPEST)} />
        {hasChildren(tree, index) ? (
          <button
            type="button"
            tabIndex={-1}
            className={styles.fold}
            aria-label={folded ? 'Unfold' : 'Fold'}
            onClick={(e) => {
              e.stopPropagation()
              onFold(index, !folded)
            }}
          >
            <Icon name={folded ? 'right' : 'down'} size={12} />
          </button>
        ) : (
          <span className={styles.leaf} />
        )}
        {flags & ERROR ? <HealthGlyph state={flags & ORIGIN ? 'fail' : 'warn'} size={12} /> : null}
        <b data-same={same || undefined}>{s.service}</b>
        <span className="t2 cut" title={s.operation}>
          {s.operation}
        </span>
        {!byHop && flags & SIDECAR && !(flags & ATTEMPT) ? <small>{s.role === 'inbound' ? 'sidecar in' : 'sidecar out'}</small> : null}
        {flags & HEDGE ? <small>hedge</small> : null}
        {flags & ORPHAN ? <small className="warn-t">parent missing</small> : null}
        {folded && inside > 0 ? (
          <small>
            {plural(inside, 'span')} folded{errorsInside ? <span className="fail-t">, {plural(errorsInside, 'error')}</span> : null}
          </small>
        ) : null}
      </span>
      <span role="gridcell" className={styles.track}>
        <span className={styles.plot}>
          <Bar tree={tree} index={index} view={view} />
        </span>
      </span>
    </>
  )
})

function Guides({ depth }: { depth: number }) {
  if (depth === 0) return null
  return <span className={styles.guides} style={{ width: `calc(${depth} * var(--indent))` }} aria-hidden="true" />
}

function Bar({ tree, index, view }: { tree: SpanTree; index: number; view: View }) {
  const s = tree.spans[index]!
  const flags = tree.flags[index]!
  const span = view.to - view.from
  const a = ((s.start_us - view.from) / span) * 100
  const b = ((s.start_us + s.duration_us - view.from) / span) * 100
  const words = `${text(duration(s.duration_us / 1000))}`
  if (b < 0 || a > 100) {
    return (
      <span className={styles.outside} data-left={b < 0 || undefined}>
        {b < 0 ? '‹' : '›'} {words}
      </span>
    )
  }
  const left = Math.max(0, a)
  const width = Math.max(0, Math.min(100, b) - left)
  const cause = flags & ORIGIN ? [statusOf(s), messageOf(s)].filter(Boolean).join(' ') || 'failed' : ''
  // A duration has room after every bar; a cause needs more, and goes before the bar near the right edge.
  const before = cause !== '' && left + width > 62 && left > 30
  return (
    <>
      <i
        className={cx(styles.bar, flags & SIDECAR ? styles.sidecar : null, flags & ERROR ? styles.failed : null, flags & ORIGIN ? styles.origin : null)}
        style={{ left: `${left}%`, width: `max(2px, ${width}%)` }}
      />
      {flags & CRITICAL ? <i className={styles.critical} style={{ left: `${left}%`, width: `max(2px, ${width}%)` }} /> : null}
      {s.events.map((e, i) => {
        const x = ((e.at_us - view.from) / span) * 100
        return x >= 0 && x <= 100 ? <i key={i} className={styles.event} style={{ left: `${x}%` }} title={e.name} /> : null
      })}
      {before ? (
        <span className={styles.words} style={{ right: `${100 - left}%` }}>
          <b className="fail-t">{cause}</b>
        </span>
      ) : null}
      <span className={styles.words} style={{ left: `${left + width}%` }}>
        {words}
        {cause && !before ? <b className="fail-t">{cause}</b> : null}
      </span>
    </>
  )
}
