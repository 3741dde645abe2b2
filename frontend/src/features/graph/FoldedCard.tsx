import { memo } from 'react'
import type { HealthState } from '@/api/types'
import type { DrawnNode } from '@/graph/fold'
import { cx } from '@/lib/cx'
import { figure, plural } from '@/lib/format'
import { cardFont, fitMiddle } from '@/lib/measure'
import { Figure } from '@/ui/Figure'
import { HealthGlyph } from '@/ui/Health'
import { Icon } from '@/ui/Icon'
import styles from './NodeCard.module.css'

const marksMost = 14

/** A namespace folded into one card: a stack, with a mark for each workload, the worst first. */
export const FoldedCard = memo(function FoldedCard({
  node,
  noun,
  x,
  y,
  ring,
  dim,
  hit,
  onOpen,
}: {
  node: DrawnNode
  noun: string
  x: number
  y: number
  ring: boolean
  dim: boolean
  hit: boolean
  onOpen: (namespace: string) => void
}) {
  const states = node.fold?.states ?? []
  const { state } = node.health
  const lead = node.in.rps > 0 ? node.in : node.out
  return (
    <div
      className={cx(styles.card, styles.stack, (state === 'warn' || state === 'fail') && styles[state], ring && styles.ring, dim && styles.dim)}
      style={{ transform: `translate(${x}px, ${y}px)` }}
    >
      <div className={styles.who}>
        <HealthGlyph state={state} decorative />
        <b className={cx('cut', hit && styles.hit)}>{fitMiddle(node.name, 74, cardFont())}</b>
        <Figure of={{ value: figure(lead.rps), unit: 'rps' }} className={styles.foldRate} />
      </div>
      {/* The same stands in the mirror, for the keyboard. */}
      <button type="button" disabled={node.kind === 'rest'} tabIndex={-1} data-no-pan className={styles.open} title={`Expand ${node.name}`} onClick={() => onOpen(node.namespace)}>
        {plural(node.folded?.workloads ?? states.length, node.folded ? 'workload' : noun)} folded {node.kind === 'rest' ? null : <Icon name="plus" size={11} />}
      </button>
      <div className={styles.marks}>
        {states.slice(0, marksMost).map((s, i) => (
          <Mark key={`${s}${i}`} state={s} />
        ))}
        {states.length > marksMost ? <span className="t3">+{(node.folded?.workloads ?? states.length) - marksMost}</span> : null}
      </div>
    </div>
  )
})

function Mark({ state }: { state: HealthState }) {
  if (state === 'ok') return <i className={styles.okMark} />
  return <HealthGlyph state={state} size={8} decorative />
}
