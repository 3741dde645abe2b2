import { bytes, count, duration, figure, type Measure, percent, perSecond, rate, span, text } from '@/lib/format'
import type { FieldDefaults } from './model'

/** A value in one of Grafana's units, in the words of every page. */
export function inUnit(value: number | null | undefined, unit: string): Measure {
  if (value === null || value === undefined || !Number.isFinite(value)) return { value: '–', unit: '' }
  switch (unit) {
    case 'reqps':
      return rate(value)
    case 'percentunit':
      return percent(value)
    case 'ms':
      return duration(value)
    case 's':
      return value >= 60 ? { value: span(value), unit: '' } : duration(value * 1000)
    case 'decbytes':
      return bytes(value)
    case 'Bps': {
      const m = bytes(value)
      return { value: m.value, unit: `${m.unit}/s` }
    }
    case 'cps':
      return perSecond(value)
    case 'none':
      return { value: Number.isInteger(value) ? count(value) : figure(value), unit: '' }
    default:
      return { value: short(value), unit: suffixOf(unit) }
  }
}

/** The same in a panel, where words may stand for numbers. */
export function inField(value: number | null | undefined, field: FieldDefaults): Measure {
  const word = field.mappings?.[0]?.options[String(value)]?.text
  return word === undefined ? inUnit(value, field.unit) : { value: word, unit: '' }
}

/** A unit that Grafana does not have is text behind the figure: "suffix:cores". */
function suffixOf(unit: string): string {
  return unit.startsWith('suffix:') ? unit.slice('suffix:'.length) : ''
}

const thousands = (...names: string[]): [number, string][] => names.map((name, i) => [1000 ** i, name])
const times = (second: number): [number, string][] => [
  [second / 1e6, 'µs'], [second / 1e3, 'ms'], [second, 's'], [second * 60, 'min'], [second * 3600, 'h'], [second * 86_400, 'd'],
]
const sizes = ['B', 'kB', 'MB', 'GB', 'TB']

/** The sizes in which a unit is written, from below: how much each is, and its name. */
function scalesOf(unit: string): [number, string][] {
  switch (unit) {
    case 'ms':
      return times(1000)
    case 's':
      return times(1)
    case 'decbytes':
      return thousands(...sizes)
    case 'Bps':
      return thousands(...sizes.map((s) => `${s}/s`))
    case 'percentunit':
      return [[0.01, '%']]
    case 'reqps':
      return [[1, 'rps']]
    case 'cps':
      return [[1, '/s']]
    case 'short':
      return thousands('', 'k', 'M', 'G')
    default:
      return [[1, suffixOf(unit)]]
  }
}

/** Of these there are no decimals: a day and a half is 36 h. */
const undivided = ['min', 'h', 'd']

/** The values that an axis names: all in one size, and with as many digits as they need. */
export function onAxis(values: readonly number[], unit: string): string[] {
  const top = Math.max(...values.map(Math.abs))
  const scales = scalesOf(unit)
  const fits = ([size, name]: [number, string]) => size <= top * 1.0001 && !(undivided.includes(name) && values.some((v) => v % size !== 0))
  const [size, name] = scales.findLast(fits) ?? scales[0]!
  const scaled = values.map((v) => v / size)
  let digits = 0
  while (digits < 6 && scaled.some((v) => Math.abs(v - Number(v.toFixed(digits))) > 1e-6 * (top / size))) digits++
  return scaled.map((v) => {
    const value = digits === 0 ? count(v) : v.toFixed(digits).replace('-', '−')
    return unit === 'short' ? value + (v === 0 ? '' : name) : text({ value, unit: name })
  })
}

/** Steps between the values of an axis of times: sixty of one make the next, not a hundred. */
const minutes = [15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400, 172_800, 432_000, 864_000, 2_592_000]

/** The steps for an axis in a unit up to a value, where those of ten will not do. */
export function stepsOnAxis(unit: string, top: number): number[] | null {
  const second = unit === 's' ? 1 : unit === 'ms' ? 1000 : 0
  return second > 0 && top >= 120 * second ? minutes.map((s) => s * second) : null
}

/** 1.2k, 3.4M, 0.0042: for what has no size of its own, such as the cores that an idle sidecar uses. */
function short(value: number): string {
  const abs = Math.abs(value)
  if (abs >= 1e9) return `${figure(value / 1e9)}G`
  if (abs >= 1e6) return `${figure(value / 1e6)}M`
  if (abs >= 1e4) return `${figure(value / 1e3)}k`
  if (abs >= 1e-4 && abs < 0.1) return String(Number(value.toPrecision(2)))
  return figure(value)
}
