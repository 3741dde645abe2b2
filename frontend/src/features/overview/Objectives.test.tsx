import { render, screen } from '@testing-library/react'
import { describe, expect, it, vi } from 'vitest'
import type { Standing } from '@/api/types'
import { Objectives } from './Objectives'

vi.mock('@tanstack/react-router', () => ({ Link: ({ children, title }: { children: React.ReactNode; title: string }) => <a href="." title={title}>{children}</a> }))

const standing = (s: Partial<Standing> = {}): Standing => ({
  host: 'payments.booking.svc.cluster.local', object: 'ServiceEntry booking/payments', availability: 0.99, requests_1h: 1000, failed_1h: 220, burn_5m: 22, burn_30m: 8.25, burn_1h: 0.4, state: 'fail', ...s,
})

describe('objectives', () => {
  it('say how fast each budget burns', () => {
    render(<Objectives of={[standing(), standing({ host: 'catalog.catalog', state: 'ok', burn_5m: 0, failed_1h: 0 })]} />)
    expect(screen.getByRole('heading', { name: /1 of 2 error budgets burns/ })).toBeTruthy()
    const row = screen.getByTitle(/220 of 1.?000 requests failed in the last hour; ServiceEntry booking\/payments allows 1\s%/)
    expect(row.textContent?.replaceAll('\u2009', ' ')).toMatch(/payments99 %22 ×8\.3 ×0\.4 ×/)
  })

  it('are quiet where nothing is held to any', () => {
    const { container } = render(<Objectives of={[]} />)
    expect(container.textContent).toBe('')
  })

  it('say when all are kept', () => {
    render(<Objectives of={[standing({ state: 'ok' })]} />)
    expect(screen.getByRole('heading', { name: /1 objective kept/ })).toBeTruthy()
  })
})
