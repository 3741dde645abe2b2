import { describe, expect, it } from 'vitest'
import { type Kept, PositionStore } from './positions'

const minute = 60_000

function storage(initial?: string) {
  let value = initial ?? null
  return { getItem: () => value, setItem: (_: string, next: string) => void (value = next) }
}

describe('positions of last time', () => {
  it('come back, pins forever and others for ten minutes', () => {
    const store = new PositionStore(storage(), () => 20 * minute)
    const at = { x: 1, y: 2 }
    const kept: [string, Kept][] = [
      ['here', { at, pinned: false, seen: 19 * minute }],
      ['gone', { at, pinned: false, seen: 5 * minute }],
      ['pinned', { at, pinned: true, seen: 0 }],
    ]
    store.save('workload', new Map(kept))
    expect([...store.load('workload').keys()]).toEqual(['here', 'pinned'])
    expect(store.load('workload').get('pinned')).toEqual({ at, pinned: true, seen: 0 })
  })

  it.each(['', 'null', '7', '"abcd"', '[1]', '{', '{"a":[1,2,"3",4],"b":[1,2],"c":null}'])('are none where storage holds %s', (damaged) => {
    expect(new PositionStore(storage(damaged)).load('workload').size).toBe(0)
  })
})
