import { describe, expect, it } from 'vitest'
import { slots } from './turns'

describe('slots', () => {
  it('gives places in order, and to the next when one is left', () => {
    const places = slots(2)
    const got: string[] = []
    const [a, , c] = ['a', 'b', 'c', 'd'].map((n) => places.want(() => got.push(n)))
    expect(got).toEqual(['a', 'b'])
    c!() // gives up waiting
    a!()
    a!() // twice is once
    expect(got).toEqual(['a', 'b', 'd'])
    places.want(() => got.push('e'))
    expect(got).toEqual(['a', 'b', 'd'])
  })
})
