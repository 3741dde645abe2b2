import type { ReactNode } from 'react'
import type { HealthState } from '@/api/types'
import type { Finding } from '@/graph/words'
import { cx } from '@/lib/cx'
import { IconButton } from '@/ui/Button'
import { HealthGlyph } from '@/ui/Health'
import styles from './Frame.module.css'
import type { PanelTab } from './SidePanel'

/** The panel's frame: title, finding, tabs; the body scrolls; actions stay at the foot. */
export function Frame({
  label,
  state,
  title,
  chips,
  finding,
  cause,
  note,
  tabs,
  tab,
  onTab,
  onClose,
  actions,
  children,
}: {
  label: string
  state: HealthState
  title: ReactNode
  chips?: ReactNode
  finding: Finding
  cause?: ReactNode
  note?: ReactNode
  tabs: readonly { id: PanelTab; label: string }[]
  tab: PanelTab
  onTab: (tab: PanelTab) => void
  onClose: () => void
  actions: ReactNode
  children: ReactNode
}) {
  const shown = tabs.some((t) => t.id === tab) ? tab : 'traffic'
  return (
    <aside className={styles.panel} aria-label={label}>
      <header className={styles.head}>
        <div className={styles.title}>
          <HealthGlyph state={state} />
          <h2>{title}</h2>
          {chips ? <span className={styles.chips}>{chips}</span> : null}
          <IconButton icon="close" label="Close the panel" size={24} className={styles.close} onClick={onClose} />
        </div>
        <p className={styles.why}>
          <span className={cx('strong', tone(finding.tone))}>{finding.strong}</span> {finding.rest} {cause}
        </p>
        {note}
        <div className={styles.tabs} role="tablist" aria-label="Details">
          {tabs.map((t) => (
            <button key={t.id} type="button" role="tab" aria-selected={t.id === shown} onClick={() => onTab(t.id)}>
              {t.label}
            </button>
          ))}
        </div>
      </header>
      <div className={styles.body}>{children}</div>
      <footer className={styles.actions}>{actions}</footer>
    </aside>
  )
}

function tone(state: HealthState): string {
  return state === 'fail' ? 'fail-t' : state === 'warn' ? 'warn-t' : ''
}
