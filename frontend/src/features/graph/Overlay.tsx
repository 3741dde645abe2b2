import { memo, type RefObject } from 'react'
import type { Picture } from '@/graph/engine'
import type { Label, Metric } from '@/graph/labels'
import { foldedID } from '@/graph/fold'
import type { Group, Model } from '@/graph/model'
import { nodeAlpha, wearsHalo } from '@/graph/scene'
import { cx } from '@/lib/cx'
import { figure, middle, plural } from '@/lib/format'
import { HealthGlyph } from '@/ui/Health'
import { Icon } from '@/ui/Icon'
import { FoldedCard } from './FoldedCard'
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
  noun,
  onFold,
}: {
  ref: RefObject<HTMLDivElement | null>
  model: Model
  picture: Picture
  selected: string | null
  focused: string | null
  metric: Metric
  noun: string
  /** Folds a namespace, or opens one that is folded. */
  onFold: (namespace: string) => void
}) {
  const marks = { selected, focused, hovered: null }
  return (
    <div className={styles.world} ref={ref} aria-hidden="true">
      {model.groups.map((group) => {
        const box = picture.boxes.get(group.id)
        return box ? <GroupTitle key={group.id} group={group} noun={noun} above={!picture.cards} x={box.x} y={box.y} w={box.w} onFold={onFold} /> : null
      })}
      {picture.cards ? [...picture.forks].map(([id, at]) => <i key={id} className={styles.fork} style={{ translate: `${at.x}px ${at.y}px` }} />) : null}
      {picture.cards ? picture.labels.map((label) => <EdgeLabel key={label.id} label={label} />) : null}
      {picture.cards
        ? [...picture.visible].map((id) => {
            const node = model.nodes.get(id)
            const at = picture.positions.get(id)
            if (!node || !at) return null
            const look = {
              x: at.x,
              y: at.y,
              ring: wearsHalo(id, model, marks),
              dim: nodeAlpha(node, model, marks) < 1,
              hit: model.finding && node.match === true,
            }
            return node.fold ? (
              <FoldedCard key={id} node={node} noun={noun} onOpen={onFold} {...look} />
            ) : (
              <NodeCard key={id} node={node} model={model} metric={metric} {...look} />
            )
          })
        : [...model.folded.namespaces].map((namespace) => {
            const at = picture.positions.get(foldedID(namespace))
            return at ? <FoldTitle key={namespace} namespace={namespace} x={at.x} y={at.y} onOpen={onFold} /> : null
          })}
    </div>
  )
}

/** What a folded namespace is called where its card is too small to say so. */
function FoldTitle({ namespace, x, y, onOpen }: { namespace: string; x: number; y: number; onOpen: (namespace: string) => void }) {
  return (
    <header className={cx(styles.group, styles.above, styles.name)} style={{ translate: `${x}px ${y}px` }}>
      <b>{middle(namespace, 22)}</b>
      <button type="button" tabIndex={-1} data-no-pan className={styles.fold} title={`Expand ${namespace}`} onClick={() => onOpen(namespace)}>
        <Icon name="plus" size={12} />
      </button>
    </header>
  )
}

function GroupTitle({
  group,
  noun,
  above,
  x,
  y,
  w,
  onFold,
}: {
  group: Group
  noun: string
  /** Over the box instead of in it: readable words are larger than what is left of the cards. */
  above: boolean
  x: number
  y: number
  w: number
  onFold: (namespace: string) => void
}) {
  return (
    <header className={cx(styles.group, above && styles.above)} style={{ translate: `${x}px ${y}px`, width: `calc(${w}px / var(--up, 1))` }}>
      {group.outside ? null : <HealthGlyph state={group.health} size={12} decorative />}
      {group.outside ? <span className="t3 t11">Outside the mesh</span> : <b className="cut">{group.name}</b>}
      {group.outside ? null : <span className={styles.count}>{plural(group.members.length, noun)}</span>}
      <span className={styles.rate}>{group.rpsIn > 0 || group.outside ? `${figure(group.rpsIn)} rps in` : `${figure(group.rpsOut)} rps out`}</span>
      {group.outside ? null : (
        <button type="button" tabIndex={-1} data-no-pan className={styles.fold} title={`Fold ${group.name} into one card`} onClick={() => onFold(group.name)}>
          <Icon name="minus" size={12} />
        </button>
      )}
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
