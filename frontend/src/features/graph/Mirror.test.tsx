import { fireEvent, render, screen } from '@testing-library/react'
import { describe, expect, it, vi } from 'vitest'
import type { Picture } from '@/graph/engine'
import { cinema } from '@/graph/fixtures/view'
import { layoutGraph } from '@/graph/layout'
import { buildModel } from '@/graph/model'
import { linkOf, routeEdges } from '@/graph/route'
import { Mirror } from './Mirror'

const model = buildModel(cinema())
const positions = new Map(
  Object.entries(layoutGraph({ nodes: [...model.nodes.keys()].map((id) => ({ id, group: model.groupOf.get(id) ?? null })), edges: [...model.edges.values()] })),
)
const picture: Picture = {
  positions,
  routes: routeEdges([...model.edges.values()].map(linkOf), positions),
  boxes: new Map(),
  forks: new Map(),
  labels: [],
  cards: true,
  visible: new Set(),
  added: 0,
  ready: true,
}
const focused = () => document.activeElement?.getAttribute('aria-label') ?? ''

function show(selected: string | null = null) {
  const onOpen = vi.fn()
  const onFocus = vi.fn()
  render(<Mirror model={model} picture={picture} selected={selected} onFocus={onFocus} onOpen={onOpen} onFold={vi.fn()} />)
  return { onOpen, onFocus }
}
const press = (key: string) => fireEvent.keyDown(document.activeElement as Element, { key })

describe('Mirror', () => {
  it('has a button for each node and edge, in words, and one Tab stop', () => {
    show()
    const buttons = screen.getAllByRole('button')
    expect(buttons).toHaveLength(9)
    expect(buttons.filter((b) => b.tabIndex === 0)).toHaveLength(1)
    expect(screen.getByRole('button', { name: 'tickets to payments, http, failing, 10 rps, 0.0\u2009% errors' })).toBeDefined()
  })

  it('walks from a service over its edge to the next one and back', () => {
    const { onFocus } = show('cinema/tickets')
    screen.getByRole('button', { name: /^tickets in cinema/ }).focus()
    press('ArrowRight')
    expect(focused()).toMatch(/^tickets to payments/)
    press('ArrowRight')
    expect(focused()).toMatch(/^payments in cinema/)
    press('ArrowLeft')
    press('ArrowLeft')
    expect(focused()).toMatch(/^tickets in cinema/)
    expect(onFocus).toHaveBeenLastCalledWith('cinema/tickets')
  })

  it('changes between the edges of a service by up and down', () => {
    show('cinema/web')
    screen.getByRole('button', { name: /^web in cinema/ }).focus()
    press('ArrowRight')
    const first = focused()
    press(first.includes('catalog') ? 'ArrowDown' : 'ArrowUp')
    if (focused() === first) press('ArrowDown')
    expect(focused()).toMatch(/^web to /)
    expect(focused()).not.toBe(first)
  })

  it('opens what is focused', () => {
    const { onOpen } = show()
    fireEvent.click(screen.getByRole('button', { name: /^payments in cinema/ }))
    expect(onOpen).toHaveBeenCalledWith('cinema/payments')
  })
})
