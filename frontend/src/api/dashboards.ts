import { useQuery } from '@tanstack/react-query'
import { get } from './client'
import type { DashboardItem, GrafanaStatus } from './types'

export function useDashboards() {
  return useQuery<DashboardItem[]>({
    queryKey: ['dashboards'],
    queryFn: ({ signal }) => get<{ dashboards: DashboardItem[] }>('dashboards', {}, signal).then((r) => r.dashboards),
    staleTime: Infinity,
  })
}

/** A dashboard's own file; it belongs to the build and never changes. */
export function useDashboardFile<T>(uid: string, enabled = true) {
  return useQuery<T>({
    queryKey: ['dashboards', uid],
    queryFn: ({ signal }) => get<T>(`dashboards/${encodeURIComponent(uid)}`, {}, signal),
    staleTime: Infinity,
    enabled,
  })
}

/** Whether Grafana's panels can stand in ours. Asked again, because what keeps them out is mended meanwhile. */
export function useGrafana() {
  return useQuery<GrafanaStatus>({
    queryKey: ['grafana'],
    queryFn: ({ signal }) => get<GrafanaStatus>('grafana/status', {}, signal),
    refetchInterval: (query) => (query.state.data?.state === 'off' ? false : query.state.data?.state === 'checking' ? 700 : 5000),
  })
}
