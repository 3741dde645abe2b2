import { useRef } from 'react'
import { Button } from '@/ui/Button'
import { Chip } from '@/ui/Chip'
import { Icon } from '@/ui/Icon'
import { Menu, MenuCheck } from '@/ui/Menu'
import { Segmented } from '@/ui/Segmented'
import { count, plural } from '@/lib/format'
import { clockMs } from '@/lib/time'
import { CopyButton } from './CopyButton'
import { save } from '@/lib/save'
import { cliCommand, har, ndjson } from './export'
import type { TapState } from './session'
import styles from './StateBar.module.css'
import { LIMITS } from './url'

type Side = '' | 'outbound' | 'inbound'

type StateBarProps = {
  tap: TapState
  filter: string
  limit: number
  headers: boolean
  side: Side
  onSide: (side: Side) => void
  onLimit: (limit: number) => void
  onHeaders: (on: boolean) => void
  onSessions: () => void
}

/** Whether the list moves, what it asks for, and what can be taken away from it. */
export function StateBar({ tap, filter, limit, headers, side, onSide, onLimit, onHeaders, onSessions }: StateBarProps) {
  const { snapshot, ring } = tap
  const empty = snapshot.rows === 0
  const name = () => `tap-${new Date().toISOString().replaceAll(/[:.]/g, '-')}`
  return (
    <div className={styles.bar}>
      <Now tap={tap} />
      <Menu
        trigger={
          <Button small>
            At most <b>{count(limit)}/s</b>
            <Icon name="down" size={12} />
          </Button>
        }
      >
        {LIMITS.map((l) => (
          <MenuCheck key={l} checked={l === limit} onChange={() => onLimit(l)}>
            {count(l)} a second over all sidecars
          </MenuCheck>
        ))}
        <MenuCheck checked={headers} onChange={onHeaders}>
          With header fields
        </MenuCheck>
      </Menu>
      <Segmented<Side>
        label="Told by"
        value={side}
        options={[
          { value: '', label: 'Both sides', title: 'Each request as both sidecars saw it' },
          { value: 'outbound', label: 'Caller', title: 'As the caller’s sidecar saw it' },
          { value: 'inbound', label: 'Callee', title: 'As the sidecar of who was called saw it' },
        ]}
        onChange={onSide}
      />
      <span className={styles.redacted}>
        <Chip title="Sidecars cut authorization, cookies and query values before anything leaves the node. Bodies are never captured.">
          <Icon name="lock" size={12} />
          Redacted
        </Chip>
      </span>
      <span className={styles.right}>
        <Button small onClick={onSessions}>
          Sessions
        </Button>
        <OpenFile tap={tap} />
        <CopyButton text={() => cliCommand(filter, limit, headers)} label="Copy as CLI" />
        <Button small icon="save" disabled={empty} onClick={() => save(`${name()}.ndjson`, 'application/x-ndjson', ndjson(ring.events()))}>
          NDJSON
        </Button>
        <Button small icon="save" disabled={empty} onClick={() => save(`${name()}.har`, 'application/json', har(ring.events(), '1'))}>
          HAR
        </Button>
      </span>
    </div>
  )
}

/** Shows a recorded file in place of live requests. */
function OpenFile({ tap }: { tap: TapState }) {
  const input = useRef<HTMLInputElement>(null)
  return (
    <>
      {tap.refused ? <span className="fail-t" role="alert">{tap.refused}</span> : null}
      <input
        ref={input}
        type="file"
        hidden
        aria-label="Recorded requests"
        accept=".ndjson,.jsonl,.json,application/x-ndjson"
        onChange={(e) => {
          const file = e.target.files?.[0]
          if (file) tap.open(file)
          e.target.value = '' // the same file may be chosen again
        }}
      />
      <Button small onClick={() => input.current?.click()}>
        Open…
      </Button>
    </>
  )
}

function Now({ tap }: { tap: TapState }) {
  const { snapshot, ring } = tap
  if (tap.recording) {
    const { name, wrong } = tap.recording
    return (
      <span className={styles.now}>
        <b>Recorded</b>
        <span className="t2">
          {name}, {plural(snapshot.local.received, 'request')}
          {snapshot.local.aged > 0 ? `, the last ${count(snapshot.local.shown)} shown` : ''}
          {wrong > 0 ? `, ${plural(wrong, 'line')} left out: not a request` : ''}
        </span>
        <Button small kind="primary" icon="play" onClick={tap.start}>
          Back to live
        </Button>
      </span>
    )
  }
  if (!tap.running) {
    return (
      <span className={styles.now}>
        <b>Stopped</b>
        {tap.ended ? <span className="t2">{tap.ended === 'ttl' ? 'the session’s time was up' : tap.ended}</span> : null}
        <Button small kind="primary" icon="play" onClick={tap.start}>
          Start
        </Button>
      </span>
    )
  }
  if (snapshot.pausedAt !== null) {
    const { held, dropped } = snapshot.local
    return (
      <span className={styles.now}>
        <b>Paused at {clockMs(snapshot.pausedAt)}</b>
        <span className="t2">
          {count(held)} newer kept
          {/* Room is of interest once half of it is taken. */}
          {snapshot.holdRoom === 0 ? `, no more room: ${count(dropped)} dropped` : snapshot.holdRoom < held ? `, room for ${count(snapshot.holdRoom)} more` : ''}
        </span>
        <Button small kind="primary" onClick={() => ring.resume()}>
          Resume <span className={styles.key}>Space</span>
        </Button>
      </span>
    )
  }
  return (
    <span className={styles.now}>
      <b>{snapshot.sidecars === null ? 'Starting' : 'Live'}</b>
      <span className="t2">{snapshot.sidecars === null ? '' : `${count(snapshot.sidecars)} ${snapshot.sidecars === 1 ? 'sidecar listens' : 'sidecars listen'}`}</span>
      <Button small icon="pause" onClick={() => ring.pause()}>
        Pause <kbd>Space</kbd>
      </Button>
      <Button small kind="quiet" onClick={tap.stop}>
        Stop
      </Button>
    </span>
  )
}
