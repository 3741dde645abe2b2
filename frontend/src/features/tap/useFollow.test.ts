import { act, renderHook } from '@testing-library/react'
import { describe, expect, it } from 'vitest'
import { useFollow } from './useFollow'

const setup = () => renderHook(({ added, rows }) => useFollow(added, rows), { initialProps: { added: 10, rows: 10 } })

describe('useFollow', () => {
  it('follows while nobody looks closer', () => {
    const { result, rerender } = setup()
    rerender({ added: 15, rows: 15 })
    expect(result.current).toMatchObject({ front: 15, newer: 0, shown: 15 })
  })
  it('holds still under the pointer and lets go after it', () => {
    const { result, rerender } = setup()
    act(() => result.current.hold('pointer', true))
    rerender({ added: 14, rows: 14 })
    expect(result.current).toMatchObject({ front: 10, newer: 4, shown: 10 })
    act(() => result.current.hold('pointer', false))
    expect(result.current).toMatchObject({ front: 14, newer: 0, shown: 14 })
  })
  it('holds until the last reason is gone', () => {
    const { result, rerender } = setup()
    act(() => result.current.hold('pointer', true))
    act(() => result.current.hold('open', true))
    act(() => result.current.hold('pointer', false))
    rerender({ added: 12, rows: 12 })
    expect(result.current.newer).toBe(2)
    act(() => result.current.release())
    expect(result.current.newer).toBe(0)
  })
  it('never shows less than nothing, when what it held has been pushed out', () => {
    const { result, rerender } = setup()
    act(() => result.current.hold('scroll', true))
    rerender({ added: 40, rows: 20 })
    expect(result.current.shown).toBe(0)
  })
})
