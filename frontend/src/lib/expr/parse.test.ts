import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { type Field, parse, type Value } from './parse'

/** The cases that the server's reader is held to as well. */
type Language = {
  fields: { name: string; aliases?: string[]; keyed?: boolean; kind: 'text' | 'number' | 'bool'; unit?: Field<null>['unit']; value: Value; words?: boolean }[]
  matches: { source: string; match: boolean }[]
  wrong: { source: string; part: string; says: string }[]
}
const language = JSON.parse(readFileSync(new URL('../../../../mesh/expr/testdata/language.json', import.meta.url), 'utf8')) as Language
const schema = {
  fields: language.fields.map((f): Field<null> => ({ name: f.name, aliases: f.aliases, keyed: f.keyed, help: '', kind: f.kind, unit: f.unit, get: () => f.value })),
  words: () => language.fields.filter((f) => f.words).map((f) => String(f.value)),
}

describe('parse', () => {
  it.each(language.matches)('$source', ({ source, match }) => {
    const parsed = parse(source, schema)
    if (parsed.match === null) throw parsed.error
    expect(parsed.match(null)).toBe(match)
  })

  it.each([
    ...language.wrong,
    { source: `${'('.repeat(80)}meshed`, part: '(', says: 'nested deeper' },
    { source: `${'not '.repeat(80)}meshed`, part: 'not', says: 'nested deeper' },
    { source: 'x'.repeat(5000), part: '', says: 'longer than' },
  ])('$source is wrong', ({ source, part, says }) => {
    const { error } = parse(source, schema)
    expect(error?.message).toContain(says)
    if (part !== '') expect(source.slice(error?.start, error?.end)).toBe(part)
  })

  it('leaves to the server what only the server knows', () => {
    const named = { fields: [{ name: 'errors', help: '' }] }
    for (const source of ['errors > 1 %', 'errors ^= 5', 'errors', 'some words errors != x']) expect(parse(source, named).error).toBeNull()
    expect(parse('erors > 1 %', named).error?.message).toBe('no field is called "erors", did you mean "errors"?')
  })
})
