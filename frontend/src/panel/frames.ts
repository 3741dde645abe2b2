import type { Measured } from './fetch'
import type { Organize, PanelModel, Step } from './model'

/** From the API's answers to what a panel draws. Nothing in here knows React. */

export type Labels = Record<string, string>

export type Line = {
  name: string
  values: (number | null)[]
  last: number | null
  max: number | null
}

export type Lines = { times: number[]; lines: Line[] }

/** The name of a series: the legend with its labels put in. A label of "-" says that there is none, as Istio writes flags. */
export function legendOf(format: string, labels: Labels): string {
  const name = format.replaceAll(/\{\{\s*(\w+)\s*\}\}/g, (_, label: string) => (labels[label] === '-' ? '' : (labels[label] ?? '')))
  return name.replaceAll(/\s+/g, ' ').trim() || 'value'
}

/** Puts all series on one axis of times; what is missing is a gap. */
export function linesOf(panel: PanelModel, answers: readonly Measured[]): Lines {
  const range = answers.find((a) => a.step > 0)
  if (!range) return { times: [], lines: [] }
  const { from, to, step } = range
  const length = Math.floor((to - from) / step) + 1
  const times = Array.from({ length }, (_, i) => from + i * step)
  const lines: Line[] = []
  answers.forEach((answer, i) => {
    for (const series of answer.series) {
      const values: (number | null)[] = Array.from({ length }, () => null)
      for (const [t, text] of series.values) {
        const at = Math.round((t - from) / step)
        const v = Number(text)
        if (at >= 0 && at < length && Number.isFinite(v)) values[at] = v
      }
      lines.push({ name: legendOf(panel.targets?.[i]?.legendFormat ?? '', series.labels), values, last: lastOf(values), max: maxOf(values) })
    }
  })
  return { times, lines: named(lines) }
}

/** Series of several queries with one name are told apart by a number. */
function named(lines: Line[]): Line[] {
  const seen = new Map<string, number>()
  for (const line of lines) {
    const n = (seen.get(line.name) ?? 0) + 1
    seen.set(line.name, n)
    if (n > 1) line.name = `${line.name} (${n})`
  }
  return lines
}

export function lastOf(values: readonly (number | null)[]): number | null {
  for (let i = values.length - 1; i >= 0; i--) if (values[i] !== null) return values[i]!
  return null
}

function maxOf(values: readonly (number | null)[]): number | null {
  let max: number | null = null
  for (const v of values) if (v !== null && (max === null || v > max)) max = v
  return max
}

/** Each line on top of the ones before it, gaps as nothing. */
export function stacked(lines: readonly Line[]): (number | null)[][] {
  const sum: number[] = []
  return lines.map((line) =>
    line.values.map((v, i) => {
      if (v === null && sum[i] === undefined) return null
      sum[i] = (sum[i] ?? 0) + (v ?? 0)
      return sum[i]!
    }),
  )
}

export type Tone = 'ok' | 'warn' | 'fail' | null

/** How bad a value is, by the panel's thresholds; null when it has none. */
export function toneOf(value: number | null, steps: readonly Step[]): Tone {
  if (value === null || steps.length < 2) return null
  let color = steps[0]!.color
  for (const step of steps) if (step.value === null || value >= step.value) color = step.color
  return color === 'red' ? 'fail' : color === 'orange' ? 'warn' : 'ok'
}

export type Column = { title: string; unit: string | null }
export type Cell = string | number | null
export type Rows = { columns: Column[]; rows: Cell[][] }

/** Joins instant answers on their labels, then picks, orders and names the columns, as Grafana's merge and organize do. */
export function rowsOf(panel: PanelModel, answers: readonly Measured[]): Rows {
  const merged: Record<string, Cell>[] = []
  answers.forEach((answer, i) => {
    const field = answers.length === 1 ? 'Value' : `Value #${panel.targets?.[i]?.refId ?? 'A'}`
    for (const series of answer.series) join(merged, series.labels, field, Number(series.values.at(-1)?.[1] ?? Number.NaN))
  })
  const organize: Organize = panel.transformations?.find((t) => t.id === 'organize')?.options ?? {}
  const order = Object.entries(organize.indexByName ?? {}).sort((a, b) => a[1] - b[1])
  const shown = order.map(([name]) => name).filter((name) => !organize.excludeByName?.[name])
  const columns = shown.map((name) => {
    const title = organize.renameByName?.[name] ?? name
    const override = panel.fieldConfig?.overrides.find((o) => o.matcher.options === title)
    const unit = override?.properties.find((p) => p.id === 'unit')?.value
    return { title, unit: name.startsWith('Value') ? String(unit ?? 'short') : null }
  })
  const rows = merged.map((row) => shown.map((name) => row[name] ?? null))
  const sort = panel.options?.sortBy?.[0]
  const by = columns.findIndex((c) => c.title === sort?.displayName)
  if (by >= 0) rows.sort((a, b) => compare(a[by]!, b[by]!) * (sort?.desc ? -1 : 1))
  return { columns, rows }
}

function join(rows: Record<string, Cell>[], labels: Labels, field: string, value: number): void {
  let found = false
  for (const row of rows) {
    if (row[field] !== undefined) continue
    const shared = Object.keys(labels).filter((l) => row[l] !== undefined)
    if (shared.length === 0 && rows.length > 1) continue
    if (shared.every((l) => row[l] === labels[l])) {
      row[field] = value
      for (const [l, v] of Object.entries(labels)) row[l] ??= v
      found = true
    }
  }
  if (!found) rows.push({ ...labels, [field]: value })
}

function compare(a: Cell, b: Cell): number {
  if (typeof a === 'number' && typeof b === 'number') return (Number.isNaN(a) ? -1 : a) - (Number.isNaN(b) ? -1 : b)
  return String(a ?? '').localeCompare(String(b ?? ''))
}

export type Heat = { times: number[]; bounds: number[]; cells: number[][]; max: number }

/** Cumulative buckets by `le` to what fell into each: cells[bound][time]. Buckets that are always empty at either end are left out. */
export function heatOf(answer: Measured): Heat {
  const { from, to, step } = answer
  const length = Math.floor((to - from) / step) + 1
  const times = Array.from({ length }, (_, i) => from + i * step)
  const buckets = answer.series
    .map((s) => ({ bound: Number(s.labels.le === '+Inf' ? Infinity : s.labels.le), values: s.values }))
    .filter((b) => !Number.isNaN(b.bound))
    .sort((a, b) => a.bound - b.bound)
  let below: number[] = Array.from({ length }, () => 0)
  let max = 0
  const bounds: number[] = []
  const cells: number[][] = []
  for (const bucket of buckets) {
    const cumulated = [...below]
    for (const [t, text] of bucket.values) {
      const at = Math.round((t - from) / step)
      const v = Number(text)
      if (at >= 0 && at < length && Number.isFinite(v)) cumulated[at] = Math.max(v, below[at]!)
    }
    const own = cumulated.map((v, i) => v - below[i]!)
    for (const v of own) max = Math.max(max, v)
    bounds.push(bucket.bound)
    cells.push(own)
    below = cumulated
  }
  const used = cells.map((row) => row.some((v) => v > 1e-9))
  const first = Math.max(0, used.indexOf(true))
  const last = used.lastIndexOf(true)
  return { times, bounds: bounds.slice(first, last + 1), cells: cells.slice(first, last + 1), max }
}
