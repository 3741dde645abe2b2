import type { NodeLife } from '@/api/types'
import { duration, text } from '@/lib/format'
import { clock } from '@/lib/time'
import { HealthGlyph } from '@/ui/Health'
import styles from './Lives.module.css'

/** In which order a sidecar and its application came and went, the newest first. */
export function Lives({ lives }: { lives: readonly NodeLife[] }) {
  if (lives.length === 0) return null
  return (
    <section className={styles.lives} aria-label="Starts and stops">
      <h4>Starts and stops</h4>
      <ol>
        {lives.slice(0, 4).map((l) => (
          <li key={l.started_at}>
            <Chain events={comings(l)} />
            {l.draining_at || l.ended_at ? <Chain events={goings(l)} /> : null}
            {l.problems.map((p) => (
              <p key={p} className={styles.problem}>
                <HealthGlyph state="warn" size={12} />
                <span>{p.charAt(0).toUpperCase() + p.slice(1)}.</span>
              </p>
            ))}
          </li>
        ))}
      </ol>
    </section>
  )
}

export type LifeEvent = { what: string; at: string | undefined; missing?: string }

/** What came up, in the order in which it did. */
export function comings(l: NodeLife): LifeEvent[] {
  const events: LifeEvent[] = [{ what: 'sidecar started', at: l.started_at }, { what: 'sidecar serves', at: l.serving_at, missing: 'sidecar does not serve yet' }]
  if (l.app) events.push({ what: 'application ready', at: l.app_at, missing: 'application not ready yet' })
  return inOrder(events)
}

/** What went, in the order in which it did. */
export function goings(l: NodeLife): LifeEvent[] {
  const events: LifeEvent[] = [{ what: 'sidecar drains', at: l.draining_at }, { what: 'drained', at: l.drained_at }, { what: 'sidecar left', at: l.ended_at }]
  if (l.app && l.app_at) events.push({ what: 'application gone', at: l.app_gone_at, missing: l.ended_at ? 'application still up' : undefined })
  return inOrder(events)
}

const inOrder = (events: LifeEvent[]) => events.filter((e) => e.at || e.missing).sort((a, b) => (a.at ? Date.parse(a.at) : Infinity) - (b.at ? Date.parse(b.at) : Infinity))

/** The first by the clock, the others by how long after it. */
function Chain({ events }: { events: readonly LifeEvent[] }) {
  const from = events[0]?.at ? Date.parse(events[0].at) : 0
  return (
    <p className={styles.chain}>
      {events.map((e, i) => (
        <span key={e.what} className={e.at ? undefined : 't3'}>
          {e.at ? `${e.what} ` : (e.missing ?? '')}
          {e.at ? <span className="num t3">{i === 0 ? clock(e.at) : `+${text(duration(Date.parse(e.at) - from))}`}</span> : null}
        </span>
      ))}
    </p>
  )
}
