/**
 * Numbers for people. Each function gives the figure and its unit apart, so
 * that the unit can stand in a quieter tone; `text` joins them by a thin space.
 */

export type Measure = { value: string; unit: string }

const thin = '\u2009'
const none: Measure = { value: '–', unit: '' }

/** Joins figure and unit for plain text, titles and accessible names. */
export function text(m: Measure): string {
  return m.unit === '' ? m.value : `${m.value}${thin}${m.unit}`
}

/** Three significant digits, at most; thousands apart by a thin space. */
export function figure(n: number): string {
  if (!Number.isFinite(n)) return '–'
  const abs = Math.abs(n)
  if (abs === 0) return '0'
  if (abs < 0.01) return '<0.01'
  if (abs < 0.995) return n.toFixed(2)
  if (abs < 10) return trim(n.toFixed(1))
  return count(Math.round(n))
}

/** An integer with thin spaces between thousands: 4 128. */
export function count(n: number): string {
  const digits = String(Math.round(Math.abs(n)))
  const grouped = digits.length > 3 ? digits.replace(/\B(?=(\d{3})+$)/g, '\u202f') : digits
  return n < 0 ? `−${grouped}` : grouped
}

function trim(s: string): string {
  return s.endsWith('.0') ? s.slice(0, -2) : s
}

/** Requests per second. */
export function rate(rps: number | null | undefined): Measure {
  if (rps == null) return none
  return { value: figure(rps), unit: 'rps' }
}

/** The same with one decimal up to a hundred, where one figure is looked at by itself. */
export function rateExact(rps: number): Measure {
  return { value: rps >= 10 && rps < 100 ? rps.toFixed(1) : figure(rps), unit: 'rps' }
}

/** Something per second, without saying what: 4.4/s. */
export function perSecond(n: number): Measure {
  return { value: figure(n), unit: '/s' }
}

/** A ratio of 0..1 as per cent with one decimal. */
export function percent(ratio: number | null | undefined): Measure {
  if (ratio == null || !Number.isFinite(ratio)) return none
  const p = ratio * 100
  if (p > 0 && p < 0.05) return { value: '<0.1', unit: '%' }
  if (p > 99.95 && p < 100) return { value: '>99.9', unit: '%' }
  return { value: p >= 99.95 ? '100' : p.toFixed(1), unit: '%' }
}

/** A duration from milliseconds: 0.4 ms, 312 ms, 1.92 s, 13 min 35 s. */
export function duration(ms: number | null | undefined): Measure {
  if (ms == null || !Number.isFinite(ms)) return none
  if (ms === 0) return { value: '0', unit: 'ms' }
  if (ms < 0.1) return { value: String(Math.max(1, Math.round(ms * 1000))), unit: 'µs' }
  if (ms < 10) return { value: trim(ms.toFixed(1)), unit: 'ms' }
  if (ms < 1000) return { value: String(Math.round(ms)), unit: 'ms' }
  if (ms < 60_000) return { value: ms < 10_000 ? (ms / 1000).toFixed(2) : (ms / 1000).toFixed(1), unit: 's' }
  return { value: span(ms / 1000), unit: '' }
}

/** A length of time in words of at most two units: 13 min 35 s, 22 h 4 min. */
export function span(seconds: number): string {
  const s = Math.max(0, Math.round(seconds))
  const units: [number, string][] = [
    [86_400, 'd'],
    [3600, 'h'],
    [60, 'min'],
    [1, 's'],
  ]
  const first = units.findIndex(([size]) => s >= size)
  if (first < 0) return '0\u2009s'
  const parts: string[] = []
  let rest = s
  for (const [size, name] of units.slice(first, first + 2)) {
    const n = Math.floor(rest / size)
    rest -= n * size
    if (n > 0) parts.push(`${n}\u2009${name}`)
  }
  return parts.join(' ')
}

/** Bytes in decimal units: 1.1 kB. */
export function bytes(n: number | null | undefined): Measure {
  if (n == null || !Number.isFinite(n)) return none
  const units = ['B', 'kB', 'MB', 'GB', 'TB']
  let v = n
  let i = 0
  while (v >= 999.5 && i < units.length - 1) {
    v /= 1000
    i++
  }
  return { value: i === 0 ? String(Math.round(v)) : figure(v), unit: units[i] ?? 'B' }
}

/** Long names lose their middle, not their tail: recommendations-…kk2p7. */
export function middle(name: string, max: number): string {
  if (name.length <= max) return name
  const tail = Math.min(5, Math.floor((max - 1) / 2))
  return `${name.slice(0, max - 1 - tail)}…${name.slice(-tail)}`
}

/** "1 node", "3 nodes". */
export function plural(n: number, one: string, many = `${one}s`): string {
  return `${count(n)} ${n === 1 ? one : many}`
}

/** "first", "second", … "9th". */
export function ordinal(n: number): string {
  return ['first', 'second', 'third', 'fourth', 'fifth'][n - 1] ?? `${n}th`
}
