import type { EdgeSide, GraphEdge } from '@/api/types'
import { bytes, duration, figure, type Measure, percent, rate } from '@/lib/format'
import { Figure } from '@/ui/Figure'
import { Section } from '@/ui/Panel'
import styles from './Connections.module.css'

/** What both reporters saw, side by side, and what the difference means. */
export function Sides({ edge, from, to }: { edge: GraphEdge; from: string; to: string }) {
  const { client_side: client, server_side: server } = edge
  const rows: { label: string; of: (side: EdgeSide) => Measure }[] = [
    { label: 'Rate', of: (s) => rate(s.rps) },
    { label: 'Errors', of: (s) => percent(s.error_ratio) },
    { label: 'p50', of: (s) => duration(s.p50_ms) },
    { label: 'p95', of: (s) => duration(s.p95_ms) },
    { label: 'p99', of: (s) => duration(s.p99_ms) },
  ]
  const shown = edge.protocol === 'tcp' ? rows.slice(0, 1) : rows
  return (
    <Section title="Both sides" help="sides" note={agreement(edge, to)}>
      <table className={styles.sides}>
        <thead>
          <tr>
            <th scope="col" />
            <th scope="col" className="cut">
              {client ? `proxy of ${from}` : from}
            </th>
            <th scope="col" className="cut">
              {server ? `proxy of ${to}` : to}
            </th>
          </tr>
        </thead>
        <tbody>
          {shown.map((row, i) => (
            <tr key={row.label}>
              <th scope="row">{row.label}</th>
              <td>{client ? <Figure of={row.of(client)} /> : <Silent first={i === 0} />}</td>
              <td>{server ? <Figure of={row.of(server)} /> : <Silent first={i === 0} />}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </Section>
  )
}

function Silent({ first }: { first: boolean }) {
  return <span className="t3">{first ? 'does not report' : '–'}</span>
}

function agreement(edge: GraphEdge, to: string): string {
  const { client_side: client, server_side: server } = edge
  if (!client || !server) return 'one side reports'
  const missing = client.rps - server.rps
  if (missing > Math.max(0.2, client.rps * 0.05)) return `${figure(missing)}/s never reached ${to}`
  return 'both agree'
}

/** Connections, how long they are used, and what went over them. */
export function Connections({ edge }: { edge: GraphEdge }) {
  const reuse = edge.requests_per_connection
  const churns = reuse !== null && reuse < 3 && edge.rps > 1
  const tcp = edge.protocol === 'tcp'
  // Of HTTP no sidecar counts how many are open; the circuit breaker says how many are in use.
  const open: [string, Measure, string][] = tcp ? [['Open now', { value: figure(edge.active_connections), unit: '' }, '']] : []
  const used: [string, Measure, string][] = tcp
    ? []
    : [['Requests per connection', { value: reuse === null ? 'no new connection' : figure(reuse), unit: '' }, churns ? 'connections are hardly used again' : '']]
  const rows: [string, Measure, string][] = [
    ...open,
    ['Opened', { value: figure(edge.new_connections_per_s), unit: '/s' }, ''],
    ...used,
    ['Mutual TLS', percent(edge.mtls_ratio), edge.mtls_ratio < 0.995 ? 'the rest is plaintext' : ''],
    ['Sent', perSecond(bytes(edge.sent_bytes_per_s)), ''],
    ['Received', perSecond(bytes(edge.received_bytes_per_s)), ''],
  ]
  return (
    <Section title="Connections" note={churns ? 'churn' : ''}>
      <table className={styles.facts}>
        <tbody>
          {rows.map(([label, value, note]) => (
            <tr key={label}>
              <th scope="row">{label}</th>
              <td className="num">
                <Figure of={value} />
              </td>
              <td className="warn-t">{note}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </Section>
  )
}

function perSecond(m: Measure): Measure {
  return { value: m.value, unit: `${m.unit}/s` }
}
