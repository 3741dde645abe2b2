import { type LayoutInput, layoutGraph } from './layout'

/** The layout's worker: one request, one answer, in order. */
self.onmessage = (message: MessageEvent<{ ticket: number; input: LayoutInput }>) => {
  const { ticket, input } = message.data
  self.postMessage({ ticket, positions: layoutGraph(input) })
}
