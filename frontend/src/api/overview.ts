import { useQuery } from '@tanstack/react-query'
import { get } from './client'
import type { Fold, Live } from './resource'
import { useLiveResource } from './resource'
import type { Inventory, NamespaceItem, Overview, Revision, ServiceItem, Status, WorkloadItem } from './types'

const fold: Fold<Overview> = {
  snapshot: (data) => data as Overview,
  delta: (_, data) => data as Overview,
}

const always = {}

export function useOverview(): Live<Overview> {
  return useLiveResource('overview', always, fold)
}

export function useStatus() {
  return useQuery<Status>({
    queryKey: ['status'],
    queryFn: ({ signal }) => get<Status>('status', {}, signal),
    refetchInterval: 5000,
  })
}

export function useNamespaces() {
  return useQuery<Inventory<NamespaceItem>>({
    queryKey: ['namespaces'],
    queryFn: ({ signal }) => get<Inventory<NamespaceItem>>('namespaces', {}, signal),
    refetchInterval: 5000,
  })
}

export function useWorkloads(enabled = true) {
  return useQuery<Inventory<WorkloadItem>>({
    queryKey: ['workloads'],
    queryFn: ({ signal }) => get<Inventory<WorkloadItem>>('workloads', {}, signal),
    enabled,
    staleTime: 5000,
  })
}

export function useServices(enabled = true) {
  return useQuery<Inventory<ServiceItem>>({
    queryKey: ['services'],
    queryFn: ({ signal }) => get<Inventory<ServiceItem>>('services', {}, signal),
    enabled,
    staleTime: 5000,
  })
}

export function useRevisions(limit = 20) {
  return useQuery<Revision[]>({
    queryKey: ['revisions', limit],
    queryFn: ({ signal }) =>
      get<{ revisions: Revision[] }>('config/revisions', { limit }, signal).then((r) => r.revisions),
    refetchInterval: 5000,
  })
}
