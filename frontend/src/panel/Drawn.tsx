import { memo } from 'react'
import { ApiError } from '@/api/client'
import { cx } from '@/lib/cx'
import { Skeleton } from '@/ui/Skeleton'
import { BarGauge } from './BarGauge'
import type { Measured } from './fetch'
import { Heatmap } from './Heatmap'
import type { PanelModel } from './model'
import styles from './Panel.module.css'
import type { Choices, Range } from './query'
import { Stat } from './Stat'
import { TableView } from './TableView'
import { TimeSeries } from './TimeSeries'
import { useInTurn } from './turns'
import { usePanel } from './usePanel'

/** A panel drawn by us, in each of its states. */
export function Drawn({ panel, choices, range, visible }: { panel: PanelModel; choices: Choices; range: Range; visible: boolean }) {
  const { answers: newest, error, old } = usePanel(panel, choices, range, visible)
  const answers = useInTurn(newest)
  if (error && !answers) {
    return (
      <p className={styles.said} role="alert">
        <b>No data can be had</b> {error.message} {error instanceof ApiError ? error.hint : ''}
      </p>
    )
  }
  if (!answers) return <Skeleton rows={panel.type === 'stat' ? 1 : 4} label={`Loading ${panel.title}`} />
  if (answers.every((a) => a.series.length === 0)) {
    return (
      <p className={styles.said}>
        <b>Nothing in this time</b> {chosen(panel) ? 'No series matches what is chosen above.' : 'There was nothing to measure.'}
      </p>
    )
  }
  return (
    <div className={cx(styles.chart, (old || error !== null) && styles.old)} title={error ? `Not up to date: ${error.message}` : undefined}>
      {error ? (
        <p className={styles.late} role="status">
          Not up to date
        </p>
      ) : null}
      <Kind panel={panel} answers={answers} />
    </div>
  )
}

/** Whether a panel asks for what is chosen above it. */
function chosen(panel: PanelModel): boolean {
  return (panel.targets ?? []).some((t) => /\$(?!__)/.test(t.expr))
}

/** Drawn anew for new answers only, not whenever the page's time moves on. */
const Kind = memo(function Kind({ panel, answers }: { panel: PanelModel; answers: Measured[] }) {
  switch (panel.type) {
    case 'stat':
      return <Stat panel={panel} answers={answers} />
    case 'table':
      return <TableView panel={panel} answers={answers} />
    case 'bargauge':
      return <BarGauge panel={panel} answers={answers} />
    case 'heatmap':
      return <Heatmap answer={answers[0]!} unit={panel.fieldConfig?.defaults.unit ?? 'short'} title={panel.title} />
    default:
      return <TimeSeries panel={panel} answers={answers} />
  }
})
