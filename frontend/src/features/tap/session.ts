import { useEffect, useMemo, useState, useSyncExternalStore } from 'react'
import type { LiveClient } from '@/api/live'
import { useLiveClient } from '@/api/live-context'
import type { ApiErrorBody, TapFrame } from '@/api/types'
import { Store } from '@/lib/store'
import { readRecording } from './recording'
import type { Recording } from './recording'
import { TapRing } from './ring'
import type { TapSnapshot } from './ring'

export const TTL_S = 1800

export type TapParams = { filter: string; limit: number; headers: boolean }

/** How a session ended: by the server's word, or with an error. Both empty while it runs. */
type Outcome = { error: ApiErrorBody | null; ended: string }
const LIVE = { recording: null, refused: '' }
const RUNNING: Outcome = { error: null, ended: '' }

/** TapSession is one question to the sidecars, with its own rows and its own ledger. */
class TapSession {
  readonly ring = new TapRing()
  readonly outcome = new Store<Outcome>(RUNNING)

  constructor(
    readonly params: TapParams,
    readonly key: string,
  ) {}

  open(client: LiveClient): () => void {
    const { filter, limit, headers } = this.params
    return client.subscribe(
      'tap',
      { filter, limit_per_s: limit, headers, ttl_s: TTL_S },
      {
        event: (data) => this.ring.push(data as TapFrame),
        gap: (lost) => this.ring.gap(lost),
        error: (error) => this.outcome.set({ ...this.outcome.get(), error }),
        end: (reason) => this.outcome.set({ ...this.outcome.get(), ended: reason || 'the server ended it' }),
      },
    )
  }
}

export type TapState = {
  ring: TapRing
  snapshot: TapSnapshot
  /** Changes with each session: what a list keeps of one says nothing of the next. */
  key: string
  running: boolean
  error: ApiErrorBody | null
  /** Why the server ended the session; empty while it runs or when we ended it. */
  ended: string
  /** The browser's clock when the session ends by itself. */
  endsAt: number
  /** A file whose events are shown instead of live ones. */
  recording: Recording | null
  /** Why a file could not be opened. */
  refused: string
  open: (file: File) => void
  /** Starts a session, or another one; closes a file. */
  start: () => void
  stop: () => void
}

/**
 * useTap holds one tap session while the page is shown. Another filter, limit
 * or choice of headers is another session.
 */
export function useTap({ filter, limit, headers }: TapParams): TapState {
  const client = useLiveClient()
  const [round, setRound] = useState(0)
  const [stopped, setStopped] = useState<TapSession | null>(null)
  const [{ recording, refused }, setFile] = useState<{ recording: Recording | null; refused: string }>(LIVE)
  const session = useMemo(() => new TapSession({ filter, limit, headers }, `${round} ${limit} ${headers} ${filter}`), [filter, limit, headers, round])
  const wanted = stopped !== session && recording === null
  useEffect(() => (wanted ? session.open(client) : undefined), [client, session, wanted])

  const { outcome } = session
  const { ring, key } = recording ? { ring: recording.ring, key: recording.name } : session
  const snapshot = useSyncExternalStore(ring.subscribe, ring.snapshot)
  const { error, ended } = useSyncExternalStore(outcome.subscribe, outcome.get)
  return {
    ring,
    snapshot,
    key,
    running: wanted && error === null && ended === '',
    error: recording ? null : error,
    ended,
    endsAt: snapshot.startedAt + TTL_S * 1000,
    recording,
    refused,
    open: (file) => {
      readRecording(file).then(
        (opened) => setFile({ recording: opened, refused: '' }),
        (e: unknown) => setFile((f) => ({ ...f, refused: e instanceof Error ? e.message : String(e) })),
      )
    },
    start: () => {
      setFile(LIVE)
      setRound((r) => r + 1)
    },
    stop: () => {
      ring.resume()
      setStopped(session)
    },
  }
}
