import { keepPreviousData, useQuery } from '@tanstack/react-query'
import { ApiError, get } from './client'
import type { Fold, Live } from './resource'
import { useLiveResource } from './resource'
import type { GraphDelta, GraphEdge, GraphGroup, GraphNode, GraphView, Timeline } from './types'

export type GraphParams = {
  group: GraphGroup
  namespaces: string[]
  windowSeconds: number
  q: string
  /** How many nodes and edges before namespaces are folded; 0 folds none. */
  max: number
  /** Namespaces that stay open all the same. */
  open: string[]
  /** A node's id, empty for none, and how far around it. */
  focus: string
  hops: number
}

const fold: Fold<GraphView> = {
  snapshot: (data) => data as GraphView,
  delta: (before, data) => applyGraphDelta(before, data as GraphDelta),
}

/** Upserts and removals. Elements that did not change keep their identity. */
export function applyGraphDelta(before: GraphView, delta: GraphDelta): GraphView {
  return {
    ...before,
    nodes: merge<GraphNode>(before.nodes, delta.nodes, delta.gone_nodes),
    edges: merge<GraphEdge>(before.edges, delta.edges, delta.gone_edges),
    stale: delta.stale,
    totals: delta.totals,
    window_s: delta.window_s,
    matched: delta.matched,
  }
}

/** Upserts by id, then removes; untouched lists keep their identity. */
export function merge<T extends { id: string }>(before: T[], upserts: T[], gone: string[]): T[] {
  if (upserts.length === 0 && gone.length === 0) return before
  const changed = new Map(upserts.map((item) => [item.id, item]))
  const removed = new Set(gone)
  const after: T[] = []
  for (const item of before) {
    if (removed.has(item.id)) continue
    after.push(changed.get(item.id) ?? item)
    changed.delete(item.id)
  }
  for (const item of changed.values()) if (!removed.has(item.id)) after.push(item)
  return after
}

/** The graph as it is now, by the live socket; `at` asks for a past moment instead. */
export function useGraph(params: GraphParams, at: string | null): Live<GraphView> & { isPast: boolean } {
  const live = useLiveResource<GraphView>(
    'graph',
    at === null
      ? { ...shapeOf(params), namespaces: params.namespaces, expand: expandOf(params), window_s: params.windowSeconds }
      : null,
    fold,
  )
  const past = usePastGraph(params, at)
  if (at === null) return { ...live, isPast: false }
  return {
    data: past.data ?? null,
    at,
    receivedAt: past.dataUpdatedAt === 0 ? null : past.dataUpdatedAt,
    error: past.error ? { code: past.error instanceof ApiError ? past.error.code : 'unavailable', message: past.error.message, hint: past.error instanceof ApiError ? past.error.hint : '' } : null,
    lost: 0,
    isPast: true,
  }
}

/** The graph as it was at a moment, to compare another with; null asks for none. */
export function usePastGraph(params: GraphParams, at: string | null) {
  return useQuery<GraphView>({
    queryKey: ['graph', params, at],
    queryFn: ({ signal }) => fetchGraph(params, at, signal),
    enabled: at !== null,
    staleTime: Infinity,
    placeholderData: keepPreviousData,
  })
}

function fetchGraph(params: GraphParams, at: string | null, signal: AbortSignal): Promise<GraphView> {
  const { namespaces, windowSeconds } = params
  return get<GraphView>('graph', { ...shapeOf(params), namespaces: namespaces.join(','), expand: expandOf(params).join(','), window: `${windowSeconds}s`, at }, signal)
}

/** What HTTP and socket write alike. */
function shapeOf({ group, q, max, focus, hops }: GraphParams) {
  return { group, q, ...(max > 0 ? { max } : {}), ...(focus === '' ? {} : { focus, hops }) }
}

function expandOf({ open, max }: GraphParams): string[] {
  return max > 0 ? open.map((ns) => `namespace:${ns}`) : []
}

/** What is asked for while nobody has chosen a window. */
export const widestUnchosen = '30m'

/** Errors per second of the whole mesh, with what happened when. */
export function useTimeline(window: string, until: string | null) {
  const asked = window || widestUnchosen
  return useQuery<Timeline>({
    queryKey: ['timeline', asked, until],
    queryFn: ({ signal }) => get<Timeline>('timeline', { window: asked, until }, signal),
    refetchInterval: until === null ? 5000 : false,
    placeholderData: keepPreviousData,
  })
}
