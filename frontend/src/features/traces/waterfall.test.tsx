import { render } from '@testing-library/react'
import { describe, expect, it, vi } from 'vitest'
import { failedTrace } from './fixtures/trace'
import { SpanRow } from './SpanRow'
import { buildTree } from './tree'

const tree = buildTree(failedTrace())
const whole = { from: 0, to: tree.duration_us }
const row = (id: string, folded = false, view = whole) => render(<SpanRow byHop={false} tree={tree} index={tree.index.get(id)!} folded={folded} view={view} onFold={vi.fn()} />).container

describe('SpanRow', () => {
  it('tells the failure with its reason at the span where it began', () => {
    expect(row('at2').textContent).toContain('per-try timeout 1s')
    expect(row('tk').textContent).not.toContain('timeout')
  })
  it('counts what a fold hides, errors too', () => {
    expect(row('pay', true).textContent).toContain('3 spans folded, 3 errors')
  })
  it('points to a bar outside of the zoomed stretch', () => {
    expect(row('hold', false, { from: 1_000_000, to: 2_000_000 }).textContent).toContain('‹')
  })
})
