import { describe, expect, it } from 'vitest'
import { outcomeOf } from './outcome'

describe('outcomeOf', () => {
  it('goes by what the caller was answered', () => {
    const failed = { status: 502, errors: 10 }
    const retried = { status: 201, errors: 1 }
    expect([failed, retried, { status: 404, errors: 0 }, { status: 200, errors: 0 }].map(outcomeOf)).toEqual(['failed', 'caught', 'refused', 'ok'])
  })
  it('goes by the spans where there is no status', () => {
    expect([{ status: 0, errors: 2 }, { status: 0, errors: 0 }].map(outcomeOf)).toEqual(['failed', 'ok'])
  })
})
