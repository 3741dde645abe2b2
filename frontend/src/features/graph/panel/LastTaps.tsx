import { useEffect, useState, useSyncExternalStore } from 'react'
import type { LiveClient } from '@/api/live'
import { useLiveClient } from '@/api/live-context'
import type { HealthState, TapEvent, TapFrame, TapLedger } from '@/api/types'
import { count, duration, middle } from '@/lib/format'
import { Store } from '@/lib/store'
import { clockMs } from '@/lib/time'
import { Button } from '@/ui/Button'
import { Figure } from '@/ui/Figure'
import { HealthGlyph } from '@/ui/Health'
import { Section } from '@/ui/Panel'
import styles from './LastTaps.module.css'

const rowsMost = 6
const ttlSeconds = 60
const perSecond = 10

type Watch = { events: TapEvent[]; ledger: TapLedger | null; sidecars: number; error: string; over: boolean }
const nothing: Watch = { events: [], ledger: null, sidecars: 0, error: '', over: false }

/**
 * The newest requests that went this way. A tap is asked for by hand: it is
 * audited and costs the sidecars something, and it ends by itself.
 */
export function LastTaps({ filter }: { filter: string }) {
  const [round, setRound] = useState(0)
  return (
    <Section title="Last taps" help="taps" note={round === 0 ? '' : undefined}>
      {round === 0 ? (
        <p className={styles.ask}>
          <Button small icon="tap" onClick={() => setRound(1)}>
            Watch for {ttlSeconds} s
          </Button>
          <span className="t3">at most {perSecond} requests a second, headers left out</span>
        </p>
      ) : (
        <Watching key={round} filter={filter} onAgain={() => setRound(round + 1)} />
      )}
    </Section>
  )
}

function Watching({ filter, onAgain }: { filter: string; onAgain: () => void }) {
  const client = useLiveClient()
  const [store] = useState(() => new Store<Watch>(nothing))
  useEffect(() => watch(client, filter, store), [client, filter, store])
  const { events, ledger, sidecars, error, over } = useSyncExternalStore(store.subscribe, store.get)
  if (error !== '') return <p className="t2">{error}</p>
  const lost = ledger ? ledger.sampled_out + ledger.dropped_sidecar + ledger.dropped_server + ledger.dropped_socket : 0
  return (
    <>
      <p className={styles.note}>
        {ledger ? `${count(ledger.matched)} matched, ${count(lost)} not shown` : `${count(sidecars)} sidecars listen, none matched yet`}
        {over ? (
          <button type="button" className={styles.again} onClick={onAgain}>
            ended, watch again
          </button>
        ) : null}
      </p>
      <table className={styles.taps}>
        <tbody>
          {events.map((e) => (
            <tr key={`${e.node} ${e.seq}`}>
              <td className="t3">{clockMs(e.at).slice(0, 11)}</td>
              <td className={styles.path} title={`${e.method ?? ''} ${e.path ?? ''}`}>
                {e.method ?? e.protocol.toUpperCase()} {middle((e.path ?? '').split('?')[0] ?? '', 22)}
              </td>
              <td>
                <span className={styles.status}>
                  <HealthGlyph state={healthOf(e)} size={11} decorative />
                  <b className="strong">{e.protocol === 'tcp' ? 'tcp' : e.status || 'none'}</b> {e.flags === '-' ? '' : e.flags}
                </span>
              </td>
              <td className="t2">{e.answered_by === 'proxy' ? 'proxy' : 'service'}</td>
              <td className="num">
                <Figure of={duration(e.duration_ms)} />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </>
  )
}

/** Listens, and keeps the newest few; the function given back ends it. */
function watch(client: LiveClient, filter: string, store: Store<Watch>): () => void {
  const patch = (change: Partial<Watch>) => store.set({ ...store.get(), ...change })
  return client.subscribe(
    'tap',
    { filter, limit_per_s: perSecond, headers: false, ttl_s: ttlSeconds },
    {
      event: (data) => {
        const { events, ledger, sidecars } = data as TapFrame
        patch({ events: [...events.toReversed(), ...store.get().events].slice(0, rowsMost), ledger, sidecars })
      },
      error: (e) => patch({ error: `${e.message} ${e.hint ?? ''}`.trim() }),
      end: () => patch({ over: true }),
    },
  )
}

/** A 4xx is for the caller to mend; the rest needs a person. */
function healthOf(e: TapEvent): HealthState {
  if (e.protocol === 'tcp') return e.flags === '' || e.flags === '-' ? 'ok' : 'fail'
  if (e.status === 0 || e.status >= 500) return 'fail'
  if (e.grpc_status && !/^(0|ok)$/i.test(e.grpc_status)) return 'fail'
  return e.status >= 400 ? 'warn' : 'ok'
}
