import { describe, expect, it } from 'vitest'
import { ticksOf, zoomed } from './zoom'

describe('zoomed', () => {
  it.each([
    [30, 10, 100, { from: 10, to: 30 }],
    [-5, 300, 100, { from: 0, to: 100 }],
  ])('%d to %d of %d', (a, b, d, want) => expect(zoomed(a, b, d)).toEqual(want))
  it('never becomes empty, also at the end', () => {
    const v = zoomed(100_000, 100_000, 100_000)
    expect(v.to - v.from).toBeCloseTo(5)
    expect(v.to).toBeLessThanOrEqual(100_000)
  })
})

describe('ticksOf', () => {
  it('starts at a round offset inside the view', () => {
    expect(ticksOf({ from: 130, to: 930 }, 4)).toEqual([200, 400, 600, 800])
    expect(ticksOf({ from: 0, to: 2_000_000 }, 4)).toEqual([0, 500_000, 1_000_000, 1_500_000, 2_000_000])
  })
})
