import { anyText, sharedSearch } from '@/lib/url'

/** The part of the address that this page has: which alert is open. */
export const alertsSearch = {
  ...sharedSearch,
  id: anyText(),
}
