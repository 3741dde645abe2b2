import { useConfigObjects, useProblems } from '@/api/config'
import { count, plural } from '@/lib/format'
import { useFindSlot, useFoot } from '@/lib/shell'
import { namespacesOf, useUrlState } from '@/lib/url'
import { Button } from '@/ui/Button'
import { ChipButton } from '@/ui/Chip'
import { EmptyState } from '@/ui/EmptyState'
import { HealthGlyph } from '@/ui/Health'
import { Skeleton } from '@/ui/Skeleton'
import { tableClass } from '@/ui/Table'
import { Trouble } from '@/ui/Trouble'
import styles from './index.module.css'
import { ObjectLink } from './ObjectLink'
import { objectRows, type ObjectRow } from './rows'
import { configSearch } from './url'

const NO_FIELDS = [] as const
const DRAWN = 500

/** All objects, those with something wrong first: in effect or not, and on which nodes. */
export function ObjectList() {
  const { data, error, refetch } = useConfigObjects()
  const problems = useProblems().data
  const [{ q, ns, kind }, setSearch] = useUrlState(configSearch)
  const all = data ? objectRows(data.objects, data.lacking, problems ?? []) : []
  const within = new Set(namespacesOf(ns))
  const words = q.toLowerCase().split(/\s+/).filter(Boolean)
  const rows = all.filter(
    (r) =>
      (kind === '' || r.kind === kind) &&
      (within.size === 0 || within.has(r.namespace)) &&
      words.every((w) => `${r.kind} ${r.namespace}/${r.name} ${r.source} ${r.problem?.message ?? ''}`.toLowerCase().includes(w)),
  )
  const kinds = [...new Set(all.map((r) => r.kind).filter(Boolean))].sort()
  useFindSlot({
    label: 'Find', placeholder: 'words of an object, a file or a problem', fields: NO_FIELDS, error: '',
    note: rows.length === all.length ? plural(all.length, 'object') : `${count(rows.length)} of ${plural(all.length, 'object')}`,
  })
  useFoot(plural(all.length, 'object'), '')
  if (!data) {
    if (!error) return <Skeleton rows={14} label="Loading the objects" />
    return <Trouble title="The objects cannot be shown" error={error} retry={refetch} />
  }
  if (all.length === 0) {
    return (
      <EmptyState
        title="Nothing is configured yet"
        why="Write YAML into the folder that --config-dir names (sidelight-config by default), or apply a file: sidelight config apply -f FILE. Begin with a ServiceEntry: what can be called, and where it is."
      />
    )
  }
  return (
    <>
      <div className={styles.kinds} role="group" aria-label="Kinds">
        {kinds.map((k) => (
          <ChipButton key={k} pressed={kind === k} onClick={() => setSearch({ kind: kind === k ? '' : k })}>
            {k} {count(all.filter((r) => r.kind === k).length)}
          </ChipButton>
        ))}
      </div>
      {rows.length === 0 ? (
        <EmptyState title="No object of that kind" why={`${plural(all.length, 'object')} in all; none has these words in the chosen namespaces and kinds.`}>
          <Button onClick={() => setSearch({ q: '', ns: '', kind: '' })}>Show all</Button>
        </EmptyState>
      ) : (
        // What scrolls is reached by the keyboard.
        // oxlint-disable-next-line jsx-a11y/no-noninteractive-tabindex
        <div className={styles.scroll} role="region" aria-label="Objects" tabIndex={0}>
          <table className={tableClass}>
            <thead>
              <tr>
                <th scope="col">Object</th>
                <th scope="col" data-wide>
                  Namespace
                </th>
                <th scope="col">On the nodes</th>
                <th scope="col" data-num>
                  Revision
                </th>
                <th scope="col" data-wide>
                  File
                </th>
                <th scope="col" data-mid>
                  What is wrong
                </th>
              </tr>
            </thead>
            <tbody>
              {rows.slice(0, DRAWN).map((r) => (
                <Row key={r.key} row={r} />
              ))}
            </tbody>
          </table>
          {rows.length > DRAWN ? <p className={styles.more}>{count(rows.length - DRAWN)} more: narrow them by words or namespace.</p> : null}
        </div>
      )}
    </>
  )
}

function Row({ row: r }: { row: ObjectRow }) {
  return (
    <tr>
      <td>
        <span className={styles.object}>
          <HealthGlyph state={r.state} size={12} />
          {r.kind === '' ? (
            <span className="t2">{r.source}</span>
          ) : r.inEffect ? (
            <ObjectLink object={r.key}>{r.name}</ObjectLink>
          ) : (
            <span className="strong">{r.name}</span>
          )}
          <span className="t3">{r.kind}</span>
        </span>
      </td>
      <td data-wide className="t2">
        {r.namespace}
      </td>
      <td>{r.nodes}</td>
      <td data-num>{r.revision > 0 ? r.revision : '–'}</td>
      <td data-wide className="mono t2">
        {r.source}:{r.line}
      </td>
      <td data-mid className={styles.problem} title={r.problem ? `${r.problem.message}; ${r.problem.hint}` : undefined}>
        {r.problem ? (
          <>
            <span className={r.problem.severity === 'error' ? 'fail-t' : 'warn-t'}>{r.problem.code}</span> {r.problem.message}
          </>
        ) : null}
      </td>
    </tr>
  )
}

