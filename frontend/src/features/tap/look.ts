import type { HealthState, TapEvent } from '@/api/types'
import { whyAnswered } from '@/lib/flags'

/** healthOf says how a request ended: a 4xx is for the caller to mend, the rest needs a person. */
export function healthOf(e: TapEvent): HealthState {
  if (e.protocol === 'tcp') return flagsOf(e) ? 'fail' : 'ok'
  if (e.status === 0 || e.status >= 500) return 'fail'
  const grpc = (e.grpc_status ?? '').toUpperCase()
  if (grpc !== '' && grpc !== '0' && grpc !== 'OK') return 'fail'
  return e.status >= 400 ? 'warn' : 'ok'
}

export const flagsOf = (e: TapEvent): string => (e.flags === '-' ? '' : e.flags)

/** statusWord is what stands in the status column. */
export function statusWord(e: TapEvent): string {
  if (e.protocol === 'tcp') return flagsOf(e) ? 'reset' : 'closed'
  if (e.grpc_status && e.grpc_status !== '0' && e.grpc_status.toUpperCase() !== 'OK') return `grpc ${e.grpc_status}`
  return e.status > 0 ? String(e.status) : 'none'
}

/** why says what the proxy did, in its own words where it gave some. */
export function why(e: TapEvent): string {
  const meaning = whyAnswered(flagsOf(e), e.details ?? '', e.object ?? '')
  if (e.answered_by === 'proxy') return meaning || (e.details ?? '')
  return meaning || (healthOf(e) === 'ok' ? '' : (e.details ?? ''))
}

/** sideName is a workload as the list writes it; a caller without a sidecar is unknown. */
export const sideName = (w: { name: string; namespace: string }): string => w.name || 'unknown'

/** targetName prefers the workload that answered; without one it is the service that was asked. */
export const targetName = (e: TapEvent): string => e.destination.name || e.service.name || e.authority || 'unknown'

export type PathPart = { text: string; kind: 'path' | 'query' | 'hidden' }

/** pathParts splits a path so that hashed query values can be drawn as blocks instead of noise. */
export function pathParts(path: string): PathPart[] {
  const cut = path.indexOf('?')
  if (cut < 0) return [{ text: path, kind: 'path' }]
  const parts: PathPart[] = [{ text: path.slice(0, cut), kind: 'path' }]
  path.slice(cut + 1).split('&').forEach((pair, i) => {
    const eq = pair.indexOf('=')
    if (eq < 0 && /^[0-9a-f]{8}$/.test(pair)) {
      // A part without a name may be the secret itself: the sidecar hashes it whole.
      parts.push({ text: i === 0 ? '?' : '&', kind: 'query' }, { text: pair, kind: 'hidden' })
      return
    }
    const name = eq < 0 ? pair : pair.slice(0, eq + 1)
    parts.push({ text: (i === 0 ? '?' : '&') + name, kind: 'query' })
    if (eq >= 0 && eq + 1 < pair.length) parts.push({ text: pair.slice(eq + 1), kind: 'hidden' })
  })
  return parts
}

/** askedOf is the request as Config explains it; null where nobody known sent it. Values of the query are hidden, so they stay out. */
export function askedOf(e: TapEvent): { method: string; url: string; caller: string } | null {
  if (e.protocol === 'tcp' || !e.source.name || !e.authority) return null
  return { method: e.method ?? 'GET', url: `http://${e.authority}${(e.path ?? '/').split('?')[0]}`, caller: `${e.source.namespace}/${e.source.name}` }
}

/** edgeOf names the edge of the graph that a request went over. What has no sidecar is known by its host. */
export function edgeOf(e: TapEvent): string {
  const id = (w: { namespace: string; name: string }) => (w.name && w.name !== 'unknown' ? `workload:${w.namespace}/${w.name}` : 'unknown')
  const outside = !e.destination.name && e.service.host && !e.service.host.endsWith('.svc.cluster.local')
  return `${id(e.source)}>${outside ? `external:${e.service.host}` : id(e.destination)}:${e.protocol}`
}
