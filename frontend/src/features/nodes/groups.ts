import type { NodeState, NodeStatus } from '@/api/types'
import { isOdd, ORDERS } from './states'
import type { Order } from './states'
import { foldLines, roomFor } from './strip'
import type { Line, Window } from './strip'

/** Item is one thing in the list of the page; the list is drawn virtually. */
export type Item =
  | { kind: 'head'; id: string; title: string; nodes: number; note: string; key: 'states' | 'tones' }
  | { kind: 'node'; id: string; node: NodeStatus; inGroup: boolean; open: boolean }
  | { kind: 'drill'; id: string; node: NodeStatus }
  | { kind: 'group'; id: string; group: Group; open: boolean }

export type Group = {
  namespace: string
  nodes: NodeStatus[]
  lines: Line[]
  slowest: NodeStatus | null
  applied_p99_ms: number | null
  builds: { build: string; nodes: number }[]
  revision: number
}

export type ListOptions = {
  match: (n: NodeStatus) => boolean
  state: NodeState | undefined
  revision: number | undefined
  open: string | null
  openGroups: ReadonlySet<string>
  order: Order
  window: Window
}

/** listItems orders what the page shows: the odd ones first, the rest by namespace. */
export function listItems(nodes: readonly NodeStatus[], o: ListOptions): { items: Item[]; matched: number } {
  const kept = nodes.filter((n) => o.match(n) && (!o.state || n.state === o.state) && (o.revision === undefined || n.revision === o.revision))
  const odd = kept.filter(isOdd).sort(ORDERS[o.order])
  const items: Item[] = []
  const row = (node: NodeStatus, inGroup: boolean) => {
    items.push({ kind: 'node', id: node.id, node, inGroup, open: o.open === node.id })
    if (o.open === node.id) items.push({ kind: 'drill', id: `drill ${node.id}`, node })
  }
  if (odd.length > 0) {
    items.push({ kind: 'head', id: 'head odd', title: 'Not on the desired configuration', nodes: odd.length, note: '', key: 'states' })
    for (const n of odd) row(n, false)
  }
  const synced = kept.filter((n) => !isOdd(n))
  if (synced.length > 0) {
    const groups = groupsOf(synced, o.window)
    items.push({ kind: 'head', id: 'head synced', title: 'On it', nodes: synced.length, note: foldNote(groups), key: 'tones' })
    for (const group of groups) {
      const open = o.openGroups.has(group.namespace) || group.nodes.some((n) => n.id === o.open)
      items.push({ kind: 'group', id: `group ${group.namespace}`, group, open })
      if (open) for (const n of o.order === 'state' ? group.nodes : [...group.nodes].sort(ORDERS[o.order])) row(n, true)
    }
  }
  return { items, matched: kept.length }
}

function groupsOf(nodes: readonly NodeStatus[], window: Window): Group[] {
  const by = new Map<string, NodeStatus[]>()
  for (const n of nodes) {
    const list = by.get(n.workload.namespace)
    if (list) list.push(n)
    else by.set(n.workload.namespace, [n])
  }
  return [...by].sort(([a], [b]) => (a < b ? -1 : 1)).map(([namespace, list]) => groupOf(namespace, list, window))
}

function groupOf(namespace: string, nodes: NodeStatus[], window: Window): Group {
  const byName = [...nodes].sort((a, b) => (a.id < b.id ? -1 : 1))
  const applied = nodes.filter((n) => n.push.applied_ms !== null).sort((a, b) => a.push.applied_ms! - b.push.applied_ms!)
  const builds = new Map<string, number>()
  for (const n of nodes) builds.set(n.build, (builds.get(n.build) ?? 0) + 1)
  return {
    namespace,
    nodes: byName,
    lines: foldLines(nodes, window, roomFor(nodes.length)).lines,
    slowest: applied[applied.length - 1] ?? null,
    applied_p99_ms: applied[Math.max(0, Math.ceil(applied.length * 0.99) - 1)]?.push.applied_ms ?? null,
    builds: [...builds].map(([build, n]) => ({ build, nodes: n })).sort((a, b) => b.nodes - a.nodes),
    revision: Math.max(...nodes.map((n) => n.revision)),
  }
}

function foldNote(groups: readonly Group[]): string {
  const lines = groups.reduce((n, g) => n + g.lines.length, 0)
  const folded = groups.reduce((n, g) => n + g.nodes.length, 0) - lines
  return folded > 0 ? `${lines} most eventful shown as one line each, ${folded} folded into them` : 'one line each'
}
