import { useParams } from '@tanstack/react-router'
import styles from './index.module.css'
import { SearchPage } from './SearchPage'
import { TracePage } from './TracePage'

/** The Traces page: a search, or one trace when the address names one. */
export function TracesPage() {
  const { traceId } = useParams({ strict: false })
  return <div className={styles.page}>{traceId ? <TracePage traceId={traceId} /> : <SearchPage />}</div>
}
