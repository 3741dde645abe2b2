import { Figure } from '@/ui/Figure'
import type { Measured } from './fetch'
import { legendOf, toneOf } from './frames'
import type { PanelModel } from './model'
import styles from './Panel.module.css'
import { inUnit } from './units'

/** One bar per series, the longest first. */
export function BarGauge({ panel, answers }: { panel: PanelModel; answers: Measured[] }) {
  const field = panel.fieldConfig!.defaults
  const bars = answers
    .flatMap((a, i) => a.series.map((s) => ({ name: legendOf(panel.targets?.[i]?.legendFormat ?? '', s.labels), value: Number(s.values.at(-1)?.[1]) })))
    .filter((b) => Number.isFinite(b.value))
    .sort((a, b) => b.value - a.value)
  const top = field.max ?? Math.max(1e-9, ...bars.map((b) => b.value))
  const judged = field.thresholds.steps.length > 1
  return (
    // It scrolls, so it must be reached by keys, too.
    // oxlint-disable-next-line jsx-a11y/no-noninteractive-tabindex
    <ul className={styles.bars} tabIndex={0} aria-label={panel.title}>
      {bars.map((b) => (
        <li key={b.name} className={styles.bar}>
          <span className="cut" title={b.name}>
            {b.name}
          </span>
          <span className={styles.track} aria-hidden="true">
            <span
              className={styles.fill}
              data-tone={judged ? toneOf(b.value, field.thresholds.steps) : undefined}
              style={{ width: `${Math.max(0, Math.min(100, (b.value / top) * 100))}%` }}
            />
          </span>
          <span className="num">
            <Figure of={inUnit(b.value, field.unit)} />
          </span>
        </li>
      ))}
    </ul>
  )
}
