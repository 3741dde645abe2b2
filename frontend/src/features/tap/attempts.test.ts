import { describe, expect, it } from 'vitest'
import { attemptAxis, niceTicks } from './attempts'
import { tapEvent, timedOut } from './fixtures/events'

describe('attemptAxis', () => {
  it('lays retries on one axis with the back-off between', () => {
    const axis = attemptAxis(timedOut())
    expect(axis.to).toBe(2000)
    expect(axis.finding).toBe('3 attempts, all failed')
    expect(axis.tries.map((t) => [t.from, t.to, t.backoff, t.ok, t.result])).toEqual([
      [0, 412, 0, false, '503 UC'],
      [437, 1438, 25, false, '504 UT'],
      [1489, 2000, 51, false, 'UT'],
    ])
  })
  it('says in words how each try ended, and that none is left', () => {
    const attempt = { endpoint: 'a', start_ms: 0, duration_ms: 5, status: 503 }
    const { tries } = attemptAxis(tapEvent({ status: 503, flags: 'URX', attempts: [
      { ...attempt, flags: 'UC', reason: 'reset after 3 bytes' },
      { ...attempt, flags: 'UF' },
      { ...attempt, flags: '-', reason: 'answered 503' },
    ] }))
    expect(tries.map((t) => t.reason)).toEqual(['reset after 3 bytes', 'could not connect', 'no try is left'])
  })
  it('tells what a try waited for', () => {
    const [a, b] = attemptAxis(tapEvent({ attempts: [
      { endpoint: 'a', start_ms: 0, duration_ms: 20, queue_ms: 12, connect_ms: 3, status: 503, flags: '-' },
      { endpoint: 'b', start_ms: 20, duration_ms: 1, queue_ms: 0.001, status: 200, flags: '-' },
    ] })).tries
    expect(a?.waits.replaceAll(/\s/g, '')).toBe('queued12ms,connectedin3ms')
    expect(b?.waits).toBe('')
  })
  it.each([
    [tapEvent(), '1 attempt, answered'],
    [tapEvent({ protocol: 'tcp', status: 0, attempts: [{ endpoint: 'a', start_ms: 0, duration_ms: 0.4, status: 0, flags: '-' }] }), '1 attempt, answered'],
    [tapEvent({ attempts: [], answered_by: 'proxy' }), 'No attempt: the proxy answered by itself'],
    [tapEvent({ attempts: [{ endpoint: 'a', start_ms: 0, duration_ms: 1, status: 503, flags: '-' }, { endpoint: 'b', start_ms: 3, duration_ms: 1, status: 200, flags: '-' }] }), '2 attempts, the second answered'],
  ])('finds %#', (e, want) => expect(attemptAxis(e).finding).toBe(want))
})

describe('niceTicks', () => {
  it.each([
    [2000, [0, 500, 1000, 1500, 2000]],
    [12.4, [0, 5, 10]],
    [0.4, [0, 0.1, 0.2, 0.3, 0.4]],
  ])('%d ms', (to, want) => expect(niceTicks(to)).toEqual(want))
})
