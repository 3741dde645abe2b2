import type { Polyline } from './geometry'
import { type LayoutInput, laidOut } from './layout'

/** The layout's worker: one request, one answer, in order. */
self.onmessage = (message: MessageEvent<{ ticket: number; input: LayoutInput }>) => {
  const { ticket, input } = message.data
  const { positions, routes } = laidOut(input)
  const { packed, buffer } = pack(routes)
  self.postMessage({ ticket, layout: { positions, routes: packed } }, { transfer: [buffer] })
}

/** All lines in one buffer, which changes hands where thousands would be copied. */
function pack(routes: ReadonlyMap<string, Polyline>): { packed: Map<string, Polyline>; buffer: ArrayBuffer } {
  let floats = 0
  for (const { xs } of routes.values()) floats += 3 * xs.length
  const all = new Float32Array(floats)
  let at = 0
  const moved = (from: Float32Array) => {
    all.set(from, at)
    return all.subarray(at, (at += from.length))
  }
  const packed = new Map<string, Polyline>()
  for (const [id, { xs, ys, lengths, total }] of routes) packed.set(id, { xs: moved(xs), ys: moved(ys), lengths: moved(lengths), total })
  return { packed, buffer: all.buffer }
}
