import type { HealthState } from '@/api/types'

const tones: Record<HealthState | 'data', string> = {
  data: 'var(--data-3)',
  ok: 'var(--data-2)',
  idle: 'var(--data-2)',
  unknown: 'var(--data-2)',
  warn: 'var(--warn)',
  fail: 'var(--fail)',
}

/** The path of a series in a box; null is a gap. */
export function linePath(
  values: readonly (number | null)[],
  width: number,
  height: number,
  max: number,
  min = 0,
): string {
  const range = max - min || 1
  const step = values.length > 1 ? width / (values.length - 1) : 0
  let path = ''
  let pen = false
  values.forEach((v, i) => {
    if (v === null || !Number.isFinite(v)) {
      pen = false
      return
    }
    const y = height - ((Math.min(max, v) - min) / range) * height
    path += `${pen ? 'L' : 'M'}${(i * step).toFixed(1)} ${y.toFixed(1)}`
    pen = true
  })
  return path
}

/** A small line without axes: it tells shape, the figure beside it tells size. */
export function Sparkline({
  values,
  width = 126,
  height = 11,
  max,
  tone = 'data',
  area = false,
  label,
}: {
  values: readonly (number | null)[]
  width?: number
  height?: number
  max?: number
  tone?: HealthState | 'data'
  area?: boolean
  label?: string
}) {
  const top = max ?? Math.max(1e-9, ...values.map((v) => v ?? 0)) * 1.08
  const d = linePath(values, width, height - 1, top)
  const first = values.findIndex((v) => v !== null)
  return (
    <svg
      viewBox={`0 -0.5 ${width} ${height}`}
      width={width}
      height={height}
      preserveAspectRatio="none"
      role={label ? 'img' : undefined}
      aria-label={label}
      aria-hidden={label ? undefined : true}
    >
      {area && d !== '' && first === 0 ? (
        <path d={`${d}V${height}H0Z`} fill={tones[tone]} opacity="0.16" />
      ) : null}
      <path d={d} fill="none" stroke={tones[tone]} strokeWidth="1.2" vectorEffect="non-scaling-stroke" />
    </svg>
  )
}
