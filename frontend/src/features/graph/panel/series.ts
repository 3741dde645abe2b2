import type { GraphEdge, GraphNode } from '@/api/types'
import type { Sample } from '@/panel/useInstant'

/** What the metric store keeps of an edge beyond what the graph draws. Pure. */

/**
 * The labels of an edge's series as its callers' sidecars count it; null where
 * labels cannot tell it from others: callers without a sidecar, what is folded.
 */
export function edgeLabels(edge: GraphEdge, source: GraphNode | undefined, target: GraphNode | undefined): string | null {
  const from = end('source', source)
  const to = end('destination', target)
  if (!from || !to) return null
  const service = edge.service ? [equal('destination_service', edge.service.host)] : []
  return [equal('reporter', 'source'), ...from, ...to, ...service, equal('request_protocol', edge.protocol)].join(',')
}

function end(side: 'source' | 'destination', node: GraphNode | undefined): string[] | null {
  switch (node?.kind) {
    case 'workload':
      return [equal(`${side}_workload_namespace`, node.namespace), equal(`${side}_workload`, node.name)]
    case 'app':
      return [
        equal(`${side}_workload_namespace`, node.namespace),
        equal(`${side}_canonical_service`, node.app ?? node.name),
        ...(node.version ? [equal(`${side}_canonical_revision`, node.version)] : []),
      ]
    case 'namespace':
      return node.folded ? null : [equal(`${side}_workload_namespace`, node.name)]
    case 'service':
    case 'external':
      // The edge's own service says which.
      return side === 'destination' ? [] : null
    default:
      return null
  }
}

/** A label's match, its value quoted as PromQL reads strings. */
const equal = (label: string, value: string) => `${label}=${JSON.stringify(value)}`

/** The tries of one number: how many a second, and how many of those failed. */
export type Tries = { number: number; ok: number; failed: number }

export const triesQuery = (labels: string) => `sum by (attempt, outcome) (rate(sidelight_upstream_attempts_total{${labels}}[1m]))`

export function triesOf(samples: readonly Sample[]): Tries[] {
  const byNumber = new Map<number, Tries>()
  for (const { labels, value } of samples) {
    const number = Number(labels.attempt)
    if (!Number.isInteger(number) || !(value > 0)) continue
    const tries = byNumber.get(number) ?? { number, ok: 0, failed: 0 }
    tries[labels.outcome === 'failed' ? 'failed' : 'ok'] += value
    byNumber.set(number, tries)
  }
  return [...byNumber.values()].sort((a, b) => a.number - b.number)
}

/** How much of one limit of a service's connection pool the busiest caller's sidecar takes. */
export type Limit = { breaker: string; subset: string; node: string; inUse: number; limit: number }

export function limitsQuery(host: string, caller: GraphNode | undefined): string {
  const who = caller?.kind === 'workload' ? `${equal('namespace', caller.namespace)},${equal('workload', caller.name)},` : ''
  const cluster = String.raw`outbound\|[^|]*\|[^|]*\|${host.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`)}`
  return `{__name__=~"sidelight_circuit_breaker_(in_use|limit)",${who}cluster=~${JSON.stringify(cluster)}}`
}

const order = ['connections', 'pending', 'requests', 'retries']

/** Each limit once, as the sidecar has it that is nearest to it. */
export function limitsOf(samples: readonly Sample[]): Limit[] {
  const all = new Map<string, Limit>()
  for (const { labels, value } of samples) {
    const { breaker = '', cluster = '', node = '' } = labels
    const key = `${node} ${cluster} ${breaker}`
    const one = all.get(key) ?? { breaker, subset: cluster.split('|')[2] ?? '', node, inUse: 0, limit: 0 }
    if (labels['__name__'] === 'sidelight_circuit_breaker_limit') one.limit = value
    else one.inUse = value
    all.set(key, one)
  }
  const nearest = new Map<string, Limit>()
  for (const one of all.values()) {
    if (!(one.limit > 0)) continue
    const key = `${one.subset} ${one.breaker}`
    const had = nearest.get(key)
    if (!had || one.inUse / one.limit > had.inUse / had.limit) nearest.set(key, one)
  }
  return [...nearest.values()].sort((a, b) => a.subset.localeCompare(b.subset) || order.indexOf(a.breaker) - order.indexOf(b.breaker))
}
