import type { ReactNode } from 'react'
import { useShell } from '@/lib/shell'
import { Button } from './Button'
import { EmptyState } from './EmptyState'

/** What an answer that failed tells: of HTTP and of the live socket alike. */
export type Failure = { message: string; code?: string; hint?: string }

/**
 * Stands where something cannot be shown, and says why and what to do; also
 * that one may not see it, or has to sign in first.
 */
export function Trouble({ title, error, retry, children }: { title: string; error: Failure; retry?: () => unknown; children?: ReactNode }) {
  const barred = barredTitle[error.code ?? '']
  return (
    <EmptyState state={barred ? 'unknown' : 'fail'} title={barred ?? title} why={(error.code === 'unauthenticated' ? [error.message] : [error.message, error.hint]).map(sentence).join(' ')}>
      {error.code === 'unauthenticated' ? (
        <Button kind="primary" onClick={() => useShell.getState().set({ signIn: true })}>
          Sign in
        </Button>
      ) : error.code === 'intercepted' ? (
        <Button icon="retry" onClick={() => location.reload()}>
          Reload, to sign in
        </Button>
      ) : retry ? (
        <Button icon="retry" onClick={() => void retry()}>
          Try again
        </Button>
      ) : null}
      {children}
    </EmptyState>
  )
}

/** Messages of programs begin small and end without a stop; here they stand beside whole sentences. */
function sentence(text = ''): string {
  const whole = text.charAt(0).toUpperCase() + text.slice(1)
  return whole === '' || /[.!?…]$/.test(whole) ? whole : `${whole}.`
}

const barredTitle: Partial<Record<string, string>> = { unauthenticated: 'You are not signed in', intercepted: 'You are not signed in', forbidden: 'You may not see this' }
