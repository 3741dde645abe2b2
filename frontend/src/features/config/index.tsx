import { Link, useParams, useSearch } from '@tanstack/react-router'
import { everyMs, useConfigObjects, useProblems, useRevisions } from '@/api/config'
import { useNow } from '@/api/live-context'
import { useLateness } from '@/api/resource'
import { span } from '@/lib/format'
import { secondsSince } from '@/lib/time'
import { HealthGlyph } from '@/ui/Health'
import { Stale } from '@/ui/Stale'
import { Explain } from './Explain'
import styles from './index.module.css'
import { ObjectDetail } from './ObjectDetail'
import { ObjectList } from './ObjectList'
import { Revisions } from './Revisions'
import { finding } from './rows'

const tabs = [
  { path: '', name: 'Objects' },
  { path: 'revisions', name: 'Revisions' },
  { path: 'explain', name: 'Explain' },
] as const

/** The Config page: /config, /config/revisions, /config/explain, /config/KIND/NAMESPACE/NAME. */
export function ConfigPage() {
  const { _splat: path = '' } = useParams({ strict: false }) as { _splat?: string }
  const { dataUpdatedAt, error } = useRevisions()
  const late = useLateness(dataUpdatedAt, everyMs)
  const parts = path.split('/').filter(Boolean)
  if (parts.length === 3) return <ObjectDetail key={path} path={parts.join('/')} />
  return (
    <div className={styles.page}>
      <Head />
      <Stale ageSeconds={late} reason={error ? `asking again: ${error.message}` : undefined}>
        {path === 'revisions' ? <Revisions /> : path === 'explain' ? <Explain /> : <ObjectList />}
      </Stale>
    </div>
  )
}

function Head() {
  const search = useSearch({ strict: false }) as Record<string, string>
  const problems = useProblems().data
  const lacking = useConfigObjects().data?.lacking
  const newest = useRevisions().data?.[0]
  const now = useNow(1000)
  const { state, title } = finding(problems, lacking)
  return (
    <header className={styles.head}>
      <HealthGlyph state={state} size={18} decorative />
      <h1>{title}</h1>
      {newest ? (
        <p className="t2">
          Revision {newest.number}, {span(secondsSince(newest.at, now))} ago by {newest.by}: {newest.summary}
        </p>
      ) : null}
      <nav className={styles.tabs} aria-label="Views of the configuration">
        {tabs.map((t) => (
          <Link
            key={t.path}
            to="/config/$"
            params={{ _splat: t.path }}
            search={(search.ns ? { ns: search.ns } : {}) as never}
            activeOptions={{ exact: true, includeSearch: false }}
          >
            {t.name}
          </Link>
        ))}
      </nav>
    </header>
  )
}
