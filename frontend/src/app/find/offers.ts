import { valueBefore, wordAt } from '@/lib/expr/read'
import type { FieldHelp, Preset } from '@/lib/shell'

/** What may be put in at the caret: a field, a value of the field before it, or a whole expression. */
export type Offer = { name: string; help: string; insert: string }
export type Offers = { start: number; typed: string; options: Offer[] }

export const none: Offers = { start: 0, typed: '', options: [] }
const most = 60

export function offersAt(text: string, caret: number, fields: readonly FieldHelp[], presets: readonly Preset[]): Offers {
  const value = valueBefore(text, caret)
  if (value) {
    const { field, word, start } = value
    const help = fields.find((f) => f.name === field.toLowerCase() || f.aliases?.includes(field.toLowerCase()))
    const values = (help?.values ?? []).filter((v) => v.startsWith(word.toLowerCase()) && v !== word)
    return { start, typed: word, options: values.map((v) => ({ name: v, help: '', insert: `${v} ` })) }
  }
  const typing = wordAt(text, caret)
  if (!typing) return none
  if (text.trim() === '') {
    const asked = presets.map((p) => ({ name: p.name, help: p.expression, insert: p.expression }))
    return { start: typing.start, typed: '', options: [...asked, ...fields.map(fieldOffer)].slice(0, most) }
  }
  if (typing.word === '') return none
  const word = typing.word.toLowerCase()
  const named = fields.filter((f) => f.name !== word && (f.name.startsWith(word) || f.aliases?.some((a) => a.startsWith(word))))
  return { start: typing.start, typed: typing.word, options: named.map(fieldOffer) }
}

function fieldOffer({ name, help }: FieldHelp): Offer {
  return { name, help, insert: `${name} ` }
}
