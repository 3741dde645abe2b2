import { Link } from '@tanstack/react-router'
import { useAlerts } from '@/api/alerts'
import { alertWords } from '@/api/alertwords'
import { useNow } from '@/api/live-context'
import type { GraphEdge, NamespaceSummary, NodeState, Overview } from '@/api/types'
import { cx } from '@/lib/cx'
import { bytes, count, duration, figure, middle, percent, perSecond, plural, span, text } from '@/lib/format'
import { secondsSince } from '@/lib/time'
import { Figure } from '@/ui/Figure'
import { HealthGlyph, nodeHealth } from '@/ui/Health'
import { Section } from '@/ui/Panel'
import { AppLink } from './AppLink'
import styles from './Aside.module.css'
import { proxyShare, sideName } from './summary'

/** The edges that fail most, and whether the service or a proxy said so. */
export function ErrorEdges({ edges }: { edges: readonly GraphEdge[] }) {
  if (edges.length === 0) {
    return (
      <Section title="Error edges">
        <p className="t2">No edge fails.</p>
      </Section>
    )
  }
  const most = Math.max(1e-9, ...edges.map(errorRate))
  return (
    <Section title="Where errors are" help="errorEdges" note="hatched: a proxy said so">
      <ul className={styles.edges}>
        {edges.map((e) => (
          <li key={e.id}>
            <Link to="/graph" search={{ sel: e.id } as never} className={styles.edge}>
              <span className="cut">
                <b>{sideName(e.source)}</b>
                <span className="t3"> → </span>
                <b>{sideName(e.target)}</b>
              </span>
              <span className={cx('num', e.health.state === 'fail' ? 'fail-t' : 'warn-t')}>
                <Figure of={percent(e.error_ratio)} />
              </span>
              <Answered edge={e} most={most} />
              <span className={styles.why}>{cause(e)}</span>
            </Link>
          </li>
        ))}
      </ul>
    </Section>
  )
}

/** Who said so; the bar is as long as the edge's errors are many. */
function Answered({ edge, most }: { edge: GraphEdge; most: number }) {
  const proxy = proxyShare(edge)
  if (proxy === null) return null
  const p = Math.round(proxy * 100)
  const words = p === 100 ? `all by the proxy of ${sideName(edge.source)}` : p === 0 ? `all by ${sideName(edge.target)}` : `${p} % by the proxy of ${sideName(edge.source)}, ${100 - p} % by ${sideName(edge.target)}`
  return (
    <span className={styles.answered} title={words}>
      <span className={styles.bar} aria-hidden="true" style={{ width: `${Math.max(4, (errorRate(edge) / most) * 100)}%` }}>
        {p > 0 ? <i className="hatch-fail" style={{ flexGrow: p }} /> : null}
        {p < 100 ? <i className={styles.service} style={{ flexGrow: 100 - p }} /> : null}
      </span>
      <span className="t3 t11">
        {answer(edge)}, {p >= 50 ? `proxy ${p} %` : `service ${100 - p} %`}
      </span>
    </span>
  )
}

const errorRate = (e: GraphEdge) => e.rps * e.error_ratio

function answer(e: GraphEdge): string {
  const a = e.answers[0]
  if (!a) return ''
  const code = a.grpc ? `grpc ${a.grpc}` : a.code > 0 ? String(a.code) : 'no answer'
  return `${text(perSecond(a.rps))} ${code}${a.flags && a.flags !== '-' ? ` ${a.flags}` : ''}`
}

/** Why a proxy answered so, and by which object: a service does not say. */
function cause(e: GraphEdge): string {
  const a = e.answers[0]
  return a ? [a.details === 'via_upstream' ? '' : a.details, a.object].filter(Boolean).join(', ') : ''
}

/** What fires now, the critical first, and whether anybody could be told. */
export function Alerts() {
  const { data } = useAlerts()
  const now = useNow()
  if (!data) return null
  const { counts, alerts, receivers, rules } = data
  const deaf = receivers.filter((r) => r.error)
  const title = counts.firing === 0 ? 'No alert fires' : `${plural(counts.firing, 'alert')} ${counts.firing === 1 ? 'fires' : 'fire'}`
  return (
    <Section title={title} help="alerts" note={counts.pending > 0 ? `${count(counts.pending)} more pending` : plural(rules.length, 'rule')}>
      <ul>
        {alerts
          .filter((a) => a.state === 'firing')
          .slice(0, 5)
          .map((a) => (
            <li key={a.id}>
              <AppLink to="/alerts" className={styles.alert} title={a.description}>
                <HealthGlyph state={a.severity === 'critical' ? 'fail' : 'warn'} size={12} />
                <span>{alertWords(a.summary) || a.rule}</span>
                <span className="t3">{a.fired_at ? span(secondsSince(a.fired_at, now)) : ''}</span>
              </AppLink>
            </li>
          ))}
      </ul>
      {counts.firing > 5 ? <p className="t3">{plural(counts.firing - 5, 'more alert')}</p> : null}
      {deaf.length > 0 ? <p className="warn-t">{plural(deaf.length, 'receiver')} cannot be told: {deaf[0]?.error}</p> : null}
    </Section>
  )
}

/** Namespaces, worst first, with how many of their workloads are in the mesh. */
export function Namespaces({ namespaces }: { namespaces: readonly NamespaceSummary[] }) {
  return (
    <Section title="Namespaces" help="namespaces" note="in the mesh, rate, errors">
      <ul>
        {namespaces.map((n) => (
          <li key={n.name}>
            <Link to="/graph" search={{ ns: n.name } as never} className={styles.namespace} title={n.health.reasons.map((r) => r.text).join('\n')}>
              <HealthGlyph state={n.health.state} size={13} />
              <span className="cut">{n.name || 'outside'}</span>
              <span className={cx('num', n.meshed < n.workloads ? 'warn-t' : 't3')}>
                {count(n.meshed)} of {count(n.workloads)}
              </span>
              <span className="num t2">
                {figure(n.rps)}
                <span className="u">rps</span>
              </span>
              <span className={cx('num', n.error_ratio > 0 && n.health.state === 'fail' ? 'fail-t' : n.error_ratio > 0 && n.health.state === 'warn' ? 'warn-t' : 't3')}>
                <Figure of={percent(n.error_ratio)} />
              </span>
            </Link>
          </li>
        ))}
      </ul>
    </Section>
  )
}

/** Whether the last change of configuration has arrived. */
export function Convergence({ of: c }: { of: Overview['convergence'] }) {
  if (c.revision === 0) {
    return (
      <Section title="Configuration">
        <p className="t2">No object has been accepted yet: every node runs its defaults.</p>
      </Section>
    )
  }
  const p50 = c.applied_p50_ms === null ? '' : `p50 ${text(duration(c.applied_p50_ms))}`
  const p99 = c.applied_p99_ms === null ? '' : `p99 ${text(duration(c.applied_p99_ms))}`
  return (
    <Section help="convergence" title={`Rev ${count(c.revision)} runs on ${count(c.synced)} of ${plural(c.nodes, 'node')}`}>
      <div className={styles.meter} role="img" aria-label={`${count(c.synced)} of ${count(c.nodes)} nodes`}>
        <i style={{ flexGrow: c.synced }} />
        {c.nodes > c.synced ? <i data-rest style={{ flexGrow: Math.max(c.nodes - c.synced, c.nodes * 0.01) }} /> : null}
      </div>
      {p50 || p99 ? <p className="t3">Applied after {[p50, p99].filter(Boolean).join(', ')}.</p> : null}
      <ul>
        {c.not_synced.slice(0, 5).map((n) => (
          <li key={n.id}>
            <Link to="/nodes/{-$nodeId}" params={{ nodeId: n.id }} className={styles.node} title={n.reason}>
              <HealthGlyph state={nodeHealth[n.state]} size={12} decorative />
              <span>{middle(n.id, 24)}</span>
              <span className={cx('cut', TONE[nodeHealth[n.state]])}>{WORD[n.state]}</span>
            </Link>
          </li>
        ))}
      </ul>
      {c.not_synced.length > 5 ? (
        <Link to="/nodes/{-$nodeId}" params={{ nodeId: undefined }}>
          {plural(c.not_synced.length - 5, 'more node')}
        </Link>
      ) : null}
    </Section>
  )
}

const TONE = { ok: 't2', warn: 'warn-t', fail: 'fail-t', idle: 't2', unknown: 't2' } as const
const WORD: Record<NodeState, string> = {
  synced: 'synced', 'in-flight': 'in flight', slow: 'slow', stale: 'does not answer', rejected: 'refused it', disconnected: 'disconnected',
  'never-connected': 'never connected', drifted: 'runs something else', unsupported: 'unsupported',
}

/** What is outside of the mesh, where no policy holds. */
export function Coverage({ of: c }: { of: Overview['coverage'] }) {
  return (
    <Section help="coverage" title={coverageTitle(c)} note={`${count(c.meshed)} of ${count(c.workloads)} in the mesh`}>
      {c.unmeshed.length > 0 ? (
        <p className="t2">
          {c.unmeshed.slice(0, 6).join(', ')}
          {c.unmeshed.length > 6 ? ` and ${c.unmeshed.length - 6} more` : ''}. <span className="t3">No policy, no mTLS and no retry holds for what they send or receive.</span>
        </p>
      ) : null}
      {c.not_held.length > 0 ? (
        <ul>
          {c.not_held.slice(0, 5).map((p) => (
            <li key={`${p.object} ${p.workload}`} className={styles.held}>
              <Link to="/workloads/$" params={{ _splat: p.workload }} className="t2" title={`The workload: ${p.workload}`}>
                {p.text}
              </Link>
            </li>
          ))}
          {c.not_held.length > 5 ? <li className="t3">{plural(c.not_held.length - 5, 'more policy', 'more policies')} that do not hold</li> : null}
        </ul>
      ) : null}
    </Section>
  )
}

/** A workload of ours outside comes first, then somebody unknown who goes past a policy. */
function coverageTitle(c: Overview['coverage']): string {
  if (c.meshed < c.workloads) return `${plural(c.workloads - c.meshed, 'workload')} outside the mesh`
  const n = c.not_held.length
  if (n > 0) return `${plural(n, 'policy', 'policies')} ${n === 1 ? 'does' : 'do'} not hold`
  return `All ${plural(c.workloads, 'workload')} are in the mesh`
}

/** What the mesh itself takes. */
export function Cost({ of: c }: { of: Overview['cost'] }) {
  const rows = [
    ['Added latency', c.added_p50_ms === null ? 'not measured' : `p50 ${text(duration(c.added_p50_ms))}, p99 ${text(duration(c.added_p99_ms))}`],
    ['CPU', `${figure(c.cpu_cores)} cores${c.cpu_us_per_request === null ? '' : `, ${text(duration(c.cpu_us_per_request / 1000))} a request`}`],
    ['Memory', c.proxies > 0 ? `${text(bytes(c.memory_bytes))}, ${text(bytes(c.memory_bytes / c.proxies))} a proxy` : text(bytes(c.memory_bytes))],
  ] as const
  return (
    <Section title="What the mesh costs" help="cost" note={plural(c.proxies, 'proxy', 'proxies')}>
      <dl className={styles.cost}>
        {rows.map(([k, v]) => (
          <div key={k}>
            <dt>{k}</dt>
            <dd>{v}</dd>
          </div>
        ))}
      </dl>
    </Section>
  )
}
