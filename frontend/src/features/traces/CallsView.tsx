import { Link } from '@tanstack/react-router'
import { useMemo } from 'react'
import type { TraceCall } from '@/api/types'
import { count, duration, plural, text } from '@/lib/format'
import { tableClass } from '@/ui/Table'
import { buttonClass } from '@/ui/Button'
import { callGraph, onGraph } from './calls'
import type { CallGraph } from './calls'
import styles from './CallsView.module.css'

const W = 190
const H = 34
const GAP_X = 90
const GAP_Y = 18

/** Who called whom in this trace: the graph, and the same as a table. */
export function CallsView({ calls }: { calls: readonly TraceCall[] }) {
  const graph = useMemo(() => callGraph(calls), [calls])
  const q = useMemo(() => onGraph(calls), [calls])
  return (
    <div className={styles.view}>
      <div className={styles.scroll}>
        <Drawing graph={graph} />
      </div>
      {q === '' ? null : (
        <p className={styles.way}>
          <Link to="/graph" search={{ q } as never} className={buttonClass()} title="The live graph, with what this trace did not touch dimmed">
            Show on the service graph
          </Link>
        </p>
      )}
      <table className={tableClass}>
        <thead>
          <tr>
            <th scope="col">From</th>
            <th scope="col">To</th>
            <th scope="col" data-num>Calls</th>
            <th scope="col" data-num>Errors</th>
            <th scope="col" data-num>Time, summed</th>
          </tr>
        </thead>
        <tbody>
          {[...graph.calls].sort((a, b) => b.duration_us - a.duration_us).map((c) => (
            <tr key={`${c.source} ${c.target}`}>
              <td><Name of={c.source} /></td>
              <td><Name of={c.target} /></td>
              <td data-num>{count(c.calls)}</td>
              <td data-num className={c.errors > 0 ? 'fail-t' : 't3'}>{count(c.errors)}</td>
              <td data-num>{text(duration(c.duration_us / 1000))}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  )
}

const short = (name: string) => name.slice(name.indexOf('/') + 1)

/** A workload is a node of the service graph; a bare service may be none. */
function Name({ of }: { of: string }) {
  if (!of.includes('/')) return <b className="strong">{of}</b>
  return (
    <Link className="info-t" to="/graph" search={{ sel: `workload:${of}` } as never} title={`Show ${of} on the graph`}>
      {short(of)}
    </Link>
  )
}

function Drawing({ graph }: { graph: CallGraph }) {
  const x = (column: number) => 14 + column * (W + GAP_X)
  const y = (row: number) => 14 + row * (H + GAP_Y)
  const width = x(graph.columns) - GAP_X + 14
  const height = y(graph.rows) - GAP_Y + 14
  const most = Math.max(1, ...graph.calls.map((c) => c.duration_us))
  return (
    <svg width={width} height={height} role="img" aria-label={`${plural(graph.places.length, 'place')} and ${plural(graph.calls.length, 'edge')}; the table below says the same`}>
      {graph.calls.map((c) => {
        const a = graph.places[graph.index.get(c.source)!]!
        const b = graph.places[graph.index.get(c.target)!]!
        const [x1, y1, x2, y2] = [x(a.column) + W, y(a.row) + H / 2, x(b.column), y(b.row) + H / 2]
        const bend = Math.max(30, Math.abs(x2 - x1) / 2)
        return (
          <g key={`${c.source} ${c.target}`} className={styles.edge} data-failed={c.errors > 0 || undefined}>
            <path d={`M${x1},${y1}C${x1 + bend},${y1} ${x2 - bend},${y2} ${x2 - 5},${y2}`} strokeWidth={1 + 4 * Math.sqrt(c.duration_us / most)} />
            <path d={`M${x2 - 7},${y2 - 4}L${x2},${y2}L${x2 - 7},${y2 + 4}Z`} data-head />
            {c.calls > 1 || c.errors > 0 ? (
              <text x={x2 - 12} y={y2 - 6} textAnchor="end">
                {c.calls > 1 ? `${c.calls} calls` : ''}
                {c.errors > 0 ? ` ${plural(c.errors, 'error')}` : ''}
              </text>
            ) : null}
          </g>
        )
      })}
      {graph.places.map((p) => (
        <g key={p.name} className={styles.place} data-failed={p.own.errors > 0 || undefined} transform={`translate(${x(p.column)},${y(p.row)})`}>
          <title>{p.name}</title>
          <rect width={W} height={H} rx={4} />
          <text x={10} y={H / 2 + 4}>
            {short(p.name).length > 24 ? `${short(p.name).slice(0, 23)}…` : short(p.name)}
          </text>
        </g>
      ))}
    </svg>
  )
}
