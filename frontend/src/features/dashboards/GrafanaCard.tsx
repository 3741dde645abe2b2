import { useState } from 'react'
import type { GrafanaStatus } from '@/api/types'
import { Button, IconButton } from '@/ui/Button'
import { HealthGlyph } from '@/ui/Health'
import styles from './GrafanaCard.module.css'

const titles: Record<GrafanaStatus['state'], string> = {
  off: '',
  checking: '',
  ready: '',
  unreachable: 'Grafana does not answer',
  slow: 'Grafana is too slow to wait for',
  sub_path: 'Grafana does not know that it stands below /grafana/',
  login: 'Grafana wants a login',
  frame_refused: 'Grafana refuses to be shown inside of a page',
  no_dashboards: 'Grafana lacks these dashboards',
}

/** What keeps Grafana's panels out, and the setting to change. The panels below are ours meanwhile. */
export function GrafanaCard({ status }: { status: GrafanaStatus }) {
  const [hidden, setHidden] = useState('')
  const [copied, setCopied] = useState(false)
  const title = titles[status.state]
  if (title === '' || hidden === status.state) return null
  const copy = async () => {
    await navigator.clipboard.writeText(status.settings ?? '').catch(() => {})
    setCopied(true)
    setTimeout(() => setCopied(false), 1600)
  }
  return (
    <section className={styles.card} aria-label="Grafana">
      <HealthGlyph state="warn" decorative />
      <div className={styles.text}>
        <h2>{title}</h2>
        <p>
          {status.reason}
          {status.state === 'unreachable' ? ' Start it, or give its address to the server in --grafana-url; it is looked for again while this page is open.' : null} <span className="t3">The panels below are drawn by Sidelight from the same files.</span>
        </p>
      </div>
      {status.settings ? (
        <div className={styles.settings}>
          <span className="t3 t11">grafana.ini</span>
          <pre className="mono">{status.settings}</pre>
          <Button small icon={copied ? 'check' : 'copy'} onClick={() => void copy()}>
            {copied ? 'Copied' : 'Copy'}
          </Button>
        </div>
      ) : null}
      <IconButton icon="close" label="Hide this" size={22} onClick={() => setHidden(status.state)} />
    </section>
  )
}
