import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { QueryClient, QueryClientProvider } from '@tanstack/react-query'
import { cleanup, render, waitFor, within } from '@testing-library/react'
import type uPlot from 'uplot'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { text } from '@/lib/format'
import type { Paint } from '@/ui/charts/Canvas'
import { Drawn } from './Drawn'
import type { Series } from './fetch'
import type { DashboardFile, PanelModel, Target } from './model'
import { askFor, type Range } from './query'
import { inField, inUnit, onAxis } from './units'

/**
 * Every panel of every dashboard, from the files themselves: what is drawn has
 * the series, legend, unit and thresholds that the file says. uPlot and the
 * canvas are stood in for, to see what they are told.
 */

const plots = vi.hoisted(() => [] as { options: uPlot.Options; data: uPlot.AlignedData }[])
const paints = vi.hoisted(() => [] as Paint[])
const asked = vi.hoisted(() => new Map<string, Series[]>())

vi.mock('uplot', () => ({
  default: class {
    constructor(options: uPlot.Options, data: uPlot.AlignedData) {
      plots.push({ options, data })
    }
    setData() {}
    setSize() {}
    destroy() {}
  },
}))
vi.mock('@/ui/charts/Canvas', () => {
  const palette = { info: 'blue', sans: 'sans', 'text-3': 'gray' }
  return {
    usePalette: () => palette,
    Canvas: ({ paint, label }: { paint: Paint; label: string }) => {
      paints.push(paint)
      return <canvas aria-label={label} />
    },
  }
})
vi.mock('./fetch', () => ({
  measure: (ask: ReturnType<typeof askFor>) => {
    const series = asked.get(ask.form.query!)
    if (!series) throw new Error(`nobody expects the query ${ask.form.query}`)
    return Promise.resolve({ series, from: Number(ask.form.start ?? ask.form.time), to: Number(ask.form.end ?? ask.form.time), step: Number(ask.form.step ?? 0) })
  },
}))
vi.stubGlobal('ResizeObserver', class {
  constructor(private changed: () => void) {}
  observe() {
    this.changed()
  }
  disconnect() {}
})
Object.defineProperty(HTMLElement.prototype, 'clientHeight', { get: () => 220 })

const folder = join(import.meta.dirname, '../../../dashboards/json')
const files = readdirSync(folder).map((name) => JSON.parse(readFileSync(join(folder, name), 'utf8')) as DashboardFile)
const panels = files.flatMap((f) => f.panels.filter((p) => p.type !== 'row').map((panel) => ({ at: `${f.title}: ${panel.title}`, panel })))
const ofKind = (kind: string) => panels.filter((p) => p.panel.type === kind)

const range: Range = { from: 1_700_000_000, to: 1_700_000_900, live: false }

afterEach(() => {
  cleanup()
  plots.length = 0
  paints.length = 0
  asked.clear()
})

/** What the store answers: series with the labels that legend or table speak of, each with figures of its own. */
type Known = { legend: string; labels: Record<string, string>; values: number[] }

function answer(panel: PanelModel, figures: (query: number, series: number) => number[], count = 2, called: string[] = []): Known[][] {
  return panel.targets!.map((target, i) => {
    const step = windowOf(panel)
    const form = askFor(target, {}, range, step).form
    const begin = Number(form.start ?? form.time)
    const every = Number(form.step ?? 0)
    const names = labelsOf(panel, target)
    const all = Array.from({ length: names.length === 0 ? 1 : count }, (_, s): Known => {
      const labels = Object.fromEntries(names.map((l) => [l, called[s] ?? (l === 'le' ? les[s]! : `${l}-${s}`)]))
      return { legend: said(target.legendFormat, labels), labels, values: figures(i, s) }
    })
    asked.set(form.query!, all.map(({ labels, values }) => ({
      labels, values: values.map((v, j): [number, string] => [begin + j * every, String(v)]),
    })))
    return all
  })
}

const les = ['1', '10', '100', '+Inf']
const windowOf = (panel: PanelModel) => (panel.interval === '15s' ? 15 : undefined)

/** Labels of a query: those of its legend; of a table, those that it groups by and the table shows. */
function labelsOf(panel: PanelModel, target: Target): string[] {
  if (panel.type !== 'table') return [...target.legendFormat.matchAll(/\{\{(\w+)\}\}/g)].map((m) => m[1]!)
  const grouped = / by \(([^)]+)\)/.exec(target.expr)![1]!.split(/,\s*/)
  return grouped.filter((l) => l in organize(panel).renameByName!)
}

const organize = (panel: PanelModel) => panel.transformations!.find((t) => t.id === 'organize')!.options

/** The legend as Grafana writes it, but for its blanks at the ends. */
function said(format: string, labels: Record<string, string>): string {
  let out = format
  for (const [l, v] of Object.entries(labels)) out = out.replace(`{{${l}}}`, v)
  return out
}

function show(panel: PanelModel) {
  const client = new QueryClient({ defaultOptions: { queries: { retry: false } } })
  return render(
    <QueryClientProvider client={client}>
      <Drawn panel={panel} choices={{}} range={range} visible />
    </QueryClientProvider>,
  )
}

const defaults = (panel: PanelModel) => panel.fieldConfig!.defaults
const inPanel = (panel: PanelModel, v: number) => text(inField(v, defaults(panel)))
/** Above zero, and of a size that occurs in the unit. */
const base = (panel: PanelModel) => (['percentunit', 's'].includes(defaults(panel).unit) ? 0.004 : 4)
/** Names are found by text whose blanks are all alike. */
const blanks = (s: string) => s.replaceAll(/\s+/g, ' ')
const squeeze = (s: string | null) => s?.replaceAll(/[\s\u2009\u00a0]/g, '') ?? ''

describe('lines over time', () => {
  // The stand-in for a document hands custom properties down to nobody.
  vi.spyOn(CSSStyleDeclaration.prototype, 'getPropertyValue').mockImplementation((name) => ({ '--fail': 'red', '--warn': 'orange', '--ok': 'green' })[name] ?? '')
  it.each(ofKind('timeseries'))('$at', async ({ panel }) => {
    const of = (i: number, s: number) => [1, 9 + 2 * i + s, 3 + i + s].map((n) => n * base(panel))
    const known = answer(panel, of).flat()
    const { getByRole } = show(panel)
    await waitFor(() => expect(plots).toHaveLength(1))
    const { options, data } = plots[0]!
    const stack = defaults(panel).custom!.stacking.mode === 'normal' && known.length > 1
    // Stacked series are drawn from the top down, each on what lies below it.
    const order = stack ? known.toReversed() : known
    expect(options.series.slice(1).map((s) => s.label)).toEqual(order.map((k) => k.legend))
    order.forEach((k, i) => {
      const below = stack ? known.slice(0, known.length - 1 - i) : []
      k.values.forEach((v, j) => expect(data[i + 1]![j]).toBeCloseTo(below.reduce((sum, b) => sum + b.values[j]!, v), 9))
    })
    // The axis: the unit, and where it begins and ends.
    const axis = options.axes![1]!.values as (u: unknown, splits: number[]) => string[]
    expect(axis(null, [0, base(panel)])).toEqual(onAxis([0, base(panel)], defaults(panel).unit))
    const bounds = (options.scales!.y!.range as (u: unknown, min: number, max: number) => [number, number])(null, base(panel), 0.8)
    expect(bounds[0]).toBe(defaults(panel).min)
    if (defaults(panel).max === undefined) expect(bounds[1]).toBeGreaterThan(0.8)
    else expect(bounds[1]).toBe(defaults(panel).max)
    expect(thresholdLines(options)).toEqual(
      defaults(panel).custom!.thresholdsStyle.mode === 'line'
        ? defaults(panel).thresholds.steps.filter((s) => s.value !== null).map((s) => [s.value, s.color])
        : [],
    )
    // The legend as a table with what the file asks to be computed.
    expect(panel.options!.legend).toMatchObject({ calcs: ['lastNotNull', 'max'], sortBy: 'Max', sortDesc: true })
    const max = (k: Known) => Math.max(...k.values)
    const rows = within(getByRole('region', { name: `${panel.title}, legend` })).getAllByRole('row').slice(1)
    expect(rows.map((r) => within(r).getAllByRole('cell').map((c) => squeeze(c.textContent)))).toEqual(
      known.toSorted((a, b) => max(b) - max(a)).map((k) => [k.legend, inPanel(panel, k.values[2]!), inPanel(panel, max(k))].map(squeeze)),
    )
  })

  it('a state has the colour that it has everywhere', async () => {
    const { panel } = ofKind('timeseries').find((p) => p.panel.title === 'Nodes by state')!
    answer(panel, () => [12, 12, 11], 2, ['synced', 'rejected'])
    const { getByRole } = show(panel)
    await waitFor(() => expect(plots).toHaveLength(1))
    expect(Object.fromEntries(plots[0]!.options.series.slice(1).map((s) => [s.label, s.stroke]))).toEqual({ synced: 'green', rejected: 'red' })
    const swatch = within(getByRole('region', { name: 'Nodes by state, legend' })).getByRole('button', { name: 'rejected' }).querySelector('line')
    expect(swatch?.getAttribute('stroke')).toBe('var(--fail)')
  })

  /** The bounds that are drawn, by the colour that the file gives them. */
  function thresholdLines(options: uPlot.Options): [number, string][] {
    const lines: [number, string][] = []
    const nothing = () => {}
    const ctx = {
      strokeStyle: '', lineWidth: 1, save: nothing, restore: nothing, beginPath: nothing, stroke: nothing, setLineDash: nothing, lineTo: nothing,
      moveTo(_: number, y: number) {
        lines.push([y / 1e6, ctx.strokeStyle])
      },
    }
    const u = { ctx, scales: { y: { min: 0, max: 1e9 } }, bbox: { left: 0, width: 1 }, valToPos: (v: number) => v * 1e6 } as unknown as uPlot
    for (const draw of (options.hooks?.draw ?? []) as ((u: uPlot) => void)[]) draw(u)
    return lines
  }
})

describe('one number', () => {
  it.each(ofKind('stat'))('$at', async ({ panel }) => {
    // One value under, on and over each bound: the tone changes where the file says.
    const steps = defaults(panel).thresholds.steps
    const values = [base(panel), ...steps.flatMap((s) => (s.value === null ? [] : [s.value * 0.9, s.value, s.value * 1.1]))]
    for (const v of values) {
      answer(panel, () => [v * 3, v])
      const { container, findByLabelText, unmount } = show(panel)
      const shown = await findByLabelText(blanks(`${panel.title}: ${inPanel(panel, v)}`))
      expect(squeeze(shown.textContent)).toContain(squeeze(inPanel(panel, v)))
      expect(toneIn(container)).toBe(steps.length < 2 ? undefined : steps.findLast((s) => s.value === null || v >= s.value)!.color)
      unmount()
      asked.clear()
    }
  })
  const colours: Record<string, string> = { healthy: 'green', degraded: 'orange', failing: 'red' }
  const toneIn = (container: HTMLElement) => colours[container.querySelector('[role=img][aria-label]')?.getAttribute('aria-label') ?? '']
})

describe('bars', () => {
  it.each(ofKind('bargauge'))('$at', async ({ panel }) => {
    const known = answer(panel, (i, s) => [base(panel) * (1 + i + s)]).flat().sort((a, b) => b.values[0]! - a.values[0]!)
    const { findAllByRole } = show(panel)
    const bars = await findAllByRole('listitem')
    expect(bars.map((b) => squeeze(b.textContent))).toEqual(known.map((k) => squeeze(k.legend + inPanel(panel, k.values[0]!))))
    const steps = defaults(panel).thresholds.steps
    const colour = { ok: 'green', warn: 'orange', fail: 'red' } as Record<string, string>
    bars.forEach((b, i) => {
      const tone = b.querySelector('[data-tone]')?.getAttribute('data-tone')
      expect(tone && colour[tone]).toBe(steps.length < 2 ? undefined : steps.findLast((s) => s.value === null || known[i]!.values[0]! >= s.value)!.color)
    })
  })
})

describe('heat maps', () => {
  it.each(ofKind('heatmap'))('$at', async ({ panel }) => {
    // 2 in each bucket, more in the third.
    answer(panel, (_, s) => [[2, 2], [4, 4], [9, 12], [11, 14]][s]!, les.length)
    const { findByLabelText } = show(panel)
    await findByLabelText(blanks(`${panel.title}: buckets from ${inPanel(panel, 1)} to more`))
    const written: string[] = []
    const cells: number[] = []
    const ctx = new Proxy({ globalAlpha: 1 } as Record<string, unknown>, {
      get: (o, k) => (k === 'fillText' ? (t: string) => written.push(t) : k === 'fillRect' ? () => cells.push(o.globalAlpha as number) : (o[k as string] ?? (() => {}))),
    })
    paints.at(-1)!(ctx as unknown as CanvasRenderingContext2D, { width: 400, height: 220 }, { info: '', sans: '', 'text-3': '' } as never)
    expect(written.slice(0, 4)).toEqual(['1', '10', '100'].map((b) => inPanel(panel, Number(b))).concat('more'))
    // Two times with something in each of four buckets, the darkest is the fullest.
    expect(cells).toHaveLength(8)
    expect(cells.indexOf(Math.max(...cells))).toBe(5)
  })
})

describe('tables', () => {
  it.each(ofKind('table'))('$at', async ({ panel }) => {
    const known = answer(panel, (i, s) => [base(panel) * (1 + i) * (1 + s)], 3)
    const { findByRole } = show(panel)
    const table = await findByRole('table')
    const { indexByName = {}, renameByName = {}, excludeByName = {} } = organize(panel)
    const columns = Object.keys(indexByName).filter((c) => !excludeByName[c]).sort((a, b) => indexByName[a]! - indexByName[b]!)
    expect(within(table).getAllByRole('columnheader').map((h) => squeeze(h.textContent))).toEqual(columns.map((c) => squeeze(renameByName[c]!)))
    const rows = [0, 1, 2].map((s) =>
      columns.map((c) => {
        const query = /^Value(?: #(\w))?$/.exec(c)
        if (!query) return `${c}-${s}`
        const unit = panel.fieldConfig!.overrides.find((o) => o.matcher.options === renameByName[c])!.properties.find((p) => p.id === 'unit')!.value
        return squeeze(text(inUnit(known[(query[1] ?? 'A').charCodeAt(0) - 65]![s]!.values[0]!, String(unit))))
      }),
    )
    // Figures grow with the series: sorted downwards, the last is the first.
    if (panel.options!.sortBy) {
      expect(panel.options!.sortBy[0]!.desc).toBe(true)
      rows.reverse()
    }
    expect(within(table).getAllByRole('row').slice(1).map((r) => within(r).getAllByRole('cell').map((c) => squeeze(c.textContent)))).toEqual(rows)
  })
})

describe('units', () => {
  // What Grafana's names mean: a value, and how it reads.
  const read: Record<string, [number, string]> = {
    reqps: [12, '12rps'], percentunit: [0.25, '25.0%'], ms: [12, '12ms'], s: [0.004, '4ms'], decbytes: [2000, '2kB'], Bps: [2000, '2kB/s'],
    short: [25_000, '25k'], none: [25_000, '25000'], cps: [2, '2/s'], 'suffix:cores': [0.0075, '0.0075cores'],
  }
  const used = new Set(panels.flatMap(({ panel }) => [...(panel.type === 'table' ? [] : [defaults(panel).unit]), ...panel.fieldConfig!.overrides.flatMap((o) => o.properties.filter((p) => p.id === 'unit').map((p) => String(p.value)))]))
  it.each([...used].sort())('%s is one that we write', (unit) => {
    const [value, want] = read[unit] ?? [0, `a way to write ${unit}`]
    expect(squeeze(text(inUnit(value, unit)))).toBe(want)
  })
  it('of all kinds of panels there are some', () => {
    expect(['timeseries', 'stat', 'table', 'heatmap', 'bargauge'].map((k) => ofKind(k).length > 0)).toEqual([true, true, true, true, true])
    expect(panels.length).toBeGreaterThan(100)
  })
})
