import { Backoff } from './backoff'
import { barred } from './client'
import type { ApiErrorBody } from './types'
import { Store } from '@/lib/store'

/**
 * The one live socket of a page. Subscriptions outlive connections: on
 * reconnecting each is renewed with the epoch and sequence number it had, so
 * that the server sends what was missed or else a fresh snapshot. A hidden tab
 * holds no connection. This file knows no React and no kind of data.
 */

export const subprotocol = 'sidelight.v1'
const hiddenGraceMs = 5_000
const maxSubscriptions = 16

export type Channel = 'alerts' | 'graph' | 'nodes' | 'overview' | 'tap'
export type Params = Record<string, unknown>

/** What a subscription is told. `at` is the server's clock. */
export type Handlers = {
  snapshot?: (data: unknown, at: string) => void
  delta?: (data: unknown, at: string) => void
  event?: (data: unknown, at: string) => void
  gap?: (lost: number) => void
  error?: (error: ApiErrorBody) => void
  end?: (reason: string) => void
}

export type Connection = {
  state: 'idle' | 'connecting' | 'open' | 'waiting' | 'paused'
  /** The browser's clock when the last frame of any kind came. */
  lastFrameAt: number | null
  seq: number
  attempt: number
  /** When the next attempt begins, in the state waiting. */
  retryAt: number | null
  reason: string
}

/** Frames as they come over the wire. */
type Frame = {
  id: string
  type: 'snapshot' | 'delta' | 'event' | 'gap' | 'error' | 'end'
  epoch?: string
  seq?: number
  at?: string
  data?: unknown
  lost?: number
  reason?: string
  error?: ApiErrorBody
}

type Subscription = {
  id: string
  channel: Channel
  params: Params | undefined
  handlers: Handlers
  epoch: string
  seq: number
}

/** What the client needs of the browser; tests pass their own. */
export type Surroundings = {
  open: (url: string, protocol: string) => WebSocket
  now: () => number
  random: () => number
  hidden: () => boolean
  onVisibility: (listener: () => void) => () => void
  /** Why a socket did not open, where the way to the server says: browsers do not tell a handshake's status. */
  barred: () => Promise<ApiErrorBody | null>
}

export const browser: Surroundings = {
  open: (url, protocol) => new WebSocket(url, protocol),
  now: () => Date.now(),
  random: () => Math.random(),
  hidden: () => document.hidden,
  onVisibility: (listener) => {
    document.addEventListener('visibilitychange', listener)
    return () => document.removeEventListener('visibilitychange', listener)
  },
  barred,
}

export class LiveClient {
  readonly connection = new Store<Connection>({
    state: 'idle',
    lastFrameAt: null,
    seq: 0,
    attempt: 0,
    retryAt: null,
    reason: '',
  })

  private socket: WebSocket | null = null
  private readonly subscriptions = new Map<string, Subscription>()
  private readonly backoff: Backoff
  private retryTimer: ReturnType<typeof setTimeout> | undefined
  private hideTimer: ReturnType<typeof setTimeout> | undefined
  private nextID = 1
  private readonly stopWatching: () => void

  constructor(
    private readonly url: string,
    private readonly around: Surroundings = browser,
  ) {
    this.backoff = new Backoff(500, 30_000, around.random)
    this.stopWatching = around.onVisibility(() => this.visibilityChanged())
  }

  /** Begins a subscription; the function given back ends it. */
  subscribe(channel: Channel, params: Params | undefined, handlers: Handlers): () => void {
    const sub: Subscription = { id: `${channel}${this.nextID++}`, channel, params, handlers, epoch: '', seq: 0 }
    if (this.subscriptions.size >= maxSubscriptions) {
      handlers.error?.({ code: 'exhausted', message: 'Too many live views on this page.', hint: 'Close a panel.' })
      return () => undefined
    }
    this.subscriptions.set(sub.id, sub)
    if (this.socket?.readyState === WebSocket.OPEN) this.sendSubscribe(sub)
    else this.connect()
    return () => this.unsubscribe(sub.id)
  }

  /** Tries at once instead of waiting for the next attempt. */
  retryNow(): void {
    if (this.connection.get().state !== 'waiting') return
    clearTimeout(this.retryTimer)
    this.connect()
  }

  stop(): void {
    this.stopWatching()
    clearTimeout(this.retryTimer)
    clearTimeout(this.hideTimer)
    this.subscriptions.clear()
    this.drop('idle', '')
  }

  private unsubscribe(id: string): void {
    if (!this.subscriptions.delete(id)) return
    this.send({ op: 'unsubscribe', id })
  }

  private connect(): void {
    if (this.socket || this.subscriptions.size === 0) return
    if (this.around.hidden()) {
      this.patch({ state: 'paused', reason: 'this tab is hidden' })
      return
    }
    clearTimeout(this.retryTimer)
    this.patch({ state: 'connecting', retryAt: null })
    const socket = this.around.open(this.url, subprotocol)
    this.socket = socket
    let opened = false
    socket.onopen = () => {
      opened = true
      this.patch({ state: 'open', attempt: 0, reason: '' })
      for (const sub of this.subscriptions.values()) this.sendSubscribe(sub)
    }
    socket.onmessage = (message: MessageEvent) => this.receive(message.data)
    socket.onclose = (event: CloseEvent) => {
      this.closed(socket, event.reason)
      if (!opened && this.connection.get().state === 'waiting') void this.askWhy()
    }
  }

  private async askWhy(): Promise<void> {
    const error = await this.around.barred()
    if (!error || this.connection.get().state === 'open') return
    this.patch({ reason: error.message })
    for (const sub of this.subscriptions.values()) sub.handlers.error?.(error)
  }

  private closed(socket: WebSocket, reason: string): void {
    if (this.socket !== socket) return
    this.socket = null
    if (this.subscriptions.size === 0) {
      this.patch({ state: 'idle', reason: '' })
      return
    }
    const attempt = this.connection.get().attempt + 1
    const wait = this.backoff.delay(attempt)
    this.patch({
      state: 'waiting',
      attempt,
      retryAt: this.around.now() + wait,
      reason: reason === '' ? 'connection lost' : reason,
    })
    this.retryTimer = setTimeout(() => this.connect(), wait)
  }

  private receive(raw: unknown): void {
    const frame = parse(raw)
    if (!frame) return
    const sub = this.subscriptions.get(frame.id)
    this.patch({ lastFrameAt: this.around.now(), seq: frame.seq ?? this.connection.get().seq })
    if (sub) this.dispatch(sub, frame)
  }

  private dispatch(sub: Subscription, frame: Frame): void {
    const at = frame.at ?? ''
    switch (frame.type) {
      case 'snapshot':
        sub.epoch = frame.epoch ?? sub.epoch
        sub.seq = frame.seq ?? 0
        sub.handlers.snapshot?.(frame.data, at)
        return
      case 'delta':
        this.delta(sub, frame, at)
        return
      case 'event':
        sub.seq = frame.seq ?? sub.seq
        sub.handlers.event?.(frame.data, at)
        return
      case 'gap':
        sub.handlers.gap?.(frame.lost ?? 0)
        return
      case 'error':
        if (frame.error) sub.handlers.error?.(frame.error)
        return
      case 'end':
        this.subscriptions.delete(sub.id)
        sub.handlers.end?.(frame.reason ?? '')
    }
  }

  /**
   * A delta builds on the frame before it. One that was seen already is left
   * out; one that skips is not applied: the subscription is asked anew without
   * a resume point, which brings a snapshot.
   */
  private delta(sub: Subscription, frame: Frame, at: string): void {
    const seq = frame.seq ?? 0
    if (frame.epoch && sub.epoch && frame.epoch !== sub.epoch) return this.refresh(sub, 0)
    if (seq <= sub.seq) return
    if (seq > sub.seq + 1) return this.refresh(sub, seq - sub.seq - 1)
    sub.seq = seq
    sub.handlers.delta?.(frame.data, at)
  }

  private refresh(sub: Subscription, lost: number): void {
    sub.handlers.gap?.(lost)
    sub.epoch = ''
    sub.seq = Number.MAX_SAFE_INTEGER // deltas still under way are older than the snapshot asked for
    this.send({ op: 'unsubscribe', id: sub.id })
    this.sendSubscribe(sub)
  }

  private sendSubscribe(sub: Subscription): void {
    this.send({
      op: 'subscribe',
      id: sub.id,
      channel: sub.channel,
      ...(sub.params ? { params: sub.params } : {}),
      ...(sub.epoch === '' ? {} : { resume: { epoch: sub.epoch, seq: sub.seq } }),
    })
  }

  private send(message: unknown): void {
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(message))
  }

  private visibilityChanged(): void {
    clearTimeout(this.hideTimer)
    if (this.around.hidden()) {
      this.hideTimer = setTimeout(() => {
        clearTimeout(this.retryTimer)
        this.drop('paused', 'this tab is hidden')
      }, hiddenGraceMs)
      return
    }
    this.connect()
  }

  private drop(state: Connection['state'], reason: string): void {
    const socket = this.socket
    this.socket = null
    socket?.close(1000, reason)
    this.patch({ state, reason, retryAt: null })
  }

  private patch(change: Partial<Connection>): void {
    this.connection.set({ ...this.connection.get(), ...change })
  }
}

function parse(raw: unknown): Frame | null {
  if (typeof raw !== 'string') return null
  try {
    const value: unknown = JSON.parse(raw)
    if (value === null || typeof value !== 'object' || !('id' in value) || !('type' in value)) return null
    return value as Frame
  } catch {
    return null
  }
}
