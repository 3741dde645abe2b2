import { afterEach, describe, expect, it, vi } from 'vitest'
import { useShell } from '@/lib/shell'
import { ApiError, barred, get } from './client'

vi.mock('@/lib/base', () => ({ apiURL: (path: string) => path }))

function answer(status: number, body: string, redirected = false): void {
  const response = Object.defineProperty(new Response(body, { status }), 'redirected', { value: redirected })
  vi.stubGlobal('fetch', () => Promise.resolve(response))
}
const failure = () => get('services').then(() => null, (e: unknown) => (e instanceof ApiError ? [e.code, e.status] : e))

describe('get', () => {
  afterEach(() => vi.unstubAllGlobals())

  it.each([
    [200, '{"items":[]}', false, null],
    [404, '{"error":{"code":"not_found","message":"no such service"}}', false, ['not_found', 404]],
    [403, '{"error":{"code":"forbidden","message":"wrong origin","hint":"use the address"}}', false, ['forbidden', 403]],
    [401, '<html>who are you</html>', false, ['intercepted', 401]],
    [403, 'no', false, ['forbidden', 403]],
    [200, '<html>sign in</html>', true, ['intercepted', 200]],
    [200, '<html>something else</html>', false, ['internal', 200]],
    [502, 'bad gateway', false, ['internal', 502]],
  ] as const)('%i %s', async (status, body, redirected, want) => {
    answer(status, body, redirected)
    expect(await failure()).toEqual(want)
  })

  it('has the reader sign in where the server asks for a token, and only there', async () => {
    useShell.setState({ signIn: false })
    answer(401, '<html>who are you</html>')
    await failure()
    expect(useShell.getState().signIn).toBe(false)
    answer(401, '{"error":{"code":"unauthenticated","message":"no token","hint":"sign in"}}')
    expect(await failure()).toEqual(['unauthenticated', 401])
    expect(useShell.getState().signIn).toBe(true)
  })

  it('asks why a socket did not open, and is silent when nobody says', async () => {
    answer(403, 'no')
    expect((await barred())?.code).toBe('forbidden')
    answer(200, '{}')
    expect(await barred()).toBeNull()
    answer(502, 'bad gateway')
    expect(await barred()).toBeNull()
  })
})
