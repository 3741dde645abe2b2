import type { Point, Rect } from './geometry'

/** What part of the world is seen: screen = world × k + (x, y). */
export type View = { x: number; y: number; k: number }
export type Size = { w: number; h: number }

export const zoomLimits = { min: 0.03, max: 2.5 } as const

export function toWorld(view: View, p: Point): Point {
  return { x: (p.x - view.x) / view.k, y: (p.y - view.y) / view.k }
}

export function toScreen(view: View, p: Point): Point {
  return { x: p.x * view.k + view.x, y: p.y * view.k + view.y }
}

export function pan(view: View, dx: number, dy: number): View {
  return { ...view, x: view.x + dx, y: view.y + dy }
}

/** Zooms by a factor; what is under the given screen point stays there. */
export function zoomAt(view: View, at: Point, factor: number): View {
  const k = Math.min(zoomLimits.max, Math.max(zoomLimits.min, view.k * factor))
  const world = toWorld(view, at)
  return { k, x: at.x - world.x * k, y: at.y - world.y * k }
}

export type Insets = { left: number; right: number; top: number; bottom: number }

/** Shows a rectangle whole, never larger than life, in the middle of what is free. */
export function fit(rect: Rect, size: Size, insets: Insets, most = 1): View {
  const w = Math.max(40, size.w - insets.left - insets.right)
  const h = Math.max(40, size.h - insets.top - insets.bottom)
  const k = Math.max(zoomLimits.min, Math.min(most, w / Math.max(1, rect.w), h / Math.max(1, rect.h)))
  return {
    k,
    x: insets.left + (w - rect.w * k) / 2 - rect.x * k,
    y: insets.top + (h - rect.h * k) / 2 - rect.y * k,
  }
}

/**
 * As fit, but keeps clear of what lies over the lower corners while that costs
 * little size.
 */
export function fitClear(rect: Rect, size: Size, insets: Insets, corners: number): View {
  const clear = fit(rect, size, { ...insets, bottom: insets.bottom + corners })
  const whole = fit(rect, size, insets)
  return clear.k >= 0.82 * whole.k && clear.k >= 0.7 ? clear : whole
}

/**
 * Shows the surroundings of a rectangle at a zoom of its own: the rectangle in
 * the middle of what is free, as far as the extent has something to show there.
 */
export function around(rect: Rect, extent: Rect, size: Size, insets: Insets, k: number): View {
  const place = (at: number, from: number, length: number, room: number, before: number, after: number) => {
    const free = room - before - after
    if (length * k <= free) return before + (free - length * k) / 2 - from * k
    const wanted = before + free / 2 - at * k
    return Math.min(before - from * k, Math.max(room - after - (from + length) * k, wanted))
  }
  return {
    k,
    x: place(rect.x + rect.w / 2, extent.x, extent.w, size.w, insets.left, insets.right),
    y: place(rect.y + rect.h / 2, extent.y, extent.h, size.h, insets.top, insets.bottom),
  }
}

/** The world rectangle that is on screen. */
export function seen(view: View, size: Size): Rect {
  return { x: -view.x / view.k, y: -view.y / view.k, w: size.w / view.k, h: size.h / view.k }
}

/** Moves as little as possible until the rectangle is on screen. */
export function reveal(view: View, rect: Rect, size: Size, insets: Insets): View {
  const left = rect.x * view.k + view.x
  const top = rect.y * view.k + view.y
  const right = left + rect.w * view.k
  const bottom = top + rect.h * view.k
  let dx = 0
  let dy = 0
  if (right > size.w - insets.right) dx = size.w - insets.right - right
  if (left + dx < insets.left) dx = insets.left - left
  if (bottom > size.h - insets.bottom) dy = size.h - insets.bottom - bottom
  if (top + dy < insets.top) dy = insets.top - top
  return dx === 0 && dy === 0 ? view : pan(view, dx, dy)
}
