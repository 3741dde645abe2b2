import { useQuery } from '@tanstack/react-query'
import { sharedSearch, useUrlState } from '@/lib/url'
import { measure } from './fetch'

/** One series of an instant: its labels and its value then. */
export type Sample = { labels: Record<string, string>; value: number }

/** What the metric store says at the time of the page, asked anew while that is now. */
export function useInstant(query: string) {
  const [{ at }] = useUrlState(sharedSearch)
  return useQuery<Sample[]>({
    queryKey: ['instant', query, at],
    queryFn: async ({ signal }) => {
      const time = (at === '' ? Date.now() : Date.parse(at)) / 1000
      const { series } = await measure({ path: 'query', form: { query, time: time.toFixed(3) } }, signal)
      return series.map((s) => ({ labels: s.labels, value: Number(s.values[0]?.[1]) }))
    },
    refetchInterval: at === '' ? 5000 : false,
    retry: 1,
  })
}
