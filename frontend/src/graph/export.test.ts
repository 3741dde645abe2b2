import { describe, expect, it } from 'vitest'
import { noMarks, toDOT, toSVG } from './export'
import { edge, node, view } from './fixtures/view'
import { card, type Rect } from './geometry'
import { buildModel } from './model'
import type { Palette } from './palette'
import { linkOf, routeEdges } from './route'
import { buildScene } from './scene'

const hostile = `"/></text><script>alert(1)</script>'\u0007\u202e`
const model = buildModel(view([node('a/x'), node('a/y', { name: hostile })], [edge('a/x', 'a/y', { rps: 3, error_ratio: 0.5 }, 'fail')]))
const palette = new Proxy({}, { get: () => ({ css: '#123456', rgba: [1, 0.5, 0, 1] }) }) as Palette

function drawn(): string {
  const positions = new Map([...model.nodes.keys()].map((id, i) => [id, { x: i * 300, y: 0 }]))
  const boxes = new Map<string, Rect>([['namespace:a', { x: -10, y: -40, w: 500, h: 120 }]])
  const routes = routeEdges([...model.edges.values()].map(linkOf), positions)
  const scene = buildScene(model, positions, routes, boxes, card, noMarks)
  return toSVG({ model, scene, positions, boxes, labels: [{ id: 'e', x: 200, y: 10, lines: ['3 rps', '50 %'], tone: 'fail', hit: false, split: false }] }, palette)
}

describe('toSVG', () => {
  it('is one well-formed picture, whatever the names say', () => {
    const svg = drawn()
    expect(svg).toMatch(/^<svg [^>]+viewBox='-34 -64 548 168'/)
    // Every tag is one of ours, and every one of them is closed.
    expect(new Set(svg.match(/<\/?[a-z]+/g))).toEqual(new Set(['<svg', '</svg', '<rect', '<path', '<circle', '<text', '</text']))
    expect(svg.match(/<text /g)).toHaveLength(svg.match(/<\/text>/g)?.length ?? 0)
    expect(svg).not.toContain('\u0007')
    expect(svg).toContain('#ff8000')
  })
})

describe('toDOT', () => {
  it('quotes names and says who fails', () => {
    const dot = toDOT(model)
    expect(dot).toContain('n0 -> n1 [label="3 rps, 50.0\u2009% errors", color="#D55E00"]')
    expect(dot).toContain('label="\\"/></text><script>alert(1)</script>\'')
    expect(dot.split('\n').every((line) => !line.includes('\u0007'))).toBe(true)
  })
})
