import type { ReactNode } from 'react'
import { useNow } from '@/api/live-context'
import { ApiError } from '@/api/client'
import type { HealthState } from '@/api/types'
import { cx } from '@/lib/cx'
import { secondsSince } from '@/lib/time'
import { EmptyState } from '@/ui/EmptyState'
import { HealthGlyph } from '@/ui/Health'
import { Icon } from '@/ui/Icon'
import { Skeleton } from '@/ui/Skeleton'
import { StaleNote } from '@/ui/Stale'
import { Trouble } from '@/ui/Trouble'
import styles from './Detail.module.css'
import type { Finding } from './finding'

const staleSeconds = 6

/** The frame of one thing's page: who it is, the finding, the ways on; then evidence and facts. */
export function DetailFrame({
  back,
  state,
  title,
  chips,
  finding,
  actions,
  at,
  aside,
  children,
}: {
  /** The way to the list. */
  back: ReactNode
  state: HealthState
  title: string
  chips: ReactNode
  finding: Finding
  actions: ReactNode
  /** The server's clock at the newest answer. */
  at: string
  aside: ReactNode
  children: ReactNode
}) {
  const age = secondsSince(at, useNow(1000))
  const stale = age > staleSeconds
  return (
    <div className={styles.page}>
      <header className={styles.head}>
        <span className={styles.back}>
          <Icon name="left" size={12} />
          {back}
        </span>
        <div className={styles.title}>
          <HealthGlyph state={state} />
          <h1>{title}</h1>
          {chips}
          {stale ? <StaleNote ageSeconds={age} /> : null}
          <span className={styles.actions}>{actions}</span>
        </div>
        <p className={styles.why}>
          <span className={cx('strong', finding.tone === 'fail' && 'fail-t', finding.tone === 'warn' && 'warn-t')}>{finding.strong}</span> {finding.rest}
        </p>
      </header>
      <div className={cx(styles.grid, stale && styles.stale)}>
        {/* What scrolls is reached by the keyboard. */}
        {/* oxlint-disable-next-line jsx-a11y/no-noninteractive-tabindex */}
        <div className={styles.main} role="region" aria-label={title} tabIndex={0}>
          {children}
        </div>
        {/* oxlint-disable-next-line jsx-a11y/no-noninteractive-tabindex */}
        <aside className={styles.aside} aria-label="Facts" tabIndex={0}>
          {aside}
        </aside>
      </div>
    </div>
  )
}

/** Before the first answer, or instead of one. */
export function DetailWaiting({ noun, name, error, retry, back }: { noun: string; name: string; error: Error | null; retry: () => void; back: ReactNode }) {
  if (!error) return <Skeleton rows={12} label={`Loading ${name}`} />
  if (!(error instanceof ApiError && error.status === 404)) return <Trouble title={`The ${noun} cannot be shown`} error={error} retry={retry} />
  return (
    <EmptyState state="unknown" title={`No ${noun} of this name`} why={`${name} is not known now: it may have been removed, or nobody has called it since the server started.`}>
      {back}
    </EmptyState>
  )
}
