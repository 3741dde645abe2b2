/** The server itself. */

export type Status = {
  version: string
  started_at: string
  uptime_s: number
  mode: string
  counts: {
    services: number
    workloads: number
    proxies: number
    edges: number
    requests: number
    errors: number
    spans: number
    traces: number
    tap_events: number
    revisions: number
    nodes_synced: number
    dropped: number
  }
  losses: { where: string; what: string; count: number; hint: string }[]
  targets: {
    address: string
    node?: string
    up: boolean
    error?: string
    last_scrape?: string
    duration_ms?: number
  }[]
}

/** Who asks, and what the server lets them. */
export type Session = { user: string; by_token: boolean; may: ('view' | 'tap' | 'change')[] }
