import type { NodeStatus } from '@/api/types'
import { duration, text } from '@/lib/format'
import styles from './Stages.module.css'

const WIDTH = 76

/**
 * The last push in three bars: until sent, until acknowledged, until applied.
 * Lengths are logarithmic, 10 ms to a minute over the cell; a cross stands
 * where it stopped.
 */
export function Stages({ node }: { node: NodeStatus }) {
  const { sent_ms, acked_ms, applied_ms } = node.push
  // A node may refuse what it was sent before, and then has no times of the push that it runs.
  if (sent_ms === null) return <span className="t3 t11">{node.state === 'rejected' ? 'refused' : 'not sent'}</span>
  const x = (ms: number) => Math.min(1, Math.log10(Math.max(ms, 10) / 10 + 0.35) / Math.log10(6000)) * WIDTH
  const stops = [sent_ms, acked_ms, applied_ms].filter((v): v is number => v !== null)
  const stuck = applied_ms === null
  let from = 0
  return (
    <svg className={styles.stages} width={84} height={12} role="img" aria-label={describe(node.push)}>
      <title>{describe(node.push)}</title>
      {stops.map((ms, i) => {
        const to = Math.max(from + 3, x(ms))
        const bar = <rect key={i} x={from} y="2.5" width={to - from - 1.5} height="7" className={styles[`s${i}`]} />
        from = to
        return bar
      })}
      {stuck ? (
        <g transform={`translate(${from} 0)`} className={node.state === 'rejected' ? styles.fail : styles.wait}>
          <path d="M1.5 6h6" />
          {node.state === 'in-flight' ? null : <path d="M10 3l6 6M16 3l-6 6" />}
        </g>
      ) : null}
    </svg>
  )
}

function describe({ sent_ms, acked_ms, applied_ms }: NodeStatus['push']): string {
  const part = (name: string, ms: number | null) => (ms === null ? `not ${name}` : `${name} after ${text(duration(ms))}`)
  return [part('sent', sent_ms), part('acknowledged', acked_ms), part('applied', applied_ms)].join(', ')
}
