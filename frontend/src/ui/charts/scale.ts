/**
 * Scales and ticks for the charts that we draw ourselves. A scale is a plain
 * function from the data's unit to pixels, so that a painter can call it a
 * hundred thousand times without a dispatch.
 */

export type Scale = {
  (value: number): number
  /** Pixels back to the data's unit. */
  invert(px: number): number
  readonly from: number
  readonly to: number
}

export type Tick = { value: number; label: string }

/** linear maps [from, to] to [px0, px1]. An empty domain maps to px0. */
export function linear(from: number, to: number, px0: number, px1: number): Scale {
  const span = to - from
  const k = span === 0 ? 0 : (px1 - px0) / span
  const scale = (v: number) => px0 + (v - from) * k
  return Object.assign(scale, { invert: (px: number) => (k === 0 ? from : from + (px - px0) / k), from, to })
}

/** log maps by the logarithm. Values at or below zero sit on the lower end. */
export function log(from: number, to: number, px0: number, px1: number): Scale {
  const lo = Math.log10(Math.max(from, Number.MIN_VALUE))
  const hi = Math.log10(Math.max(to, from * 1.0001))
  const k = (px1 - px0) / (hi - lo)
  const scale = (v: number) => px0 + ((v <= from ? lo : Math.log10(v)) - lo) * k
  return Object.assign(scale, { invert: (px: number) => 10 ** (lo + (px - px0) / k), from, to })
}

const MINUTE = 60_000
const HOUR = 60 * MINUTE
const STEPS = [
  1000, 2000, 5000, 10_000, 15_000, 30_000,
  MINUTE, 2 * MINUTE, 5 * MINUTE, 10 * MINUTE, 15 * MINUTE, 30 * MINUTE,
  HOUR, 2 * HOUR, 3 * HOUR, 6 * HOUR, 12 * HOUR, 24 * HOUR, 7 * 24 * HOUR,
]

const two = (n: number) => String(n).padStart(2, '0')

/** timeTicks gives at most max round local times inside [from, to] (ms). */
export function timeTicks(from: number, to: number, max: number): Tick[] {
  if (!(to > from) || max < 1) return []
  const step = STEPS.find((s) => (to - from) / s <= max) ?? STEPS[STEPS.length - 1]!
  // Round in local time: midnight and full hours are what people look for.
  const offset = new Date(from).getTimezoneOffset() * MINUTE
  const ticks: Tick[] = []
  for (let t = Math.ceil((from - offset) / step) * step + offset; t <= to; t += step) {
    const d = new Date(t)
    const label =
      step >= 24 * HOUR
        ? `${two(d.getDate())}.${two(d.getMonth() + 1)}.`
        : `${two(d.getHours())}:${two(d.getMinutes())}${step < MINUTE ? `:${two(d.getSeconds())}` : ''}`
    ticks.push({ value: t, label })
  }
  return ticks
}

/** decades gives 1, 10, 100 … inside [from, to], in the unit of the scale. */
export function decades(from: number, to: number): number[] {
  const out: number[] = []
  for (let e = Math.ceil(Math.log10(Math.max(from, Number.MIN_VALUE)) - 1e-9); 10 ** e <= to * 1.000001; e++) {
    out.push(Number((10 ** e).toPrecision(12)))
  }
  return out
}

/** niceMax rounds up to 1, 2, 2.5 or 5 times a power of ten. */
export function niceMax(value: number): number {
  if (!(value > 0)) return 1
  const p = 10 ** Math.floor(Math.log10(value))
  const m = value / p
  const steps = [1, 2, 2.5, 5, 10]
  return (steps.find((s) => m <= s + 1e-9) ?? 10) * p
}

/** roundMs writes a round duration of an axis: "0", "20 ms", "1.5 s", without the zeros that a measured one carries. */
export function roundMs(ms: number): string {
  if (ms === 0) return '0'
  const [n, unit] = ms >= 60_000 ? [ms / 60_000, 'min'] : ms >= 1000 ? [ms / 1000, 's'] : ms >= 0.1 ? [ms, 'ms'] : [ms * 1000, 'µs']
  return `${Number(n.toPrecision(3))}\u2009${unit}`
}
