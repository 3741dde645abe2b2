import { memo, type RefObject } from 'react'
import type { Picture } from '@/graph/engine'
import type { Label, Metric } from '@/graph/labels'
import type { Group, Model } from '@/graph/model'
import { nodeAlpha, wearsHalo } from '@/graph/scene'
import { cx } from '@/lib/cx'
import { figure, plural } from '@/lib/format'
import { HealthGlyph } from '@/ui/Health'
import { NodeCard } from './NodeCard'
import styles from './Overlay.module.css'

/**
 * Words over the canvas: titles of boxes, labels of edges, cards of nodes. One
 * transformed element in world units; the accessible structure is the mirror.
 */
export function Overlay({
  ref,
  model,
  picture,
  selected,
  focused,
  metric,
  level,
}: {
  ref: RefObject<HTMLDivElement | null>
  model: Model
  picture: Picture
  selected: string | null
  focused: string | null
  metric: Metric
  level: string
}) {
  const marks = { selected, focused, hovered: null }
  return (
    <div className={styles.world} ref={ref} aria-hidden="true">
      {model.groups.map((group) => {
        const box = picture.boxes.get(group.id)
        return box ? <GroupTitle key={group.id} group={group} noun={level === 'service' ? 'service' : 'workload'} x={box.x} y={box.y} w={box.w} /> : null
      })}
      {picture.cards ? picture.labels.map((label) => <EdgeLabel key={label.id} label={label} />) : null}
      {picture.cards
        ? [...picture.visible].map((id) => {
            const node = model.nodes.get(id)
            const at = picture.positions.get(id)
            if (!node || !at) return null
            return (
              <NodeCard
                key={id}
                node={node}
                model={model}
                x={at.x}
                y={at.y}
                metric={metric}
                ring={wearsHalo(id, model, marks)}
                dim={nodeAlpha(node, model, marks) < 1}
                hit={model.finding && node.match === true}
              />
            )
          })
        : null}
    </div>
  )
}

function GroupTitle({ group, noun, x, y, w }: { group: Group; noun: string; x: number; y: number; w: number }) {
  return (
    <header className={styles.group} style={{ translate: `${x}px ${y}px`, width: `calc(${w}px / var(--up, 1))` }}>
      {group.outside ? null : <HealthGlyph state={group.health} size={12} decorative />}
      {group.outside ? <span className="t3 t11">Outside the mesh</span> : <b className="cut">{group.name}</b>}
      {group.outside ? null : <span className={styles.count}>{plural(group.members.length, noun)}</span>}
      <span className={styles.rate}>{group.rpsIn > 0 || group.outside ? `${figure(group.rpsIn)} rps in` : `${figure(group.rpsOut)} rps out`}</span>
    </header>
  )
}

const EdgeLabel = memo(function EdgeLabel({ label }: { label: Label }) {
  return (
    <div
      className={cx(styles.label, styles[label.tone], label.hit && styles.hit, label.split && styles.split)}
      style={{ transform: `translate(${label.x.toFixed(1)}px, ${label.y.toFixed(1)}px) translate(-50%, -50%)` }}
    >
      {label.lines.map((line) => (
        <div key={line}>{line}</div>
      ))}
    </div>
  )
})
