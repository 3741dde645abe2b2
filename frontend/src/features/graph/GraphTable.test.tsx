import { fireEvent, render, screen, within } from '@testing-library/react'
import { describe, expect, it, vi } from 'vitest'
import { cinema, edge, node } from '@/graph/fixtures/view'
import { buildModel } from '@/graph/model'
import { GraphTable } from './GraphTable'

const model = buildModel(cinema())
const rows = () => screen.getAllByRole('row').slice(1)
const firstCells = () => rows().map((r) => within(r).getAllByRole('cell').slice(0, 3).map((c) => c.textContent).join(' | '))

describe('GraphTable', () => {
  it('tells every edge, the failing first, health in words', () => {
    render(<GraphTable model={model} selected={null} onSelect={() => undefined} />)
    expect(rows()).toHaveLength(4)
    expect(firstCells()[0]).toBe('failing | tickets cinema | payments cinema')
  })

  it('sorts by a column, and says so', () => {
    render(<GraphTable model={model} selected={null} onSelect={() => undefined} />)
    fireEvent.click(screen.getByRole('button', { name: 'To' }))
    expect(screen.getByRole('columnheader', { name: 'To' }).getAttribute('aria-sort')).toBe('ascending')
    expect(firstCells().map((c) => c.split(' | ')[2])).toEqual(['bank ', 'catalog cinema', 'payments cinema', 'tickets cinema'])
  })

  it('opens an edge, or the service that was meant', () => {
    const onSelect = vi.fn()
    render(<GraphTable model={model} selected={null} onSelect={onSelect} />)
    fireEvent.click(screen.getByRole('button', { name: 'Open tickets to payments' }))
    expect(onSelect).toHaveBeenLastCalledWith('cinema/tickets>cinema/payments:http')
    fireEvent.click(within(rows()[0] as HTMLElement).getByRole('button', { name: 'payments cinema' }))
    expect(onSelect).toHaveBeenLastCalledWith('cinema/payments')
  })

  it('leaves out nobody who has no edge', () => {
    const v = cinema()
    const lonely = buildModel({ ...v, nodes: [...v.nodes, node('cinema/cron')], edges: [...v.edges, edge('cinema/web', 'cinema/web')] })
    render(<GraphTable model={lonely} selected={null} onSelect={() => undefined} />)
    expect(screen.getByText('1 workload without edges: cron')).toBeDefined()
  })
})
