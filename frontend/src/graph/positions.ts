import type { Point } from './geometry'

/**
 * Where everybody stood last time, in this browser. A node that left keeps its
 * place for some minutes, so that one that restarts comes back to where it was.
 */

const keepMs = 10 * 60_000

/** As stored: x, y, 1 where it is pinned, and when it was seen. */
type Place = [number, number, number, number]

export type Kept = { at: Point; pinned: boolean; seen: number }

export class PositionStore {
  constructor(
    private readonly storage: Pick<Storage, 'getItem' | 'setItem'> | null,
    private readonly now: () => number = Date.now,
  ) {}

  load(level: string): Map<string, Kept> {
    try {
      const stored: unknown = JSON.parse(this.storage?.getItem(key(level)) ?? '{}')
      const kept = Object.entries(stored ?? {}).filter((entry): entry is [string, Place] => isPlace(entry[1]))
      return new Map(kept.map(([id, [x, y, pinned, seen]]) => [id, { at: { x, y }, pinned: pinned === 1, seen }]))
    } catch {
      return new Map() // a storage that is full, off or damaged costs the positions, nothing else
    }
  }

  save(level: string, kept: ReadonlyMap<string, Kept>): void {
    const oldest = this.now() - keepMs
    const out: Record<string, Place> = {}
    for (const [id, k] of kept) {
      if (k.pinned || k.seen >= oldest) out[id] = [k.at.x, k.at.y, k.pinned ? 1 : 0, k.seen]
    }
    try {
      this.storage?.setItem(key(level), JSON.stringify(out))
    } catch {
      // as above
    }
  }
}

function isPlace(value: unknown): value is Place {
  return Array.isArray(value) && value.length === 4 && value.every((v) => Number.isFinite(v))
}

function key(level: string): string {
  return `sidelight.graph.${level}`
}
