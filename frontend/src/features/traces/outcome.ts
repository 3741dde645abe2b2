import { type Outcome, outcomeOf } from '@/api/outcome'
import type { TraceSummary } from '@/api/types'
import { count } from '@/lib/format'

/** outcomesInWords counts: "14 failed, 3 answered after an error". */
export function outcomesInWords(traces: readonly Pick<TraceSummary, 'status' | 'errors'>[]): string {
  const of = (outcome: Outcome) => traces.filter((t) => outcomeOf(t) === outcome).length
  const failed = of('failed')
  const caught = of('caught')
  return `${failed === 0 ? 'none failed' : `${count(failed)} failed`}${caught === 0 ? '' : `, ${count(caught)} answered after an error`}`
}
