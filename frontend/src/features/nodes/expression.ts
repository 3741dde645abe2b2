/**
 * The expression language of Sidelight for lists that are filtered here, with
 * the grammar of the server's (mesh/expr): "or", "and" or juxtaposition,
 * "not", brackets, `field op value`, a field alone, a bare word.
 */

export type FieldValue = string | number | boolean
export type Field<T> = {
  name: string
  help: string
  kind: 'text' | 'number' | 'bool'
  /** Factors of the units that may follow a number; "" is the field's own. */
  units?: Readonly<Record<string, number>>
  values?: readonly string[]
  get: (item: T) => FieldValue | readonly string[]
}
export type Schema<T> = { fields: readonly Field<T>[]; words: (item: T) => readonly string[] }
export type Match<T> = (item: T) => boolean
export type Parsed<T> = { match: Match<T>; error: '' } | { match: null; error: string }

type Token = { kind: 'end' | '(' | ')' | 'op' | 'not' | 'word' | 'quoted'; text: string; pos: number; end: number }

const OPS = ['!=', '<=', '>=', '^=', '$=', '*=', '=', '<', '>', '~'] as const
const SPACE = /\s/

class Wrong extends Error {
  constructor(pos: number, message: string) {
    super(`at ${pos + 1}: ${message}`)
  }
}

/** parse compiles src; the empty expression matches everything. */
export function parse<T>(src: string, schema: Schema<T>): Parsed<T> {
  try {
    const p = new Parser(src, schema)
    return { match: p.all(), error: '' }
  } catch (e) {
    if (e instanceof Wrong) return { match: null, error: e.message }
    throw e
  }
}

const opAt = (src: string, pos: number): string => OPS.find((op) => src.startsWith(op, pos)) ?? ''

function skip(src: string, pos: number): number {
  while (pos < src.length && SPACE.test(src[pos]!)) pos++
  return pos
}

function next(src: string, from: number): Token {
  const pos = skip(src, from)
  if (pos >= src.length) return { kind: 'end', text: '', pos, end: pos }
  const c = src[pos]!
  if (c === '(' || c === ')') return { kind: c, text: c, pos, end: pos + 1 }
  if (c === '"' || c === "'") return quoted(src, pos)
  const op = opAt(src, pos)
  if (op) return { kind: 'op', text: op, pos, end: pos + op.length }
  if (c === '!') return { kind: 'not', text: c, pos, end: pos + 1 }
  let end = pos
  while (end < src.length && !SPACE.test(src[end]!) && src[end] !== '(' && src[end] !== ')' && !opAt(src, end)) end++
  return { kind: 'word', text: src.slice(pos, end), pos, end }
}

/** valueAt reads what follows an operator: operator characters belong to it. */
function valueAt(src: string, from: number): Token {
  const pos = skip(src, from)
  if (pos >= src.length || src[pos] === ')') return { kind: 'end', text: '', pos, end: pos }
  if (src[pos] === '"' || src[pos] === "'") return quoted(src, pos)
  let end = pos
  for (let depth = 0; end < src.length && !SPACE.test(src[end]!); end++) {
    if (src[end] === '(') depth++
    if (src[end] === ')' && depth-- === 0) break
  }
  return { kind: 'word', text: src.slice(pos, end), pos, end }
}

function quoted(src: string, pos: number): Token {
  const quote = src[pos]!
  let text = ''
  for (let i = pos + 1; i < src.length; i++) {
    if (src[i] === quote) return { kind: 'quoted', text, pos, end: i + 1 }
    if (src[i] === '\\' && (src[i + 1] === quote || src[i + 1] === '\\')) i++
    text += src[i]
  }
  throw new Wrong(pos, 'this text has no closing quote')
}

class Parser<T> {
  #tok: Token
  readonly #src: string
  readonly #schema: Schema<T>
  #depth = 0

  constructor(src: string, schema: Schema<T>) {
    this.#src = src
    this.#schema = schema
    this.#tok = next(src, 0)
  }

  all(): Match<T> {
    if (this.#tok.kind === 'end') return () => true
    const match = this.#or()
    if ((this.#tok as Token).kind !== 'end') throw new Wrong(this.#tok.pos, 'this bracket closes nothing')
    return match
  }

  #advance(): void {
    this.#tok = next(this.#src, this.#tok.end)
  }

  #keyword(word: string): boolean {
    return this.#tok.kind === 'word' && this.#tok.text.toLowerCase() === word
  }

  #or(): Match<T> {
    const parts = [this.#and()]
    while (this.#keyword('or')) {
      this.#advance()
      parts.push(this.#and())
    }
    return parts.length === 1 ? parts[0]! : (item) => parts.some((m) => m(item))
  }

  #and(): Match<T> {
    const parts = [this.#not()]
    while (this.#tok.kind !== 'end' && this.#tok.kind !== ')' && !this.#keyword('or')) {
      if (this.#keyword('and')) this.#advance()
      parts.push(this.#not())
    }
    return parts.length === 1 ? parts[0]! : (item) => parts.every((m) => m(item))
  }

  #not(): Match<T> {
    if (this.#tok.kind !== 'not' && !this.#keyword('not')) return this.#primary()
    this.#enter()
    this.#advance()
    const inner = this.#not()
    this.#depth--
    return (item) => !inner(item)
  }

  #enter(): void {
    if (++this.#depth > 64) throw new Wrong(this.#tok.pos, 'nested deeper than 64')
  }

  #primary(): Match<T> {
    const t = this.#tok
    if (t.kind === '(') {
      this.#enter()
      this.#advance()
      const inner = this.#or()
      if ((this.#tok as Token).kind !== ')') throw new Wrong(t.pos, 'this bracket is never closed')
      this.#depth--
      this.#advance()
      return inner
    }
    if (t.kind === 'end') throw new Wrong(t.pos, 'something is missing here (a field, a word or a bracket)')
    if (t.kind === 'quoted') {
      this.#advance()
      return this.#word(t.text)
    }
    if (t.kind !== 'word') throw new Wrong(t.pos, `"${t.text}" does not fit here (a field, a word or a bracket)`)
    if (this.#keyword('and') || this.#keyword('or')) throw new Wrong(t.pos, `"${t.text}" needs something before it`)
    return this.#operand()
  }

  #operand(): Match<T> {
    const name = this.#tok
    const field = this.#schema.fields.find((f) => f.name === name.text.toLowerCase())
    this.#advance()
    const op = this.#tok
    if (op.kind !== 'op') return field ? presence(field) : this.#word(name.text)
    if (!field) throw new Wrong(name.pos, `no field is called "${name.text}" (fields: ${this.#schema.fields.map((f) => f.name).join(', ')})`)
    const value = valueAt(this.#src, op.end)
    if (value.kind === 'end') throw new Wrong(op.pos, `"${op.text}" needs a value after it`)
    this.#tok = value
    const match = field.kind === 'number' ? this.#number(field, op, value) : field.kind === 'bool' ? bool(field, op, value) : textual(field, op, value)
    this.#advance()
    return match
  }

  #word(text: string): Match<T> {
    const want = text.toLowerCase()
    return (item) => this.#schema.words(item).some((w) => w.toLowerCase().includes(want))
  }

  /** The unit may stand apart, as in "5 s": then it is the next token. */
  #number(field: Field<T>, op: Token, value: Token): Match<T> {
    const m = /^(-?[\d.]+)(.*)$/.exec(value.text)
    const n = m ? Number(m[1]) : NaN
    if (!m || Number.isNaN(n)) throw new Wrong(value.pos, `"${value.text}" is not a number`)
    let unit = m[2]!.toLowerCase()
    if (unit === '') {
      const apart = next(this.#src, value.end)
      if (apart.kind === 'word' && field.units?.[apart.text.toLowerCase()] !== undefined) {
        unit = apart.text.toLowerCase()
        this.#tok = apart
      }
    }
    const factor = unit === '' ? 1 : field.units?.[unit]
    if (factor === undefined) throw new Wrong(value.pos, `"${unit}" is no unit of "${field.name}"`)
    const compare = numeric[op.text]
    if (!compare) throw new Wrong(op.pos, `"${op.text}" compares text, and "${field.name}" is a number (use = != < <= > >=)`)
    return (item) => compare(field.get(item) as number, n * factor)
  }
}

const numeric: Record<string, (a: number, b: number) => boolean> = {
  '=': (a, b) => a === b, '!=': (a, b) => a !== b, '<': (a, b) => a < b,
  '<=': (a, b) => a <= b, '>': (a, b) => a > b, '>=': (a, b) => a >= b,
}

const texts = (v: FieldValue | readonly string[]): readonly string[] => (typeof v === 'object' ? v : [String(v)])

function presence<T>(field: Field<T>): Match<T> {
  return (item) => {
    const v = field.get(item)
    return typeof v === 'object' ? v.length > 0 : Boolean(v)
  }
}

function bool<T>(field: Field<T>, op: Token, value: Token): Match<T> {
  const want = { true: true, yes: true, '1': true, false: false, no: false, '0': false }[value.text.toLowerCase()]
  if (want === undefined) throw new Wrong(value.pos, `"${value.text}" is neither true nor false`)
  if (op.text !== '=' && op.text !== '!=') throw new Wrong(op.pos, `"${op.text}" does not apply to "${field.name}" (use = or !=)`)
  return (item) => (field.get(item) === want) === (op.text === '=')
}

function textual<T>(field: Field<T>, op: Token, value: Token): Match<T> {
  const want = value.text.toLowerCase()
  const any = (holds: (text: string) => boolean): Match<T> => (item) => texts(field.get(item)).some((t) => holds(t.toLowerCase()))
  switch (op.text) {
    case '=':
      return any((t) => t === want)
    case '!=':
      return (item) => !texts(field.get(item)).some((t) => t.toLowerCase() === want)
    case '^=':
      return any((t) => t.startsWith(want))
    case '$=':
      return any((t) => t.endsWith(want))
    case '*=':
      return any((t) => t.includes(want))
    case '~':
      return any(pattern(value))
    default:
      throw new Wrong(op.pos, `"${op.text}" compares numbers, and "${field.name}" is text (use = != ^= $= *= ~)`)
  }
}

function pattern(value: Token): (text: string) => boolean {
  try {
    const re = new RegExp(value.text, 'i')
    return (t) => re.test(t)
  } catch {
    throw new Wrong(value.pos, 'this is no regular expression')
  }
}
