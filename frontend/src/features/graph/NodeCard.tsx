import { memo } from 'react'
import type { GraphNode } from '@/api/types'
import type { Metric } from '@/graph/labels'
import type { Model } from '@/graph/model'
import { isOutside } from '@/graph/scene'
import { badgesOf, shortName } from '@/graph/words'
import { cx } from '@/lib/cx'
import { bytes, duration, figure, percent } from '@/lib/format'
import { cardFont, fitMiddle } from '@/lib/measure'
import { Figure } from '@/ui/Figure'
import { HealthGlyph } from '@/ui/Health'
import { Icon } from '@/ui/Icon'
import { linePath } from '@/ui/Sparkline'
import styles from './NodeCard.module.css'

/** One node, 146 × 56: who it is, how it does, how it has done for a minute. */
export const NodeCard = memo(function NodeCard({
  node,
  model,
  x,
  y,
  metric,
  ring,
  dim,
  hit,
}: {
  node: GraphNode
  model: Model
  x: number
  y: number
  metric: Metric
  ring: boolean
  dim: boolean
  hit: boolean
}) {
  const { state } = node.health
  const { name, version } = shortName(node)
  const badges = badgesOf(node, model)
  const lock = lockOf(node, model)
  return (
    <div
      className={cx(styles.card, (state === 'warn' || state === 'fail') && styles[state], isOutside(node) && styles.outside, ring && styles.ring, dim && styles.dim)}
      style={{ transform: `translate(${x}px, ${y}px)` }}
    >
      {badges.length > 0 ? (
        <div className={styles.badges}>
          {badges.map((b) => (
            <span key={b.text} className={styles[b.tone]}>
              {b.text}
            </span>
          ))}
        </div>
      ) : null}
      <div className={styles.who}>
        <HealthGlyph state={state} decorative />
        <b className={cx('cut', hit && styles.hit)}>{fitMiddle(name, version === '' ? 110 : 108 - version.length * 7, cardFont())}</b>
        {version === '' ? null : <span className={styles.version}>{version}</span>}
      </div>
      <div className={styles.how}>
        <First node={node} model={model} />
        <Second node={node} model={model} metric={metric} />
        {lock === null ? null : (
          <span className={styles.lock}>
            <Icon name={lock ? 'lock' : 'unlock'} size={11} />
          </span>
        )}
      </div>
      <svg className={styles.spark} viewBox="0 0 132 11" preserveAspectRatio="none">
        <path
          d={sparkPath(node.rps_series)}
          fill="none"
          stroke={state === 'fail' ? 'var(--fail)' : state === 'warn' ? 'var(--warn)' : 'var(--data-2)'}
          vectorEffect="non-scaling-stroke"
        />
      </svg>
    </div>
  )
})

/** The first figure: what comes in, else what goes out; connections where there are no requests. */
function First({ node, model }: { node: GraphNode; model: Model }) {
  const into = model.incoming.get(node.id) ?? []
  if (into.length > 0 && into.every((e) => e.protocol === 'tcp')) {
    // Both sides may count the same connection: the larger count is the better one.
    const open = Math.max(...into.map((e) => e.active_connections))
    return <Figure of={{ value: figure(open), unit: open === 1 ? 'connection' : 'connections' }} />
  }
  if (into.length > 0) return <Figure of={{ value: figure(node.in.rps), unit: 'rps' }} />
  return node.out.rps > 0 ? <Figure of={{ value: figure(node.out.rps), unit: 'rps out' }} /> : <span className="t3">no traffic</span>
}

/** The second figure: errors, unless another measure is chosen or errors tell nothing. */
function Second({ node, model, metric }: { node: GraphNode; model: Model; metric: Metric }) {
  const traffic = node.in.rps > 0 ? node.in : node.out
  const into = model.incoming.get(node.id) ?? []
  if (into.length > 0 && into.every((e) => e.protocol === 'tcp')) return <span>tcp</span>
  const tone = node.health.state === 'fail' ? cx('fail-t', styles.bold) : node.health.state === 'warn' ? 'warn-t' : undefined
  if (metric === 'p95') return <Figure of={duration(traffic.p95_ms)} className={tone} />
  if (metric === 'bytes') {
    const { value, unit } = bytes(traffic.sent_bytes_per_s + traffic.received_bytes_per_s)
    return <Figure of={{ value, unit: `${unit}/s` }} />
  }
  if (traffic.rps === 0) return null
  if (node.health.state === 'warn' && traffic.error_ratio < 0.005 && traffic.p95_ms !== null) {
    return <Figure of={duration(traffic.p95_ms)} className={tone} />
  }
  return <span className={tone}>{percent(traffic.error_ratio).value} %</span>
}

/** A rate's shape: its own range, but noise of a few per cent stays a calm line. */
function sparkPath(series: readonly number[]): string {
  const most = Math.max(0.001, ...series)
  const least = Math.min(most, ...series)
  const range = Math.max(most - least, most * 0.35)
  const middle = (most + least) / 2
  return linePath(series, 132, 9, middle + range * 0.55, Math.max(0, middle - range * 0.55))
}

/** Closed when all that comes in is mutual TLS; null where nobody can say. */
function lockOf(node: GraphNode, model: Model): boolean | null {
  const into = model.incoming.get(node.id) ?? []
  if (!model.secured || !node.meshed || into.length === 0) return null
  return into.every((e) => e.mtls_ratio > 0.995)
}
