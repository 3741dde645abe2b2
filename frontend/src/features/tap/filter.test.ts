import { expect, it } from 'vitest'
import { filterOf } from './filter'

it.each([
  ['', [], ''],
  [' error ', [], 'error'],
  ['', ['cinema'], 'namespace = cinema'],
  ['error or status = 0', ['cinema', 'front'], '(namespace = cinema or namespace = front) and (error or status = 0)'],
])('%j within %j', (q, ns, want) => expect(filterOf(q, ns)).toBe(want))
