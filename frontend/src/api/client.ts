import { apiURL } from '@/lib/base'
import { useShell } from '@/lib/shell'
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

const barredCodes = new Set(['unauthenticated', 'intercepted', 'forbidden'])

/** What the server, or a proxy in front, says to those it does not let in; null where they are let in, or nobody answers. */
export async function barred(): Promise<ApiErrorBody | null> {
  try {
    await get('status')
    return null
  } catch (e) {
    return e instanceof ApiError && barredCodes.has(e.code) ? e : null
  }
}

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
  const text = await response.text()
  const body = jsonOf(text)
  if (response.ok && (body !== undefined || text === '')) return body as T
  throw errorFrom(body, response)
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/**
 * A proxy in front of Sidelight may ask who one is, and answers for it then:
 * with a status, or by sending to a page where one signs in.
 */
function barrier(response: Response): ApiErrorBody | null {
  if (response.status === 401 || (response.ok && response.redirected)) {
    return { code: 'intercepted', message: 'The proxy in front of Sidelight wants to know who you are.', hint: 'Your session there may have ended.' }
  }
  if (response.status === 403) {
    return { code: 'forbidden', message: 'The proxy in front of Sidelight answered 403.', hint: 'Ask those who run it for access, then try again.' }
  }
  return null
}

function errorFrom(body: unknown, response: Response): ApiError {
  if (body && typeof body === 'object' && 'error' in body) {
    const { error, problems } = body as { error: ApiErrorBody; problems?: Problem[] }
    if (error.code === 'unauthenticated') useShell.getState().set({ signIn: true })
    return new ApiError(error, response.status, problems ?? [])
  }
  const said = `The server answered ${response.status} ${response.statusText}`.trim()
  return new ApiError(
    barrier(response) ?? { code: 'internal', message: `${said}${response.ok ? ', but not with JSON' : ''}.`, hint: 'Is this page on the address of sidelight, or of something else?' },
    response.status,
  )
}
