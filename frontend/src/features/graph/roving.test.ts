import { expect, it } from 'vitest'
import type { Model } from '@/graph/model'
import { step } from './roving'

it('goes down a column before it goes anywhere else', () => {
  const model = { edges: new Map(), incoming: new Map(), outgoing: new Map() } as unknown as Model
  const positions = new Map([
    ['unknown', { x: 0, y: 0 }],
    ['web', { x: 260, y: 40 }],
    ['ingress', { x: 8, y: 900 }],
    ['alone', { x: 520, y: 1000 }],
  ])
  expect(step('Home', 'alone', model, positions)).toBe('unknown')
  expect(step('ArrowDown', 'unknown', model, positions)).toBe('ingress')
  expect(step('ArrowDown', 'ingress', model, positions)).toBe('alone')
  expect(step('ArrowUp', 'ingress', model, positions)).toBe('unknown')
})
