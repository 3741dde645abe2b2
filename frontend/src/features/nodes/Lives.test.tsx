import { render, screen } from '@testing-library/react'
import { describe, expect, it } from 'vitest'
import type { NodeLife } from '@/api/types'
import { comings, goings, Lives } from './Lives'

const at = (s: number) => new Date(Date.UTC(2026, 2, 1, 12) + s * 1000).toISOString()
const life = (l: Partial<NodeLife> = {}): NodeLife => ({ started_at: at(0), app: true, connections_cut: 0, problems: [], ...l })
const names = (events: { what: string; at?: string | undefined; missing?: string | undefined }[]) => events.map((e) => (e.at ? e.what : e.missing))

describe('the order of starts and stops', () => {
  it('is as it was', () => {
    expect(names(comings(life({ serving_at: at(2), app_at: at(1) })))).toEqual(['sidecar started', 'application ready', 'sidecar serves'])
    expect(names(comings(life({ serving_at: at(1), app_at: at(2) })))).toEqual(['sidecar started', 'sidecar serves', 'application ready'])
  })

  it('says what has not come', () => {
    expect(names(comings(life()))).toEqual(['sidecar started', 'sidecar does not serve yet', 'application not ready yet'])
    expect(names(comings(life({ app: false, serving_at: at(1) })))).toEqual(['sidecar started', 'sidecar serves'])
  })

  it('says who was still there', () => {
    expect(names(goings(life({ app_at: at(1), draining_at: at(9), drained_at: at(10), ended_at: at(10) })))).toEqual(['sidecar drains', 'drained', 'sidecar left', 'application still up'])
    expect(names(goings(life({ app_at: at(1), draining_at: at(9), drained_at: at(11), app_gone_at: at(10), ended_at: at(11) })))).toEqual(['sidecar drains', 'application gone', 'drained', 'sidecar left'])
  })

  it('is told with what was wrong', () => {
    render(<Lives lives={[life({ serving_at: at(1), app_at: at(0.6), problems: ['its application was ready 400 ms before its sidecar'] })]} />)
    expect(screen.getByRole('region', { name: 'Starts and stops' }).textContent).toContain('Its application was ready 400 ms before its sidecar.')
    expect(screen.getByText('application ready').textContent).toMatch(/\+600\s*ms/)
  })
})
