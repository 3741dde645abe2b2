import { Link } from '@tanstack/react-router'
import { type CSSProperties, lazy, Suspense } from 'react'
import { useDashboardFile } from '@/api/dashboards'
import { useNow } from '@/api/live-context'
import { windowSeconds } from '@/lib/time'
import { sharedSearch, useUrlState } from '@/lib/url'
import { Section } from '@/ui/Panel'
import styles from './Charts.module.css'
import { type DashboardFile, sectionsOf } from './model'
import { type Choices, rangeOf } from './query'

// The painters are a chunk of their own: most visits to a page look at its head only.
const Panel = lazy(() => import('./Panel').then((m) => ({ default: m.Panel })))

/** Some panels of a dashboard on another page, at the time of that page. */
export function Charts({ uid, titles, choices, all }: { uid: string; titles: readonly string[]; choices: Choices; all: Record<string, string> }) {
  const file = useDashboardFile<DashboardFile>(uid).data
  const [{ at, window }] = useUrlState(sharedSearch)
  const seconds = windowSeconds(window || '15m') ?? 900
  const now = useNow(5000)
  const range = rangeOf(at, seconds, now)
  if (!file) return null // the page has its own figures; these are history
  const panels = sectionsOf(file).flatMap((s) => s.panels)
  return (
    <Section
      title="Over time"
      note={
        <Link to="/dashboards/{-$uid}" params={{ uid }} search={all as never}>
          All panels
        </Link>
      }
    >
      <div className={styles.charts}>
        {titles.map((title) => {
          const panel = panels.find((p) => p.title === title)
          return panel ? (
            <div key={title} className={styles.cell} style={{ '--h': panel.gridPos.h } as CSSProperties}>
              <Suspense>
                <Panel uid={uid} panel={panel} choices={choices} range={range} by="sidelight" />
              </Suspense>
            </div>
          ) : null
        })}
      </div>
    </Section>
  )
}
