import { useWidth } from '@/ui/charts/measure'
import { linear, timeTicks } from '@/ui/charts/scale'
import { count } from '@/lib/format'
import styles from './AxisHead.module.css'
import type { StripAxis } from './Strip'

/** The time axis over the strips, with a diamond where a revision began to spread. */
export function AxisHead({ axis }: { axis: StripAxis }) {
  const [ref, width] = useWidth<HTMLSpanElement>()
  const x = linear(axis.window.from, axis.window.to, 0, width)
  const ticks = width > 0 ? timeTicks(axis.window.from, axis.window.to, Math.max(2, Math.floor(width / 76))) : []
  return (
    <span ref={ref} className={styles.axis}>
      {width > 0 ? (
        <svg width={width} height={28}>
          {ticks.map((t) => {
            const px = x(t.value)
            return (
              <g key={t.value}>
                {px > 14 && px < width - 14 ? (
                  <text x={px} y="15" textAnchor="middle">
                    {t.label}
                  </text>
                ) : null}
                <path d={`M${px} 25v3`} />
              </g>
            )
          })}
          {axis.marks.map((m) => (
            <g key={m.revision} transform={`translate(${x(m.at).toFixed(1)} 23)`}>
              <title>{`rev ${count(m.revision)}`}</title>
              <path d="M0-4L4 0 0 4-4 0z" className={styles.mark} />
            </g>
          ))}
        </svg>
      ) : null}
    </span>
  )
}
