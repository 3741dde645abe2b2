import { describe, expect, it } from 'vitest'
import { offersAt } from './offers'

const fields = [
  { name: 'health', help: 'how it is', values: ['ok', 'warn', 'fail'] },
  { name: 'p95', help: 'latency', aliases: ['rt', 'latency'] },
]
const presets = [{ name: 'failing', expression: 'health = fail' }]
const names = (text: string) => offersAt(text, text.length, fields, presets).options.map((o) => o.name)

describe('offersAt', () => {
  it('asks for you while nothing is typed', () => {
    expect(names('')).toEqual(['failing', 'health', 'p95'])
    expect(offersAt('', 0, fields, presets).options[0]?.insert).toBe('health = fail')
  })
  it('completes fields by name and by what others call them', () => {
    expect(names('he')).toEqual(['health'])
    expect(names('errors > 1 % or lat')).toEqual(['p95'])
    expect(names('health = fail ')).toEqual([])
  })
  it('completes the values of the field before', () => {
    expect(names('health = ')).toEqual(['ok', 'warn', 'fail'])
    expect(offersAt('health = f', 10, fields, presets)).toMatchObject({ start: 9, options: [{ insert: 'fail ' }] })
    expect(names('p95 > ')).toEqual([])
  })
})
