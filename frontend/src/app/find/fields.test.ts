import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { findFields } from '@/features/graph/fields'
import { tapFields } from '@/features/tap/fields'
import type { FieldHelp } from '@/lib/shell'

/** What completion offers is what the server takes, as docs/expressions.md lists it (which a test of the server holds). */
const page = readFileSync(new URL('../../../../docs/expressions.md', import.meta.url), 'utf8')

function documented(heading: string): Record<string, string[]> {
  const [, section = ''] = new RegExp(`## ${heading}\n([^]*?)\n## `).exec(page) ?? []
  const rows = section.matchAll(/^\| `([^`]+)` \| (.*?) \|/gm)
  return Object.fromEntries([...rows].map(([, name, also]) => [name, [...also!.matchAll(/`([^`]+)`/g)].map((m) => m[1]!)]))
}
const offered = (fields: readonly FieldHelp[]) => Object.fromEntries(fields.map((f) => [f.name, [...(f.aliases ?? [])]]))

describe('fields', () => {
  it('of the graph', () => expect(offered(findFields)).toEqual(documented('Fields of the graph')))
  it('of a tap', () => expect(offered(tapFields)).toEqual(documented('Fields of a tap filter')))
})
