import { useNavigate, useSearch } from '@tanstack/react-router'
import { useCallback, useMemo } from 'react'

/**
 * The URL is the state: what a view shows is written in its search parameters,
 * flat, readable and validated. A feature declares its own and reads them by
 * useUrlState; each has a fallback, so that a mistyped address shows the page
 * instead of an error.
 */
export type Param<T> = {
  fallback: T
  /** What the text says; undefined where it says nothing valid. */
  read: (text: string) => T | undefined
}
export type Params = Record<string, Param<string> | Param<number>>
export type Values<P extends Params> = { [K in keyof P]: P[K]['fallback'] }

/** Any text. */
export const anyText = (fallback = ''): Param<string> => ({ fallback, read: (s) => s })

/** One word of a few; the first stands where none was given. */
export const oneOf = <const T extends string>(...words: [T, ...T[]]): Param<T> => ({
  fallback: words[0],
  read: (s) => words.find((w) => w === s),
})

export const matching = (pattern: RegExp, fallback = ''): Param<string> => ({ fallback, read: (s) => (pattern.test(s) ? s : undefined) })

/** A whole number from 1 to `most`. */
export const upTo = (most: number, fallback: number): Param<number> => ({
  fallback,
  read: (s) => {
    const n = Number(s)
    return Number.isInteger(n) && n >= 1 && n <= most ? n : undefined
  },
})

/** A revision, a line: digits, or nothing. */
export const digits = matching(/^\d*$/)

/** RFC 3339, or nothing. */
const moment: Param<string> = { fallback: '', read: (s) => (s === '' || !Number.isNaN(Date.parse(s)) ? s : undefined) }

/** What all pages share. */
export const sharedSearch = {
  /** Namespaces shown, comma-separated; empty is all. */
  ns: anyText(),
  /** The find expression, or a page's filter. */
  q: anyText(),
  /** Empty is live. */
  at: moment,
  /** The moment that the one shown is compared with. */
  vs: moment,
  /** How far the time bar reaches back; empty follows the age of the data. */
  window: oneOf('', '5m', '15m', '30m', '1h', '3h', '6h', '12h', '1d'),
}

export type Search = Record<string, string>

/** Reads `?a=b&c=d` as strings only; a repeated name keeps its last value. */
export function parseSearch(text: string): Search {
  return Object.fromEntries(new URLSearchParams(text))
}

/**
 * Writes strings back; empty and undefined values leave the address. What an
 * expression is made of stays readable: only what would end or split the
 * query is escaped, and what browsers escape themselves.
 */
export function stringifySearch(search: Record<string, unknown>): string {
  const parts = Object.entries(search)
    .filter(([, v]) => v !== undefined && v !== null && v !== '')
    .map(([k, v]) => `${encodeURIComponent(k)}=${encodeValue(String(v))}`)
  return parts.length === 0 ? '' : `?${parts.join('&')}`
}

function encodeValue(value: string): string {
  return encodeURIComponent(value).replace(/%20/g, '+').replace(/%(2F|3A|2C|3D|21|28|29|40|7E|2A)/gi, (c) =>
    decodeURIComponent(c),
  )
}

/** What a search says of the parameters; the fallback for what it does not say, or says wrongly. */
export function readSearch<P extends Params>(params: P, search: Search): Values<P> {
  const read = ([name, param]: [string, Params[string]]) => [name, (search[name] === undefined ? undefined : param.read(search[name])) ?? param.fallback]
  return Object.fromEntries(Object.entries(params).map(read)) as Values<P>
}

/**
 * The patch as strings, without what equals its fallback: an
 * address carries only what was chosen.
 */
export function patchSearch<P extends Params>(params: P, before: Search, patch: Partial<Values<P>>): Search {
  const after: Search = { ...before }
  for (const [key, value] of Object.entries(patch)) {
    const text = value === undefined || value === null ? '' : String(value)
    if (text === '' || text === String(params[key]?.fallback)) delete after[key]
    else after[key] = text
  }
  return after
}

/**
 * One feature's part of the address. The setter takes a patch; `push` makes a
 * step that Back returns from, otherwise the present entry is replaced.
 */
export function useUrlState<P extends Params>(params: P): [Values<P>, (patch: Partial<Values<P>>, how?: { push?: boolean }) => void] {
  const search = useSearch({ strict: false }) as Search
  const navigate = useNavigate()
  const value = useMemo(() => readSearch(params, search), [params, search])
  const set = useCallback(
    (patch: Partial<Values<P>>, how?: { push?: boolean }) => {
      void navigate({
        to: '.',
        search: ((before: Search) => patchSearch(params, before, patch)) as never,
        replace: !how?.push,
      })
    },
    [navigate, params],
  )
  return [value, set]
}

/** Namespaces as a list. */
export function namespacesOf(ns: string): string[] {
  return ns === '' ? [] : ns.split(',').filter(Boolean)
}
