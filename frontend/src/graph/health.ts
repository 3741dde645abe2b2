import type { HealthState } from '@/api/types'

const rank: Record<HealthState, number> = { fail: 0, warn: 1, unknown: 2, ok: 3, idle: 4 }

/** The worse of two states; unknown is no news, so it never hides a finding. */
export function worse(a: HealthState, b: HealthState): HealthState {
  return rank[a] <= rank[b] ? a : b
}

/** How a state is called. */
export const stateWord: Record<HealthState, string> = {
  ok: 'healthy',
  warn: 'degraded',
  fail: 'failing',
  idle: 'no traffic',
  unknown: 'no data',
}
