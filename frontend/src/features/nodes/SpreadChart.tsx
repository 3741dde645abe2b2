import { useMemo } from 'react'
import type { NodesView } from '@/api/types'
import { useWidth } from '@/ui/charts/measure'
import { decades } from '@/ui/charts/scale'
import type { Scale } from '@/ui/charts/scale'
import { count, duration, plural, text } from '@/lib/format'
import styles from './SpreadChart.module.css'
import { spreadModel, STAGES, steps, timeScale } from './spread'
import type { Spread, Stage } from './spread'

const HEIGHT = 118
const PAD = { left: 26, right: 92, top: 10, bottom: 18 }

/** How one revision reached the nodes: the share of nodes per stage over logarithmic time. */
export function SpreadChart({ spread, now }: { spread: NodesView['spread']; now: number }) {
  const [ref, width] = useWidth<HTMLDivElement>()
  // The axis grows with the clock only while somebody waits; a second more is below a pixel.
  const tick = spread.waiting > 0 ? Math.floor(now / 5000) * 5000 : 0
  const model = useMemo(() => spreadModel(spread, tick), [spread, tick])
  return (
    <div ref={ref} className={styles.chart} role="img" aria-label={describe(model)}>
      {width > PAD.left + PAD.right + 40 ? <Drawing model={model} width={width} /> : null}
    </div>
  )
}

function Drawing({ model, width }: { model: Spread; width: number }) {
  const x0 = PAD.left
  const x1 = width - PAD.right
  const x = timeScale(model, x0, x1)
  const y = (share: number) => HEIGHT - PAD.bottom - share * (HEIGHT - PAD.bottom - PAD.top)
  return (
    <svg width={width} height={HEIGHT} aria-hidden="true">
      {[0, 50, 100].map((p) => (
        <g key={p}>
          <path d={`M${x0} ${y(p / 100)}H${x1}`} className={styles.grid} />
          <text x={x0 - 5} y={y(p / 100) + 4} textAnchor="end" className={styles.axis}>
            {p}
          </text>
        </g>
      ))}
      <TimeAxis model={model} x={x} end={x1} />
      {STAGES.map((s) => (
        <path key={s} d={curve(model, s, x, x0, x1, y)} className={styles[s]} />
      ))}
      <Ends model={model} x1={x1} y={y} />
      <Quantiles model={model} x={x} end={x1} y={y} />
    </svg>
  )
}

function curve(model: Spread, stage: Stage, x: Scale, x0: number, x1: number, y: (share: number) => number): string {
  const shares = steps(model.values[stage], model.total, x, x0, x1)
  let d = `M${x0} ${y(shares[0] ?? 0).toFixed(1)}`
  for (let c = 1; c < shares.length; c++) {
    // A step goes up where the node is, not on the way from the last one.
    if (shares[c] !== shares[c - 1]) d += `H${x0 + c - 1}L${x0 + c} ${y(shares[c]!).toFixed(1)}`
  }
  d += `H${x1}`
  return d
}

function TimeAxis({ model, x, end }: { model: Spread; x: Scale; end: number }) {
  const ticks = decades(model.from / 1000, model.to / 1000).filter((s) => x(s * 1000) < end - 46)
  return (
    <>
      {ticks.map((s) => (
        <g key={s}>
          <path d={`M${x(s * 1000)} ${HEIGHT - PAD.bottom}v4`} className={styles.tick} />
          <text x={x(s * 1000)} y={HEIGHT - 3} textAnchor="middle" className={styles.axis}>
            {s}
          </text>
        </g>
      ))}
      <path d={`M${end} ${HEIGHT - PAD.bottom}v4`} className={styles.tick} />
      <text x={end} y={HEIGHT - 3} textAnchor="middle" className={styles.axis}>
        {text(duration(model.to))}
      </text>
    </>
  )
}

/** The labels stand where the lines end, spread so that they never overlap. */
function Ends({ model, x1, y }: { model: Spread; x1: number; y: (share: number) => number }) {
  const waiting = model.total - model.reached.applied
  return (
    <>
      {STAGES.map((s, i) => {
        const at = model.total ? model.reached[s] / model.total : 0
        const line = PAD.top + 4 + i * 16
        return (
          <g key={s}>
            <path d={`M${x1} ${y(at)}L${x1 + 10} ${line - 5}`} className={styles[s]} data-thin />
            <text x={x1 + 14} y={line - 1} className={styles.label} data-strong={s === 'applied' || undefined}>
              {s} {count(model.reached[s])}
            </text>
          </g>
        )
      })}
      {waiting > 0 ? (
        <text x={x1 + 14} y={PAD.top + 55} className={styles.waiting}>
          {count(waiting)} not yet
        </text>
      ) : null}
    </>
  )
}

type QuantileLabel = { q: number; px: number; words: string; at: number | null }

/** quantileLabels gives a label to each point that has room for one; the others keep their dot. */
function quantileLabels(model: Spread, x: Scale, end: number): QuantileLabel[] {
  const out: QuantileLabel[] = []
  let free = -Infinity
  for (const { q, ms } of model.quantiles) {
    if (ms === null) continue
    const px = x(ms)
    const words = `p${Math.round(q * 100)} ${text(duration(ms))}`
    const low = q < 0.6
    const from = low ? px + 9 : Math.max(px, free)
    const fits = low || from + words.length * 6 < end
    if (!low && fits) free = from + words.length * 6 + 10
    out.push({ q, px, words, at: fits ? from : null })
  }
  return out
}

function Quantiles({ model, x, end, y }: { model: Spread; x: Scale; end: number; y: (share: number) => number }) {
  return quantileLabels(model, x, end).map((l) => (
    <g key={l.q}>
      <circle cx={l.px} cy={y(l.q)} r="3" className={styles.point} />
      {l.at === null ? null : (
        <text x={l.at} y={y(l.q) + 17} className={styles.quantile}>
          {l.words}
        </text>
      )}
    </g>
  ))
}

function describe(m: Spread): string {
  if (m.total === 0) return 'No revision has been sent yet.'
  const parts = m.quantiles.filter((q) => q.ms !== null).map((q) => `${Math.round(q.q * 100)} % of nodes after ${text(duration(q.ms))}`)
  const rest = m.total - m.reached.applied
  return `Sent to ${plural(m.reached.sent, 'node')}, acknowledged by ${count(m.reached.acked)}, applied by ${count(m.reached.applied)}. ${parts.join(', ')}.${rest ? ` ${count(rest)} not yet.` : ''}`
}
