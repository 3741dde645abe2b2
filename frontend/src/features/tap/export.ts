import type { TapEvent, TapHeader } from '@/api/types'
import { pathParts } from './look'

/** ndjson writes one event a line, as the server sent it. */
export function ndjson(events: readonly TapEvent[]): string {
  return events.map((e) => `${JSON.stringify(e)}\n`).join('')
}

/**
 * har writes an HTTP Archive 1.2 of the HTTP events. What was redacted stays
 * so, and what a tap does not know is -1, as the format asks.
 */
export function har(events: readonly TapEvent[], version: string): string {
  const entries = events.filter((e) => e.protocol !== 'tcp').map(harEntry)
  return JSON.stringify({ log: { version: '1.2', creator: { name: 'Sidelight', version }, entries } }, null, 1)
}

function harEntry(e: TapEvent) {
  const url = requestURL(e)
  const query = [...new URL(url).searchParams].map(([name, value]) => ({ name, value }))
  const wait = e.first_byte_ms ?? e.duration_ms
  const queue = sum(e.attempts.map((a) => a.queue_ms))
  const connect = sum(e.attempts.map((a) => a.connect_ms))
  return {
    startedDateTime: e.at,
    time: e.duration_ms,
    request: {
      method: e.method ?? 'GET', url, httpVersion: e.protocol === 'grpc' ? 'HTTP/2' : 'HTTP/1.1',
      cookies: [], headers: harHeaders(e.request_headers), queryString: query, headersSize: -1, bodySize: e.request_bytes,
    },
    response: {
      status: e.status, statusText: '', httpVersion: e.protocol === 'grpc' ? 'HTTP/2' : 'HTTP/1.1', cookies: [],
      headers: harHeaders(e.response_headers), content: { size: e.response_bytes, mimeType: header(e.response_headers, 'content-type') ?? '' },
      redirectURL: header(e.response_headers, 'location') ?? '', headersSize: -1, bodySize: e.response_bytes,
    },
    cache: {},
    timings: { blocked: queue || -1, connect: connect || -1, send: 0, wait: Math.max(0, wait - queue - connect), receive: Math.max(0, e.duration_ms - wait) },
    serverIPAddress: e.attempts[e.attempts.length - 1]?.endpoint.replace(/:\d+$/, '') ?? '',
    _answeredBy: e.answered_by,
    _flags: e.flags,
    _attempts: e.attempts,
    _traceId: e.trace_id ?? '',
  }
}

const sum = (ms: readonly (number | undefined)[]) => ms.reduce<number>((all, one) => all + (one ?? 0), 0)

const harHeaders = (hs: readonly TapHeader[] | undefined) =>
  (hs ?? []).map((h) => ({ name: h.name, value: h.redacted ? '[redacted]' : h.value }))

const header = (hs: readonly TapHeader[] | undefined, name: string) =>
  hs?.find((h) => h.name.toLowerCase() === name && !h.redacted)?.value

function requestURL(e: TapEvent): string {
  const host = e.authority || e.service.host || 'unknown'
  const path = e.path || '/'
  return `http://${host}${path.startsWith('/') ? path : `/${path}`}`
}

/** The values of a query are hashes: in a command they are variables to fill in. */
function shellURL(e: TapEvent): string {
  const bare = requestURL({ ...e, path: pathParts(e.path ?? '/')[0]?.text ?? '/' })
  const parts = pathParts(e.path ?? '').slice(1)
  if (parts.length === 0) return quote(bare)
  const query = parts.map((p, i) => (p.kind === 'hidden' ? `$${variable(parts[i - 1]?.text ?? '')}` : escaped(p.text))).join('')
  return `"${escaped(bare)}${query}"`
}

const variable = (name: string) => name.toUpperCase().replaceAll(/[^A-Z0-9]+/g, '_').replace(/^_+|_+$/g, '') || 'VALUE'
const escaped = (s: string) => s.replaceAll(/[\\"$`]/g, '\\$&')

/** quote makes one word of a POSIX shell. */
export const quote = (s: string): string => (/^[\w@%+=:,./-]+$/.test(s) ? s : `'${s.replaceAll("'", `'\\''`)}'`)

/** cliCommand is the tap session as a person would type it. */
export function cliCommand(filter: string, limit: number, headers: boolean): string {
  const parts = ['sidelight tap']
  if (filter.trim()) parts.push(`--where ${quote(filter.trim())}`)
  if (limit !== DEFAULT_LIMIT) parts.push(`--limit ${limit}`)
  if (headers) parts.push('--headers')
  return [...parts, '-o json'].join(' ')
}

/** What the command asks for when it is not told. */
const DEFAULT_LIMIT = 50

const SKIPPED = new Set([':method', ':path', ':authority', ':scheme', 'host', 'content-length', 'connection', 'transfer-encoding', 'traceparent', 'tracestate', 'x-request-id'])

/**
 * curlCommand repeats a request by hand. Redacted values become shell
 * variables to fill in; hop and tracing fields are left out, since the repeat
 * is a request of its own.
 */
export function curlCommand(e: TapEvent): string {
  const lines = [`curl -sS${e.method && e.method !== 'GET' ? ` -X ${quote(e.method)}` : ''} -m ${Math.max(1, Math.ceil((e.duration_ms * 2) / 1000))}`]
  lines.push(shellURL(e))
  for (const h of e.request_headers ?? []) {
    if (SKIPPED.has(h.name.toLowerCase()) || h.name.startsWith('x-envoy-')) continue
    lines.push(h.redacted ? `-H "${h.name}: $${variable(h.name)}"` : `-H ${quote(`${h.name}: ${h.value}`)}`)
  }
  return lines.join(' \\\n  ')
}
