import { useEffect, useMemo, useRef, useState } from 'react'
import uPlot from 'uplot'
import 'uplot/dist/uPlot.min.css'
import { clock } from '@/lib/time'
import { usePalette } from '@/ui/charts/Canvas'
import type { Palette } from '@/ui/charts/palette'
import { timeTicks } from '@/ui/charts/scale'
import { Figure } from '@/ui/Figure'
import { text } from '@/lib/format'
import type { Measured } from './fetch'
import { type Line, linesOf, stacked } from './frames'
import { fixedToken, type PanelModel } from './model'
import styles from './Panel.module.css'
import { inTurn } from './turns'
import { inUnit, onAxis, stepsOnAxis } from './units'

/** Hues for series; beyond them the same again, dashed. */
const hues = 8

/** How the i-th series is drawn: as the file says of it, else in turn. */
function inkOf(panel: PanelModel, name: string, i: number): { token: string; dashed: boolean } {
  const fixed = fixedToken(panel, name)
  return fixed ? { token: fixed, dashed: false } : { token: `series-${(i % hues) + 1}`, dashed: i >= hues }
}

/** The steps of an axis; one that counts things has no half of one. */
const tens = Array.from({ length: 22 }, (_, i) => [1, 2, 5].map((n) => n * 10 ** (i - 9))).flat()
const whole = tens.filter((n) => n >= 1)

/** All charts of a page share the pointer's time. */
const pointer = 'sidelight-panels'

type Look = { token: (name: string) => string; text: string; grid: string; font: string; warn: string; fail: string }

/** Lines over time, with the legend that the file asks for. */
export function TimeSeries({ panel, answers }: { panel: PanelModel; answers: Measured[] }) {
  const host = useRef<HTMLDivElement>(null)
  const chart = useRef<uPlot | null>(null)
  const palette = usePalette()
  const data = useMemo(() => linesOf(panel, answers), [panel, answers])
  const [alone, setAlone] = useState<string | null>(null)
  const [index, setIndex] = useState<number | null>(null)
  const shown = useMemo(() => (alone === null ? data.lines : data.lines.filter((l) => l.name === alone)), [data, alone])
  const colourOf = useMemo(() => new Map(data.lines.map((l, i) => [l.name, i])), [data])
  const isStacked = panel.fieldConfig?.defaults.custom?.stacking.mode === 'normal' && shown.length > 1
  // A chart is made anew when its series change; otherwise its data is replaced.
  const shape = `${shown.map((l) => l.name).join('\n')}|${isStacked}`

  const newest = useRef({ data, shown })
  newest.current = { data, shown }
  useEffect(() => {
    const element = host.current
    if (!element) return
    let made: uPlot | null = null
    const cancel = inTurn(() => {
      const look = lookOf(palette)
      const { data: d, shown: s } = newest.current
      made = new uPlot(optionsOf(panel, s, colourOf, look, isStacked, element, setIndex), aligned(d.times, s, isStacked), element)
      chart.current = made
    })
    const resize = new ResizeObserver(() => made?.setSize(sizeOf(element)))
    resize.observe(element)
    return () => {
      cancel()
      resize.disconnect()
      made?.destroy()
      chart.current = null
    }
    // `palette` changes the colours that are read, `shape` stands for the lines.
    // oxlint-disable-next-line react/exhaustive-deps
  }, [panel, shape, palette])

  useEffect(() => {
    if (!chart.current) return
    return inTurn(() => chart.current?.setData(aligned(data.times, shown, isStacked)))
  }, [data, shown, isStacked])

  return (
    <div className={styles.chart}>
      <div className={styles.plot} ref={host} role="img" aria-label={`${panel.title}: ${data.lines.map((l) => `${l.name} ${text(inUnit(l.last, unitOf(panel)))}`).slice(0, 10).join(', ')}`} />
      <Legend panel={panel} lines={data.lines} at={index === null ? null : (data.times[index] ?? null)} index={index} alone={alone} onAlone={setAlone} />
    </div>
  )
}

function unitOf(panel: PanelModel): string {
  return panel.fieldConfig?.defaults.unit ?? 'short'
}

/** So many series are shown without scrolling; of more their number is told. */
const wholeMost = 4

function Legend({
  panel,
  lines,
  at,
  index,
  alone,
  onAlone,
}: {
  panel: PanelModel
  lines: Line[]
  at: number | null
  index: number | null
  alone: string | null
  onAlone: (name: string | null) => void
}) {
  const unit = unitOf(panel)
  const calcs = panel.options?.legend?.calcs ?? []
  const rows = useMemo(() => sorted(panel, lines), [panel, lines])
  return (
    // It scrolls, so it must be reached by keys, too.
    // oxlint-disable-next-line jsx-a11y/no-noninteractive-tabindex
    <div className={styles.legend} data-whole={lines.length <= wholeMost} tabIndex={0} role="region" aria-label={`${panel.title}, legend`}>
      <table>
        <thead>
          <tr>
            <th scope="col">{lines.length > wholeMost ? `${lines.length} series` : <span className="sr-only">Series</span>}</th>
            <th scope="col">{at === null ? 'Last' : clock(at * 1000)}</th>
            {calcs.includes('max') ? <th scope="col">Max</th> : null}
          </tr>
        </thead>
        <tbody>
          {rows.map(({ line, i }) => (
            <tr key={line.name}>
              <td>
                <button
                  type="button"
                  className={styles.key}
                  aria-pressed={alone === line.name}
                  title={alone === line.name ? 'Show all' : `Show ${line.name} alone`}
                  onClick={() => onAlone(alone === line.name ? null : line.name)}
                >
                  <svg className={styles.swatch} width="12" height="3" aria-hidden="true">
                    <line x1="0" y1="1.5" x2="12" y2="1.5" stroke={`var(--${inkOf(panel, line.name, i).token})`} strokeWidth="3" strokeDasharray={inkOf(panel, line.name, i).dashed ? '3 2' : undefined} />
                  </svg>
                  <span className="cut">{line.name}</span>
                </button>
              </td>
              <td>
                <Figure of={inUnit(index === null ? line.last : line.values[index], unit)} />
              </td>
              {calcs.includes('max') ? (
                <td className="t2">
                  <Figure of={inUnit(line.max, unit)} />
                </td>
              ) : null}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  )
}

/** The lines in the legend's order, each with its number, which gives its colour. */
function sorted(panel: PanelModel, lines: Line[]): { line: Line; i: number }[] {
  const rows = lines.map((line, i) => ({ line, i }))
  const { sortBy, sortDesc } = panel.options?.legend ?? {}
  if (sortBy !== 'Max') return rows
  const of = (l: Line) => l.max ?? Number.NEGATIVE_INFINITY
  return rows.sort((a, b) => (of(a.line) - of(b.line)) * (sortDesc ? -1 : 1) || a.i - b.i)
}

/** Read once a theme: to ask for a property costs as much as to draw a line. */
const looks = new WeakMap<Palette, Look>()

function lookOf(palette: Palette): Look {
  const known = looks.get(palette)
  if (known) return known
  const style = getComputedStyle(document.documentElement)
  const read = (name: string) => style.getPropertyValue(name).trim()
  const names = ['ok', 'info', 'warn', 'fail', 'text-3', ...Array.from({ length: hues }, (_, i) => `series-${i + 1}`)]
  const tokens = new Map(names.map((name) => [name, read(`--${name}`) || 'gray']))
  const look = {
    token: (name: string) => tokens.get(name) ?? 'gray',
    text: read('--text-3'), grid: read('--hair'), font: `11px ${read('--sans') || 'sans-serif'}`, warn: read('--warn'), fail: read('--fail'),
  }
  looks.set(palette, look)
  return look
}

/** The times that an axis names: those at its ends would run into the other axis, or off the panel. */
function ticksOf(u: uPlot) {
  const from = u.scales.x!.min ?? 0
  const to = u.scales.x!.max ?? 0
  const room = (18 / Math.max(1, u.width - 64)) * (to - from)
  return timeTicks(from * 1000, to * 1000, Math.max(2, Math.floor(u.width / 90))).filter((t) => t.value / 1000 >= from + room && t.value / 1000 <= to - room)
}

function sizeOf(element: Element): { width: number; height: number } {
  return { width: Math.max(60, element.clientWidth), height: Math.max(60, element.clientHeight) }
}

/** uPlot's shape: times, then each line. Stacked lines are drawn from the top down. */
function aligned(times: number[], lines: Line[], isStacked: boolean): uPlot.AlignedData {
  const values = isStacked ? stacked(lines).reverse() : lines.map((l) => l.values)
  return [times, ...values] as uPlot.AlignedData
}

function optionsOf(
  panel: PanelModel,
  lines: Line[],
  colourOf: ReadonlyMap<string, number>,
  look: Look,
  isStacked: boolean,
  element: Element,
  onIndex: (index: number | null) => void,
): uPlot.Options {
  const field = panel.fieldConfig!.defaults
  const things = ['short', 'none'].includes(field.unit) && lines.every((l) => l.values.every((v) => v === null || Number.isInteger(v)))
  const drawn = isStacked ? lines.toReversed() : lines
  const series = drawn.map((line): uPlot.Series => {
    const i = colourOf.get(line.name) ?? 0
    const ink = inkOf(panel, line.name, i)
    const stroke = look.token(ink.token)
    return {
      label: line.name, stroke, width: 1.2, dash: ink.dashed ? [5, 3] : undefined, points: { show: false }, spanGaps: false,
      fill: isStacked ? alpha(stroke, 0.35) : lines.length === 1 ? alpha(stroke, 0.12) : undefined,
    }
  })
  return {
    ...sizeOf(element),
    legend: { show: false },
    cursor: { sync: { key: pointer }, y: false, points: { size: 5 }, drag: { x: false, y: false } },
    padding: [6, 6, 0, 0],
    scales: {
      x: { time: true },
      y: { range: (_, min, max) => [Math.min(field.min ?? 0, min ?? 0), field.max ?? niceTop(max ?? 0, field.unit)] },
    },
    series: [{}, ...series],
    // The area of a stacked line ends where the one below begins.
    bands: isStacked ? drawn.slice(1).map((_, i): uPlot.Band => ({ series: [i + 1, i + 2] })) : undefined,
    axes: [
      {
        stroke: look.text, font: look.font, size: 20, gap: 2, grid: { show: false }, ticks: { show: false },
        splits: (u) => ticksOf(u).map((t) => t.value / 1000),
        values: (u, splits) => {
          const labels = new Map(ticksOf(u).map((t) => [t.value / 1000, t.label]))
          return splits.map((s) => labels.get(s) ?? '')
        },
      },
      {
        incrs: (_u, _axis, _bottom, top) => stepsOnAxis(field.unit, top) ?? (things ? whole : tens),
        stroke: look.text, font: look.font, size: (_u, names) => roomFor(names), gap: 4, space: 26, grid: { stroke: look.grid, width: 1 }, ticks: { show: false },
        values: (_, splits) => onAxis(splits, field.unit),
      },
    ],
    hooks: {
      setCursor: [
        (u) => {
          // Others follow by their crosshair; the figures are of the one under the pointer.
          const own = u.over.matches(':hover')
          onIndex(own && u.cursor.idx !== null && u.cursor.idx !== undefined ? u.cursor.idx : null)
        },
      ],
      draw: field.custom?.thresholdsStyle.mode === 'line' ? [(u) => drawThresholds(u, panel, look)] : [],
    },
  }
}

/** The width of an axis for what it names: charts below each other begin alike unless one needs more. */
function roomFor(names: string[] | null): number {
  return Math.max(58, 12 + 6.2 * Math.max(0, ...(names ?? []).map((n) => n.length)))
}

/** Some room above; an axis for nothing but zeros is still one that can be read. */
function niceTop(max: number, unit: string): number {
  return max > 0 ? max * 1.08 : unit === 'decbytes' || unit === 'Bps' ? 1000 : 1
}

/** Bounds inside of what is seen, as dashed lines of their own kind. */
function drawThresholds(u: uPlot, panel: PanelModel, look: Look): void {
  const { ctx } = u
  for (const step of panel.fieldConfig!.defaults.thresholds.steps) {
    if (step.value === null || step.value > (u.scales.y!.max ?? 0)) continue
    const y = Math.round(u.valToPos(step.value, 'y', true))
    ctx.save()
    ctx.strokeStyle = step.color === 'red' ? look.fail : look.warn
    ctx.lineWidth = devicePixelRatio || 1
    ctx.setLineDash([4 * ctx.lineWidth, 4 * ctx.lineWidth])
    ctx.beginPath()
    ctx.moveTo(u.bbox.left, y)
    ctx.lineTo(u.bbox.left + u.bbox.width, y)
    ctx.stroke()
    ctx.restore()
  }
}

/** A colour, thinned: the build may have turned the token into any notation. */
function alpha(colour: string, a: number): string {
  return `color-mix(in oklab, ${colour} ${Math.round(a * 100)}%, transparent)`
}
