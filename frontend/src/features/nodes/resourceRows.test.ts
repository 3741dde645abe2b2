import { describe, expect, it } from 'vitest'
import type { ResourceStatus } from '@/api/types'
import { resourceName, resourceRows } from './resourceRows'

const r = (type: ResourceStatus['type'], name: string, over: Partial<ResourceStatus> = {}): ResourceStatus => ({
  type, name, desired: 'aa', sent: 'aa', acked: 'aa', applied: 'aa', state: 'synced', objects: [], ...over,
})

describe('resourceRows', () => {
  it('keeps what differs, refusals first, and counts the rest by type in a fixed order', () => {
    const { odd, same } = resourceRows([
      r('endpoint', 'e1'), r('cluster', 'c1'), r('cluster', 'c2', { applied: 'bb' }), r('cluster', 'c3'),
      r('route', 'r1', { acked: 'bb', applied: 'bb', error: 'no', state: 'rejected' }), r('listener', 'l1'),
    ])
    expect(odd.map((o) => o.name)).toEqual(['r1', 'c2'])
    expect(same.map((s) => [s.type, s.names])).toEqual([['listener', ['l1']], ['cluster', ['c1', 'c3']], ['endpoint', ['e1']]])
  })
})

describe('resourceName', () => {
  it.each([
    ['outbound|8080|canary|payments.booking.svc.cluster.local', 'payments.booking:8080 canary'],
    ['outbound|443||api.bank.example', 'api.bank.example:443'],
    ['inbound|8080||', 'inbound:8080'],
    ['outbound', 'outbound'],
  ])('%s', (name, want) => expect(resourceName(name)).toBe(want))
})
