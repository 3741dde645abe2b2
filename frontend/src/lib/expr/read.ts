import type { FieldHelp } from '@/lib/shell'
import { type ExprError, operatorAt, operators, skipSpace, type Token, tokenAt, valueAt } from './lex'
import { fieldNamed, parse } from './parse'

/** An expression while it is typed: coloured, judged, completed. */

export type PieceKind = 'field' | 'op' | 'value' | 'word' | 'joiner' | 'bracket' | 'space'
/** A piece of the source; pieces follow each other without gaps. Those of one comparison share a chip. */
export type Piece = { kind: PieceKind; text: string; start: number; end: number; chip?: number }
export type Reading = { pieces: Piece[]; error: ExprError | null }

/** Without fields there is no grammar: the text is words. */
export function readExpression(source: string, fields: readonly FieldHelp[]): Reading {
  if (fields.length === 0) return { pieces: source === '' ? [] : [{ kind: 'word', text: source, start: 0, end: source.length }], error: null }
  return { pieces: piecesOf(source, fields), error: parse(source, { fields }).error }
}

function piecesOf(source: string, fields: readonly FieldHelp[]): Piece[] {
  const pieces: Piece[] = []
  let at = 0
  let chips = 0
  const put = (kind: PieceKind, end: number, chip?: number) => {
    if (end > at) pieces.push({ kind, text: source.slice(at, end), start: at, end, ...(chip === undefined ? {} : { chip }) })
    at = Math.max(at, end)
  }
  while (at < source.length) {
    put('space', skipSpace(source, at))
    const token = openEnded(source, () => tokenAt(source, at), at)
    if (token.kind === 'end') break
    if (token.kind !== 'word') {
      put(({ open: 'bracket', close: 'bracket', op: 'op', not: 'joiner', quoted: 'word' } as const)[token.kind], token.end)
      continue
    }
    const next = skipSpace(source, token.end)
    const op = operatorAt(source, next)
    if (/^(and|or|not)$/i.test(token.text)) put('joiner', token.end)
    else if (op === '') put(fieldNamed(fields, token.text) ? 'field' : 'word', token.end)
    else {
      const chip = ++chips
      put('field', token.end, chip)
      put('space', next, chip)
      put('op', next + op.length, chip)
      const value = openEnded(source, () => valueAt(source, at), at)
      if (value.kind === 'end') continue
      put('space', value.start, chip)
      put('value', value.end, chip)
      // "2 %" and "250 ms": the unit belongs to the number before it.
      const unit = /^\s+(%|[µu]s|ms|s|m|min|h|[kMG]i?B|B|rps|\/s)(?=[\s)]|$)/.exec(source.slice(at))
      if (unit && /^\d/.test(value.text)) put('value', at + unit[0].length, chip)
    }
  }
  return pieces
}

/** A token, or all that is left where a quote is still open. */
function openEnded(source: string, read: () => Token, at: number): Token {
  try {
    return read()
  } catch {
    const start = skipSpace(source, at)
    return { kind: 'quoted', text: source.slice(start), start, end: source.length }
  }
}

/** What is being typed at the caret, for completion; null where no field can stand. */
export function wordAt(source: string, caret: number): { start: number; word: string } | null {
  let start = caret
  while (start > 0 && /[\w.]/.test(source[start - 1]!)) start--
  const before = source.slice(0, start).trimEnd()
  if (operators.some((op) => before.endsWith(op))) return null
  if (/["']/.test(source.slice(0, start).replace(/"[^"]*"|'[^']*'/g, ''))) return null
  return { start, word: source.slice(start, caret) }
}

/** The value being typed at the caret, with the field that it is for; null where none is. */
export function valueBefore(source: string, caret: number): { start: number; word: string; field: string } | null {
  let start = caret
  while (start > 0 && /[^\s()=<>~!^$*"']/.test(source[start - 1]!)) start--
  const before = source.slice(0, start).trimEnd()
  const op = operators.find((o) => before.endsWith(o))
  if (op === undefined) return null
  const field = /([\w.]+)\s*$/.exec(before.slice(0, -op.length))?.[1]
  return field === undefined ? null : { start, word: source.slice(start, caret), field }
}
