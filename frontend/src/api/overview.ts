import { useQuery } from '@tanstack/react-query'
import { get } from './client'
import type { Fold, Live } from './resource'
import { useLiveResource } from './resource'
import type { Overview, Revision } from './types'

const fold: Fold<Overview> = {
  snapshot: (data) => data as Overview,
  delta: (_, data) => data as Overview,
}

const always = {}

export function useOverview(): Live<Overview> {
  return useLiveResource('overview', always, fold)
}

export function useRevisions(limit = 20) {
  return useQuery<Revision[]>({
    queryKey: ['revisions', limit],
    queryFn: ({ signal }) =>
      get<{ revisions: Revision[] }>('config/revisions', { limit }, signal).then((r) => r.revisions),
    refetchInterval: 5000,
  })
}
