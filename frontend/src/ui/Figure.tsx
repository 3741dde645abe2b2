import { cx } from '@/lib/cx'
import type { Measure } from '@/lib/format'

/** A figure with its unit in the quieter tone. */
export function Figure({ of, className, title }: { of: Measure; className?: string; title?: string }) {
  return (
    <span className={cx(className)} title={title}>
      {of.value}
      {of.unit === '' ? null : <span className="u">{of.unit}</span>}
    </span>
  )
}
