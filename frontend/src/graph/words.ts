import type { GraphEdge, GraphNode, HealthState, Marker, Timeline } from '@/api/types'
import { duration, figure, percent, plural, span, text } from '@/lib/format'
import { secondsSince } from '@/lib/time'
import type { DrawnNode } from './fold'
import { stateWord } from './health'
import type { Model } from './model'

/** What the graph says in words: badges, names, findings. Pure. */

export type Badge = { text: string; tone: 'plain' | 'info' | 'warn' | 'fail' }

/** At most two, the worst first. */
export function badgesOf(node: DrawnNode, model: Model): Badge[] {
  const badges: Badge[] = []
  if (node.change === 'added') badges.push({ text: 'new', tone: 'info' })
  if (node.change === 'removed') badges.push({ text: 'gone', tone: 'info' })
  const config = configBadge(node)
  if (config) badges.push(config)
  const breaker = breakerBadge(node, model)
  if (breaker) badges.push(breaker)
  if (node.kind === 'workload' && !node.meshed) badges.push({ text: 'no sidecar', tone: 'warn' })
  if (node.gateway) badges.push({ text: 'gateway', tone: 'plain' })
  if ((model.incoming.get(node.id) ?? []).some((e) => e.mirrored)) badges.push({ text: 'mirror', tone: 'plain' })
  return badges.sort((a, b) => order(a) - order(b)).slice(0, 2)
}

function order(badge: Badge): number {
  return { info: 0, fail: 1, warn: 2, plain: 3 }[badge.tone]
}

function configBadge(node: GraphNode): Badge | null {
  const { config } = node
  if (!config) return null
  switch (config.state) {
    case 'rejected':
      return { text: 'NACK', tone: 'fail' }
    case 'stale':
    case 'slow':
      return { text: config.behind > 0 ? `${plural(config.behind, 'rev')} behind` : `config ${config.state}`, tone: 'warn' }
    case 'drifted':
      return { text: 'config drifted', tone: 'warn' }
    case 'disconnected':
      return { text: 'config disconnected', tone: 'warn' }
    case 'never-connected':
      return { text: 'never got config', tone: 'warn' }
    case 'unsupported':
      return { text: 'config unsupported', tone: 'warn' }
    default:
      return null
  }
}

/** What the callers' breakers say about a node, when it is more than a trickle. */
function breakerBadge(node: GraphNode, model: Model): Badge | null {
  let total = 0
  const flagged = new Map<string, number>()
  const reasons = new Set<string>()
  for (const edge of model.incoming.get(node.id) ?? []) {
    total += edge.rps
    for (const { code } of edge.health.reasons) reasons.add(code)
    for (const [flag, rps] of Object.entries(edge.flags)) flagged.set(flag, (flagged.get(flag) ?? 0) + rps)
  }
  const share = (flag: string) => (total > 0 ? (flagged.get(flag) ?? 0) / total : 0)
  if (share('UO') > 0.005 || reasons.has('limit')) return { text: 'breaker open', tone: 'fail' }
  if (share('UH') > 0.005) return { text: 'no healthy host', tone: 'fail' }
  if (reasons.has('ejected')) return { text: 'endpoint ejected', tone: 'warn' }
  if (share('UF') > 0.01) return { text: 'connects fail', tone: 'fail' }
  if (share('RL') > 0.01) return { text: 'rate limited', tone: 'warn' }
  if (share('FI') > 0.001 || share('DI') > 0.001) return { text: 'fault injected', tone: 'warn' }
  return null
}

/** The name without what stands apart: catalog-v2 with version v2 is catalog. */
export function shortName(node: GraphNode): { name: string; version: string } {
  const version = node.version ?? ''
  if (node.kind === 'workload' && node.app && node.app !== '' && node.name.startsWith(node.app) && version !== '') {
    return { name: node.app, version: node.name.endsWith(version) && node.name !== node.app ? version : '' }
  }
  if (node.kind === 'unknown') return { name: 'unknown', version: '' }
  return { name: node.name, version: node.kind === 'app' ? '' : version }
}

export function nodeTitle(model: Model, id: string): string {
  const node = model.nodes.get(id)
  if (!node) return id
  const { name, version } = shortName(node)
  return version === '' ? name : `${name} ${version}`
}

/** "21.4 % errors for 13 min", and by whom they were answered. */
export type Finding = { strong: string; tone: HealthState; rest: string }

export function edgeFinding(edge: GraphEdge, model: Model, now: number): Finding {
  const { state, reasons } = edge.health
  const reason = reasons[0]
  const since = reason?.since ? ` for ${span(secondsSince(reason.since, now))}` : ''
  const from = nodeTitle(model, edge.source)
  if (edge.protocol === 'tcp') {
    return {
      tone: state,
      strong: reason ? `${sentence(reason.text)}${since}.` : `${plural(Math.round(edge.active_connections), 'open connection')}.`,
      rest: `${figure(edge.new_connections_per_s)} new a second.`,
    }
  }
  if (state === 'fail' || state === 'warn') {
    const failed = failedBy(edge)
    const errors = failed.proxy + failed.upstream
    const byProxy = errors > 0 ? failed.proxy / errors : 0
    const strong = edge.error_ratio >= 0.001 && reason?.code !== 'latency' ? `${text(percent(edge.error_ratio))} errors${since}.` : `${sentence(reason?.text ?? 'degraded')}${since}.`
    return { tone: state, strong, rest: errors > 0 ? whoAnswered(byProxy, from, nodeTitle(model, edge.target)) : '' }
  }
  if (state === 'idle') return { tone: state, strong: 'No requests in this window.', rest: '' }
  const p95 = edge.p95_ms === null ? '' : ` p95 ${text(duration(edge.p95_ms))}.`
  return { tone: state, strong: `${figure(edge.rps)} requests a second, ${text(percent(edge.error_ratio))} errors.`, rest: p95.trim() }
}

/** A reason as a sentence's beginning; measures keep their letters (p95). */
function sentence(reason: string): string {
  return /^p\d/.test(reason) ? reason : reason.charAt(0).toUpperCase() + reason.slice(1)
}

/** Who gave the failed answers, per second. `answers` lists errors only; `answered_by` counts all. */
export function failedBy(edge: GraphEdge): { proxy: number; upstream: number } {
  const by = { proxy: 0, upstream: 0 }
  for (const answer of edge.answers) by[answer.by] += answer.rps
  return by
}

function whoAnswered(byProxy: number, from: string, to: string): string {
  if (byProxy >= 0.995) return `The proxy of ${from} answered all of them; ${to} never did.`
  if (byProxy <= 0.005) return `${to} answered them itself.`
  return `The proxy of ${from} answered ${text(percent(byProxy)).replace('.0', '')} of them, ${to} the rest.`
}

const causeSeconds = 120
const settleSeconds = 20

/** What changed shortly before a trouble began: "Began 8 s after rev 128." */
export function likelyCause(
  timeline: Pick<Timeline, 'from' | 'step_s' | 'rps' | 'markers'>,
  since: string | undefined,
): { text: string; marker: Marker } | null {
  if (since === undefined) return null
  const began = Date.parse(since)
  // What was there from the first request on was not caused by what is seen to begin.
  const first = timeline.rps.findIndex((rps) => rps > 0)
  const traffic = Date.parse(timeline.from) + first * timeline.step_s * 1000
  if (first >= 0 && (began - traffic) / 1000 < settleSeconds) return null
  let best: { marker: Marker; before: number } | null = null
  for (const marker of timeline.markers) {
    const before = (began - Date.parse(marker.at)) / 1000
    // An alert and a breaker follow a trouble. Traffic is counted in whole windows: a trouble may seem to begin a little before its cause.
    if (marker.kind === 'alert' || marker.kind === 'breaker' || before < -2 || before > causeSeconds) continue
    if (!best || before < best.before) best = { marker, before }
  }
  return best ? { text: `Began ${span(Math.max(1, best.before))} after`, marker: best.marker } : null
}

export function nodeFinding(node: GraphNode, model: Model, now: number): Finding {
  const { state, reasons } = node.health
  const reason = reasons[0]
  const since = reason?.since ? ` for ${span(secondsSince(reason.since, now))}` : ''
  if (reason) return { tone: state, strong: `${sentence(reason.text)}${since}.`, rest: reasons.slice(1).map((r) => `${sentence(r.text)}.`).join(' ') }
  if (node.kind === 'unknown') {
    return { tone: state, strong: 'Callers without a sidecar.', rest: 'They tell no name; only the called side reports them.' }
  }
  if (node.kind === 'external') return { tone: state, strong: `${figure(node.in.rps)} requests a second leave the mesh to it.`, rest: '' }
  if (state === 'idle') return { tone: state, strong: 'No traffic in this window.', rest: '' }
  const callers = (model.incoming.get(node.id) ?? []).length
  const traffic = callers > 0 ? node.in : node.out
  return {
    tone: state,
    strong: `${figure(traffic.rps)} requests a second ${callers > 0 ? 'in' : 'out'}, ${text(percent(traffic.error_ratio))} errors.`,
    rest: '',
  }
}

/** An element's whole story in one breath, for the accessible mirror. */
export function describeNode(node: GraphNode, model: Model): string {
  const { name, version } = shortName(node)
  const place = node.namespace ? ` in ${node.namespace}` : ''
  const parts = [`${version ? `${name} ${version}` : name}${place}`, stateWord[node.health.state], `${figure(node.in.rps)} rps in`]
  if (node.in.rps > 0) parts.push(`${text(percent(node.in.error_ratio))} errors`)
  parts.push(...badgesOf(node, model).map((b) => b.text))
  return parts.join(', ')
}

export function describeEdge(edge: GraphEdge, model: Model): string {
  const parts = [
    `${nodeTitle(model, edge.source)} to ${nodeTitle(model, edge.target)}`,
    edge.protocol,
    stateWord[edge.health.state],
    `${figure(edge.rps)} rps`,
  ]
  if (edge.protocol !== 'tcp') parts.push(`${text(percent(edge.error_ratio))} errors`)
  return parts.join(', ')
}
