import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { Backoff } from './backoff'
import { LiveClient, type Surroundings } from './live'

/** A socket that the test holds at both ends. */
class FakeSocket {
  readyState = 0
  sent: Record<string, unknown>[] = []
  onopen: (() => void) | null = null
  onmessage: ((m: { data: unknown }) => void) | null = null
  onclose: ((e: { reason: string }) => void) | null = null
  closed = false

  open(): void {
    this.readyState = 1
    this.onopen?.()
  }
  receive(frame: Record<string, unknown>): void {
    this.onmessage?.({ data: JSON.stringify(frame) })
  }
  send(text: string): void {
    this.sent.push(JSON.parse(text) as Record<string, unknown>)
  }
  close(): void {
    this.closed = true
    this.readyState = 3
  }
  drop(reason = ''): void {
    this.readyState = 3
    this.onclose?.({ reason })
  }
}

let sockets: FakeSocket[]
let hidden: boolean
let barred: { code: string; message: string } | null
let visibility: () => void
let client: LiveClient

const around: Surroundings = {
  open: () => {
    const socket = new FakeSocket()
    sockets.push(socket)
    return socket as unknown as WebSocket
  },
  now: () => Date.now(),
  random: () => 0.5,
  hidden: () => hidden,
  onVisibility: (listener) => {
    visibility = listener
    return () => undefined
  },
  barred: () => Promise.resolve(barred),
}

function seen() {
  const log: unknown[] = []
  return {
    log,
    snapshot: (data: unknown) => void log.push(['snapshot', data]),
    delta: (data: unknown) => void log.push(['delta', data]),
    event: (data: unknown) => void log.push(['event', data]),
    gap: (lost: number) => void log.push(['gap', lost]),
    error: (e: { code: string }) => void log.push(['error', e.code]),
    end: (reason: string) => void log.push(['end', reason]),
  }
}

beforeEach(() => {
  vi.useFakeTimers()
  vi.stubGlobal('WebSocket', { OPEN: 1 })
  sockets = []
  hidden = false
  barred = null
  client = new LiveClient('ws://test', around)
})

afterEach(() => {
  client.stop()
  vi.useRealTimers()
  vi.unstubAllGlobals()
})

describe('subscriptions', () => {
  it('says why it is not let in, and not where a connection was merely lost', async () => {
    barred = { code: 'forbidden', message: 'no access' }
    const log = seen()
    client.subscribe('graph', undefined, log)
    sockets[0]?.drop()
    await vi.advanceTimersByTimeAsync(0)
    expect(log.log).toEqual([['error', 'forbidden']])
    expect(client.connection.get()).toMatchObject({ state: 'waiting', reason: 'no access' })
    await vi.advanceTimersByTimeAsync(1000)
    sockets[1]?.open()
    sockets[1]?.drop()
    await vi.advanceTimersByTimeAsync(0)
    expect(log.log).toHaveLength(1)
  })

  it('open the one socket and go out when it is open', () => {
    client.subscribe('graph', { q: '' }, seen())
    client.subscribe('nodes', undefined, seen())
    expect(sockets).toHaveLength(1)
    expect(sockets[0]?.sent).toEqual([])
    sockets[0]?.open()
    expect(sockets[0]?.sent).toEqual([
      { op: 'subscribe', id: 'graph1', channel: 'graph', params: { q: '' } },
      { op: 'subscribe', id: 'nodes2', channel: 'nodes' },
    ])
  })

  it('get their own frames only, in order', () => {
    const g = seen()
    const n = seen()
    client.subscribe('graph', {}, g)
    client.subscribe('nodes', {}, n)
    const s = sockets[0]
    s?.open()
    s?.receive({ id: 'graph1', type: 'snapshot', epoch: 'e', seq: 4, data: 'a' })
    s?.receive({ id: 'graph1', type: 'delta', seq: 5, data: 'b' })
    expect(g.log).toEqual([['snapshot', 'a'], ['delta', 'b']])
    expect(n.log).toEqual([])
    expect(client.connection.get()).toMatchObject({ state: 'open', seq: 5 })
  })

  it('end: nothing arrives afterwards, and the server is told', () => {
    const g = seen()
    const end = client.subscribe('graph', {}, g)
    sockets[0]?.open()
    end()
    end()
    sockets[0]?.receive({ id: 'graph1', type: 'snapshot', epoch: 'e', seq: 1, data: 'a' })
    expect(g.log).toEqual([])
    expect(sockets[0]?.sent.filter((m) => m.op === 'unsubscribe')).toHaveLength(1)
  })

  it('are at most sixteen', () => {
    const log = seen()
    for (let i = 0; i < 17; i++) client.subscribe('graph', {}, log)
    expect(log.log).toEqual([['error', 'exhausted']])
  })

  it('hear of errors and of the end of a session', () => {
    const t = seen()
    client.subscribe('tap', { filter: 'x' }, t)
    const s = sockets[0]
    s?.open()
    s?.receive({ id: 'tap1', type: 'error', error: { code: 'invalid', message: 'no' } })
    s?.receive({ id: 'tap1', type: 'end', reason: 'ttl' })
    s?.receive({ id: 'tap1', type: 'event', seq: 9, data: {} })
    expect(t.log).toEqual([['error', 'invalid'], ['end', 'ttl']])
  })
})

describe('resume', () => {
  it('renews with the epoch and number it had', () => {
    client.subscribe('graph', {}, seen())
    sockets[0]?.open()
    sockets[0]?.receive({ id: 'graph1', type: 'snapshot', epoch: 'e', seq: 4, data: 'a' })
    sockets[0]?.receive({ id: 'graph1', type: 'delta', seq: 5, data: 'b' })
    sockets[0]?.drop()
    vi.advanceTimersByTime(500)
    sockets[1]?.open()
    expect(sockets[1]?.sent[0]).toMatchObject({ op: 'subscribe', resume: { epoch: 'e', seq: 5 } })
  })

  it('goes on with deltas that were missed, and leaves out what was seen', () => {
    const g = seen()
    client.subscribe('graph', {}, g)
    const s = sockets[0]
    s?.open()
    s?.receive({ id: 'graph1', type: 'snapshot', epoch: 'e', seq: 4, data: 'a' })
    s?.drop()
    vi.advanceTimersByTime(500)
    sockets[1]?.open()
    sockets[1]?.receive({ id: 'graph1', type: 'delta', seq: 4, data: 'seen' })
    sockets[1]?.receive({ id: 'graph1', type: 'delta', seq: 5, data: 'missed' })
    expect(g.log).toEqual([['snapshot', 'a'], ['delta', 'missed']])
  })

  it('takes the snapshot of a server that began anew', () => {
    const g = seen()
    client.subscribe('graph', {}, g)
    sockets[0]?.open()
    sockets[0]?.receive({ id: 'graph1', type: 'snapshot', epoch: 'e', seq: 900, data: 'old' })
    sockets[0]?.drop()
    vi.advanceTimersByTime(500)
    sockets[1]?.open()
    sockets[1]?.receive({ id: 'graph1', type: 'snapshot', epoch: 'f', seq: 1, data: 'new' })
    sockets[1]?.receive({ id: 'graph1', type: 'delta', seq: 2, data: 'next' })
    expect(g.log).toEqual([['snapshot', 'old'], ['snapshot', 'new'], ['delta', 'next']])
  })
})

describe('a gap', () => {
  it('applies no delta that skips one; asks for a snapshot instead', () => {
    const g = seen()
    client.subscribe('graph', {}, g)
    const s = sockets[0]
    s?.open()
    s?.receive({ id: 'graph1', type: 'snapshot', epoch: 'e', seq: 1, data: 'a' })
    s?.receive({ id: 'graph1', type: 'delta', seq: 4, data: 'too far' })
    s?.receive({ id: 'graph1', type: 'delta', seq: 5, data: 'still too far' })
    expect(g.log).toEqual([['snapshot', 'a'], ['gap', 2]])
    expect(s?.sent.slice(1)).toEqual([
      { op: 'unsubscribe', id: 'graph1' },
      { op: 'subscribe', id: 'graph1', channel: 'graph', params: {} },
    ])
    s?.receive({ id: 'graph1', type: 'snapshot', epoch: 'e', seq: 6, data: 'b' })
    s?.receive({ id: 'graph1', type: 'delta', seq: 7, data: 'c' })
    expect(g.log.slice(2)).toEqual([['snapshot', 'b'], ['delta', 'c']])
  })

  it('told by the server is passed on', () => {
    const t = seen()
    client.subscribe('tap', {}, t)
    sockets[0]?.open()
    sockets[0]?.receive({ id: 'tap1', type: 'gap', lost: 3 })
    expect(t.log).toEqual([['gap', 3]])
  })
})

describe('reconnecting', () => {
  it('waits longer each time, and says until when', () => {
    client.subscribe('graph', {}, seen())
    for (const wait of [250, 500, 1000, 2000]) {
      const n = sockets.length
      sockets[n - 1]?.drop('going away')
      expect(client.connection.get()).toMatchObject({ state: 'waiting', reason: 'going away', retryAt: Date.now() + wait })
      vi.advanceTimersByTime(wait - 1)
      expect(sockets).toHaveLength(n)
      vi.advanceTimersByTime(1)
      expect(sockets).toHaveLength(n + 1)
    }
  })

  it('begins with short waits again once it was open', () => {
    client.subscribe('graph', {}, seen())
    sockets[0]?.drop()
    vi.advanceTimersByTime(250)
    sockets[1]?.drop()
    vi.advanceTimersByTime(500)
    sockets[2]?.open()
    sockets[2]?.drop()
    expect(client.connection.get().retryAt).toBe(Date.now() + 250)
  })

  it('tries at once when told to', () => {
    client.subscribe('graph', {}, seen())
    sockets[0]?.drop()
    client.retryNow()
    expect(sockets).toHaveLength(2)
    vi.advanceTimersByTime(60_000)
    expect(sockets).toHaveLength(2)
  })

  it('does not when nobody listens', () => {
    const end = client.subscribe('graph', {}, seen())
    end()
    sockets[0]?.drop()
    vi.advanceTimersByTime(60_000)
    expect(sockets).toHaveLength(1)
    expect(client.connection.get().state).toBe('idle')
  })

  it('survives frames that are no frames', () => {
    const g = seen()
    client.subscribe('graph', {}, g)
    sockets[0]?.open()
    for (const data of ['', '{', 'null', '[]', '{"id":"graph1"}', new ArrayBuffer(2)]) sockets[0]?.onmessage?.({ data })
    expect(g.log).toEqual([])
  })
})

describe('a hidden tab', () => {
  it('lets go after a grace, and comes back with what it had', () => {
    client.subscribe('graph', {}, seen())
    sockets[0]?.open()
    sockets[0]?.receive({ id: 'graph1', type: 'snapshot', epoch: 'e', seq: 4, data: 'a' })
    hidden = true
    visibility()
    vi.advanceTimersByTime(4999)
    expect(sockets[0]?.closed).toBe(false)
    vi.advanceTimersByTime(1)
    expect(sockets[0]?.closed).toBe(true)
    expect(client.connection.get().state).toBe('paused')
    vi.advanceTimersByTime(60_000)
    expect(sockets).toHaveLength(1)
    hidden = false
    visibility()
    sockets[1]?.open()
    expect(sockets[1]?.sent[0]).toMatchObject({ resume: { epoch: 'e', seq: 4 } })
  })

  it('that is shown again at once loses nothing', () => {
    client.subscribe('graph', {}, seen())
    sockets[0]?.open()
    hidden = true
    visibility()
    vi.advanceTimersByTime(1000)
    hidden = false
    visibility()
    vi.advanceTimersByTime(60_000)
    expect(sockets).toHaveLength(1)
    expect(sockets[0]?.closed).toBe(false)
  })
})

describe('Backoff', () => {
  it('stays between its bounds', () => {
    const most = new Backoff(500, 30_000, () => 0.999999)
    const least = new Backoff(500, 30_000, () => 0)
    expect([1, 2, 3, 7, 50].map((n) => most.delay(n))).toEqual([500, 1000, 2000, 30_000, 30_000])
    expect([1, 50].map((n) => least.delay(n))).toEqual([100, 100])
  })
})
