import type { ReactNode } from 'react'
import { Button } from './Button'
import { EmptyState } from './EmptyState'

/** What an answer that failed tells: of HTTP and of the live socket alike. */
export type Failure = { message: string; code?: string; hint?: string }

/**
 * Stands where something cannot be shown, and says why and what to do; also
 * that one may not see it, which whoever runs the proxy in front decides.
 */
export function Trouble({ title, error, retry, children }: { title: string; error: Failure; retry?: () => unknown; children?: ReactNode }) {
  const barred = error.code === 'unauthenticated' || error.code === 'forbidden'
  return (
    <EmptyState state={barred ? 'unknown' : 'fail'} title={barred ? barredTitle[error.code as 'forbidden'] : title} why={[error.message, error.hint].map(sentence).join(' ')}>
      {error.code === 'unauthenticated' ? (
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

const barredTitle = { unauthenticated: 'You are not signed in', forbidden: 'You may not see this' }
