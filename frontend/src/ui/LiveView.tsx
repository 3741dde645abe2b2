import type { ReactNode } from 'react'
import { useConnection, useLiveClient, useNow } from '@/api/live-context'
import { type Live, useStaleness } from '@/api/resource'
import { Button } from './Button'
import { EmptyState } from './EmptyState'
import { Skeleton } from './Skeleton'
import { Stale } from './Stale'
import { type Failure, Trouble } from './Trouble'

/** A live page in each of its states: loading, unreachable, refused, shown, shown and old. */
export function LiveView<T>({ live, noun, rows = 14, toleratedMs, children }: {
  live: Live<T>
  /** "the overview": as in loading it, it cannot be shown. */
  noun: string
  rows?: number
  toleratedMs?: number
  children: (data: T) => ReactNode
}) {
  const stale = useStaleness(live.receivedAt, toleratedMs)
  const { state } = useConnection()
  if (live.data === null) return <LiveWaiting noun={noun} rows={rows} error={live.error} />
  return (
    <Stale ageSeconds={stale} reason={live.error?.message ?? (state === 'open' ? 'no update comes' : 'reconnecting')}>
      {children(live.data)}
    </Stale>
  )
}

/** Before the first frame: nothing for a moment, then why there is none. */
export function LiveWaiting({ noun, rows, error }: { noun: string; rows: number; error: Failure | null }) {
  const { state, attempt, retryAt } = useConnection()
  const client = useLiveClient()
  const now = useNow()
  if (error) return <Trouble title={`${noun.charAt(0).toUpperCase()}${noun.slice(1)} cannot be shown`} error={error} retry={() => client.retryNow()} />
  if (state === 'waiting' || (state === 'connecting' && attempt > 0)) {
    const wait = Math.max(0, Math.ceil(((retryAt ?? now) - now) / 1000))
    return (
      <EmptyState state="fail" title="The server does not answer" why={`Is sidelight running, and is this page on its address? Next attempt in ${wait} s.`}>
        <Button icon="retry" onClick={() => client.retryNow()}>
          Try now
        </Button>
      </EmptyState>
    )
  }
  return <Skeleton rows={rows} label={`Loading ${noun}`} />
}
