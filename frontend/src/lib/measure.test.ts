import { describe, expect, it } from 'vitest'
import { fitMiddle } from './measure'

// Without a canvas each letter is 6.6 wide.
const fit = (name: string, letters: number) => fitMiddle(name, letters * 6.6 + 0.1, '12px sans-serif')

describe('fitMiddle', () => {
  it('leaves a name whole that fits', () => expect(fit('payments', 8)).toBe('payments'))
  it('keeps as much of the front as fits, and the tail', () => {
    expect(fit('payments-gateway', 15)).toBe('payments-…teway')
    expect(fit('payments-gateway', 10)).toBe('paym…teway')
    expect(fit('payments-gateway', 8)).toBe('pa…teway')
  })
  it('keeps one letter where nothing fits', () => expect(fit('payments-gateway', 3)).toBe('p…'))
  it('cuts a name of thousands of letters to the same width', () => expect(fit('x'.repeat(20_000), 20)).toBe(`${'x'.repeat(14)}…xxxxx`))
})
