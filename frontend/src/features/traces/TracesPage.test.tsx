import { act, fireEvent, screen, waitFor } from '@testing-library/react'
import { beforeEach, describe, expect, it, vi } from 'vitest'
import type { TraceSummary } from '@/api/types'
import { renderAt } from '../../../test/render'
import { TracesPage } from '.'

const summary = (over: Partial<TraceSummary>): TraceSummary => ({ trace_id: 'aa', service: 'web', operation: 'POST /book', start: '2025-01-01T14:00:00Z', duration_ms: 120, spans: 9, errors: 0, status: 200, services: [{ name: 'web', spans: 9, errors: 0 }], ...over })

let asked: URL[] = []
let reply: (url: URL) => [number, unknown]
beforeEach(() => {
  asked = []
  reply = (url) => {
    if (url.pathname.endsWith('/services')) return [200, { services: ['tickets', 'web'] }]
    if (url.pathname.endsWith('/operations')) return [200, { operations: ['POST /book'] }]
    return [200, { traces: [summary({}), summary({ trace_id: 'bb', duration_ms: 2040, errors: 3, status: 504 })], total_scanned: 41, complete: true }]
  }
  vi.stubGlobal('fetch', async (input: string) => {
    const url = new URL(input, 'http://x')
    if (url.pathname.endsWith('/propagation')) return new Response('{"workloads":[]}', { headers: { 'content-type': 'application/json' } })
    asked.push(url)
    const [status, body] = reply(url)
    return new Response(JSON.stringify(body), { status, headers: { 'content-type': 'application/json' } })
  })
})

describe('TracesPage', () => {
  it('says what was found and links each trace', async () => {
    await renderAt('/traces', () => <TracesPage />)
    expect(await screen.findByText(/2 traces, 1 failed\. Slowest 2\.04/)).toBeTruthy()
    const links = screen.getAllByRole('link').map((a) => a.getAttribute('href'))
    expect(links).toEqual(expect.arrayContaining(['/traces/aa', '/traces/bb']))
  })
  it('writes what is chosen into the address, and asks the server for it', async () => {
    const { search } = await renderAt('/traces?min_ms=250', () => <TracesPage />)
    fireEvent.click(await screen.findByText('with errors'))
    await waitFor(() => expect(search()).toEqual({ min_ms: '250', errors: '1' }))
    await waitFor(() => expect(asked.at(-1)?.search).toContain('errors=true'))
    expect(asked.at(-1)?.searchParams.get('min_ms')).toBe('250')
  })
  it('searches for whole values only', async () => {
    const { search } = await renderAt('/traces', () => <TracesPage />)
    const field = await screen.findByLabelText('Status')
    fireEvent.change(field, { target: { value: '5x' } })
    fireEvent.keyDown(field, { key: 'Enter' })
    expect(field.getAttribute('aria-invalid')).toBe('true')
    expect(search()).toEqual({})
    fireEvent.change(field, { target: { value: '5xx' } })
    fireEvent.keyDown(field, { key: 'Enter' })
    await waitFor(() => expect(search()).toEqual({ status: '5xx' }))
  })
  it('says what narrows an empty search', async () => {
    reply = () => [200, { traces: [], total_scanned: 41, complete: true, services: [], operations: [] }]
    const { search } = await renderAt('/traces?errors=1&min_ms=9000', () => <TracesPage />)
    expect((await screen.findByText(/41 were looked at/)).textContent).toContain('with errors, at least 9000 ms')
    await act(async () => fireEvent.click(screen.getByText('Show all traces')))
    await waitFor(() => expect(search()).toEqual({}))
  })
  it('gives the cause and a retry when the store does not answer', async () => {
    reply = () => [400, { error: { code: 'invalid', message: 'status "9xx" is no class.', hint: 'Write 5xx.' } }]
    await renderAt('/traces?status=999', () => <TracesPage />)
    expect((await screen.findByRole('alert')).textContent).toContain('is no class. Write 5xx.')
    expect(screen.getByText('Try again')).toBeTruthy()
  })
  it('goes to an ID that was pasted into the find field', async () => {
    const { path } = await renderAt('/traces?q=A41F6B0C09D24A8F', () => <TracesPage />)
    await waitFor(() => expect(path()).toBe('/traces/a41f6b0c09d24a8f'))
  })
})
