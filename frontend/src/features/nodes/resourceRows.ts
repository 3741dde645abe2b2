import type { ResourceStatus } from '@/api/types'

export type SameRow = { type: ResourceStatus['type']; names: string[]; hash: string }

const TYPES: readonly ResourceStatus['type'][] = ['listener', 'route', 'cluster', 'endpoint']

/** resourceRows keeps what differs as rows and counts the rest by type. */
export function resourceRows(resources: readonly ResourceStatus[]): { odd: ResourceStatus[]; same: SameRow[] } {
  const odd: ResourceStatus[] = []
  const same = new Map<string, SameRow>()
  for (const r of resources) {
    if (r.error || r.applied !== r.desired || r.acked !== r.desired || r.sent !== r.desired) {
      odd.push(r)
      continue
    }
    const row = same.get(r.type)
    if (row) row.names.push(r.name)
    else same.set(r.type, { type: r.type, names: [r.name], hash: r.desired })
  }
  odd.sort((a, b) => Number(Boolean(b.error)) - Number(Boolean(a.error)) || TYPES.indexOf(a.type) - TYPES.indexOf(b.type) || (a.name < b.name ? -1 : 1))
  return { odd, same: TYPES.flatMap((t) => same.get(t) ?? []) }
}

/**
 * resourceName writes Istio's cluster names as people say them:
 * "outbound|8080|canary|payments.booking.svc.cluster.local" is
 * "payments.booking:8080 canary". Other names stay as they are.
 */
export function resourceName(name: string): string {
  const m = /^(outbound|inbound)\|(\d+)\|([^|]*)\|(.*)$/.exec(name)
  if (!m) return name
  const [, direction, port, subset, host] = m
  const at = host ? host.replace(/\.svc\.cluster\.local$/, '') : direction
  return `${at}:${port}${subset ? ` ${subset}` : ''}`
}
