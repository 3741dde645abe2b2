import { describe, expect, it } from 'vitest'
import { parse } from './expression'
import { nodeSchema } from './find'
import { nodeStatus } from './fixtures/nodes'

const node = nodeStatus({ id: 'tickets-1', state: 'rejected', lag_s: 815, build: '1.7.4', revision: 4127, behind: 1 })
const match = (src: string) => {
  const p = parse(src, nodeSchema)
  if (p.match === null) throw new Error(p.error)
  return p.match(node)
}

describe('parse', () => {
  it.each([
    ['', true],
    ['tickets', true],
    ['TICKETS-1', true],
    ['posters', false],
    ['state != synced or lag > 5 s', true],
    ['state = synced or lag > 20min', false],
    ['lag > 13 min', true],
    ['lag>14m', false],
    ['build ^= 1.7 revision = 4127', true],
    ['build ^= 1.7 and not behind', false],
    ['!connected', false],
    ['odd and (namespace = front or namespace = cinema)', true],
    ['namespace=front or namespace=cinema and state=synced', false],
    ['node ~ ^tick.*\\d$', true],
    ['node = cinema/tickets', true],
    ['connected = yes', true],
    ['reason *= "not registered"', true],
  ])('%s', (src, want) => expect(match(src)).toBe(want))

  it.each([
    ['state =', 'at 7: "=" needs a value after it'],
    ['(state = synced', 'at 1: this bracket is never closed'],
    ['a)', 'at 2: this bracket closes nothing'],
    ['stat = synced', 'at 1: no field is called "stat"'],
    ['lag ^= 5', 'at 5: "^=" compares text'],
    ['lag > soon', 'at 7: "soon" is not a number'],
    ['lag > 5 or or', 'at 12: "or" needs something before it'],
    ['lag > 5parsec', 'at 7: "parsec" is no unit'],
    ['"open', 'at 1: this text has no closing quote'],
    ['node ~ [', 'at 8: this is no regular expression'],
    ['('.repeat(80), 'nested deeper than 64'],
  ])('%s says where it is wrong', (src, want) => expect(parse(src, nodeSchema).error).toContain(want))
})
