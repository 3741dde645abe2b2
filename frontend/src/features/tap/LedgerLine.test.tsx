import { render, screen } from '@testing-library/react'
import { expect, it } from 'vitest'
import { tapEvent } from './fixtures/events'
import { Ledger } from './LedgerLine'
import { TapRing } from './ring'

it('writes the account as a sum that one can check', () => {
  const ring = new TapRing({ now: () => 0 })
  const events = Array.from({ length: 3 }, (_, i) => tapEvent({ seq: i + 1 }))
  ring.push({ events, sidecars: 2, ledger: { matched: 1205, delivered: 3, sampled_out: 1200, dropped_sidecar: 0, dropped_server: 2, dropped_socket: 0 } })
  const { container } = render(<Ledger snapshot={ring.snapshot()} now={252_000} endsAt={1_800_000} running />)
  const sum = container.querySelector('p')?.textContent?.replaceAll(/\s+/g, ' ')
  expect(sum).toBe('matched 1 205=3 shown+1 200 over the limit at sidecars+2 server queue full+0 slow browser or full pause')
  expect(screen.getByText(/session 4/).textContent).toContain('ends in 25')
})
