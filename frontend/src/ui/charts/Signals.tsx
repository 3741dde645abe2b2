import type { HealthState, Marker } from '@/api/types'
import { cx } from '@/lib/cx'
import type { Measure } from '@/lib/format'
import { clockShort } from '@/lib/time'
import { Figure } from '@/ui/Figure'
import { linePath } from '@/ui/Sparkline'
import styles from './Signals.module.css'

export type Signal = {
  label: string
  now: Measure
  tone: HealthState | 'data'
  series: readonly (number | null)[]
  /** The series' own fixed top, for ratios. */
  max?: number
  note: string
}

const width = 150
const stroke = { data: 'var(--data-3)', ok: 'var(--data-3)', idle: 'var(--data-2)', unknown: 'var(--data-2)', warn: 'var(--warn)', fail: 'var(--fail)' }

/** Measures as rows over one time axis; a change of configuration crosses all of them. */
export function Signals({ rows, now, seconds, markers }: { rows: Signal[]; now: number; seconds: number; markers: Marker[] }) {
  const marks = markers
    .filter((m) => m.kind === 'config')
    .map((m) => ({ text: m.text, x: width * (1 - (now - Date.parse(m.at)) / 1000 / seconds) }))
    .filter((m) => m.x > 0 && m.x <= width)
  return (
    <div className={styles.signals}>
      {rows.map((row) => (
        <div key={row.label} className={styles.row}>
          <span className="t2">{row.label}</span>
          <Figure of={row.now} className={cx(styles.now, row.tone === 'fail' && 'fail-t', row.tone === 'warn' && 'warn-t')} />
          <svg viewBox={`0 0 ${width} 23`} preserveAspectRatio="none" role="img" aria-label={`${row.label}, last ${seconds} s`}>
            <path d={`M0 22.5H${width}`} stroke="var(--hair)" vectorEffect="non-scaling-stroke" />
            {marks.map((m) => (
              <path key={m.x} d={`M${m.x} 0V23`} stroke="var(--info)" strokeOpacity=".8" vectorEffect="non-scaling-stroke" />
            ))}
            <path
              d={linePath(row.series, width, 20, top(row))}
              transform="translate(0 1.5)"
              fill="none"
              stroke={stroke[row.tone]}
              strokeWidth="1.3"
              strokeLinejoin="round"
              vectorEffect="non-scaling-stroke"
            />
          </svg>
          <span className={styles.note}>{row.note}</span>
        </div>
      ))}
      <div className={cx(styles.row, styles.axis)} aria-hidden="true">
        <span />
        <span />
        <span className={styles.ends}>
          <span>
            {seconds} s ago
          </span>
          <span>{clockShort(now)}</span>
        </span>
        <span />
      </div>
    </div>
  )
}

function top(row: Signal): number {
  const most = Math.max(0, ...row.series.map((v) => v ?? 0))
  return Math.max(row.max ?? 0, most * 1.12, 1e-6)
}
