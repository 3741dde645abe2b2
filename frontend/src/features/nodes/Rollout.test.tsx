import type * as Client from '@/api/client'
import { fireEvent, screen, waitFor } from '@testing-library/react'
import { beforeEach, describe, expect, it, vi } from 'vitest'
import type { RolloutState } from '@/api/types'
import { renderAt } from '../../../test/render'
import { figures, headline, Rollout } from './Rollout'

const at = Date.parse('2026-11-21T03:00:30Z')
const held: RolloutState = {
  phase: 'held', target: 42, base: 41, canary: ['web-1.shop', 'web-2.shop'], since: '2026-11-21T03:00:00Z', started_at: '2026-11-21T02:59:00Z',
  well_since: '2026-11-21T03:00:20Z', error_ratio_before: 0.001, error_ratio_now: 0.081, error_ratio_others: 0, watch_s: 30, paused: false,
  reason: "held: 8.1 % of the canary's requests fail at revision 42, 0.1 % is usual",
}
const server = vi.hoisted(() => ({ state: null as unknown, calls: [] as string[], refuse: null as Error | null }))
vi.mock('@/api/client', async (original) => ({
  ...(await original<typeof Client>()),
  get: () => Promise.resolve(server.state),
  call: (method: string, path: string) => {
    server.calls.push(`${method} ${path}`)
    return server.refuse ? Promise.reject(server.refuse) : Promise.resolve({})
  },
}))

beforeEach(() => {
  HTMLDialogElement.prototype.showModal ??= () => {}
  HTMLDialogElement.prototype.close ??= () => {}
  server.calls = []
  server.refuse = null
})

const show = async (state: RolloutState) => {
  server.state = state
  await renderAt('/', () => <Rollout now={at} />)
}

describe('Rollout', () => {
  it('says what is held, why, and lets it go on when asked twice', async () => {
    await show(held)
    const bar = await screen.findByRole('region', { name: 'Roll-out' })
    expect(bar.textContent).toContain('Revision 42 is held at 2 canary nodes; the others keep 41.')
    expect(bar.textContent).toContain("8.1 % of the canary's requests fail")
    fireEvent.click(screen.getByRole('button', { name: 'Let all nodes have 42' }))
    expect(server.calls).toEqual([])
    fireEvent.click(screen.getByText('Let it go on', { selector: 'button' }))
    await waitFor(() => expect(server.calls).toEqual(['POST config/rollout/resume']))
  })
  it('holds a canary for a reason, and says when that is refused', async () => {
    server.refuse = new Error('change is not permitted for eve')
    await show({ ...held, phase: 'canary', reason: 'the canary runs revision 42 and is watched for 30s' })
    fireEvent.click(await screen.findByRole('button', { name: 'Hold it here' }))
    fireEvent.change(screen.getByLabelText(/Why/), { target: { value: ' freeze until Monday ' } })
    fireEvent.click(screen.getByText('Hold', { selector: 'button' }))
    await waitFor(() => expect(screen.getByRole('alert', { hidden: true }).textContent).toContain('Nothing changed: change is not permitted for eve'))
    expect(server.calls).toEqual(['POST config/rollout/hold?reason=freeze+until+Monday'])
  })
  it('is not there while every node gets everything at once', async () => {
    await show({ ...held, phase: 'done' })
    await new Promise((r) => setTimeout(r))
    expect(screen.queryByRole('region', { name: 'Roll-out' })).toBeNull()
  })
})

describe('words of a roll-out', () => {
  it('tell how far it is', () => {
    expect(headline({ ...held, phase: 'canary' })).toBe('Revision 42 is tried on 2 canary nodes; the others keep 41.')
    expect(headline({ ...held, phase: 'canary', paused: true, canary: [] })).toBe('Revision 42 is held: nodes keep 41.')
    expect(headline({ ...held, phase: 'done', paused: true })).toBe('Changes are held: the next revision goes no further than the canary.')
  })
  it('compare errors, and say how long the canary is watched', () => {
    expect(figures({ ...held, phase: 'canary' }, at).replace(/\s/g, ' ')).toBe('errors: canary 8.1 %, before 0.1 %, others 0.0 %; watched for 10 s of 30 s')
    expect(figures({ ...held, error_ratio_now: null, error_ratio_before: null, error_ratio_others: null }, at)).toBe('too little traffic to compare errors')
    expect(figures({ ...held, phase: 'done', paused: true }, at)).toBe('')
  })
})
