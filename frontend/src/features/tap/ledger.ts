import type { TapLedger } from '@/api/types'
import type { Local } from './ring'

/** Term is one summand of the ledger line. */
export type Term = { key: string; count: number; label: string; hint: string; kind: 'shown' | 'kept' | 'loss' | 'transit' }

export type Sum = { matched: number; terms: Term[] }

/**
 * ledgerSum writes what the session's filter matched as a sum of what became
 * of it. The terms always add up to matched: what neither arrived nor was
 * reported lost is still under way and says so.
 */
export function ledgerSum(ledger: TapLedger, local: Local): Sum {
  const lost = ledger.sampled_out + ledger.dropped_sidecar + ledger.dropped_server + ledger.dropped_socket
  // Sidecars report their counts in rounds, so events may be here before matched knows of them.
  const matched = Math.max(ledger.matched, local.received + lost)
  const transit = matched - local.received - lost
  const all: Term[] = [
    { key: 'shown', count: local.shown, label: 'shown', hint: 'In the list below.', kind: 'shown' },
    { key: 'held', count: local.held, label: 'kept for after the pause', hint: 'Newer than the pause; shown when you resume.', kind: 'kept' },
    { key: 'aged', count: local.aged, label: 'older, let go', hint: 'Shown before; the list keeps the newest 100 000.', kind: 'kept' },
    { key: 'sampled', count: ledger.sampled_out, label: 'over the limit at sidecars', hint: 'More matches a second than the session asks for. Narrow the filter or raise the limit.', kind: 'loss' },
    { key: 'sidecar', count: ledger.dropped_sidecar, label: 'sidecar buffer full', hint: 'A sidecar could not send fast enough, or its stream broke.', kind: 'loss' },
    { key: 'server', count: ledger.dropped_server, label: 'server queue full', hint: 'The server took in more than this session reads.', kind: 'loss' },
    { key: 'browser', count: ledger.dropped_socket + local.dropped, label: 'slow browser or full pause', hint: 'This page did not read fast enough, or the room of a pause was full.', kind: 'loss' },
    { key: 'transit', count: transit, label: 'under way', hint: 'Counted by a sidecar, not here yet.', kind: 'transit' },
  ]
  const always = new Set(['shown', 'sampled', 'server', 'browser'])
  return { matched, terms: all.filter((t) => t.count > 0 || always.has(t.key)) }
}
