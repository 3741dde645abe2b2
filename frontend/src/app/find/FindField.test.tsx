import { act, fireEvent, screen, waitFor } from '@testing-library/react'
import { beforeEach, describe, expect, it } from 'vitest'
import { useShell } from '@/lib/shell'
import { renderAt } from '../../../test/render'
import { FindField } from './FindField'

const fields = [
  { name: 'errors', help: 'share of failed requests' },
  { name: 'p95', help: 'latency' },
]
const slot = { label: 'Find', placeholder: 'errors > 1 %', note: '2 edges', fields, error: '' }
const field = () => screen.getByRole<HTMLInputElement>('combobox', { name: 'Find' })

function type(text: string): void {
  const input = field()
  fireEvent.focus(input)
  fireEvent.change(input, { target: { value: text } })
  input.setSelectionRange(text.length, text.length)
  fireEvent.select(input)
}

describe('FindField', () => {
  beforeEach(() => act(() => useShell.getState().set({ find: slot })))

  it('shows what the address says', async () => {
    await renderAt('/graph?q=errors+>+1+%25', () => <FindField />)
    expect(field().value).toBe('errors > 1 %')
    expect(screen.getByText('2 edges')).toBeDefined()
  })

  it('writes a right expression to the address by Enter', async () => {
    const { search } = await renderAt('/graph?ns=a', () => <FindField />)
    type('p95 > 250 ms')
    fireEvent.keyDown(field(), { key: 'Enter' })
    await waitFor(() => expect(search()).toEqual({ ns: 'a', q: 'p95 > 250 ms' }))
  })

  it('writes it after a pause as well', async () => {
    const { search } = await renderAt('/graph', () => <FindField />)
    type('errors > 2 %')
    expect(search()).toEqual({})
    await waitFor(() => expect(search()).toEqual({ q: 'errors > 2 %' }), { timeout: 1500 })
  })

  it('says what is wrong, and leaves the address alone', async () => {
    const { search } = await renderAt('/graph?q=errors', () => <FindField />)
    type('errrs > 1')
    expect(screen.getByText('no field is called "errrs", did you mean "errors"?')).toBeDefined()
    expect(field().getAttribute('aria-invalid')).toBe('true')
    fireEvent.keyDown(field(), { key: 'Enter' })
    expect(search()).toEqual({ q: 'errors' })
  })

  it('says what the server finds wrong', async () => {
    act(() => useShell.getState().set({ find: { ...slot, error: 'p95 takes a time' } }))
    await renderAt('/graph?q=p95', () => <FindField />)
    expect(screen.getByText('p95 takes a time')).toBeDefined()
  })

  it('completes the field being typed', async () => {
    await renderAt('/graph', () => <FindField />)
    type('err')
    expect(screen.getAllByRole('option')).toHaveLength(1)
    fireEvent.keyDown(field(), { key: 'Tab' })
    expect(field().value).toBe('errors ')
  })

  it('clears', async () => {
    const { search } = await renderAt('/graph?q=errors', () => <FindField />)
    fireEvent.click(screen.getByRole('button', { name: 'Clear the expression' }))
    await waitFor(() => expect(search()).toEqual({}))
    expect(field().value).toBe('')
  })
})
