import type { Alert, AlertsView, HealthState } from '@/api/types'
import { plural } from '@/lib/format'

/** The health that a severity amounts to. */
export function severityHealth(alert: Pick<Alert, 'severity' | 'state'>): HealthState {
  if (alert.state === 'resolved') return 'idle'
  if (alert.state === 'pending') return 'unknown'
  return alert.severity === 'critical' || alert.severity === 'page' ? 'fail' : 'warn'
}

/** The page's title is its finding. */
export function finding(view: AlertsView): { state: HealthState; text: string; sub: string } {
  const { firing, critical, pending } = view.counts
  const sub = [
    plural(view.rules.length, 'rule'),
    pending > 0 ? `${pending} about to fire` : '',
    view.past.length > 0 ? `${view.past.length} over in the last seven days` : '',
  ]
    .filter(Boolean)
    .join(' · ')
  if (firing === 0) return { state: 'ok', text: 'Nothing fires', sub }
  const text = `${plural(firing, 'alert')} ${firing === 1 ? 'fires' : 'fire'}`
  return critical > 0 ? { state: 'fail', text: `${text}, ${critical} critical`, sub } : { state: 'warn', text, sub }
}

/** Where that is shown which an alert speaks of; null when it has no page. */
export function linkTo({ about, group }: Pick<Alert, 'about' | 'group'>): string | null {
  // Of all nodes, not of one.
  if (about === null) return group === 'sidelight-config-sync' ? '/nodes' : null
  const path = (id: string) => id.split('/').map(encodeURIComponent).join('/')
  switch (about.kind) {
    case 'node':
      return `/nodes/${encodeURIComponent(about.id)}`
    case 'service':
      return `/services/${encodeURIComponent(about.id)}`
    case 'workload':
      return `/workloads/${path(about.id)}`
    case 'edge':
      return `/workloads/${path(about.id.split(' -> ')[1] ?? '')}`
    default:
      return null
  }
}

/** Alerts that hold every word of the query, in any of their texts. */
export function matching(alerts: readonly Alert[], query: string): Alert[] {
  const words = query.toLowerCase().split(/\s+/).filter(Boolean)
  if (words.length === 0) return [...alerts]
  return alerts.filter((a) => {
    const all = [a.rule, a.severity, a.state, a.summary, a.description, a.detail ?? '', a.about?.id ?? '', ...Object.values(a.labels)]
    const text = all.join(' ').toLowerCase()
    return words.every((w) => text.includes(w))
  })
}
