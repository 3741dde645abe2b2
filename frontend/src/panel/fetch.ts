import { ApiError } from '@/api/client'
import { apiURL } from '@/lib/base'
import type { Ask } from './query'
import { slots } from './turns'

/** One series of an answer. An instant answer has one value. */
export type Series = { labels: Record<string, string>; values: [number, string][] }

/** An answer with the axis that was asked for; step 0 is an instant. */
export type Measured = { series: Series[]; from: number; to: number; step: number }

type Answer = {
  status: 'success' | 'error'
  error?: string
  data?: { resultType: string; result: { metric: Record<string, string>; value?: [number, string]; values?: [number, string][] }[] | [number, string] }
}

/** At most so many queries of panels at once: the store has eight places, and other pages ask, too. */
const places = slots(4)

async function place<T>(work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
  let leave = () => {}
  await new Promise<void>((granted) => {
    leave = places.want(granted)
  })
  try {
    signal?.throwIfAborted()
    return await work()
  } finally {
    leave()
  }
}

export function measure(ask: Ask, signal?: AbortSignal): Promise<Measured> {
  return place(async () => {
    const answer = await prometheus<Answer>(ask.path, ask.form, signal)
    const data = answer.data
    const result = data?.resultType === 'scalar' ? [{ metric: {}, value: data.result as [number, string] }] : ((data?.result ?? []) as Exclude<NonNullable<Answer['data']>['result'], [number, string]>)
    return {
      series: result.map((s) => ({ labels: s.metric, values: s.values ?? (s.value ? [s.value] : []) })),
      from: Number(ask.form.start ?? ask.form.time), to: Number(ask.form.end ?? ask.form.time), step: Number(ask.form.step ?? 0),
    }
  }, signal)
}

export async function labelValues(label: string, match: string, range: { from: number; to: number }, signal?: AbortSignal): Promise<string[]> {
  const search = new URLSearchParams({ start: String(Math.floor(range.from)), end: String(Math.ceil(range.to)) })
  if (match !== '') search.set('match[]', match)
  const answer = await call<{ data?: string[] }>(`prometheus/api/v1/label/${encodeURIComponent(label)}/values?${search}`, { signal })
  return answer.data ?? []
}

/** The exemplars of one series: requests that a histogram kept, each with its labels. */
export type ExemplarSeries = { seriesLabels: Record<string, string>; exemplars: { labels: Record<string, string>; value: string; timestamp: number }[] }

export async function exemplars(query: string, from: number, to: number, signal?: AbortSignal): Promise<ExemplarSeries[]> {
  const answer = await prometheus<{ data?: ExemplarSeries[] }>('query_exemplars', { query, start: from.toFixed(3), end: to.toFixed(3) }, signal)
  return answer.data ?? []
}

function prometheus<T>(path: string, form: Record<string, string>, signal?: AbortSignal): Promise<T> {
  return call<T>(`prometheus/api/v1/${path}`, { method: 'POST', body: new URLSearchParams(form), signal })
}

async function call<T>(path: string, init: RequestInit): Promise<T> {
  let response: Response
  try {
    response = await fetch(apiURL(path), { credentials: 'same-origin', ...init })
  } catch (cause) {
    if (cause instanceof DOMException && cause.name === 'AbortError') throw cause
    throw new ApiError({ code: 'unreachable', message: 'The server does not answer.' }, 0)
  }
  const body = (await response.json().catch(() => null)) as { status?: string; error?: string | { code: string; message: string; hint?: string } } | null
  if (response.ok && body?.status === 'success') return body as T
  const said = body?.error
  if (said && typeof said === 'object') throw new ApiError(said, response.status)
  throw new ApiError({ code: 'invalid', message: said ?? `The metric store answered ${response.status}.` }, response.status)
}
