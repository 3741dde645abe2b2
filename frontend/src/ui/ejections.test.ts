import { describe, expect, it } from 'vitest'
import type { EjectionEvent } from '@/api/types'
import { outOf } from './ejections'

const at = (s: number) => new Date(1_000_000 + s * 1000).toISOString()
const event = (s: number, endpoint: string, more: Partial<EjectionEvent> = {}): EjectionEvent => ({
  at: at(s), node: 'web-1', caller: 'front/web', host: 'tickets', subset: '', endpoint, returned: false, status: 503, out: 1, of: 2, until: at(s + 15), object: 'DestinationRule a/b', ...more,
})

describe('outOf', () => {
  it('pairs each ejection with its return; who is out stands first', () => {
    const rows = outOf([event(0, 'a:1'), event(15, 'a:1', { returned: true, until: null }), event(20, 'b:1'), event(40, 'a:1', { node: 'web-2' })])
    expect(rows.map((r) => [r.endpoint, r.node, r.spans.map((s) => [s.from - 1_000_000, s.to === null ? null : s.to - 1_000_000])])).toEqual([
      ['a:1', 'web-2', [[40_000, null]]],
      ['b:1', 'web-1', [[20_000, null]]],
      ['a:1', 'web-1', [[0, 15_000]]],
    ])
    expect(rows[1]?.until).toBe(1_035_000)
    expect(rows[2]?.until).toBeNull()
  })
  it('keeps to one caller, and bears half a story', () => {
    expect(outOf([event(0, 'a:1', { caller: 'x/y' })], 'front/web')).toEqual([])
    expect(outOf([event(0, 'a:1', { returned: true })])).toEqual([])
    expect(outOf([event(0, 'a:1'), event(9, 'a:1')])[0]?.spans).toHaveLength(2)
  })
})
