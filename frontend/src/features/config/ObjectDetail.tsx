import { Link } from '@tanstack/react-router'
import { ApiError } from '@/api/client'
import { useLineage } from '@/api/config'
import type { ConfigLineage, HealthState, LineageNode } from '@/api/types'
import { cx } from '@/lib/cx'
import { count, middle, plural } from '@/lib/format'
import { useFoot } from '@/lib/shell'
import { useUrlState } from '@/lib/url'
import { buttonClass } from '@/ui/Button'
import { Chip } from '@/ui/Chip'
import { EmptyState } from '@/ui/EmptyState'
import { HealthGlyph, nodeHealth } from '@/ui/Health'
import { Icon } from '@/ui/Icon'
import { Section } from '@/ui/Panel'
import { Skeleton } from '@/ui/Skeleton'
import { Trouble } from '@/ui/Trouble'
import styles from './index.module.css'
import { configSearch } from './url'
import { firstLine, Yaml } from './Yaml'

const NODES = 100

/** One object: what is written, what it became, and who has it. */
export function ObjectDetail({ path }: { path: string }) {
  const { data, error, refetch } = useLineage(path)
  useFoot('', '')
  if (data) return <Whole lineage={data} late={error} />
  if (!error) return <Skeleton rows={12} label={`Loading ${path}`} />
  if (!(error instanceof ApiError && error.status === 404)) return <Trouble title="The object cannot be shown" error={error} retry={refetch} />
  return (
    <EmptyState state="unknown" title="No object of this name is in effect" why={`${path} was removed, or its only form has errors: the list of objects says which.`}>
      <Back />
    </EmptyState>
  )
}

function Back() {
  return (
    <Link to="/config/$" params={{ _splat: '' }}>
      All objects
    </Link>
  )
}

function Whole({ lineage: l, late }: { lineage: ConfigLineage; late: Error | null }) {
  const [{ line }] = useUrlState(configSearch)
  const { object: o } = l
  const said = finding(l)
  return (
    <div className={styles.page}>
      <header className={styles.detailHead}>
        <span className={styles.back}>
          <Icon name="left" size={12} />
          <Back />
        </span>
        <div className={styles.title}>
          <HealthGlyph state={said.state} />
          <h1>{o.name}</h1>
          <Chip>{o.kind}</Chip>
          <Chip>{o.namespace}</Chip>
          {late ? <Chip kind="warn">asking again: {late.message}</Chip> : null}
          <span className={styles.actions}>
            <Link to="/config/$" params={{ _splat: 'revisions' }} search={{ to: String(o.revision), from: String(Math.max(1, o.revision - 1)) } as never} className={buttonClass('line', true)}>
              Its last change
            </Link>
          </span>
        </div>
        <p className={styles.why}>
          <span className={cx('strong', said.state === 'fail' && 'fail-t', said.state === 'warn' && 'warn-t')}>{said.strong}</span> {said.rest}
        </p>
      </header>
      <div className={styles.grid}>
        {/* oxlint-disable-next-line jsx-a11y/no-noninteractive-tabindex */}
        <div className={styles.main} role="region" aria-label={o.name} tabIndex={0}>
          <Section title="As written" note={`${o.source}:${o.line}, revision ${o.revision}`}>
            <Yaml text={o.yaml} first={firstLine(o.yaml, o.line)} problems={l.problems.filter((p) => p.file === o.source)} line={Number(line)} />
          </Section>
        </div>
        {/* oxlint-disable-next-line jsx-a11y/no-noninteractive-tabindex */}
        <aside className={styles.aside} aria-label="What it became" tabIndex={0}>
          <Nodes lineage={l} />
          <Resources lineage={l} />
        </aside>
      </div>
    </div>
  )
}

/** The finding about one object, in a sentence. */
export function finding(l: ConfigLineage): { state: HealthState; strong: string; rest: string } {
  const error = l.problems.find((p) => p.severity === 'error')
  const refusing = l.nodes.filter((n) => n.state === 'rejected' || n.state === 'unsupported')
  if (error) return { state: 'fail', strong: 'A newer form has errors,', rest: `so the form of revision ${l.object.revision} stays in effect: ${error.message}.` }
  if (refusing.length > 0) return { state: 'fail', strong: `${plural(refusing.length, 'node')} refuse${refusing.length === 1 ? 's' : ''} it.`, rest: `${count(l.have)} of ${plural(l.need, 'node')} that need it run it.` }
  const warning = l.problems[0]
  if (l.have < l.need) return { state: 'warn', strong: `${count(l.have)} of ${plural(l.need, 'node')} run it.`, rest: 'The others are listed with the reason.' }
  if (warning) return { state: 'warn', strong: 'In effect, but probably not as meant:', rest: `${warning.message}.` }
  if (l.need === 0) return { state: 'unknown', strong: 'No connected node needs it.', rest: 'It became no resource of any sidecar that is connected now.' }
  return { state: 'ok', strong: `All ${plural(l.need, 'node')} that need it run it.`, rest: `Unchanged since revision ${l.object.revision}.` }
}

function Nodes({ lineage: l }: { lineage: ConfigLineage }) {
  return (
    <Section title="Who has it" note={`${count(l.have)} of ${plural(l.need, 'connected node')}`}>
      {l.need > 0 ? (
        <div className={styles.bar} role="img" aria-label={`${count(l.have)} of ${count(l.need)} run it`}>
          <svg viewBox="0 0 100 6" preserveAspectRatio="none" aria-hidden="true">
            <rect className={styles.track} width="100" height="6" />
            <rect className={styles.fill} width={(100 * l.have) / l.need} height="6" />
          </svg>
        </div>
      ) : null}
      <ul className={styles.nodes}>
        {l.nodes.slice(0, NODES).map((n) => (
          <NodeLine key={n.id} node={n} />
        ))}
      </ul>
      {l.nodes.length > NODES ? <p className="t3">{count(l.nodes.length - NODES)} more on the Nodes page.</p> : null}
    </Section>
  )
}

function NodeLine({ node: n }: { node: LineageNode }) {
  const lacks = n.resources.filter((p) => p.state !== 'synced')
  return (
    <li>
      <span className={styles.object}>
        <HealthGlyph state={n.has ? 'ok' : nodeHealth[n.state]} size={12} />
        <Link to="/nodes/{-$nodeId}" params={{ nodeId: n.id }}>
          {middle(n.id, 36)}
        </Link>
        {n.has ? null : <span className="t2">{n.state}</span>}
      </span>
      {n.has ? null : (
        <p className={styles.reason}>
          {n.reason ? `${n.reason}.` : ''}
          {lacks.length > 0 ? <span className="t3"> Lacks {lacks.length === 1 ? `${lacks[0]?.type} ${lacks[0]?.name}` : plural(lacks.length, 'resource')}.</span> : null}
        </p>
      )}
    </li>
  )
}

function Resources({ lineage: l }: { lineage: ConfigLineage }) {
  return (
    <Section title="What it became" note={plural(l.resources.length, 'resource')}>
      {l.resources.length === 0 ? <p className="t3">Nothing that a connected sidecar needs.</p> : null}
      <table className={styles.rows}>
        <tbody>
          {l.resources.slice(0, NODES).map((r) => (
            <tr key={`${r.type} ${r.name}`}>
              <td className="t3">{r.type}</td>
              <td className="mono" title={r.name}>
                {middle(r.name, 44)}
              </td>
              <td className="num">
                <span className={r.have < r.need ? 'warn-t' : 't2'}>
                  {count(r.have)}/{count(r.need)}
                </span>
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </Section>
  )
}
