import { afterEach, describe, expect, it, vi } from 'vitest'
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
    [401, '<html>who are you</html>', false, ['unauthenticated', 401]],
    [403, 'no', false, ['forbidden', 403]],
    [200, '<html>sign in</html>', true, ['unauthenticated', 200]],
    [200, '<html>something else</html>', false, ['internal', 200]],
    [502, 'bad gateway', false, ['internal', 502]],
  ] as const)('%i %s', async (status, body, redirected, want) => {
    answer(status, body, redirected)
    expect(await failure()).toEqual(want)
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
