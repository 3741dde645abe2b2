import type { ResourceStatus } from '@/api/types'
import { Chip } from '@/ui/Chip'
import { cx } from '@/lib/cx'
import { plural } from '@/lib/format'
import { clock } from '@/lib/time'
import { resourceName, resourceRows } from './resourceRows'
import styles from './Resources.module.css'
import { STATES } from './states'

/** The node's resources: those that differ each, the rest counted by type. */
export function Resources({ resources }: { resources: readonly ResourceStatus[] }) {
  const { odd, same } = resourceRows(resources)
  if (resources.length === 0) return <p className="t2">Nothing was compiled for this node: no object concerns it, or it never asked.</p>
  return (
    <div className={styles.scroll}>
      <table className={styles.table}>
        <thead>
          <tr>
            {['Type', 'Resource', 'Desired', 'Sent', 'Acked', 'Applied', 'State'].map((h) => (
              <th key={h} scope="col">
                {h === 'State' ? <span className="sr-only">{h}</span> : h}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {odd.map((r) => (
            <Odd key={`${r.type} ${r.name}`} resource={r} />
          ))}
          {same.map((s) => (
            <tr key={`${s.type} same`}>
              <td className="t2">{s.type}</td>
              <td title={s.names.join('\n')}>{s.names.length === 1 ? resourceName(s.names[0]!) : `${plural(s.names.length, odd.some((o) => o.type === s.type) ? 'other' : s.type)}`}</td>
              {s.names.length === 1 ? [0, 1, 2, 3].map((i) => <td key={i} className="mono">{short(s.hash)}</td>) : [0, 1, 2, 3].map((i) => <td key={i} className="t3 mono">same</td>)}
              <td className="t3">in sync</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  )
}

function Odd({ resource: r }: { resource: ResourceStatus }) {
  const look = STATES[r.state]
  const bad = look.health === 'fail' ? 'fail-t' : 'warn-t'
  const cell = (hash: string, at?: string) => (
    <td className={cx('mono', hash === r.desired ? styles.same : bad)} title={at ? `at ${clock(at)}` : undefined}>
      {hash ? short(hash) : 'none'}
    </td>
  )
  return (
    <tr>
      <td className="t2">{r.type}</td>
      <td className={styles.name} title={r.name}>
        <b>{resourceName(r.name)}</b>
        {r.objects.length > 0 ? <small>{r.objects.join(', ')}</small> : null}
      </td>
      <td className={cx('mono', styles.same)}>{r.desired ? short(r.desired) : 'gone'}</td>
      {cell(r.sent, r.sent_at)}
      {cell(r.acked, r.acked_at)}
      {cell(r.applied, r.applied_at)}
      <td>
        <Chip kind={look.health === 'fail' ? 'fail' : look.health === 'warn' ? 'warn' : 'plain'}>{r.error ? 'NACK' : look.word.replace(', no ACK', '')}</Chip>
      </td>
    </tr>
  )
}

const short = (hash: string) => hash.slice(0, 8)
