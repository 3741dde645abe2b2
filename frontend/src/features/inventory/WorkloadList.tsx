import { Link } from '@tanstack/react-router'
import { useWorkloads } from '@/api/inventory'
import type { WorkloadItem } from '@/api/types'
import type { Schema } from '@/lib/expr/parse'
import { bytes, count, figure, middle, plural } from '@/lib/format'
import { healthRank, nodeHealth } from '@/ui/Health'
import { type Column, golden, health, lastMinute, Name, rateOf, sharedFields } from './columns'
import { List } from './List'

/** What a workload is judged by: what comes in, else what goes out. */
const lead = (w: WorkloadItem) => (w.in.rps > 0 ? w.in : w.out)

/** The path of a workload's own page. */
export function workloadPath(w: { cluster?: string; namespace: string; name: string }): string {
  return [w.cluster, w.namespace, w.name].filter(Boolean).join('/')
}

const columns: readonly Column<WorkloadItem>[] = [
  {
    name: 'name', head: 'Workload', sort: (w) => w.name,
    cell: (w) => (
      <Name state={w.health.state}>
        <Link to="/workloads/$" params={{ _splat: workloadPath(w) }} className="cut" title={w.name}>
          {middle(w.name, 40)}
        </Link>
        {w.version && !w.name.endsWith(w.version) ? <span className="t3 t11">{middle(w.version, 14)}</span> : null}
      </Name>
    ),
  },
  { name: 'namespace', head: 'Namespace', sort: (w) => w.namespace, cell: (w) => middle(w.namespace, 24), tone: () => 't2' },
  health(),
  { name: 'instances', head: 'Instances', num: true, sort: (w) => w.instances, cell: (w) => count(w.instances), tone: () => 'num' },
  { name: 'config', head: 'Configuration', sort: (w) => (w.config ? healthRank[nodeHealth[w.config.state]] : 9), cell: configWord },
  rateOf('in', 'Rate in', (w) => w.in),
  rateOf('out', 'Rate out', (w) => w.out),
  lastMinute(),
  ...golden(lead),
  {
    name: 'cpu', head: 'Sidecar', num: true, sort: (w) => w.cost.cpu_cores, tone: () => 'num t2',
    cell: (w) => (w.cost.proxies === 0 ? <span className="t3">{w.meshed ? '–' : 'none'}</span> : `${figure(w.cost.cpu_cores)} cores, ${bytes(w.cost.memory_bytes).value} ${bytes(w.cost.memory_bytes).unit}`),
  },
]

function configWord({ config, meshed }: WorkloadItem) {
  if (!meshed) return <span className="warn-t">no sidecar</span>
  if (!config) return <span className="t3">own</span>
  const state = nodeHealth[config.state]
  return (
    <span className={state === 'fail' ? 'fail-t' : state === 'warn' ? 'warn-t' : 't2'}>
      {config.state}
      {config.behind > 0 ? `, ${count(config.behind)} behind` : ''}
    </span>
  )
}

const workloadSchema: Schema<WorkloadItem> = {
  fields: [
    ...sharedFields(lead),
    { name: 'app', help: 'its app', kind: 'text', get: (w) => w.app ?? '' },
    { name: 'version', help: 'its version', kind: 'text', get: (w) => w.version ?? '' },
    { name: 'service', aliases: ['svc'], help: 'that it stands behind: host', kind: 'text', get: (w) => w.services },
    { name: 'instances', help: 'how many there are', kind: 'number', get: (w) => w.instances },
    { name: 'config', help: 'configuration state: synced, stale, rejected …', kind: 'text', values: Object.keys(nodeHealth), get: (w) => w.config?.state ?? '' },
    { name: 'revision', aliases: ['rev'], help: 'configuration revision that it runs', kind: 'number', get: (w) => w.config?.revision ?? 0 },
    { name: 'behind', help: 'revisions that it lacks', kind: 'number', get: (w) => w.config?.behind ?? 0 },
    { name: 'meshed', aliases: ['sidecar', 'sc'], help: 'has a sidecar', kind: 'bool', get: (w) => w.meshed },
    { name: 'gateway', help: 'a gateway', kind: 'bool', get: (w) => w.gateway === true },
    { name: 'cpu', help: 'cores that its sidecars take', kind: 'number', get: (w) => w.cost.cpu_cores },
    { name: 'memory', help: 'that its sidecars take: 40 MB', kind: 'number', unit: 'bytes', get: (w) => w.cost.memory_bytes },
  ],
  words: (w) => [w.name, w.namespace, w.app ?? '', w.version ?? '', w.health.state, w.meshed ? '' : 'no sidecar', w.config?.state ?? ''],
}

/** Every workload that was seen or is registered, with and without a sidecar. */
export function WorkloadList() {
  return (
    <List
      noun="workload"
      query={useWorkloads()}
      columns={columns}
      schema={workloadSchema}
      placeholder="not meshed or behind > 0"
      facts={(all) => {
        const bare = all.filter((w) => !w.meshed).length
        const behind = all.filter((w) => (w.config?.behind ?? 0) > 0).length
        return [
          plural(all.reduce((n, w) => n + w.instances, 0), 'instance'),
          bare > 0 ? `${count(bare)} without sidecar` : 'all with a sidecar',
          behind > 0 ? `${count(behind)} behind in configuration` : '',
        ].filter(Boolean).join(', ')
      }}
      empty="A workload shows with its first request through a sidecar. Start the demo with sidelight demo, or a sidecar with sidelight proxy."
    />
  )
}
