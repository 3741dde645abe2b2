import { Link } from '@tanstack/react-router'
import { Fragment } from 'react'
import { useService } from '@/api/inventory'
import { useNodes } from '@/api/nodes'
import type { GraphEdge, GraphNode } from '@/api/types'
import { count, plural } from '@/lib/format'
import { buttonClass } from '@/ui/Button'
import { HealthGlyph, nodeHealth } from '@/ui/Health'
import { Section } from '@/ui/Panel'
import styles from './NodePanel.module.css'

/** What makes this edge what it is: the objects, what becomes of a request, and what both ends run. */
export function EdgeConfig({ edge, source, target }: { edge: GraphEdge; source: GraphNode | undefined; target: GraphNode | undefined }) {
  return (
    <>
      {edge.service ? <Objects host={edge.service.host} caller={source?.kind === 'workload' ? `${source.namespace}/${source.name}` : undefined} /> : <p className="t3">Several services, or none by name: choose the level Workload.</p>}
      {source?.meshed ? <Sidecars node={source} title={`Sidecars of ${source.name}`} /> : null}
      {target?.meshed ? <Sidecars node={target} title={`Sidecars of ${target.name}`} /> : null}
    </>
  )
}

/** The objects that speak of a service, and the way to what they do with a request. */
export function Objects({ host, caller }: { host: string; caller?: string }) {
  const { data, error } = useService(host)
  const port = data?.ports.find((p) => p.protocol !== 'tcp')?.number
  return (
    <Section title="Objects" note={data ? plural(data.objects.length, 'object') : ''}>
      {error ? <p className="t2">{error.message}</p> : null}
      {data && data.objects.length === 0 ? <p className="t3">No object says anything of {host}: defaults hold.</p> : null}
      <ul>
        {data?.objects.map((o) => (
          <li key={o}>
            <Link to="/config/$" params={{ _splat: o.replace(' ', '/') }}>
              {o}
            </Link>
          </li>
        ))}
      </ul>
      {port === undefined ? null : (
        <p className={styles.explain}>
          <Link to="/config/$" params={{ _splat: 'explain' }} search={{ url: `http://${host}:${port}/`, caller: caller ?? '' } as never} className={buttonClass('line', true)}>
            Explain a request
          </Link>
        </p>
      )}
    </Section>
  )
}

/** The configuration of a workload's sidecars, each with its own state. */
export function Sidecars({ node, title = 'Sidecars' }: { node: GraphNode; title?: string }) {
  const { data } = useNodes()
  const own = (data?.nodes ?? []).filter((n) => n.workload.namespace === node.namespace && n.workload.name === node.name)
  return (
    <Section title={title} help="sidecars" note={data?.desired ? `desired rev ${count(data.desired.number)}` : ''}>
      {data !== null && own.length === 0 ? <p className="t3">No sidecar of this workload has asked for configuration.</p> : null}
      <table className={styles.edges}>
        <tbody>
          {own.map((n) => (
            <Fragment key={n.id}>
            <tr>
              <td className={styles.peer}>
                <HealthGlyph state={nodeHealth[n.state]} size={12} decorative />
                <Link to="/nodes/{-$nodeId}" params={{ nodeId: n.id }} className="cut">
                  {n.id}
                </Link>
              </td>
              <td>{n.state}</td>
              <td className="t3">{n.build}</td>
              <td className="num">{n.revision === 0 ? 'none' : `rev ${count(n.revision)}`}</td>
            </tr>
            {n.state === 'synced' ? null : (
              <tr>
                <td colSpan={4} className={styles.reason}>
                  {n.reason}
                </td>
              </tr>
            )}
            </Fragment>
          ))}
        </tbody>
      </table>
    </Section>
  )
}
