import { describe, expect, it } from 'vitest'
import { axisEnd, compareBuilds, newestBuild, stripAxis } from './axis'
import { nodeStatus } from './fixtures/nodes'

const to = Date.parse('2025-01-01T14:30:00Z')
const since = (at: string) => [nodeStatus({ history: [{ at, state: 'synced', revision: 1 }] })]

describe('stripAxis', () => {
  it.each([
    ['2025-01-01T14:26:00Z', 5],
    ['2025-01-01T14:12:00Z', 30],
    ['2025-01-01T10:00:00Z', 30],
  ])('begins near the first thing known: %s', (at, minutes) => {
    const { window } = stripAxis(since(at), null, to)
    expect((window.to - window.from) / 60_000).toBe(minutes)
  })
  it('ends at a step, so that a strip is not painted anew for a fraction of a pixel', () => {
    expect(axisEnd(to + 1)).toBe(axisEnd(to + 1999))
  })
})

describe('builds', () => {
  it.each([
    ['1.10.0', '1.9.9', 1],
    ['v1.8.0', '1.8.0', 0],
    ['1.8.0', '1.8.0-rc1', 1],
    ['1.8', '1.8.1', -1],
    ['dev', '1.8.0', 1],
  ])('%s against %s', (a, b, want) => expect(Math.sign(compareBuilds(a, b))).toBe(want))
  it('finds the newest among those that tell one', () => {
    expect(newestBuild([nodeStatus({ build: '' }), nodeStatus({ build: '1.9.1' }), nodeStatus({ build: '1.10.0' })])).toBe('1.10.0')
  })
})
