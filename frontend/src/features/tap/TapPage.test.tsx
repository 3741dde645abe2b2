import { act, fireEvent, screen, within } from '@testing-library/react'
import { beforeEach, describe, expect, it, vi } from 'vitest'
import type { Handlers, Params } from '@/api/live'
import { LiveClient } from '@/api/live'
import type { TapEvent } from '@/api/types'
import { renderAt } from '../../../test/render'
import { tapEvent, timedOut } from './fixtures/events'
import { TapPage } from '.'

let sessions: { params: Params | undefined; handlers: Handlers; open: boolean }[] = []
const last = () => sessions.at(-1)!
const send = (events: TapEvent[], over = {}) =>
  act(() => last().handlers.event?.({ events, sidecars: 3, ledger: { matched: events.length, delivered: events.length, sampled_out: 0, dropped_sidecar: 0, dropped_server: 0, dropped_socket: 0, ...over } }, ''))
const account = () => document.querySelector('p')?.textContent?.replaceAll(/\s+/g, ' ')

beforeEach(() => {
  sessions = []
  vi.spyOn(LiveClient.prototype, 'subscribe').mockImplementation((_channel, params, handlers) => {
    const session = { params, handlers, open: true }
    sessions.push(session)
    return () => void (session.open = false)
  })
  vi.spyOn(HTMLElement.prototype, 'clientHeight', 'get').mockReturnValue(600)
  vi.spyOn(HTMLElement.prototype, 'clientWidth', 'get').mockReturnValue(1200)
})

describe('TapPage', () => {
  it('asks for what the address says', async () => {
    await renderAt('/tap?q=status+>=+400&ns=booking&limit=300&headers=1', () => <TapPage />)
    expect(last().params).toEqual({ filter: 'namespace = booking and (status >= 400)', limit_per_s: 300, headers: true, ttl_s: 1800 })
  })
  it('shows requests and an account that adds up, losses named', async () => {
    await renderAt('/tap', () => <TapPage />)
    send([tapEvent(), timedOut()], { matched: 12, sampled_out: 10 })
    expect(account()).toBe('matched 12=2 shown+10 over the limit at sidecars+0 server queue full+0 slow browser or full pause')
    expect(screen.getByText('504')).toBeTruthy()
    expect(screen.getByText('no answer in time', { exact: false })).toBeTruthy()
  })
  it('pauses with Space, keeps what is newer, and shows it on resume', async () => {
    await renderAt('/tap', () => <TapPage />)
    send([tapEvent({ seq: 1 })])
    fireEvent.keyDown(document.body, { key: ' ' })
    send([tapEvent({ seq: 2, path: '/later' })], { matched: 2, delivered: 2 })
    expect(screen.getByText(/1 newer kept/)).toBeTruthy()
    expect(screen.queryByText('/later')).toBeNull()
    fireEvent.keyDown(document.body, { key: ' ' })
    expect(screen.getByText('/later')).toBeTruthy()
  })
  it('does not move the rows while somebody points at one', async () => {
    await renderAt('/tap', () => <TapPage />)
    send([tapEvent({ seq: 1, path: '/first' })])
    fireEvent.pointerMove(screen.getByRole('treegrid'))
    send([tapEvent({ seq: 2, path: '/second' })])
    expect(screen.queryByText('/second')).toBeNull()
    fireEvent.click(screen.getByText('1 newer row, show'))
    expect(screen.getByText('/second')).toBeTruthy()
  })
  it('opens a request: its attempts, its headers, and how to repeat it', async () => {
    await renderAt('/tap', () => <TapPage />)
    send([timedOut()])
    fireEvent.click(screen.getByText('504'))
    expect(screen.getByText('3 attempts, all failed')).toBeTruthy()
    expect(screen.getByText(/812.B redacted/)).toBeTruthy()
    expect(screen.getByText(/curl -sS -X POST/).textContent).toContain('$AUTHORIZATION')
    expect(screen.getByText('Open trace').getAttribute('href')).toBe(`/traces/${timedOut().trace_id}`)
  })
  it('says where a filter is wrong, and offers to start again after an end', async () => {
    await renderAt('/tap?q=bad+=', () => <TapPage />)
    act(() => last().handlers.error?.({ code: 'invalid', message: 'at 5: "=" needs a value after it' }))
    expect(screen.getByText(/at 5: "=" needs a value after it/)).toBeTruthy()
    fireEvent.click(screen.getByText('Start'))
    expect(sessions).toHaveLength(2)
    act(() => last().handlers.end?.('ttl'))
    expect(screen.getByText('the session’s time was up')).toBeTruthy()
  })
  it('shows a recorded file, and goes back to live', async () => {
    await renderAt('/tap', () => <TapPage />)
    const input = screen.getByLabelText('Recorded requests')
    fireEvent.change(input, { target: { files: [new File(['no request'], 'notes.txt')] } })
    expect((await screen.findByRole('alert')).textContent).toContain('notes.txt holds no request')
    expect(last().open).toBe(true)
    fireEvent.change(input, { target: { files: [new File([`${JSON.stringify(timedOut())}\nx\n`], 'night.ndjson')] } })
    expect(await screen.findByText('night.ndjson, 1 request, 1 line left out: not a request')).toBeTruthy()
    expect(screen.getByText('504')).toBeTruthy()
    expect(last().open).toBe(false)
    fireEvent.click(screen.getByText('Back to live'))
    expect(last().open).toBe(true)
    expect(screen.queryByText('504')).toBeNull()
  })
  it('lists who taps and who tapped, and stops one', async () => {
    const session = { session: 's', headers: false, limit_per_s: 100, sidecars: 3, reason: '', opened_at: '2026-11-21T14:32:07Z', ledger: { matched: 12, delivered: 5, sampled_out: 4, dropped_sidecar: 2, dropped_server: 1, dropped_socket: 0 } }
    let open = true
    const asked: string[] = []
    vi.stubGlobal('fetch', (url: string, init: RequestInit) => {
      asked.push(`${init.method} ${url}`)
      if (init.method === 'DELETE') {
        open = false
        return Promise.resolve(new Response(null, { status: 204 }))
      }
      const ann = { ...session, id: 'a1', user: 'ann', filter: 'error', ...(open ? {} : { closed_at: '2026-11-21T14:33:07Z', reason: 'stopped by bob' }) }
      const eve = { ...session, id: 'e1', user: 'eve', filter: '', sidecars: 0, closed_at: '2026-11-21T14:32:37Z', reason: 'ttl' }
      return Promise.resolve(Response.json({ sessions: [ann, eve] }))
    })
    await renderAt('/tap', () => <TapPage />)
    fireEvent.click(screen.getByText('Sessions'))
    const row = (await screen.findByText('ann')).closest('tr')!
    expect([...row.cells].slice(2).map((c) => c.textContent)).toEqual(['error', '3', '12', '5', '7', 'Stop'])
    expect(row.cells[6]!.title).toBe('4 over the limit, 2 at sidecars, 1 at the server, 0 on the socket')
    expect(screen.getByText('eve').closest('tr')?.textContent).toContain('time was up')
    fireEvent.click(within(row).getByText('Stop'))
    expect(await screen.findByText(/stopped by bob/)).toBeTruthy()
    expect(asked).toContainEqual(expect.stringMatching(/^DELETE .*api\/v1\/tap\/sessions\/a1$/))
    vi.unstubAllGlobals()
  })
  it('ends the session on Stop, and keeps the rows', async () => {
    await renderAt('/tap', () => <TapPage />)
    send([timedOut()])
    fireEvent.click(screen.getByText('Stop'))
    expect(last().open).toBe(false)
    expect(screen.getByText('504')).toBeTruthy()
  })
})
