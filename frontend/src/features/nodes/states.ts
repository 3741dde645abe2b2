import type { HealthState, NodeState, NodeStatus } from '@/api/types'

/**
 * What each state of a node is called, how bad it is and which shape stands
 * for it. The order of the keys is worst first.
 */
type Look = {
  word: string
  health: HealthState
  /** For "3 nodes …" in a sentence. */
  verb: string
  /** What a person does next. */
  next: string
}

export const STATES: Record<NodeState, Look> = {
  rejected: { word: 'rejected', health: 'fail', verb: 'refused it', next: 'Read the refusal, then change the object or upgrade the node.' },
  stale: { word: 'stale, no ACK', health: 'warn', verb: 'did not answer', next: 'The node holds its connection but does not answer: look at its log and load.' },
  drifted: { word: 'drifted', health: 'warn', verb: 'runs something else', next: 'What it runs differs from what it acknowledged: restart it and keep its dump.' },
  disconnected: { word: 'disconnected', health: 'idle', verb: 'lost the connection', next: 'Check the process and the way to the configuration port.' },
  'never-connected': { word: 'never connected', health: 'unknown', verb: 'never connected', next: 'It is seen in traffic or discovery only: check its bootstrap and the server address.' },
  unsupported: { word: 'unsupported', health: 'unknown', verb: 'cannot take it', next: 'This build speaks no configuration protocol that we serve.' },
  slow: { word: 'slow', health: 'warn', verb: 'is slow to apply', next: 'It answers, but late: look at its CPU and at the size of what it is sent.' },
  'in-flight': { word: 'in flight', health: 'ok', verb: 'is on its way', next: 'Nothing: this takes a second or two.' },
  synced: { word: 'synced', health: 'ok', verb: 'runs it', next: '' },
}

export const STATE_ORDER = Object.keys(STATES) as NodeState[]
const RANK = new Map(STATE_ORDER.map((s, i) => [s, i]))

/** isOdd tells whether a node keeps a row of its own. */
export const isOdd = (n: NodeStatus): boolean => n.state !== 'synced'

/** worstFirst sorts by state, then by how long it has been wrong, then by name. */
export function worstFirst(a: NodeStatus, b: NodeStatus): number {
  return (RANK.get(a.state) ?? 99) - (RANK.get(b.state) ?? 99) || b.lag_s - a.lag_s || (a.id < b.id ? -1 : a.id > b.id ? 1 : 0)
}

/** oddCount is the number for the navigation: nodes not on the desired configuration. */
export function oddCount(byState: Partial<Record<NodeState, number>>): number {
  let n = 0
  for (const s of STATE_ORDER) if (s !== 'synced' && s !== 'in-flight') n += byState[s] ?? 0
  return n
}
