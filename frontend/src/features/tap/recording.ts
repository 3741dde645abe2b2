import type { TapEvent } from '@/api/types'
import { TapRing } from './ring'

/** Recording is a file of events, as `sidelight tap -o json` and the page's own export write it. */
export type Recording = {
  name: string
  ring: TapRing
  /** Lines that are no event. */
  wrong: number
}

/** A file may be of any size; what is shown at once is not. */
export const MOST_BYTES = 256 * 1024 * 1024

/** readRecording fills a ring of its own with a file's events, in the order of the file. */
export async function readRecording(file: File): Promise<Recording> {
  if (file.size > MOST_BYTES) throw new Error(`${file.name} is larger than ${MOST_BYTES / 1024 / 1024} MB. Cut it: each line is one request.`)
  const { events, wrong } = parseEvents(await file.text())
  if (events.length === 0) throw new Error(`${file.name} holds no request. Open what sidelight tap -o json or this page's NDJSON export wrote.`)
  const ring = new TapRing()
  const n = events.length
  ring.push({ events, ledger: { matched: n, delivered: n, sampled_out: 0, dropped_sidecar: 0, dropped_server: 0, dropped_socket: 0 }, sidecars: new Set(events.map((e) => e.node)).size })
  return { name: file.name, ring, wrong }
}

/** parseEvents reads one event a line, and counts the lines that are none. */
export function parseEvents(text: string): { events: TapEvent[]; wrong: number } {
  const events: TapEvent[] = []
  let wrong = 0
  for (const line of text.split('\n')) {
    if (line.trim() === '') continue
    const event = eventOf(line)
    if (event) events.push(event)
    else wrong++
  }
  return { events, wrong }
}

function eventOf(line: string): TapEvent | null {
  let e: unknown
  try {
    e = JSON.parse(line)
  } catch {
    return null
  }
  return isEvent(e) ? e : null
}

/** isEvent checks what the page reads without asking; the rest may be missing. */
function isEvent(e: unknown): e is TapEvent {
  if (typeof e !== 'object' || e === null) return false
  const o = e as Record<string, unknown>
  const named = (v: unknown) => typeof v === 'object' && v !== null && typeof (v as { name: unknown }).name === 'string'
  return (
    ['at', 'node', 'direction', 'protocol', 'flags', 'answered_by'].every((k) => typeof o[k] === 'string') &&
    ['status', 'duration_ms', 'request_bytes', 'response_bytes'].every((k) => typeof o[k] === 'number') &&
    [o.source, o.destination].every(named) && typeof o.service === 'object' && o.service !== null && Array.isArray(o.attempts)
  )
}
