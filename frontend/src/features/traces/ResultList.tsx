import { Link } from '@tanstack/react-router'
import { outcomeHealth, outcomeOf } from '@/api/outcome'
import type { TraceSummary } from '@/api/types'
import { Figure } from '@/ui/Figure'
import { HealthGlyph } from '@/ui/Health'
import { cx } from '@/lib/cx'
import { count, duration, plural } from '@/lib/format'
import { clockMs } from '@/lib/time'
import styles from './ResultList.module.css'

type ResultListProps = {
  traces: readonly TraceSummary[]
  hovered: string | null
  onHover: (trace: string | null) => void
}

/** The traces found, as links: each with who took part in it. */
export function ResultList({ traces, hovered, onHover }: ResultListProps) {
  const longest = Math.max(1, ...traces.map((t) => t.duration_ms))
  return (
    <>
      <div className={cx(styles.cols, styles.head)} aria-hidden="true">
        <span data-col="time">Start</span>
        <span>Request</span>
        <span>Status</span>
        <span>Duration</span>
        <span data-col="spans" className="num">
          Spans
        </span>
        <span data-col="services">Who took part, by spans</span>
      </div>
      <ul className={styles.list} aria-label="Traces">
        {traces.map((t) => (
          <li key={t.trace_id} className={styles.item}>
            <Link
              to="/traces/{-$traceId}"
              params={{ traceId: t.trace_id }}
              search={((s: object) => s) as never}
              className={cx(styles.cols, styles.row)}
              data-hot={hovered === t.trace_id || undefined}
              onPointerEnter={() => onHover(t.trace_id)}
              onPointerLeave={() => onHover(null)}
            >
              <Row trace={t} longest={longest} />
            </Link>
          </li>
        ))}
      </ul>
    </>
  )
}

function Row({ trace: t, longest }: { trace: TraceSummary; longest: number }) {
  const outcome = outcomeOf(t)
  const tone = { failed: 'fail-t', caught: 't2', refused: 'warn-t', ok: 't2' }[outcome]
  return (
    <>
      <span data-col="time" className="t2">
        {clockMs(t.start)}
      </span>
      <span className="cut">
        <b>{t.service}</b> <span className="t2">{t.operation}</span>
      </span>
      <span className={styles.status}>
        <HealthGlyph state={outcomeHealth[outcome]} size={12} decorative />
        <span className={tone}>{t.status || (outcome === 'failed' ? 'failed' : 'ok')}</span>
        {t.errors > 0 ? <span className="t3 t11">{plural(t.errors, 'error')}</span> : null}
      </span>
      <span className={styles.duration}>
        <Figure of={duration(t.duration_ms)} className="num" />
        <i style={{ width: `${Math.max(1, (t.duration_ms / longest) * 100)}%` }} />
      </span>
      <span data-col="spans" className="num t2">
        {count(t.spans)}
      </span>
      <span data-col="services">
        <Shares trace={t} />
      </span>
    </>
  )
}

/** A bar of the services' shares. Names stand beside, not in a legend; errors are hatched in. */
function Shares({ trace: t }: { trace: TraceSummary }) {
  const sorted = [...t.services].sort((a, b) => b.spans - a.spans)
  const words = sorted.map((s) => `${s.name} ${s.spans}${s.errors ? `, ${plural(s.errors, 'error')}` : ''}`).join('; ')
  return (
    <span className={styles.shares} title={words}>
      <span className={styles.bar} aria-hidden="true">
        {sorted.map((s) => (
          <i key={s.name} style={{ flexGrow: s.spans }} data-failed={s.errors > 0 || undefined} />
        ))}
      </span>
      <span className="t3 t11 cut">
        {sorted.slice(0, 4).map((s, i) => (
          <span key={s.name} className={s.errors > 0 ? 'fail-t' : undefined}>
            {i > 0 ? ', ' : ''}
            {s.name}
          </span>
        ))}
        {sorted.length > 4 ? `, ${sorted.length - 4} more` : ''}
      </span>
    </span>
  )
}
