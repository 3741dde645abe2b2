import { z } from 'zod'
import { sharedSearch } from '@/lib/url'

/** The part of the address that this page has: which alert is open. */
export const alertsSearch = sharedSearch.extend({ id: z.string().catch('') })
