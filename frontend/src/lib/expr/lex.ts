/** The pieces of an expression, as mesh/expr/lex.go cuts them. */

export type Token = { kind: 'end' | 'open' | 'close' | 'op' | 'not' | 'word' | 'quoted'; text: string; start: number; end: number }

/** Where an expression is wrong, why, and what would be right. */
export class ExprError extends Error {
  readonly start: number
  readonly end: number

  constructor(at: { start: number; end: number }, message: string, hint = '') {
    super(hint === '' ? message : `${message}, ${hint}`)
    this.start = at.start
    this.end = at.end
  }
}

/** Longest first, so that "<=" is not read as "<". */
export const operators = ['!=', '<=', '>=', '^=', '$=', '*=', '=', '<', '>', '~'] as const

export const operatorAt = (source: string, at: number): string => operators.find((op) => source.startsWith(op, at)) ?? ''

const isSpace = (c: string | undefined): boolean => c === ' ' || c === '\t' || c === '\n' || c === '\r'

export function skipSpace(source: string, at: number): number {
  let pos = at
  while (isSpace(source[pos])) pos++
  return pos
}

/** The token at a place. A word ends at white space, a bracket or an operator. */
export function tokenAt(source: string, from: number): Token {
  const start = skipSpace(source, from)
  const c = source[start]
  const token = (kind: Token['kind'], end: number): Token => ({ kind, text: source.slice(start, end), start, end })
  if (c === undefined) return token('end', start)
  if (c === '(') return token('open', start + 1)
  if (c === ')') return token('close', start + 1)
  if (c === '"' || c === "'") return quotedAt(source, start)
  const op = operatorAt(source, start)
  if (op !== '') return token('op', start + op.length)
  if (c === '!') return token('not', start + 1)
  let end = start
  while (end < source.length && !isSpace(source[end]) && source[end] !== '(' && source[end] !== ')' && operatorAt(source, end) === '') end++
  return token('word', end)
}

/** What stands after an operator: operator letters belong to it, as in "/search?q=a", and so do pairs of brackets. */
export function valueAt(source: string, from: number): Token {
  const start = skipSpace(source, from)
  const c = source[start]
  if (c === undefined || c === ')') return { kind: 'end', text: '', start, end: start }
  if (c === '"' || c === "'") return quotedAt(source, start)
  let end = start
  for (let depth = 0; end < source.length && !isSpace(source[end]); end++) {
    if (source[end] === '(') depth++
    if (source[end] === ')' && depth-- === 0) break
  }
  return { kind: 'word', text: source.slice(start, end), start, end }
}

function quotedAt(source: string, start: number): Token {
  const quote = source[start]
  let text = ''
  for (let i = start + 1; i < source.length; i++) {
    if (source[i] === quote) return { kind: 'quoted', text, start, end: i + 1 }
    if (source[i] === '\\' && (source[i + 1] === quote || source[i + 1] === '\\')) i++
    text += source[i]
  }
  throw new ExprError({ start, end: source.length }, 'this text has no closing quote')
}
