import { describe, expect, it, vi } from 'vitest'
import type { TapLedger } from '@/api/types'
import { tapEvent } from './fixtures/events'
import { ledgerSum } from './ledger'
import { TapRing } from './ring'

const ledger = (over: Partial<TapLedger> = {}): TapLedger => ({ matched: 0, delivered: 0, sampled_out: 0, dropped_sidecar: 0, dropped_server: 0, dropped_socket: 0, ...over })
const events = (from: number, n: number) => Array.from({ length: n }, (_, i) => tapEvent({ seq: from + i }))
const frame = (from: number, n: number, l: Partial<TapLedger> = {}) => ({ events: events(from, n), ledger: ledger({ matched: from + n - 1, delivered: from + n - 1, ...l }), sidecars: 3 })
const seqs = (ring: TapRing) =>
  Array.from({ length: ring.snapshot().rows }, (_, i) => {
    const row = ring.row(i)
    return row?.kind === 'event' ? row.event.seq : `gap ${row?.lost}`
  })
const adds = (ring: TapRing) => {
  const { ledger: l, local } = ring.snapshot()
  const sum = ledgerSum(l, local)
  expect(sum.terms.reduce((n, t) => n + t.count, 0)).toBe(sum.matched)
  return sum
}

describe('TapRing', () => {
  it('gives the newest row first', () => {
    const ring = new TapRing({ capacity: 10 })
    ring.push(frame(1, 3))
    expect(seqs(ring)).toEqual([3, 2, 1])
    expect(ring.row(3)).toBeUndefined()
    expect(ring.row(-1)).toBeUndefined()
  })

  it('lets the oldest go when full, and counts them', () => {
    const ring = new TapRing({ capacity: 4 })
    ring.push(frame(1, 6))
    expect(seqs(ring)).toEqual([6, 5, 4, 3])
    expect(ring.snapshot().local).toMatchObject({ received: 6, shown: 4, aged: 2 })
    adds(ring)
  })

  it('keeps newer events while paused, up to its room, and marks the hole after', () => {
    const ring = new TapRing({ capacity: 20, hold: 3, now: () => 77 })
    ring.push(frame(1, 2))
    ring.pause()
    ring.push(frame(3, 5))
    expect(seqs(ring)).toEqual([2, 1])
    expect(ring.snapshot()).toMatchObject({ pausedAt: 77, holdRoom: 0, local: { held: 3, dropped: 2 } })
    adds(ring)
    ring.resume()
    expect(seqs(ring)).toEqual(['gap 2', 5, 4, 3, 2, 1])
    expect(ring.snapshot().local).toMatchObject({ shown: 5, held: 0, dropped: 2 })
    adds(ring)
  })

  it('counts the drops of each pause apart in the list but together in the ledger', () => {
    const ring = new TapRing({ capacity: 20, hold: 1 })
    for (const from of [1, 4]) {
      ring.pause()
      ring.push(frame(from, 3))
      ring.resume()
    }
    expect(seqs(ring)).toEqual(['gap 2', 4, 'gap 2', 1])
    expect(adds(ring).terms.find((t) => t.key === 'browser')?.count).toBe(4)
  })

  it('shows where the socket lost frames', () => {
    const ring = new TapRing({ capacity: 5 })
    ring.push(frame(1, 1))
    ring.gap(7)
    ring.push(frame(9, 1))
    expect(seqs(ring)).toEqual([9, 'gap 7', 1])
  })

  it('keeps its counts when a new connection begins a new ledger', () => {
    const ring = new TapRing({ capacity: 20 })
    ring.push(frame(1, 4, { matched: 10, sampled_out: 6 }))
    ring.push(frame(1, 2, { matched: 3, sampled_out: 1 }))
    expect(ring.snapshot().ledger).toMatchObject({ matched: 13, sampled_out: 7 })
    adds(ring)
  })

  it('tells listeners, and gives one snapshot object per version', () => {
    const ring = new TapRing({ capacity: 5 })
    const heard = vi.fn()
    const stop = ring.subscribe(heard)
    ring.push(frame(1, 1))
    expect(ring.snapshot()).toBe(ring.snapshot())
    stop()
    ring.push(frame(2, 1))
    expect(heard).toHaveBeenCalledTimes(1)
  })
})

describe('ledgerSum', () => {
  const local = { received: 100, shown: 100, held: 0, aged: 0, dropped: 0 }
  it('names each loss and adds up to matched', () => {
    const sum = ledgerSum(ledger({ matched: 160, delivered: 105, sampled_out: 40, dropped_server: 10, dropped_socket: 5 }), local)
    expect(sum.matched).toBe(160)
    expect(Object.fromEntries(sum.terms.map((t) => [t.key, t.count]))).toEqual({ shown: 100, sampled: 40, server: 10, browser: 5, transit: 5 })
  })
  it('never shows less matched than is accounted for', () => {
    expect(ledgerSum(ledger({ matched: 90, sampled_out: 3 }), local).matched).toBe(103)
  })
})
