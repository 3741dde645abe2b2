import type { AlertReceiver, AlertRule } from '@/api/types'
import { count, span } from '@/lib/format'
import { HealthGlyph } from '@/ui/Health'
import styles from './index.module.css'

/** Whether anybody was told: an alert that nobody got is no alert. */
export function Delivery({ receivers }: { receivers: AlertReceiver[] }) {
  return (
    <section className={styles.side} aria-label="Receivers">
      <h2>Told to</h2>
      {receivers.length === 0 ? (
        <p className="t2">Nobody. Start with --alertmanager URL or --alert-webhook URL.</p>
      ) : (
        <ul>
          {receivers.map((r) => (
            <li key={`${r.kind} ${r.name}`}>
              <HealthGlyph state={r.error ? 'fail' : r.dropped > 0 ? 'warn' : 'ok'} size={13} />
              <div>
                <b>{r.name}</b> <span className="t3">{r.kind}</span>
                <p className="t2">
                  {count(r.sent)} taken{r.waiting > 0 ? `, ${count(r.waiting)} waiting` : ''}
                  {r.dropped > 0 ? `, ${count(r.dropped)} lost` : ''}
                </p>
                {r.error ? <p className="fail-t">{r.error}</p> : null}
              </div>
            </li>
          ))}
        </ul>
      )}
    </section>
  )
}

/** All alerting rules, those that are true first. */
export function Rules({ rules }: { rules: AlertRule[] }) {
  const rank = (r: AlertRule) => (r.error ? 0 : r.state === 'firing' ? 1 : r.state === 'pending' ? 2 : 3)
  const sorted = [...rules].sort((a, b) => rank(a) - rank(b) || a.name.localeCompare(b.name))
  return (
    <section className={styles.side} aria-label="Rules">
      <h2>
        Rules <span className="t3">{count(rules.length)}</span>
      </h2>
      <ul>
        {sorted.map((r) => (
          <li key={`${r.file} ${r.group} ${r.name}`} title={r.query}>
            <HealthGlyph state={r.error ? 'unknown' : r.state === 'firing' ? (r.severity === 'critical' ? 'fail' : 'warn') : r.state === 'pending' ? 'unknown' : 'ok'} size={13} decorative />
            <div>
              <b>{r.name}</b>
              <p className="t3">
                {r.error ? `cannot be evaluated: ${r.error}` : `${r.state}, ${r.severity}${r.for_s > 0 ? `, for ${span(r.for_s)}` : ''}`}
              </p>
            </div>
          </li>
        ))}
      </ul>
    </section>
  )
}
