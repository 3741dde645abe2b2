import { useTimeline, widestUnchosen } from '@/api/graph'
import { useConnection, useNow } from '@/api/live-context'
import { clock, windowSeconds } from '@/lib/time'
import { sharedSearch, useUrlState } from '@/lib/url'
import { Button } from '@/ui/Button'
import { Icon } from '@/ui/Icon'
import { Menu, MenuCheck } from '@/ui/Menu'
import styles from './TimeBar.module.css'
import { windowFor } from './scale'
import { Steps } from './Steps'
import { Track } from './Track'

const windows = [
  { value: '5m', label: 'Last 5 min' },
  { value: '15m', label: 'Last 15 min' },
  { value: '30m', label: 'Last 30 min' },
  { value: '1h', label: 'Last hour' },
  { value: '3h', label: 'Last 3 h' },
  { value: '6h', label: 'Last 6 h' },
  { value: '12h', label: 'Last 12 h' },
  { value: '1d', label: 'Last day' },
] as const

/** What the bar chooses from by itself. */
const unchosen = ['5m', '15m', widestUnchosen] as const

/** The time of every page: live, or a moment of the past; and what happened around it. */
export function TimeBar() {
  const [{ at, vs, window: chosen }, setUrl] = useUrlState(sharedSearch)
  const now = useNow()
  const live = at === ''
  const { state, attempt } = useConnection()
  const connected = state === 'open' || state === 'idle' || state === 'paused'
  const lost = !connected && attempt > 0
  const asked = windowSeconds(chosen || widestUnchosen) ?? 1800
  // A moment far back is looked at from its own time on, with a tenth after it.
  const until = !live && now - Date.parse(at) > asked * 1000 ? new Date(Date.parse(at) + asked * 100).toISOString() : null
  const { data, error } = useTimeline(chosen, until)
  const window = chosen || (until === null ? windowFor(data, unchosen, now) : widestUnchosen)
  const seconds = windowSeconds(window) ?? asked
  const frame = Math.max(1, data?.step_s ?? 5) * 1000
  return (
    <section className={styles.time} aria-label="Time">
      <div className={styles.now}>
        <button
          type="button"
          className={styles.live}
          data-live={live}
          data-connected={connected}
          aria-pressed={live}
          title={live ? (connected ? 'Pause here' : 'Not connected: what is shown stands still') : 'Back to live'}
          onClick={() => setUrl({ at: live ? new Date().toISOString() : '' })}
        >
          {live ? <i aria-hidden="true" /> : <Icon name="pause" size={12} />}
          {live ? (lost ? 'Not live' : 'Live') : 'Paused'}
        </button>
        <time className={styles.clock} dateTime={live ? undefined : at}>
          {clock(live ? now : at)}
        </time>
        {/* How long a step is, the timeline says: before it is here, a step back and one on would not meet. */}
        {live || (!data && !error) ? null : <Steps at={Date.parse(at)} frame={frame} now={now} onGo={(ms) => setUrl({ at: ms === null ? '' : new Date(ms).toISOString() })} />}
        {live ? (
          <Menu
            trigger={
              <Button small className={styles.window}>
                {windows.find((w) => w.value === window)?.label}
                <Icon name="down" size={12} />
              </Button>
            }
          >
            {windows.map((w) => (
              <MenuCheck key={w.value} checked={w.value === window} onChange={() => setUrl({ window: w.value })}>
                {w.label}
              </MenuCheck>
            ))}
          </Menu>
        ) : (
          <Button small onClick={() => setUrl({ at: '' })}>
            Live <kbd>L</kbd>
          </Button>
        )}
      </div>
      {data ? (
        <Track timeline={data} seconds={seconds} now={now} at={live ? null : Date.parse(at)} vs={vs === '' ? null : Date.parse(vs)} onCompare={vs === '' ? null : (ms) => setUrl({ vs: new Date(ms).toISOString() })} onScrub={(ms) => setUrl({ at: ms === null ? '' : new Date(ms).toISOString() })} />
      ) : (
        <p className={styles.wait}>{error ? `No timeline: ${error.message}` : ''}</p>
      )}
    </section>
  )
}
