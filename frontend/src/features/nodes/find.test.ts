import { describe, expect, it } from 'vitest'
import { parse } from '@/lib/expr/parse'
import { nodeSchema } from './find'
import { nodeStatus } from './fixtures/nodes'

const node = nodeStatus({ id: 'tickets-1', state: 'rejected', lag_s: 815, build: '1.7.4', revision: 4127, behind: 1 })

describe('what is asked of nodes', () => {
  it.each([
    ['tickets', true],
    ['posters', false],
    ['state != synced or lag > 5 s', true],
    ['state = synced or lag > 20min', false],
    ['lag > 13 min', true],
    ['build ^= 1.7 revision = 4127', true],
    ['!connected', false],
    ['odd and (namespace = front or namespace = cinema)', true],
    ['node = cinema/tickets', true],
    ['reason *= "not registered"', true],
  ])('%s', (source, want) => {
    const parsed = parse(source, nodeSchema)
    if (parsed.match === null) throw parsed.error
    expect(parsed.match(node)).toBe(want)
  })
})
