import { Link } from '@tanstack/react-router'
import type { GraphNode } from '@/api/types'
import { count, middle } from '@/lib/format'
import { useInstant } from '@/panel/useInstant'
import { Section } from '@/ui/Panel'
import styles from './Limits.module.css'
import { limitsOf, limitsQuery } from './series'

/** How near callers' sidecars are to the limits of a service's connection pool. */
export function Limits({ host, caller }: { host: string; caller: GraphNode | undefined }) {
  const { data, error } = useInstant(limitsQuery(host, caller))
  const limits = limitsOf(data ?? [])
  return (
    <Section title="Circuit breaker" help="limits" note={limits.length > 0 ? 'in use, of the limit' : ''}>
      {error ? <p className="t3">Not known: {error.message}</p> : null}
      {data && limits.length === 0 ? <p className="t3">No limit: no DestinationRule gives {host} a connectionPool.</p> : null}
      <ul className={styles.limits}>
        {limits.map((l) => (
          <li key={`${l.subset} ${l.breaker}`} data-full={l.inUse >= l.limit || undefined}>
            <span className="t2">
              {l.breaker}
              {l.subset === '' ? '' : `, subset ${l.subset}`}
            </span>
            <i>
              <i style={{ width: `${Math.min(100, (l.inUse / l.limit) * 100)}%` }} />
            </i>
            <b className="num strong">
              {count(l.inUse)} / {count(l.limit)}
            </b>
            <Link to="/nodes/{-$nodeId}" params={{ nodeId: l.node }} className="t3" title="The sidecar that is nearest to the limit">
              {middle(l.node, 22)}
            </Link>
          </li>
        ))}
      </ul>
    </Section>
  )
}
