import { expect, it } from 'vitest'
import { filterOf } from './filter'

it.each([
  ['', [], '', ''],
  [' error ', [], '', 'error'],
  ['', ['cinema'], '', 'namespace = cinema'],
  ['', [], 'outbound', 'direction = outbound'],
  ['a = 1 or b = 2', [], 'inbound', 'direction = inbound and (a = 1 or b = 2)'],
  ['error or status = 0', ['cinema', 'front'], '', '(namespace = cinema or namespace = front) and (error or status = 0)'],
  ['error', ['cinema'], 'outbound', 'direction = outbound and namespace = cinema and (error)'],
] as const)('%j within %j, told by %j', (q, ns, side, want) => expect(filterOf(q, ns, side)).toBe(want))
