import { describe, expect, it } from 'vitest'
import { decades, linear, log, niceMax, roundMs, timeTicks } from './scale'

describe('linear', () => {
  it('maps and inverts', () => {
    const s = linear(10, 20, 100, 200)
    expect(s(15)).toBe(150)
    expect(s.invert(175)).toBe(17.5)
  })
  it('keeps an empty domain on its start', () => {
    expect(linear(5, 5, 3, 90)(5)).toBe(3)
  })
})

describe('log', () => {
  it('gives equal steps for equal ratios', () => {
    const s = log(1, 1000, 0, 300)
    expect(s(10)).toBeCloseTo(100)
    expect(s(100)).toBeCloseTo(200)
    expect(s.invert(200)).toBeCloseTo(100)
  })
  it('puts zero and below on the lower end instead of nowhere', () => {
    const s = log(1, 1000, 7, 300)
    expect(s(0)).toBe(7)
    expect(s(-3)).toBe(7)
  })
})

describe('timeTicks', () => {
  it('chooses a round step that keeps to the maximum', () => {
    const from = new Date(2025, 0, 1, 14, 2, 7).getTime()
    const ticks = timeTicks(from, from + 30 * 60_000, 7)
    expect(ticks.map((t) => t.label)).toEqual(['14:05', '14:10', '14:15', '14:20', '14:25', '14:30'])
  })
  it('shows seconds when the step is below a minute', () => {
    const from = new Date(2025, 0, 1, 14, 0, 1).getTime()
    expect(timeTicks(from, from + 60_000, 4)[0]?.label).toBe('14:00:15')
  })
  it('is empty for an empty span', () => {
    expect(timeTicks(5, 5, 6)).toEqual([])
  })
})

describe('decades and niceMax', () => {
  it('lists powers of ten inside the domain', () => {
    expect(decades(0.05, 800)).toEqual([0.1, 1, 10, 100])
  })
  it.each([
    [0, 1], [0.7, 1], [1.2, 2], [2.3, 2.5], [4.1, 5], [51, 100], [2.5, 2.5],
  ])('rounds %d up to %d', (v, want) => expect(niceMax(v)).toBeCloseTo(want))
})

describe('roundMs', () => {
  it.each([
    [0, '0'], [0.02, '20\u2009µs'], [0.5, '0.5\u2009ms'], [250, '250\u2009ms'], [1500, '1.5\u2009s'], [2000, '2\u2009s'], [120_000, '2\u2009min'],
  ])('%d is %s', (ms, want) => expect(roundMs(ms)).toBe(want))
})
