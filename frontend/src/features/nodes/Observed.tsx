import { useObserved } from '@/api/nodes'
import type { ObservedNode } from '@/api/types'
import { plural, span } from '@/lib/format'
import { secondsSince, stamp } from '@/lib/time'
import { useNow } from '@/api/live-context'
import { useFoot } from '@/lib/shell'
import { EmptyState } from '@/ui/EmptyState'
import { HealthGlyph } from '@/ui/Health'
import { Skeleton } from '@/ui/Skeleton'
import { tableClass } from '@/ui/Table'
import { Trouble } from '@/ui/Trouble'
import styles from './Observed.module.css'
import { STATE_ORDER, STATES } from './states'

/** What other control planes and proxies say of their nodes; nothing is ever told to these. */
export function Observed() {
  const { data, error, refetch } = useObserved()
  useFoot(data ? `${plural(data.nodes.length, 'node')} of ${plural(data.sources.length, 'source')}` : '', '')
  if (!data) {
    if (!error) return <Skeleton rows={8} label="Loading observed nodes" />
    return <Trouble title="Observed nodes cannot be shown" error={error} retry={refetch} />
  }
  const broken = data.sources.filter((s) => s.error)
  const nodes = [...data.nodes].sort((a, b) => STATE_ORDER.indexOf(a.state) - STATE_ORDER.indexOf(b.state) || a.id.localeCompare(b.id))
  return (
    // oxlint-disable-next-line jsx-a11y/no-noninteractive-tabindex
    <div className={styles.observed} role="region" aria-label="Observed nodes" tabIndex={0}>
      {broken.map((s) => (
        <p key={s.url} className="warn-t">
          <span className="mono">{s.url}</span> cannot be read: {s.error}
        </p>
      ))}
      {nodes.length === 0 ? (
        <EmptyState title="No node is observed" why="The sources of --observe were read, and know no proxy yet." />
      ) : (
        <table className={tableClass}>
          <thead>
            <tr>
              {['Node', 'State', 'Since', 'Version', 'Why', 'Source'].map((h) => (
                <th key={h} scope="col">
                  {h}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {nodes.map((n) => (
              <Row key={`${n.source} ${n.id}`} node={n} />
            ))}
          </tbody>
        </table>
      )}
    </div>
  )
}

function Row({ node: n }: { node: ObservedNode }) {
  const now = useNow(1000)
  const look = STATES[n.state]
  return (
    <tr>
      <th scope="row">
        <HealthGlyph state={look.health} size={13} decorative /> {n.id}
      </th>
      <td>{look.word}</td>
      <td title={stamp(n.since)}>{span(secondsSince(n.since, now))}</td>
      <td className="mono">{n.version ?? ''}</td>
      <td className="t2">{n.reason}</td>
      <td className="t3 mono">{n.source}</td>
    </tr>
  )
}
