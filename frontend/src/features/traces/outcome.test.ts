import { describe, expect, it } from 'vitest'
import { outcomesInWords } from './outcome'

describe('outcomesInWords', () => {
  it('counts what failed, and apart from it what was caught', () => {
    const failed = { status: 502, errors: 10 }
    const good = { status: 200, errors: 0 }
    expect(outcomesInWords([failed, failed, { status: 201, errors: 1 }, good])).toBe('2 failed, 1 answered after an error')
    expect(outcomesInWords([good, { status: 404, errors: 0 }])).toBe('none failed')
  })
})
