import { useEffect, useRef } from 'react'
import { plural } from '@/lib/format'
import { announce } from '@/lib/shell'
import type { TapState } from './session'

/** Says that a session runs, stands still, goes on or has ended; not each request. */
export function useTapNews({ running, recording, snapshot }: TapState): void {
  const { sidecars, pausedAt } = snapshot
  const state = recording ? 'recording' : !running ? 'ended' : sidecars === null ? 'starting' : pausedAt !== null ? 'paused' : 'runs'
  const before = useRef(state)
  useEffect(() => {
    const was = before.current
    before.current = state
    if (was === state) return
    if (state === 'paused') announce('Paused. New requests are kept.')
    else if (state === 'ended') announce('The tap has ended.')
    else if (state === 'runs') announce(was === 'paused' ? 'The tap goes on.' : `The tap runs, ${plural(sidecars ?? 0, 'sidecar')} listening.`)
    // Sidecars that come and go while it runs are no news.
    // oxlint-disable-next-line react/exhaustive-deps
  }, [state])
}
