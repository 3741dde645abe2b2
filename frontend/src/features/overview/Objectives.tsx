import { Link } from '@tanstack/react-router'
import type { Standing } from '@/api/types'
import { cx } from '@/lib/cx'
import { count, plural } from '@/lib/format'
import { HealthGlyph } from '@/ui/Health'
import { Section } from '@/ui/Panel'
import styles from './Objectives.module.css'

const SHOWN = 6

/** Services that are held to an availability, and how fast each spends its error budget. */
export function Objectives({ of: all }: { of: readonly Standing[] }) {
  if (all.length === 0) return null
  const burning = all.filter((s) => s.state === 'fail' || s.state === 'warn').length
  return (
    <Section title={burning === 0 ? `${plural(all.length, 'objective')} kept` : `${count(burning)} of ${plural(all.length, 'error budget')} burn${burning === 1 ? 's' : ''}`} help="objectives" note="× too fast: 5, 30, 60 min">
      <ul>
        {all.slice(0, SHOWN).map((s) => (
          <li key={s.host}>
            <Link to="/services/{-$host}" params={{ host: s.host }} className={styles.standing} title={told(s)}>
              <HealthGlyph state={s.state} size={12} />
              <span className="cut">{s.host.split('.')[0]}</span>
              <span className="t3">{share(s.availability)}</span>
              {[s.burn_5m, s.burn_30m, s.burn_1h].map((b, i) => (
                <span key={i} className={cx('num', b >= 14.4 ? 'fail-t' : b >= 6 ? 'warn-t' : b >= 1 ? 't2' : 't3')}>
                  {times(b)}
                </span>
              ))}
            </Link>
          </li>
        ))}
      </ul>
      {all.length > SHOWN ? <p className="t3">{plural(all.length - SHOWN, 'more objective')}, none of them worse.</p> : null}
    </Section>
  )
}

/** As it is written in the object: 99.95 % is neither 99.9 % nor 100 %. */
const share = (ratio: number) => `${Number((ratio * 100).toFixed(4))}\u2009%`

const times = (burn: number) => `${burn >= 10 ? Math.round(burn) : burn.toFixed(1)}\u2009×`

function told(s: Standing): string {
  if (s.requests_1h < 1) return `No request in the last hour. ${s.object} asks for ${share(s.availability)}.`
  return `${count(Math.round(s.failed_1h))} of ${plural(Math.round(s.requests_1h), 'request')} failed in the last hour; ${s.object} allows ${share(1 - s.availability)}.`
}
