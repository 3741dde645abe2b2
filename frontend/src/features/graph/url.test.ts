import { describe, expect, it } from 'vitest'
import { foldingOf, toggled } from './url'

describe('toggled', () => {
  it('folds by hand, and opens what was folded by hand', () => {
    expect(toggled({ fold: '', open: '' }, 'b', new Set())).toEqual({ fold: 'b', open: '' })
    expect(toggled({ fold: 'a,b', open: '' }, 'a', new Set(['a', 'b']))).toEqual({ fold: 'b', open: '' })
  })
  it('keeps open what would fold by its size, until it is folded again', () => {
    expect(toggled({ fold: '', open: '' }, 'big', new Set(['big', 'huge']))).toEqual({ fold: '', open: 'big' })
    expect(toggled({ fold: '', open: 'big' }, 'big', new Set(['huge']))).toEqual({ fold: '', open: '' })
  })
  it('keeps that nothing folds by size', () => {
    expect(toggled({ fold: 'none', open: '' }, 'a', new Set())).toEqual({ fold: 'a', open: '' })
    expect(foldingOf({ fold: 'none', open: '' })).toEqual({})
  })
})
