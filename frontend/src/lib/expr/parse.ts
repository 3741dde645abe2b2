import type { FieldHelp } from '@/lib/shell'
import { compareBool, compareNumber, compareText, isUnit, present } from './compare'
import { ExprError, type Token, tokenAt, valueAt } from './lex'

/**
 * The expression language: what package mesh/expr is on the server, with its
 * grammar, its rules and its words (docs/expressions.md). Both are held to the
 * cases of mesh/expr/testdata/language.json.
 *
 * Schemas of lists that are filtered here say how to read a field; those of
 * graph and tap only name it, and the server judges the rest.
 */

export type Value = string | number | boolean | readonly string[]
export type Match<T> = (item: T) => boolean
export type Schema<T> = {
  fields: readonly Field<T>[]
  /** Texts that a bare word is searched in. */
  words?: (item: T) => readonly string[]
}
export type Field<T> = FieldHelp & { kind?: 'text' | 'number' | 'bool'; unit?: Unit; get?: (item: T) => Value }
/** What a number's bare form means: ms, a share of 1, bytes, a code such as 5xx. */
export type Unit = 'plain' | 'millis' | 'ratio' | 'bytes' | 'code'

const maxSource = 4096
const maxDepth = 64

export type Parsed<T> = { match: Match<T>; error: null } | { match: null; error: ExprError }

/** Compiles an expression; the empty one matches everything. */
export function parse<T>(source: string, schema: Schema<T>): Parsed<T> {
  try {
    if (source.length > maxSource) throw new ExprError({ start: maxSource, end: source.length }, `longer than ${maxSource} bytes`)
    return { match: new Parser(source, schema).all(), error: null }
  } catch (e) {
    if (e instanceof ExprError) return { match: null, error: e }
    throw e
  }
}

class Parser<T> {
  private token: Token
  private depth = 0

  constructor(
    private readonly source: string,
    private readonly schema: Schema<T>,
  ) {
    this.token = tokenAt(source, 0)
  }

  all(): Match<T> {
    if (this.token.kind === 'end') return () => true
    const match = this.or()
    // What or() leaves can only be a bracket.
    if ((this.token as Token).kind !== 'end') throw new ExprError(this.token, 'this bracket closes nothing')
    return match
  }

  private advance(): void {
    this.token = tokenAt(this.source, this.token.end)
  }

  private keyword(word: string): boolean {
    return this.token.kind === 'word' && this.token.text.toLowerCase() === word
  }

  private or(): Match<T> {
    const parts = [this.and()]
    while (this.keyword('or')) {
      this.advance()
      parts.push(this.and())
    }
    return parts.length === 1 ? parts[0]! : (item) => parts.some((m) => m(item))
  }

  private and(): Match<T> {
    const parts = [this.not()]
    while (this.token.kind !== 'end' && this.token.kind !== 'close' && !this.keyword('or')) {
      if (this.keyword('and')) this.advance()
      parts.push(this.not())
    }
    return parts.length === 1 ? parts[0]! : (item) => parts.every((m) => m(item))
  }

  private not(): Match<T> {
    if (this.token.kind !== 'not' && !this.keyword('not')) return this.primary()
    this.enter()
    this.advance()
    const operand = this.not()
    this.depth--
    return (item) => !operand(item)
  }

  private enter(): void {
    if (++this.depth > maxDepth) throw new ExprError(this.token, `nested deeper than ${maxDepth}`)
  }

  private primary(): Match<T> {
    const { kind, text } = this.token
    if (kind === 'open') return this.bracket()
    if (kind === 'end') throw new ExprError(this.token, 'something is missing here', 'a field, a word or a bracket')
    if (kind === 'quoted') {
      this.advance()
      return this.word(text)
    }
    if (kind !== 'word') throw new ExprError(this.token, `"${text}" does not fit here`, 'a field, a word or a bracket')
    if (this.keyword('and') || this.keyword('or')) throw new ExprError(this.token, `"${text}" needs something before it`)
    return this.operand()
  }

  private bracket(): Match<T> {
    const open = this.token
    this.enter()
    this.advance()
    const inner = this.or()
    if (this.token.kind !== 'close') throw new ExprError(open, 'this bracket is never closed')
    this.depth--
    this.advance()
    return inner
  }

  /** "field op value", a field alone, or a word. */
  private operand(): Match<T> {
    const name = this.token
    const field = fieldNamed(this.schema.fields, name.text)
    if (field?.keyed && !keyOf(name.text)) {
      const plain = name.text.replace('[]', '')
      throw new ExprError(name, `"${plain}" needs a name in brackets`, `write ${plain}[user-agent]`)
    }
    this.advance()
    if (this.token.kind !== 'op') return field ? present(field) : this.word(name.text)
    if (!field) throw new ExprError(name, `no field is called "${name.text}"`, near(name.text, this.schema.fields))
    const op = this.token
    let value = valueAt(this.source, op.end)
    if (value.kind === 'end') throw new ExprError(op, `"${op.text}" needs a value after it`)
    this.token = value
    if (field.kind === 'number') {
      // "%errors > 5": the name says the unit.
      if (name.text.startsWith('%') && field.unit === 'ratio' && !value.text.endsWith('%')) value = { ...value, text: `${value.text}%` }
      const apart = this.unitApart(field.unit ?? 'plain', value)
      if (apart) this.token = apart
      const match = compareNumber(field, op, value, apart)
      this.advance()
      return match
    }
    const match = field.kind === 'bool' ? compareBool(field, op, value) : compareText(field, op, value)
    this.advance()
    return match
  }

  /** The unit may stand apart, as in "2 %": then it is the next token. */
  private unitApart(unit: Unit, value: Token): Token | null {
    if (!/[\d.]$/.test(value.text)) return null
    try {
      const next = tokenAt(this.source, value.end)
      return next.kind === 'word' && isUnit(unit, next.text) ? next : null
    } catch {
      return null // what follows is wrong by itself, and is told when it is read
    }
  }

  private word(text: string): Match<T> {
    const want = text.toLowerCase()
    const { words } = this.schema
    return words ? (item) => words(item).some((w) => w.toLowerCase().includes(want)) : () => true
  }
}

export function fieldNamed<F extends FieldHelp>(fields: readonly F[], name: string): F | undefined {
  const want = name.toLowerCase()
  const bare = want.replace(/\[[^[]*\]$/, '')
  return fields.find((f) => [f.name, ...(f.aliases ?? [])].includes(f.keyed ? bare : want))
}

/** What stands in brackets behind a field's name. */
const keyOf = (name: string) => /\[(.+)\]$/.exec(name)?.[1] ?? ''

/** The field that was probably meant, else all there are. */
function near(name: string, fields: readonly FieldHelp[]): string {
  let best = ''
  let least = 3
  for (const field of fields) {
    for (const other of [field.name, ...(field.aliases ?? [])]) {
      const edits = distance(name.toLowerCase(), other)
      if (edits < least) [best, least] = [field.name, edits]
    }
  }
  return best === '' ? `fields: ${fields.map((f) => f.name).join(', ')}` : `did you mean "${best}"?`
}

/** Edits of one letter, swaps of neighbours included, that turn a into b. */
function distance(a: string, b: string): number {
  if (Math.abs(a.length - b.length) > 2) return 3
  let before: number[] = []
  let last = Array.from({ length: b.length + 1 }, (_, i) => i)
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    for (let j = 1; j <= b.length; j++) {
      row.push(Math.min(last[j]! + 1, row[j - 1]! + 1, last[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)))
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) row[j] = Math.min(row[j]!, before[j - 2]! + 1)
    }
    before = last
    last = row
  }
  return last[b.length]!
}
