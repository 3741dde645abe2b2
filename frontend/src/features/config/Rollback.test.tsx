import type * as Client from '@/api/client'
import { fireEvent, screen, waitFor } from '@testing-library/react'
import { beforeEach, describe, expect, it, vi } from 'vitest'
import { renderAt } from '../../../test/render'
import { Rollback } from './Rollback'

const asked = vi.hoisted(() => ({ calls: [] as string[], refuse: null as Error | null }))
vi.mock('@/api/client', async (original) => ({
  ...(await original<typeof Client>()),
  call: (method: string, path: string) => {
    asked.calls.push(`${method} ${path}`)
    return asked.refuse ? Promise.reject(asked.refuse) : Promise.resolve({})
  },
}))

beforeEach(() => {
  HTMLDialogElement.prototype.showModal ??= () => {}
  HTMLDialogElement.prototype.close ??= () => {}
  asked.calls = []
  asked.refuse = null
})

describe('Rollback', () => {
  it('asks before it changes anything, and says what it will do', async () => {
    const done = vi.fn()
    await renderAt('/', () => <Rollback to={41} newest={42} objects={2} onDone={done} />)
    fireEvent.click(screen.getByRole('button', { name: 'Go back to revision 41' }))
    expect(screen.getByText(/2 objects in the watched files are written back as revision 41 had them/)).toBeTruthy()
    expect(asked.calls).toEqual([])
    fireEvent.click(screen.getByText('Go back', { selector: 'button' }))
    await waitFor(() => expect(done).toHaveBeenCalled())
    expect(asked.calls).toEqual(['POST config/revisions/41/rollback'])
  })
  it('says why it was refused, and stays', async () => {
    asked.refuse = new Error('catalog.yaml was changed meanwhile.')
    const done = vi.fn()
    await renderAt('/', () => <Rollback to={41} newest={42} objects={1} onDone={done} />)
    fireEvent.click(screen.getByRole('button', { name: 'Go back to revision 41' }))
    fireEvent.click(screen.getByText('Go back', { selector: 'button' }))
    await waitFor(() => expect(screen.getByRole('alert', { hidden: true }).textContent).toContain('Nothing changed: catalog.yaml was changed meanwhile.'))
    expect(done).not.toHaveBeenCalled()
  })
})
