import { describe, expect, it } from 'vitest'
import type { HealthState, ServiceItem } from '@/api/types'
import { parse } from '@/lib/expr/parse'
import { serviceSchema } from './ServiceList'
import { matching, sorted } from './sort'

const row = (namespace: string, name: string, state: HealthState, rps = 0) => ({ namespace, name, rps, health: { state, reasons: [] } })
const rows = [row('b', 'ok', 'ok', 9), row('a', 'bad', 'fail', 1), row('a', 'odd', 'warn', 9)]
const names = (list: { name: string }[]) => list.map((r) => r.name)

describe('sorted', () => {
  it('puts the worst first when a column tells nothing', () => {
    expect(names(sorted(rows, undefined, false))).toEqual(['bad', 'odd', 'ok'])
  })
  it('turns the column round, not what stands equal in it', () => {
    expect(names(sorted(rows, (r) => r.rps, true))).toEqual(['odd', 'ok', 'bad'])
    expect(names(sorted(rows, (r) => r.name, false))).toEqual(['bad', 'odd', 'ok'])
  })
})

describe('matching', () => {
  const service = (name: string, more: object): ServiceItem =>
    ({ ...row('a', name, 'ok'), host: `${name}.a`, external: false, ports: [], endpoints: 2, ejected: 0, in: { rps: 1, error_ratio: 0, p95_ms: 10, p99_ms: 20 }, workloads: [], meshed: 0, objects: [], ...more }) as unknown as ServiceItem
  const services = [service('fine', {}), service('out', { ejected: 1 }), service('failing', { in: { rps: 3, error_ratio: 0.2, p95_ms: null, p99_ms: null } }), service('bank', { external: true })]
  it.each([
    ['', 'fine out failing bank'],
    ['errors > 1 % or ejected > 0', 'out failing'],
    ['ban', 'bank'],
    ['external', 'bank'],
    ['p95 > 250 ms', ''],
    ['rps >= 3 and not ejected', 'failing'],
  ])('%s', (source, want) => {
    const { match, error } = parse(source, serviceSchema)
    if (match === null) throw error
    expect(names(matching(services, [], match)).join(' ')).toBe(want)
  })
  it('keeps to the chosen namespaces', () => {
    expect(matching(services, ['b'], () => true)).toEqual([])
  })
})
