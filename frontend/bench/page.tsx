import cytoscape from 'cytoscape'
import { createRoot, type Root } from 'react-dom/client'
import { GraphCanvas } from '@/features/graph/GraphCanvas'
import type { GraphView } from '@/api/types'
import { buildModel } from '@/graph/model'
import '@/styles/tokens.css'
import '@/styles/base.css'
import { later, mesh } from './mesh'
import { standPatternFly } from './patternfly'

/**
 * The page that bench-ui drives. A library first stands, as a page does before
 * its data come: empty, on screen. Then it draws the mesh, and resolves once
 * that is on screen; who calls it reads what the main thread spent meanwhile.
 */

const host = document.getElementById('root')!
let root: Root | null = null
let view: GraphView | null = null
let draw: () => Promise<void> = () => Promise.reject(new Error('stand first'))

const open = { fold: new Set<string>() }
const nothing = () => undefined

function show(next: GraphView, level = `bench ${next.nodes.length}`): void {
  root ??= createRoot(host)
  root.render(<GraphCanvas model={buildModel(next, open)} level={level} noun="workload" metric="rate" selected={null} onSelect={nothing} onFold={nothing} live />)
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

const libraries = {
  sidelight: (given: GraphView) => {
    show({ ...given, nodes: [], edges: [] }, `bench ${given.nodes.length}`)
    return async () => {
      show(given)
      await drawn()
    }
  },
  cytoscape: (given: GraphView) => {
    const cy = cytoscape({
      container: host,
      style: [
        { selector: 'node', style: { shape: 'round-rectangle', width: 146, height: 56, label: 'data(label)', 'background-color': '#223', color: '#fff', 'text-valign': 'center' } },
        { selector: 'edge', style: { 'curve-style': 'bezier', 'target-arrow-shape': 'triangle', width: 2, 'line-color': '#486' } },
      ],
    })
    return async () => {
      // Positions are given, so that drawing is measured and not their layout.
      const columns = Math.ceil(Math.sqrt(given.nodes.length))
      cy.add([
        ...given.nodes.map((n, i) => ({ data: { id: n.id, label: n.name }, position: { x: (i % columns) * 224, y: Math.floor(i / columns) * 90 } })),
        ...given.edges.map((e) => ({ data: { id: e.id, source: e.source, target: e.target } })),
      ])
      cy.fit()
      await painted()
    }
  },
  patternfly: (given: GraphView) => {
    root = createRoot(host)
    const give = standPatternFly(root)
    return async () => {
      give(given)
      while (host.querySelectorAll('[data-kind=node]').length < given.nodes.length) await new Promise((done) => setTimeout(done, 20))
      await painted()
    }
  },
}
export type Library = keyof typeof libraries

const bench = {
  stand: async (library: Library, nodes: number, edges: number) => {
    view = mesh(nodes, edges)
    draw = libraries[library](view)
    await painted()
  },
  draw: () => draw(),
  /** Positions are kept a moment after they are drawn. */
  kept: async () => {
    const nodes = view?.nodes.length ?? 0
    while (Object.keys(places(nodes)).length < nodes) await new Promise((done) => setTimeout(done, 50))
  },
  /** A tick: five per cent of the figures, or of the workloads as well. How many of those who stayed have moved comes back. */
  update: async (replaced: boolean) => {
    if (!view) throw new Error('stand first')
    const before = places(view.nodes.length)
    view = later(view, 0.05, replaced)
    show(view)
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
}

export type Bench = typeof bench
declare global {
  interface Window {
    bench: Bench
  }
}
window.bench = bench
