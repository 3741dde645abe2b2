import type { TraceSummary } from '@/api/types'

/** isTraceId tells whether somebody pasted an ID to go to: 8 or 16 bytes in hex. */
export const isTraceId = (q: string): boolean => /^[0-9a-f]{16}(?:[0-9a-f]{16})?$/i.test(q.trim())

/** matches tells whether a trace has every word of q in its names. */
export function matches(t: TraceSummary, q: string): boolean {
  const text = [t.service, t.operation, t.trace_id, ...t.services.map((s) => s.name)].join('\n').toLowerCase()
  return q
    .toLowerCase()
    .split(/\s+/)
    .every((word) => text.includes(word.replaceAll(/^["']|["']$/g, '')))
}
