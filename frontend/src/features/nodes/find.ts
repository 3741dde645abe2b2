import type { NodeStatus } from '@/api/types'
import type { Schema } from '@/lib/expr/parse'
import { isOdd, STATE_ORDER } from './states'

/** What an expression on the Nodes page may ask of a node. */
export const nodeSchema: Schema<NodeStatus> = {
  fields: [
    { name: 'node', help: 'its id, or namespace/name of its workload', kind: 'text', get: (n) => [n.id, n.workload.name, `${n.workload.namespace}/${n.workload.name}`] },
    { name: 'namespace', help: 'of its workload', kind: 'text', get: (n) => n.workload.namespace },
    { name: 'app', help: 'of its workload', kind: 'text', get: (n) => n.workload.app ?? '' },
    { name: 'version', help: 'of its workload', kind: 'text', get: (n) => n.workload.version ?? '' },
    { name: 'state', help: 'of its configuration', kind: 'text', values: STATE_ORDER, get: (n) => n.state },
    { name: 'waits', help: 'on whom, for a change that is late', kind: 'text', values: ['control-plane', 'node'], get: (n) => n.waits_on ?? '' },
    { name: 'odd', help: 'not on the desired configuration', kind: 'bool', get: isOdd },
    { name: 'build', help: 'of the sidecar', kind: 'text', get: (n) => n.build },
    { name: 'kind', help: 'sidecar, gateway …', kind: 'text', get: (n) => n.kind },
    { name: 'connected', help: 'to the configuration port now', kind: 'bool', get: (n) => n.connected },
    { name: 'revision', help: 'that it runs', kind: 'number', get: (n) => n.revision },
    { name: 'behind', help: 'revisions that it lacks', kind: 'number', get: (n) => n.behind },
    { name: 'lag', help: 'since it should have had what it lacks: 5 s, 2 min', kind: 'number', unit: 'millis', get: (n) => n.lag_s * 1000 },
    { name: 'applied', help: 'last push to applied: 500 ms, 2 s', kind: 'number', unit: 'millis', get: (n) => n.push.applied_ms ?? 0 },
    { name: 'reason', help: 'of its state', kind: 'text', get: (n) => n.reason },
  ],
  words: (n) => [n.id, n.workload.name, n.workload.namespace, n.workload.app ?? '', n.build],
}
