import type { ConfigObject, HealthState, ObjectLack, Problem } from '@/api/types'
import { plural } from '@/lib/format'

/** One row of the list: an object in effect, one that is kept out, or a file that cannot be read. */
export type ObjectRow = {
  /** "VirtualService cinema/catalog", or a place where no object is known. */
  key: string
  kind: string
  namespace: string
  name: string
  source: string
  line: number
  revision: number
  inEffect: boolean
  state: HealthState
  /** Who has it, in words. */
  nodes: string
  /** The worst. */
  problem: Problem | null
}

const RANK: Record<HealthState, number> = { fail: 0, warn: 1, unknown: 2, idle: 3, ok: 4 }

/** objectRows joins objects with what is wrong with them and with who lacks them, the worst first. */
export function objectRows(objects: readonly ConfigObject[], lacking: readonly ObjectLack[], problems: readonly Problem[]): ObjectRow[] {
  const lack = new Map(lacking.map((l) => [l.object, l]))
  const worst = new Map<string, Problem>()
  for (const p of problems) {
    const key = p.object ?? `${p.file}:${p.line}`
    const before = worst.get(key)
    if (!before || (before.severity === 'warning' && p.severity === 'error')) worst.set(key, p)
  }
  const rows = objects.map((o): ObjectRow => {
    const key = `${o.kind} ${o.namespace}/${o.name}`
    const problem = worst.get(key) ?? null
    worst.delete(key)
    const missing = lack.get(key)
    return {
      key, kind: o.kind, namespace: o.namespace, name: o.name, source: o.source, line: o.line, revision: o.revision, inEffect: true, problem,
      state: problem?.severity === 'error' || (missing && missing.refusing > 0) ? 'fail' : problem || missing ? 'warn' : 'ok',
      nodes: !missing ? 'all that need it' : missing.refusing > 0 ? `${plural(missing.refusing, 'node')} refuse${missing.refusing === 1 ? 's' : ''} it` : `${plural(missing.nodes, 'node')} lack${missing.nodes === 1 ? 's' : ''} it`,
    }
  })
  for (const [key, problem] of worst) rows.push(outOfEffect(key, problem))
  return rows.sort((a, b) => RANK[a.state] - RANK[b.state] || compare(a.namespace, b.namespace) || compare(a.kind, b.kind) || compare(a.name, b.name))
}

/** What the page is about in one sentence: what is kept out of effect, else what has not come to every node. */
export function finding(problems: readonly Problem[] | undefined, lacking: readonly ObjectLack[] | undefined): { state: HealthState; title: string } {
  if (!problems || !lacking) return { state: 'unknown', title: 'Configuration' }
  const errors = problems.filter((p) => p.severity === 'error').length
  const warnings = problems.length - errors
  const more = warnings > 0 ? `, ${plural(warnings, 'warning')}` : ''
  if (errors > 0) return { state: 'fail', title: `${plural(errors, 'error')} keep${errors === 1 ? 's' : ''} objects out of effect${more}` }
  const refused = lacking.filter((l) => l.refusing > 0).length
  if (refused > 0) return { state: 'fail', title: `Nodes refuse ${plural(refused, 'object')}${more}` }
  if (lacking.length > 0) return { state: 'warn', title: `${plural(lacking.length, 'object')} ${lacking.length === 1 ? 'is' : 'are'} not yet on all nodes${more}` }
  if (warnings > 0) return { state: 'warn', title: `All is in effect, with ${plural(warnings, 'warning')}` }
  return { state: 'ok', title: 'All that is written is in effect' }
}

function outOfEffect(key: string, problem: Problem): ObjectRow {
  const [kind = '', full = ''] = problem.object ? key.split(' ') : []
  const [namespace = '', name = ''] = full.split('/')
  return {
    key, kind, namespace, name, source: problem.file, line: problem.line, revision: 0, inEffect: false, problem,
    state: problem.severity === 'error' ? 'fail' : 'warn', nodes: 'not in effect',
  }
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
