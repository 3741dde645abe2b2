import { useNavigate, useParams } from '@tanstack/react-router'
import { useEffect } from 'react'
import { useFindSlot } from '@/lib/shell'
import { useUrlState } from '@/lib/url'
import { ComparePage } from './ComparePage'
import { isTraceId } from './find'
import styles from './index.module.css'
import { SearchPage } from './SearchPage'
import { TracePage } from './TracePage'
import { tracesSearch } from './url'

const NO_FIELDS = [] as const

/** The Traces page: a search, or one trace when the address names one. */
export function TracesPage() {
  const { traceId } = useParams({ strict: false })
  const [{ a, b }] = useUrlState(tracesSearch)
  usePastedId()
  useFindSlot({ label: 'Find', placeholder: 'a trace ID, or words of its services and operation', note: '', fields: NO_FIELDS, error: '' })
  return <div className={styles.page}>{traceId ? <TracePage traceId={traceId} /> : a && b ? <ComparePage sides={{ a, b }} /> : <SearchPage />}</div>
}

/** An ID in the find field is a place to go to. */
function usePastedId(): void {
  const [{ q }] = useUrlState(tracesSearch)
  const navigate = useNavigate()
  useEffect(() => {
    if (!isTraceId(q)) return
    const without = ((s: Record<string, string>) => ({ ...s, q: '', span: '' })) as never
    void navigate({ to: '/traces/{-$traceId}', params: { traceId: q.trim().toLowerCase() }, search: without })
  }, [q, navigate])
}
