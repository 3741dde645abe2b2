import { useEffect, useRef, useState, useSyncExternalStore } from 'react'
import { useLiveClient } from '@/api/live-context'
import type { ApiErrorBody, TapFrame } from '@/api/types'
import { TapRing } from './ring'
import type { TapSnapshot } from './ring'

export const TTL_S = 1800

export type TapParams = { filter: string; limit: number; headers: boolean }
export type TapState = {
  ring: TapRing
  snapshot: TapSnapshot
  running: boolean
  error: ApiErrorBody | null
  /** Why the server ended the session; empty while it runs or when we ended it. */
  ended: string
  /** The browser's clock when the session ends by itself. */
  endsAt: number
  start: () => void
  stop: () => void
}

/**
 * useTap holds one tap session while the page is shown. Another filter, limit
 * or choice of headers is another session and another ledger.
 */
export function useTap({ filter, limit, headers }: TapParams): TapState {
  const client = useLiveClient()
  const ring = useRef<TapRing>(null)
  ring.current ??= new TapRing()
  const own = ring.current
  const [wanted, setWanted] = useState(true)
  const [round, setRound] = useState(0)
  const [over, setOver] = useState<{ error: ApiErrorBody | null; ended: string }>({ error: null, ended: '' })

  useEffect(() => {
    if (!wanted) return
    own.clear()
    setOver({ error: null, ended: '' })
    const params = { filter, limit_per_s: limit, headers, ttl_s: TTL_S }
    return client.subscribe('tap', params, {
      event: (data) => own.push(data as TapFrame),
      gap: (lost) => own.gap(lost),
      error: (error) => setOver((o) => ({ ...o, error })),
      end: (reason) => setOver((o) => ({ ...o, ended: reason || 'ended' })),
    })
  }, [client, own, wanted, round, filter, limit, headers])

  const snapshot = useSyncExternalStore(own.subscribe, own.snapshot)
  const running = wanted && over.error === null && over.ended === ''
  return {
    ring: own,
    snapshot,
    running,
    error: over.error,
    ended: over.ended,
    endsAt: snapshot.startedAt + TTL_S * 1000,
    start: () => {
      setWanted(true)
      setRound((r) => r + 1)
    },
    stop: () => {
      own.resume()
      setWanted(false)
    },
  }
}
