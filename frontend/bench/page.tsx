import cytoscape from 'cytoscape'
import { createRoot, type Root } from 'react-dom/client'
import { GraphCanvas } from '@/features/graph/GraphCanvas'
import type { GraphView } from '@/api/types'
import { buildModel } from '@/graph/model'
import '@/styles/tokens.css'
import '@/styles/base.css'
import { later, mesh } from './mesh'
import { drawPatternFly } from './patternfly'

/**
 * The page that bench-ui drives: each function draws the same mesh with one
 * library, into the same place, and resolves once it is on screen. Who calls
 * it reads what the main thread spent meanwhile.
 */

const host = document.getElementById('root')!
let root: Root | null = null
let view: GraphView | null = null

const open = { fold: new Set<string>() }
const nothing = () => undefined

function show(next: GraphView): void {
  view = next
  root ??= createRoot(host)
  root.render(<GraphCanvas model={buildModel(next, open)} level={`bench ${next.nodes.length}`} noun="workload" metric="rate" selected={null} onSelect={nothing} onFold={nothing} live />)
}

const frame = () => new Promise((done) => requestAnimationFrame(done))
async function painted(): Promise<void> {
  for (let i = 0; i < 3; i++) await frame()
}

/** Where everybody stands, as the page keeps it. */
function places(nodes: number): Record<string, number[]> {
  return JSON.parse(localStorage.getItem(`sidelight.graph.bench ${nodes}`) ?? '{}') as Record<string, number[]>
}

/** Drawn: laid out, words and cards placed, and on screen. */
async function drawn(): Promise<void> {
  const ready = () => host.querySelector('section[aria-busy=false]') !== null
  await new Promise<void>((done) => {
    if (ready()) return done()
    const watch = new MutationObserver(() => {
      if (!ready()) return
      watch.disconnect()
      done()
    })
    watch.observe(host, { subtree: true, childList: true, attributes: true, attributeFilter: ['aria-busy'] })
  })
  await painted()
}

const bench = {
  prepare: (nodes: number, edges: number) => {
    view = mesh(nodes, edges)
  },
  sidelight: async () => {
    if (!view) throw new Error('prepare first')
    show(view)
    await drawn()
  },
  /** Positions are kept a moment after they are drawn. */
  kept: async () => {
    const nodes = view?.nodes.length ?? 0
    while (Object.keys(places(nodes)).length < nodes) await new Promise((done) => setTimeout(done, 50))
  },
  /** A tick: five per cent of the figures, or of the workloads as well. How many of those who stayed have moved comes back. */
  update: async (replaced: boolean) => {
    if (!view) throw new Error('prepare first')
    const before = places(view.nodes.length)
    show(later(view, 0.05, replaced))
    await painted()
    await new Promise((done) => setTimeout(done, 600)) // positions are kept after a moment
    const after = places(view.nodes.length)
    return Object.entries(before).filter(([id, [x, y]]) => after[id] && (after[id][0] !== x || after[id][1] !== y)).length
  },
  /** Frames drawn in some seconds of flow. */
  flow: async (seconds: number) => {
    const end = performance.now() + seconds * 1000
    let frames = 0
    while (performance.now() < end) {
      await frame()
      frames++
    }
    return frames
  },
  clear: () => {
    root?.unmount()
    root = null
    host.replaceChildren()
    localStorage.clear()
  },
  cytoscape: async () => {
    if (!view) throw new Error('prepare first')
    // Positions are given, so that drawing is measured and not their layout.
    const columns = Math.ceil(Math.sqrt(view.nodes.length))
    const cy = cytoscape({
      container: host,
      elements: [
        ...view.nodes.map((n, i) => ({ data: { id: n.id, label: n.name }, position: { x: (i % columns) * 224, y: Math.floor(i / columns) * 90 } })),
        ...view.edges.map((e) => ({ data: { id: e.id, source: e.source, target: e.target } })),
      ],
      layout: { name: 'preset', fit: true },
      style: [
        { selector: 'node', style: { shape: 'round-rectangle', width: 146, height: 56, label: 'data(label)', 'background-color': '#223', color: '#fff', 'text-valign': 'center' } },
        { selector: 'edge', style: { 'curve-style': 'bezier', 'target-arrow-shape': 'triangle', width: 2, 'line-color': '#486' } },
      ],
    })
    await new Promise((done) => cy.ready(done))
    await painted()
  },
  patternfly: async () => {
    if (!view) throw new Error('prepare first')
    root = createRoot(host)
    drawPatternFly(root, view)
    while (host.querySelectorAll('[data-kind=node]').length < view.nodes.length) await new Promise((done) => setTimeout(done, 20))
    await painted()
  },
}

export type Bench = typeof bench
declare global {
  interface Window {
    bench: Bench
  }
}
window.bench = bench
