import type { GraphNode, HealthState } from '@/api/types'
import { Store } from '@/lib/store'
import { noMarks, toSVG } from './export'
import { foldedID } from './fold'
import { bounds, card, cardRect, overlaps, type Point, type Polyline, type Rect } from './geometry'
import { type Hit, hitTest } from './hit'
import { type Label, type Metric, placeLabels } from './labels'
import type { LayoutRunner } from './layout-runner'
import type { Group, Model } from './model'
import { watchPointer } from './pointer'
import { type Kept, PositionStore } from './positions'
import { forksOf, linkOf, routeEdges } from './route'
import { buildScene, type Marks } from './scene'
import { boxesOf, freeBox, padded, placeNewcomers } from './sticky'
import { Stage } from './stage'
import { around, fit, fitClear, type Insets, pan, reveal, seen, type Size, toWorld, type View, zoomAt } from './viewport'

/**
 * The graph's one conductor: takes models in, keeps positions, routes and the
 * viewport, and drives the stage. React reads its two stores and nothing else;
 * panning and the flow dots never pass through React.
 */

/** What the overlay of cards and labels is made from. */
export type Picture = {
  positions: ReadonlyMap<string, Point>
  routes: ReadonlyMap<string, Polyline>
  boxes: ReadonlyMap<string, Rect>
  /** Where splits by weight part. */
  forks: ReadonlyMap<string, Point>
  labels: Label[]
  /** Cards are shown, not boxes. */
  cards: boolean
  /** Nodes that may be on screen. */
  visible: ReadonlySet<string>
  /** Newcomers since the last layout as a whole. */
  added: number
  ready: boolean
}

export type Camera = { view: View; size: Size }

const cardsFrom = 0.45
const smallScreen = 600
const cardsMost = 300
/** Legend and map lie over the lower corners. */
const cornersHeight = 130
const margin: Insets = { left: 28, right: 28, top: 56, bottom: 28 }
const clear: Insets = { ...margin, bottom: margin.bottom + cornersHeight }
/** Below this the words of cards cannot be read: beside a panel, what it speaks of is shown rather than the whole. */
const readable = 0.7

const noLabels: Label[] = []

export type EngineOptions = {
  runner: LayoutRunner
  storage: Pick<Storage, 'getItem' | 'setItem'> | null
  now?: () => number
}

export class GraphEngine {
  readonly picture = new Store<Picture>({
    positions: new Map(),
    routes: new Map(),
    boxes: new Map(),
    forks: new Map(),
    labels: [],
    cards: true,
    visible: new Set(),
    added: 0,
    ready: false,
  })
  readonly camera = new Store<Camera>({ view: { x: 0, y: 0, k: 1 }, size: { w: 0, h: 0 } })

  private pressed: (hit: Hit | null) => void = () => undefined
  private model: Model | null = null
  private level = ''
  private metric: Metric = 'rate'
  private marks: Marks = { selected: null, focused: null, hovered: null }
  private kept = new Map<string, Kept>()
  private readonly store: PositionStore
  private readonly now: () => number
  private readonly runner: LayoutRunner
  private stage: Stage | null = null
  private detachPointer: () => void = () => undefined
  private layoutTicket = 0
  private laidOut = 0
  private touched = false
  private restored = false
  private fitted = false
  private saveTimer: ReturnType<typeof setTimeout> | undefined

  constructor(options: EngineOptions) {
    this.runner = options.runner
    this.now = options.now ?? Date.now
    this.store = new PositionStore(options.storage, this.now)
  }

  /** Begins to draw in a host element; the function given back ends it. */
  attach(host: HTMLElement): () => void {
    const stage = new Stage(host, () => this.camera.get().view)
    this.stage = stage
    this.detachPointer = watchPointer(host, {
      grab: (at) => {
        const hit = this.hitAt(at)
        return hit?.kind === 'node' ? hit.id : null
      },
      pan: (dx, dy) => this.move(pan(this.camera.get().view, dx, dy)),
      zoom: (at, factor) => this.move(zoomAt(this.camera.get().view, at, factor)),
      drag: (id, dx, dy) => this.drag(id, dx, dy),
      dropped: (id) => this.drop(id),
      press: (at) => this.pressed(this.hitAt(at)),
      hover: (at) => this.hover(at ? this.hitAt(at) : null),
    })
    const observer = new ResizeObserver(() => this.resize(host))
    observer.observe(host)
    this.resize(host)
    this.redraw(true)
    return () => {
      observer.disconnect()
      this.detachPointer()
      stage.dispose()
      this.stage = null
      this.save()
    }
  }

  stop(): void {
    clearTimeout(this.saveTimer)
    this.save()
    this.runner.stop()
  }

  /** New figures, or new elements. `level` names the set of positions. */
  setModel(model: Model, level: string): void {
    const another = level !== this.level
    const structural = another || model.structure !== this.model?.structure
    this.model = model
    if (another) this.enter(level)
    const now = this.now()
    for (const id of model.nodes.keys()) {
      const kept = this.kept.get(id)
      if (kept) kept.seen = now
    }
    if (structural) this.arrange()
    else this.redraw(false)
  }

  setMetric(metric: Metric): void {
    if (metric === this.metric) return
    this.metric = metric
    this.redraw(false)
  }

  setMarks(marks: Partial<Marks>): void {
    const next = { ...this.marks, ...marks }
    if (next.selected === this.marks.selected && next.focused === this.marks.focused && next.hovered === this.marks.hovered) return
    this.marks = next
    this.redraw(false)
  }

  /** Hears what was pressed; null is the ground. */
  onPress(listener: (hit: Hit | null) => void): void {
    this.pressed = listener
  }

  setFlow(on: boolean): void {
    this.stage?.setFlow(on)
  }

  /** Lays everything out anew; pins are given up. */
  tidy(): void {
    for (const kept of this.kept.values()) kept.pinned = false
    void this.layOut(true)
  }

  fitAll(): void {
    const { size } = this.camera.get()
    const extent = this.extent()
    if (extent && size.w > 0) this.move(fitClear(extent, size, margin, cornersHeight))
  }

  zoomBy(factor: number): void {
    const { view, size } = this.camera.get()
    this.move(zoomAt(view, { x: size.w / 2, y: size.h / 2 }, factor))
  }

  /** Moves the view so that a world point stands in its middle. */
  centre(at: Point): void {
    const { view, size } = this.camera.get()
    this.move({ k: view.k, x: size.w / 2 - at.x * view.k, y: size.h / 2 - at.y * view.k })
  }

  /** Brings an element on screen with the least movement. */
  show(id: string): void {
    const rect = this.rectOf(id)
    if (!rect) return
    const { view, size } = this.camera.get()
    const next = reveal(view, rect, size, margin)
    if (next !== view) this.look(next)
  }

  /** Everything drawn, with its boxes. */
  extent({ positions, boxes } = this.picture.get()): Rect | null {
    const cards = [...(this.model?.nodes.keys() ?? [])].flatMap((id) => {
      const p = positions.get(id)
      return p ? [{ ...cardRect(p), y: p.y - 14, h: card.h + 14 }] : []
    })
    return bounds([...cards, ...boxes.values()])
  }

  /** What stands on the canvas now, in full, as a file. */
  toSVG(): string {
    const { model, stage } = this
    if (!model || !stage) return ''
    const { positions, routes, boxes, labels } = this.picture.get()
    const scene = buildScene(model, positions, routes, boxes, card, noMarks)
    return toSVG({ model, scene, positions, boxes, labels }, stage.palette())
  }

  private enter(level: string): void {
    if (this.level !== '') this.save()
    this.level = level
    this.kept = this.store.load(level)
    this.restored = this.kept.size > 0
    this.touched = false
    this.fitted = false
    this.laidOut = 0
  }

  /**
   * Elements came or went. A first picture is laid out as a whole, and again
   * while it is still growing and nobody has touched it; from then on those
   * who are there stay, and newcomers find a free place.
   */
  private arrange(): void {
    const model = this.model
    if (!model) return
    const known = [...model.nodes.keys()].filter((id) => this.kept.has(id)).length
    const fresh = !this.restored || known === 0
    const opened = this.laidOut > 0 || this.restored ? this.openedGroups(model) : []
    if (opened.length > 0) this.touched = true // somebody chose what is open: from here on nobody moves
    const growing = model.nodes.size > this.laidOut * 1.2 && !this.touched
    if (model.nodes.size > 0 && fresh && (this.laidOut === 0 || growing)) {
      void this.layOut(false)
      if (this.laidOut === 0) return
    }
    this.insertFolded(model)
    if (opened.length > 0) {
      void this.open(opened)
      return
    }
    this.insertNewcomers(model)
    this.redraw(true)
  }

  /** A namespace folds where it stood. */
  private insertFolded(model: Model): void {
    for (const node of model.nodes.values()) {
      if (!node.fold || this.kept.has(node.id)) continue
      const extent = bounds(node.fold.members.flatMap((id) => (this.kept.has(id) ? [cardRect(this.kept.get(id)!.at)] : [])))
      if (!extent) continue
      const at = { x: Math.round(extent.x + (extent.w - card.w) / 2), y: Math.round(extent.y + (extent.h - card.h) / 2) }
      this.kept.set(node.id, { at, pinned: false, seen: this.now() })
    }
  }

  /** Groups that come out of their fold and have never stood anywhere. */
  private openedGroups(model: Model): Group[] {
    return model.groups.filter(
      (g) => g.members.length > 1 && this.kept.has(foldedID(g.name)) && !g.members.some((id) => this.kept.has(id)),
    )
  }

  /** Lays out what came out of its fold by itself, as near to the fold as there is room. */
  private async open(groups: Group[]): Promise<void> {
    const level = this.level
    for (const group of groups) {
      const own = new Set(group.members)
      const edges = [...(this.model?.edges.values() ?? [])].filter((e) => own.has(e.source) && own.has(e.target))
      const { positions: found } = await this.runner.run({
        nodes: group.members.map((id) => ({ id, group: group.id })),
        edges: edges.map(linkOf),
      })
      const extent = bounds(Object.values(found).map(cardRect))
      const model = this.model
      if (!extent || !model || level !== this.level) return
      const box = padded(extent)
      const from = this.kept.get(foldedID(group.name))?.at ?? { x: 0, y: 0 }
      const standing = new Map([...model.nodes.keys()].flatMap((id) => (this.kept.has(id) ? [[id, this.kept.get(id)!.at] as const] : [])))
      const corner = freeBox(from, box, [...[...standing.values()].map(cardRect), ...boxesOf(model, standing).values()])
      for (const [id, p] of Object.entries(found)) {
        const at = { x: corner.x + p.x - box.x, y: corner.y + p.y - box.y }
        this.kept.set(id, { at, pinned: false, seen: this.now() })
      }
    }
    if (this.model) this.insertNewcomers(this.model)
    this.redraw(true)
    this.saveSoon()
  }

  private insertNewcomers(model: Model): void {
    const placed = new Map([...this.kept].map(([id, k]) => [id, k.at]))
    const all = placeNewcomers(model, placed)
    let added = 0
    for (const [id, at] of all) {
      if (this.kept.has(id)) continue
      this.kept.set(id, { at, pinned: false, seen: this.now() })
      added++
    }
    if (added > 0 && this.laidOut > 0) this.picture.set({ ...this.picture.get(), added: this.picture.get().added + added })
    if (added > 0) this.saveSoon()
  }

  private async layOut(move: boolean): Promise<void> {
    const model = this.model
    if (!model) return
    const ticket = ++this.layoutTicket
    const level = this.level
    const { positions: found, routes } = await this.runner.run({
      nodes: [...model.nodes.keys()].map((id) => ({ id, group: model.groupOf.get(id) ?? null })),
      edges: [...model.edges.values()].map(linkOf),
    })
    if (ticket !== this.layoutTicket || level !== this.level) return
    const seenAt = this.now()
    for (const [id, at] of Object.entries(found)) this.kept.set(id, { at, pinned: false, seen: seenAt })
    this.laidOut = Object.keys(found).length
    this.restored = false
    if (move || !this.touched) this.fitted = false
    if (this.model) this.insertNewcomers(this.model)
    this.picture.set({ ...this.picture.get(), added: 0 })
    // Routed with the layout, unless somebody came or left meanwhile.
    this.redraw(true, this.model?.structure === model.structure ? routes : undefined)
    this.saveSoon()
  }

  private drag(id: string, dx: number, dy: number): void {
    const kept = this.kept.get(id)
    if (!kept) return
    const { k } = this.camera.get().view
    this.touched = true
    this.kept.set(id, { ...kept, at: { x: kept.at.x + dx / k, y: kept.at.y + dy / k }, pinned: true })
    this.redraw(true)
  }

  /** Pins where it was dropped, on the 4-pixel grid. */
  private drop(id: string): void {
    const kept = this.kept.get(id)
    if (!kept) return
    const at = { x: Math.round(kept.at.x / 4) * 4, y: Math.round(kept.at.y / 4) * 4 }
    this.kept.set(id, { ...kept, at })
    this.redraw(true)
    this.saveSoon()
  }

  private hover(hit: Hit | null): void {
    const id = hit?.id ?? null
    this.stage?.setCursor(hit !== null)
    if (id === this.marks.hovered) return
    this.setMarks({ hovered: id })
  }

  private hitAt(at: Point): Hit | null {
    const { view } = this.camera.get()
    const { positions, routes } = this.picture.get()
    return hitTest(toWorld(view, at), positions, routes, 9 / view.k)
  }

  private rectOf(id: string, { positions, routes } = this.picture.get()): Rect | null {
    const at = positions.get(id)
    if (at) return cardRect(at)
    const line = routes.get(id)
    if (!line) return null
    const parts: Rect[] = []
    line.xs.forEach((x, i) => parts.push({ x, y: line.ys[i]!, w: 0, h: 0 }))
    // An edge is seen with its two ends.
    const edge = this.model?.edges.get(id)
    for (const end of edge ? [edge.source, edge.target] : []) {
      const p = positions.get(end)
      if (p) parts.push(cardRect(p))
    }
    return bounds(parts)
  }

  private move(view: View): void {
    if (this.fitted) this.touched = true
    this.look(view)
  }

  /** As move, but by our own doing: the picture may still be fitted anew. */
  private look(view: View): void {
    this.camera.set({ ...this.camera.get(), view })
    this.refreshVisible()
    this.stage?.draw()
  }

  private resize(host: HTMLElement): void {
    const size = { w: host.clientWidth, h: host.clientHeight }
    const before = this.camera.get()
    if (size.w === before.size.w && size.h === before.size.h) return
    this.camera.set({ ...before, size })
    this.stage?.resize(size)
    if (!this.touched) this.fitted = false
    this.fitOnce()
    // A panel that opens must not cover what it speaks of.
    if (this.touched && this.marks.selected !== null) this.show(this.marks.selected)
    this.refreshVisible()
  }

  /**
   * Fits the first picture, and every later one until somebody takes hold. On
   * a small screen, where all of it would be dots, it begins at the worst.
   */
  private fitOnce(picture = this.picture.get()): void {
    const { size } = this.camera.get()
    const extent = this.extent(picture)
    if (this.fitted || !extent || size.w === 0) return
    this.fitted = true
    const whole = fitClear(extent, size, margin, cornersHeight)
    const about = this.marks.selected === null ? null : this.rectOf(this.marks.selected, picture)
    const view = about && whole.k < readable ? around(about, extent, size, clear, Math.max(readable, fit(about, size, clear).k)) : whole
    this.camera.set({ size, view })
    if (view.k < cardsFrom && size.w < smallScreen) {
      const at = picture.positions.get(worstNode(this.model) ?? '')
      if (at) {
        const k = 0.72
        this.camera.set({ size, view: { k, x: size.w / 2 - (at.x + card.w / 2) * k, y: size.h / 2 - (at.y + card.h / 2) * k } })
      }
    }
    this.stage?.draw()
  }

  /** Makes the next picture whole before anyone sees it: one change, one render. */
  private redraw(moved: boolean, routed?: Picture['routes']): void {
    const model = this.model
    if (!model) return
    let next = this.picture.get()
    if (moved) {
      const positions = new Map(
        [...model.nodes.keys()].flatMap((id) => (this.kept.has(id) ? [[id, this.kept.get(id)!.at] as const] : [])),
      )
      const routes = routed ?? routeEdges([...model.edges.values()].map(linkOf), positions)
      next = { ...next, positions, routes, boxes: boxesOf(model, positions), forks: forksOf(model.edges.values(), routes), ready: positions.size > 0 }
      this.fitOnce(next)
    }
    next = { ...next, ...this.seenIn(next) }
    this.picture.set({ ...next, labels: this.labelsOf(model, next) })
    this.stage?.setBoxes(!next.cards)
    const { positions, routes, boxes } = next
    this.stage?.setScene(buildScene(model, positions, routes, boxes, card, this.marks), moved)
  }

  /** Words beside edges are read with the cards, and not placed without them. */
  private labelsOf(model: Model, { positions, routes, boxes, cards }: Picture): Label[] {
    if (!cards) return noLabels
    const { selected, focused, hovered } = this.marks
    const lit = new Set([selected, focused, hovered].filter((id): id is string => id !== null))
    return placeLabels({ model, boxes, positions, routes, metric: this.metric, lit })
  }

  /** What of a picture the camera sees, and whether near enough for cards. */
  private seenIn({ positions }: Picture): Pick<Picture, 'visible' | 'cards'> {
    const { view, size } = this.camera.get()
    const area = seen(view, size)
    const visible = new Set<string>()
    for (const [id, at] of positions) if (overlaps(cardRect(at), area, 60 / view.k)) visible.add(id)
    return { visible, cards: view.k >= cardsFrom && visible.size <= cardsMost }
  }

  private refreshVisible(): void {
    const before = this.picture.get()
    const { visible, cards } = this.seenIn(before)
    this.stage?.setBoxes(!cards)
    if (cards === before.cards && sameMembers(visible, before.visible)) return
    const next = { ...before, visible, cards }
    // Boxes that became cards get their words now.
    if (cards !== before.cards && this.model) next.labels = this.labelsOf(this.model, next)
    this.picture.set(next)
  }

  private saveSoon(): void {
    clearTimeout(this.saveTimer)
    this.saveTimer = setTimeout(() => this.save(), 400)
  }

  private save(): void {
    if (this.level !== '' && this.kept.size > 0) this.store.save(this.level, this.kept)
  }
}

/** The worst of ours; a host outside only when nothing of ours is worse off. */
function worstNode(model: Model | null): string | null {
  const order: Record<HealthState, number> = { fail: 0, warn: 1, unknown: 2, ok: 3, idle: 4 }
  const score = (n: GraphNode) => order[n.health.state] * 2 + (n.kind === 'external' || n.kind === 'unknown' ? 1 : 0)
  return [...(model?.nodes.values() ?? [])].sort((a, b) => score(a) - score(b))[0]?.id ?? null
}

function sameMembers(a: ReadonlySet<string>, b: ReadonlySet<string>): boolean {
  if (a.size !== b.size) return false
  for (const id of a) if (!b.has(id)) return false
  return true
}
