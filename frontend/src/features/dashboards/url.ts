import { z } from 'zod'
import { sharedSearch } from '@/lib/url'

/** The dashboard, what is chosen of its variables (comma-separated, empty is all), and who draws. */
export const dashboardsSearch = sharedSearch.extend({
  service: z.string().catch(''),
  workload: z.string().catch(''),
  node: z.string().catch(''),
  draw: z.enum(['', 'sidelight', 'grafana']).catch(''),
})

export const own = ['service', 'workload', 'node'] as const

export function listOf(text: string): string[] {
  return text.split(',').filter(Boolean)
}
