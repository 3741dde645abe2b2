import { describe, expect, it } from 'vitest'
import { bytes, count, duration, figure, middle, percent, span, text } from './format'

describe('figures', () => {
  it.each([
    [0, '0'],
    [0.004, '<0.01'],
    [0.42, '0.42'],
    [4.04, '4'],
    [4.44, '4.4'],
    [38.2, '38'],
    [4128, '4\u202f128'],
    [Number.NaN, '–'],
  ])('%d is %s', (n, want) => expect(figure(n)).toBe(want))

  it('groups thousands and keeps the sign', () => {
    expect(count(1_234_567)).toBe('1\u202f234\u202f567')
    expect(count(-1000)).toBe('−1\u202f000')
  })
})

describe('units', () => {
  it.each([
    [null, '–'],
    [0, '0\u2009ms'],
    [0.05, '50\u2009µs'],
    [0.4, '0.4\u2009ms'],
    [312.4, '312\u2009ms'],
    [1920, '1.92\u2009s'],
    [12_340, '12.3\u2009s'],
    [815_000, '13\u2009min 35\u2009s'],
  ])('%s ms', (ms, want) => expect(text(duration(ms))).toBe(want))

  it('never rounds failures away, nor to certainty', () => {
    expect(percent(0.0001).value).toBe('<0.1')
    expect(percent(0.9999).value).toBe('>99.9')
    expect(percent(1).value).toBe('100')
    expect(percent(0.2144).value).toBe('21.4')
    expect(percent(0).value).toBe('0.0')
  })

  it('scales bytes decimally', () => {
    expect(text(bytes(1104))).toBe('1.1\u2009kB')
    expect(text(bytes(999_999))).toBe('1\u2009MB')
    expect(text(bytes(12))).toBe('12\u2009B')
  })

  it('says spans with two units', () => {
    expect(span(0.4)).toBe('0\u2009s')
    expect(span(79_440)).toBe('22\u2009h 4\u2009min')
    expect(span(60)).toBe('1\u2009min')
  })
})

describe('middle', () => {
  it('cuts the middle, not the tail', () => {
    expect(middle('recommendations-7d9f-kk2p7', 20)).toBe('recommendation…kk2p7')
    expect(middle('web', 20)).toBe('web')
  })
})
