import type { ReactNode } from 'react'
import { span } from '@/lib/format'
import { cx } from '@/lib/cx'
import styles from './Stale.module.css'

/**
 * Keeps what was last known on the page when its source went quiet: greyed,
 * with its age in words, never blank.
 */
export function Stale({ ageSeconds, reason, children }: { ageSeconds: number | null; reason?: string; children: ReactNode }) {
  return (
    <div className={cx(styles.frame, ageSeconds !== null && styles.stale)}>
      {ageSeconds === null ? null : <StaleNote ageSeconds={ageSeconds} reason={reason} />}
      <div className={styles.content}>{children}</div>
    </div>
  )
}

export function StaleNote({ ageSeconds, reason = 'reconnecting' }: { ageSeconds: number; reason?: string }) {
  return (
    // No live region: it ticks each second. The frame says once that the connection is lost.
    <p className={styles.note}>
      {reason}, data {span(ageSeconds)} old
    </p>
  )
}
