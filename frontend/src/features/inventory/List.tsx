import { type ReactNode, useMemo } from 'react'
import type { Inventory } from '@/api/types'
import { parse, type Schema } from '@/lib/expr/parse'
import { count, plural } from '@/lib/format'
import { useFindSlot, useFoot } from '@/lib/shell'
import { namespacesOf, useUrlState } from '@/lib/url'
import { Button } from '@/ui/Button'
import { EmptyState } from '@/ui/EmptyState'
import { HealthGlyph } from '@/ui/Health'
import { Skeleton } from '@/ui/Skeleton'
import { SortHead, tableClass } from '@/ui/Table'
import { Trouble } from '@/ui/Trouble'
import type { Column } from './columns'
import styles from './List.module.css'
import { matching, type Row, sorted, worst } from './sort'
import { listSearch } from './url'

/** One list of the inventory: the finding as its title, then the rows; and why there are none. */
export function List<T extends Row & { id?: string; host?: string }>({
  noun,
  query,
  columns,
  schema,
  placeholder,
  facts,
  empty,
}: {
  noun: string
  query: { data: Inventory<T> | undefined; error: Error | null; refetch: () => unknown }
  columns: readonly Column<T>[]
  schema: Schema<T>
  placeholder: string
  facts: (all: readonly T[]) => ReactNode
  /** What it means that there is nothing at all, and what to do. */
  empty: string
}) {
  const [{ ns, q, by, down, rows }, setUrl] = useUrlState(listSearch)
  const all = query.data?.items
  const asked = useMemo(() => parse(q, schema), [q, schema])
  const sort = { by, down: down === '1' }
  const shown = useMemo(() => {
    const kept = matching(all ?? [], namespacesOf(ns), asked.match ?? (() => true))
    return sorted(kept, columns.find((c) => c.name === by)?.sort, down === '1')
  }, [all, ns, asked, by, down, columns])
  const total = all?.length ?? 0
  useFindSlot({
    label: 'Find',
    placeholder,
    fields: schema.fields,
    error: asked.error?.message ?? '',
    note: all === undefined ? '' : shown.length < total ? `${count(shown.length)} of ${plural(total, noun)}` : plural(total, noun),
  })
  useFoot('', 'column heads sort')
  if (all === undefined) {
    if (!query.error) return <Skeleton rows={14} label={`Loading the ${noun}s`} />
    return <Trouble title={`The ${noun}s cannot be shown`} error={query.error} retry={query.refetch} />
  }
  const drawn = Number(rows)
  return (
    <div className={styles.page}>
      <header className={styles.head}>
        <HealthGlyph state={worst(all)} size={18} decorative />
        <h1>{title(noun, all)}</h1>
        <p className="t2">{facts(all)}</p>
        {query.error ? <p className={styles.old}>Asking again: {query.error.message}</p> : null}
      </header>
      {total === 0 ? (
        <EmptyState title={`No ${noun} is known`} why={empty} />
      ) : shown.length === 0 ? (
        <EmptyState title={`No ${noun} of that kind`} why={`${plural(total, noun)} in all; the expression holds for none in the chosen namespaces.`}>
          <Button onClick={() => setUrl({ q: '', ns: '' })}>Show all</Button>
        </EmptyState>
      ) : (
        // What scrolls is reached by the keyboard.
        // oxlint-disable-next-line jsx-a11y/no-noninteractive-tabindex
        <div className={styles.scroll} role="region" aria-label={`${noun}s`} tabIndex={0}>
          <table className={tableClass}>
            <thead>
              <tr>
                {columns.map((c) =>
                  c.sort ? (
                    <SortHead key={c.name} name={c.name} sort={sort} num={c.num} onSort={(s) => setUrl({ by: s.by, down: s.down ? '1' : '' })}>
                      {c.head}
                    </SortHead>
                  ) : (
                    <th key={c.name} scope="col" data-wide>
                      {c.head}
                    </th>
                  ),
                )}
              </tr>
            </thead>
            <tbody>
              {shown.slice(0, drawn).map((row) => (
                <tr key={row.id ?? row.host ?? row.name}>
                  {columns.map((c) => (
                    <td key={c.name} className={c.tone?.(row)} data-col={c.name} data-wide={c.sort ? undefined : true} title={c.title?.(row)}>
                      {c.cell(row)}
                    </td>
                  ))}
                </tr>
              ))}
            </tbody>
          </table>
          {drawn < shown.length ? (
            <button type="button" className={styles.more} onClick={() => setUrl({ rows: String(drawn + 1000) })}>
              {count(drawn)} of {count(shown.length)} rows drawn, show {count(Math.min(shown.length - drawn, 1000))} more
            </button>
          ) : null}
        </div>
      )}
    </div>
  )
}

function title(noun: string, all: readonly Row[]): string {
  const total = all.length
  const fail = all.filter((r) => r.health.state === 'fail').length
  const warn = all.filter((r) => r.health.state === 'warn').length
  if (total === 0) return `No ${noun}s`
  if (fail > 0) return `${count(fail)} of ${plural(total, noun)} ${fail === 1 ? 'fails' : 'fail'}${warn > 0 ? `, ${count(warn)} degraded` : ''}`
  if (warn > 0) return `${count(warn)} of ${plural(total, noun)} degraded, none fails`
  return total === 1 ? `The one ${noun} is healthy` : `None of ${plural(total, noun)} is failing`
}
