import type { Span, Trace } from '@/api/types'
import { duration, plural, text } from '@/lib/format'
import { attribute, CRITICAL, ERROR, hasChildren } from './tree'
import type { SpanTree } from './tree'

/** Cause is where a trace began to fail, and what the sidecar said of it. */
export type Cause = {
  index: number
  span: Span
  /** Whether the failure went up to the caller; a retry or a fallback may have caught it. */
  reachedCaller: boolean
  /** "tickets → payments" when a sidecar names both sides, else the service. */
  where: string
  target: string
  code: string
  flags: string
  answeredBy: 'proxy' | 'upstream' | ''
  details: string
  object: string
  attempts: number
}

/**
 * causeOf explains the failure that matters most: the first that reached the
 * caller, else the first that something caught. When attempts failed, the call
 * that made them is the thing to talk about: it carries the flags, the object
 * and the number of attempts. A caught attempt speaks for itself.
 */
export function causeOf(tree: SpanTree): Cause | null {
  const fatal = tree.origins.find((i) => reachesRoot(tree, i))
  const first = fatal ?? tree.origins[0]
  if (first === undefined) return null
  const origin = tree.spans[first]!
  const isTry = /^attempt \d+$/.test(origin.operation)
  const call = isTry && tree.parent[first]! >= 0 ? tree.parent[first]! : first
  const index = fatal === undefined ? first : call
  const span = tree.spans[index]!
  const about = tree.spans[call]!
  const source = attribute(about, 'sidelight.source')
  const target = targetOf(about)
  const by = attribute(span, 'sidelight.answered_by')
  const flags = attribute(span, 'sidelight.flags') ?? ''
  return {
    index,
    span,
    reachedCaller: fatal !== undefined,
    where: source && target ? `${short(source)} → ${target}` : about.service,
    target,
    code: statusOf(span),
    flags: flags === '-' ? '' : flags,
    answeredBy: by === 'proxy' || by === 'upstream' ? by : '',
    details: saidDetails(span) || messageOf(span) || messageOf(origin),
    object: attribute(about, 'sidelight.object') ?? '',
    attempts: Number(attribute(about, 'sidelight.attempts') ?? 0) || 0,
  }
}

/** reachesRoot tells whether every caller of a failed span failed too. */
function reachesRoot(tree: SpanTree, i: number): boolean {
  for (let p = i; p >= 0; p = tree.parent[p]!) if (!(tree.flags[p]! & ERROR)) return false
  return true
}

const short = (workload: string) => workload.slice(workload.indexOf('/') + 1)

/** targetOf names who was called: the workload that answered, else the host that was asked. */
export function targetOf(s: Span): string {
  const workload = attribute(s, 'sidelight.destination')
  if (workload && workload !== 'unknown') return short(workload)
  const host = attribute(s, 'sidelight.service') ?? ''
  return host.endsWith('.svc.cluster.local') ? host.split('.')[0]! : host || workload || ''
}

/** saidDetails leaves out what says nothing: that an answer came by the usual way. */
export function saidDetails(s: Span): string {
  const details = attribute(s, 'sidelight.details') ?? ''
  return details === 'via_upstream' ? '' : details
}

/** messageOf leaves out a message that only repeats the code: "HTTP 503", "answered 503". */
export const messageOf = (s: Span): string => (/^(?:http|answered) \d{3}$/i.test(s.message ?? '') ? '' : (s.message ?? ''))

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
  if (cause) return cause.reachedCaller ? failedHeadline(cause) : caughtHeadline(cause)
  const slow = slowest(tree)
  if (!slow) return `${plural(trace.spans.length, 'span')}, no error.`
  const share = Math.round((slow.self_us / tree.duration_us) * 100)
  const part = `No error. ${share} % of ${text(duration(trace.duration_ms))} was spent`
  // A call without a span of who was called: the time is theirs, or the way there.
  const called = slow.kind === 'client' ? targetOf(slow) : ''
  if (called) return `${part} waiting for ${called}, called by ${slow.service} in ${slow.operation}.`
  return `${part} in ${slow.service} itself, in ${slow.operation}.`
}

function failedHeadline(c: Cause): string {
  const answer = [c.code, c.flags].filter(Boolean).join(' ')
  const who = c.answeredBy === 'proxy' ? `, said by the proxy of ${c.span.service}` : c.answeredBy === 'upstream' && c.target ? `, said by ${c.target}` : ''
  const tries = c.attempts > 1 ? ` after ${c.attempts} attempts` : ''
  return `Failed at ${c.where}${answer ? `: ${answer}` : ''}${tries}${who}${c.details ? `. ${sentence(c.details)}` : '.'}`
}

/** What something caught: the caller had its answer, yet it cost time. */
function caughtHeadline(c: Cause): string {
  const answer = [c.code, c.flags].filter(Boolean).join(' ')
  const n = /^attempt (\d+)$/.exec(c.span.operation)?.[1]
  const what = n ? `attempt ${n}${c.attempts > 1 ? ` of ${c.attempts}` : ''} at ${c.where}` : `the call ${c.where}`
  return `Answered, though ${what} failed${answer ? ` with ${answer}` : c.details ? `: ${c.details}` : ''}.`
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
