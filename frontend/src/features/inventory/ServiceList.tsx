import { Link } from '@tanstack/react-router'
import { useServices } from '@/api/inventory'
import type { ServiceItem } from '@/api/types'
import type { Schema } from '@/lib/expr/parse'
import { cx } from '@/lib/cx'
import { count, middle, plural } from '@/lib/format'
import { type Column, golden, health, lastMinute, Name, rateOf, sharedFields } from './columns'
import { List } from './List'

const columns: readonly Column<ServiceItem>[] = [
  {
    name: 'name', head: 'Service', sort: (s) => s.name,
    cell: (s) => (
      <Name state={s.health.state}>
        <Link to="/services/{-$host}" params={{ host: s.host }} title={s.host} className="cut">
          {middle(s.name, 40)}
        </Link>
      </Name>
    ),
  },
  { name: 'namespace', head: 'Namespace', sort: (s) => s.namespace, cell: (s) => middle(s.namespace, 24) || (s.external ? 'outside' : ''), tone: () => 't2' },
  health(),
  { name: 'ports', head: 'Ports', cell: (s) => s.ports.map((p) => `${p.number} ${p.protocol}`).join(', '), tone: () => 't2' },
  {
    name: 'endpoints', head: 'Endpoints', num: true, sort: (s) => s.endpoints, tone: () => 'num',
    cell: (s) => (
      <>
        {count(s.endpoints)}
        {s.ejected > 0 ? <span className="warn-t"> {count(s.ejected)} ejected</span> : null}
      </>
    ),
  },
  {
    name: 'meshed', head: 'In the mesh', num: true, sort: (s) => s.workloads.length - s.meshed,
    cell: (s) => (s.external ? 'outside' : `${count(s.meshed)} of ${count(s.workloads.length)}`),
    tone: (s) => cx('num', s.meshed < s.workloads.length ? 'warn-t' : 't3'),
  },
  rateOf('rps', 'Rate in', (s) => s.in),
  lastMinute(),
  ...golden<ServiceItem>((s) => s.in),
]

export const serviceSchema: Schema<ServiceItem> = {
  fields: [
    ...sharedFields<ServiceItem>((s) => s.in),
    { name: 'host', help: 'what callers call it', kind: 'text', get: (s) => s.host },
    { name: 'workload', help: 'behind it: namespace/name', kind: 'text', get: (s) => s.workloads },
    { name: 'object', help: 'configuration object that speaks of it', kind: 'text', get: (s) => s.objects },
    { name: 'protocol', help: 'of a port: http, grpc or tcp', kind: 'text', values: ['http', 'grpc', 'tcp'], get: (s) => s.ports.map((p) => p.protocol) },
    { name: 'endpoints', help: 'how many it has', kind: 'number', get: (s) => s.endpoints },
    { name: 'ejected', help: 'endpoints that callers have taken out', kind: 'number', get: (s) => s.ejected },
    { name: 'meshed', help: 'all workloads behind it have a sidecar', kind: 'bool', get: (s) => s.meshed === s.workloads.length && !s.external },
    { name: 'external', help: 'outside the mesh', kind: 'bool', get: (s) => s.external },
  ],
  words: (s) => [s.name, s.namespace, s.host, s.health.state],
}

/** Every service that the registry knows, the failing first, with the reason. */
export function ServiceList() {
  return (
    <List
      noun="service"
      query={useServices()}
      columns={columns}
      schema={serviceSchema}
      placeholder="errors > 1 % or ejected > 0"
      facts={(all) => {
        const ejected = all.reduce((n, s) => n + s.ejected, 0)
        return [
          plural(all.reduce((n, s) => n + s.endpoints, 0), 'endpoint'),
          ejected > 0 ? `${plural(ejected, 'endpoint')} ejected` : '',
          `${count(all.filter((s) => s.external).length)} outside the mesh`,
        ].filter(Boolean).join(', ')
      }}
      empty="Services come from the registry: ServiceEntry objects, and the services of connected sidecars. Apply one, or start a sidecar."
    />
  )
}
