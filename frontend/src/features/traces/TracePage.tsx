import { Link } from '@tanstack/react-router'
import { memo, useCallback, useMemo, useState } from 'react'
import { ApiError } from '@/api/client'
import { useTrace } from '@/api/traces'
import type { Trace } from '@/api/types'
import { count, duration, plural, text } from '@/lib/format'
import { announce, useFoot } from '@/lib/shell'
import { clockMs } from '@/lib/time'
import { useUrlState } from '@/lib/url'
import { Button, buttonClass } from '@/ui/Button'
import { Chip, ChipButton } from '@/ui/Chip'
import { EmptyState } from '@/ui/EmptyState'
import { HealthGlyph } from '@/ui/Health'
import { Segmented } from '@/ui/Segmented'
import { Skeleton } from '@/ui/Skeleton'
import { Trouble } from '@/ui/Trouble'
import { CallsView } from './CallsView'
import { sidesOfTrace } from './compare'
import { causeOf, headline, shares } from './finding'
import { FlameView } from './FlameView'
import { Folding } from './folding'
import styles from './index.module.css'
import { StopsHere } from './LostHeaders'
import { Minimap } from './Minimap'
import { SpanPanel } from './SpanPanel'
import { buildTree } from './tree'
import type { SpanTree } from './tree'
import { tracesSearch } from './url'
import type { TracesSearch } from './url'
import { Waterfall } from './Waterfall'
import type { View } from './zoom'

/** One trace: what failed or took long, and everything that led there. */
export function TracePage({ traceId }: { traceId: string }) {
  const { data, error, refetch } = useTrace(traceId)
  if (data) return <Opened key={data.trace_id} trace={data} />
  if (!error) return <Skeleton rows={16} label="Loading the trace" />
  const all = (
    <Link className={buttonClass()} to="/traces/{-$traceId}" params={{ traceId: undefined }} search={((s: object) => s) as never}>
      All traces
    </Link>
  )
  if (!(error instanceof ApiError && error.status === 404)) {
    return (
      <Trouble title="The trace cannot be shown" error={error} retry={refetch}>
        {all}
      </Trouble>
    )
  }
  return (
    <EmptyState
      state="unknown"
      title="This trace is not here"
      why="No span of it has arrived, or it is older than what the store keeps. Spans are sent in batches: a request of just now takes a second or two."
    >
      <Button icon="retry" onClick={() => void refetch()}>
        Look again
      </Button>
      {all}
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
  const errors = useMemo(() => tree.errors.reduce((n, e, i) => n + (tree.parent[i]! < 0 ? e : 0), 0), [tree])
  useFoot(`${plural(tree.size, 'span')}, ${plural(errors, 'error')}`, '↑↓ spans   ←→ fold   N next error   Esc close')

  const whole = view.from === 0 && view.to === tree.duration_us
  return (
    <>
      <Head trace={trace} tree={tree} onCause={select} />
      <StopsHere tree={tree} traceId={trace.trace_id} onSelect={select} />
      <div className={styles.tools}>
        <Segmented<TracesSearch['as']>
          label="Shown as"
          value={search.as}
          options={[
            { value: '', label: 'Waterfall' },
            { value: 'flame', label: 'Flame' },
            { value: 'calls', label: 'Graph', title: 'Who called whom in this trace' },
          ]}
          onChange={(as) => setSearch({ as })}
        />
        <Button small disabled={tree.origins.length === 0} onClick={nextError}>
          Next error <kbd>N</kbd>
        </Button>
        <Button small onClick={() => folding.quiet()}>
          Fold what is quiet
        </Button>
        <Button small onClick={() => folding.none()}>
          Unfold all
        </Button>
        <ChipButton pressed={search.hops === '1'} onClick={() => setSearch({ hops: search.hops ? '' : '1' })}>
          One row a call
        </ChipButton>
        {whole ? null : (
          <Button small onClick={() => setView({ from: 0, to: tree.duration_us })}>
            Show all {text(duration(tree.duration_us / 1000))}
          </Button>
        )}
        <CompareLink trace={trace} />
        <Key />
      </div>
      <div className={styles.minimap}>
        <Minimap tree={tree} view={view} rows={rows} onView={setView} onRow={select} />
      </div>
      <div className={styles.split}>
        {search.as === 'flame' ? (
          <FlameView tree={tree} onSelect={select} />
        ) : search.as === 'calls' ? (
          <CallsView calls={trace.calls} />
        ) : (
          <Waterfall {...{ tree, folding, view, selected, onRows }} byHop={search.hops === '1'} onSelect={select} onNextError={nextError} />
        )}
        {selected === null ? null : <SpanPanel tree={tree} index={selected} traceId={trace.trace_id} onSelect={select} />}
      </div>
    </>
  )
}

/** Memoised: it reads all spans, and the page is drawn anew with each scroll. */
const Head = memo(function Head({ trace, tree, onCause }: { trace: Trace; tree: SpanTree; onCause: (i: number) => void }) {
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
      <Gap trace={trace} tree={tree} onSelect={onCause} />
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
})

/** The longest stretch that no span tells more of, if it is much of the trace. */
function Gap({ trace, tree, onSelect }: { trace: Trace; tree: SpanTree; onSelect: (i: number) => void }) {
  const gap = trace.gaps[0]
  const i = gap ? tree.index.get(gap.span_id) : undefined
  if (!gap || i === undefined || gap.duration_us < 0.2 * tree.duration_us) return null
  const s = tree.spans[i]!
  return (
    <p className="t2">
      Gap: for {text(duration(gap.duration_us / 1000))} from {text(duration(gap.from_us / 1000))} on, nothing tells more than that{' '}
      <button type="button" className="info-t" onClick={() => onSelect(i)}>
        {s.service} {s.operation}
      </button>{' '}
      {s.kind === 'client' ? 'waited' : 'was at work'}.
    </p>
  )
}

function attributeRevision(attributes: readonly { key: string; value: string }[]): string {
  const rev = attributes.find((a) => a.key === 'sidelight.revision')?.value
  return rev ? `, rev ${count(Number(rev))}` : ''
}

function CompareLink({ trace }: { trace: Trace }) {
  const sides = sidesOfTrace(trace)
  if (!sides) return null
  return (
    <Link className={buttonClass('line', true)} to="/traces/{-$traceId}" params={{ traceId: undefined }} search={((s: object) => ({ ...s, span: '', ...sides })) as never}>
      Compare with those that went well
    </Link>
  )
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
