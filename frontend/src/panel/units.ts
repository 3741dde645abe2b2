import { bytes, count, duration, figure, type Measure, percent, perSecond, rate, span } from '@/lib/format'

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
    case 'bytes':
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
      return { value: short(value), unit: '' }
  }
}

/** 1.2k, 3.4M, 0.0042: for what has no unit, such as the share of a core that an idle sidecar uses. */
function short(value: number): string {
  const abs = Math.abs(value)
  if (abs >= 1e9) return `${figure(value / 1e9)}G`
  if (abs >= 1e6) return `${figure(value / 1e6)}M`
  if (abs >= 1e4) return `${figure(value / 1e3)}k`
  if (abs >= 1e-4 && abs < 0.01) return String(Number(value.toPrecision(2)))
  return figure(value)
}
