import { foldQuiet, reveal } from './tree'
import type { SpanTree } from './tree'

/**
 * Folding holds which subtrees of one trace are folded. The array is changed
 * in place, since a trace may have 80 000 spans; listeners learn of it by the
 * version.
 */
export class Folding {
  readonly folded: Uint8Array
  readonly #tree: SpanTree
  #version = 0
  readonly #listeners = new Set<() => void>()

  constructor(tree: SpanTree) {
    this.#tree = tree
    this.folded = new Uint8Array(tree.size)
  }

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }
  readonly version = (): number => this.#version

  fold(i: number, on: boolean): void {
    if ((this.folded[i] === 1) === on) return
    this.folded[i] = on ? 1 : 0
    this.#changed()
  }

  /** Opens the way to span i. */
  reveal(i: number): void {
    if (reveal(this.#tree, this.folded, i)) this.#changed()
  }

  /** Folds every subtree without an error. */
  quiet(): void {
    foldQuiet(this.#tree, this.folded)
    this.#changed()
  }

  none(): void {
    this.folded.fill(0)
    this.#changed()
  }

  #changed(): void {
    this.#version++
    for (const l of this.#listeners) l()
  }
}
