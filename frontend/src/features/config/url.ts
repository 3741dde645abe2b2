import { z } from 'zod'
import { sharedSearch } from '@/lib/url'

/** What the address of the Config page says besides the view, which is its path. */
export const configSearch = sharedSearch.extend({
  kind: z.string().catch(''),
  /** The line to point at, in the object's file. */
  line: z.string().regex(/^\d*$/).catch(''),
})

export const diffSearch = sharedSearch.extend({
  from: z.string().regex(/^\d*$/).catch(''),
  to: z.string().regex(/^\d*$/).catch(''),
})

export const explainSearch = sharedSearch.extend({
  method: z.string().regex(/^[A-Z]+$/).catch('GET'),
  url: z.string().catch(''),
  /** NAMESPACE/WORKLOAD that sends the request. */
  caller: z.string().catch(''),
  node: z.string().catch(''),
  /** Headers as name:value, one a line. */
  headers: z.string().catch(''),
  rev: z.string().regex(/^\d*$/).catch(''),
})

/** KIND/NAMESPACE/NAME of "Kind namespace/name". */
export function objectPath(object: string): string {
  return object.replace(' ', '/')
}
