import { Link } from '@tanstack/react-router'
import { useService } from '@/api/inventory'
import { useNow } from '@/api/live-context'
import type { Ejection, ServiceDetail, ServiceEndpoint } from '@/api/types'
import { cx } from '@/lib/cx'
import { count, middle, plural } from '@/lib/format'
import { Charts } from '@/panel/Charts'
import { buttonClass } from '@/ui/Button'
import { Chip } from '@/ui/Chip'
import { HealthGlyph } from '@/ui/Health'
import { EjectionTimeline } from '@/ui/EjectionTimeline'
import { Section } from '@/ui/Panel'
import styles from './Detail.module.css'
import { DetailFrame, DetailWaiting } from './DetailFrame'
import { EdgeTable } from './EdgeTable'
import { ejectionWord, serviceFinding } from './finding'
import { Facts, GoldenSignals, NewestTraces } from './parts'

/** One service: how it does, who calls it, what stands behind it, and who keeps what out. */
export function ServiceDetailPage({ host }: { host: string }) {
  const { data, error, refetch } = useService(host)
  const back = (
    <Link to="/services/{-$host}" params={{ host: undefined }}>
      All services
    </Link>
  )
  if (!data) return <DetailWaiting noun="service" name={host} error={error} retry={() => void refetch()} back={back} />
  return <Whole service={data} back={back} />
}

function Whole({ service: s, back }: { service: ServiceDetail; back: React.ReactNode }) {
  const now = useNow(1000)
  const { state } = s.health
  const bad = state === 'fail' || state === 'warn' ? state : 'data'
  return (
    <DetailFrame
      back={back}
      state={state}
      title={s.name}
      chips={
        <>
          {s.namespace === '' ? null : <Chip>{s.namespace}</Chip>}
          {s.external ? <Chip>outside the mesh</Chip> : null}
          {s.ejected > 0 ? <Chip kind="warn">{plural(s.ejected, 'endpoint')} ejected</Chip> : null}
        </>
      }
      finding={serviceFinding(s, now)}
      at={s.at}
      actions={
        <>
          <Link to="/tap" search={{ q: `service = ${s.host}` } as never} className={buttonClass('primary', true)}>
            Tap
          </Link>
          <Link to="/graph" search={{ level: 'service', focus: `${s.external ? 'external' : 'service'}:${s.host}` } as never} className={buttonClass('line', true)}>
            On the graph
          </Link>
        </>
      }
      aside={
        <>
          <Facts
            title="Service"
            rows={[
              ['Host', s.host],
              ['Ports', s.ports.map((p) => `${p.number} ${p.protocol}${p.name === '' ? '' : ` (${p.name})`}`).join(', ')],
              ['Workloads', s.workloads.length === 0 ? '' : <WorkloadLinks key="w" ids={s.workloads} />],
              ['In the mesh', s.external ? 'outside' : `${count(s.meshed)} of ${plural(s.workloads.length, 'workload')}`],
            ]}
          />
          <Objects objects={s.objects} />
          <NewestTraces search={{ service: s.name }} />
        </>
      }
    >
      <GoldenSignals traffic={s.in} series={s.rps_series} edges={s.inbound} label="Rate" bad={bad} />
      <Ejections ejections={s.ejections} />
      <EjectionTimeline log={s.ejection_log} now={Date.parse(s.at)} />
      <EdgeTable title="Called by" none="Nobody calls it in this window." edges={s.inbound} end="source" level="service" />
      <EdgeTable title="Calls" none="It calls nobody in this window." edges={s.outbound} end="target" level="service" />
      <Endpoints endpoints={s.instances} external={s.external} />
      <Charts
        uid="sidelight-service"
        titles={['Requests by answer', 'Latency', 'Error share by caller', 'Requests by workload']}
        choices={{ namespace: s.namespace === '' ? [] : [s.namespace], service: [s.name] }}
        all={{ ns: s.namespace, service: s.name }}
      />
    </DetailFrame>
  )
}

function WorkloadLinks({ ids }: { ids: readonly string[] }) {
  return ids.map((id, i) => (
    <span key={id}>
      {i > 0 ? ', ' : ''}
      <Link to="/workloads/$" params={{ _splat: id }}>
        {middle(id.slice(id.lastIndexOf('/') + 1), 32)}
      </Link>
    </span>
  ))
}

/** The objects of the configuration that make it what it is. */
export function Objects({ objects }: { objects: readonly string[] }) {
  return (
    <Section title="Configuration" note={objects.length === 0 ? '' : plural(objects.length, 'object')}>
      {objects.length === 0 ? <p className="t3">No object says anything of it: defaults hold.</p> : null}
      <ul className={styles.list}>
        {objects.map((o) => (
          <li key={o}>
            <Link to="/config/$" params={{ _splat: o.replace(' ', '/') }}>
              {o}
            </Link>
          </li>
        ))}
      </ul>
    </Section>
  )
}

/** What callers' sidecars keep out now: ejected endpoints and limits that are reached. */
export function Ejections({ ejections, title = 'Kept out by callers' }: { ejections: readonly Ejection[]; title?: string }) {
  if (ejections.length === 0) return null
  return (
    <Section title={title} help="keptOut" note="outlier detection and circuit breakers, now">
      <table className={styles.rows}>
        <tbody>
          {ejections.map((e) => (
            <tr key={`${e.node} ${e.host} ${e.subset} ${e.breaker}`}>
              <td className="fail-t strong">{ejectionWord(e)}</td>
              <td>
                {middle(e.host, 40)}
                {e.subset === '' ? '' : `, subset ${e.subset}`}
              </td>
              <td>
                <span className="t3">by </span>
                <Link to="/nodes/{-$nodeId}" params={{ nodeId: e.node }}>
                  {middle(e.node, 32)}
                </Link>
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </Section>
  )
}

function Endpoints({ endpoints, external }: { endpoints: readonly ServiceEndpoint[]; external: boolean }) {
  const shown = endpoints.slice(0, 200)
  return (
    <Section title="Endpoints" help="endpoints" note={endpoints.length > shown.length ? `${count(shown.length)} of ${count(endpoints.length)}` : count(endpoints.length)}>
      {endpoints.length === 0 ? <p className="t3">{external ? 'Resolved by name at each proxy.' : 'Nobody stands behind it: calls are answered 503 UH.'}</p> : null}
      {endpoints.length === 0 ? null : (
        <table className={styles.rows}>
          <thead>
            <tr>
              <th scope="col">Address</th>
              <th scope="col">Workload</th>
              <th scope="col" data-mid>
                Labels
              </th>
              <th scope="col" className="num">
                Weight
              </th>
              <th scope="col">Sidecar</th>
            </tr>
          </thead>
          <tbody>
            {shown.map((e) => (
              <tr key={`${e.address} ${e.workload}`}>
                <td className="mono">
                  {e.address}
                  <span className="t3">{Object.values(e.ports).map((p) => `:${p}`).join(' ')}</span>
                </td>
                <td>
                  <span className={styles.who}>
                    <HealthGlyph state={e.health.state} size={12} />
                    {e.workload === '' ? <span className="t3">unknown</span> : <WorkloadLinks ids={[e.workload]} />}
                  </span>
                </td>
                <td className={cx('t2 cut', styles.answer)} data-mid title={e.object}>
                  {Object.entries(e.labels).map(([k, v]) => `${k}=${v}`).join(', ')}
                  {e.locality ? ` ${e.locality}` : ''}
                </td>
                <td className="num">{e.weight}</td>
                <td>
                  {e.node ? (
                    <Link to="/nodes/{-$nodeId}" params={{ nodeId: e.node }} className={e.node_state === 'synced' ? 't2' : 'warn-t'}>
                      {e.node_state}
                    </Link>
                  ) : (
                    <span className={e.meshed ? 't3' : 'warn-t'}>{e.meshed ? 'not told apart' : external ? 'none' : 'no sidecar'}</span>
                  )}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </Section>
  )
}
