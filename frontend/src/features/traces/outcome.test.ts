import { describe, expect, it } from 'vitest'
import { outcomeOf, outcomesInWords } from './outcome'

const failed = { status: 502, errors: 10 }
const retried = { status: 201, errors: 1 }
const refused = { status: 404, errors: 0 }
const good = { status: 200, errors: 0 }

describe('outcomeOf', () => {
  it('goes by what the caller was answered', () => {
    expect([failed, retried, refused, good].map(outcomeOf)).toEqual(['failed', 'caught', 'refused', 'ok'])
  })
  it('goes by the spans where there is no status', () => {
    expect([{ status: 0, errors: 2 }, { status: 0, errors: 0 }].map(outcomeOf)).toEqual(['failed', 'ok'])
  })
})

describe('outcomesInWords', () => {
  it('counts what failed, and apart from it what was caught', () => {
    expect(outcomesInWords([failed, failed, retried, good])).toBe('2 failed, 1 answered after an error')
    expect(outcomesInWords([good, refused])).toBe('none failed')
  })
})
