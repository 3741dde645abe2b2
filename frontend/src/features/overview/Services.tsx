import { Link } from '@tanstack/react-router'
import { useState } from 'react'
import type { OverviewService } from '@/api/types'
import { cx } from '@/lib/cx'
import { count, duration, percent, plural, rate } from '@/lib/format'
import { Figure } from '@/ui/Figure'
import { HealthGlyph } from '@/ui/Health'
import { Sparkline } from '@/ui/Sparkline'
import styles from './Services.module.css'

const HEALTHY_SHOWN = 20

/** All services, failing first with the reason; the healthy ones follow as far as there is a use. */
export function Services({ services }: { services: readonly OverviewService[] }) {
  const [all, setAll] = useState(false)
  const odd = services.filter((s) => s.health.state === 'fail' || s.health.state === 'warn').length
  const enough = odd + HEALTHY_SHOWN
  // A button for one more row would take as much room as that row.
  const room = all || services.length <= enough + 3 ? services.length : enough
  return (
    <section className={styles.services} aria-label="Services">
      <div className={cx(styles.cols, styles.head)}>
        <span>Service</span>
        <span data-col="why">{odd > 0 ? 'Why' : ''}</span>
        <span className="num">Rate</span>
        <span className="num">Errors</span>
        <span data-col="p95" className="num">
          p95
        </span>
        <span data-col="spark">Requests, last 60 s</span>
      </div>
      <ul>
        {services.slice(0, room).map((s) => (
          <li key={s.id}>
            <Link to="/graph" search={{ level: 'service', sel: s.id } as never} className={cx(styles.cols, styles.row)} data-quiet={s.health.state === 'ok' || s.health.state === 'idle' || undefined}>
              <Row service={s} />
            </Link>
          </li>
        ))}
      </ul>
      {room < services.length ? (
        <button type="button" className={styles.more} onClick={() => setAll(true)}>
          {plural(services.length - room, 'more healthy service')}, show
        </button>
      ) : null}
      {services.length === 0 ? <p className={styles.none}>No service of the chosen namespaces has been seen.</p> : null}
    </section>
  )
}

function Row({ service: s }: { service: OverviewService }) {
  const { state, reasons } = s.health
  const tone = state === 'fail' ? 'fail-t' : state === 'warn' ? 'warn-t' : 't2'
  return (
    <>
      <span className={styles.name}>
        <HealthGlyph state={state} size={13} />
        <b className="cut">{s.name}</b>
        <span className="t3 t11 cut">{s.external ? 'outside' : s.namespace}</span>
      </span>
      <span data-col="why" className={cx('cut', tone)} title={reasons.map((r) => r.text).join('\n')}>
        {reasons[0]?.text ?? ''}
        {reasons.length > 1 ? <span className="t3"> +{count(reasons.length - 1)}</span> : null}
      </span>
      <span className="num">
        <Figure of={rate(s.rps)} />
      </span>
      <span className={cx('num', s.error_ratio > 0 && state !== 'ok' ? tone : s.error_ratio === 0 ? 't3' : '')}>
        <Figure of={percent(s.error_ratio)} />
      </span>
      <span data-col="p95" className="num">
        <Figure of={duration(s.p95_ms)} />
      </span>
      <span data-col="spark" className={styles.spark}>
        <Sparkline values={s.rps_series} tone={state} width={140} height={18} area={state === 'fail' || state === 'warn'} />
      </span>
    </>
  )
}
