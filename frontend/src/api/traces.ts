import { keepPreviousData, useQuery } from '@tanstack/react-query'
import { get, type Query } from './client'
import type { Comparison, Propagation, Trace, TraceSearch } from './types'

export type TraceQuery = {
  service?: string
  operation?: string
  workload?: string
  source?: string
  target?: string
  route?: string
  status?: string
  errors?: boolean
  min_ms?: string
  max_ms?: string
  from?: string
  to?: string
  limit?: number
  tag?: string
}

/** Searches traces; asked again by the caller's `everyMs`, never when false. */
export function useTraces(query: TraceQuery | null, everyMs: number | false = false) {
  return useQuery<TraceSearch>({
    queryKey: ['traces', query],
    queryFn: ({ signal }) => get<TraceSearch>('traces', (query ?? {}) as Query, signal),
    enabled: query !== null,
    refetchInterval: everyMs,
    placeholderData: keepPreviousData,
  })
}

export function useTrace(id: string | null) {
  return useQuery<Trace>({
    queryKey: ['trace', id],
    queryFn: ({ signal }) => get<Trace>(`traces/${encodeURIComponent(id ?? '')}`, {}, signal),
    enabled: id !== null,
    staleTime: 30_000,
  })
}

/** What differs between two sides: a trace's ID each, or the parameters of a search. */
export function useComparison(sides: { a: string; b: string }) {
  return useQuery<Comparison>({
    queryKey: ['trace-comparison', sides],
    queryFn: ({ signal }) => get<Comparison>('traces/compare', sides, signal),
    staleTime: 60_000,
  })
}

/** Who passes trace headers on, by the newest traces; asked again twice a minute. */
export function usePropagation() {
  return useQuery<Propagation>({
    queryKey: ['trace-propagation'],
    queryFn: ({ signal }) => get<Propagation>('traces/propagation', {}, signal),
    staleTime: 30_000,
    refetchInterval: 30_000,
  })
}

export function useTraceServices() {
  return useQuery<string[]>({
    queryKey: ['trace-services'],
    queryFn: ({ signal }) => get<{ services: string[] }>('traces/services', {}, signal).then((r) => r.services),
    staleTime: 15_000,
  })
}

export function useTraceOperations(service: string) {
  return useQuery<string[]>({
    queryKey: ['trace-operations', service],
    queryFn: ({ signal }) =>
      get<{ operations: string[] }>('traces/operations', { service }, signal).then((r) => r.operations),
    enabled: service !== '',
    staleTime: 15_000,
  })
}
