import { text } from '@/lib/format'
import { Figure } from '@/ui/Figure'
import { HealthGlyph } from '@/ui/Health'
import { Sparkline } from '@/ui/Sparkline'
import type { Measured } from './fetch'
import { linesOf, toneOf } from './frames'
import type { PanelModel } from './model'
import styles from './Panel.module.css'
import { inField } from './units'

/** One number, how bad it is, and how it came to be. */
export function Stat({ panel, answers }: { panel: PanelModel; answers: Measured[] }) {
  const field = panel.fieldConfig!.defaults
  const line = linesOf(panel, answers).lines[0]
  const tone = toneOf(line?.last ?? null, field.thresholds.steps)
  const value = inField(line?.last, field)
  return (
    <div className={styles.stat}>
      <p className={styles.value} aria-label={`${panel.title}: ${text(value)}`}>
        {tone ? <HealthGlyph state={tone} size={15} /> : null}
        <span className={tone === 'warn' || tone === 'fail' ? `${tone}-t` : undefined}>
          <Figure of={value} />
        </span>
      </p>
      <div className={styles.spark}>
        {line && line.values.length > 1 ? <Sparkline values={line.values} width={200} height={40} area tone={tone && tone !== 'ok' ? tone : 'data'} max={field.max} /> : null}
      </div>
    </div>
  )
}
