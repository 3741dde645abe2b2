import { Link } from '@tanstack/react-router'
import type { GraphEdge } from '@/api/types'
import { cx } from '@/lib/cx'
import { count, duration, middle, percent, rate } from '@/lib/format'
import { Figure } from '@/ui/Figure'
import { HealthGlyph, healthRank } from '@/ui/Health'
import { Section } from '@/ui/Panel'
import { Sparkline } from '@/ui/Sparkline'
import styles from './Detail.module.css'

/** Who calls, or who is called: each row leads to its edge on the graph. */
export function EdgeTable({ title, none, edges, end, level }: { title: string; none: string; edges: readonly GraphEdge[]; end: 'source' | 'target'; level: string }) {
  const rows = edges.toSorted((a, b) => healthRank[a.health.state] - healthRank[b.health.state] || b.rps - a.rps)
  return (
    <Section title={title} note={rows.length === 0 ? '' : count(rows.length)}>
      {rows.length === 0 ? <p className="t3">{none}</p> : null}
      <table className={`${styles.rows} ${styles.edges}`}>
        {rows.length === 0 ? null : (
          <thead>
            <tr>
              <th>{end === 'source' ? 'Caller' : 'Called'}</th>
              <th aria-label="Protocol" />
              <th data-mid>Security</th>
              <th data-mid>Last minute</th>
              <th className="num">Rate</th>
              <th className="num">Errors</th>
              <th className="num">p95</th>
              <th data-mid>Most failures</th>
            </tr>
          </thead>
        )}
        <tbody>
          {rows.map((e) => (
            <tr key={e.id}>
              <td>
                <span className={styles.who}>
                  <HealthGlyph state={e.health.state} size={12} />
                  <Link to="/graph" search={{ level, sel: e.id } as never} className="cut" title={`Edge on the graph: ${e.health.reasons[0]?.text ?? 'healthy'}`}>
                    {middle(nameOf(e[end]), 34)}
                  </Link>
                </span>
              </td>
              <td className="t3">{e.protocol === 'http' ? '' : e.protocol}</td>
              <td className="t3" data-mid>
                {e.mirrored ? 'mirrored' : e.mtls_ratio > 0.995 ? 'mTLS' : e.mtls_ratio < 0.005 ? 'plaintext' : 'part mTLS'}
              </td>
              <td data-mid>
                <Sparkline values={e.rps_series} width={90} height={14} tone={e.health.state === 'fail' || e.health.state === 'warn' ? e.health.state : 'data'} />
              </td>
              <td className="num">
                <Figure of={e.protocol === 'tcp' ? { value: count(e.active_connections), unit: 'conn' } : rate(e.rps)} />
              </td>
              <td className={cx('num', e.error_ratio >= 0.005 && (e.health.state === 'fail' ? 'fail-t strong' : 'warn-t'))}>{e.protocol === 'tcp' ? '' : <Figure of={percent(e.error_ratio)} />}</td>
              <td className="num">
                <Figure of={duration(e.p95_ms)} />
              </td>
              <td className="cut t2" data-mid title={answered(e)}>
                {answered(e)}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </Section>
  )
}

/** The name in an element's ID: web of "workload:ns/web", and of "service:web.ns.svc.cluster.local". */
export function nameOf(id: string): string {
  const rest = id.slice(id.indexOf(':') + 1)
  const host = /^([^.]+)\.[^.]+\.svc\./.exec(rest)
  return host?.[1] ?? rest.slice(rest.lastIndexOf('/') + 1)
}

function answered(e: GraphEdge): string {
  const a = e.answers[0]
  if (!a) return ''
  const code = a.grpc ? `gRPC ${a.grpc}` : a.code > 0 ? String(a.code) : 'no answer'
  const flags = a.flags === '' || a.flags === '-' ? '' : ` ${a.flags}`
  return `${code}${flags} by ${a.by === 'proxy' ? 'the proxy' : nameOf(e.target)}${a.object === '' ? '' : `, ${a.object}`}`
}
