import { useRouter } from '@tanstack/react-router'
import type { MouseEvent } from 'react'
import { alertWords, shortHosts } from '@/api/alertwords'
import type { Alert } from '@/api/types'
import { basePath } from '@/lib/base'
import { figure } from '@/lib/format'
import { Chip } from '@/ui/Chip'
import { HealthGlyph } from '@/ui/Health'
import { Icon } from '@/ui/Icon'
import { linkTo, severityHealth } from './finding'
import styles from './index.module.css'

/** One alert: what, of what, for how long; opened, all that is known of it. */
export function AlertRow({ alert, age, open, onToggle }: { alert: Alert; age: string; open: boolean; onToggle: () => void }) {
  const health = severityHealth(alert)
  const kind = health === 'fail' || health === 'warn' ? health : 'idle'
  return (
    <li className={styles.alert} data-open={open}>
      <div className={styles.row}>
        <button type="button" className={styles.toggle} aria-expanded={open} onClick={onToggle}>
          <HealthGlyph state={health} size={14} decorative />
          <span className={styles.summary}>{alertWords(alert.summary)}</span>
          <Chip kind={kind}>{alert.state === 'firing' ? alert.severity || 'firing' : alert.state}</Chip>
          <span className={styles.age} title={new Date(alert.active_at).toLocaleString()}>
            {age}
          </span>
        </button>
        <About alert={alert} />
      </div>
      {alert.detail && !open ? <p className={styles.detail}>{alert.detail}</p> : null}
      {open ? <Opened alert={alert} /> : null}
    </li>
  )
}

function About({ alert }: { alert: Alert }) {
  const router = useRouter()
  const to = linkTo(alert)
  if (to === null) return <span className={styles.about} />
  const href = `${basePath()}${to}`
  const go = (e: MouseEvent) => {
    if (e.metaKey || e.ctrlKey || e.shiftKey || e.button !== 0) return
    e.preventDefault()
    router.history.push(href)
  }
  return (
    <a className={styles.about} href={href} onClick={go} title={alert.about ? `${alert.about.kind} ${alert.about.id}` : 'All nodes'}>
      <span>{alert.about ? shortHosts(alert.about.id) : 'Nodes'}</span>
      <Icon name="right" size={12} />
    </a>
  )
}

function Opened({ alert }: { alert: Alert }) {
  const time = (t?: string) => (t ? new Date(t).toLocaleString() : '')
  const lines: [string, string][] = [
    ['Known now', alert.detail ?? ''],
    ['Rule', `${alert.rule} (${alert.group})`],
    ['Value', figure(alert.value)],
    ['True since', time(alert.active_at)],
    ['Fired', time(alert.fired_at)],
    ['Over', time(alert.resolved_at)],
    ['What to do', alert.runbook ?? ''],
    ['Labels', Object.entries(alert.labels).map(([k, v]) => `${k}=${v}`).join('  ')],
  ]
  return (
    <div className={styles.opened}>
      {alert.description ? <p>{alert.description}</p> : null}
      <dl>
        {lines.filter(([, value]) => value !== '').map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
    </div>
  )
}
