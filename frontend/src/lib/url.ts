import { useNavigate, useSearch } from '@tanstack/react-router'
import { useCallback, useMemo } from 'react'
import { z } from 'zod'

/**
 * The URL is the state: what a view shows is written in its search parameters,
 * flat, readable and validated. A feature declares its own with zod and reads
 * them by useUrlState; every field must have a fallback (`.catch`), so that a
 * mistyped address shows the page instead of an error.
 */

/** What all pages share. */
export const sharedSearch = z.object({
  /** Namespaces shown, comma-separated; empty is all. */
  ns: z.string().catch(''),
  /** The find expression, or a page's filter. */
  q: z.string().catch(''),
  /** RFC 3339; empty is live. */
  at: z
    .string()
    .refine((s) => s === '' || !Number.isNaN(Date.parse(s)))
    .catch(''),
  /** RFC 3339; the moment that the one shown is compared with. */
  vs: z
    .string()
    .refine((s) => s === '' || !Number.isNaN(Date.parse(s)))
    .catch(''),
  /** How far the time bar reaches back; empty follows the age of the data. */
  window: z.enum(['', '5m', '15m', '30m', '1h', '3h', '6h', '12h', '1d']).catch(''),
})

export type SharedSearch = z.infer<typeof sharedSearch>
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

/** Validates a search against a schema whose every field has a fallback. */
export function readSearch<T extends z.ZodObject>(schema: T, search: Search): z.infer<T> {
  return schema.parse(search)
}

/**
 * The patch as strings, without what equals the schema's own fallback: an
 * address carries only what was chosen.
 */
export function patchSearch<T extends z.ZodObject>(
  schema: T,
  before: Search,
  patch: Partial<z.infer<T>>,
): Search {
  const fallbacks = schema.parse({}) as Record<string, unknown>
  const after: Search = { ...before }
  for (const [key, value] of Object.entries(patch)) {
    const text = value === undefined || value === null ? '' : String(value)
    if (text === '' || text === String(fallbacks[key])) delete after[key]
    else after[key] = text
  }
  return after
}

/**
 * One feature's part of the address. The setter takes a patch; `push` makes a
 * step that Back returns from, otherwise the present entry is replaced.
 */
export function useUrlState<T extends z.ZodObject>(
  schema: T,
): [z.infer<T>, (patch: Partial<z.infer<T>>, how?: { push?: boolean }) => void] {
  const search = useSearch({ strict: false }) as Search
  const navigate = useNavigate()
  const value = useMemo(() => readSearch(schema, search), [schema, search])
  const set = useCallback(
    (patch: Partial<z.infer<T>>, how?: { push?: boolean }) => {
      void navigate({
        to: '.',
        search: ((before: Search) => patchSearch(schema, before, patch)) as never,
        replace: !how?.push,
      })
    },
    [navigate, schema],
  )
  return [value, set]
}

/** Namespaces as a list. */
export function namespacesOf(ns: string): string[] {
  return ns === '' ? [] : ns.split(',').filter(Boolean)
}
