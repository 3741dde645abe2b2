import { apiURL } from '@/lib/base'
import type { ApiErrorBody, Problem } from './types'

/** What the server, or the way to it, said instead of an answer. */
export class ApiError extends Error {
  readonly code: string
  readonly status: number
  readonly hint: string
  readonly problems: Problem[]

  constructor(body: ApiErrorBody, status: number, problems: Problem[] = []) {
    super(body.message)
    this.name = 'ApiError'
    this.code = body.code
    this.status = status
    this.hint = body.hint ?? ''
    this.problems = problems
  }
}

export type Query = Record<string, string | number | boolean | null | undefined>

/** GET below api/v1; empty query values are left out. */
export function get<T>(path: string, query: Query = {}, signal?: AbortSignal): Promise<T> {
  return call<T>('GET', withQuery(path, query), { signal })
}

export function withQuery(path: string, query: Query): string {
  const search = new URLSearchParams()
  for (const [key, value] of Object.entries(query)) {
    if (value !== undefined && value !== null && value !== '' && value !== false) search.set(key, String(value))
  }
  const text = search.toString()
  return text === '' ? path : `${path}?${text}`
}

export async function call<T>(method: string, path: string, init: RequestInit = {}): Promise<T> {
  let response: Response
  try {
    response = await fetch(apiURL(`api/v1/${path}`), { method, credentials: 'same-origin', ...init })
  } catch (cause) {
    if (cause instanceof DOMException && cause.name === 'AbortError') throw cause
    throw new ApiError(
      { code: 'unreachable', message: 'The server does not answer.', hint: 'Is sidelight running, and is this page on its address?' },
      0,
    )
  }
  const body: unknown = await response.json().catch(() => null)
  if (response.ok) return body as T
  throw errorFrom(body, response)
}

function errorFrom(body: unknown, response: Response): ApiError {
  if (body !== null && typeof body === 'object' && 'error' in body) {
    const { error, problems } = body as { error: ApiErrorBody; problems?: Problem[] }
    return new ApiError(error, response.status, problems ?? [])
  }
  return new ApiError(
    { code: 'internal', message: `The server answered ${response.status} ${response.statusText}`.trim() + '.' },
    response.status,
  )
}
