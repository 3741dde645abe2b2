import { keepPreviousData, useQueries } from '@tanstack/react-query'
import { useMemo } from 'react'
import { windowSeconds } from '@/lib/time'
import type { Measured } from './fetch'
import { measure } from './fetch'
import type { PanelModel } from './model'
import { askFor, type Choices, type Range } from './query'

export type PanelData = {
  /** One answer per query; null until the first of each is there. */
  answers: Measured[] | null
  error: Error | null
  /** The answers are of an earlier time or choice. */
  old: boolean
}

/** The data of a panel, while somebody looks at it. */
export function usePanel(panel: PanelModel, choices: Choices, range: Range, enabled: boolean): PanelData {
  const results = useQueries({
    queries: (panel.targets ?? []).map((target) => {
      const ask = askFor(target, choices, range, windowSeconds(panel.interval ?? ''))
      return {
        queryKey: ['panel', ask.path, ask.form],
        queryFn: ({ signal }: { signal: AbortSignal }) => measure(ask, signal),
        enabled,
        placeholderData: keepPreviousData,
        // Answers of a later time are never the same: looking for what is costs more than drawing.
        structuralSharing: false,
        staleTime: range.live ? 4000 : 60_000,
        gcTime: 60_000,
        retry: 1,
      }
    }),
  })
  const data = results.map((r) => r.data)
  // One array for as long as it holds the same answers.
  // oxlint-disable-next-line react/exhaustive-deps
  const answers = useMemo(() => (data.every((d) => d !== undefined) ? data : null), data)
  return { answers, error: results.find((r) => r.error)?.error ?? null, old: results.some((r) => r.isPlaceholderData) }
}
