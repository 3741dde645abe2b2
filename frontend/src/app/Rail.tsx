import { Link, useSearch } from '@tanstack/react-router'
import { useEffect, useRef } from 'react'
import { useAlerts } from '@/api/alerts'
import { useNodes } from '@/api/nodes'
import { cx } from '@/lib/cx'
import { count } from '@/lib/format'
import { useTheme } from '@/lib/theme'
import { Icon, Mark } from '@/ui/Icon'
import { useFrame } from './frame'
import { isAt, kept, nothingOpen, pages } from './pages'
import styles from './Rail.module.css'

/** The pages, with names or icons alone; on a narrow screen a bar at the foot. */
export function Rail({ open, path }: { open: boolean; path: string }) {
  const search = useSearch({ strict: false }) as Record<string, string>
  const { theme, toggle } = useTheme()
  const setKeys = useFrame((s) => s.setKeys)
  const nodes = useNodes().data
  const behind = nodes ? nodes.summary.nodes - nodes.summary.synced : 0
  const firing = useAlerts().data?.counts.firing ?? 0
  const list = useRef<HTMLUListElement>(null)
  // Where the pages scroll, the current one is in view.
  useEffect(() => {
    list.current?.querySelector('[aria-current]')?.scrollIntoView?.({ block: 'nearest', inline: 'center' })
    // oxlint-disable-next-line react/exhaustive-deps
  }, [path])
  return (
    <nav className={styles.rail} aria-label="Pages" data-open={open}>
      <div className={styles.brand}>
        <Mark />
        <span className={styles.name}>Sidelight</span>
      </div>
      <ul className={styles.pages} ref={list}>
        {pages.map((page) => (
          <li key={page.to}>
            <Link
              to={page.to}
              params={nothingOpen}
              search={kept(search)}
              className={styles.item}
              title={open ? undefined : page.name}
              aria-label={page.name}
              aria-current={isAt(page.match, path) ? 'page' : undefined}
            >
              <Icon name={page.icon} />
              <span className={styles.name}>{page.name}</span>
              {page.name === 'Nodes' && behind > 0 ? (
                <b className={cx(styles.badge, 'fail-t')} title={`${count(behind)} not on the desired configuration`}>
                  {count(behind)}
                </b>
              ) : null}
              {page.name === 'Alerts' && firing > 0 ? (
                <b className={cx(styles.badge, 'fail-t')} title={`${count(firing)} firing`}>
                  {count(firing)}
                </b>
              ) : null}
            </Link>
          </li>
        ))}
      </ul>
      <div className={styles.foot}>
        <button type="button" className={styles.item} title="Shortcuts" aria-label="Shortcuts" onClick={() => setKeys(true)}>
          <Icon name="keys" />
          <span className={styles.name}>Shortcuts</span>
        </button>
        <button
          type="button"
          className={styles.item}
          title={theme === 'dark' ? 'Light theme' : 'Dark theme'}
          aria-label={theme === 'dark' ? 'Light theme' : 'Dark theme'}
          onClick={toggle}
        >
          <Icon name={theme === 'dark' ? 'sun' : 'moon'} />
          <span className={styles.name}>{theme === 'dark' ? 'Light theme' : 'Dark theme'}</span>
        </button>
      </div>
    </nav>
  )
}
