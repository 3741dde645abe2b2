import type { NodeStatus } from '@/api/types'
import type { Schema } from './expression'
import { isOdd, STATE_ORDER } from './states'

const TIME = { ms: 0.001, s: 1, m: 60, min: 60, h: 3600, d: 86_400 }

/** What an expression on the Nodes page may ask of a node. */
export const nodeSchema: Schema<NodeStatus> = {
  fields: [
    { name: 'node', help: 'its id, or namespace/name of its workload', kind: 'text', get: (n) => [n.id, n.workload.name, `${n.workload.namespace}/${n.workload.name}`] },
    { name: 'namespace', help: 'of its workload', kind: 'text', get: (n) => n.workload.namespace },
    { name: 'app', help: 'of its workload', kind: 'text', get: (n) => n.workload.app ?? '' },
    { name: 'version', help: 'of its workload', kind: 'text', get: (n) => n.workload.version ?? '' },
    { name: 'state', help: 'of its configuration', kind: 'text', values: STATE_ORDER, get: (n) => n.state },
    { name: 'odd', help: 'not on the desired configuration', kind: 'bool', get: isOdd },
    { name: 'build', help: 'of the sidecar', kind: 'text', get: (n) => n.build },
    { name: 'kind', help: 'sidecar, gateway …', kind: 'text', get: (n) => n.kind },
    { name: 'connected', help: 'to the configuration port now', kind: 'bool', get: (n) => n.connected },
    { name: 'revision', help: 'that it runs', kind: 'number', get: (n) => n.revision },
    { name: 'behind', help: 'revisions that it lacks', kind: 'number', get: (n) => n.behind },
    { name: 'lag', help: 'since it should have had what it lacks: 5 s, 2 min', kind: 'number', units: TIME, get: (n) => n.lag_s },
    { name: 'applied', help: 'last push to applied: 500 ms, 2 s', kind: 'number', units: TIME, get: (n) => (n.push.applied_ms ?? 0) / 1000 },
    { name: 'reason', help: 'of its state', kind: 'text', get: (n) => n.reason },
  ],
  words: (n) => [n.id, n.workload.name, n.workload.namespace, n.workload.app ?? '', n.build],
}
