import type { HealthState } from '@/api/types'
import { healthRank } from '@/ui/Health'

export type Row = { namespace: string; name: string; health: { state: HealthState } }

/** Sorts by one column; what is equal there goes by health, then by name. */
export function sorted<T extends Row>(rows: readonly T[], key: ((row: T) => number | string) | undefined, down: boolean): T[] {
  const sign = down ? -1 : 1
  return rows.toSorted((a, b) => {
    const x = key?.(a) ?? 0
    const y = key?.(b) ?? 0
    const order = typeof x === 'string' ? x.localeCompare(String(y)) : x - Number(y)
    return sign * order || healthRank[a.health.state] - healthRank[b.health.state] || a.namespace.localeCompare(b.namespace) || a.name.localeCompare(b.name)
  })
}

/** Keeps what is in the chosen namespaces and for which the expression holds. */
export function matching<T extends Row>(rows: readonly T[], namespaces: readonly string[], holds: (row: T) => boolean): T[] {
  const chosen = new Set(namespaces)
  return rows.filter((row) => (chosen.size === 0 || chosen.has(row.namespace)) && holds(row))
}

/** The state of the worst of them. */
export function worst(rows: readonly Row[]): HealthState {
  if (rows.length === 0) return 'unknown'
  return (['fail', 'warn'] as const).find((state) => rows.some((r) => r.health.state === state)) ?? 'ok'
}
