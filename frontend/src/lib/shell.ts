import { useEffect } from 'react'
import { create } from 'zustand'

/**
 * What a page tells the frame around it: how the find field is to be called
 * and what it says at its right end, and the words in the foot.
 */
export type FindSlot = {
  /** "Find", "Filter" */
  label: string
  placeholder: string
  /** At the right end: "5 edges, 5 services", "runs in 3 sidecars". */
  note: string
  /** Field names the page's expressions may use, for completion and colour. */
  fields: readonly FieldHelp[]
  /** Expressions worth asking, offered while the field is empty. */
  presets?: readonly Preset[]
  /** What the server says is wrong with the expression. */
  error: string
  /** The search parameter it is written to; "q" unless told. */
  param?: string
  /** Applied with Enter only, not while typing. */
  onEnter?: boolean
}
export type FieldHelp = {
  name: string
  help: string
  aliases?: readonly string[]
  values?: readonly string[]
  /** Has many values by name, and is asked for one: header[user-agent]. */
  keyed?: boolean
}
export type Preset = { name: string; expression: string }
export type FootSlot = { left: string; keys: string }

type Shell = {
  find: FindSlot
  foot: FootSlot
  announcement: string
  /** The server wants to know who one is. */
  signIn: boolean
  set: (change: Partial<Omit<Shell, 'set'>>) => void
}

const noFields: readonly FieldHelp[] = []
/** What stands while no page has an expression: the field is not shown. */
export const plainFind: FindSlot = { label: 'Find', placeholder: '', note: '', fields: noFields, error: '' }
const plainFoot: FootSlot = { left: '', keys: '' }

export const useShell = create<Shell>()((set) => ({
  find: plainFind,
  foot: plainFoot,
  announcement: '',
  signIn: false,
  set: (change) => set(change),
}))

/** Gives the top bar's expression field this page's words while it is shown. */
export function useFindSlot(slot: FindSlot): void {
  const set = useShell((s) => s.set)
  const { label, placeholder, note, fields, presets, error, param, onEnter } = slot
  useEffect(
    () => set({ find: { label, placeholder, note, fields, presets, error, param, onEnter } }),
    [set, label, placeholder, note, fields, presets, error, param, onEnter],
  )
  useEffect(() => () => set({ find: plainFind }), [set])
}

/** Puts words into the foot: facts at the left, keys at the right. */
export function useFoot(left: string, keys: string): void {
  const set = useShell((s) => s.set)
  useEffect(() => set({ foot: { left, keys } }), [set, left, keys])
  useEffect(() => () => set({ foot: plainFoot }), [set])
}

/** Says something to screen readers, politely; also what was said last. */
export function announce(text: string): void {
  const { announcement, set } = useShell.getState()
  set({ announcement: text === announcement ? `${text}\u00a0` : text })
}
