import { useEffect } from 'react'
import { useConnection, useNow } from '@/api/live-context'
import { useFindSlot, useFoot } from '@/lib/shell'
import { count, plural, span } from '@/lib/format'
import { namespacesOf, useUrlState } from '@/lib/url'
import { Button } from '@/ui/Button'
import { EmptyState } from '@/ui/EmptyState'
import { StaleNote } from '@/ui/Stale'
import { Trouble } from '@/ui/Trouble'
import { tapFields } from './fields'
import { filterOf } from './filter'
import styles from './index.module.css'
import { Ledger } from './LedgerLine'
import { Sessions } from './Sessions'
import { useTap } from './session'
import type { TapState } from './session'
import { StateBar } from './StateBar'
import { TapList } from './TapList'
import { tapSearch } from './url'
import { useTapNews } from './useTapNews'

/** The Tap page: requests as they end, with an account of every one that is not shown. */
export function TapPage() {
  const [search, setSearch] = useUrlState(tapSearch)
  const filter = filterOf(search.q, namespacesOf(search.ns), search.side)
  const headers = search.headers === '1'
  const tap = useTap({ filter, limit: search.limit, headers })
  const now = useNow(1000)
  const { snapshot, ring } = tap
  useSpaceToPause(tap)
  useTapNews(tap)

  const invalid = tap.error?.code === 'invalid' ? tap.error : null
  useFindSlot({
    label: 'Filter', placeholder: 'from = tickets and (status >= 400 or duration > 400ms)', fields: tapFields, error: invalid?.message ?? '',
    note: snapshot.sidecars === null ? '' : `runs in ${plural(snapshot.sidecars, 'sidecar')}`,
    onEnter: true, // each filter is a session at the sidecars
  })
  useFoot(
    `batches of 100 ms, ${snapshot.sidecars === null ? 'no sidecar yet' : `${plural(snapshot.sidecars, 'sidecar')} ${snapshot.sidecars === 1 ? 'streams' : 'stream'}`}, ${plural(snapshot.rows, 'row')}`,
    'Space pause   → open   Y copy as curl',
  )

  return (
    <div className={styles.page}>
      <StateBar
        tap={tap}
        filter={filter}
        limit={search.limit}
        headers={headers}
        side={search.side}
        onSide={(side) => setSearch({ side })}
        onLimit={(limit) => setSearch({ limit })}
        onHeaders={(on) => setSearch({ headers: on ? '1' : '' })}
        onSessions={() => setSearch({ sessions: '1' })}
      />
      <Sessions open={search.sessions === '1'} onClose={() => setSearch({ sessions: '' })} />
      {tap.recording ? null : <Ledger snapshot={snapshot} now={now} endsAt={tap.endsAt} running={tap.running} />}
      <Interruption running={tap.running} />
      {snapshot.rows > 0 ? <TapList key={tap.key} ring={ring} snapshot={snapshot} filter={filter} /> : <Nothing tap={tap} now={now} filter={filter} onWiden={() => setSearch({ q: '', ns: '', side: '' })} />}
    </div>
  )
}

/** Without the socket nothing comes; the rows that came stay as they are. */
function Interruption({ running }: { running: boolean }) {
  const { state, lastFrameAt, retryAt, reason } = useConnection()
  const now = useNow(1000)
  if (!running || state === 'open' || state === 'connecting' || state === 'idle') return null
  if (state === 'paused') return null
  const next = retryAt ? `, next try in ${span(Math.max(0, (retryAt - now) / 1000))}` : ''
  return <StaleNote ageSeconds={lastFrameAt ? (now - lastFrameAt) / 1000 : 0} reason={`${reason || 'connection lost'}${next}`} />
}

function Nothing({ tap, now, filter, onWiden }: { tap: TapState; now: number; filter: string; onWiden: () => void }) {
  const { snapshot, error } = tap
  if (error?.code === 'invalid') return <EmptyState state="warn" title="The filter cannot be read" why={error.message.replace(/^tap filter: /, '')} />
  if (error) return <Trouble title="The tap did not start" error={error} retry={tap.start} />
  if (!tap.running) {
    return (
      <EmptyState title="The tap is stopped" why="Nothing is asked of the sidecars now.">
        <Button kind="primary" icon="play" onClick={tap.start}>
          Start
        </Button>
      </EmptyState>
    )
  }
  const seconds = (now - snapshot.startedAt) / 1000
  if (snapshot.sidecars === 0) return <EmptyState title="No sidecar listens" why="Sidecars are asked over their agent stream; none is connected. The Nodes page tells which ones are missing and why." />
  if (snapshot.sidecars === null || seconds < 2) return <EmptyState title="Listening" why="The filter is on its way to the sidecars." />
  return (
    <EmptyState
      title={`No request matched in ${span(seconds)}`}
      why={`${plural(snapshot.sidecars, 'sidecar')} ${snapshot.sidecars === 1 ? 'listens' : 'listen'}${snapshot.ledger.matched > 0 ? `, ${count(snapshot.ledger.matched)} matched but none arrived: see the account above` : ''}. ${filter ? 'Widen the filter, or wait for traffic.' : 'There is no traffic through them.'}`}
    >
      {filter ? <Button onClick={onWiden}>Match everything</Button> : null}
    </EmptyState>
  )
}

function useSpaceToPause({ running, ring, snapshot }: TapState): void {
  const paused = snapshot.pausedAt !== null
  useEffect(() => {
    if (!running) return
    const onKey = (e: KeyboardEvent) => {
      if (e.key !== ' ' || e.ctrlKey || e.metaKey || e.altKey) return
      // A focused control has its own meaning of Space.
      if (e.target instanceof Element && e.target.closest('input, textarea, select, button, a, [role="menu"], [contenteditable], dialog')) return
      e.preventDefault()
      if (paused) ring.resume()
      else ring.pause()
    }
    window.addEventListener('keydown', onKey)
    return () => window.removeEventListener('keydown', onKey)
  }, [running, ring, paused])
}
