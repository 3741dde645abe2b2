import { Link } from '@tanstack/react-router'
import { usePropagation } from '@/api/traces'
import type { Passing, PassingTo } from '@/api/types'
import { count } from '@/lib/format'
import { HealthGlyph } from '@/ui/Health'
import styles from './LostHeaders.module.css'
import { attribute } from './tree'
import type { SpanTree } from './tree'

/** Workloads that do not pass trace headers on, each with a trace that was torn by it. */
export function LostHeaders() {
  const { data } = usePropagation()
  const losing = data?.workloads.filter((w) => w.state === 'loses') ?? []
  if (losing.length === 0) return null
  return (
    <section className={styles.list} aria-label="Lost traces">
      {losing.map((w) => (
        <Losing key={w.workload} of={w} />
      ))}
    </section>
  )
}

function Losing({ of: w }: { of: Passing }) {
  const lost = w.calls.filter((c) => c.state === 'loses')
  const kept = w.calls.filter((c) => c.state === 'passes')
  const proof = lost.flatMap((c) => c.evidence)[0]
  return (
    <p className={styles.finding} title={w.why}>
      <HealthGlyph state="warn" />
      <span>
        <b className="strong">{w.service} loses traces.</b> It does not pass trace headers on to {lost.map((c) => tally(c)).join(' and to ')}.
        {kept.length > 0 ? <span className="t3"> To {kept.map((c) => short(c.destination)).join(' and ')} it does.</span> : null}
      </span>
      {proof ? (
        <span className={styles.proof}>
          <TraceLink id={proof.received_trace_id} span={proof.received_span_id}>
            a trace that stops
          </TraceLink>
          <TraceLink id={proof.begun_trace_id}>how it goes on</TraceLink>
        </span>
      ) : null}
    </p>
  )
}

const short = (destination: string) => destination.slice(destination.indexOf('/') + 1)
const tally = (c: PassingTo) => `${short(c.destination)}: ${count(c.lost)} of ${count(c.continued + c.begun)} calls began a trace of their own while a request waited for them`

function TraceLink({ id, span = '', children }: { id: string; span?: string; children: string }) {
  return (
    <Link className="info-t" to="/traces/{-$traceId}" params={{ traceId: id }} search={((s: object) => ({ ...s, span })) as never}>
      {children}
    </Link>
  )
}

/** On a trace: where it stops because its headers were not passed on, and how it goes on if that is known. */
export function StopsHere({ tree, traceId, onSelect }: { tree: SpanTree; traceId: string; onSelect: (index: number) => void }) {
  const { data } = usePropagation()
  const stops = (data?.workloads ?? []).filter((w) => w.state === 'loses').flatMap((w) => stopsOf(tree, w))
  if (stops.length === 0) return null
  return (
    <section className={styles.list} aria-label="Lost traces">
      {stops.map(({ workload, call, index }) => {
        const next = call.evidence.find((e) => e.received_trace_id === traceId)
        return (
          <p key={call.destination} className={styles.finding}>
            <HealthGlyph state="warn" />
            <span>
              The trace{' '}
              <button type="button" className="info-t" onClick={() => onSelect(index)}>
                stops at {short(workload)}
              </button>
              : it does not pass trace headers on to {short(call.destination)}.
            </span>
            {next ? (
              <span className={styles.proof}>
                <TraceLink id={next.begun_trace_id}>how it goes on</TraceLink>
              </span>
            ) : null}
          </p>
        )
      })}
    </section>
  )
}

/** stopsOf finds where a workload was asked in this trace, and called nobody it loses. */
export function stopsOf(tree: SpanTree, w: Passing): { workload: string; call: PassingTo; index: number }[] {
  const index = tree.spans.findIndex((s) => s.role === 'inbound' && s.workload === w.workload)
  if (index < 0) return []
  const called = new Set(tree.spans.filter((s) => s.role === 'outbound' && s.workload === w.workload).map((s) => attribute(s, 'sidelight.destination')))
  return w.calls.filter((c) => c.state === 'loses' && !called.has(c.destination)).map((call) => ({ workload: w.workload, call, index }))
}
