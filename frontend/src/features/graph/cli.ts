import type { GraphSearch } from './url'

/** The command that prints what the graph shows. */
export function cliForGraph(url: Pick<GraphSearch, 'level' | 'ns' | 'q' | 'at'>): string {
  const parts = ['sidelight edges']
  if (url.level !== 'workload') parts.push(`--group ${url.level}`)
  if (url.ns !== '') parts.push(`--namespace ${quote(url.ns)}`)
  if (url.q !== '') parts.push(`--where ${quote(url.q)}`)
  if (url.at !== '') parts.push(`--at ${quote(url.at)}`)
  return parts.join(' ')
}

/** The command that prints the edges of what is selected. */
export function cliForEdges(where: string): string {
  return `sidelight edges --where ${quote(where)}`
}

/** For a POSIX shell: nothing in it is anything but text. */
function quote(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replace(/'/g, `'\\''`)}'`
}
