import type { TraceSummary } from '@/api/types'
import { count } from '@/lib/format'

/** What became of a trace: an error that a retry or a fallback caught is not what its caller saw. */
export type Outcome = 'failed' | 'caught' | 'refused' | 'ok'

/** outcomeOf goes by what the caller was answered; without a status there is only what the spans say. */
export function outcomeOf(t: Pick<TraceSummary, 'status' | 'errors'>): Outcome {
  if (t.status >= 500 || (t.status === 0 && t.errors > 0)) return 'failed'
  if (t.errors > 0) return 'caught'
  return t.status >= 400 ? 'refused' : 'ok'
}

/** outcomesInWords counts: "14 failed, 3 answered after an error". */
export function outcomesInWords(traces: readonly Pick<TraceSummary, 'status' | 'errors'>[]): string {
  const of = (outcome: Outcome) => traces.filter((t) => outcomeOf(t) === outcome).length
  const failed = of('failed')
  const caught = of('caught')
  return `${failed === 0 ? 'none failed' : `${count(failed)} failed`}${caught === 0 ? '' : `, ${count(caught)} answered after an error`}`
}
