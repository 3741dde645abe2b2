import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { GraphView } from '@/api/types'

/** The graph engine's own scenarios: server/graph/testdata, what happens and the views that come of it. */
const folder = fileURLToPath(new URL('../../server/graph/testdata/', import.meta.url))

export type Scenario = { name: string; views: { name: string; view: GraphView }[] }

/** Reads every archive; sketches, which are views in short, and timelines are left out. */
export function scenarios(): Scenario[] {
  return readdirSync(folder)
    .filter((file) => file.endsWith('.txtar'))
    .sort()
    .map((file) => ({ name: file.replace(/\.txtar$/, ''), views: viewsOf(readFileSync(folder + file, 'utf8')) }))
    .filter((s) => s.views.length > 0)
}

function viewsOf(archive: string): Scenario['views'] {
  const views: Scenario['views'] = []
  // A file begins with "-- name --" on a line of its own and ends with the next.
  for (const part of archive.split(/^-- /m).slice(1)) {
    const [name, ...rest] = part.split(' --\n')
    const text = rest.join(' --\n')
    if (!name || !text.startsWith('{"nodes":')) continue
    const view: GraphView = JSON.parse(text)
    views.push({ name, view })
  }
  return views
}
