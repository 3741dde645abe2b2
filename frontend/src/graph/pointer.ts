import type { Point } from './geometry'

/** Mouse, pen and touch on the canvas, told as what was meant. */
export type Gestures = {
  /** What can be dragged under this point: a node's id, or null for the ground. */
  grab: (at: Point) => string | null
  pan: (dx: number, dy: number) => void
  zoom: (at: Point, factor: number) => void
  drag: (id: string, dx: number, dy: number) => void
  dropped: (id: string) => void
  press: (at: Point) => void
  hover: (at: Point | null) => void
}

const slop = 4

/** Attaches to an element; the function given back detaches. */
export function watchPointer(element: HTMLElement, gestures: Gestures): () => void {
  const pointers = new Map<number, Point>()
  let held: string | null = null
  let start: Point | null = null
  let moved = false

  const at = (e: MouseEvent): Point => {
    const box = element.getBoundingClientRect()
    return { x: e.clientX - box.left, y: e.clientY - box.top }
  }

  const down = (e: PointerEvent) => {
    if (e.button !== 0 || (e.target as Element).closest('[data-no-pan]')) return
    pointers.set(e.pointerId, at(e))
    element.setPointerCapture(e.pointerId)
    if (pointers.size === 1) {
      start = at(e)
      moved = false
      held = gestures.grab(start)
    } else {
      held = null
    }
  }

  const move = (e: PointerEvent) => {
    const now = at(e)
    const before = pointers.get(e.pointerId)
    if (!before) {
      gestures.hover((e.target as Element).closest('[data-no-pan]') ? null : now)
      return
    }
    if (pointers.size === 2) pinch(e.pointerId, now)
    pointers.set(e.pointerId, now)
    if (pointers.size !== 1 || !start) return
    if (!moved && Math.hypot(now.x - start.x, now.y - start.y) < slop) return
    const from = moved ? before : start
    moved = true
    element.dataset.dragging = held === null ? 'ground' : 'node'
    if (held === null) gestures.pan(now.x - from.x, now.y - from.y)
    else gestures.drag(held, now.x - from.x, now.y - from.y)
  }

  const pinch = (id: number, now: Point) => {
    const other = [...pointers].find(([p]) => p !== id)?.[1]
    const before = pointers.get(id)
    if (!other || !before) return
    moved = true
    const was = Math.hypot(before.x - other.x, before.y - other.y) || 1
    const is = Math.hypot(now.x - other.x, now.y - other.y) || 1
    gestures.zoom({ x: (now.x + other.x) / 2, y: (now.y + other.y) / 2 }, is / was)
    gestures.pan((now.x - before.x) / 2, (now.y - before.y) / 2)
  }

  const up = (e: PointerEvent) => {
    if (!pointers.delete(e.pointerId)) return
    if (pointers.size > 0) return
    delete element.dataset.dragging
    if (!moved && start && e.type === 'pointerup') gestures.press(at(e))
    if (moved && held !== null) gestures.dropped(held)
    held = null
    start = null
  }

  const wheel = (e: WheelEvent) => {
    if ((e.target as Element).closest('[data-no-pan]')) return
    e.preventDefault()
    if (e.shiftKey || (Math.abs(e.deltaX) > Math.abs(e.deltaY) && !e.ctrlKey)) {
      gestures.pan(-(e.deltaX || e.deltaY), e.shiftKey ? 0 : -e.deltaY)
      return
    }
    const lines = e.deltaMode === WheelEvent.DOM_DELTA_LINE ? 16 : 1
    gestures.zoom(at(e), Math.exp((-e.deltaY * lines * (e.ctrlKey ? 4 : 1)) / 500))
  }

  const leave = () => gestures.hover(null)
  const listen = new AbortController()
  const { signal } = listen
  element.addEventListener('pointerdown', down, { signal })
  element.addEventListener('pointermove', move, { signal })
  element.addEventListener('pointerup', up, { signal })
  element.addEventListener('pointercancel', up, { signal })
  element.addEventListener('pointerleave', leave, { signal })
  element.addEventListener('wheel', wheel, { passive: false, signal })
  return () => listen.abort()
}
