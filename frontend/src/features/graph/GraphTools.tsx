import { Button } from '@/ui/Button'
import { Segmented } from '@/ui/Segmented'
import { useCanvasActions } from './canvas-actions'
import styles from './GraphTools.module.css'
import type { GraphSearch } from './url'

const levels = [
  { value: 'namespace', label: 'Namespace' },
  { value: 'service', label: 'Service' },
  { value: 'workload', label: 'Workload' },
] as const

const metrics = [
  { value: 'rate', label: 'Rate' },
  { value: 'p95', label: 'p95' },
  { value: 'errors', label: 'Errors' },
  { value: 'bytes', label: 'Bytes' },
] as const

/** What is drawn, by which measure; Tidy and the table; how much there is. */
export function GraphTools({
  url,
  setUrl,
  counts,
}: {
  url: GraphSearch
  setUrl: (patch: Partial<GraphSearch>) => void
  counts: string
}) {
  const { tidy, added } = useCanvasActions()
  const table = url.view === 'table'
  return (
    <div className={styles.tools} data-table={table} data-no-pan>
      <Segmented label="Level" value={url.level} options={levels} onChange={(level) => setUrl({ level, sel: '' })} />
      {table ? null : <Segmented label="Measure on edges" value={url.metric} options={metrics} onChange={(metric) => setUrl({ metric })} />}
      {table ? null : (
        <Button small icon="tidy" onClick={tidy} title="Lay everything out anew; pins are given up">
          Tidy{added > 0 ? <span className="t3">{added} new</span> : null}
        </Button>
      )}
      <Button small icon={table ? 'graph' : 'table'} onClick={() => setUrl({ view: table ? 'canvas' : 'table' })}>
        {table ? 'Graph' : 'Table'} <kbd>T</kbd>
      </Button>
      {url.q === '' ? null : (
        <Segmented
          label="What the expression does"
          value={url.find}
          options={[
            { value: 'find', label: 'Find', title: 'Dim what does not match' },
            { value: 'hide', label: 'Hide', title: 'Take away what matches' },
          ]}
          onChange={(find) => setUrl({ find })}
        />
      )}
      <span className={styles.counts}>{counts}</span>
    </div>
  )
}
