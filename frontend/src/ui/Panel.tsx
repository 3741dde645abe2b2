import type { ReactNode } from 'react'
import { cx } from '@/lib/cx'
import type { MeasureName } from '@/lib/measures'
import { Help } from './Help'
import styles from './Panel.module.css'

/** One part of a page or side panel: a title with the finding, a note at the right, then the evidence. */
export function Section({
  title,
  note,
  help,
  className,
  children,
}: {
  title?: ReactNode
  note?: ReactNode
  /** How what stands here is measured. */
  help?: MeasureName
  className?: string
  children: ReactNode
}) {
  return (
    <section className={cx(styles.section, className)}>
      {title || note ? (
        <header>
          <h3>{title}</h3>
          {help ? <Help of={help} about={typeof title === 'string' ? title.toLowerCase() : 'this'} /> : null}
          {note ? <span className={styles.note}>{note}</span> : null}
        </header>
      ) : null}
      {children}
    </section>
  )
}
