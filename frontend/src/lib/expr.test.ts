import { describe, expect, it } from 'vitest'
import { readExpression, wordAt } from './expr'

const fields = new Set(['errors', 'p95', 'protocol', 'from', 'path', 'mtls'])
const read = (source: string) => readExpression(source, fields)
const kinds = (source: string) => read(source).tokens.filter((t) => t.kind !== 'space').map((t) => `${t.kind}:${t.text}`)

describe('readExpression', () => {
  it('covers the source without gaps, whatever it is', () => {
    for (const source of ['', '  ', '(errors > 1 % or p95>250ms) and not protocol = tcp', '((', 'a = = b', 'path ~ /v(1|2)/', "x = 'un", '!!mtls', 'und ≤ ü']) {
      const { tokens } = read(source)
      expect(tokens.map((t) => t.text).join('')).toBe(source)
      tokens.forEach((t, i) => expect(t.start).toBe(i === 0 ? 0 : tokens[i - 1]?.end))
    }
  })

  it('tells fields, operators, values, joiners and brackets apart', () => {
    expect(kinds('(errors > 1 or p95 >= 250ms) and not protocol = tcp')).toEqual([
      'bracket:(', 'field:errors', 'op:>', 'value:1', 'joiner:or', 'field:p95', 'op:>=', 'value:250ms', 'bracket:)',
      'joiner:and', 'joiner:not', 'field:protocol', 'op:=', 'value:tcp',
    ])
  })

  it('keeps a unit with its number', () => {
    expect(kinds('errors > 1 % and p95 > 1.5 s')).toEqual(['field:errors', 'op:>', 'value:1', 'value: %', 'joiner:and', 'field:p95', 'op:>', 'value:1.5', 'value: s'])
  })

  it('reads operator letters and brackets inside a value as its text', () => {
    expect(kinds('path = /search?q=a')).toEqual(['field:path', 'op:=', 'value:/search?q=a'])
    expect(kinds('(path ~ /v(1|2)/)')).toEqual(['bracket:(', 'field:path', 'op:~', 'value:/v(1|2)/', 'bracket:)'])
  })

  it('gives each comparison its own chip', () => {
    const chips = read('errors > 1 p95 > 2').tokens.filter((t) => t.kind === 'field').map((t) => t.chip)
    expect(chips).toEqual([1, 2])
  })

  it.each([
    ['errors > 1 %', null],
    ['mtls', null],
    ['not (web or tickets)', null],
    ['!mtls web', null],
    ['"two words"', null],
    ['', null],
    ['errors >', '"errors >" needs a value'],
    ['erors > 1', 'no field "erors", did you mean errors?'],
    ['whatever = 1', 'no field "whatever"'],
    ['> 1', '">" needs a field before it'],
    ['and web', '"and" needs something before it'],
    ['web or', '"or" needs something after it'],
    ['web and or tickets', '"or" needs something before it'],
    ['(web', 'this bracket is not closed'],
    ['web)', 'this bracket closes nothing'],
    ['()', 'nothing stands between these brackets'],
    ['not', '"not" needs something after it'],
    ["from = 'web", 'this text has no closing quote'],
  ])('judges %s', (source, message) => {
    expect(read(source).error?.message ?? null).toBe(message)
  })

  it('points at the wrong part', () => {
    const { error } = read('mtls and erors > 1')
    expect([error?.start, error?.end]).toEqual([9, 14])
  })
})

describe('wordAt', () => {
  it('gives the word before the caret where a field may stand', () => {
    expect(wordAt('errors > 1 and p9', 17)).toEqual({ start: 15, word: 'p9' })
    expect(wordAt('', 0)).toEqual({ start: 0, word: '' })
  })
  it('gives none where a value is being typed, or text', () => {
    expect(wordAt('protocol = ht', 13)).toBeNull()
    expect(wordAt("from = 'a b", 11)).toBeNull()
  })
})
