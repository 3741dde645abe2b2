import { describe, expect, it } from 'vitest'
import { around, reveal, toScreen } from './viewport'

const size = { w: 1000, h: 700 }
const insets = { left: 20, right: 20, top: 50, bottom: 150 }
const extent = { x: 0, y: 0, w: 2000, h: 300 }

describe('around', () => {
  it('puts what is spoken of in the middle of what is free', () => {
    const view = around({ x: 900, y: 100, w: 200, h: 50 }, extent, size, insets, 1)
    expect(view.k).toBe(1)
    expect(toScreen(view, { x: 1000, y: 0 }).x).toBe(500)
  })
  it('shows nothing beyond the edge of the picture', () => {
    const view = around({ x: 1900, y: 0, w: 100, h: 50 }, extent, size, insets, 1)
    expect(toScreen(view, { x: 2000, y: 0 }).x).toBe(980)
    expect(toScreen(around({ x: 0, y: 0, w: 100, h: 50 }, extent, size, insets, 1), { x: 0, y: 0 }).x).toBe(20)
  })
  it('keeps in the middle what has room', () => {
    const view = around({ x: 1900, y: 0, w: 100, h: 50 }, extent, size, insets, 1)
    expect(toScreen(view, { x: 0, y: 150 }).y).toBe(300)
  })
})

describe('reveal', () => {
  it('is the same view when all is seen already', () => {
    const view = { x: 0, y: 0, k: 1 }
    expect(reveal(view, { x: 100, y: 100, w: 50, h: 50 }, size, insets)).toBe(view)
    expect(reveal(view, { x: 990, y: 100, w: 50, h: 50 }, size, insets)).toEqual({ x: -60, y: 0, k: 1 })
  })
})
