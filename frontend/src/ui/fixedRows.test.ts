import { describe, expect, it } from 'vitest'
import { rowsInView, scrollFor } from './fixedRows'

describe('rows of one height', () => {
  it('in view are drawn, with some before and after, and never more than there are', () => {
    expect(rowsInView(0, 240, 24, 80_000, 2)).toEqual({ from: 0, to: 12 })
    expect(rowsInView(2400, 240, 24, 80_000, 2)).toEqual({ from: 98, to: 112 })
    expect(rowsInView(2400, 240, 24, 5, 2)).toEqual({ from: 3, to: 5 }) // it was longer when it was scrolled
    expect(rowsInView(0, 240, 24, 0, 2)).toEqual({ from: 0, to: 0 })
  })
  it('are scrolled to only as far as it takes to see them whole', () => {
    expect(scrollFor(3, 0, 240, 24)).toBeNull()
    expect(scrollFor(10, 0, 240, 24)).toBe(24)
    expect(scrollFor(2, 100, 240, 24)).toBe(48)
  })
})
