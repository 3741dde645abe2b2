import type { HealthState, NamespaceSummary, Overview, OverviewService } from '@/api/types'
import { count, plural } from '@/lib/format'

const RANK: Record<HealthState, number> = { fail: 0, warn: 1, unknown: 2, ok: 3, idle: 4 }

/** byHealth sorts worst first, then busiest first. */
export function byHealth<T extends { health: { state: HealthState }; rps: number; name: string }>(a: T, b: T): number {
  return RANK[a.health.state] - RANK[b.health.state] || b.rps - a.rps || (a.name < b.name ? -1 : 1)
}

export type Verdict = { state: HealthState; text: string; sub: string }

/** verdict answers the page's question in one line. */
export function verdict(services: readonly OverviewService[]): Verdict {
  const of = (s: HealthState) => services.filter((x) => x.health.state === s).length
  const [fail, warn, idle] = [of('fail'), of('warn'), of('idle')]
  const n = services.length
  const rest = idle > 0 ? `${count(idle)} without traffic` : ''
  const join = (...parts: string[]) => parts.filter(Boolean).join(', ')
  if (n === 0) return { state: 'unknown', text: 'Nothing is known yet', sub: '' }
  if (fail > 0) return { state: 'fail', text: `${count(fail)} of ${plural(n, 'service')} ${fail === 1 ? 'fails' : 'fail'}`, sub: join(warn ? `${count(warn)} degraded` : '', rest) }
  if (warn > 0) return { state: 'warn', text: `${count(warn)} of ${plural(n, 'service')} ${warn === 1 ? 'is' : 'are'} degraded`, sub: join('none fails', rest) }
  if (idle === n) return { state: 'idle', text: 'No traffic', sub: `${plural(n, 'service')} known` }
  return { state: 'ok', text: n === 1 ? 'The one service is healthy' : `All ${count(n)} services are healthy`, sub: rest }
}

/** within keeps what belongs to the chosen namespaces and has the words of q; neither means all. */
export function within(o: Overview, namespaces: readonly string[], q = ''): { services: OverviewService[]; namespaces: NamespaceSummary[]; edges: Overview['error_edges'] } {
  const keep = new Set(namespaces)
  const all = keep.size === 0
  // An edge's ends are written "kind:namespace/name".
  const words = q.toLowerCase().split(/\s+/)
  const found = (...texts: string[]) => words.every((w) => texts.some((t) => t.toLowerCase().includes(w)))
  const inside = (id: string) => keep.has(id.slice(id.indexOf(':') + 1).split('/')[0] ?? '')
  return {
    services: o.services.filter((s) => (all || keep.has(s.namespace)) && found(s.name, s.namespace)).sort(byHealth),
    namespaces: o.namespaces.filter((n) => all || keep.has(n.name)).sort(byHealth),
    edges: o.error_edges.filter((e) => (all || inside(e.source) || inside(e.target)) && found(e.source, e.target)),
  }
}

/** sideName writes one end of an edge: the name alone, the kind where there is no name. */
export function sideName(id: string): string {
  const rest = id.slice(id.indexOf(':') + 1)
  return rest.slice(rest.indexOf('/') + 1)
}

/** proxyShare is the part of an edge's errors that proxies made; null without an error. */
export function proxyShare(e: Overview['error_edges'][number]): number | null {
  let [proxy, all] = [0, 0]
  for (const a of e.answers) {
    all += a.rps
    if (a.by === 'proxy') proxy += a.rps
  }
  return all > 0 ? proxy / all : null
}
