import { useCallback, useLayoutEffect, useState } from 'react'
import type { RefObject } from 'react'

/** Rows to draw, the last one not included. */
export type Rows = { from: number; to: number }

/** rowsInView tells which of `count` rows of one height are in view, and some before and after. */
export function rowsInView(top: number, height: number, row: number, count: number, more: number): Rows {
  const from = Math.max(0, Math.min(count, Math.floor(top / row)) - more)
  const to = Math.min(count, Math.ceil((top + height) / row) + more)
  return { from, to: Math.max(from, to) }
}

/** scrollFor tells where to scroll so that a row is whole in view; null where it is. */
export function scrollFor(index: number, top: number, height: number, row: number): number | null {
  if (index * row < top) return index * row
  if ((index + 1) * row > top + height) return (index + 1) * row - height
  return null
}

/**
 * useFixedRows follows the part of a long list that is in view. Rows of one
 * height need no measuring: a list of 80 000 that becomes another list costs no
 * more than the rows that are drawn.
 */
export function useFixedRows(scroller: RefObject<HTMLElement | null>, count: number, row: number, more = 12): Rows & { reveal: (index: number) => void } {
  const [at, setAt] = useState({ top: 0, height: 0 })
  useLayoutEffect(() => {
    const box = scroller.current
    if (!box) return
    // Whole rows only: what moves within one draws nothing anew.
    const read = () => {
      const top = Math.floor(box.scrollTop / row) * row
      const height = box.clientHeight + row
      setAt((was) => (was.top === top && was.height === height ? was : { top, height }))
    }
    read()
    box.addEventListener('scroll', read, { passive: true })
    const watch = new ResizeObserver(read)
    watch.observe(box)
    return () => {
      box.removeEventListener('scroll', read)
      watch.disconnect()
    }
  }, [scroller, row])
  const reveal = useCallback(
    (index: number) => {
      const box = scroller.current
      const to = box ? scrollFor(index, box.scrollTop, box.clientHeight, row) : null
      if (box && to !== null) box.scrollTo({ top: to })
    },
    [scroller, row],
  )
  return { ...rowsInView(at.top, at.height, row, count, more), reveal }
}
