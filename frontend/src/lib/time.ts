/** Times as the interface writes them: local clock, 24 hours, seconds always. */

/** 14:32:07 */
export function clock(at: string | number | Date): string {
  const d = new Date(at)
  if (Number.isNaN(d.getTime())) return '–'
  return `${two(d.getHours())}:${two(d.getMinutes())}:${two(d.getSeconds())}`
}

/** 14:32:06.913 */
export function clockMs(at: string | number | Date): string {
  const d = new Date(at)
  if (Number.isNaN(d.getTime())) return '–'
  return `${clock(d)}.${String(d.getMilliseconds()).padStart(3, '0')}`
}

/** 14:32 */
export function clockShort(at: string | number | Date): string {
  return clock(at).slice(0, 5)
}

/** 2026-11-21 14:32:07, for titles and exports. */
export function stamp(at: string | number | Date): string {
  const d = new Date(at)
  if (Number.isNaN(d.getTime())) return '–'
  return `${d.getFullYear()}-${two(d.getMonth() + 1)}-${two(d.getDate())} ${clock(d)}`
}

/** Seconds from an earlier time to a later one; never negative. */
export function secondsSince(at: string | number | Date, now: number = Date.now()): number {
  return Math.max(0, (now - new Date(at).getTime()) / 1000)
}

/** "30s", "5m", "1h" in seconds; undefined when it is no such text. */
export function windowSeconds(text: string): number | undefined {
  const m = /^(\d+)(s|m|h|d)$/.exec(text)
  if (!m) return undefined
  const scale = { s: 1, m: 60, h: 3600, d: 86_400 }[m[2] as 's' | 'm' | 'h' | 'd']
  return Number(m[1]) * scale
}

/** Round steps for a time axis: about `wanted` ticks over `seconds`. */
export function tickStep(seconds: number, wanted: number): number {
  const steps = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400]
  const ideal = seconds / Math.max(1, wanted)
  return steps.find((s) => s >= ideal) ?? 86_400
}

function two(n: number): string {
  return String(n).padStart(2, '0')
}
