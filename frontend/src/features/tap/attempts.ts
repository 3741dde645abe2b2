import type { TapAttempt, TapEvent } from '@/api/types'
import { flagWord } from '@/lib/flags'
import { duration, ordinal, text } from '@/lib/format'

/** Try is one attempt laid out on the request's own time axis (ms). */
export type Try = {
  n: number
  endpoint: string
  workload: string
  from: number
  to: number
  ok: boolean
  result: string
  reason: string
  /** What it spent before it was sent: "queued 12ms, connected in 3ms". */
  waits: string
  /** Pause before this attempt began; 0 for the first. */
  backoff: number
}

export type AttemptAxis = { to: number; ticks: number[]; tries: Try[]; finding: string }

/** attemptAxis lays the attempts of one request on one axis and says what came of them. */
export function attemptAxis(e: TapEvent): AttemptAxis {
  let until = 0
  const tries = e.attempts.map((a, i): Try => {
    const from = a.start_ms
    const to = a.start_ms + a.duration_ms
    const backoff = i === 0 ? 0 : Math.max(0, from - until)
    until = Math.max(until, to)
    const flags = a.flags === '-' ? '' : a.flags
    const ok = e.protocol === 'tcp' ? !flags : answered(a.status, flags)
    // "answered 503" says the status once more.
    const reason = a.reason && a.reason !== `answered ${a.status}` ? a.reason : flagWord(flags)
    const last = !ok && i === e.attempts.length - 1 && e.flags.includes('URX') ? 'no try is left' : ''
    return {
      n: i + 1,
      endpoint: a.endpoint,
      workload: a.workload ?? '',
      from, to, backoff, ok,
      result: [a.status > 0 ? String(a.status) : flags ? '' : e.protocol === 'tcp' ? 'connected' : 'no answer', flags].filter(Boolean).join(' '),
      reason: [reason, last].filter(Boolean).join(', '),
      waits: waits(a),
    }
  })
  const to = Math.max(e.duration_ms, until, 0.001)
  return { to, ticks: niceTicks(to), tries, finding: finding(e, tries) }
}

/** Waits that nobody would look for are left out. */
function waits(a: TapAttempt): string {
  const told = (ms: number | undefined) => (ms !== undefined && ms >= 0.05 ? text(duration(ms)) : '')
  const [queue, connect] = [told(a.queue_ms), told(a.connect_ms)]
  return [queue && `queued ${queue}`, connect && `connected in ${connect}`].filter(Boolean).join(', ')
}

const answered = (status: number, flags: string) => status > 0 && status < 500 && !flags

function finding(e: TapEvent, tries: readonly Try[]): string {
  const good = tries.filter((t) => t.ok).length
  if (tries.length === 0) return e.answered_by === 'proxy' ? 'No attempt: the proxy answered by itself' : 'No attempt was recorded'
  if (tries.length === 1) return good ? '1 attempt, answered' : '1 attempt, it failed'
  if (good === 0) return `${tries.length} attempts, all failed`
  return `${tries.length} attempts, the ${ordinal(tries.findIndex((t) => t.ok) + 1)} answered`
}

/** niceTicks gives 3 to 5 round values from 0 up to the axis' end. */
export function niceTicks(to: number): number[] {
  const raw = to / 4
  const p = 10 ** Math.floor(Math.log10(raw))
  const step = ([1, 2, 2.5, 5, 10].find((s) => s * p >= raw) ?? 10) * p
  const out: number[] = []
  for (let v = 0; v <= to * 1.0001; v += step) out.push(Number(v.toPrecision(6)))
  return out
}
