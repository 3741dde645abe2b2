import type { TapEvent, TapFrame, TapLedger } from '@/api/types'

/**
 * The rows of a tap session, newest first, in bounded memory: a ring of the
 * newest events, and while paused a second one that keeps what came after.
 * Every event that arrived is in exactly one place: shown, kept for after the
 * pause, let go by age, or dropped because the pause's room was full. So the
 * ledger can add up on this side of the socket too.
 */

export type EventRow = { kind: 'event'; event: TapEvent }
/** Gap stands where events are missing, so that nobody reads two rows as neighbours. */
export type GapRow = { kind: 'gap'; lost: number; at: number; cause: 'pause' | 'socket' }
export type Row = EventRow | GapRow

/** What became of the events that reached this browser. */
export type Local = {
  received: number
  /** Rows that can be looked at now. */
  shown: number
  /** Newer than the pause, kept. */
  held: number
  /** Shown once, since then pushed out by newer ones. */
  aged: number
  /** Came during a pause whose room was full. */
  dropped: number
}

export type TapSnapshot = {
  /** Grows with each change; rows are read through `row`. */
  version: number
  rows: number
  local: Local
  ledger: TapLedger
  sidecars: number | null
  pausedAt: number | null
  holdRoom: number
  /** Rows added at the front since the start: what a view needs to keep its place. */
  added: number
  startedAt: number
  lastEventAt: number | null
  /** Of all requests since the start; connections of TCP last as long as they like. */
  longest_ms: number
}

export type RingOptions = { capacity?: number; hold?: number; now?: () => number }

const NO_LEDGER: TapLedger = { matched: 0, delivered: 0, sampled_out: 0, dropped_sidecar: 0, dropped_server: 0, dropped_socket: 0 }

export class TapRing {
  readonly capacity: number
  readonly hold: number
  readonly #now: () => number
  readonly #rows: (Row | undefined)[]
  #head = 0 // index of the next write
  #size = 0
  #events = 0 // event rows among size
  #held: TapEvent[] = []
  #dropped = 0
  #droppedNow = 0 // in the present pause
  #aged = 0
  #received = 0
  #added = 0
  #before = NO_LEDGER // of sessions that a lost connection ended
  #session = NO_LEDGER
  #sidecars: number | null = null
  #pausedAt: number | null = null
  readonly #startedAt: number
  #lastEventAt: number | null = null
  #longest = 0
  #snapshot: TapSnapshot | null = null
  #version = 0
  readonly #listeners = new Set<() => void>()

  constructor({ capacity = 100_000, hold = 2000, now = Date.now }: RingOptions = {}) {
    this.capacity = capacity
    this.hold = hold
    this.#now = now
    this.#rows = Array.from({ length: capacity })
    this.#startedAt = now()
  }

  /** Takes one frame of the live socket. Events come oldest first. */
  push(frame: TapFrame): void {
    // After a lost connection the server counts from zero again; what was counted stays counted.
    if (frame.ledger.matched < this.#session.matched) this.#before = plus(this.#before, this.#session)
    this.#session = frame.ledger
    this.#sidecars = frame.sidecars
    this.#received += frame.events.length
    if (frame.events.length > 0) this.#lastEventAt = this.#now()
    for (const event of frame.events) {
      if (this.#pausedAt === null) this.#write({ kind: 'event', event })
      else if (this.#held.length < this.hold) this.#held.push(event)
      else {
        // The kept ones stay next to what is on screen; the loss is at their end.
        this.#dropped++
        this.#droppedNow++
      }
    }
    this.#changed()
  }

  /** The socket lost frames between two pushes. */
  gap(lost: number): void {
    if (lost <= 0) return
    if (this.#pausedAt === null) this.#write({ kind: 'gap', lost, at: this.#now(), cause: 'socket' })
    this.#changed()
  }

  pause(): void {
    if (this.#pausedAt !== null) return
    this.#pausedAt = this.#now()
    this.#changed()
  }

  resume(): void {
    if (this.#pausedAt === null) return
    for (const event of this.#held) this.#write({ kind: 'event', event })
    if (this.#droppedNow > 0) this.#write({ kind: 'gap', lost: this.#droppedNow, at: this.#now(), cause: 'pause' })
    this.#held = []
    this.#droppedNow = 0
    this.#pausedAt = null
    this.#changed()
  }

  /** The i-th newest row. */
  row(i: number): Row | undefined {
    if (i < 0 || i >= this.#size) return undefined
    return this.#rows[(this.#head - 1 - i + 2 * this.capacity) % this.capacity]
  }

  /** All events that can be looked at, oldest first: what an export writes. */
  events(): TapEvent[] {
    const out: TapEvent[] = []
    for (let i = this.#size - 1; i >= 0; i--) {
      const row = this.row(i)
      if (row?.kind === 'event') out.push(row.event)
    }
    return out
  }

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  readonly snapshot = (): TapSnapshot =>
    (this.#snapshot ??= {
      version: this.#version,
      rows: this.#size,
      local: { received: this.#received, shown: this.#events, held: this.#held.length, aged: this.#aged, dropped: this.#dropped },
      ledger: plus(this.#before, this.#session),
      sidecars: this.#sidecars,
      pausedAt: this.#pausedAt,
      holdRoom: this.hold - this.#held.length,
      added: this.#added,
      startedAt: this.#startedAt,
      lastEventAt: this.#lastEventAt,
      longest_ms: this.#longest,
    })

  #write(row: Row): void {
    const old = this.#rows[this.#head]
    if (this.#size === this.capacity) {
      if (old?.kind === 'event') {
        this.#aged++
        this.#events--
      }
    } else this.#size++
    this.#rows[this.#head] = row
    this.#head = (this.#head + 1) % this.capacity
    if (row.kind === 'event') {
      this.#events++
      if (row.event.protocol !== 'tcp') this.#longest = Math.max(this.#longest, row.event.duration_ms)
    }
    this.#added++
  }

  #changed(): void {
    this.#snapshot = null
    this.#version++
    for (const l of this.#listeners) l()
  }
}

const plus = (a: TapLedger, b: TapLedger): TapLedger => ({
  matched: a.matched + b.matched,
  delivered: a.delivered + b.delivered,
  sampled_out: a.sampled_out + b.sampled_out,
  dropped_sidecar: a.dropped_sidecar + b.dropped_sidecar,
  dropped_server: a.dropped_server + b.dropped_server,
  dropped_socket: a.dropped_socket + b.dropped_socket,
})
