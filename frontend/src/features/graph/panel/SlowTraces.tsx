import { Link } from '@tanstack/react-router'
import { duration } from '@/lib/format'
import { clock } from '@/lib/time'
import { useExemplars } from '@/panel/useExemplars'
import { Figure } from '@/ui/Figure'
import { Section } from '@/ui/Panel'
import styles from './LastTraces.module.css'

/** The slowest requests that the latency histogram kept a trace of: from a figure to what it is made of. */
export function SlowTraces({ search }: { search: { source?: string; target?: string } }) {
  const { data } = useExemplars(search, 5)
  if (!data || data.length === 0) return null // without sampled traces or with a store that keeps no exemplars
  const longest = data[0]?.ms || 1
  return (
    <Section title="Slowest" note="exemplars of the latency histogram, last 15 min">
      <table className={styles.traces}>
        <tbody>
          {data.map((e) => (
            <tr key={e.traceId}>
              <td className="t3">{clock(e.at)}</td>
              <td className="mono">
                <Link to="/traces/{-$traceId}" params={{ traceId: e.traceId }}>
                  {e.traceId.slice(0, 4)}…{e.traceId.slice(-4)}
                </Link>
              </td>
              <td className={styles.bar}>
                <i style={{ width: `${Math.max(2, (e.ms / longest) * 100)}%`, background: 'var(--data-3)' }} />
              </td>
              <td className="t2">{e.code}</td>
              <td className="num">
                <Figure of={duration(e.ms)} />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </Section>
  )
}
