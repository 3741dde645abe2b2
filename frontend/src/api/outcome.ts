import type { HealthState, TraceSummary } from './types'

/** What became of a trace: an error that a retry or a fallback caught is not what its caller saw. */
export type Outcome = 'failed' | 'caught' | 'refused' | 'ok'

/** outcomeOf goes by what the caller was answered; without a status there is only what the spans say. */
export function outcomeOf(t: Pick<TraceSummary, 'status' | 'errors'>): Outcome {
  if (t.status >= 500 || (t.status === 0 && t.errors > 0)) return 'failed'
  if (t.errors > 0) return 'caught'
  return t.status >= 400 ? 'refused' : 'ok'
}

export const outcomeHealth: Record<Outcome, HealthState> = { failed: 'fail', caught: 'warn', refused: 'warn', ok: 'ok' }
