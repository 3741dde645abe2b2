import type { IconName } from '@/ui/Icon'

/** The pages, in the order of the rail. `g` and the letter go there. */
export const pages = [
  { to: '/', match: '/', name: 'Overview', icon: 'overview', key: 'o' },
  { to: '/graph', match: '/graph', name: 'Graph', icon: 'graph', key: 'g' },
  { to: '/nodes/{-$nodeId}', match: '/nodes', name: 'Nodes', icon: 'nodes', key: 'n' },
  { to: '/tap', match: '/tap', name: 'Tap', icon: 'tap', key: 't' },
  { to: '/traces/{-$traceId}', match: '/traces', name: 'Traces', icon: 'traces', key: 'r' },
] as const satisfies readonly { to: string; match: string; name: string; icon: IconName; key: string }[]

export type PagePath = (typeof pages)[number]['to']

/** What every page keeps when one goes to another: namespaces, time and window. */
export function kept(search: Record<string, string>): Record<string, string> {
  const out: Record<string, string> = {}
  for (const name of ['ns', 'at', 'window']) if (search[name]) out[name] = search[name]
  return out
}

export function isAt(match: string, path: string): boolean {
  return match === '/' ? path === '/' : path === match || path.startsWith(`${match}/`)
}
