import { anyText, matching, oneOf, sharedSearch } from '@/lib/url'

/** The lists' part of the address. */
export const listSearch = {
  ...sharedSearch,
  /** Which column sorts, and whether the largest stands first. */
  by: anyText('health'),
  down: oneOf('', '1'),
  /** How many rows are drawn at most. */
  rows: matching(/^\d{1,6}$/, '300'),
}
