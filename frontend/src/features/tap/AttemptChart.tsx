import { useWidth } from '@/ui/charts/measure'
import { linear, roundMs } from '@/ui/charts/scale'
import { duration, middle, text } from '@/lib/format'
import type { AttemptAxis, Try } from './attempts'
import styles from './AttemptChart.module.css'

const LEFT = 128
const RIGHT = 14
const TOP = 38
const PITCH = 37
const MAX = 6

/** The attempts of one request on one time axis, with the back-off between them. */
export function AttemptChart({ axis, failed }: { axis: AttemptAxis; failed: boolean }) {
  const [ref, width] = useWidth<HTMLDivElement>()
  const tries = axis.tries.slice(0, MAX)
  const height = TOP + Math.max(1, tries.length) * PITCH + 2
  const x = linear(0, axis.to, LEFT, Math.max(LEFT + 40, width - RIGHT))
  return (
    <div ref={ref} className={styles.chart} style={{ height }}>
      {width > 0 ? (
        <svg width={width} height={height} role="img" aria-label={describe(axis)}>
          {axis.ticks.map((t, i) => (
            <g key={t}>
              <path d={`M${x(t)} 16V${height - 4}`} className={styles.grid} />
              <text x={x(t)} y="10" textAnchor={i > 0 && x(t) > width - RIGHT - 16 ? 'end' : 'middle'} className={styles.axis}>
                {roundMs(t)}
              </text>
            </g>
          ))}
          <text x="0" y="28" className={styles.request}>
            request
          </text>
          <rect x={x(0)} y="22" width={x(axis.to) - x(0)} height="5" className={styles.whole} data-failed={failed || undefined} />
          {tries.map((t, i) => (
            <Attempt key={t.n} attempt={t} next={tries[i + 1]} y={TOP + i * PITCH} x={x} right={width - RIGHT} />
          ))}
          {tries.length === 0 ? (
            <text x={LEFT} y={TOP + 14} className={styles.why}>
              nothing was sent upstream
            </text>
          ) : null}
        </svg>
      ) : null}
    </div>
  )
}

function Attempt({ attempt: t, next, y, x, right }: { attempt: Try; next: Try | undefined; y: number; x: (ms: number) => number; right: number }) {
  const how = [text(duration(t.to - t.from)), t.reason, t.waits].filter(Boolean).join(', ')
  const words = [t.result, how].filter(Boolean).join(' ')
  const from = x(t.from)
  const late = from + words.length * 6 > right
  return (
    <g>
      <text x="0" y={y + 9} className={styles.name}>
        attempt {t.n}
      </text>
      <text x="0" y={y + 23} className={styles.endpoint}>
        <title>{[t.workload, t.endpoint].filter(Boolean).join(', ')}</title>
        {middle(t.endpoint, 19)}
      </text>
      <rect x={from} y={y} width={Math.max(2, x(t.to) - from)} height="11" className={styles.bar} />
      {t.ok ? null : <path d={`M${x(t.to)} ${y - 2}v15`} className={styles.end} />}
      <text x={late ? right : from} y={y + 24} textAnchor={late ? 'end' : 'start'} className={styles.why}>
        <tspan className={t.ok ? styles.good : styles.bad}>{t.result || 'failed'}</tspan> {how}
      </text>
      {next ? (
        <>
          <path d={`M${x(t.to) + 2} ${y + 5.5}H${x(next.from)}V${y + PITCH - 2}`} className={styles.wait} />
          {x(next.from) + 90 < right && next.backoff > 0 ? (
            <text x={x(next.from) + 5} y={y + 9} className={styles.axis}>
              {text(duration(next.backoff))} back-off
            </text>
          ) : null}
        </>
      ) : null}
    </g>
  )
}

function describe(a: AttemptAxis): string {
  const tries = a.tries.map((t) => `attempt ${t.n} at ${t.endpoint} from ${text(duration(t.from))} to ${text(duration(t.to))}: ${[t.result, t.reason, t.waits].filter(Boolean).join(' ')}`)
  return [a.finding, ...tries].join('. ')
}
