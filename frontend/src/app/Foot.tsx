import { useConnection, useLiveClient, useNow } from '@/api/live-context'
import type { Connection } from '@/api/live'
import { useNodes } from '@/api/nodes'
import { cx } from '@/lib/cx'
import { count, percent, span } from '@/lib/format'
import { useShell } from '@/lib/shell'
import styles from './Foot.module.css'

/** How the page stands to its data: connection, age, and whether the mesh runs one configuration. */
export function Foot() {
  const { left, keys } = useShell((s) => s.foot)
  const connection = useConnection()
  const client = useLiveClient()
  const now = useNow()
  const age = connection.lastFrameAt === null ? null : Math.max(0, (now - connection.lastFrameAt) / 1000)
  const stale = age !== null && age > 2.5 && connection.state !== 'paused'
  return (
    <footer className={styles.foot}>
      <span className={cx(tone(connection, stale))}>
        {words(connection, now)}
        {connection.state === 'waiting' ? (
          <button type="button" className={styles.retry} onClick={() => client.retryNow()}>
            now
          </button>
        ) : null}
      </span>
      {age === null ? null : <span className={stale ? 'warn-t' : undefined}>data {age < 1 ? 'under 1\u2009s' : span(age)} old</span>}
      <Convergence />
      {left === '' ? null : <span className={styles.page}>{left}</span>}
      <span className={styles.keys}>
        {keys === '' ? null : <span>{keys}</span>}
        <span>[ rail</span>
        <span>? keys</span>
      </span>
    </footer>
  )
}

function Convergence() {
  const { data } = useNodes()
  if (!data?.desired || data.summary.nodes === 0) return null
  const desired = data.desired.number
  const { nodes } = data.summary
  // A roll-out may keep nodes at an earlier revision: they are synced with that.
  const synced = data.nodes.filter((n) => n.state === 'synced' && n.revision >= desired).length
  return (
    <span className={synced < nodes ? 'warn-t' : undefined}>
      config rev {count(desired)} on {synced === nodes ? `all ${count(nodes)} nodes` : `${percent(synced / nodes).value}\u2009% of ${count(nodes)} nodes`}
    </span>
  )
}

function tone({ state }: Connection, stale: boolean): string {
  if (state === 'open') return stale ? 'warn-t' : 'ok-t'
  return state === 'waiting' || state === 'connecting' ? 'warn-t' : ''
}

function words({ state, seq, retryAt, attempt, reason }: Connection, now: number): string {
  switch (state) {
    case 'open':
      return `connected, seq ${count(seq)}`
    case 'connecting':
      return attempt > 0 ? `reconnecting, attempt ${attempt + 1}` : 'connecting'
    case 'waiting':
      return `${reason}, next attempt in ${Math.max(0, Math.ceil(((retryAt ?? now) - now) / 1000))}\u2009s`
    case 'paused':
      return 'paused, this tab was hidden'
    case 'idle':
      return 'not connected'
  }
}
