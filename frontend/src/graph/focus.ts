import type { DrawnView } from './fold'

/**
 * Only what is at most so many calls away from one node, in either direction.
 * A node that is not there focuses nothing: the whole view comes back.
 */
export function focusView<V extends Pick<DrawnView, 'nodes' | 'edges'>>(
  view: V,
  id: string | undefined,
  hops: number,
): { view: V; beyond: number; found: boolean } {
  if (id === undefined || !view.nodes.some((n) => n.id === id)) return { view, beyond: 0, found: false }
  const near = new Map<string, string[]>()
  const join = (a: string, b: string) => {
    const list = near.get(a)
    if (list) list.push(b)
    else near.set(a, [b])
  }
  for (const { source, target } of view.edges) {
    join(source, target)
    join(target, source)
  }
  const seen = new Set([id])
  let rim = [id]
  for (let hop = 0; hop < hops; hop++) {
    const next: string[] = []
    for (const at of rim) {
      for (const other of near.get(at) ?? []) {
        if (seen.has(other)) continue
        seen.add(other)
        next.push(other)
      }
    }
    rim = next
  }
  const nodes = view.nodes.filter((n) => seen.has(n.id))
  const edges = view.edges.filter((e) => seen.has(e.source) && seen.has(e.target))
  return { view: { ...view, nodes, edges }, beyond: view.nodes.length - nodes.length, found: true }
}
