import { useQuery } from '@tanstack/react-query'
import { call, get } from './client'
import type { Session } from './types'

export function useSession() {
  return useQuery<Session>({ queryKey: ['session'], queryFn: ({ signal }) => get<Session>('session', {}, signal), retry: false })
}

/** The browser has the session's cookie from then on, out of reach of pages. */
export function signIn(token: string): Promise<Session> {
  return call<Session>('POST', 'session', { body: JSON.stringify({ token }) })
}

export function signOut(): Promise<unknown> {
  return call('DELETE', 'session')
}
