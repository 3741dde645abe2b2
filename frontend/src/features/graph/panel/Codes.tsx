import type { GraphEdge, HealthState } from '@/api/types'
import { flagWord } from '@/lib/flags'
import { percent, perSecond } from '@/lib/format'
import { Figure } from '@/ui/Figure'
import { Section } from '@/ui/Panel'
import styles from './Codes.module.css'

/** Every response code and flag with its share, most frequent first. */
export function Codes({ edge }: { edge: GraphEdge }) {
  const codes = Object.entries(edge.codes).sort(([, a], [, b]) => b - a)
  const flags = Object.entries(edge.flags).sort(([, a], [, b]) => b - a)
  const total = codes.reduce((s, [, rps]) => s + rps, 0)
  return (
    <>
      <Section title="Response codes" note="share, per second">
        {codes.length === 0 ? <p className="t3">No responses in this window.</p> : null}
        {codes.map(([code, rps]) => (
          <Row key={code} name={codeWord(code)} rps={rps} total={total} tone={codeTone(code)} />
        ))}
      </Section>
      <Section title="Response flags" note="what the proxy noted">
        {flags.length === 0 ? <p className="t3">None: every answer came from the service.</p> : null}
        {flags.map(([flag, rps]) => (
          <Row key={flag} name={flag} word={flagWord(flag)} rps={rps} total={total} tone="fail" />
        ))}
      </Section>
    </>
  )
}

function Row({ name, word, rps, total, tone }: { name: string; word?: string; rps: number; total: number; tone: HealthState }) {
  const share = total > 0 ? rps / total : 0
  return (
    <div className={styles.row}>
      <b className="strong">{name}</b>
      <span className={styles.track}>
        <i style={{ width: `${share * 100}%`, background: tone === 'fail' ? 'var(--fail)' : tone === 'warn' ? 'var(--warn)' : 'var(--data-3)' }} />
      </span>
      <Figure of={percent(share)} className="num" />
      <Figure of={perSecond(rps)} className="num" />
      {word ? <span className={styles.word}>{word}</span> : null}
    </div>
  )
}

function codeWord(code: string): string {
  if (code === '0') return 'none'
  return code.startsWith('grpc:') ? `gRPC ${code.slice(5)}` : code
}

function codeTone(code: string): HealthState {
  if (code.startsWith('grpc:')) return code === 'grpc:0' ? 'ok' : 'fail'
  const n = Number(code)
  return n >= 500 ? 'fail' : n >= 400 ? 'warn' : 'ok'
}
