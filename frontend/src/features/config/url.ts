import { anyText, digits, matching, sharedSearch } from '@/lib/url'

/** What the address of the Config page says besides the view, which is its path. */
export const configSearch = {
  ...sharedSearch,
  kind: anyText(),
  /** The line to point at, in the object's file. */
  line: digits,
}

export const diffSearch = {
  ...sharedSearch,
  from: digits,
  to: digits,
}

export const explainSearch = {
  ...sharedSearch,
  method: matching(/^[A-Z]+$/, 'GET'),
  url: anyText(),
  /** NAMESPACE/WORKLOAD that sends the request. */
  caller: anyText(),
  node: anyText(),
  /** Headers as name:value, one a line. */
  headers: anyText(),
  rev: digits,
}

/** KIND/NAMESPACE/NAME of "Kind namespace/name". */
export function objectPath(object: string): string {
  return object.replace(' ', '/')
}
