import type { NodeStatus } from '@/api/types'
import { HealthGlyph } from '@/ui/Health'
import { Icon } from '@/ui/Icon'
import { cx } from '@/lib/cx'
import { count, duration, middle, plural, span, text } from '@/lib/format'
import styles from './NodeTable.module.css'
import type { Group } from './groups'
import { Stages } from './Stages'
import { STATES, wordOf } from './states'
import { GroupStrip, NodeStrip } from './Strip'
import type { StripAxis } from './Strip'

const TONE = { ok: 't2', warn: 'warn-t', fail: 'fail-t', idle: '', unknown: '' } as const

/** One node: what it is, what it runs, and what it ran. */
export function NodeRow({ node, axis, newest, inGroup }: { node: NodeStatus; axis: StripAxis; newest: string; inGroup: boolean }) {
  const look = STATES[node.state]
  return (
    <>
      <span role="gridcell" className={cx(styles.name, inGroup && styles.inGroup)}>
        <HealthGlyph state={look.health} size={13} decorative />
        <b title={node.id}>{middle(node.id, 22)}</b>
        <span className="t3 t11 cut">{node.workload.namespace}</span>
      </span>
      <span role="gridcell" className={cx('cut', TONE[look.health])} title={node.reason}>
        {wordOf(node)}
      </span>
      <span role="gridcell" data-col="build" className={cx('cut', node.build && node.build !== newest ? 'warn-t' : 't2')} title={node.build}>
        {node.build}
      </span>
      <span role="gridcell" data-col="rev">
        {node.revision ? count(node.revision) : 'none'}
        {node.state === 'drifted' ? ' *' : ''}
      </span>
      <span role="gridcell" className={cx('num', styles.lag, node.lag_s === 0 && 't3')}>
        {node.lag_s > 0 ? span(node.lag_s) : '0'}
      </span>
      <span role="gridcell" data-col="push">
        <Stages node={node} />
      </span>
      <span role="gridcell" className={styles.strip}>
        <NodeStrip node={node} axis={axis} />
      </span>
    </>
  )
}

/** The nodes of one namespace that run what they should, folded to thin lines. */
export function GroupRow({ group, open, axis }: { group: Group; open: boolean; axis: StripAxis }) {
  const [main, ...others] = group.builds
  return (
    <>
      <span role="gridcell" className={styles.groupName}>
        <HealthGlyph state="ok" size={13} decorative />
        <span className="cut">
          <b>{group.namespace || 'no namespace'}</b> <span className="t3 t11">{plural(group.nodes.length, 'node')}</span>
          <Icon name={open ? 'down' : 'right'} size={12} />
          {group.slowest ? <small className="cut">slowest {middle(group.slowest.id, 26)}</small> : null}
        </span>
      </span>
      <span role="gridcell" className="t2">
        synced
      </span>
      <span role="gridcell" data-col="build" className="t2 cut" title={group.builds.map((b) => `${b.nodes} on ${b.build}`).join(', ')}>
        {main?.build}
        {others.length > 0 ? <small>{plural(others.reduce((n, b) => n + b.nodes, 0), 'other')}</small> : null}
      </span>
      <span role="gridcell" data-col="rev">
        {group.revision ? count(group.revision) : 'none'}
      </span>
      <span role="gridcell" className={cx('num t3', styles.lag)}>
        0
      </span>
      <span role="gridcell" data-col="push" className="t2 t11">
        {group.applied_p99_ms === null ? '' : `p99 ${text(duration(group.applied_p99_ms))}`}
      </span>
      <span role="gridcell" className={styles.strip}>
        <GroupStrip lines={group.lines} axis={axis} label={`${group.namespace} over time: ${plural(group.lines.length, 'line')}, all synced now`} />
      </span>
    </>
  )
}
