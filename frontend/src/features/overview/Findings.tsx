import { Link } from '@tanstack/react-router'
import { useState } from 'react'
import type { Finding, Totals } from '@/api/types'
import { duration, percent, rate, span, text } from '@/lib/format'
import { IconButton } from '@/ui/Button'
import { Figure } from '@/ui/Figure'
import { HealthGlyph } from '@/ui/Health'
import { Icon } from '@/ui/Icon'
import { AppLink } from './AppLink'
import styles from './Findings.module.css'
import type { Verdict } from './summary'

/** The answer first: how the mesh is, then each thing that is wrong, worst first, with the way there. */
export function Findings({ verdict, windowSeconds, totals, findings }: { verdict: Verdict; windowSeconds: number; totals: Totals; findings: readonly Finding[] }) {
  return (
    <section className={styles.findings} aria-label="Findings">
      <header>
        <HealthGlyph state={verdict.state} size={22} decorative />
        <div>
          <h1>{verdict.text}</h1>
          <p className="t2">{[verdict.sub, `figures of the last ${span(windowSeconds)}`].filter(Boolean).join(' · ')}</p>
          <FirstLookLink />
        </div>
        <dl className={styles.totals}>
          <div>
            <dt>Requests</dt>
            <dd>
              <Figure of={rate(totals.rps)} />
            </dd>
          </div>
          <div>
            <dt>Errors</dt>
            <dd data-bad={totals.error_ratio >= 0.05 ? 'fail' : totals.error_ratio >= 0.01 ? 'warn' : undefined}>
              <Figure of={percent(totals.error_ratio)} />
            </dd>
          </div>
          <div>
            <dt>p95</dt>
            <dd title={`p95 over all requests: ${text(duration(totals.p95_ms))}`}>
              <Figure of={duration(totals.p95_ms)} />
            </dd>
          </div>
        </dl>
      </header>
      {findings.length > 0 ? (
        <ul>
          {findings.map((f) => (
            <li key={f.text}>
              <AppLink to={f.link} className={styles.finding}>
                <HealthGlyph state={f.severity} size={13} />
                <span>{f.text}</span>
                <Icon name="right" size={12} />
              </AppLink>
            </li>
          ))}
        </ul>
      ) : (
        <p className={styles.none}>Nothing asks for a person.</p>
      )}
    </section>
  )
}

const lookKey = 'sidelight.look'

/** Offered until it was taken once, or waved away. */
function FirstLookLink() {
  const [offered, setOffered] = useState(() => localStorage.getItem(lookKey) === null)
  if (!offered) return null
  const done = () => {
    localStorage.setItem(lookKey, 'seen')
    setOffered(false)
  }
  return (
    <p className={styles.look}>
      <Link to="." search={((s: Record<string, string>) => ({ ...s, look: '1' })) as never} onClick={done}>
        New here? A first look, in six steps
      </Link>
      <IconButton icon="close" size={24} label="No first look" onClick={done} />
    </p>
  )
}
