import type { ReactNode } from 'react'
import type { HealthState } from '@/api/types'
import styles from './EmptyState.module.css'
import { HealthGlyph } from './Health'

/** One sentence, why, and the next step. Also used for what failed. */
export function EmptyState({
  title,
  why,
  state,
  children,
}: {
  title: string
  why?: ReactNode
  state?: HealthState
  children?: ReactNode
}) {
  return (
    <div className={styles.empty} role={state === 'fail' ? 'alert' : undefined}>
      <h2>
        {state ? <HealthGlyph state={state} decorative /> : null}
        {title}
      </h2>
      {why ? <p>{why}</p> : null}
      {children ? <div className={styles.next}>{children}</div> : null}
    </div>
  )
}
