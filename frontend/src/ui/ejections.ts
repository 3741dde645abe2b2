import type { EjectionEvent } from '@/api/types'

/** One endpoint as one caller's sidecar sees it: when it was out. Times are the server's, in ms. */
export type OutOf = { endpoint: string; node: string; object: string; status: number; spans: { from: number; to: number | null }[]; until: number | null }

/** The log as one row for each endpoint and sidecar, those that are out now first. */
export function outOf(log: readonly EjectionEvent[], caller?: string): OutOf[] {
  const rows = new Map<string, OutOf>()
  for (const e of log) {
    if (caller !== undefined && e.caller !== caller) continue
    const key = `${e.endpoint} ${e.node}`
    const row = rows.get(key) ?? { endpoint: e.endpoint, node: e.node, object: e.object, status: 0, spans: [], until: null }
    rows.set(key, row)
    const at = Date.parse(e.at)
    const last = row.spans.at(-1)
    if (e.returned) {
      // A return without its ejection: the server began in the middle.
      if (last && last.to === null) last.to = at
      row.until = null
    } else {
      // A second ejection without a return: the sidecar began anew, and forgot.
      if (last && last.to === null) last.to = at
      row.spans.push({ from: at, to: null })
      row.status = e.status
      row.until = e.until === null ? null : Date.parse(e.until)
    }
  }
  const isOut = (r: OutOf) => r.spans.at(-1)?.to === null
  return [...rows.values()]
    .filter((r) => r.spans.length > 0)
    .sort((a, b) => Number(isOut(b)) - Number(isOut(a)) || a.endpoint.localeCompare(b.endpoint) || a.node.localeCompare(b.node))
}
