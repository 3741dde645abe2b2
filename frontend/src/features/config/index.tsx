import { Link, useParams, useSearch } from '@tanstack/react-router'
import { everyMs, useProblems, useRevisions } from '@/api/config'
import { useNow } from '@/api/live-context'
import { useLateness } from '@/api/resource'
import { plural, span } from '@/lib/format'
import { secondsSince } from '@/lib/time'
import { HealthGlyph } from '@/ui/Health'
import { Stale } from '@/ui/Stale'
import { Explain } from './Explain'
import styles from './index.module.css'
import { ObjectDetail } from './ObjectDetail'
import { ObjectList } from './ObjectList'
import { Revisions } from './Revisions'

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
  const newest = useRevisions().data?.[0]
  const now = useNow(1000)
  const errors = problems?.filter((p) => p.severity === 'error').length ?? 0
  const warnings = (problems?.length ?? 0) - errors
  return (
    <header className={styles.head}>
      <HealthGlyph state={problems === undefined ? 'unknown' : errors > 0 ? 'fail' : warnings > 0 ? 'warn' : 'ok'} size={18} decorative />
      <h1>{finding(problems === undefined, errors, warnings)}</h1>
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

function finding(waiting: boolean, errors: number, warnings: number): string {
  if (waiting) return 'Configuration'
  if (errors > 0) return `${plural(errors, 'error')} keep${errors === 1 ? 's' : ''} objects out of effect${warnings > 0 ? `, ${plural(warnings, 'warning')}` : ''}`
  if (warnings > 0) return `All is in effect, with ${plural(warnings, 'warning')}`
  return 'All that is written is in effect'
}
