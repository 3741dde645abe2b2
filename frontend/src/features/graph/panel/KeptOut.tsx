import { Link } from '@tanstack/react-router'
import { useService } from '@/api/inventory'
import type { Ejection } from '@/api/types'
import { count, middle, plural } from '@/lib/format'
import { EjectionTimeline } from '@/ui/EjectionTimeline'
import { Section } from '@/ui/Panel'
import styles from './KeptOut.module.css'

const limitWord: Record<string, string> = {
  connections: 'connection limit reached',
  pending: 'pending queue full',
  requests: 'request limit reached',
  retries: 'retry limit reached',
}

/** Endpoints that callers' sidecars have ejected, now and lately, and limits that they have reached. */
export function KeptOut({ host, caller }: { host: string; /** Only by this workload's sidecars: namespace/name. */ caller?: string }) {
  const { data } = useService(host)
  if (!data) return null
  const all = data.ejections.filter((e) => caller === undefined || e.caller === caller)
  return (
    <>
      {all.length === 0 ? null : <Now all={all} endpoints={data.endpoints} />}
      <EjectionTimeline log={data.ejection_log} caller={caller} now={Date.parse(data.at)} />
    </>
  )
}

function Now({ all, endpoints }: { all: readonly Ejection[]; endpoints: number }) {
  const ejected = Math.max(0, ...all.map((e) => e.ejected))
  return (
    <Section title="Kept out" help="keptOut" note={ejected > 0 ? `${count(ejected)} of ${plural(endpoints, 'endpoint')} ejected` : 'circuit breaker'}>
      <ul className={styles.list}>
        {all.map((e) => (
          <li key={`${e.node} ${e.subset} ${e.breaker}`}>
            <b className="fail-t strong">{said(e)}</b>
            <span className="t3">
              {e.subset === '' ? '' : `subset ${e.subset}, `}by{' '}
              <Link to="/nodes/{-$nodeId}" params={{ nodeId: e.node }}>
                {middle(e.node, 26)}
              </Link>
            </span>
          </li>
        ))}
      </ul>
    </Section>
  )
}

function said(e: Ejection): string {
  return e.breaker === '' ? `${plural(e.ejected, 'endpoint')} ejected` : (limitWord[e.breaker] ?? `${e.breaker} limit reached`)
}
