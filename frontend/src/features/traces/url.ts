import { anyText, matching, oneOf, sharedSearch, upTo, type Values } from '@/lib/url'
import { windowSeconds } from '@/lib/time'
import type { TraceQuery } from '@/api/traces'

export const LIMITS = [20, 100, 500] as const
const ms = matching(/^\d*\.?\d*$/)

/** What the address of the Traces page says: the search, and the span that is open in a trace. */
export const tracesSearch = {
  ...sharedSearch,
  service: anyText(),
  operation: anyText(),
  workload: anyText(),
  source: anyText(),
  target: anyText(),
  route: anyText(),
  status: anyText(),
  tag: anyText(),
  errors: oneOf('', '1'),
  min_ms: ms,
  max_ms: ms,
  from: anyText(),
  to: anyText(),
  limit: upTo(2000, 100),
  span: anyText(),
  a: anyText(),
  b: anyText(),
  as: oneOf('', 'flame', 'calls'),
  hops: oneOf('', '1'),
}
export type TracesSearch = Values<typeof tracesSearch>

/** queryOf turns the address into what the server is asked. A paused page asks for its own time. */
export function queryOf(s: TracesSearch): TraceQuery {
  const { service, operation, workload, source, target, route, status, tag, min_ms, max_ms, limit } = s
  let { from, to } = s
  if (s.at && !from && !to) {
    to = s.at
    from = new Date(Date.parse(s.at) - (windowSeconds(s.window) ?? 1800) * 1000).toISOString()
  }
  return { service, operation, workload, source, target, route, status, tag, min_ms, max_ms, from, to, limit, errors: s.errors === '1' }
}

/** isLive tells whether new traces may join the list by themselves. */
export const isLive = (s: TracesSearch): boolean => !s.at && !s.from && !s.to

/** narrowed lists what the search asks for, in words, for the empty state and the chips. */
export function narrowed(s: TracesSearch): { key: keyof TracesSearch; text: string }[] {
  const out: { key: keyof TracesSearch; text: string }[] = []
  const add = (key: keyof TracesSearch, text: string) => {
    if (s[key]) out.push({ key, text })
  }
  add('service', `service ${s.service}`)
  add('operation', `operation ${s.operation}`)
  add('workload', `workload ${s.workload}`)
  add('source', `from ${s.source}`)
  add('target', `to ${s.target}`)
  add('route', `route ${s.route}`)
  add('status', `status ${s.status}`)
  add('tag', `tag ${s.tag}`)
  add('errors', 'with errors')
  add('min_ms', `at least ${s.min_ms} ms`)
  add('max_ms', `at most ${s.max_ms} ms`)
  if (s.from || s.to) add(s.from ? 'from' : 'to', 'a chosen time')
  return out
}
