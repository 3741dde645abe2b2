import { anyText, oneOf, sharedSearch } from '@/lib/url'

/** The dashboard, what is chosen of its variables (comma-separated, empty is all), and who draws. */
export const dashboardsSearch = {
  ...sharedSearch,
  service: anyText(),
  workload: anyText(),
  node: anyText(),
  draw: oneOf('', 'sidelight', 'grafana'),
}

export const own = ['service', 'workload', 'node'] as const

export function listOf(text: string): string[] {
  return text.split(',').filter(Boolean)
}
