import { type RefObject, useLayoutEffect, useState } from 'react'

/**
 * The rows of a list of one height, one of which may be open, that are on
 * screen. Places are calculated, not measured: a list of 100,000 rows that
 * grows ten times a second costs no more than one of ten.
 */
export type Rows = {
  count: number
  height: number
  /** Index of the row that is open, −1 for none, and how much longer that makes it. */
  open: number
  extra: number
}

const overscan = 12

export const startOf = ({ height, open, extra }: Rows, i: number): number => i * height + (open >= 0 && i > open ? extra : 0)
export const totalOf = (rows: Rows): number => startOf(rows, rows.count)

/** The index of the row at a place. */
export function indexAt(rows: Rows, y: number): number {
  const { height, open, extra } = rows
  const after = startOf(rows, open + 1)
  const i = open < 0 || y < (open + 1) * height ? Math.floor(y / height) : y < after ? open : Math.floor((y - extra) / height)
  return Math.max(0, Math.min(rows.count - 1, i))
}

/** From the first to before the last row that a window shows, with some beside. */
export function rangeOf(rows: Rows, top: number, windowHeight: number): [number, number] {
  if (rows.count === 0 || windowHeight === 0) return [0, 0]
  return [Math.max(0, indexAt(rows, top) - overscan), Math.min(rows.count, indexAt(rows, top + windowHeight) + 1 + overscan)]
}

/** Where the window must stand so that a row is in it, moved as little as can be. */
export function reveal(rows: Rows, i: number, top: number, windowHeight: number): number {
  const from = startOf(rows, i)
  const to = startOf(rows, i + 1)
  if (from < top) return from
  return to > top + windowHeight ? Math.min(from, to - windowHeight) : top
}

export function useRows(scroller: RefObject<HTMLElement | null>, rows: Rows) {
  const [seen, setSeen] = useState({ top: 0, height: 0 })
  useLayoutEffect(() => {
    const element = scroller.current
    if (!element) return
    const look = () => {
      const next = { top: element.scrollTop, height: element.clientHeight }
      setSeen((s) => (s.top === next.top && s.height === next.height ? s : next))
    }
    look()
    const observer = new ResizeObserver(look)
    observer.observe(element)
    element.addEventListener('scroll', look, { passive: true })
    return () => {
      observer.disconnect()
      element.removeEventListener('scroll', look)
    }
  }, [scroller])
  const [from, to] = rangeOf(rows, seen.top, seen.height)
  return {
    total: totalOf(rows),
    shown: Array.from({ length: Math.max(0, to - from) }, (_, i) => ({ index: from + i, start: startOf(rows, from + i) })),
    scrollTo: (i: number) => {
      const element = scroller.current
      element?.scrollTo({ top: reveal(rows, i, element.scrollTop, element.clientHeight) })
    },
  }
}
