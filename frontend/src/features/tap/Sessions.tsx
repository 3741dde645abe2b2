import { useStopTapSession, useTapSessions } from '@/api/tap'
import type { TapLedger, TapRecord } from '@/api/types'
import { count, span } from '@/lib/format'
import { clock, stamp } from '@/lib/time'
import { Button } from '@/ui/Button'
import { Dialog } from '@/ui/Dialog'
import { EmptyState } from '@/ui/EmptyState'
import { Skeleton } from '@/ui/Skeleton'
import { tableClass } from '@/ui/Table'
import { Trouble } from '@/ui/Trouble'
import styles from './Sessions.module.css'

/** Who taps now and who tapped, with each session's account; an open one can be stopped. */
export function Sessions({ open, onClose }: { open: boolean; onClose: () => void }) {
  return (
    <Dialog open={open} onClose={onClose} label="Tap sessions" className={styles.dialog}>
      <header className={styles.head}>
        <h2 className="strong">Tap sessions</h2>
        <span className="t3">Those that are open, then the last 256. Everyone who may look at the mesh sees this list.</span>
        <Button small kind="quiet" onClick={onClose}>
          Close
        </Button>
      </header>
      <List />
    </Dialog>
  )
}

function List() {
  const { data, error, refetch } = useTapSessions()
  const stop = useStopTapSession()
  if (!data) return error ? <Trouble title="The sessions cannot be shown" error={error} retry={() => void refetch()} /> : <Skeleton rows={3} />
  if (data.length === 0) return <EmptyState title="Nobody has tapped" why="A session appears here when somebody opens this page or runs sidelight tap." />
  return (
    <div className={styles.scroll}>
      {stop.error ? <p className="fail-t" role="alert">{stop.error.message}</p> : null}
      <table className={tableClass}>
        <thead>
          <tr>
            {['Since', 'User', 'Filter'].map((h) => (
              <th key={h} scope="col">{h}</th>
            ))}
            {['Sidecars', 'Matched', 'Delivered', 'Not delivered'].map((h) => (
              <th key={h} scope="col" data-num>{h}</th>
            ))}
            <th scope="col">State</th>
          </tr>
        </thead>
        <tbody>
          {data.map((s) => (
            <Row key={s.id} session={s} onStop={() => stop.mutate(s.id)} stopping={stop.isPending && stop.variables === s.id} />
          ))}
        </tbody>
      </table>
    </div>
  )
}

function Row({ session: s, onStop, stopping }: { session: TapRecord; onStop: () => void; stopping: boolean }) {
  return (
    <tr>
      <td title={stamp(s.opened_at)}>{clock(s.opened_at)}</td>
      <td>{s.user}</td>
      <td className={styles.filter} title={s.filter}>
        <code>{s.filter || 'everything'}</code>
        {s.headers ? <span className="t3"> with header fields</span> : null}
      </td>
      <td data-num>{s.closed_at ? '' : count(s.sidecars)}</td>
      <td data-num>{count(s.ledger.matched)}</td>
      <td data-num>{count(s.ledger.delivered)}</td>
      <td data-num title={losses(s.ledger)}>{count(lost(s.ledger))}</td>
      <td>
        {s.closed_at ? (
          <span className="t3">
            {span((Date.parse(s.closed_at) - Date.parse(s.opened_at)) / 1000)}, {endOf(s.reason)}
          </span>
        ) : (
          <Button small onClick={onStop} disabled={stopping}>
            Stop
          </Button>
        )}
      </td>
    </tr>
  )
}

const endOf = (reason: string) => (reason === 'ttl' ? 'time was up' : reason)
const lost = (l: TapLedger) => l.sampled_out + l.dropped_sidecar + l.dropped_server + l.dropped_socket
const losses = (l: TapLedger) =>
  `${count(l.sampled_out)} over the limit, ${count(l.dropped_sidecar)} at sidecars, ${count(l.dropped_server)} at the server, ${count(l.dropped_socket)} on the socket`
