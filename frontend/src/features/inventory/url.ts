import { z } from 'zod'
import { sharedSearch } from '@/lib/url'

/** The lists' part of the address. */
export const listSearch = sharedSearch.extend({
  /** Which column sorts, and whether the largest stands first. */
  by: z.string().catch('health'),
  down: z.enum(['', '1']).catch(''),
  /** How many rows are drawn at most. */
  rows: z.string().regex(/^\d{1,6}$/).catch('300'),
})
