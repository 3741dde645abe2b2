import { useNodeDifference } from '@/api/nodes'
import type { NodeDifference, NodeStatus } from '@/api/types'
import { count, plural } from '@/lib/format'
import styles from './Difference.module.css'
import { resourceName } from './resourceRows'

/** What the node runs otherwise than it should, field by field. */
export function Difference({ node }: { node: NodeStatus }) {
  const lags = node.state !== 'synced' && node.revision > 0
  const { data, error } = useNodeDifference(node.id, lags)
  if (!lags) return null
  if (error) return <p className="warn-t">What differs did not come: {error.message}</p>
  return data ? <Fields difference={data} /> : null
}

export function Fields({ difference: d }: { difference: NodeDifference }) {
  if (d.resources.length + d.notes.length === 0) return null
  const shown = d.resources.slice(0, 8)
  return (
    <section className={styles.difference} aria-label="What it runs otherwise">
      <h4>
        Runs otherwise than revision {count(d.revision)} has it <span className="t3">what runs, then what should</span>
      </h4>
      {d.notes.map((n) => (
        <p key={n} className="warn-t">
          {n}
        </p>
      ))}
      <ul>
        {shown.map((r) => (
          <li key={`${r.type} ${r.name}`}>
            <span className="t2">{r.type}</span> <b title={r.name}>{resourceName(r.name)}</b> {r.op === 'added' ? 'is missing' : r.op === 'removed' ? 'runs still' : null}
            {r.fields.length > 0 ? (
              <dl>
                {r.fields.slice(0, 12).map((f) => (
                  <div key={f.op + f.path}>
                    <dt className="mono" title={f.path}>
                      {f.path}
                    </dt>
                    <dd>
                      {f.before === '' ? null : <del title={f.before}>{onOneLine(f.before)}</del>} {f.after === '' ? null : <ins title={f.after}>{onOneLine(f.after)}</ins>}
                    </dd>
                  </div>
                ))}
                {r.fields.length > 12 ? <p className="t3">and {plural(r.fields.length - 12, 'more field')}</p> : null}
              </dl>
            ) : null}
          </li>
        ))}
      </ul>
      {d.resources.length > shown.length ? <p className="t3">and {plural(d.resources.length - shown.length, 'more resource')}: sidelight config diff --node {d.node}</p> : null}
    </section>
  )
}

/** A value that is a tree, as long as there is room; its title has all of it. */
function onOneLine(value: string): string {
  return value.replaceAll(/\s+/g, ' ').trim()
}
