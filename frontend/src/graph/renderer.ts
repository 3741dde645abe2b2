import type { Palette } from './palette'
import type { Scene } from './scene'
import type { View } from './viewport'

/**
 * Draws scenes on one canvas. Two of them exist, for WebGL2 and for Canvas2D;
 * who uses one does not know which.
 */
export type Frame = {
  view: View
  /** Seconds, for the flow dots; stands still when they do. */
  time: number
  /** Nodes as boxes with glyphs, for when they are too small to be cards. */
  boxes: boolean
  flow: boolean
}

export type Renderer = {
  readonly kind: 'webgl2' | 'canvas2d'
  resize: (width: number, height: number, ratio: number) => void
  setPalette: (palette: Palette) => void
  /** Somebody moved, came or left. */
  setScene: (scene: Scene) => void
  /** Only figures changed: same elements, in the same order, at the same places. */
  setStyles: (scene: Scene) => void
  draw: (frame: Frame) => void
  dispose: () => void
}
