import { lazy, Suspense, useCallback, useEffect, useMemo, useRef, useState } from 'react'
import { type GraphParams, useGraph, usePastGraph } from '@/api/graph'
import { useStaleness } from '@/api/resource'
import type { StaleSource } from '@/api/types'
import { compareViews } from '@/graph/compare'
import { drawnMost, foldableNamespaces } from '@/graph/fold'
import { History } from '@/graph/history'
import { buildModel, countInWords, type Model, nounOf } from '@/graph/model'
import { describeEdge, describeNode } from '@/graph/words'
import { count, plural } from '@/lib/format'
import { announce, useFindSlot, useFoot } from '@/lib/shell'
import { clock } from '@/lib/time'
import { namespacesOf, useUrlState } from '@/lib/url'
import { Skeleton } from '@/ui/Skeleton'
import { StaleNote } from '@/ui/Stale'
import { ComparePanel } from './ComparePanel'
import { findFields, findPresets } from './fields'
import { GraphCanvas } from './GraphCanvas'
import { GraphEmpty, GraphWaiting } from './GraphEmpty'
import styles from './GraphPage.module.css'
import { GraphMenu } from './GraphMenu'
import { GraphTools } from './GraphTools'
import { foldingOf, graphSearch, graphWindowSeconds, toggled } from './url'
import { useGraphKeys } from './useGraphKeys'

/** What is drawn before the first data: the canvas stands, its context and shaders are ready. */
const blank = buildModel({ nodes: [], edges: [] })

const GraphTable = lazy(() => import('./GraphTable').then((m) => ({ default: m.GraphTable })))
const SidePanel = lazy(() => import('./panel/SidePanel').then((m) => ({ default: m.SidePanel })))

/** The live service graph, its table and the panel beside them. */
export function GraphPage() {
  const [url, setUrl] = useUrlState(graphSearch)
  const params = useMemo<GraphParams>(
    () => ({
      group: url.level,
      namespaces: namespacesOf(url.ns),
      windowSeconds: graphWindowSeconds,
      q: url.q,
      max: url.fold === 'none' ? 0 : drawnMost,
      open: url.open.split(',').filter(Boolean),
      focus: url.focus,
      hops: Number(url.hops),
    }),
    [url.level, url.ns, url.q, url.fold, url.open, url.focus, url.hops],
  )
  const graph = useGraph(params, url.at === '' ? null : url.at)
  const staleFor = useStaleness(graph.isPast ? null : graph.receivedAt)
  const past = usePastGraph(params, url.vs === '' ? null : url.vs)
  const comparison = useMemo(() => (url.vs !== '' && past.data && graph.data ? compareViews(past.data, graph.data) : null), [url.vs, past.data, graph.data])
  const drawn = comparison?.view ?? graph.data
  const model = useMemo(
    () => (drawn ? buildModel(drawn, { hide: url.find === 'hide', ...foldingOf({ fold: url.fold, open: url.open }), focus: url.focus, hops: Number(url.hops) }) : null),
    [drawn, url.find, url.fold, url.open, url.focus, url.hops],
  )
  const sizes = useMemo(() => (graph.data ? foldableNamespaces(graph.data) : new Map<string, number>()), [graph.data])
  const folded = model?.folded.namespaces
  const toggleFold = useCallback(
    (namespace: string) => setUrl(toggled({ fold: url.fold, open: url.open }, namespace, folded ?? new Set())),
    [setUrl, url.fold, url.open, folded],
  )
  const selected = url.sel !== '' && model && (model.nodes.has(url.sel) || model.edges.has(url.sel)) ? url.sel : null
  const select = useMemo(() => (id: string | null) => setUrl({ sel: id ?? '' }, { push: id !== null }), [setUrl])

  const [history] = useState(() => new History())
  useEffect(() => {
    if (graph.data && !graph.isPast) history.record(graph.data, Date.now())
  }, [history, graph.data, graph.isPast])

  const matched = graph.data?.matched
  const badExpression = graph.error?.code === 'invalid' && url.q !== ''
  useFindSlot({
    label: 'Find',
    placeholder: 'errors > 1 % or p95 > 250 ms',
    note: url.q !== '' && matched ? `${plural(matched.edges, 'edge')}, ${plural(matched.nodes, 'node')}` : '',
    fields: findFields,
    presets: findPresets,
    error: badExpression ? (graph.error?.message ?? '') : '',
  })
  useFoot('', url.view === 'table' ? 'T graph' : 'arrows move along edges · Enter opens · T table')
  useGraphKeys(url, setUrl)
  useEffect(() => {
    if (selected && model) announce(describe(model, selected))
    // Announced when the selection changes, not with every tick.
    // oxlint-disable-next-line react/exhaustive-deps
  }, [selected])

  useFailureNews(model)

  const empty = model !== null && model.nodes.size === 0
  const notice = graph.isPast ? `The graph as it was at ${clock(url.at)}.` : ''
  return (
    <div className={styles.page} data-panel={selected !== null || url.vs !== ''}>
      <h1 className="sr-only">Service graph</h1>
      <div className={styles.main} data-stale={staleFor !== null}>
        <GraphTools
          url={url}
          setUrl={setUrl}
          counts={model ? countInWords(model, url.level) : ''}
          folds={model && sizes.size > 0 ? { sizes, folded: model.folded.namespaces, toggle: toggleFold, all: () => setUrl({ fold: [...sizes.keys()].sort().join(','), open: '' }), none: () => setUrl({ fold: 'none', open: '' }) } : null}
          menu={model && graph.data ? <GraphMenu view={graph.data} model={model} url={url} /> : null}
        />
        <div className={styles.notes}>
          {staleFor === null ? null : <StaleNote ageSeconds={staleFor} />}
          {graph.data && graph.data.stale.length > 0 && staleFor === null ? <SilentSources stale={graph.data.stale} /> : null}
          {graph.data && graph.data.limits.dropped > 0 ? (
            <p className={styles.past}>{plural(graph.data.limits.dropped, 'edge')} over the limit of {count(graph.data.limits.edges_max)}, not drawn</p>
          ) : null}
          {notice === '' ? null : <p className={styles.past}>{notice}</p>}
          {graph.error && !badExpression && model ? <p className={styles.error}>{graph.error.message}</p> : null}
        </div>
        {model === null ? (
          <div className={styles.waiting}>
            <GraphWaiting error={graph.error} past={graph.isPast} onLive={() => setUrl({ at: '' })} />
          </div>
        ) : null}
        {empty ? <GraphEmpty hidden={model.hidden.nodes} finding={url.q} namespaces={url.ns} past={graph.isPast} onReset={() => setUrl({ q: '', ns: '', focus: '' })} /> : null}
        {empty ? null : url.view !== 'table' ? (
          <GraphCanvas
            model={model ?? blank}
            level={url.focus === '' ? url.level : `${url.level} ${url.focus} ${url.hops}`}
            noun={nounOf(url.level)}
            metric={url.metric}
            selected={selected}
            onSelect={select}
            onFold={toggleFold}
            live={!graph.isPast && staleFor === null}
          />
        ) : model ? (
          <Suspense fallback={<Skeleton rows={12} />}>
            <GraphTable model={model} selected={selected} onSelect={select} />
          </Suspense>
        ) : null}
      </div>
      {selected && model && graph.data ? (
        <Suspense fallback={<aside className={styles.panelWait} aria-label="Details" />}>
          <SidePanel
            key={selected}
            model={model}
            id={selected}
            history={history}
            stale={graph.data.stale}
            tab={url.tab}
            onTab={(tab) => setUrl({ tab })}
            onSelect={select}
            onView={setUrl}
            onFold={toggleFold}
          />
        </Suspense>
      ) : url.vs !== '' ? (
        <ComparePanel comparison={comparison} error={past.error?.message ?? ''} vs={url.vs} at={url.at} onSelect={select} onClose={() => setUrl({ vs: '' })} />
      ) : null}
    </div>
  )
}

function describe(model: Model, id: string): string {
  const node = model.nodes.get(id)
  if (node) return describeNode(node, model)
  const edge = model.edges.get(id)
  return edge ? describeEdge(edge, model) : ''
}

/** Sources that fell silent: their part of the picture is old. */
function SilentSources({ stale }: { stale: StaleSource[] }) {
  const names = stale.map((s) => `${s.node || s.source} since ${clock(s.since)}: ${s.reason}`)
  return (
    <p className={styles.past} title={names.join('\n')}>
      {stale.length === 1 ? `${stale[0]?.node || stale[0]?.source} does not answer` : `${plural(stale.length, 'source')} do not answer`}, its figures are old
    </p>
  )
}

/** Says who began to fail, once; not what was failing when the page came. */
function useFailureNews(model: Model | null): void {
  const known = useRef<Set<string> | null>(null)
  useEffect(() => {
    if (!model) return
    const failing = new Set([...model.edges.values()].filter((e) => e.health.state === 'fail').map((e) => e.id))
    const news = known.current === null ? [] : [...failing].filter((id) => !known.current?.has(id))
    known.current = failing
    if (news.length > 0) announce(news.map((id) => describe(model, id)).join('. '))
  }, [model])
}
