import type { Span, Trace } from '@/api/types'
import { duration, plural, text } from '@/lib/format'
import { attribute, CRITICAL, hasChildren } from './tree'
import type { SpanTree } from './tree'

/** Cause is where a failed trace began to fail, and what the sidecar said of it. */
export type Cause = {
  index: number
  span: Span
  /** "tickets → payments" when a sidecar names both sides, else the service. */
  where: string
  code: string
  flags: string
  answeredBy: 'proxy' | 'upstream' | ''
  details: string
  object: string
  attempts: number
}

/**
 * causeOf explains the first failure. When attempts failed, the call that made
 * them is the thing to talk about: it carries the flags, the object and the
 * number of attempts.
 */
export function causeOf(tree: SpanTree): Cause | null {
  const first = tree.origins[0]
  if (first === undefined) return null
  const s = tree.spans[first]!
  const isTry = /^attempt \d+$/.test(s.operation)
  const at = isTry && tree.parent[first]! >= 0 ? tree.parent[first]! : first
  const span = tree.spans[at]!
  const source = attribute(span, 'sidelight.source')
  const target = attribute(span, 'sidelight.destination')
  const by = attribute(span, 'sidelight.answered_by')
  const flags = attribute(span, 'sidelight.flags') ?? ''
  return {
    index: at,
    span,
    where: source && target ? `${short(source)} → ${short(target)}` : span.service,
    code: statusOf(span),
    flags: flags === '-' ? '' : flags,
    answeredBy: by === 'proxy' || by === 'upstream' ? by : '',
    details: attribute(span, 'sidelight.details') || span.message || s.message || '',
    object: attribute(span, 'sidelight.object') ?? '',
    attempts: Number(attribute(span, 'sidelight.attempts') ?? 0) || 0,
  }
}

const short = (workload: string) => workload.slice(workload.indexOf('/') + 1)

/** statusOf gives what the span says came back: "504", "grpc 14", or nothing. */
export function statusOf(s: Span): string {
  const grpc = attribute(s, 'rpc.grpc.status_code')
  const http = attribute(s, 'http.response.status_code')
  if (http && http !== '200') return http
  return grpc && grpc !== '0' ? `grpc ${grpc}` : (http ?? '')
}

/** headline says in one sentence what a trace is about: its failure, or where its time went. */
export function headline(trace: Trace, tree: SpanTree): string {
  const cause = causeOf(tree)
  if (cause) {
    const answer = [cause.code, cause.flags].filter(Boolean).join(' ')
    const who = cause.answeredBy === 'proxy' ? `, said by the proxy of ${cause.span.service}` : cause.answeredBy === 'upstream' ? ', said by the service' : ''
    const tries = cause.attempts > 1 ? ` after ${cause.attempts} attempts` : ''
    return `Failed at ${cause.where}${answer ? `: ${answer}` : ''}${tries}${who}${cause.details ? `. ${sentence(cause.details)}` : '.'}`
  }
  const slow = slowest(tree)
  if (!slow) return `${plural(trace.spans.length, 'span')}, no error.`
  const share = Math.round((slow.self_us / tree.duration_us) * 100)
  return `No error. ${share} % of ${text(duration(trace.duration_ms))} was spent in ${slow.service} itself, in ${slow.operation}.`
}

const sentence = (s: string) => s.charAt(0).toUpperCase() + s.slice(1) + (/[.!?]$/.test(s) ? '' : '.')

/** slowest is the span of the critical path that spent most time itself. */
function slowest(tree: SpanTree): Span | null {
  let best: Span | null = null
  for (let i = 0; i < tree.size; i++) {
    if (!(tree.flags[i]! & CRITICAL) && hasChildren(tree, i)) continue
    const s = tree.spans[i]!
    if (!best || s.self_us > best.self_us) best = s
  }
  return best
}

/** Share is one service's part of a trace: its own time, spans and errors. */
export type Share = { service: string; self_us: number; spans: number; errors: number }

/** shares sums own time by service, most first. */
export function shares(spans: readonly Span[]): Share[] {
  const by = new Map<string, Share>()
  for (const s of spans) {
    let share = by.get(s.service)
    if (!share) by.set(s.service, (share = { service: s.service, self_us: 0, spans: 0, errors: 0 }))
    share.self_us += s.self_us
    share.spans++
    if (s.status === 'error') share.errors++
  }
  return [...by.values()].sort((a, b) => b.self_us - a.self_us)
}
