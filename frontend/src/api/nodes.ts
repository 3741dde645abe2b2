import { useQuery } from '@tanstack/react-query'
import { get } from './client'
import { merge } from './graph'
import type { Fold, Live } from './resource'
import { useLiveResource } from './resource'
import type { NodeDetail, NodeDifference, NodesDelta, NodesView, ObservedList } from './types'

const fold: Fold<NodesView> = {
  snapshot: (data) => data as NodesView,
  delta: (before, data) => {
    const delta = data as NodesDelta
    return {
      ...before,
      nodes: merge(before.nodes, delta.nodes, delta.gone),
      desired: delta.desired,
      summary: delta.summary,
      spread: delta.spread,
      traffic: delta.traffic,
    }
  },
}

const always = {}

/** Which node runs which configuration, live. */
export function useNodes(): Live<NodesView> {
  return useLiveResource('nodes', always, fold)
}

/** One node with its resources; asked again every two seconds while open. */
export function useNode(id: string | null) {
  return useQuery<NodeDetail>({
    queryKey: ['node', id],
    queryFn: ({ signal }) => get<NodeDetail>(`nodes/${encodeURIComponent(id ?? '')}`, {}, signal),
    enabled: id !== null,
    refetchInterval: 2000,
    placeholderData: (before) => (before?.id === id ? before : undefined),
  })
}

/** What a node runs otherwise than it should; asked while wanted. */
export function useNodeDifference(id: string, wanted: boolean) {
  return useQuery<NodeDifference>({
    queryKey: ['node-diff', id],
    queryFn: ({ signal }) => get<NodeDifference>(`nodes/${encodeURIComponent(id)}/diff`, {}, signal),
    enabled: wanted,
    refetchInterval: 5000,
  })
}

/** What the sources of --observe say; asked every five seconds, as they are read. */
export function useObserved() {
  return useQuery<ObservedList>({
    queryKey: ['observed'],
    queryFn: ({ signal }) => get<ObservedList>('observed', {}, signal),
    refetchInterval: 5000,
    placeholderData: (before) => before,
  })
}
