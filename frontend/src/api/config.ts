import { keepPreviousData, useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { call, get, withQuery } from './client'
import type { ConfigLineage, ConfigObjects, Explanation, Problem, Revision, RevisionDiff, RolloutState } from './types'

/** The desired configuration: objects, what is wrong, revisions, what differs, what becomes of a request. */

export const everyMs = 5000

export function useConfigObjects() {
  return useQuery<ConfigObjects>({
    queryKey: ['config-objects'],
    queryFn: ({ signal }) => get<ConfigObjects>('config/objects', {}, signal),
    refetchInterval: everyMs,
    placeholderData: keepPreviousData,
  })
}

export function useProblems() {
  return useQuery<Problem[]>({
    queryKey: ['config-problems'],
    queryFn: async ({ signal }) => (await get<{ problems: Problem[] }>('config/problems', {}, signal)).problems,
    refetchInterval: everyMs,
    placeholderData: keepPreviousData,
  })
}

export function useRevisions() {
  return useQuery<Revision[]>({
    queryKey: ['config-revisions'],
    queryFn: async ({ signal }) => (await get<{ revisions: Revision[] }>('config/revisions', { limit: 100 }, signal)).revisions,
    refetchInterval: everyMs,
    placeholderData: keepPreviousData,
  })
}

/** One object, what it became, and who has it; `path` is KIND/NAMESPACE/NAME. */
export function useLineage(path: string) {
  return useQuery<ConfigLineage>({
    queryKey: ['config-lineage', path],
    queryFn: ({ signal }) => get<ConfigLineage>(`config/objects/${path.split('/').map(encodeURIComponent).join('/')}/rollout`, {}, signal),
    refetchInterval: 2000,
  })
}

/** How two revisions differ; 0 is none, and asks nothing. */
export function useRevisionDiff(from: number, to: number) {
  return useQuery<RevisionDiff>({
    queryKey: ['config-diff', from, to],
    queryFn: ({ signal }) => get<RevisionDiff>('config/diff', { from, to }, signal),
    enabled: from > 0 && to > 0,
    staleTime: Number.POSITIVE_INFINITY,
    placeholderData: keepPreviousData,
  })
}

export type ExplainQuery = { method: string; url: string; from: string; node: string; headers: readonly string[]; revision: string }

/** What becomes of a request; null asks nothing. */
export function useExplanation(query: ExplainQuery | null) {
  return useQuery<Explanation>({
    queryKey: ['config-explain', query],
    queryFn: ({ signal }) => {
      const { headers, ...rest } = query ?? { headers: [] }
      const more = headers.map((h) => `&header=${encodeURIComponent(h)}`).join('')
      return call<Explanation>('GET', withQuery('config/explain', rest) + more, { signal })
    },
    enabled: query !== null,
    refetchInterval: 3000,
    retry: false,
    placeholderData: keepPreviousData,
  })
}

/** Writes the files back as a revision had them. */
export function useRollback() {
  const queries = useQueryClient()
  return useMutation<unknown, Error, number>({
    mutationFn: (revision) => call('POST', `config/revisions/${revision}/rollback`),
    onSuccess: () => queries.invalidateQueries({ predicate: (q) => String(q.queryKey[0]).startsWith('config-') }),
  })
}

/** How far the newest revision has gone, where not all nodes get it at once. */
export function useRollout() {
  return useQuery<RolloutState>({
    queryKey: ['config-rollout'],
    queryFn: ({ signal }) => get<RolloutState>('config/rollout', {}, signal),
    refetchInterval: 2000,
    placeholderData: keepPreviousData,
  })
}

/** Holds the roll-out where it is, for a reason, or lets all nodes have the revision. */
export function useRolloutAction(action: 'hold' | 'resume') {
  const queries = useQueryClient()
  return useMutation<unknown, Error, string>({
    mutationFn: (reason) => call('POST', withQuery(`config/rollout/${action}`, reason === '' ? {} : { reason })),
    onSuccess: () => queries.invalidateQueries({ queryKey: ['config-rollout'] }),
  })
}
