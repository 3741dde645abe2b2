import { describe, expect, it } from 'vitest'
import { har, ndjson } from './export'
import { tapEvent, timedOut } from './fixtures/events'
import { parseEvents, readRecording } from './recording'

const file = (text: string, name = 'tap.ndjson') => new File([text], name)

describe('a recorded file', () => {
  it('gives back what was exported', async () => {
    const events = [tapEvent({ seq: 1 }), timedOut()]
    const recording = await readRecording(file(ndjson(events)))
    expect(recording.ring.events()).toEqual(events)
    expect(recording.ring.snapshot().ledger.delivered).toBe(2)
    expect(recording.wrong).toBe(0)
  })
  it('counts what is no event, and goes on', () => {
    const { events, wrong } = parseEvents(`{"not":"an event"}\n\n${ndjson([tapEvent({})])}{"at":\nnull\n`)
    expect([events.length, wrong]).toEqual([1, 3])
  })
  it('says what to open instead', async () => {
    await expect(readRecording(file('hello', 'notes.txt'))).rejects.toThrow(/notes\.txt holds no request\. Open what sidelight tap/)
  })
})

/** The fields that HAR 1.2 demands, with their types. */
const SHAPE = {
  entry: { startedDateTime: 'string', time: 'number', request: 'object', response: 'object', cache: 'object', timings: 'object' },
  request: { method: 'string', url: 'string', httpVersion: 'string', cookies: 'array', headers: 'array', queryString: 'array', headersSize: 'number', bodySize: 'number' },
  response: { status: 'number', statusText: 'string', httpVersion: 'string', cookies: 'array', headers: 'array', content: 'object', redirectURL: 'string', headersSize: 'number', bodySize: 'number' },
  content: { size: 'number', mimeType: 'string' },
  timings: { send: 'number', wait: 'number', receive: 'number' },
} as const

type Json = { [key: string]: Json } & string

function check(what: keyof typeof SHAPE, of: Json): void {
  for (const [field, type] of Object.entries(SHAPE[what])) {
    const v: unknown = of[field]
    expect([`${what}.${field}`, Array.isArray(v) ? 'array' : typeof v]).toEqual([`${what}.${field}`, type])
  }
}

describe('an HTTP archive', () => {
  it('has every field of HAR 1.2, with its type', () => {
    const events = [timedOut(), tapEvent({ protocol: 'grpc', path: '/cinema.Seats/Hold', status: 200 }), tapEvent({ method: 'GET', path: '/a?b=9f3a11aa&c' }), tapEvent({ status: 0, attempts: [], first_byte_ms: undefined })]
    const log = (JSON.parse(har(events, '1.0')) as { log: Json }).log
    expect([log.version, log.creator!.name, typeof log.creator!.version]).toEqual(['1.2', 'Sidelight', 'string'])
    const entries = log.entries as unknown as Json[]
    expect(entries).toHaveLength(4)
    for (const e of entries) {
      check('entry', e)
      check('request', e.request!)
      check('response', e.response!)
      check('content', e.response!.content!)
      check('timings', e.timings!)
      expect(new URL(e.request!.url!).protocol).toBe('http:')
      expect(Number.isNaN(Date.parse(e.startedDateTime!))).toBe(false)
      const t = e.timings as unknown as Record<string, number>
      expect(t.send! + t.wait! + t.receive!).toBeCloseTo(e.time as unknown as number)
      // Fields of our own begin with an underscore, as the format asks.
      expect(Object.keys(e).filter((k) => !(k in SHAPE.entry) && !k.startsWith('_') && k !== 'serverIPAddress')).toEqual([])
    }
  })
})
