import type { HealthState, NodeState, NodeStatus } from '@/api/types'

/**
 * What each state of a node is called, how bad it is and which shape stands
 * for it. The order of the keys is worst first.
 */
type Look = {
  word: string
  health: HealthState
  /** What one node did, for a sentence; {t} is since when. */
  verb: string
  /** What a person does next. */
  next: string
}

export const STATES: Record<NodeState, Look> = {
  rejected: { word: 'rejected', health: 'fail', verb: 'refused it {t} ago', next: 'Read the refusal, then change the object or upgrade the node.' },
  drifted: { word: 'drifted', health: 'warn', verb: 'has run something else for {t}', next: 'What it runs differs from what it acknowledged: restart it and keep its dump.' },
  stale: { word: 'stale, no ACK', health: 'warn', verb: 'has not answered for {t}', next: 'The node holds its connection but does not answer: look at its log and load.' },
  unsupported: { word: 'unsupported', health: 'warn', verb: 'cannot take it', next: 'Its build cannot do what it was sent: upgrade the node, or keep the object from it.' },
  disconnected: { word: 'disconnected', health: 'idle', verb: 'lost its connection {t} ago', next: 'Check the process and the way to the configuration port.' },
  'never-connected': { word: 'never connected', health: 'unknown', verb: 'never connected, seen for {t}', next: 'It is seen in traffic or discovery only: check its bootstrap and the server address.' },
  slow: { word: 'slow', health: 'warn', verb: 'has been slow for {t}', next: 'It answers, but late: look at its CPU and at the size of what it is sent.' },
  'in-flight': { word: 'in flight', health: 'ok', verb: 'is taking it now', next: 'Nothing to do: this takes a second or two.' },
  synced: { word: 'synced', health: 'ok', verb: 'runs it', next: '' },
}

/** What a person does next about this node: a change that is late waits either here or there. */
export function nextOf(n: NodeStatus): string {
  if (n.waits_on === 'control-plane' && (n.state === 'slow' || n.state === 'stale'))
    return 'It waits for the control plane, which has not sent the change: look at the server’s CPU and the stage “queue”.'
  return STATES[n.state].next
}

/** The state in a few words, with who is late where somebody is. */
export function wordOf(n: NodeStatus): string {
  if (n.waits_on === 'control-plane' && n.state === 'slow') return 'slow, not sent'
  if (n.waits_on === 'control-plane' && n.state === 'stale') return 'stale, not sent'
  if (n.waits_on === 'node' && n.state === 'slow') return 'slow, no ACK'
  return STATES[n.state].word
}

export const STATE_ORDER = Object.keys(STATES) as NodeState[]
const RANK = new Map(STATE_ORDER.map((s, i) => [s, i]))

/** isOdd tells whether a node keeps a row of its own. */
export const isOdd = (n: NodeStatus): boolean => n.state !== 'synced'

/** worstFirst sorts by state, then by how long it has been wrong, then by name. */
export function worstFirst(a: NodeStatus, b: NodeStatus): number {
  return (RANK.get(a.state) ?? 99) - (RANK.get(b.state) ?? 99) || b.lag_s - a.lag_s || (a.id < b.id ? -1 : a.id > b.id ? 1 : 0)
}

export type Order = 'state' | 'node' | 'lag' | 'push'

const byId = (a: NodeStatus, b: NodeStatus) => (a.id < b.id ? -1 : a.id > b.id ? 1 : 0)

/** ORDERS are the ways to sort nodes; what was never applied is the longest push. */
export const ORDERS: Record<Order, (a: NodeStatus, b: NodeStatus) => number> = {
  state: worstFirst,
  node: byId,
  lag: (a, b) => b.lag_s - a.lag_s || byId(a, b),
  push: (a, b) => (b.push.applied_ms ?? Infinity) - (a.push.applied_ms ?? Infinity) || byId(a, b),
}
