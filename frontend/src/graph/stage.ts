import { canvas2dRenderer } from './canvas2d'
import { type Palette, readPalette } from './palette'
import type { Renderer } from './renderer'
import type { Scene } from './scene'
import type { Size, View } from './viewport'
import { webglRenderer } from './webgl'

/**
 * Owns the canvas and the clock: chooses a renderer, draws when something
 * changed, keeps the flow dots moving while they may, and replaces a context
 * that the browser took away.
 */

const flowFrameMs = 1000 / 30
const restoreMs = 3000
const pixelRatio = () => Math.min(2, devicePixelRatio || 1)
const empty: Scene = { edges: [], nodes: [], groups: [] }

export class Stage {
  private canvas: HTMLCanvasElement
  private renderer: Renderer | null = null
  private scene: Scene = empty
  private size: Size = { w: 1, h: 1 }
  private boxes = false
  private flow = true
  private frame = 0
  private lastDrawn = 0
  private dirty = false
  private blank = true
  private flowTime = 0
  private restoreTimer: ReturnType<typeof setTimeout> | undefined
  private readonly listen = new AbortController()
  private readonly still: MediaQueryList
  private readonly theme: MutationObserver

  constructor(
    private readonly host: HTMLElement,
    private readonly view: () => View,
  ) {
    this.size = { w: host.clientWidth || 1, h: host.clientHeight || 1 }
    this.canvas = this.place()
    this.still = matchMedia('(prefers-reduced-motion: reduce)')
    const { signal } = this.listen
    this.still.addEventListener('change', () => this.draw(), { signal })
    document.addEventListener('visibilitychange', () => this.draw(), { signal })
    // The canvas has no stylesheet: it is told when the page changes its colours.
    this.theme = new MutationObserver(() => this.refreshPalette())
    this.theme.observe(document.documentElement, { attributes: true, attributeFilter: ['data-theme'] })
    this.start(false)
  }

  get kind(): string {
    return this.renderer?.kind ?? 'none'
  }

  setScene(scene: Scene, moved: boolean): void {
    const sameOrder = !moved && scene.edges.length === this.scene.edges.length && scene.edges.every((e, i) => e.id === this.scene.edges[i]?.id)
    this.scene = scene
    if (sameOrder) this.renderer?.setStyles(scene)
    else this.renderer?.setScene(scene)
    this.draw()
  }

  setBoxes(boxes: boolean): void {
    this.boxes = boxes
  }

  setFlow(on: boolean): void {
    this.flow = on
    this.draw()
  }

  setCursor(pointing: boolean): void {
    this.host.dataset.pointing = String(pointing)
  }

  palette(): Palette {
    return readPalette(this.host)
  }

  private refreshPalette(): void {
    this.renderer?.setPalette(this.palette())
    this.draw()
  }

  resize(size: Size): void {
    this.size = size
    this.renderer?.resize(size.w, size.h, pixelRatio())
    this.draw()
  }

  draw(): void {
    this.dirty = true
    this.frame ||= requestAnimationFrame((now) => this.tick(now))
  }

  dispose(): void {
    this.listen.abort()
    this.theme.disconnect()
    clearTimeout(this.restoreTimer)
    cancelAnimationFrame(this.frame)
    this.renderer?.dispose()
    this.canvas.remove()
  }

  private tick(now: number): void {
    this.frame = 0
    const moving = this.flow && !this.still.matches && !document.hidden && this.scene.edges.some((e) => e.style.flow)
    const since = now - this.lastDrawn
    // While nobody stands anywhere yet, an empty canvas is left as it is.
    const nothing = this.blank && this.scene.edges.length + this.scene.nodes.length + this.scene.groups.length === 0
    if (!nothing && (this.dirty || (moving && since >= flowFrameMs - 2))) {
      if (moving) this.flowTime += Math.min(since, 100) / 1000
      this.lastDrawn = now
      this.dirty = false
      this.blank = false
      this.renderer?.draw({ view: this.view(), time: this.flowTime, boxes: this.boxes, flow: this.flow && !this.still.matches })
    }
    if (moving) this.frame = requestAnimationFrame((next) => this.tick(next))
  }

  private place(): HTMLCanvasElement {
    const canvas = document.createElement('canvas')
    canvas.setAttribute('aria-hidden', 'true')
    // Its size before its context: a drawing buffer that is there is made anew for each side that changes.
    canvas.width = Math.round(this.size.w * pixelRatio())
    canvas.height = Math.round(this.size.h * pixelRatio())
    this.host.prepend(canvas)
    return canvas
  }

  private start(plain: boolean): void {
    this.renderer = (plain ? null : webglRenderer(this.canvas)) ?? canvas2dRenderer(this.canvas)
    this.host.dataset.renderer = this.kind
    if (this.renderer?.kind === 'webgl2') {
      this.canvas.addEventListener('webglcontextlost', this.lost)
      this.canvas.addEventListener('webglcontextrestored', this.restored)
    }
    this.renderer?.resize(this.size.w, this.size.h, pixelRatio())
    this.renderer?.setPalette(readPalette(this.host))
    this.renderer?.setScene(this.scene)
    this.draw()
  }

  /** The browser may give the context back; when it does not, Canvas2D takes over. */
  private lost = (event: Event) => {
    event.preventDefault()
    this.restoreTimer = setTimeout(() => this.replace(true), restoreMs)
  }

  private restored = () => {
    clearTimeout(this.restoreTimer)
    this.replace(false)
  }

  /** A canvas keeps its first kind of context, so another kind needs another canvas. */
  private replace(plain: boolean): void {
    if (this.listen.signal.aborted) return
    this.canvas.removeEventListener('webglcontextlost', this.lost)
    this.canvas.removeEventListener('webglcontextrestored', this.restored)
    this.canvas.remove()
    this.canvas = this.place()
    this.blank = true
    this.start(plain)
  }
}
