/** GET /api/v1/alerts and the live channel `alerts`. */

export type AlertsView = {
  at: string
  counts: { firing: number; critical: number; pending: number }
  /** Firing before pending, critical first, then the oldest. */
  alerts: Alert[]
  /** Those that are over, the newest first. */
  past: Alert[]
  rules: AlertRule[]
  receivers: AlertReceiver[]
  problems: string[]
}

export type AlertState = 'pending' | 'firing' | 'resolved'

export type Alert = {
  id: string
  rule: string
  group: string
  state: AlertState
  severity: string
  summary: string
  description: string
  runbook?: string
  /** What is known now of what it speaks of. */
  detail?: string
  about: AlertAbout | null
  labels: Record<string, string>
  annotations: Record<string, string>
  value: number
  active_at: string
  fired_at?: string
  resolved_at?: string
}

export type AlertAbout = {
  kind: 'node' | 'edge' | 'service' | 'workload' | 'config'
  id: string
}

export type AlertRule = {
  name: string
  group: string
  file: string
  query: string
  for_s: number
  severity: string
  state: string
  error?: string
  evaluated_at: string
}

export type AlertReceiver = {
  kind: string
  name: string
  sent: number
  dropped: number
  waiting: number
  last_sent_at?: string
  error?: string
}
