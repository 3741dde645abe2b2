import type { Answer, GraphEdge } from '@/api/types'
import { failedBy } from '@/graph/words'
import { flagWord, whyAnswered } from '@/lib/flags'
import { cx } from '@/lib/cx'
import { perSecond } from '@/lib/format'
import { Figure } from '@/ui/Figure'
import { Section } from '@/ui/Panel'
import styles from './Answers.module.css'

/** Who answered the failed requests: hatched where a proxy did, plain where the service said so. */
export function Answers({ edge, from, to }: { edge: GraphEdge; from: string; to: string }) {
  const { proxy, upstream } = failedBy(edge)
  const errors = proxy + upstream
  if (errors <= 0) return null
  const share = proxy / errors
  return (
    <Section title="Who answered" help="whoAnswered" note={<Figure of={{ value: perSecond(errors).value, unit: 'errors/s' }} />}>
      <div className={styles.bar}>
        {share > 0 ? (
          <span className={cx(styles.part, 'hatch-fail')} style={{ flexGrow: share }}>
            <span className={styles.word}>
              proxy of {from} {Math.round(share * 100)} %
            </span>
          </span>
        ) : null}
        {share < 1 ? (
          <span className={cx(styles.part, styles.service)} style={{ flexGrow: 1 - share }}>
            {to} {Math.round((1 - share) * 100)} %
          </span>
        ) : null}
      </div>
      <ul className={styles.rows}>
        {edge.answers.map((a) => (
          <li key={`${a.code} ${a.grpc ?? ''} ${a.flags} ${a.details} ${a.object}`}>
            <i className={cx(styles.square, a.by === 'proxy' ? 'hatch-fail' : styles.hollow)} title={a.by === 'proxy' ? `the proxy of ${from}` : to} />
            <b className="strong">
              {a.grpc ? `gRPC ${a.grpc}` : a.code === 0 ? 'no answer' : a.code} {a.flags === '-' ? '' : a.flags}
            </b>
            <Figure of={perSecond(a.rps)} className="num" />
            <span className={styles.reason} title={[reason(a, to), a.details].filter(Boolean).join(' · ')}>
              {reason(a, to)}
            </span>
            {a.object === '' ? null : <span className={cx(styles.object, 'cut')}>{a.object}</span>}
          </li>
        ))}
      </ul>
    </Section>
  )
}

function reason(a: Answer, to: string): string {
  if (a.by === 'upstream') return [`${to} said so`, flagWord(a.flags)].filter(Boolean).join(', ')
  return whyAnswered(a.flags, a.details, a.object) || a.details.replace(/_/g, ' ') || 'the proxy said so'
}
