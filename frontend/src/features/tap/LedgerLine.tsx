import { Fragment } from 'react'
import { count, span } from '@/lib/format'
import { cx } from '@/lib/cx'
import styles from './LedgerLine.module.css'
import { ledgerSum } from './ledger'

import type { TapSnapshot } from './ring'

/** What the filter matched, as a sum of what became of it. It always adds up. */
export function Ledger({ snapshot, now, endsAt, running }: { snapshot: TapSnapshot; now: number; endsAt: number; running: boolean }) {
  const { matched, terms } = ledgerSum(snapshot.ledger, snapshot.local)
  return (
    <div className={styles.ledger}>
      <div className={styles.account}>
        <p className={styles.sum}>
          <span className="t2">matched</span> <b>{count(matched)}</b>
          {terms.map((t, i) => (
            <Fragment key={t.key}>
              <span className="t3">{i === 0 ? '=' : '+'}</span>
              <span title={t.hint} className={styles.term}>
                <b className={cx(t.kind === 'loss' && t.count > 0 && 'warn-t')}>{count(t.count)}</b> <span className="t2">{t.label}</span>
              </span>
            </Fragment>
          ))}
        </p>
        <div className={styles.bar} aria-hidden="true">
          {terms.map((t) => (t.count > 0 ? <i key={t.key} className={styles[t.kind]} style={{ flexGrow: Math.max(t.count, matched / 220) }} /> : null))}
        </div>
      </div>
      <p className={styles.session}>
        session {span((now - snapshot.startedAt) / 1000)},{' '}
        <br />
        {running ? `ends in ${span((endsAt - now) / 1000)}` : 'not running'}
      </p>
    </div>
  )
}

