import { Link, useParams } from '@tanstack/react-router'
import { useDeferredValue, useMemo } from 'react'
import { useDashboardFile, useDashboards, useGrafana } from '@/api/dashboards'
import { useNow } from '@/api/live-context'
import type { DashboardItem, GrafanaStatus } from '@/api/types'
import { apiURL } from '@/lib/base'
import { plural } from '@/lib/format'
import { useFoot } from '@/lib/shell'
import { useTheme } from '@/lib/theme'
import { windowSeconds } from '@/lib/time'
import { namespacesOf, useUrlState } from '@/lib/url'
import type { DashboardFile } from '@/panel/model'
import { type Choices, grafanaSearch, jaegerLink, persesLink, type Range, rangeOf } from '@/panel/query'
import { buttonClass } from '@/ui/Button'
import { EmptyState } from '@/ui/EmptyState'
import { Icon } from '@/ui/Icon'
import { Segmented } from '@/ui/Segmented'
import { Skeleton } from '@/ui/Skeleton'
import { Trouble } from '@/ui/Trouble'
import { Choice } from './Choice'
import { GrafanaCard } from './GrafanaCard'
import { Grid } from './Grid'
import styles from './index.module.css'
import { dashboardsSearch, listOf } from './url'

/** The Dashboards page: the panels that belong to this build, drawn by Grafana where there is one, else by us. */
export function DashboardsPage() {
  const list = useDashboards()
  const { uid } = useParams({ strict: false }) as { uid?: string }
  // Two dozen charts go and as many come: the tab is marked before.
  const opened = useDeferredValue(uid)
  if (list.error) return <Trouble title="The dashboards cannot be shown" error={list.error} retry={list.refetch} />
  if (!list.data) return <Skeleton rows={10} label="Loading the dashboards" />
  const named = (name = 'sidelight-mesh') => list.data.find((d) => d.uid === name)
  const chosen = named(uid)
  const shown = named(opened)
  return (
    <div className={styles.page}>
      <nav className={styles.tabs} aria-label="Dashboards">
        {list.data.map((d) => (
          <Tab key={d.uid} dashboard={d} current={d === chosen} />
        ))}
      </nav>
      {shown ? (
        <Dashboard key={shown.uid} dashboard={shown} />
      ) : (
        <EmptyState title={`There is no dashboard ${opened}`} why="Choose one of those above: they belong to this build." />
      )}
    </div>
  )
}

function Tab({ dashboard, current }: { dashboard: DashboardItem; current: boolean }) {
  return (
    <Link
      to="/dashboards/{-$uid}"
      params={{ uid: dashboard.uid === 'sidelight-mesh' ? undefined : dashboard.uid }}
      activeOptions={{ exact: true, includeSearch: false }}
      search={((s: object) => s) as never}
      className={styles.tab}
      aria-current={current ? 'page' : undefined}
      title={dashboard.description}
    >
      {dashboard.title}
    </Link>
  )
}

function Dashboard({ dashboard }: { dashboard: DashboardItem }) {
  const file = useDashboardFile<DashboardFile>(dashboard.uid)
  const grafana = useGrafana().data
  const [search, setSearch] = useUrlState(dashboardsSearch)
  const range = useRange(search.at, search.window)
  const choices = useChoices(dashboard, search)
  const ready = grafana?.state === 'ready'
  const by = ready && search.draw !== 'sidelight' ? 'grafana' : 'sidelight'
  useFoot(`${plural(dashboard.panels, 'panel')}, drawn by ${by === 'grafana' ? `Grafana ${grafana?.version ?? ''}` : 'Sidelight'}`, '')
  if (file.error) return <Trouble title={`${dashboard.title} cannot be shown`} error={file.error} retry={file.refetch} />
  if (!file.data) return <Skeleton rows={12} label={`Loading ${dashboard.title}`} />
  const variables = file.data.templating.list.filter((v) => v.type !== 'datasource' && v.name !== 'namespace')
  return (
    <>
      <div className={styles.bar}>
        {variables.map((v) => (
          <Choice
            key={v.name}
            variable={v}
            choices={choices}
            range={range}
            onChoose={(values) => setSearch({ [v.name]: values.join(',') })}
          />
        ))}
        <p className={styles.about}>{dashboard.description}</p>
        {ready ? (
          <Segmented
            label="Drawn by"
            value={by}
            options={[
              { value: 'grafana', label: 'Grafana', title: 'Panels of your Grafana, six at once' },
              { value: 'sidelight', label: 'Sidelight', title: 'The same panels, drawn here' },
            ]}
            onChange={(draw) => setSearch({ draw: draw === 'grafana' ? '' : draw })}
          />
        ) : null}
        <Ways dashboard={dashboard} grafana={grafana} choices={choices} range={range} />
      </div>
      {grafana && !ready ? <GrafanaCard status={grafana} /> : null}
      <Grid file={file.data} choices={choices} range={range} by={by} />
    </>
  )
}

/** Where else the same can be seen. */
function Ways({ dashboard, grafana, choices, range }: { dashboard: DashboardItem; grafana?: GrafanaStatus; choices: Choices; range: Range }) {
  const theme = useTheme((s) => s.theme)
  const reachable = grafana && !['off', 'checking', 'unreachable'].includes(grafana.state)
  return (
    <span className={styles.ways}>
      {reachable ? (
        <a className={buttonClass('line')} href={apiURL(`grafana/d/${dashboard.uid}/_?${grafanaSearch(choices, range, theme)}`)} target="_blank" rel="noreferrer">
          Open in Grafana <Icon name="external" size={12} />
        </a>
      ) : null}
      {grafana?.jaeger ? (
        <a className={buttonClass('quiet')} href={jaegerLink(grafana.jaeger, choices, range)} target="_blank" rel="noreferrer">
          Jaeger <Icon name="external" size={12} />
        </a>
      ) : null}
      {grafana?.perses ? (
        <a className={buttonClass('quiet')} href={persesLink(grafana.perses, dashboard.uid, choices, range)} target="_blank" rel="noreferrer">
          Perses <Icon name="external" size={12} />
        </a>
      ) : null}
      <a className={buttonClass(reachable ? 'quiet' : 'line')} href={apiURL(`api/v1/dashboards/${dashboard.uid}`)} download={`${dashboard.uid}.json`} title="The file, for your Grafana">
        <Icon name="save" size={14} /> JSON
      </a>
    </span>
  )
}

function useRange(at: string, window: string): Range {
  const now = useNow(1000)
  const { from, to, live } = rangeOf(at, windowSeconds(window || '15m') ?? 900, now)
  return useMemo(() => ({ from, to, live }), [from, to, live])
}

function useChoices(dashboard: DashboardItem, search: { ns: string; service: string; workload: string; node: string }): Choices {
  const { ns, service, workload, node } = search
  return useMemo(() => {
    const all: Record<string, string[]> = { namespace: namespacesOf(ns), service: listOf(service), workload: listOf(workload), node: listOf(node) }
    return Object.fromEntries(dashboard.variables.map((v) => [v, all[v] ?? []]))
  }, [dashboard, ns, service, workload, node])
}
