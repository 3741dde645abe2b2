import { render, screen } from '@testing-library/react'
import { describe, expect, it, vi } from 'vitest'
import { useShell } from '@/lib/shell'
import { Trouble } from './Trouble'

describe('Trouble', () => {
  it('says what failed, why, and what to do', () => {
    const retry = vi.fn()
    render(<Trouble title="The services cannot be shown" error={{ message: 'The server does not answer.', hint: 'Is sidelight running?' }} retry={retry} />)
    expect(screen.getByRole('alert').textContent).toContain('The services cannot be shown')
    expect(screen.getByText('The server does not answer. Is sidelight running?')).toBeDefined()
    screen.getByRole('button', { name: 'Try again' }).click()
    expect(retry).toHaveBeenCalledOnce()
  })

  it('tells who may not see it from what is broken', () => {
    const { rerender } = render(<Trouble title="x" error={{ code: 'forbidden', message: 'm' }} retry={() => undefined} />)
    expect(screen.getByRole('heading', { name: 'You may not see this' })).toBeDefined()
    expect(screen.queryByRole('alert')).toBeNull()
    rerender(<Trouble title="x" error={{ code: 'intercepted', message: 'm' }} />)
    expect(screen.getByRole('button', { name: 'Reload, to sign in' })).toBeDefined()
    rerender(<Trouble title="x" error={{ code: 'unauthenticated', message: 'm' }} />)
    screen.getByRole('button', { name: 'Sign in' }).click()
    expect(useShell.getState().signIn).toBe(true)
  })
})
