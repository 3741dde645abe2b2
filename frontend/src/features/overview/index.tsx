import { useOverview } from '@/api/overview'
import type { Overview } from '@/api/types'
import { count, plural } from '@/lib/format'
import { useFindSlot, useFoot } from '@/lib/shell'
import { namespacesOf, sharedSearch, useUrlState } from '@/lib/url'
import { EmptyState } from '@/ui/EmptyState'
import { LiveView } from '@/ui/LiveView'
import { Objectives } from './Objectives'
import { Alerts, Convergence, Cost, Coverage, ErrorEdges, Namespaces } from './Aside'
import { Findings } from './Findings'
import styles from './index.module.css'
import { Services } from './Services'
import { verdict, within } from './summary'

const NO_FIELDS = [] as const

/** The Overview page: what is wrong, why, and where to look. */
export function OverviewPage() {
  const live = useOverview()
  return (
    <div className={styles.page}>
      <LiveView live={live} noun="the overview" toleratedMs={3500}>
        {(data) => <Whole of={data} />}
      </LiveView>
    </div>
  )
}

function Whole({ of: o }: { of: Overview }) {
  const [search] = useUrlState(sharedSearch)
  const chosen = namespacesOf(search.ns)
  const shown = within(o, chosen, search.q)
  useFindSlot({
    label: 'Find', placeholder: 'words of a service or namespace', fields: NO_FIELDS, error: '',
    note: search.q ? `${count(shown.services.length)} of ${plural(o.services.length, 'service')}` : plural(o.services.length, 'service'),
  })
  useFoot(`${plural(o.services.length, 'service')}, ${plural(o.coverage.workloads, 'workload')}, ${plural(o.cost.proxies, 'proxy', 'proxies')}`, '')
  if (o.services.length === 0 && o.coverage.workloads === 0 && o.findings.length === 0) {
    return (
      <EmptyState
        title="The mesh is empty"
        why="No sidecar reports and no target is scraped. Start the demo with sidelight demo, start a sidecar with sidelight proxy, or point --targets at a file of Prometheus targets."
      />
    )
  }
  return (
    <div className={styles.grid}>
      <div className={styles.main}>
        <Findings verdict={verdict(shown.services)} windowSeconds={o.window_s} totals={o.totals} findings={o.findings} />
        <Services services={shown.services} />
      </div>
      <aside className={styles.aside} aria-label="The mesh">
        <ErrorEdges edges={shown.edges} />
        <Alerts />
        <Objectives of={o.objectives.filter((s) => chosen.length === 0 || chosen.some((ns) => s.host.split('.')[1] === ns))} />
        <Convergence of={o.convergence} />
        <Namespaces namespaces={shown.namespaces} />
        <Coverage of={o.coverage} />
        <Cost of={o.cost} />
      </aside>
    </div>
  )
}
