import type { HealthState } from '@/api/types'
import type { Polyline } from './geometry'
import { along } from './geometry'
import type { Palette } from './palette'
import type { Frame, Renderer } from './renderer'
import { arrowSize, type Scene, type SceneEdge, type SceneGroup, type SceneNode } from './scene'

/** The renderer for browsers without WebGL2: slower, the same picture. */
export function canvas2dRenderer(canvas: HTMLCanvasElement): Renderer | null {
  const context = canvas.getContext('2d')
  return context ? new Canvas2DRenderer(canvas, context) : null
}

class Canvas2DRenderer implements Renderer {
  readonly kind = 'canvas2d'
  private scene: Scene = { edges: [], nodes: [], groups: [] }
  private palette: Palette | null = null
  private ratio = 1

  constructor(
    private readonly canvas: HTMLCanvasElement,
    private readonly c: CanvasRenderingContext2D,
  ) {}

  resize(width: number, height: number, ratio: number): void {
    this.ratio = ratio
    this.canvas.width = Math.max(1, Math.round(width * ratio))
    this.canvas.height = Math.max(1, Math.round(height * ratio))
  }

  setPalette(palette: Palette): void {
    this.palette = palette
  }

  setScene(scene: Scene): void {
    this.scene = scene
  }

  setStyles(scene: Scene): void {
    this.scene = scene
  }

  draw(frame: Frame): void {
    const { c, palette, ratio } = this
    if (!palette) return
    const { k, x, y } = frame.view
    c.setTransform(1, 0, 0, 1, 0, 0)
    c.clearRect(0, 0, this.canvas.width, this.canvas.height)
    c.setTransform(k * ratio, 0, 0, k * ratio, x * ratio, y * ratio)
    for (const group of this.scene.groups) this.group(group, palette, k)
    for (const edge of this.scene.edges) this.edge(edge, palette, frame)
    if (frame.boxes) for (const node of this.scene.nodes) this.node(node, palette, k)
    c.globalAlpha = 1
  }

  dispose(): void {
    this.scene = { edges: [], nodes: [], groups: [] }
  }

  private group(group: SceneGroup, palette: Palette, k: number): void {
    const { c } = this
    c.globalAlpha = 1
    c.beginPath()
    c.roundRect(group.rect.x, group.rect.y, group.rect.w, group.rect.h, 8)
    c.lineWidth = Math.max(1, 1 / k)
    c.setLineDash(group.dashed ? [4, 3] : [])
    if (!group.dashed) {
      c.fillStyle = palette.group.css
      c.fill()
    }
    c.strokeStyle = palette.line.css
    c.stroke()
  }

  private edge(edge: SceneEdge, palette: Palette, frame: Frame): void {
    const { c } = this
    const { style, line } = edge
    const width = Math.max(style.width, 1 / frame.view.k)
    const arrow = arrowSize(width)
    c.globalAlpha = style.alpha
    c.lineCap = 'butt'
    c.lineJoin = 'round'
    if (style.halo) {
      c.globalAlpha = 0.34
      c.setLineDash([])
      c.strokeStyle = palette.info.css
      c.lineWidth = width + 9
      this.trace(line, line.total)
      c.stroke()
      c.globalAlpha = style.alpha
    }
    const colour = palette[style.tone].css
    c.strokeStyle = colour
    c.lineWidth = width
    c.setLineDash(style.dash ? [...style.dash] : [])
    this.trace(line, line.total - arrow.length)
    c.stroke()
    if (style.flow && frame.flow) this.flow(edge, palette, frame.time)
    c.setLineDash([])
    c.fillStyle = colour
    this.arrow(line, arrow)
  }

  private trace(line: Polyline, until: number): void {
    const { c } = this
    c.beginPath()
    c.moveTo(line.xs[0]!, line.ys[0]!)
    for (let i = 1; i < line.xs.length && line.lengths[i]! <= until; i++) c.lineTo(line.xs[i]!, line.ys[i]!)
    const end = along(line, Math.max(0, until) / (line.total || 1))
    c.lineTo(end.x, end.y)
  }

  private flow({ line, style }: SceneEdge, palette: Palette, time: number): void {
    const { c } = this
    if (!style.flow) return
    c.fillStyle = palette.text.css
    c.globalAlpha = style.alpha * 0.75
    const radius = Math.min(1.1, style.width * 0.3)
    const { gap, speed } = style.flow
    for (let at = (time * speed) % gap; at < line.total - 8; at += gap) {
      const p = along(line, at / line.total)
      c.beginPath()
      c.arc(p.x, p.y, radius, 0, Math.PI * 2)
      c.fill()
    }
    c.globalAlpha = style.alpha
  }

  private arrow(line: Polyline, { length, half }: { length: number; half: number }): void {
    const { c } = this
    const tip = along(line, 1)
    const back = along(line, Math.max(0, line.total - length) / (line.total || 1))
    const dx = (tip.x - back.x) / length
    const dy = (tip.y - back.y) / length
    c.beginPath()
    c.moveTo(tip.x, tip.y)
    c.lineTo(back.x - dy * half, back.y + dx * half)
    c.lineTo(back.x + dy * half, back.y - dx * half)
    c.closePath()
    c.fill()
  }

  private node(node: SceneNode, palette: Palette, k: number): void {
    const { c } = this
    const { x, y, w, h } = node.rect
    c.globalAlpha = node.alpha
    c.beginPath()
    c.roundRect(x, y, w, h, 6)
    c.fillStyle = palette[node.fill].css
    c.fill()
    c.setLineDash(node.dashed ? [5 / k, 3 / k] : [])
    c.lineWidth = (node.halo ? 2.4 : 1.2) / k
    c.strokeStyle = node.halo ? palette.info.css : palette[node.stroke].css
    c.stroke()
    c.setLineDash([])
    glyph(c, node.health, x + w / 2, y + h / 2, h * 0.27, palette)
  }
}

/** The health shape alone: at this size the glyph inside would be noise. */
function glyph(c: CanvasRenderingContext2D, health: HealthState, x: number, y: number, r: number, palette: Palette): void {
  c.beginPath()
  if (health === 'warn') {
    c.moveTo(x, y - r)
    c.lineTo(x + r, y + r * 0.8)
    c.lineTo(x - r, y + r * 0.8)
    c.closePath()
  } else if (health === 'fail') {
    for (let i = 0; i < 8; i++) {
      const a = Math.PI / 8 + (i * Math.PI) / 4
      c.lineTo(x + Math.cos(a) * r, y + Math.sin(a) * r)
    }
    c.closePath()
  } else {
    c.arc(x, y, r * 0.8, 0, Math.PI * 2)
  }
  if (health === 'idle' || health === 'unknown') {
    c.lineWidth = r * 0.28
    c.setLineDash(health === 'unknown' ? [r * 0.5, r * 0.45] : [])
    c.strokeStyle = palette.idle.css
    c.stroke()
    c.setLineDash([])
    return
  }
  c.fillStyle = palette[health].css
  c.fill()
}
