import type { NodesView } from '@/api/types'
import { log } from '@/ui/charts/scale'
import type { Scale } from '@/ui/charts/scale'

export type Stage = 'sent' | 'acked' | 'applied'
export const STAGES: readonly Stage[] = ['sent', 'acked', 'applied']

/** Quantile of nodes that apply; ms is null while that share has not got there. */
export type Quantile = { q: number; ms: number | null }

export type Spread = {
  total: number
  reached: Record<Stage, number>
  /** Domain of the time axis in ms after acceptance. */
  from: number
  to: number
  quantiles: Quantile[]
  values: Record<Stage, readonly number[]>
}

const QUANTILES = [0.5, 0.95, 0.99]

/**
 * spreadModel readies the curve of one revision. Shares are of all nodes that
 * the revision concerns, also of those that have not got it: a curve that
 * never reaches 100 % is the finding.
 */
export function spreadModel(spread: NodesView['spread'], now: number): Spread {
  const values = { sent: spread.sent_ms, acked: spread.acked_ms, applied: spread.applied_ms }
  const total = Math.max(values.applied.length + spread.waiting, values.sent.length, values.acked.length)
  const firsts = STAGES.map((s) => values[s][0]).filter((v) => v !== undefined)
  const lasts = STAGES.map((s) => values[s][values[s].length - 1]).filter((v) => v !== undefined)
  const elapsed = Math.max(0, now - Date.parse(spread.accepted_at)) || 0
  const first = Math.max(1, Math.min(50, ...firsts) / 1.6)
  const last = Math.max(1000, ...lasts.map((v) => v * 1.6), spread.waiting > 0 ? elapsed : 0)
  return {
    total,
    reached: { sent: values.sent.length, acked: values.acked.length, applied: values.applied.length },
    from: first,
    to: last,
    quantiles: QUANTILES.map((q) => ({ q, ms: quantile(values.applied, q, total) })),
    values,
  }
}

/** quantile of all total nodes, of which only those in sorted have a value. */
export function quantile(sorted: readonly number[], q: number, total: number): number | null {
  const i = Math.max(0, Math.ceil(q * total - 1e-9) - 1)
  return sorted[i] ?? null
}

/** timeScale is the logarithmic axis of the curve. */
export const timeScale = (m: Spread, px0: number, px1: number): Scale => log(m.from, m.to, px0, px1)

/**
 * steps is the cumulative share per pixel column: one pass however many nodes
 * there are, and exact where a single node makes a visible step.
 */
export function steps(sorted: readonly number[], total: number, x: Scale, px0: number, px1: number): Float32Array {
  const columns = Math.max(1, Math.floor(px1 - px0) + 1)
  const out = new Float32Array(columns)
  if (total === 0) return out
  let i = 0
  for (let c = 0; c < columns; c++) {
    const until = x.invert(px0 + c)
    while (i < sorted.length && sorted[i]! <= until) i++
    out[c] = i / total
  }
  return out
}
