import { Link } from '@tanstack/react-router'
import { useTimeline } from '@/api/graph'
import { useNow } from '@/api/live-context'
import type { GraphEdge, GraphNode } from '@/api/types'
import type { DrawnNode } from '@/graph/fold'
import { historySeconds } from '@/graph/history'
import { badgesOf, nodeFinding, nodeTitle, shortName } from '@/graph/words'
import { count, duration, figure, middle, percent, rate, rateExact, text } from '@/lib/format'
import { sharedSearch, useUrlState } from '@/lib/url'
import { buttonClass } from '@/ui/Button'
import { Chip } from '@/ui/Chip'
import { Figure } from '@/ui/Figure'
import { HealthGlyph } from '@/ui/Health'
import { Section } from '@/ui/Panel'
import { MenuItem } from '@/ui/Menu'
import { cliForEdges } from '../cli'
import { Cause } from './Cause'
import { Frame } from './Frame'
import { KeptOut } from './KeptOut'
import { Objects, Sidecars } from './EdgeConfig'
import { LastTaps } from './LastTaps'
import { LastTraces } from './LastTraces'
import { nodeTapFilter, nodeTraceSearch } from './links'
import styles from './NodePanel.module.css'
import { PanelMenu } from './PanelMenu'
import type { PanelProps } from './SidePanel'
import { type Signal, Signals } from '@/ui/charts/Signals'

const tabs = [
  { id: 'traffic', label: 'Traffic' },
  { id: 'config', label: 'Config' },
] as const

export function NodePanel({ node, model, history, stale, tab, onTab, onSelect, onView, onFold }: PanelProps & { node: DrawnNode }) {
  const now = useNow()
  const [{ window }] = useUrlState(sharedSearch)
  const { data: timeline } = useTimeline(window, null)
  const { name, version } = shortName(node)
  const incoming = model.incoming.get(node.id) ?? []
  const outgoing = model.outgoing.get(node.id) ?? []
  const traces = nodeTraceSearch(node)
  const silent = stale.filter((s) => s.node !== undefined && s.node !== '' && s.node.startsWith(node.name))
  const badges = badgesOf(node, model)
  // What callers keep out is told by service: of a workload, of those that it answers for.
  const hosts = node.kind === 'service' || node.kind === 'external' ? [node.id.slice(node.id.indexOf(':') + 1)] : [...new Set(incoming.flatMap((e) => e.service?.host ?? []))].slice(0, 2)
  return (
    <Frame
      label={`${name} ${version}`}
      state={node.health.state}
      title={
        <>
          {name} {version === '' ? null : <i>{version}</i>}
        </>
      }
      chips={
        <>
          {node.namespace === '' ? null : <Chip>{node.namespace}</Chip>}
          {badges.map((b) => (
            <Chip key={b.text} kind={b.tone}>
              {b.text}
            </Chip>
          ))}
        </>
      }
      finding={nodeFinding(node, model, now)}
      cause={<Cause since={node.health.reasons[0]?.since} />}
      note={silent.map((s) => (
        <p key={s.source} className={styles.silent}>
          {s.source} does not answer: {s.reason}
        </p>
      ))}
      tabs={node.meshed && node.kind === 'workload' ? tabs : tabs.slice(0, 1)}
      tab={tab}
      onTab={onTab}
      onClose={() => onSelect(null)}
      actions={
        <>
          <Link to="/tap" search={{ q: nodeTapFilter(node) }} className={buttonClass('primary')}>
            Tap
          </Link>
          {traces === null ? null : (
            <Link to="/traces/{-$traceId}" params={{}} search={traces} className={buttonClass()}>
              Traces
            </Link>
          )}
          <PageLink node={node} />
          <PanelMenu cli={cliForEdges(node.kind === 'namespace' ? `namespace = ${node.name}` : `${node.kind === 'workload' ? 'workload' : 'name'} = ${node.name}`)} onFocus={() => onView({ focus: node.id })} onTable={() => onView({ view: 'table' })}>
            {node.fold || model.groupOf.get(node.id)?.startsWith('namespace:') ? <MenuItem onSelect={() => onFold(node.namespace)}>{node.fold ? 'Expand' : 'Fold'} {middle(node.namespace, 24)}</MenuItem> : null}
          </PanelMenu>
        </>
      }
    >
      {tab === 'config' && node.meshed ? (
        <>
          <Sidecars node={node} />
          {hosts.map((host) => <Objects key={host} host={host} />)}
        </>
      ) : (
        <>
          <Section title="Golden signals" help="signals">
            <Signals rows={signalsOf(node, incoming.length > 0 ? incoming : outgoing, incoming.length > 0, history.of(node.id, now))} now={now} seconds={historySeconds} markers={timeline?.markers ?? []} />
          </Section>
          <Edges title="Called by" edges={incoming} other={(e) => e.source} model={model} onSelect={onSelect} />
          <Edges title="Calls" edges={outgoing} other={(e) => e.target} model={model} onSelect={onSelect} />
          {hosts.map((host) => <KeptOut key={host} host={host} />)}
          <LastTaps filter={nodeTapFilter(node)} />
          {traces === null ? null : <LastTraces search={traces} />}
        </>
      )}
    </Frame>
  )
}

/** The page of its own, where it has one. */
function PageLink({ node }: { node: DrawnNode }) {
  if (node.kind === 'workload') {
    return (
      <Link to="/workloads/$" params={{ _splat: [node.cluster, node.namespace, node.name].filter(Boolean).join('/') }} className={buttonClass()}>
        Details
      </Link>
    )
  }
  if (node.kind !== 'service' && node.kind !== 'external') return null
  return (
    <Link to="/services/{-$host}" params={{ host: node.id.slice(node.id.indexOf(':') + 1) }} className={buttonClass()}>
      Details
    </Link>
  )
}

function signalsOf(node: GraphNode, edges: GraphEdge[], called: boolean, p95: readonly (number | null)[]): Signal[] {
  const traffic = called ? node.in : node.out
  const bad = node.health.state === 'fail' || node.health.state === 'warn' ? node.health.state : 'data'
  const errors = node.rps_series.map((rps, i) => {
    const failed = edges.reduce((sum, e) => sum + (e.error_series[i] ?? 0), 0)
    return rps > 0 ? Math.min(1, failed / rps) : 0
  })
  return [
    { label: called ? 'In' : 'Out', now: rateExact(traffic.rps), tone: 'data', series: node.rps_series, note: called && node.out.rps > 0 ? `out ${figure(node.out.rps)}` : '' },
    { label: 'Errors', now: percent(traffic.error_ratio), tone: traffic.error_ratio >= 0.005 ? bad : 'data', series: errors, max: 0.05, note: '' },
    { label: 'p95', now: duration(traffic.p95_ms), tone: 'data', series: p95, note: traffic.p50_ms === null ? '' : `p50 ${text(duration(traffic.p50_ms))}` },
  ]
}

const rank = { fail: 0, warn: 1, unknown: 2, ok: 3, idle: 4 } as const

function Edges({
  title,
  edges,
  other,
  model,
  onSelect,
}: {
  title: string
  edges: GraphEdge[]
  other: (edge: GraphEdge) => string
  model: PanelProps['model']
  onSelect: (id: string) => void
}) {
  if (edges.length === 0) return null
  const sorted = edges.toSorted((a, b) => rank[a.health.state] - rank[b.health.state] || b.rps - a.rps)
  return (
    <Section title={title} note={count(edges.length)}>
      <table className={styles.edges}>
        <tbody>
          {sorted.map((edge) => (
            <tr key={edge.id}>
              <td className={styles.peer}>
                <HealthGlyph state={edge.health.state} size={12} />
                <button type="button" className="cut" onClick={() => onSelect(edge.id)}>
                  {nodeTitle(model, other(edge))}
                </button>
              </td>
              <td className="t3">{edge.protocol === 'http' ? '' : edge.protocol}</td>
              <td className="num">
                <Figure of={edge.protocol === 'tcp' ? { value: count(edge.active_connections), unit: 'conn' } : rate(edge.rps)} />
              </td>
              <td className={edge.error_ratio >= 0.005 ? `num ${edge.health.state}-t strong` : 'num t2'}>
                {edge.protocol === 'tcp' ? '' : `${percent(edge.error_ratio).value} %`}
              </td>
              <td className="num">
                <Figure of={duration(edge.p95_ms)} />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </Section>
  )
}
