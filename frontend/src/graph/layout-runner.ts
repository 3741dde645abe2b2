import type { Layout, LayoutInput } from './layout'

/** Runs layouts off the main thread; where there is no Worker, on it. */
export type LayoutRunner = { run: (input: LayoutInput) => Promise<Layout>; stop: () => void }

export function workerRunner(): LayoutRunner {
  let worker: Worker | null = null
  let ticket = 0
  const waiting = new Map<number, (layout: Layout) => void>()
  return {
    run: (input) => {
      if (typeof Worker === 'undefined') return import('./layout').then((m) => m.laidOut(input))
      if (!worker) {
        worker = new Worker(new URL('./layout.worker.ts', import.meta.url), { type: 'module' })
        worker.onmessage = (message: MessageEvent<{ ticket: number; layout: Layout }>) => {
          waiting.get(message.data.ticket)?.(message.data.layout)
          waiting.delete(message.data.ticket)
        }
      }
      const mine = ++ticket
      worker.postMessage({ ticket: mine, input })
      return new Promise((resolve) => waiting.set(mine, resolve))
    },
    stop: () => {
      worker?.terminate()
      worker = null
      waiting.clear()
    },
  }
}
