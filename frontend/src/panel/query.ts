import type { Target } from './model'

/** The time that panels show, in seconds since 1970; live ones move on. */
export type Range = { from: number; to: number; live: boolean }

/** What is chosen of each variable; none is all. */
export type Choices = Record<string, readonly string[]>

/** The time of a page. Live time moves in steps, so that panels ask no oftener than there is something new. */
export function rangeOf(at: string, seconds: number, now: number): Range {
  const live = at === ''
  const step = stepFor(seconds)
  const to = Math.floor((live ? now : Date.parse(at)) / 1000 / step) * step
  return { from: to - seconds, to, live }
}

/** What stands for "all": whatever has the label at all, as the files' allValue says. */
const all = '.+'

/** Steps that read well on an axis. */
const steps = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600]

/** As many points as a panel has room for, in round steps of at least the scrape's. */
export function stepFor(seconds: number, points = 180, shortest = 5): number {
  const wanted = seconds / points
  return steps.find((s) => s >= wanted && s >= shortest) ?? steps.at(-1)!
}

/** Grafana's $__rate_interval: never so short that two scrapes do not fall into it. */
export function rateInterval(step: number): number {
  return Math.max(60, step * 4)
}

/** What Grafana would send: variables and its own intervals put in. */
export function interpolate(expr: string, choices: Choices, range: Range, step: number): string {
  return expr.replaceAll(/\$(__\w+|\w+)/g, (whole, name: string) => {
    switch (name) {
      case '__rate_interval':
        return `${rateInterval(step)}s`
      case '__interval':
        return `${step}s`
      case '__range':
        return `${Math.max(60, Math.round(range.to - range.from))}s`
    }
    const chosen = choices[name]
    if (chosen === undefined) return name.startsWith('__') ? whole : all
    return chosen.length === 0 ? all : chosen.map(literal).join('|')
  })
}

/** A value as a regular expression inside of a PromQL string. */
function literal(value: string): string {
  return value.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\\$&`).replaceAll('"', String.raw`\"`)
}

export type Ask = { path: string; form: Record<string, string> }

/** The request behind one query of a panel. Times fall on whole steps, so that neighbours share points. */
export function askFor(target: Target, choices: Choices, range: Range, shortest = 5): Ask {
  const step = stepFor(range.to - range.from, 180, shortest)
  const query = interpolate(target.expr, choices, range, step)
  const to = Math.floor(range.to / step) * step
  if (target.instant) return { path: 'query', form: { query, time: String(Math.floor(range.to)) } }
  const from = Math.floor(range.from / step) * step
  return { path: 'query_range', form: { query, start: String(from), end: String(to), step: String(step) } }
}

/** Grafana's own parameters for the same. */
export function grafanaSearch(choices: Choices, range: Range, theme: string, panelId?: number): string {
  const search = new URLSearchParams({ orgId: '1' })
  if (panelId !== undefined) search.set('panelId', String(panelId))
  const seconds = Math.round(range.to - range.from)
  search.set('from', range.live ? `now-${seconds}s` : String(Math.round(range.from * 1000)))
  search.set('to', range.live ? 'now' : String(Math.round(range.to * 1000)))
  if (range.live) search.set('refresh', '15s')
  search.set('theme', theme)
  for (const [name, values] of Object.entries(choices)) {
    for (const value of values.length === 0 ? ['$__all'] : values) search.append(`var-${name}`, value)
  }
  return search.toString()
}

/** Jaeger's own search for the services chosen, or the page itself. */
export function jaegerLink(base: string, choices: Choices, range: Range): string {
  const service = choices.service?.length === 1 ? choices.service[0]! : ''
  const search = new URLSearchParams({ lookback: 'custom', start: String(Math.round(range.from * 1e6)), end: String(Math.round(range.to * 1e6)), limit: '20' })
  if (service !== '') search.set('service', service)
  return `${base.replace(/\/$/, '')}/search?${search}`
}

/** The same dashboard in Perses, where it was migrated into the project sidelight. */
export function persesLink(base: string, uid: string, choices: Choices, range: Range): string {
  const seconds = Math.round(range.to - range.from)
  const search = new URLSearchParams(range.live ? { start: `${seconds}s` } : { start: String(Math.round(range.from * 1000)), end: String(Math.round(range.to * 1000)) })
  for (const [name, values] of Object.entries(choices)) if (values.length > 0) search.set(`var-${name}`, values.join(','))
  return `${base.replace(/\/$/, '')}/projects/sidelight/dashboards/${uid}?${search}`
}

const labelValues = /^label_values\((?:(.*), )?(\w+)\)$/

/** Where the values of a variable come from. */
export function parseDefinition(definition: string): { match: string; label: string } | null {
  const m = labelValues.exec(definition)
  return m ? { match: m[1] ?? '', label: m[2]! } : null
}
