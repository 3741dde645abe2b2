import { useQuery } from '@tanstack/react-query'
import { exemplars } from './fetch'
import type { ExemplarSeries } from './fetch'

/** A request that the histogram of latencies kept, with the trace that shows it. */
export type Exemplar = { traceId: string; at: number; ms: number; code: string }

const RANGE_S = 900

/** The slowest requests lately of those whose trace a sidecar noted, by the ends of an edge; the slowest first. */
export function useExemplars(ends: { source?: string; target?: string }, limit: number) {
  const query = latencyOf(ends)
  return useQuery<Exemplar[]>({
    queryKey: ['exemplars', query, limit],
    queryFn: ({ signal }) => exemplars(query, Date.now() / 1000 - RANGE_S, Date.now() / 1000, signal).then((s) => slowest(s, limit)),
    refetchInterval: 10_000,
  })
}

/** The series of latencies between two workloads, as the caller's sidecar tells them if it is known. */
export function latencyOf({ source, target }: { source?: string; target?: string }): string {
  const of = (side: string, id: string | undefined) => {
    if (!id) return []
    const cut = id.indexOf('/')
    return [`${side}_workload_namespace=${JSON.stringify(id.slice(0, cut))}`, `${side}_workload=${JSON.stringify(id.slice(cut + 1))}`]
  }
  const match = [`reporter="${source ? 'source' : 'destination'}"`, ...of('source', source), ...of('destination', target)]
  return `{__name__=~"istio_request_duration_milliseconds(_bucket)?",${match.join(',')}}`
}

/** One request may stand in several series: each trace once, as its slowest. */
export function slowest(series: readonly ExemplarSeries[], limit: number): Exemplar[] {
  const byTrace = new Map<string, Exemplar>()
  for (const { seriesLabels, exemplars: list } of series) {
    for (const e of list) {
      const traceId = e.labels.trace_id
      const ms = Number(e.value)
      if (!traceId || !Number.isFinite(ms) || (byTrace.get(traceId)?.ms ?? -1) >= ms) continue
      byTrace.set(traceId, { traceId, at: e.timestamp * 1000, ms, code: seriesLabels.response_code ?? '' })
    }
  }
  return [...byTrace.values()].toSorted((a, b) => b.ms - a.ms).slice(0, limit)
}
