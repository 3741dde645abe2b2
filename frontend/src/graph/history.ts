import type { GraphView } from '@/api/types'

/**
 * The last minute of what frames carry only as one figure: p95 of each edge
 * and node, one value a second, kept in this page.
 */
export const historySeconds = 60

type Series = { second: number; values: (number | null)[] }

export class History {
  private readonly series = new Map<string, Series>()

  record(view: Pick<GraphView, 'nodes' | 'edges'>, atMs: number): void {
    const second = Math.floor(atMs / 1000)
    for (const edge of view.edges) this.put(edge.id, second, edge.p95_ms)
    for (const node of view.nodes) this.put(node.id, second, node.in.rps > 0 ? node.in.p95_ms : node.out.p95_ms)
    for (const [id, s] of this.series) if (second - s.second > historySeconds) this.series.delete(id)
  }

  /** Sixty values up to the given moment, oldest first; null where nothing is known. */
  of(id: string, atMs: number): (number | null)[] {
    const s = this.series.get(id)
    const behind = s ? Math.max(0, Math.floor(atMs / 1000) - s.second) : historySeconds
    const known = s?.values ?? []
    const out: (number | null)[] = []
    for (let i = historySeconds - 1; i >= 0; i--) out.push(i < behind ? null : (known[known.length - 1 - (i - behind)] ?? null))
    return out
  }

  private put(id: string, second: number, value: number | null): void {
    const s = this.series.get(id) ?? { second: second - 1, values: [] }
    if (second < s.second) return
    if (second === s.second) s.values[s.values.length - 1] = value
    else {
      for (let gap = Math.min(historySeconds, second - s.second - 1); gap > 0; gap--) s.values.push(null)
      s.values.push(value)
      if (s.values.length > historySeconds) s.values.splice(0, s.values.length - historySeconds)
    }
    s.second = second
    this.series.set(id, s)
  }
}
