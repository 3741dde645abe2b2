import { describe, expect, it } from 'vitest'
import { askFor, grafanaSearch, interpolate, jaegerLink, parseDefinition, persesLink, stepFor } from './query'
import { inUnit } from './units'

const live = { from: 1000, to: 1900, live: true }
const target = { refId: 'A', expr: 'up{ns=~"$namespace"}[$__rate_interval]', legendFormat: '', format: 'time_series', instant: false }

describe('interpolate', () => {
  it.each([
    [[], 'x{n=~".+"}'],
    [['a'], 'x{n=~"a"}'],
    [['a.b', 'c'], String.raw`x{n=~"a\\.b|c"}`],
    [['q"'], String.raw`x{n=~"q\""}`],
  ])('%j', (chosen, want) => expect(interpolate('x{n=~"$namespace"}', { namespace: chosen }, live, 5)).toBe(want))
  it('knows the intervals of Grafana', () => {
    expect(interpolate('[$__rate_interval] [$__interval] [$__range]', {}, live, 30)).toBe('[120s] [30s] [900s]')
  })
})

describe('askFor', () => {
  it('asks for whole steps', () => {
    expect(askFor(target, { namespace: [] }, { from: 1003, to: 1903, live: true })).toEqual({
      path: 'query_range', form: { query: 'up{ns=~".+"}[60s]', start: '1000', end: '1900', step: '5' },
    })
    expect(askFor({ ...target, instant: true }, {}, live)).toEqual({ path: 'query', form: { query: 'up{ns=~".+"}[60s]', time: '1900' } })
  })
  it.each([[300, 5], [900, 5], [3600, 30], [86_400, 600]])('%d s has steps of %d s', (seconds, want) => expect(stepFor(seconds)).toBe(want))
})

describe('grafanaSearch', () => {
  it('says time, theme and variables as Grafana reads them', () => {
    expect(grafanaSearch({ namespace: ['a', 'b'], service: [] }, live, 'light', 7)).toBe(
      'orgId=1&panelId=7&from=now-900s&to=now&refresh=15s&theme=light&var-namespace=a&var-namespace=b&var-service=%24__all',
    )
    expect(grafanaSearch({}, { ...live, live: false }, 'dark')).toBe('orgId=1&from=1000000&to=1900000&theme=dark')
  })
})

describe('links out', () => {
  it('carry the service and the time', () => {
    expect(jaegerLink('https://j.example/', { service: ['tickets'] }, live)).toBe('https://j.example/search?lookback=custom&start=1000000000&end=1900000000&limit=20&service=tickets')
    expect(persesLink('https://p.example', 'sidelight-mesh', { namespace: ['a', 'b'], node: [] }, live)).toBe('https://p.example/projects/sidelight/dashboards/sidelight-mesh?start=900s&var-namespace=a%2Cb')
  })
})

describe('parseDefinition', () => {
  it('reads label_values', () => {
    expect(parseDefinition('label_values(a{b=~"$c, d"}, e)')).toEqual({ match: 'a{b=~"$c, d"}', label: 'e' })
    expect(parseDefinition('label_values(e)')).toEqual({ match: '', label: 'e' })
    expect(parseDefinition('metrics(x)')).toBeNull()
  })
})

describe('inUnit', () => {
  it.each([
    [12, 'reqps', '12', 'rps'], [0.25, 'percentunit', '25.0', '%'], [0.004, 's', '4', 'ms'], [90, 's', '1\u2009min 30\u2009s', ''],
    [1500, 'Bps', '1.5', 'kB/s'], [3, 'none', '3', ''], [25_000, 'short', '25k', ''], [0.00423, 'short', '0.0042', ''], [0.00002, 'short', '<0.01', ''], [2, 'cps', '2', '/s'], [null, 'ms', '–', ''],
  ])('%s in %s', (v, unit, value, u) => expect(inUnit(v, unit)).toEqual({ value, unit: u }))
})
