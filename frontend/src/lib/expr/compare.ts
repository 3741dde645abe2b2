import { ExprError, type Token } from './lex'
import type { Field, Match, Unit, Value } from './parse'

/** Comparisons of one field, as mesh/expr/compare.go makes them. */

const anything = () => true
const listOf = (value: Value): readonly string[] => (typeof value === 'object' ? value : [String(value)])

/** A field alone: whether it is set. */
export function present<T>({ get }: Field<T>): Match<T> {
  if (!get) return anything
  return (item) => {
    const value = get(item)
    return typeof value === 'object' ? value.length > 0 : Boolean(value)
  }
}

const scales: Record<Unit, Record<string, number>> = {
  millis: { us: 1e-3, µs: 1e-3, μs: 1e-3, ms: 1, s: 1e3, m: 60e3, min: 60e3, h: 3600e3 },
  ratio: { '%': 0.01 },
  bytes: { b: 1, kb: 1e3, mb: 1e6, gb: 1e9, kib: 1024, mib: 1024 ** 2, gib: 1024 ** 3 },
  plain: { '/s': 1, rps: 1 },
  code: {},
}
const samples: Record<Unit, string> = { plain: '12', millis: '250ms', ratio: '2%', bytes: '3kB', code: '503 or 5xx' }

export const isUnit = (unit: Unit, written: string): boolean => scales[unit][written.toLowerCase()] !== undefined

const numeric: Record<string, (a: number, b: number) => boolean> = {
  '=': (a, b) => a === b, '!=': (a, b) => a !== b, '<': (a, b) => a < b,
  '<=': (a, b) => a <= b, '>': (a, b) => a > b, '>=': (a, b) => a >= b,
}

export function compareNumber<T>(field: Field<T>, op: Token, value: Token, apart: Token | null): Match<T> {
  const unit = field.unit ?? 'plain'
  const compare = numeric[op.text]
  if (!compare) throw new ExprError(op, `"${op.text}" compares text, and "${field.name}" is a number`, 'use = != < <= > >=')
  const [, digits = '', written = ''] = /^(.*?)([^\d.]*)$/.exec(value.text) ?? []
  const number = (item: T) => Number(field.get?.(item))
  if (unit === 'code' && /^\dxx$/i.test(value.text) && (op.text === '=' || op.text === '!=')) {
    const low = Number(digits) * 100
    const inside = (n: number) => n >= low && n < low + 100
    return field.get ? (item) => inside(number(item)) === (op.text === '=') : anything
  }
  const n = digits === '' ? NaN : Number(digits)
  if (!Number.isFinite(n)) throw new ExprError(value, `"${value.text}" is not a number`, `write ${field.name} ${op.text} ${samples[unit]}`)
  const suffix = (apart?.text ?? written).toLowerCase()
  const factor = suffix === '' ? 1 : scales[unit][suffix]
  if (factor === undefined) throw new ExprError(value, `"${written}" is no unit of "${field.name}"`, `write ${samples[unit]}`)
  if (unit === 'ratio' && suffix === '' && n > 1) throw new ExprError(value, `a ratio is at most 1, not ${value.text}`, `write ${value.text}% for percent`)
  return field.get ? (item) => compare(number(item), n * factor) : anything
}

const truths: Record<string, boolean> = { true: true, t: true, yes: true, '1': true, false: false, f: false, no: false, '0': false }

export function compareBool<T>({ name, get }: Field<T>, op: Token, value: Token): Match<T> {
  const want = truths[value.text.toLowerCase()]
  if (want === undefined) throw new ExprError(value, `"${value.text}" is neither true nor false`)
  if (op.text !== '=' && op.text !== '!=') throw new ExprError(op, `"${op.text}" does not apply to "${name}", which is true or false`, 'use = or !=')
  return get ? (item) => (get(item) === want) === (op.text === '=') : anything
}

/** Also of fields whose kind only the server knows: then every operator may be right. */
export function compareText<T>({ name, kind, get }: Field<T>, op: Token, value: Token): Match<T> {
  const holds = textual(op, value)
  if (!holds && kind === 'text') throw new ExprError(op, `"${op.text}" compares numbers, and "${name}" is text`, 'use = != ^= $= *= ~')
  if (!get || !holds) return anything
  const any = (item: T) => listOf(get(item)).some((text) => holds(text.toLowerCase()))
  return op.text === '!=' ? (item) => !any(item) : any
}

function textual(op: Token, value: Token): ((text: string) => boolean) | null {
  const want = value.text.toLowerCase()
  switch (op.text) {
    case '=':
    case '!=':
      return (text) => text === want
    case '^=':
      return (text) => text.startsWith(want)
    case '$=':
      return (text) => text.endsWith(want)
    case '*=':
      return (text) => text.includes(want)
    case '~':
      return pattern(value)
    default:
      return null
  }
}

function pattern(value: Token): (text: string) => boolean {
  try {
    const re = new RegExp(value.text, 'i')
    return (text) => re.test(text)
  } catch {
    throw new ExprError(value, 'this is no regular expression')
  }
}
