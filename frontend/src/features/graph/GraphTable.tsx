import { useMemo, useState } from 'react'
import type { GraphEdge } from '@/api/types'
import type { Model } from '@/graph/model'
import { nodeTitle } from '@/graph/words'
import { cx } from '@/lib/cx'
import { count, duration, figure, percent, plural, rate } from '@/lib/format'
import { Figure } from '@/ui/Figure'
import { HealthGlyph, healthRank, healthWord } from '@/ui/Health'
import { Sparkline } from '@/ui/Sparkline'
import { type Sort, SortHead, tableClass } from '@/ui/Table'
import styles from './GraphTable.module.css'

type Column = 'health' | 'from' | 'to' | 'rps' | 'errors' | 'p50' | 'p95' | 'attempts'

/** The graph as a table: the same edges, the same words, nothing left out. */
export function GraphTable({ model, selected, onSelect }: { model: Model; selected: string | null; onSelect: (id: string | null) => void }) {
  const [sort, setSort] = useState<Sort<Column>>({ by: 'health', down: false })
  const edges = useMemo(() => [...model.edges.values()].sort(compare(sort, model)), [model, sort])
  const lonely = [...model.nodes.values()].filter((n) => !model.incoming.has(n.id) && !model.outgoing.has(n.id))
  return (
    <div className={styles.scroll}>
      <table className={tableClass}>
        <caption className="sr-only">Edges of the service graph</caption>
        <thead>
          <tr>
            <SortHead name="health" sort={sort} onSort={setSort}>
              Health
            </SortHead>
            <SortHead name="from" sort={sort} onSort={setSort}>
              From
            </SortHead>
            <SortHead name="to" sort={sort} onSort={setSort}>
              To
            </SortHead>
            <th scope="col">Protocol</th>
            <SortHead name="rps" sort={sort} onSort={setSort} num>
              Rate
            </SortHead>
            <th scope="col">Last minute</th>
            <SortHead name="errors" sort={sort} onSort={setSort} num>
              Errors
            </SortHead>
            <SortHead name="p50" sort={sort} onSort={setSort} num>
              p50
            </SortHead>
            <SortHead name="p95" sort={sort} onSort={setSort} num>
              p95
            </SortHead>
            <SortHead name="attempts" sort={sort} onSort={setSort} num>
              Attempts
            </SortHead>
            <th scope="col">mTLS</th>
            <th scope="col">Why</th>
          </tr>
        </thead>
        <tbody>
          {edges.map((edge) => (
            <Row key={edge.id} edge={edge} model={model} selected={edge.id === selected} onSelect={onSelect} />
          ))}
        </tbody>
      </table>
      {lonely.length > 0 ? (
        <p className={styles.lonely}>
          {plural(lonely.length, 'workload')} without edges: {lonely.map((n) => nodeTitle(model, n.id)).join(', ')}
        </p>
      ) : null}
    </div>
  )
}

function Row({ edge, model, selected, onSelect }: { edge: GraphEdge; model: Model; selected: boolean; onSelect: (id: string | null) => void }) {
  const { state, reasons } = edge.health
  const tone = state === 'fail' ? 'fail-t strong' : state === 'warn' ? 'warn-t' : ''
  const dim = model.finding && !edge.match
  return (
    <tr aria-selected={selected} className={cx(dim && styles.dim)} onClick={() => onSelect(edge.id)}>
      <td>
        <span className={styles.health}>
          <HealthGlyph state={state} decorative />
          <span>{healthWord[state]}</span>
        </span>
      </td>
      <td>
        <Name model={model} id={edge.source} onSelect={onSelect} />
      </td>
      <td>
        <Name model={model} id={edge.target} onSelect={onSelect} />
      </td>
      <td className="t2">
        <button
          type="button"
          className={styles.open}
          aria-label={`Open ${nodeTitle(model, edge.source)} to ${nodeTitle(model, edge.target)}`}
          onClick={() => onSelect(edge.id)}
        >
          {edge.protocol}
        </button>
      </td>
      <td className="num">
        <Figure of={edge.protocol === 'tcp' ? { value: count(edge.active_connections), unit: 'conn' } : rate(edge.rps)} />
      </td>
      <td>
        <Sparkline values={edge.rps_series} width={96} height={14} tone={state === 'fail' || state === 'warn' ? state : 'data'} />
      </td>
      <td className={cx('num', edge.error_ratio >= 0.005 && tone)}>{edge.protocol === 'tcp' ? '' : `${percent(edge.error_ratio).value} %`}</td>
      <td className="num">
        <Figure of={duration(edge.p50_ms)} />
      </td>
      <td className="num">
        <Figure of={duration(edge.p95_ms)} />
      </td>
      <td className="num">{edge.protocol === 'tcp' ? '' : figure(edge.attempts_per_request)}</td>
      <td className="t2">{edge.mtls_ratio > 0.995 ? 'yes' : edge.mtls_ratio < 0.005 ? 'plaintext' : `${percent(edge.mtls_ratio).value} %`}</td>
      <td className={cx('cut', styles.why)}>{reasons[0]?.text ?? ''}</td>
    </tr>
  )
}

function Name({ model, id, onSelect }: { model: Model; id: string; onSelect: (id: string) => void }) {
  const node = model.nodes.get(id)
  return (
    <button
      type="button"
      className={styles.name}
      onClick={(e) => {
        e.stopPropagation()
        onSelect(id)
      }}
    >
      {nodeTitle(model, id)} {node?.namespace ? <span className="t3">{node.namespace}</span> : null}
    </button>
  )
}

function compare({ by, down }: Sort<Column>, model: Model): (a: GraphEdge, b: GraphEdge) => number {
  const key: Record<Column, (e: GraphEdge) => number | string> = {
    health: (e) => healthRank[e.health.state] * 1e6 - e.rps,
    from: (e) => nodeTitle(model, e.source),
    to: (e) => nodeTitle(model, e.target),
    rps: (e) => e.rps,
    errors: (e) => e.error_ratio,
    p50: (e) => e.p50_ms ?? -1,
    p95: (e) => e.p95_ms ?? -1,
    attempts: (e) => e.attempts_per_request,
  }
  const sign = down ? -1 : 1
  return (a, b) => {
    const x = key[by](a)
    const y = key[by](b)
    const order = typeof x === 'string' ? x.localeCompare(String(y)) : x - Number(y)
    return sign * order || a.id.localeCompare(b.id)
  }
}
