import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { call, get } from './client'
import type { TapRecord } from './types'

const key = ['tap-sessions']

/** Who taps and who tapped: the open sessions first, each group the newest first. */
export function useTapSessions() {
  return useQuery<TapRecord[]>({
    queryKey: key,
    queryFn: ({ signal }) => get<{ sessions: TapRecord[] }>('tap/sessions', {}, signal).then((r) => r.sessions),
    refetchInterval: 2000,
  })
}

/** Ends an open session, whoever looks; its viewer is told by whom. */
export function useStopTapSession() {
  const client = useQueryClient()
  return useMutation({
    mutationFn: (id: string) => call<void>('DELETE', `tap/sessions/${encodeURIComponent(id)}`),
    onSettled: () => client.invalidateQueries({ queryKey: key }),
  })
}
