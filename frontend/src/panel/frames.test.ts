import { describe, expect, it } from 'vitest'
import type { Measured, Series } from './fetch'
import { heatOf, legendOf, linesOf, rowsOf, stacked, toneOf } from './frames'
import type { PanelModel, Target } from './model'

const target = (refId: string, legendFormat = ''): Target => ({ refId, expr: '', legendFormat, format: 'time_series', instant: false })
const panel = (over: Partial<PanelModel>): PanelModel => ({ id: 1, type: 'timeseries', title: 'T', gridPos: { x: 0, y: 0, w: 1, h: 1 }, ...over })
const series = (labels: Record<string, string>, ...values: [number, string][]): Series => ({ labels, values })
const range = (...all: Series[]): Measured => ({ series: all, from: 100, to: 130, step: 10 })
const instant = (...all: Series[]): Measured => ({ series: all, from: 130, to: 130, step: 0 })

describe('legendOf', () => {
  it('puts labels in and closes the gaps of missing ones', () => {
    expect(legendOf('{{code}} {{ grpc }} {{flags}}', { code: '503', flags: 'UF' })).toBe('503 UF')
    expect(legendOf('{{code}} {{flags}}', { code: '200', flags: '-' })).toBe('200')
    expect(legendOf('', {})).toBe('value')
  })
})

describe('linesOf', () => {
  it('lines the series up on one axis, with gaps where there is nothing', () => {
    const got = linesOf(panel({ targets: [target('A', '{{n}}'), target('B', 'all')] }), [
      range(series({ n: 'a' }, [100, '1'], [120, '3']), series({ n: 'b' }, [110, 'NaN'], [130, '+Inf'])),
      range(series({}, [130, '7'])),
    ])
    expect(got.times).toEqual([100, 110, 120, 130])
    expect(got.lines.map((l) => [l.name, l.values, l.last, l.max])).toEqual([
      ['a', [1, null, 3, null], 3, 3],
      ['b', [null, null, null, null], null, null],
      ['all', [null, null, null, 7], 7, 7],
    ])
  })
  it('tells equal names apart', () => {
    const got = linesOf(panel({ targets: [target('A', 'x')] }), [range(series({ a: '1' }), series({ a: '2' }))])
    expect(got.lines.map((l) => l.name)).toEqual(['x', 'x (2)'])
  })
})

describe('stacked', () => {
  it('adds up from below, a gap being nothing', () => {
    const line = (values: (number | null)[]) => ({ name: '', values, last: null, max: null })
    expect(stacked([line([1, null, 2]), line([10, null, null])])).toEqual([[1, null, 2], [11, null, 2]])
  })
})

describe('toneOf', () => {
  const above = [{ color: 'green', value: null }, { color: 'orange', value: 0.01 }, { color: 'red', value: 0.05 }]
  it.each([[0, 'ok'], [0.01, 'warn'], [0.2, 'fail']])('%d is %s', (v, want) => expect(toneOf(v, above)).toBe(want))
  it('judges nothing without bounds', () => expect(toneOf(9, [above[0]!])).toBeNull())
})

describe('rowsOf', () => {
  const table = panel({
    type: 'table', targets: [target('A'), target('B')],
    fieldConfig: { defaults: { unit: 'short', thresholds: { steps: [] } }, overrides: [{ matcher: { id: 'byName', options: 'Rate' }, properties: [{ id: 'unit', value: 'reqps' }] }] },
    options: { sortBy: [{ displayName: 'Age', desc: true }] },
    transformations: [
      { id: 'merge', options: {} },
      { id: 'organize', options: { excludeByName: { Time: true, 'Value #C': true }, indexByName: { node: 0, state: 1, 'Value #A': 2, 'Value #B': 3 }, renameByName: { node: 'Node', state: 'State', 'Value #A': 'Rate', 'Value #B': 'Age' } } },
    ],
  })
  it('joins on the labels that both have, names, orders and sorts', () => {
    const got = rowsOf(table, [
      instant(series({ node: 'a', state: 'synced' }, [130, '1']), series({ node: 'b', state: 'stale' }, [130, '2'])),
      instant(series({ node: 'b' }, [130, '50']), series({ node: 'a' }, [130, '5']), series({ node: 'c' }, [130, '9'])),
    ])
    expect(got.columns).toEqual([{ title: 'Node', unit: null }, { title: 'State', unit: null }, { title: 'Rate', unit: 'reqps' }, { title: 'Age', unit: 'short' }])
    expect(got.rows).toEqual([['b', 'stale', 2, 50], ['c', null, null, 9], ['a', 'synced', 1, 5]])
  })
})

describe('heatOf', () => {
  it('takes cumulative buckets apart and leaves out what is empty at both ends', () => {
    const got = heatOf(range(
      series({ le: '+Inf' }, [100, '6'], [110, '6']),
      series({ le: '10' }, [100, '2'], [110, '5']),
      series({ le: '1' }, [100, '0'], [110, '0']),
      series({ le: '100' }, [100, '6'], [110, '6']),
    ))
    expect(got.bounds).toEqual([10, 100])
    expect(got.cells.map((row) => row.slice(0, 2))).toEqual([[2, 5], [4, 1]])
    expect(got.max).toBe(5)
  })
})
