import { Link } from '@tanstack/react-router'
import { outcomeHealth, outcomeOf } from '@/api/outcome'
import { useTraces } from '@/api/traces'
import type { TraceSummary } from '@/api/types'
import { duration, plural } from '@/lib/format'
import { clock } from '@/lib/time'
import { Figure } from '@/ui/Figure'
import { HealthGlyph } from '@/ui/Health'
import { Section } from '@/ui/Panel'
import styles from './LastTraces.module.css'

/** The newest traces that went this way. */
export function LastTraces({ search }: { search: Record<string, string> }) {
  const { data, error, isPending } = useTraces({ ...search, limit: 5 }, 5000)
  const note = data && data.traces.length > 0 ? `newest of ${data.total_scanned} looked at` : ''
  return (
    <Section title="Traces" help="traces" note={note}>
      {error ? <p className="t2">{error.message}</p> : null}
      {isPending ? <p className="t3">…</p> : null}
      {data && data.traces.length === 0 ? <p className="t3">No trace of this in store. Sampling may be low, or requests carry no context.</p> : null}
      {data && data.traces.length > 0 ? (
        <table className={styles.traces}>
          <tbody>
            {data.traces.map((t) => (
              <Row key={t.trace_id} trace={t} longest={Math.max(...data.traces.map((o) => o.duration_ms))} />
            ))}
          </tbody>
        </table>
      ) : null}
    </Section>
  )
}

function Row({ trace, longest }: { trace: TraceSummary; longest: number }) {
  const outcome = outcomeOf(trace)
  return (
    <tr>
      <td className="t3">{clock(trace.start)}</td>
      <td className="mono">
        <Link to="/traces/{-$traceId}" params={{ traceId: trace.trace_id }}>
          {trace.trace_id.slice(0, 4)}…{trace.trace_id.slice(-4)}
        </Link>
      </td>
      <td className={styles.glyph}>
        <HealthGlyph state={outcomeHealth[outcome]} size={11} />
      </td>
      <td className={styles.bar}>
        <i style={{ width: `${Math.max(2, (trace.duration_ms / (longest || 1)) * 100)}%`, background: outcome === 'failed' ? 'var(--fail)' : 'var(--data-3)' }} />
      </td>
      <td className="t2">{plural(trace.spans, 'span')}</td>
      <td className="num">
        <Figure of={duration(trace.duration_ms)} />
      </td>
    </tr>
  )
}
