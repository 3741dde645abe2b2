import { useNavigate } from '@tanstack/react-router'
import { useMemo, useState } from 'react'
import { outcomeOf } from '@/api/outcome'
import { useTraces } from '@/api/traces'
import type { TraceSearch } from '@/api/types'
import { count, duration, plural, text } from '@/lib/format'
import { useFoot } from '@/lib/shell'
import { namespacesOf, useUrlState } from '@/lib/url'
import { Button } from '@/ui/Button'
import { EmptyState } from '@/ui/EmptyState'
import { Segmented } from '@/ui/Segmented'
import { Skeleton } from '@/ui/Skeleton'
import { Trouble } from '@/ui/Trouble'
import { sidesOfSearch } from './compare'
import { matches } from './find'
import styles from './index.module.css'
import { outcomesInWords } from './outcome'
import { ResultList } from './ResultList'
import { Scatter } from './Scatter'
import { LostHeaders } from './LostHeaders'
import { NOTHING, SearchForm } from './SearchForm'
import { isLive, LIMITS, narrowed, queryOf, tracesSearch } from './url'

type Order = 'newest' | 'slowest' | 'failed'

/** The traces that match a search: when, how long, who took part. */
export function SearchPage() {
  const [search, setSearch] = useUrlState(tracesSearch)
  const navigate = useNavigate()
  const [hovered, setHovered] = useState<string | null>(null)
  const [order, setOrder] = useState<Order>('newest')
  const { data, error: failed, isFetching, refetch } = useTraces(queryOf(search), isLive(search) ? 5000 : false)
  // A new try forgets why the last one failed; the page does not, until something came.
  const [error, setError] = useState<Error | null>(null)
  if (failed && failed !== error) setError(failed)
  if (!failed && error && data && !isFetching) setError(null)
  const open = (traceId: string) => void navigate({ to: '/traces/{-$traceId}', params: { traceId }, search: ((s: object) => s) as never })
  const namespaces = namespacesOf(search.ns).join(',')

  // Asked again every few seconds: an unchanged answer keeps its identity, so this list does too.
  const traces = useMemo(() => {
    const within = new Set(namespaces.split(',').filter(Boolean))
    const list = (data?.traces ?? []).filter((t) => (within.size === 0 || inNamespaces(t.service, within)) && matches(t, search.q))
    return sorted(list, order)
  }, [data, order, namespaces, search.q])
  useFoot(data ? `${plural(data.total_scanned, 'trace')} looked at${data.complete ? '' : ', the search stopped at its limit'}` : '', '')

  return (
    <>
      <SearchForm search={search} onChange={(patch) => setSearch(patch, { push: true })} />
      <LostHeaders />
      {data && traces.length > 0 ? (
        <div className={styles.results}>
          <header className={styles.title}>
            <h1>{finding(data, traces)}</h1>
            {error ? <span className="warn-t">not renewed: {error.message}</span> : null}
            <span className={styles.tools}>
              <Button small onClick={() => setSearch(sidesOfSearch(search), { push: true })}>
                What differs?
              </Button>
              <Segmented<Order>
                label="Order"
                value={order}
                options={[
                  { value: 'newest', label: 'Newest' },
                  { value: 'slowest', label: 'Slowest' },
                  { value: 'failed', label: 'Failed first' },
                ]}
                onChange={setOrder}
              />
              <Segmented
                label="At most"
                value={String(search.limit)}
                options={LIMITS.map((l) => ({ value: String(l), label: String(l), title: `at most ${l} traces` }))}
                onChange={(l) => setSearch({ limit: Number(l) })}
              />
            </span>
          </header>
          <Scatter traces={traces} hovered={hovered} onHover={setHovered} onOpen={open} onBrush={(range) => setSearch(range, { push: true })} />
          <ResultList traces={traces} hovered={hovered} onHover={setHovered} />
        </div>
      ) : error ? (
        <Trouble title="Traces cannot be searched" error={error} retry={refetch} />
      ) : !data || (isFetching && data.traces.length === 0 && data.total_scanned === 0) ? (
        <Skeleton rows={12} label="Searching traces" />
      ) : (
        <Nothing data={data} narrowing={[...narrowed(search).map((n) => n.text), ...(search.q ? [`“${search.q}”`] : [])]} onClear={() => setSearch({ ...NOTHING, ns: '', q: '' }, { push: true })} />
      )}
    </>
  )
}

function Nothing({ data, narrowing, onClear }: { data: TraceSearch; narrowing: readonly string[]; onClear: () => void }) {
  if (narrowing.length === 0 && data.traces.length === 0) {
    return (
      <EmptyState
        title="No trace yet"
        why="Sidecars send spans to the collector by OTLP (ports 4317 and 4318). Once a request went through one, its trace stands here within seconds. Applications must pass traceparent on, or a trace ends at them."
      />
    )
  }
  return (
    <EmptyState title="No trace matches" why={`${count(data.total_scanned)} were looked at for: ${narrowing.join(', ') || 'the chosen namespaces'}. Widen one of these, or reach further back.`}>
      <Button onClick={onClear}>Show all traces</Button>
    </EmptyState>
  )
}

/** Summaries name services only; a service may be written with its namespace. */
const inNamespaces = (service: string, within: ReadonlySet<string>) => {
  const [, ns] = /[./]/.test(service) ? service.split(/[./]/) : []
  return ns === undefined || within.has(ns)
}

function sorted(traces: TraceSearch['traces'], order: Order): TraceSearch['traces'] {
  const newest = (a: { start: string }, b: { start: string }) => (a.start < b.start ? 1 : a.start > b.start ? -1 : 0)
  return [...traces].sort((a, b) => {
    if (order === 'slowest') return b.duration_ms - a.duration_ms
    if (order === 'failed') return Number(outcomeOf(b) === 'failed') - Number(outcomeOf(a) === 'failed') || b.errors - a.errors || newest(a, b)
    return newest(a, b)
  })
}

function finding(data: TraceSearch, traces: TraceSearch['traces']): string {
  const slowest = traces.reduce((a, b) => (b.duration_ms > a.duration_ms ? b : a))
  const many = `${data.complete ? '' : 'the newest '}${plural(traces.length, 'trace')}`
  return `${many.charAt(0).toUpperCase()}${many.slice(1)}, ${outcomesInWords(traces)}. Slowest ${text(duration(slowest.duration_ms))}: ${slowest.service} ${slowest.operation}`
}
