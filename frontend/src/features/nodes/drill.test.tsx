import { render, screen } from '@testing-library/react'
import { describe, expect, it } from 'vitest'
import type { ResourceStatus } from '@/api/types'
import { nodeStatus } from './fixtures/nodes'
import { Validity } from './NodeDrill'
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
