import type { HealthState, NodeState } from '@/api/types'

export const healthWord: Record<HealthState, string> = {
  ok: 'healthy',
  warn: 'degraded',
  fail: 'failing',
  idle: 'no traffic',
  unknown: 'no data',
}

/** How bad a state is; sorting by it puts the worst first. */
export const healthRank: Record<HealthState, number> = { fail: 0, warn: 1, unknown: 2, ok: 3, idle: 4 }

/** The health that a configuration state amounts to. */
export const nodeHealth: Record<NodeState, HealthState> = {
  synced: 'ok',
  'in-flight': 'ok',
  slow: 'warn',
  stale: 'warn',
  rejected: 'fail',
  disconnected: 'idle',
  'never-connected': 'unknown',
  drifted: 'warn',
  unsupported: 'warn',
}

/**
 * Health by shape, glyph and colour. The word stands beside it, or else is
 * given to screen readers; pass `decorative` where the word is already there.
 */
export function HealthGlyph({
  state,
  size = 14,
  decorative = false,
}: {
  state: HealthState
  size?: number
  decorative?: boolean
}) {
  return (
    <svg
      viewBox="0 0 14 14"
      width={size}
      height={size}
      role={decorative ? undefined : 'img'}
      aria-label={decorative ? undefined : healthWord[state]}
      aria-hidden={decorative ? true : undefined}
    >
      {shapes[state]}
    </svg>
  )
}

const stroke = { fill: 'none', stroke: 'var(--card)', strokeWidth: 1.6, strokeLinecap: 'round', strokeLinejoin: 'round' } as const

const shapes: Record<HealthState, React.ReactNode> = {
  ok: (
    <>
      <circle cx="7" cy="7" r="6" fill="var(--ok)" />
      <path d="M4.3 7.2l1.9 1.9 3.6-4" {...stroke} />
    </>
  ),
  warn: (
    <>
      <path d="M7 .9l6.4 11.3a.6.6 0 0 1-.5.9H1.1a.6.6 0 0 1-.5-.9z" fill="var(--warn)" />
      <path d="M7 5v3.6M7 10.7v.1" {...stroke} />
    </>
  ),
  fail: (
    <>
      <path d="M4.3.8h5.4l3.5 3.5v5.4l-3.5 3.5H4.3L.8 9.7V4.3z" fill="var(--fail)" />
      <path d="M4.9 4.9l4.2 4.2M9.1 4.9L4.9 9.1" {...stroke} />
    </>
  ),
  idle: <circle cx="7" cy="7" r="4.8" fill="none" stroke="var(--idle)" strokeWidth="1.6" />,
  unknown: (
    <>
      <circle cx="7" cy="7" r="5.4" fill="none" stroke="var(--idle)" strokeWidth="1.3" strokeDasharray="2.2 1.9" />
      <path
        d="M5.6 5.6a1.4 1.4 0 1 1 2 1.3c-.5.2-.6.5-.6.9M7 9.8v.05"
        fill="none"
        stroke="var(--idle-text)"
        strokeWidth="1.3"
        strokeLinecap="round"
      />
    </>
  ),
}
