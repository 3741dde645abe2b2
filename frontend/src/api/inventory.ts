import { keepPreviousData, useQuery } from '@tanstack/react-query'
import { get } from './client'
import type { Inventory, NamespaceItem, ServiceDetail, ServiceItem, WorkloadDetail, WorkloadItem } from './types'

/** Lists and pages of what there is; asked anew while somebody looks. */

const everyMs = 5000
const detailEveryMs = 2000

export function useNamespaces() {
  return useQuery<Inventory<NamespaceItem>>({
    queryKey: ['namespaces'],
    queryFn: ({ signal }) => get<Inventory<NamespaceItem>>('namespaces', {}, signal),
    refetchInterval: everyMs,
  })
}

export function useWorkloads() {
  return useQuery<Inventory<WorkloadItem>>({
    queryKey: ['workloads'],
    queryFn: ({ signal }) => get<Inventory<WorkloadItem>>('workloads', {}, signal),
    refetchInterval: everyMs,
    placeholderData: keepPreviousData,
  })
}

export function useServices() {
  return useQuery<Inventory<ServiceItem>>({
    queryKey: ['services'],
    queryFn: ({ signal }) => get<Inventory<ServiceItem>>('services', {}, signal),
    refetchInterval: everyMs,
    placeholderData: keepPreviousData,
  })
}

/** One service with its endpoints and neighbours; null asks for none. */
export function useService(host: string | null) {
  return useQuery<ServiceDetail>({
    queryKey: ['service', host],
    queryFn: ({ signal }) => get<ServiceDetail>(`services/${encodeURIComponent(host ?? '')}`, {}, signal),
    enabled: host !== null,
    refetchInterval: detailEveryMs,
  })
}

/** One workload, by namespace/name, with its neighbours and sidecars. */
export function useWorkload(id: string | null) {
  return useQuery<WorkloadDetail>({
    queryKey: ['workload', id],
    queryFn: ({ signal }) => get<WorkloadDetail>(`workloads/${encodeURIComponent(id ?? '')}`, {}, signal),
    enabled: id !== null,
    refetchInterval: detailEveryMs,
  })
}
