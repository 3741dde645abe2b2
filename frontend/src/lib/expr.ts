/**
 * Reads expressions as the server does (package mesh/expr), to colour them
 * while they are typed and to say where they are wrong. It does not evaluate.
 *
 *   or = and {"or" and};  and = not {["and"] not};  not = ["not"|"!"] primary
 *   primary = "(" or ")" | field op value | field | word
 */

export type TokenKind = 'field' | 'op' | 'value' | 'word' | 'joiner' | 'bracket' | 'space'
/** A piece of the source; pieces follow each other without gaps. */
export type Token = { kind: TokenKind; text: string; start: number; end: number; chip?: number }
export type ExprError = { start: number; end: number; message: string }
export type Reading = { tokens: Token[]; error: ExprError | null }

const operators = ['!=', '<=', '>=', '^=', '$=', '*=', '=', '<', '>', '~']
const space = /\s/

/** Splits a source into pieces; comparisons share a chip number. */
export function readExpression(source: string, fields: ReadonlySet<string>): Reading {
  const tokens: Token[] = []
  let error: ExprError | null = null
  let at = 0
  let chip = 0
  const put = (kind: TokenKind, end: number, chipped = false) => {
    if (end > at) tokens.push({ kind, text: source.slice(at, end), start: at, end, ...(chipped ? { chip } : {}) })
    at = end
  }
  while (at < source.length) {
    const c = source[at]!
    if (space.test(c)) put('space', skip(source, at))
    else if (c === '(' || c === ')') put('bracket', at + 1)
    else if (c === '"' || c === "'") {
      const end = quotedEnd(source, at)
      if (end < 0) error ??= { start: at, end: source.length, message: 'this text has no closing quote' }
      put('word', end < 0 ? source.length : end)
    } else if (operatorAt(source, at) !== '') put('op', at + operatorAt(source, at).length)
    else if (c === '!') put('joiner', at + 1)
    else {
      const end = wordEnd(source, at)
      const word = source.slice(at, end)
      const next = skip(source, end)
      const op = operatorAt(source, next)
      if (/^(and|or|not)$/i.test(word)) put('joiner', end)
      else if (op !== '') {
        chip++
        put('field', end, true)
        put('space', next, true)
        put('op', next + op.length, true)
        const from = skip(source, at)
        const to = valueEnd(source, from)
        if (/["']/.test(source[from] ?? '') && quotedEnd(source, from) < 0) {
          error ??= { start: from, end: source.length, message: 'this text has no closing quote' }
        }
        if (to > from) {
          put('space', from, true)
          put('value', to, true)
          // "2 %" and "250 ms": the unit belongs to the number before it.
          const unit = /^\s+(%|[µu]s|ms|s|m|h|[kMG]i?B|B)(?=[\s)]|$)/.exec(source.slice(at))
          if (unit && /^\d/.test(source.slice(from, to))) put('value', at + unit[0].length, true)
        }
      } else put(fields.has(word.toLowerCase()) ? 'field' : 'word', end)
    }
  }
  return { tokens, error: error ?? check(tokens, fields) }
}

/** The grammar, over the pieces that carry meaning. */
function check(tokens: Token[], fields: ReadonlySet<string>): ExprError | null {
  const units = tokens.filter((t) => t.kind !== 'space')
  const open: Token[] = []
  let needs = false // an operand must follow
  let before: Token | null = null
  for (let i = 0; i < units.length; i++) {
    const t = units[i]!
    switch (t.kind) {
      case 'bracket':
        if (t.text === '(') {
          open.push(t)
          needs = true
        } else if (open.pop() === undefined) return fault(t, 'this bracket closes nothing')
        else if (needs) return fault(t, before?.text === '(' ? 'nothing stands between these brackets' : `"${before?.text ?? ''}" needs something after it`)
        break
      case 'joiner': {
        const not = /^(not|!)$/i.test(t.text)
        if (!not && (needs || before === null)) return fault(t, `"${t.text}" needs something before it`)
        needs = true
        break
      }
      case 'op': {
        if (before?.kind !== 'field' || before.chip !== t.chip) return fault(t, `"${t.text}" needs a field before it`)
        const next = units[i + 1]
        if (next?.kind !== 'value' || next.chip !== t.chip) return { start: before.start, end: t.end, message: `"${before.text} ${t.text}" needs a value` }
        break
      }
      case 'field':
        if (t.chip !== undefined && fields.size > 0 && !fields.has(t.text.toLowerCase())) {
          return fault(t, `no field "${t.text}"${suggestion(t.text, fields)}`)
        }
        needs = false
        break
      default:
        needs = false
    }
    before = t
  }
  if (needs && before) return fault(before, before.text === '(' ? 'this bracket is not closed' : `"${before.text}" needs something after it`)
  const unclosed = open.at(-1)
  return unclosed ? fault(unclosed, 'this bracket is not closed') : null
}

function fault(t: Token, message: string): ExprError {
  return { start: t.start, end: t.end, message }
}

/** The near name: at most two edits away. */
function suggestion(name: string, fields: ReadonlySet<string>): string {
  let best = ''
  let least = 3
  for (const field of fields) {
    const d = edits(name.toLowerCase(), field)
    if (d < least) {
      least = d
      best = field
    }
  }
  return best === '' ? '' : `, did you mean ${best}?`
}

function edits(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      next.push(Math.min(row[j]! + 1, next[j - 1]! + 1, row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)))
    }
    row = next
  }
  return row[b.length]!
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

function skip(source: string, at: number): number {
  while (at < source.length && space.test(source[at]!)) at++
  return at
}

function operatorAt(source: string, at: number): string {
  return operators.find((op) => source.startsWith(op, at)) ?? ''
}

function wordEnd(source: string, at: number): number {
  let end = at
  while (end < source.length && !space.test(source[end]!) && source[end] !== '(' && source[end] !== ')' && operatorAt(source, end) === '') end++
  return Math.max(end, at + 1)
}

function valueEnd(source: string, at: number): number {
  const c = source[at]
  if (c === '"' || c === "'") {
    const end = quotedEnd(source, at)
    return end < 0 ? source.length : end
  }
  let depth = 0
  let end = at
  for (; end < source.length && !space.test(source[end]!); end++) {
    if (source[end] === '(') depth++
    if (source[end] === ')') {
      if (depth === 0) break
      depth--
    }
  }
  return end
}

function quotedEnd(source: string, at: number): number {
  const quote = source[at]
  for (let i = at + 1; i < source.length; i++) {
    if (source[i] === '\\') i++
    else if (source[i] === quote) return i + 1
  }
  return -1
}
