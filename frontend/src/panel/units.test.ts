import { describe, expect, it } from 'vitest'
import type { FieldDefaults } from './model'
import { inField, onAxis, stepsOnAxis } from './units'

const plain = (all: string[]) => all.map((s) => s.replaceAll(/\s/g, ' '))

describe('onAxis', () => {
  it.each([
    ['ms', [0, 0.25, 0.5, 0.75], ['0 µs', '250 µs', '500 µs', '750 µs']],
    ['ms', [0, 0.5, 1, 1.5], ['0.0 ms', '0.5 ms', '1.0 ms', '1.5 ms']],
    ['ms', [0, 500, 1000], ['0.0 s', '0.5 s', '1.0 s']],
    ['s', [0, 21_600, 43_200, 64_800], ['0 h', '6 h', '12 h', '18 h']],
    ['s', [0, 43_200, 86_400, 129_600], ['0 h', '12 h', '24 h', '36 h']],
    ['s', [-3600, 0, 3600], ['-1 h', '0 h', '1 h']],
    ['percentunit', [0, 0.0002, 0.0004], ['0.00 %', '0.02 %', '0.04 %']],
    ['decbytes', [0, 20e6, 40e6], ['0 MB', '20 MB', '40 MB']],
    ['Bps', [0, 500], ['0 B/s', '500 B/s']],
    ['reqps', [0, 0.002, 0.004], ['0.000 rps', '0.002 rps', '0.004 rps']],
    ['short', [0, 1500, 3000], ['0.0', '1.5k', '3.0k']],
    ['none', [0, 5000, 10_000], ['0', '5 000', '10 000']],
    ['suffix:cores', [0, 0.01, 0.02], ['0.00 cores', '0.01 cores', '0.02 cores']],
    ['short', [0, 1], ['0', '1']],
  ])('%s %j', (unit, values, want) => {
    expect(plain(onAxis(values, unit)).map((s) => s.replace('\u2212', '-'))).toEqual(want)
  })
})

describe('stepsOnAxis', () => {
  it('counts long times by sixties, and nothing else', () => {
    expect(stepsOnAxis('s', 90_000)).toContain(21_600)
    expect(stepsOnAxis('ms', 120_000)).toContain(60_000)
    expect([stepsOnAxis('s', 1), stepsOnAxis('ms', 5000), stepsOnAxis('decbytes', 1e9)]).toEqual([null, null, null])
  })
})

describe('inField', () => {
  it('has words stand for numbers where the file says so', () => {
    const field = { unit: 'none', thresholds: { steps: [] }, mappings: [{ options: { 2: { text: 'held' } } }] } satisfies FieldDefaults
    expect([inField(2, field), inField(3, field), inField(null, field)]).toEqual([
      { value: 'held', unit: '' }, { value: '3', unit: '' }, { value: '–', unit: '' },
    ])
  })
})
