import type { Ejection, Health, HealthState, ServiceDetail, Traffic, WorkloadDetail } from '@/api/types'
import { count, figure, percent, plural, span, text } from '@/lib/format'
import { secondsSince } from '@/lib/time'

/** What is true of a thing in one sentence: the title of its page. */
export type Finding = { tone: HealthState; strong: string; rest: string }

function troubled(health: Health, now: number): Finding | null {
  const [first, ...others] = health.reasons
  if (!first || (health.state !== 'fail' && health.state !== 'warn')) return null
  const since = first.since ? ` for ${span(secondsSince(first.since, now))}` : ''
  return { tone: health.state, strong: `${sentence(first.text)}${since}.`, rest: others.map((r) => `${sentence(r.text)}.`).join(' ') }
}

function steady(traffic: Traffic, state: HealthState): Finding {
  if (traffic.rps === 0 && traffic.active_connections === 0) return { tone: state, strong: 'No traffic in this window.', rest: '' }
  return { tone: state, strong: `${figure(traffic.rps)} requests a second, ${text(percent(traffic.error_ratio))} errors.`, rest: '' }
}

export function serviceFinding(s: ServiceDetail, now: number): Finding {
  const base = troubled(s.health, now) ?? steady(s.in, s.health.state)
  const kept = s.ejected > 0 ? `${plural(s.ejected, 'endpoint')} of ${count(s.endpoints)} ejected.` : ''
  const bare = s.workloads.length > s.meshed && !s.external ? `${plural(s.workloads.length - s.meshed, 'workload')} behind it without sidecar.` : ''
  const none = s.endpoints === 0 && !s.external ? 'It has no endpoint.' : ''
  return { ...base, rest: [base.rest, none, kept, bare].filter(Boolean).join(' ') }
}

export function workloadFinding(w: WorkloadDetail, now: number): Finding {
  const base = troubled(w.health, now) ?? steady(w.in.rps > 0 ? w.in : w.out, w.health.state)
  const bare = w.meshed ? '' : 'No sidecar: no policy, no mTLS and no retry holds for what it sends or receives.'
  const behind = w.proxies.filter((p) => p.state !== 'synced' && p.state !== 'in-flight').length
  const skew = behind > 0 ? `${count(behind)} of ${plural(w.proxies.length, 'sidecar')} not on the desired configuration.` : ''
  return { ...base, rest: [base.rest, bare, skew].filter(Boolean).join(' ') }
}

/** Measures keep their letters (p95); other sentences begin large. */
function sentence(reason: string): string {
  return /^p\d/.test(reason) ? reason : reason.charAt(0).toUpperCase() + reason.slice(1)
}

const breakerWord: Record<string, string> = {
  connections: 'connection limit reached',
  pending: 'pending queue full',
  requests: 'request limit reached',
  retries: 'retry limit reached',
}

/** What one caller's sidecar keeps from a service. */
export function ejectionWord(e: Ejection): string {
  return e.breaker === '' ? `${plural(e.ejected, 'endpoint')} ejected` : (breakerWord[e.breaker] ?? `${e.breaker} limit reached`)
}
