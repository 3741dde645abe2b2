import { type CSSProperties, memo, useMemo } from 'react'
import { type DashboardFile, sectionsOf } from '@/panel/model'
import { Panel } from '@/panel/Panel'
import type { Choices, Range } from '@/panel/query'
import { useCountInTurn } from '@/panel/turns'
import styles from './Grid.module.css'

/**
 * The panels where the file puts them: 24 columns; on a narrow page below each
 * other. The page's clock ticks each second, the panels do not.
 */
export const Grid = memo(function Grid({ file, choices, range, by }: { file: DashboardFile; choices: Choices; range: Range; by: 'sidelight' | 'grafana' }) {
  const sections = useMemo(() => sectionsOf(file), [file])
  const shown = useCountInTurn(sections.length)
  return (
    <div className={styles.scroll}>
      {sections.slice(0, shown).map((section) => {
        const top = Math.min(...section.panels.map((p) => p.gridPos.y))
        return (
          <section key={section.title} aria-label={section.title}>
            <h2 className={styles.title}>{section.title}</h2>
            <div className={styles.grid}>
              {section.panels.map((p) => (
                <div
                  key={p.id}
                  className={styles.cell}
                  data-kind={p.type}
                  style={{ '--x': p.gridPos.x + 1, '--y': p.gridPos.y - top + 1, '--w': p.gridPos.w, '--h': p.gridPos.h } as CSSProperties}
                >
                  <Panel uid={file.uid} panel={p} choices={choices} range={range} by={by} />
                </div>
              ))}
            </div>
          </section>
        )
      })}
    </div>
  )
})
