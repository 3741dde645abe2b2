import { describe, expect, it } from 'vitest'
import { indexAt, rangeOf, reveal, startOf, totalOf } from './useRows'

const plain = { count: 100_000, height: 25, open: -1, extra: 0 }
const opened = { ...plain, open: 4, extra: 200 }

describe('rows', () => {
  it('stand where their heights say', () => {
    expect(totalOf(plain)).toBe(2_500_000)
    expect(totalOf(opened)).toBe(2_500_200)
    expect(totalOf({ ...opened, count: 5 })).toBe(325)
    expect([startOf(opened, 4), startOf(opened, 5)]).toEqual([100, 325])
  })
  it('are found by place, the open one in all of its length', () => {
    for (const rows of [plain, opened]) for (const i of [0, 3, 4, 5, 6, 99_999]) expect([indexAt(rows, startOf(rows, i)), indexAt(rows, startOf(rows, i + 1) - 1)]).toEqual([i, i])
    expect(indexAt(plain, 9e9)).toBe(99_999)
  })
  it('are drawn only around the window', () => {
    expect(rangeOf(plain, 0, 600)).toEqual([0, 37])
    expect(rangeOf(plain, 50_000, 600)).toEqual([1988, 2037])
    expect(rangeOf({ ...plain, count: 0 }, 0, 600)).toEqual([0, 0])
  })
  it('come into view with the least movement', () => {
    expect(reveal(plain, 10, 0, 600)).toBe(0)
    expect(reveal(plain, 30, 0, 600)).toBe(175)
    expect(reveal(plain, 3, 500, 600)).toBe(75)
    expect(reveal({ ...opened, extra: 900 }, 4, 0, 600)).toBe(100)
  })
})
