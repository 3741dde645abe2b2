import type { HealthState } from '@/api/types'
import type { Colour, Palette } from './palette'
import type { Frame, Renderer } from './renderer'
import type { Scene, SceneGroup, SceneNode } from './scene'
import { arrowFragment, arrowVertex, boxFragment, boxVertex, edgeFragment, edgesPerRow, edgeVertex } from './shaders'

/**
 * The WebGL2 renderer: one draw call for the boxes, one each for halos, edges
 * and arrowheads. Geometry is uploaded when somebody moves, a style texture
 * with every tick, and a frame uploads nothing.
 */
export function webglRenderer(canvas: HTMLCanvasElement): Renderer | null {
  const gl = canvas.getContext('webgl2', { antialias: false, premultipliedAlpha: true, powerPreference: 'low-power' })
  if (!gl) return null
  try {
    return new WebGLRenderer(canvas, gl)
  } catch {
    return null // a driver that compiles no shader is as good as none
  }
}

const edgeFloats = 7
const boxFloats = 20
const glyphs: Record<HealthState, number> = { ok: 1, warn: 2, fail: 3, idle: 4, unknown: 4 }
const clear: Colour = [0, 0, 0, 0]

class WebGLRenderer implements Renderer {
  readonly kind = 'webgl2'
  private readonly programs
  private readonly edges: Mesh
  private readonly arrows: Mesh
  private readonly groups: Mesh
  private readonly nodes: Mesh
  private readonly styles: WebGLTexture
  private palette: Palette | null = null
  private scene: Scene = { edges: [], nodes: [], groups: [] }
  private width = 1
  private height = 1
  private ratio = 1

  constructor(
    private readonly canvas: HTMLCanvasElement,
    private readonly gl: WebGL2RenderingContext,
  ) {
    this.programs = {
      edge: new Program(gl, edgeVertex, edgeFragment),
      arrow: new Program(gl, arrowVertex, arrowFragment),
      box: new Program(gl, boxVertex, boxFragment),
    }
    // Asked for once all are on their way: the driver compiles them at the same time.
    for (const program of Object.values(this.programs)) program.check()
    this.edges = new Mesh(gl, [2, 2, 3])
    this.arrows = new Mesh(gl, [2, 2, 2, 1])
    this.groups = new Mesh(gl, [4, 4, 4, 4, 4], true)
    this.nodes = new Mesh(gl, [4, 4, 4, 4, 4], true)
    this.styles = gl.createTexture()
    gl.enable(gl.BLEND)
    gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA)
  }

  resize(width: number, height: number, ratio: number): void {
    this.width = Math.max(1, width)
    this.height = Math.max(1, height)
    this.ratio = ratio
    const [w, h] = [Math.round(this.width * ratio), Math.round(this.height * ratio)]
    if (this.canvas.width !== w) this.canvas.width = w
    if (this.canvas.height !== h) this.canvas.height = h
  }

  setPalette(palette: Palette): void {
    this.palette = palette
    this.uploadStyles()
    this.uploadBoxes()
  }

  setScene(scene: Scene): void {
    this.scene = scene
    this.edges.upload(strips(scene))
    this.arrows.upload(heads(scene))
    this.uploadStyles()
    this.uploadBoxes()
  }

  setStyles(scene: Scene): void {
    this.scene = scene
    this.uploadStyles()
    this.uploadBoxes()
  }

  draw(frame: Frame): void {
    const { gl, palette } = this
    if (!palette || gl.isContextLost()) return
    gl.viewport(0, 0, this.canvas.width, this.canvas.height)
    gl.clearColor(0, 0, 0, 0)
    gl.clear(gl.COLOR_BUFFER_BIT)
    this.boxes(this.groups, frame)
    this.drawEdges(frame, palette)
    if (frame.boxes) this.boxes(this.nodes, frame)
  }

  dispose(): void {
    this.gl.getExtension('WEBGL_lose_context')?.loseContext()
  }

  private drawEdges(frame: Frame, palette: Palette): void {
    const { gl, programs } = this
    if (this.scene.edges.length === 0) return
    gl.activeTexture(gl.TEXTURE0)
    gl.bindTexture(gl.TEXTURE_2D, this.styles)
    this.use(programs.edge, frame)
    gl.uniform1i(programs.edge.at('u_styles'), 0)
    gl.uniform1f(programs.edge.at('u_time'), frame.flow ? frame.time : -1)
    gl.uniform4fv(programs.edge.at('u_dot'), palette.text.rgba)
    const [r, g, b] = palette.info.rgba
    gl.uniform4f(programs.edge.at('u_halo_colour'), r, g, b, 0.34)
    this.edges.bind()
    if (this.scene.edges.some((e) => e.style.halo)) {
      gl.uniform1f(programs.edge.at('u_halo'), 1)
      gl.drawArrays(gl.TRIANGLE_STRIP, 0, this.edges.count)
    }
    gl.uniform1f(programs.edge.at('u_halo'), 0)
    gl.drawArrays(gl.TRIANGLE_STRIP, 0, this.edges.count)
    this.use(programs.arrow, frame)
    gl.uniform1i(programs.arrow.at('u_styles'), 0)
    this.arrows.bind()
    gl.drawArrays(gl.TRIANGLES, 0, this.arrows.count)
  }

  private boxes(mesh: Mesh, frame: Frame): void {
    if (mesh.count === 0) return
    this.use(this.programs.box, frame)
    mesh.bind()
    this.gl.drawArraysInstanced(this.gl.TRIANGLE_STRIP, 0, 4, mesh.count)
  }

  private use(program: Program, frame: Frame): void {
    const { gl } = this
    gl.useProgram(program.handle)
    gl.uniform3f(program.at('u_view'), frame.view.x, frame.view.y, frame.view.k)
    gl.uniform2f(program.at('u_size'), this.width, this.height)
    gl.uniform1f(program.at('u_px'), 1 / (frame.view.k * this.ratio))
  }

  private uploadStyles(): void {
    const { gl, palette } = this
    const { edges } = this.scene
    if (!palette || edges.length === 0) return
    const rows = Math.ceil(edges.length / edgesPerRow)
    const texels = new Float32Array(rows * edgesPerRow * 12)
    let at = 0
    for (const { style, line } of edges) {
      const [r, g, b, a] = palette[style.tone].rgba
      texels[at++] = r
      texels[at++] = g
      texels[at++] = b
      texels[at++] = a
      texels[at++] = style.width
      texels[at++] = style.dash?.[0] ?? 0
      texels[at++] = style.dash?.[1] ?? 0
      texels[at++] = style.alpha
      texels[at++] = style.flow?.gap ?? 0
      texels[at++] = style.flow?.speed ?? 0
      texels[at++] = style.halo ? 1 : 0
      texels[at++] = line.total
    }
    gl.bindTexture(gl.TEXTURE_2D, this.styles)
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA32F, edgesPerRow * 3, rows, 0, gl.RGBA, gl.FLOAT, texels)
    gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MIN_FILTER, gl.NEAREST)
    gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MAG_FILTER, gl.NEAREST)
  }

  private uploadBoxes(): void {
    const { palette } = this
    if (!palette) return
    this.groups.upload(groupBoxes(this.scene.groups, palette))
    this.nodes.upload(nodeBoxes(this.scene.nodes, palette))
  }
}

/** Two vertices a point; edges are joined by vertices without area. */
function strips(scene: Scene): Float32Array {
  const points = scene.edges.reduce((sum, e) => sum + e.line.xs.length + 1, 0)
  const out = new Float32Array(points * 2 * edgeFloats)
  let at = 0
  const repeat = () => {
    out.copyWithin(at, at - edgeFloats, at)
    at += edgeFloats
  }
  scene.edges.forEach(({ line: { xs, ys, lengths } }, edge) => {
    const last = xs.length - 1
    for (let i = 0; i <= last; i++) {
      const before = Math.max(0, i - 1)
      const after = Math.min(last, i + 1)
      const dx = xs[after]! - xs[before]!
      const dy = ys[after]! - ys[before]!
      const size = Math.sqrt(dx * dx + dy * dy) || 1
      for (let side = 1; side >= -1; side -= 2) {
        out[at++] = xs[i]!
        out[at++] = ys[i]!
        out[at++] = -dy / size
        out[at++] = dx / size
        out[at++] = lengths[i]!
        out[at++] = side
        out[at++] = edge
        if (i === 0 && side === 1) repeat()
      }
      if (i === last) repeat()
    }
  })
  return out
}

function heads(scene: Scene): Float32Array {
  const out = new Float32Array(scene.edges.length * 3 * 7)
  const corners: readonly [number, number][] = [
    [0, 0],
    [-1, 1],
    [1, 1],
  ]
  let at = 0
  scene.edges.forEach(({ line }, edge) => {
    const last = line.xs.length - 1
    const tipX = line.xs[last]!
    const tipY = line.ys[last]!
    // The direction over the arrow's own length, not over the last short piece.
    let from = last
    while (from > 0 && line.total - line.lengths[from]! < 8) from--
    const dx = line.xs[from]! - tipX
    const dy = line.ys[from]! - tipY
    const size = Math.hypot(dx, dy) || 1
    for (const [across, back] of corners) {
      out.set([tipX, tipY, dx / size, dy / size, across, back, edge], at)
      at += 7
    }
  })
  return out
}

function groupBoxes(groups: SceneGroup[], palette: Palette): Float32Array {
  const out = new Float32Array(groups.length * boxFloats)
  groups.forEach(({ rect, dashed }, i) => {
    out.set([rect.x, rect.y, rect.w, rect.h], i * boxFloats)
    out.set(dashed ? clear : palette.group.rgba, i * boxFloats + 4)
    out.set(palette.line.rgba, i * boxFloats + 8)
    out.set([8, 1, dashed ? 1 : 0, 0], i * boxFloats + 12)
  })
  return out
}

function nodeBoxes(nodes: SceneNode[], palette: Palette): Float32Array {
  const out = new Float32Array(nodes.length * boxFloats)
  const faded = ([r, g, b, a]: Colour, alpha: number): Colour => [r, g, b, a * alpha]
  nodes.forEach((node, i) => {
    const { rect, alpha } = node
    const tone = node.health === 'unknown' ? 'idle' : node.health
    out.set([rect.x, rect.y, rect.w, rect.h], i * boxFloats)
    out.set(faded(palette[node.fill].rgba, alpha), i * boxFloats + 4)
    out.set(faded(palette[node.halo ? 'info' : node.stroke].rgba, alpha), i * boxFloats + 8)
    out.set([6, node.halo ? 2.4 : 1.2, node.dashed ? 1 : 0, glyphs[node.health]], i * boxFloats + 12)
    out.set(faded(palette[tone].rgba, alpha), i * boxFloats + 16)
  })
  return out
}

/** A vertex array of interleaved floats; instanced ones come with a unit square. */
class Mesh {
  count = 0
  private readonly array: WebGLVertexArrayObject
  private readonly buffer: WebGLBuffer
  private readonly floats: number

  constructor(
    private readonly gl: WebGL2RenderingContext,
    sizes: number[],
    instanced = false,
  ) {
    this.array = gl.createVertexArray()
    this.buffer = gl.createBuffer()
    this.floats = sizes.reduce((a, b) => a + b, 0)
    gl.bindVertexArray(this.array)
    if (instanced) {
      gl.bindBuffer(gl.ARRAY_BUFFER, gl.createBuffer())
      gl.bufferData(gl.ARRAY_BUFFER, new Float32Array([0, 0, 1, 0, 0, 1, 1, 1]), gl.STATIC_DRAW)
      gl.enableVertexAttribArray(0)
      gl.vertexAttribPointer(0, 2, gl.FLOAT, false, 0, 0)
    }
    gl.bindBuffer(gl.ARRAY_BUFFER, this.buffer)
    let offset = 0
    sizes.forEach((size, i) => {
      const location = instanced ? i + 1 : i
      gl.enableVertexAttribArray(location)
      gl.vertexAttribPointer(location, size, gl.FLOAT, false, this.floats * 4, offset)
      if (instanced) gl.vertexAttribDivisor(location, 1)
      offset += size * 4
    })
    gl.bindVertexArray(null)
  }

  upload(data: Float32Array): void {
    this.count = data.length / this.floats
    this.gl.bindBuffer(this.gl.ARRAY_BUFFER, this.buffer)
    this.gl.bufferData(this.gl.ARRAY_BUFFER, data, this.gl.DYNAMIC_DRAW)
  }

  bind(): void {
    this.gl.bindVertexArray(this.array)
  }
}

class Program {
  readonly handle: WebGLProgram
  private readonly shaders: WebGLShader[] = []
  private readonly locations = new Map<string, WebGLUniformLocation | null>()

  constructor(
    private readonly gl: WebGL2RenderingContext,
    vertex: string,
    fragment: string,
  ) {
    this.handle = gl.createProgram()
    for (const [kind, source] of [
      [gl.VERTEX_SHADER, vertex],
      [gl.FRAGMENT_SHADER, fragment],
    ] as const) {
      const shader = gl.createShader(kind)
      if (!shader) throw new Error('create shader: context lost')
      gl.shaderSource(shader, source)
      gl.compileShader(shader)
      gl.attachShader(this.handle, shader)
      this.shaders.push(shader)
    }
    gl.linkProgram(this.handle)
  }

  /** Throws when it did not compile or link. */
  check(): void {
    const { gl, handle } = this
    if (gl.getProgramParameter(handle, gl.LINK_STATUS)) return
    const logs = this.shaders.map((s) => gl.getShaderInfoLog(s))
    throw new Error(`link program: ${[gl.getProgramInfoLog(handle), ...logs].filter(Boolean).join('; ')}`)
  }

  at(name: string): WebGLUniformLocation | null {
    let found = this.locations.get(name)
    if (found === undefined) {
      found = this.gl.getUniformLocation(this.handle, name)
      this.locations.set(name, found)
    }
    return found
  }
}
