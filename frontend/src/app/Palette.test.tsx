import { fireEvent, screen } from '@testing-library/react'
import { beforeEach, expect, it, vi } from 'vitest'
import { renderAt } from '../../test/render'
import { useFrame } from './frame'
import { Palette } from './Palette'
import { useShellKeys } from './useShellKeys'

const workload = (name: string, state: string, rps: number, out: number) => ({ id: `workload:a/${name}`, name, namespace: 'a', health: { state, reasons: [] }, in: { rps }, out: { rps: out } })
vi.mock('@/api/inventory', () => ({
  useWorkloads: () => ({ data: { items: [workload('calm', 'ok', 3, 0), workload('ingress', 'ok', 0, 20), workload('broken', 'fail', 5, 1)] } }),
  useServices: () => ({ data: undefined }),
}))

beforeEach(() => useFrame.getState().setPalette(false))

it('shows the worst first, and what those send who are not called', async () => {
  await renderAt('/', () => <Palette />)
  const options = screen.getAllByRole('option').slice(0, 3).map((o) => o.textContent)
  expect(options).toEqual(['broken a5 rps', 'calm a3 rps', 'ingress a20 rps out'])
})

it('keeps what is typed before it has come', async () => {
  const Keys = () => {
    useShellKeys(false)
    return useFrame((s) => s.palette && s.ahead.length === 3) ? <Palette /> : null
  }
  const { path } = await renderAt('/', () => <Keys />)
  fireEvent.keyDown(document.body, { key: 'k', ctrlKey: true })
  // Else g g would lead to the graph.
  for (const key of 'ggl') fireEvent.keyDown(document.body, { key })
  expect(screen.getByRole<HTMLInputElement>('combobox').value).toBe('ggl')
  expect(path()).toBe('/')
})
