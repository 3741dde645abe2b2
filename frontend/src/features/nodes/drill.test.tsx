import { render, screen } from '@testing-library/react'
import { describe, expect, it } from 'vitest'
import type { ResourceStatus } from '@/api/types'
import { Fields } from './Difference'
import { nodeStatus } from './fixtures/nodes'
import { LateCertificate, Validity } from './NodeDrill'
import { Resources } from './Resources'
import { Stages } from './Stages'

describe('Stages', () => {
  it('says in words where the push stopped', () => {
    render(<Stages node={nodeStatus({ state: 'rejected', push: { sent_ms: 90, acked_ms: 240, applied_ms: null } })} />)
    expect(screen.getByRole('img').getAttribute('aria-label')).toBe('sent after 90\u2009ms, acknowledged after 240\u2009ms, not applied')
  })
  it('says when nothing was sent', () => {
    render(<Stages node={nodeStatus({ push: { sent_ms: null, acked_ms: null, applied_ms: null } })} />)
    expect(screen.getByText('not sent')).toBeTruthy()
  })
})

describe('Validity', () => {
  it.each([
    [7200, /^renewed before it ends in (2\s*h|120\s*min)/],
    [-30, /^ended 30\s*s ago$/],
  ])('%i s', (seconds, words) => {
    const now = Date.parse('2026-01-01T12:00:00Z')
    const { container } = render(<Validity until={new Date(now + seconds * 1000).toISOString()} now={now} />)
    expect(container.textContent).toMatch(words)
  })
})

describe('LateCertificate', () => {
  it('says for how long, why, and what to do', () => {
    const now = Date.parse('2026-01-01T12:00:00Z')
    const failure = { since: '2026-01-01T11:48:00Z', reason: 'refused', error: 'join token 7: it was used 1 times of 1', remedy: 'make a join token' }
    const { container } = render(<LateCertificate failure={failure} now={now} />)
    expect(container.textContent).toMatch(/^for 12\s*min: join token 7: it was used 1 times of 1. Make a join token.$/)
  })
})

describe('Difference', () => {
  it('says field by field what runs and what should', () => {
    const field = { op: 'changed' as const, path: 'virtual_hosts[catalog].routes[all].route.timeout', before: '3s', after: '1s' }
    render(
      <Fields
        difference={{
          node: 'web-1', against: '', revision: 43, notes: ['it is not known what web-1 runs'],
          resources: [
            { op: 'changed', type: 'route', name: 'outbound', runs: 'a', should: 'b', fields: [field], objects: [] },
            { op: 'added', type: 'cluster', name: 'outbound|80||new.cinema.svc.cluster.local', runs: '', should: 'c', fields: [], objects: [] },
          ],
        }}
      />,
    )
    expect(screen.getByText('3s').tagName).toBe('DEL')
    expect(screen.getByText('1s').tagName).toBe('INS')
    expect(screen.getByText(/is missing/)).toBeTruthy()
    expect(screen.getByText('it is not known what web-1 runs')).toBeTruthy()
  })
  it('says nothing when nothing differs', () => {
    const { container } = render(<Fields difference={{ node: 'web-1', against: '', revision: 43, notes: [], resources: [] }} />)
    expect(container.textContent).toBe('')
  })
})

describe('Resources', () => {
  const r = (name: string, over: Partial<ResourceStatus> = {}): ResourceStatus => ({ type: 'cluster', name, desired: 'aaaaaaaaaaaa', sent: 'aaaaaaaaaaaa', acked: 'aaaaaaaaaaaa', applied: 'aaaaaaaaaaaa', state: 'synced', objects: [], ...over })
  it('shows the refused one with its object, and counts the others', () => {
    render(<Resources resources={[r('a'), r('b'), r('payments', { acked: 'bbbbbbbbbbbb', applied: 'bbbbbbbbbbbb', state: 'rejected', error: 'no', objects: ['DestinationRule booking/payments'] })]} />)
    expect(screen.getByText('NACK')).toBeTruthy()
    expect(screen.getByText('DestinationRule booking/payments')).toBeTruthy()
    expect(screen.getByText('2 others')).toBeTruthy()
    expect(screen.getAllByText('bbbbbbbb')).toHaveLength(2)
  })
  it('explains an empty list', () => {
    render(<Resources resources={[]} />)
    expect(screen.getByText(/Nothing was compiled for this node/)).toBeTruthy()
  })
})
