import { describe, expect, it } from 'vitest'
import type { ConfigLineage, ConfigObject, Problem } from '@/api/types'
import { finding } from './ObjectDetail'
import { finding as pageFinding, objectRows } from './rows'
import { firstLine, tokens } from './Yaml'

const object = (kind: string, name: string, source = 'a.yaml'): ConfigObject => ({
  kind, api_version: 'networking.istio.io/v1', namespace: 'cinema', name, source, line: 1, yaml: '', revision: 4,
})
const problem = (severity: 'error' | 'warning', of: string | undefined, message = 'wrong'): Problem => ({
  severity, code: 'SL1006', file: 'b.yaml', line: 8, column: 5, path: 'spec', message, hint: 'mend it', object: of,
})

describe('rows', () => {
  it('put what is wrong first, and show what is out of effect', () => {
    const rows = objectRows(
      [object('ServiceEntry', 'bank'), object('VirtualService', 'catalog'), object('VirtualService', 'web'), object('VirtualService', 'seats')],
      [
        { object: 'VirtualService cinema/web', nodes: 2, refusing: 1 },
        { object: 'VirtualService cinema/seats', nodes: 2, refusing: 0 },
      ],
      [problem('warning', 'VirtualService cinema/catalog'), problem('error', 'VirtualService cinema/gone'), problem('error', undefined)],
    )
    expect(rows.map((r) => `${r.state} ${r.name || r.source} ${r.nodes}`)).toEqual([
      'fail b.yaml not in effect',
      'fail gone not in effect',
      'fail web 1 node refuses it',
      'warn catalog all that need it',
      'warn seats 2 nodes lack it',
      'ok bank all that need it',
    ])
  })

  it('let an error speak before a warning', () => {
    const rows = objectRows([object('VirtualService', 'a')], [], [problem('warning', 'VirtualService cinema/a', 'w'), problem('error', 'VirtualService cinema/a', 'e')])
    expect(rows[0]).toMatchObject({ state: 'fail', inEffect: true, problem: { message: 'e' } })
  })
})

describe('the page', () => {
  const lack = (refusing: number) => ({ object: 'VirtualService cinema/web', nodes: 2, refusing })
  it.each([
    [[], [], 'ok All that is written is in effect'],
    [[problem('warning', undefined)], [], 'warn All is in effect, with 1 warning'],
    [[], [lack(0)], 'warn 1 object is not yet on all nodes'],
    [[problem('warning', undefined)], [lack(0), lack(1)], 'fail Nodes refuse 1 object, 1 warning'],
    [[problem('error', undefined)], [lack(1)], 'fail 1 error keeps objects out of effect'],
    [undefined, [], 'unknown Configuration'],
  ])('says the worst first: %#', (problems, lacking, want) => {
    const { state, title } = pageFinding(problems, lacking)
    expect(`${state} ${title}`).toBe(want)
  })
})

describe('one object', () => {
  const lineage = (change: Partial<ConfigLineage>): ConfigLineage => ({ object: object('VirtualService', 'a'), problems: [], resources: [], nodes: [], need: 3, have: 3, ...change })
  it('says the worst in a sentence', () => {
    expect(finding(lineage({})).strong).toBe('All 3 nodes that need it run it.')
    expect(finding(lineage({ have: 2 })).strong).toBe('2 of 3 nodes run it.')
    expect(finding(lineage({ need: 0, have: 0 })).state).toBe('unknown')
    expect(finding(lineage({ problems: [problem('warning', 'x')] })).state).toBe('warn')
    expect(finding(lineage({ problems: [problem('error', 'x', 'unknown field')] })).rest).toContain('the form of revision 4 stays in effect: unknown field')
  })
})

describe('YAML', () => {
  const shown = (line: string) => tokens(line).map((t) => `${t.is}(${t.text})`).join('')
  it('knows keys and comments', () => {
    expect(shown('  - name: x # why')).toBe('plain(  - )key(name)plain(: x)comment( # why)')
    expect(shown('metadata: {name: a, "b c": d}')).toBe('key(metadata)plain(: {)key(name)plain(: a, )key("b c")plain(: d})')
    expect(shown('uri: "http://a/#b"')).toBe('key(uri)plain(: "http://a/#b")')
    expect(shown('# all')).toBe('comment(# all)')
    expect(shown('')).toBe('')
  })
  it('counts lines from above the comments', () => {
    expect(firstLine('# a\n\nkind: b\n', 12)).toBe(10)
    expect(firstLine('kind: b\n', 3)).toBe(3)
  })
})
