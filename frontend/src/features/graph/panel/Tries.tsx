import type { GraphEdge } from '@/api/types'
import { ordinal, percent, perSecond } from '@/lib/format'
import { useInstant } from '@/panel/useInstant'
import { Figure } from '@/ui/Figure'
import { Section } from '@/ui/Panel'
import styles from './Answers.module.css'
import { triesOf, triesQuery } from './series'

/** What retries do: tries per request, what the caller sees against what a try sees, and each try by its number. */
export function Attempts({ edge, labels }: { edge: GraphEdge; labels: string | null }) {
  const tries = edge.attempts_per_request
  if (!(tries > 1.005) || edge.protocol === 'tcp') return null
  const caller = 1 - edge.error_ratio
  const attempt = caller / tries
  return (
    <Section title="Attempts" help="attempts" note={`${tries.toFixed(2)} per request`}>
      <Bar label="caller" ratio={caller} quiet />
      <Bar label="attempt" ratio={attempt} quiet={attempt > 0.99} />
      <p className="t3 t11">
        Success of the caller against success of a single try: retries hide {Math.max(0, Math.round((caller - attempt) * 100))} points.
      </p>
      {labels === null ? null : <ByNumber labels={labels} />}
    </Section>
  )
}

function Bar({ label, ratio, quiet }: { label: string; ratio: number; quiet: boolean }) {
  return (
    <div className={styles.meter}>
      <span className="t2">{label}</span>
      <i>
        <i style={{ width: `${Math.min(100, ratio * 100)}%`, background: quiet ? 'var(--data-3)' : 'var(--warn)' }} />
      </i>
      <span className="num">{percent(ratio).value} %</span>
    </div>
  )
}

/** First, second, third tries: as long as there were many, the failed part hatched. */
function ByNumber({ labels }: { labels: string }) {
  const { data } = useInstant(triesQuery(labels))
  const tries = triesOf(data ?? [])
  if (tries.length < 2) return null // older sidecars do not number them
  const most = Math.max(...tries.map((t) => t.ok + t.failed))
  return (
    <ol className={styles.tries} aria-label="Tries by number">
      {tries.map(({ number, ok, failed }) => (
        <li key={number}>
          <span className="t2">{number === 5 ? 'later' : ordinal(number)}</span>
          <i>
            <i style={{ width: `${(ok / most) * 100}%`, background: 'var(--data-3)' }} />
            <i className="hatch-fail" style={{ width: `${(failed / most) * 100}%` }} />
          </i>
          <Figure of={perSecond(ok + failed)} className="num" />
          <span className="num">
            <Figure of={percent(failed / (ok + failed))} /> failed
          </span>
        </li>
      ))}
    </ol>
  )
}
