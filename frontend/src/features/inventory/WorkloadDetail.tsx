import { Link } from '@tanstack/react-router'
import { useWorkload } from '@/api/inventory'
import { useNow } from '@/api/live-context'
import type { Proxy, WorkloadDetail } from '@/api/types'
import { bytes, count, duration, figure, middle, plural, span, text } from '@/lib/format'
import { secondsSince } from '@/lib/time'
import { Charts } from '@/panel/Charts'
import { buttonClass } from '@/ui/Button'
import { Chip } from '@/ui/Chip'
import { HealthGlyph, nodeHealth } from '@/ui/Health'
import { Section } from '@/ui/Panel'
import styles from './Detail.module.css'
import { DetailFrame, DetailWaiting } from './DetailFrame'
import { EdgeTable } from './EdgeTable'
import { workloadFinding } from './finding'
import { Facts, GoldenSignals, NewestTraces } from './parts'
import { Ejections } from './ServiceDetail'

/** One workload: how it does, whom it talks to, what its sidecars run and take. */
export function WorkloadDetailPage({ id }: { id: string }) {
  const { data, error, refetch } = useWorkload(id)
  const back = (
    <Link to="/workloads/$" params={{ _splat: '' }}>
      All workloads
    </Link>
  )
  if (!data) return <DetailWaiting noun="workload" name={id} error={error} retry={() => void refetch()} back={back} />
  return <Whole workload={data} back={back} />
}

function Whole({ workload: w, back }: { workload: WorkloadDetail; back: React.ReactNode }) {
  const now = useNow(1000)
  const { state } = w.health
  const bad = state === 'fail' || state === 'warn' ? state : 'data'
  const called = w.in.rps > 0 || w.out.rps === 0
  const name = `${w.namespace}/${w.name}`
  return (
    <DetailFrame
      back={back}
      state={state}
      title={w.name}
      chips={
        <>
          {w.namespace === '' ? null : <Chip>{w.namespace}</Chip>}
          {w.version ? <Chip>{w.version}</Chip> : null}
          {w.meshed ? null : <Chip kind="warn">no sidecar</Chip>}
          {w.config && w.config.behind > 0 ? <Chip kind="warn">{plural(w.config.behind, 'revision')} behind</Chip> : null}
        </>
      }
      finding={workloadFinding(w, now)}
      at={w.at}
      actions={
        <>
          <Link to="/tap" search={{ q: `workload = ${name}` } as never} className={buttonClass('primary', true)}>
            Tap
          </Link>
          <Link to="/graph" search={{ focus: w.id, sel: w.id } as never} className={buttonClass('line', true)}>
            On the graph
          </Link>
          <Link to="/traces/{-$traceId}" params={{}} search={{ workload: name } as never} className={buttonClass('line', true)}>
            Traces
          </Link>
        </>
      }
      aside={
        <>
          <Facts
            title="Workload"
            rows={[
              ['Cluster', w.cluster ?? ''],
              ['App', w.app ?? ''],
              ['Instances', count(w.instances)],
              ['Behind', w.services.length === 0 ? 'no service' : <ServiceLinks key="s" hosts={w.services} />],
            ]}
          />
          <Cost workload={w} />
          <NotHeld workload={w} />
          <NewestTraces search={{ workload: name }} />
        </>
      }
    >
      <GoldenSignals traffic={called ? w.in : w.out} series={w.rps_series} edges={called ? w.inbound : w.outbound} label={called ? 'Rate in' : 'Rate out'} bad={bad} />
      <Ejections ejections={w.ejecting} title="Kept out by its own sidecars" />
      <EdgeTable title="Called by" none="Nobody calls it in this window." edges={w.inbound} end="source" level="workload" />
      <EdgeTable title="Calls" none="It calls nobody in this window." edges={w.outbound} end="target" level="workload" />
      <Sidecars proxies={w.proxies} now={now} />
      {w.meshed ? (
        <Charts
          uid="sidelight-workload"
          titles={['Inbound by answer', 'Inbound latency', 'Outbound error share', 'CPU of its sidecars']}
          choices={{ namespace: [w.namespace], workload: [w.name] }}
          all={{ ns: w.namespace, workload: w.name }}
        />
      ) : null}
    </DetailFrame>
  )
}

function ServiceLinks({ hosts }: { hosts: readonly string[] }) {
  return hosts.map((host, i) => (
    <span key={host}>
      {i > 0 ? ', ' : ''}
      <Link to="/services/{-$host}" params={{ host }}>
        {middle(host, 40)}
      </Link>
    </span>
  ))
}

function Cost({ workload: { cost } }: { workload: WorkloadDetail }) {
  if (cost.proxies === 0) return null
  return (
    <Facts
      title="What its sidecars take"
      rows={[
        ['CPU', `${figure(cost.cpu_cores)} cores${cost.cpu_us_per_request === null ? '' : `, ${text(duration(cost.cpu_us_per_request / 1000))} a request`}`],
        ['Memory', text(bytes(cost.memory_bytes))],
        ['Added latency', cost.added_p50_ms === null ? '' : `p50 ${text(duration(cost.added_p50_ms))}, p99 ${text(duration(cost.added_p99_ms))}`],
      ]}
    />
  )
}

/** Policies that nobody carries out for it. */
function NotHeld({ workload: w }: { workload: WorkloadDetail }) {
  if (w.not_held.length === 0) return null
  return (
    <Section title="Policies that do not hold" note={count(w.not_held.length)}>
      <ul className={styles.list}>
        {w.not_held.map((p) => (
          <li key={`${p.object} ${p.text}`}>
            <b className="warn-t">{p.object}</b> <span className="t2">{p.text}</span>
          </li>
        ))}
      </ul>
    </Section>
  )
}

function Sidecars({ proxies, now }: { proxies: readonly Proxy[]; now: number }) {
  return (
    <Section title="Sidecars" help="sidecars" note={proxies.length === 0 ? '' : count(proxies.length)}>
      {proxies.length === 0 ? <p className="t3">No sidecar of it has asked for configuration.</p> : null}
      {proxies.length === 0 ? null : (
        <table className={styles.rows}>
          <thead>
            <tr>
              <th scope="col">Node</th>
              <th scope="col">State</th>
              <th scope="col" className="num">
                Runs
              </th>
              <th scope="col" data-mid>
                Build
              </th>
              <th scope="col" className="num" data-mid>
                CPU, memory
              </th>
            </tr>
          </thead>
          <tbody>
            {proxies.map((p) => (
              <tr key={p.id} title={p.reason}>
                <td>
                  <span className={styles.who}>
                    <HealthGlyph state={nodeHealth[p.state]} size={12} decorative />
                    <Link to="/nodes/{-$nodeId}" params={{ nodeId: p.id }} className="cut">
                      {middle(p.id, 34)}
                    </Link>
                  </span>
                </td>
                <td className={nodeHealth[p.state] === 'fail' ? 'fail-t' : nodeHealth[p.state] === 'warn' ? 'warn-t' : 't2'}>
                  {p.state} for {span(secondsSince(p.since, now))}
                </td>
                <td className="num">
                  {p.revision === 0 ? 'none' : `rev ${count(p.revision)}`}
                  {p.behind > 0 ? <span className="warn-t"> {count(p.behind)} behind</span> : null}
                </td>
                <td className="t2" data-mid>
                  {p.build}
                </td>
                <td className="num t2" data-mid>
                  {p.cost.proxies === 0 ? '–' : `${figure(p.cost.cpu_cores)} cores, ${text(bytes(p.cost.memory_bytes))}`}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </Section>
  )
}
