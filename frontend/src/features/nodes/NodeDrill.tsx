import { Link } from '@tanstack/react-router'
import { useLayoutEffect } from 'react'
import type { ReactNode } from 'react'
import { useNode } from '@/api/nodes'
import type { NodeDetail, NodeIdentity, NodeStatus, ResourceStatus } from '@/api/types'
import { Charts } from '@/panel/Charts'
import { buttonClass } from '@/ui/Button'
import { useHeight } from '@/ui/charts/measure'
import { Skeleton } from '@/ui/Skeleton'
import { useNow } from '@/api/live-context'
import { count, duration, plural, span, text } from '@/lib/format'
import { clock, clockMs, secondsSince } from '@/lib/time'
import styles from './NodeDrill.module.css'
import { Difference } from './Difference'
import { Lives } from './Lives'
import { Resources } from './Resources'
import { nextOf, STATES } from './states'

/** What one node has and lacks, and why, below its row. */
export function NodeDrill({ node, onHeight }: { node: NodeStatus; onHeight: (px: number) => void }) {
  const { data, error } = useNode(node.id)
  const [ref, height] = useHeight<HTMLDivElement>()
  useLayoutEffect(() => onHeight(height), [onHeight, height])
  return (
    <div ref={ref} className={styles.drill}>
      <div>
        {data ? (
          <>
            <Resources resources={data.resources} />
            <Difference node={node} />
          </>
        ) : error ? (
          <p className="warn-t">The resources of this node did not come: {error.message}</p>
        ) : (
          <Skeleton rows={5} label="Loading resources" />
        )}
        <Charts uid="sidelight-proxy" titles={['CPU', 'Memory', 'Added latency']} choices={{ node: [node.id] }} all={{ node: node.id }} />
      </div>
      <div className={styles.side}>
        <Verdict node={node} failed={data?.resources.filter((r) => r.error) ?? []} />
        <Facts node={node} detail={data ?? null} />
        {data ? <Lives lives={data.lives} /> : null}
        <p className={styles.actions}>
          <Link className={buttonClass('line', true)} to={'/graph' as never} search={{ sel: `workload:${node.workload.namespace}/${node.workload.name}` } as never}>
            Show on the graph
          </Link>
          <Link className={buttonClass('line', true)} to={'/tap' as never} search={{ q: `workload = ${node.workload.namespace}/${node.workload.name}` } as never}>
            Tap it
          </Link>
        </p>
      </div>
    </div>
  )
}

/** The finding: what is wrong in one line, the node's own words, and what to do. */
function Verdict({ node, failed }: { node: NodeStatus; failed: readonly ResourceStatus[] }) {
  const look = STATES[node.state]
  const word = look.word.charAt(0).toUpperCase() + look.word.slice(1)
  const refusal = failed[0]?.error
  return (
    <>
      <header>
        <h3>{node.state === 'synced' ? `Synced since ${clock(node.since)}` : `${word} since ${clockMs(node.since)}`}</h3>
        <span className="t3 t11">
          {node.revision ? `rev ${count(node.revision)} runs` : 'runs nothing of ours'}
          {node.behind ? `, ${count(node.behind)} behind` : ''}
        </span>
      </header>
      {refusal ? (
        <p className={styles.code}>
          {failed[0]!.type} {failed[0]!.name}: {emphasise(refusal)}
        </p>
      ) : null}
      <p className="t2">{[refusal && node.reason.includes(refusal) ? '' : sentence(node.reason), nextOf(node)].filter(Boolean).join(' ')}</p>
    </>
  )
}

const sentence = (s: string) => (s ? s.charAt(0).toUpperCase() + s.slice(1) + (/[.!?]$/.test(s) ? '' : '.') : '')

/** Quoted names in a refusal are what one looks for. */
function emphasise(message: string): ReactNode {
  return message.split(/((?<!\w)'[^']*'|"[^"]*")/).map((part, i) => (i % 2 ? <b key={i}>{part}</b> : part))
}

function Facts({ node, detail }: { node: NodeStatus; detail: NodeDetail | null }) {
  const now = useNow(1000)
  const rows: [string, ReactNode][] = [['Build', [node.build, node.kind].filter(Boolean).join(', ') || 'not told']]
  if (node.address) rows.push(['Address', <span key="a" className="mono">{node.address}</span>])
  if (node.started_at) rows.push(['Started', `${clock(node.started_at)}, ${span(secondsSince(node.started_at, now))} ago`])
  rows.push(['Connection', connection(node, now)])
  if (node.pull_s) rows.push(['Configuration', `asked for every ${span(node.pull_s)}`])
  if (node.duplicate) rows.push(['Same ID', node.duplicate])
  if (detail) rows.push(['Certificate', certificate(detail.identity, now)])
  if (detail?.identity?.failure) rows.push(['No new one', <LateCertificate key="late" failure={detail.identity.failure} now={now} />])
  if (detail && detail.connections.length > 1) rows.push(['Before', broken(detail)])
  const { sent_ms, acked_ms, applied_ms } = node.push
  if (sent_ms !== null) rows.push(['Last push', [`sent ${text(duration(sent_ms))}`, acked_ms === null ? 'not acked' : `acked ${text(duration(acked_ms))}`, applied_ms === null ? 'not applied' : `applied ${text(duration(applied_ms))}`].join(', ')])
  const past = node.history.slice(-4).reverse()
  return (
    <dl className={styles.facts}>
      {rows.map(([k, v]) => (
        <div key={k}>
          <dt>{k}</dt>
          <dd>{v}</dd>
        </div>
      ))}
      {past.length > 1 ? (
        <div className={styles.history}>
          <dt>History</dt>
          <dd>
            {past.map((t) => (
              <span key={t.at + t.state} title={t.note}>
                <span className="t3">{clock(t.at)}</span> {STATES[t.state].word}
                {t.revision ? `, rev ${count(t.revision)}` : ''}
              </span>
            ))}
          </dd>
        </div>
      ) : null}
    </dl>
  )
}

function connection(n: NodeStatus, now: number): string {
  if (n.connected) return n.connected_at ? `since ${clock(n.connected_at)}, ${span(secondsSince(n.connected_at, now))}` : 'open'
  if (n.disconnected_at) return `lost at ${clock(n.disconnected_at)}, ${span(secondsSince(n.disconnected_at, now))} ago`
  return 'never one'
}

function certificate(id: NodeIdentity | null, now: number): ReactNode {
  if (!id) return 'none: it speaks plain text only'
  if (!id.not_after) return 'none yet: it is told to speak mutual TLS and cannot'
  return (
    <>
      <span className="mono">{id.principal}</span>, <Validity until={id.not_after} now={now} />
    </>
  )
}

/** Why there is no newer certificate. */
export function LateCertificate({ failure, now }: { failure: NonNullable<NodeIdentity['failure']>; now: number }) {
  return (
    <>
      for {span(secondsSince(failure.since, now))}: <b>{failure.error}</b>. {sentence(failure.remedy)}
    </>
  )
}

/** How long a certificate is still good, or since when it is not. */
export function Validity({ until, now }: { until: string; now: number }) {
  const left = (Date.parse(until) - now) / 1000
  return left > 0 ? `renewed before it ends in ${span(left)}` : <b>{`ended ${span(-left)} ago`}</b>
}

function broken(d: NodeDetail): string {
  const last = d.connections.filter((c) => c.disconnected_at).at(-1)
  const n = d.connections.length - 1
  return `${plural(n, 'earlier connection')}${last?.disconnected_at ? `, the last lost at ${clock(last.disconnected_at)}${last.reason ? `: ${last.reason}` : ''}` : ''}`
}
