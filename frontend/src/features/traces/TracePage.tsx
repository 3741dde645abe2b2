import { Link } from '@tanstack/react-router'
import { useCallback, useMemo, useState } from 'react'
import { ApiError } from '@/api/client'
import { useTrace } from '@/api/traces'
import type { Trace } from '@/api/types'
import { count, duration, plural, text } from '@/lib/format'
import { announce, useFoot } from '@/lib/shell'
import { clockMs } from '@/lib/time'
import { useUrlState } from '@/lib/url'
import { Button, buttonClass } from '@/ui/Button'
import { Chip } from '@/ui/Chip'
import { EmptyState } from '@/ui/EmptyState'
import { HealthGlyph } from '@/ui/Health'
import { Skeleton } from '@/ui/Skeleton'
import { causeOf, headline, shares } from './finding'
import { Folding } from './folding'
import styles from './index.module.css'
import { Minimap } from './Minimap'
import { SpanPanel } from './SpanPanel'
import { buildTree } from './tree'
import type { SpanTree } from './tree'
import { tracesSearch } from './url'
import { Waterfall } from './Waterfall'
import type { View } from './zoom'

/** One trace: what failed or took long, and everything that led there. */
export function TracePage({ traceId }: { traceId: string }) {
  const { data, error, refetch } = useTrace(traceId)
  if (data) return <Opened key={data.trace_id} trace={data} />
  if (!error) return <Skeleton rows={16} label="Loading the trace" />
  const missing = error instanceof ApiError && error.status === 404
  return (
    <EmptyState
      state={missing ? 'unknown' : 'fail'}
      title={missing ? 'This trace is not here' : 'The trace cannot be shown'}
      why={missing ? 'No span of it has arrived, or it is older than what the store keeps. Spans are sent in batches: a request of just now takes a second or two.' : `${error.message} ${error instanceof ApiError ? error.hint : ''}`}
    >
      <Button icon="retry" onClick={() => void refetch()}>
        Look again
      </Button>
      <Link className={buttonClass()} to="/traces/{-$traceId}" params={{ traceId: undefined }} search={((s: object) => s) as never}>
        All traces
      </Link>
    </EmptyState>
  )
}

function Opened({ trace }: { trace: Trace }) {
  const tree = useMemo(() => buildTree(trace), [trace])
  const folding = useMemo(() => new Folding(tree), [tree])
  const [view, setView] = useState<View>({ from: 0, to: tree.duration_us })
  const [rows, setRows] = useState({ from: 0, to: tree.size - 1 })
  const [search, setSearch] = useUrlState(tracesSearch)
  const selected = search.span ? (tree.index.get(search.span) ?? null) : null

  const select = useCallback(
    (i: number | null) => {
      if (i !== null) folding.reveal(i)
      setSearch({ span: i === null ? '' : tree.spans[i]!.span_id })
    },
    [tree, folding, setSearch],
  )
  const nextError = useCallback(() => {
    if (tree.origins.length === 0) return announce('This trace has no error')
    const from = selected ?? -1
    const later = [...tree.origins].sort((a, b) => a - b).find((i) => i > from)
    select(later ?? Math.min(...tree.origins))
  }, [tree, selected, select])
  const onRows = useCallback((from: number, to: number) => setRows((r) => (r.from === from && r.to === to ? r : { from, to })), [])
  useFoot(`${plural(tree.size, 'span')}, ${plural(tree.errors.reduce((n, e, i) => n + (tree.parent[i]! < 0 ? e : 0), 0), 'error')}`, '↑↓ spans   ←→ fold   N next error   Esc close')

  const whole = view.from === 0 && view.to === tree.duration_us
  return (
    <>
      <Head trace={trace} tree={tree} onCause={select} />
      <div className={styles.tools}>
        <Button small disabled={tree.origins.length === 0} onClick={nextError}>
          Next error <kbd>N</kbd>
        </Button>
        <Button small onClick={() => folding.quiet()}>
          Fold what is quiet
        </Button>
        <Button small onClick={() => folding.none()}>
          Unfold all
        </Button>
        {whole ? null : (
          <Button small onClick={() => setView({ from: 0, to: tree.duration_us })}>
            Show all {text(duration(tree.duration_us / 1000))}
          </Button>
        )}
        <Key />
      </div>
      <div className={styles.minimap}>
        <Minimap tree={tree} view={view} rows={rows} onView={setView} onRow={select} />
      </div>
      <div className={styles.split}>
        <Waterfall {...{ tree, folding, view, selected, onRows }} onSelect={select} onNextError={nextError} />
        {selected === null ? null : <SpanPanel tree={tree} index={selected} traceId={trace.trace_id} onSelect={select} />}
      </div>
    </>
  )
}

function Head({ trace, tree, onCause }: { trace: Trace; tree: SpanTree; onCause: (i: number) => void }) {
  const cause = causeOf(tree)
  const root = trace.spans[0]
  const top = shares(trace.spans).slice(0, 4)
  const whole = top.reduce((n, s) => n + s.self_us, 0) || 1
  return (
    <header className={styles.head}>
      <nav className={styles.crumb} aria-label="Where this is">
        <Link to="/traces/{-$traceId}" params={{ traceId: undefined }} search={((s: Record<string, string>) => ({ ...s, span: '' })) as never}>
          Traces
        </Link>
        <span className="t3">/</span>
        <span className="mono t2 cut">{trace.trace_id}</span>
      </nav>
      <div className={styles.headline}>
        <HealthGlyph state={cause?.reachedCaller ? 'fail' : cause ? 'warn' : 'ok'} />
        <h1>{headline(trace, tree)}</h1>
        {cause ? (
          <Button small onClick={() => onCause(cause.index)}>
            Go there
          </Button>
        ) : null}
      </div>
      <p className="t2">
        <b className="strong">{text(duration(trace.duration_ms))}</b>
        {root ? `, ${root.service} ${root.operation}` : ''}, at {clockMs(trace.start)}, {plural(trace.spans.length, 'span')} of {plural(trace.services.length, 'service')}.{' '}
        <span className="t3">Own time: {top.map((s) => `${s.service} ${Math.round((s.self_us / whole) * 100)} %`).join(', ')}.</span>
        {cause?.object ? (
          <span className="t3">
            {' '}
            Set by <b className="t2">{cause.object}</b>
            {attributeRevision(cause.span.attributes)}.
          </span>
        ) : null}
      </p>
      {trace.problems.length > 0 ? (
        <p className={styles.problems}>
          {trace.problems.map((p) => (
            <Chip key={p} kind="warn">
              {p}
            </Chip>
          ))}
        </p>
      ) : null}
    </header>
  )
}

function attributeRevision(attributes: readonly { key: string; value: string }[]): string {
  const rev = attributes.find((a) => a.key === 'sidelight.revision')?.value
  return rev ? `, rev ${count(Number(rev))}` : ''
}

function Key() {
  return (
    <span className={styles.key} aria-hidden="true">
      <span><i data-k="app" />application</span>
      <span><i data-k="sidecar" />sidecar</span>
      <span><i data-k="origin" />failed first</span>
      <span><i data-k="failed" />failed after</span>
      <span><i data-k="critical" />critical path</span>
    </span>
  )
}
