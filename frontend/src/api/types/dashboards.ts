/** Dashboards, and a Grafana beside. */

export type DashboardItem = {
  uid: string
  title: string
  description: string
  variables: string[]
  panels: number
}

/** Whether panels of the user's Grafana can stand in our pages. */
export type GrafanaStatus = {
  state: 'off' | 'checking' | 'unreachable' | 'slow' | 'sub_path' | 'login' | 'frame_refused' | 'no_dashboards' | 'ready'
  reason?: string
  settings?: string
  version?: string
  path?: string
  checked_at?: string
  jaeger?: string
  perses?: string
}
