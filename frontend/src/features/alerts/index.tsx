import { useAlerts } from '@/api/alerts'
import { useNow } from '@/api/live-context'
import type { Alert, AlertsView } from '@/api/types'
import { count, plural, span } from '@/lib/format'
import { useFindSlot, useFoot } from '@/lib/shell'
import { useUrlState } from '@/lib/url'
import { HealthGlyph } from '@/ui/Health'
import { LiveView } from '@/ui/LiveView'
import { AlertRow } from './AlertRow'
import { finding, matching } from './finding'
import styles from './index.module.css'
import { Delivery, Rules } from './Rules'
import { alertsSearch } from './url'

const NO_FIELDS = [] as const

/** The Alerts page: what fires, what is about to, what is over, and whether anybody was told. */
export function AlertsPage() {
  const live = useAlerts()
  return (
    <div className={styles.page}>
      <LiveView live={live} noun="the alerts" rows={10} toleratedMs={3500}>
        {(data) => <Whole of={data} />}
      </LiveView>
    </div>
  )
}

function Whole({ of: view }: { of: AlertsView }) {
  const [search, set] = useUrlState(alertsSearch)
  const active = matching(view.alerts, search.q)
  const past = matching(view.past, search.q)
  const says = finding(view)
  const all = view.alerts.length + view.past.length
  useFindSlot({
    label: 'Find', placeholder: 'words of an alert, a node or a service', fields: NO_FIELDS, error: '',
    note: search.q ? `${count(active.length + past.length)} of ${plural(all, 'alert')}` : plural(all, 'alert'),
  })
  useFoot(`${count(view.counts.firing)} firing, ${count(view.counts.pending)} pending`, plural(view.rules.length, 'rule'))
  const list = { chosen: search.id, open: (id: string) => set({ id: id === search.id ? '' : id }) }
  return (
    <div className={styles.grid}>
      <div className={styles.main}>
        <header className={styles.head}>
          <HealthGlyph state={says.state} size={22} decorative />
          <div>
            <h1>{says.text}</h1>
            <p className="t2">{says.sub}</p>
          </div>
        </header>
        {view.problems.length > 0 ? (
          <ul className={styles.problems} aria-label="Rules that cannot be read">
            {view.problems.map((p) => (
              <li key={p}>
                <HealthGlyph state="warn" size={13} decorative /> {p}
              </li>
            ))}
          </ul>
        ) : null}
        <Section title="Active" alerts={active} {...list}>
          {view.alerts.length === 0 ? 'No rule is true now.' : 'None of them has these words.'}
        </Section>
        <Section title="Over" alerts={past} {...list}>
          {view.past.length === 0 ? 'Nothing has fired in the last seven days.' : 'None of them has these words.'}
        </Section>
      </div>
      {/* oxlint-disable-next-line jsx-a11y/no-noninteractive-tabindex */}
      <aside className={styles.aside} aria-label="Rules and delivery" tabIndex={0}>
        <Delivery receivers={view.receivers} />
        <Rules rules={view.rules} />
      </aside>
    </div>
  )
}

function Section({ title, alerts, chosen, open, children }: {
  title: string
  alerts: Alert[]
  chosen: string
  open: (id: string) => void
  children: string
}) {
  const now = useNow(1000)
  return (
    <section className={styles.section} aria-label={title}>
      <h2>
        {title} <span className="t3">{count(alerts.length)}</span>
      </h2>
      {alerts.length === 0 ? (
        <p className={styles.none}>{children}</p>
      ) : (
        <ul className={styles.list}>
          {alerts.map((a) => (
            <AlertRow
              key={`${a.id} ${a.resolved_at ?? ''}`}
              alert={a}
              age={span(Math.max(0, ((a.resolved_at ? Date.parse(a.resolved_at) : now) - Date.parse(a.active_at)) / 1000))}
              open={chosen === a.id}
              onToggle={() => open(a.id)}
            />
          ))}
        </ul>
      )}
    </section>
  )
}
