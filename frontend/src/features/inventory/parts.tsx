import { Link } from '@tanstack/react-router'
import type { ReactNode } from 'react'
import { useTimeline } from '@/api/graph'
import { useNow } from '@/api/live-context'
import { outcomeHealth, outcomeOf } from '@/api/outcome'
import { type TraceQuery, useTraces } from '@/api/traces'
import type { GraphEdge, Traffic } from '@/api/types'
import { duration, type Measure, percent, plural, rateExact, bytes } from '@/lib/format'
import { clock } from '@/lib/time'
import { Figure } from '@/ui/Figure'
import { HealthGlyph } from '@/ui/Health'
import { Section } from '@/ui/Panel'
import { type Signal, Signals } from '@/ui/charts/Signals'
import styles from './Detail.module.css'

const seconds = 60

/** Rate and errors of the last minute on one axis, and the figures of the window. */
export function GoldenSignals({ traffic, series, edges, label, bad }: { traffic: Traffic; series: number[]; edges: readonly GraphEdge[]; label: string; bad: 'warn' | 'fail' | 'data' }) {
  const now = useNow(1000)
  const { data } = useTimeline('5m', null)
  const errors = series.map((rps, i) => {
    const failed = edges.reduce((sum, e) => sum + (e.error_series[i] ?? 0), 0)
    return rps > 0 ? Math.min(1, failed / rps) : 0
  })
  const rows: Signal[] = [
    { label, now: rateExact(traffic.rps), tone: 'data', series, note: '' },
    { label: 'Errors', now: percent(traffic.error_ratio), tone: traffic.error_ratio >= 0.005 ? bad : 'data', series: errors, max: 0.05, note: '' },
  ]
  const figures: [string, Measure][] = [
    ['p50', duration(traffic.p50_ms)],
    ['p95', duration(traffic.p95_ms)],
    ['p99', duration(traffic.p99_ms)],
    ['Sent', perSecond(bytes(traffic.sent_bytes_per_s))],
    ['Received', perSecond(bytes(traffic.received_bytes_per_s))],
  ]
  return (
    <Section title="Golden signals" help="signals" note="last minute; figures over 30 s">
      <Signals rows={rows} now={now} seconds={seconds} markers={data?.markers ?? []} />
      <dl className={styles.figures}>
        {figures.map(([name, of]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>
              <Figure of={of} />
            </dd>
          </div>
        ))}
      </dl>
    </Section>
  )
}

function perSecond(m: Measure): Measure {
  return { value: m.value, unit: `${m.unit}/s` }
}

/** The newest traces, with the way to each and to all of them. */
export function NewestTraces({ search }: { search: TraceQuery }) {
  const { data, error } = useTraces({ ...search, limit: 6 }, 5000)
  return (
    <Section title="Traces" help="traces" note={data && data.traces.length > 0 ? 'newest first' : ''}>
      {error ? <p className="t2">{error.message}</p> : null}
      {data && data.traces.length === 0 ? <p className="t3">No trace of this in store. Sampling may be low, or requests carry no context.</p> : null}
      <table className={styles.rows}>
        <tbody>
          {(data?.traces ?? []).map((t) => (
            <tr key={t.trace_id}>
              <td className="t3">{clock(t.start)}</td>
              <td className="mono">
                <Link to="/traces/{-$traceId}" params={{ traceId: t.trace_id }}>
                  {t.trace_id.slice(0, 4)}…{t.trace_id.slice(-4)}
                </Link>
              </td>
              <td>
                <HealthGlyph state={outcomeHealth[outcomeOf(t)]} size={11} />
              </td>
              <td className="t2">{plural(t.spans, 'span')}</td>
              <td className="num">
                <Figure of={duration(t.duration_ms)} />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </Section>
  )
}

/** Facts as pairs; what is empty is left out. */
export function Facts({ title, rows }: { title: string; rows: readonly (readonly [string, ReactNode])[] }) {
  const said = rows.filter(([, value]) => value !== '' && value !== null && value !== undefined)
  if (said.length === 0) return null
  return (
    <Section title={title}>
      <dl className={styles.facts}>
        {said.map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
    </Section>
  )
}
