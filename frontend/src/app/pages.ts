import type { IconName } from '@/ui/Icon'

/**
 * The pages that exist, in the order of the rail: Overview, Graph, Nodes,
 * Config, Services, Workloads, Tap, Traces, Alerts, Dashboards. `g` and the
 * letter go there.
 */
export const pages = [
  { to: '/', match: '/', name: 'Overview', icon: 'overview', key: 'o' },
  { to: '/graph', match: '/graph', name: 'Graph', icon: 'graph', key: 'g' },
  { to: '/nodes/{-$nodeId}', match: '/nodes', name: 'Nodes', icon: 'nodes', key: 'n' },
  { to: '/config/$', match: '/config', name: 'Config', icon: 'config', key: 'c' },
  { to: '/services/{-$host}', match: '/services', name: 'Services', icon: 'services', key: 's' },
  { to: '/workloads/$', match: '/workloads', name: 'Workloads', icon: 'workloads', key: 'w' },
  { to: '/tap', match: '/tap', name: 'Tap', icon: 'tap', key: 't' },
  { to: '/traces/{-$traceId}', match: '/traces', name: 'Traces', icon: 'traces', key: 'r' },
  { to: '/alerts', match: '/alerts', name: 'Alerts', icon: 'alerts', key: 'a' },
  { to: '/dashboards/{-$uid}', match: '/dashboards', name: 'Dashboards', icon: 'dashboards', key: 'd' },
] as const satisfies readonly { to: string; match: string; name: string; icon: IconName; key: string }[]

/** What every page keeps when one goes to another: namespaces, time and window. */
export function kept(search: Record<string, string>): Record<string, string> {
  const out: Record<string, string> = {}
  for (const name of ['ns', 'at', 'window']) if (search[name]) out[name] = search[name]
  return out
}

export function isAt(match: string, path: string): boolean {
  return match === '/' ? path === '/' : path === match || path.startsWith(`${match}/`)
}

/** A way to a page as such, whatever is open on the one that the reader is on. */
export const nothingOpen = { nodeId: undefined, host: undefined, traceId: undefined, uid: undefined, _splat: undefined }
