import { Link } from '@tanstack/react-router'
import { useTimeline } from '@/api/graph'
import { useNow } from '@/api/live-context'
import type { GraphEdge, Protocol } from '@/api/types'
import { historySeconds } from '@/graph/history'
import { edgeFinding, nodeTitle } from '@/graph/words'
import { duration, figure, percent, rateExact, text } from '@/lib/format'
import { sharedSearch, useUrlState } from '@/lib/url'
import { buttonClass } from '@/ui/Button'
import { Chip } from '@/ui/Chip'
import { Section } from '@/ui/Panel'
import { cliForEdges } from '../cli'
import { Answers } from './Answers'
import { Codes } from './Codes'
import { Connections, Sides } from './Connections'
import { EdgeConfig } from './EdgeConfig'
import { Limits } from './Limits'
import { edgeLabels } from './series'
import { Attempts } from './Tries'
import { Versions } from './Versions'
import { Cause } from './Cause'
import { Frame } from './Frame'
import { PanelMenu } from './PanelMenu'
import type { PanelProps } from './SidePanel'
import { type Signal, Signals } from '@/ui/charts/Signals'
import { KeptOut } from './KeptOut'
import { LastTaps } from './LastTaps'
import { LastTraces } from './LastTraces'
import { edgeTapFilter, edgeTraceSearch } from './links'
import { SlowTraces } from './SlowTraces'

const tabs = [
  { id: 'traffic', label: 'Traffic' },
  { id: 'codes', label: 'Codes' },
  { id: 'versions', label: 'Versions' },
  { id: 'connections', label: 'Connections' },
  { id: 'config', label: 'Config' },
] as const

const protocolWord: Record<Protocol, string> = { http: 'http', grpc: 'grpc', tcp: 'tcp' }

export function EdgePanel({ edge, model, history, tab, onTab, onSelect, onView }: PanelProps & { edge: GraphEdge }) {
  const now = useNow()
  const [{ window }] = useUrlState(sharedSearch)
  const { data: timeline } = useTimeline(window, null)
  const source = model.nodes.get(edge.source)
  const target = model.nodes.get(edge.target)
  const from = nodeTitle(model, edge.source)
  const to = nodeTitle(model, edge.target)
  const tcp = edge.protocol === 'tcp'
  const traces = edgeTraceSearch(source, target)
  return (
    <Frame
      label={`Edge from ${from} to ${to}`}
      state={edge.health.state}
      title={
        <>
          {from} <i>→</i> {to}
        </>
      }
      chips={
        <>
          <Chip>{protocolWord[edge.protocol]}</Chip>
          <Chip title={`${text(percent(edge.mtls_ratio))} of it is mutual TLS`}>{edge.mtls_ratio > 0.995 ? 'mTLS' : edge.mtls_ratio < 0.005 ? 'plaintext' : 'part mTLS'}</Chip>
        </>
      }
      finding={edgeFinding(edge, model, now)}
      cause={<Cause since={edge.health.reasons[0]?.since} />}
      tabs={tabs}
      tab={tab}
      onTab={onTab}
      onClose={() => onSelect(null)}
      actions={
        <>
          <Link to="/tap" search={{ q: edgeTapFilter(edge, source, target) }} className={buttonClass('primary')}>
            Tap this edge
          </Link>
          {tcp || traces === null ? null : (
            <Link to="/traces/{-$traceId}" params={{}} search={traces} className={buttonClass()}>
              Traces
            </Link>
          )}
          <PanelMenu cli={cliForEdges(edgeTapFilter(edge, source, target))} onFocus={() => onView({ focus: edge.target })} onTable={() => onView({ view: 'table' })} />
        </>
      }
    >
      {tab === 'codes' ? <Codes edge={edge} /> : null}
      {tab === 'connections' ? (
        <>
          <Connections edge={edge} />
          {edge.service && source?.meshed ? <Limits host={edge.service.host} caller={source} /> : null}
        </>
      ) : null}
      {tab === 'versions' ? <Versions edge={edge} model={model} onSelect={onSelect} /> : null}
      {tab === 'config' ? <EdgeConfig edge={edge} source={source} target={target} /> : null}
      {tab === 'traffic' ? (
        <>
          <Section title="Golden signals" help="signals">
            <Signals rows={signalsOf(edge, history.of(edge.id, now))} now={now} seconds={historySeconds} markers={timeline?.markers ?? []} />
          </Section>
          <Answers edge={edge} from={from} to={to} />
          <Attempts edge={edge} labels={edgeLabels(edge, source, target)} />
          {edge.service && source?.kind === 'workload' ? <KeptOut host={edge.service.host} caller={`${source.namespace}/${source.name}`} /> : null}
          {edge.weight && edge.client_side ? (
            <Section title="Split" help="split" note="share of the route's requests">
              <p className="t2">
                Configured {text(percent(edge.weight.configured))}, gets <b className="strong">{text(percent(edge.weight.actual))}</b>.
              </p>
            </Section>
          ) : null}
          <Sides edge={edge} from={from} to={to} />
          <LastTaps filter={edgeTapFilter(edge, source, target)} />
          {tcp || traces === null ? null : <SlowTraces search={traces} />}
          {tcp || traces === null ? null : <LastTraces search={traces} />}
        </>
      ) : null}
    </Frame>
  )
}

/** Rate, errors and p95 on one time axis, each with its bound or its neighbours. */
function signalsOf(edge: GraphEdge, p95: readonly (number | null)[]): Signal[] {
  const bad = edge.health.state === 'fail' || edge.health.state === 'warn' ? edge.health.state : 'data'
  const ratios = edge.rps_series.map((rps, i) => (rps > 0 ? (edge.error_series[i] ?? 0) / rps : 0))
  const most = (list: readonly (number | null)[]) => Math.max(0, ...list.map((v) => v ?? 0))
  const rows: Signal[] = [
    { label: 'Rate', now: rateExact(edge.rps), tone: 'data', series: edge.rps_series, note: `most ${figure(most(edge.rps_series))}` },
  ]
  if (edge.protocol === 'tcp') return rows
  rows.push({
    label: 'Errors',
    now: percent(edge.error_ratio),
    tone: edge.error_ratio >= 0.005 ? bad : 'data',
    series: ratios,
    max: 0.05,
    note: `most ${text(percent(most(ratios)))}`,
  })
  rows.push({
    label: 'p95',
    now: duration(edge.p95_ms),
    tone: edge.health.reasons.some((r) => r.code.includes('latency')) ? bad : 'data',
    series: p95,
    note: `p50 ${text(duration(edge.p50_ms))}`,
  })
  return rows
}
