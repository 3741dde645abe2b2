import { describe, expect, it } from 'vitest'
import { readExpression, valueBefore, wordAt } from './read'

const fields = ['errors', 'p95', 'protocol', 'from', 'path', 'mtls'].map((name) => ({ name, help: '' }))
const read = (source: string) => readExpression(source, fields)
const kinds = (source: string) => read(source).pieces.filter((t) => t.kind !== 'space').map((t) => `${t.kind}:${t.text}`)

describe('readExpression', () => {
  it('covers the source without gaps, whatever it is', () => {
    for (const source of ['', '  ', '(errors > 1 % or p95>250ms) and not protocol = tcp', '((', 'a = = b', 'path ~ /v(1|2)/', "x = 'un", '"un', '!!mtls', 'und ≤ ü', 'mtls =  ', 'a ) b']) {
      const { pieces } = read(source)
      expect(pieces.map((t) => t.text).join('')).toBe(source)
      pieces.forEach((t, i) => expect(t.start).toBe(i === 0 ? 0 : pieces[i - 1]?.end))
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

  it('gives each comparison its own chip', () => {
    const chips = read('errors > 1 p95 > 2').pieces.filter((t) => t.kind === 'field').map((t) => t.chip)
    expect(chips).toEqual([1, 2])
  })

  it('points at the wrong part', () => {
    const { error } = read('mtls and erors > 1')
    expect([error?.start, error?.end]).toEqual([9, 14])
  })

  it('takes all as words where there are no fields', () => {
    expect(readExpression('a > (', [])).toMatchObject({ error: null, pieces: [{ kind: 'word', text: 'a > (' }] })
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

describe('valueBefore', () => {
  it.each([
    ['health = ', { start: 9, word: '', field: 'health' }],
    ['errors > 1 % and health=fa', { start: 24, word: 'fa', field: 'health' }],
    ['not (kind != wo', { start: 13, word: 'wo', field: 'kind' }],
    ['health', null],
    ['= x', null],
    ['health = "fa', null],
  ])('%s', (source, expected) => {
    expect(valueBefore(source, source.length)).toEqual(expected)
  })
})
