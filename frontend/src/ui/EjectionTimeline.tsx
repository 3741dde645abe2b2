import { Link } from '@tanstack/react-router'
import type { EjectionEvent } from '@/api/types'
import { count, middle, plural, span } from '@/lib/format'
import { cx } from '@/lib/cx'
import styles from './EjectionTimeline.module.css'
import { type OutOf, outOf } from './ejections'
import { Section } from './Panel'

const minutes = 10
const rowsMost = 12

/** Which endpoints callers took out, when, and when each is back: ten minutes on one axis. */
export function EjectionTimeline({ log, caller, now }: { log: readonly EjectionEvent[]; /** Only by this workload's sidecars: namespace/name. */ caller?: string; now: number }) {
  const from = now - minutes * 60_000
  const rows = outOf(log, caller).filter((r) => (r.spans.at(-1)?.to ?? now) > from)
  if (rows.length === 0) return null
  const out = rows.filter((r) => r.spans.at(-1)?.to === null)
  const back = Math.min(...out.map((r) => r.until ?? Infinity))
  const note = out.length === 0 ? `none out, ${plural(rows.length, 'endpoint')} in ${minutes} min` : `${count(out.length)} out${Number.isFinite(back) ? `, ${backWord(back, now)}` : ''}`
  return (
    <Section title="Ejections" help="keptOut" note={note}>
      <ul className={styles.rows}>
        {rows.slice(0, rowsMost).map((r) => (
          <li key={`${r.endpoint} ${r.node}`} title={`${r.endpoint}, by ${r.node}${r.object === '' ? '' : `, ${r.object}`}`}>
            <span className="mono cut">{r.endpoint}</span>
            <Strip of={r} from={from} now={now} />
            <State of={r} now={now} />
            <span className={cx('t3 cut', styles.by)}>
              by{' '}
              <Link to="/nodes/{-$nodeId}" params={{ nodeId: r.node }}>
                {middle(r.node, 24)}
              </Link>
              {r.object === '' ? null : (
                <>
                  {', rules in '}
                  <Link to="/config/$" params={{ _splat: r.object.replace(' ', '/') }}>
                    {middle(r.object, 34)}
                  </Link>
                </>
              )}
            </span>
          </li>
        ))}
      </ul>
      {rows.length > rowsMost ? <p className="t3">{plural(rows.length - rowsMost, 'more endpoint')}</p> : null}
    </Section>
  )
}

function Strip({ of: r, from, now }: { of: OutOf; from: number; now: number }) {
  const x = (at: number) => `${(Math.max(0, at - from) / (now - from)) * 100}%`
  const spans = r.spans.filter((s) => (s.to ?? now) > from)
  return (
    <span className={styles.strip} role="img" aria-label={`out ${plural(spans.length, 'time')} in the last ${minutes} min`}>
      {spans.map((s) => (
        <i key={s.from} style={{ left: x(s.from), width: `max(2px, calc(${x(s.to ?? now)} - ${x(s.from)}))` }} />
      ))}
    </span>
  )
}

function State({ of: r, now }: { of: OutOf; now: number }) {
  const last = r.spans.at(-1)
  if (last?.to === null) return <span className="fail-t strong num">out, {r.until === null ? `for ${span((now - last.from) / 1000)}` : backWord(r.until, now)}</span>
  return <span className="t3 num">in</span>
}

/** A sidecar lets in at its next look, which may be a little later than the time says. */
function backWord(until: number, now: number): string {
  const left = (until - now) / 1000
  return left > 0.5 ? `back in ${span(left)}` : 'back any moment'
}
