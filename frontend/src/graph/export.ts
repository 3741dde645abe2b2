import { count, figure, percent, plural, text } from '@/lib/format'
import { along, bounds, card, cardRect, inflate, type Point, type Polyline, type Rect } from './geometry'
import type { Label } from './labels'
import type { Model } from './model'
import type { Palette, Tone } from './palette'
import { arrowSize, type Marks, type Scene } from './scene'
import { badgesOf, shortName } from './words'

/**
 * The graph for elsewhere: as it is drawn (SVG) and as it is joined (DOT).
 * Pure; names from the mesh are text here and never markup.
 */

export type Drawing = {
  model: Model
  scene: Scene
  positions: ReadonlyMap<string, Point>
  boxes: ReadonlyMap<string, Rect>
  labels: readonly Label[]
}

export const noMarks: Marks = { selected: null, focused: null, hovered: null }

const sans = "font-family='system-ui, Inter, sans-serif'"

/** A standalone SVG in the colours of the present theme. */
export function toSVG(drawing: Drawing, palette: Palette): string {
  const { scene, boxes, positions, labels } = drawing
  const extent = bounds([...[...positions.values()].map(cardRect), ...boxes.values()]) ?? { x: 0, y: 0, w: 100, h: 60 }
  const area = inflate(extent, 24)
  const ink = (tone: Tone) => hex(palette[tone].rgba)
  const out = [
    `<svg xmlns='http://www.w3.org/2000/svg' width='${n(area.w)}' height='${n(area.h)}' viewBox='${n(area.x)} ${n(area.y)} ${n(area.w)} ${n(area.h)}' ${sans} font-size='12'>`,
    `<rect x='${n(area.x)}' y='${n(area.y)}' width='${n(area.w)}' height='${n(area.h)}' fill='${ink('canvas')}'/>`,
  ]
  for (const { rect, dashed } of scene.groups) {
    out.push(box(rect, 8, dashed ? 'none' : ink('bar'), ink('line'), dashed))
  }
  for (const { line, style } of scene.edges) {
    const arrow = arrowSize(style.width)
    const paint = ink(style.tone)
    const dash = style.dash ? ` stroke-dasharray='${style.dash.join(' ')}'` : ''
    out.push(`<path d='${path(line, arrow.length)}' fill='none' stroke='${paint}' stroke-width='${n(style.width)}' opacity='${n(style.alpha)}'${dash}/>`)
    out.push(`<path d='${head(line, arrow)}' fill='${paint}' opacity='${n(style.alpha)}'/>`)
  }
  out.push(...groupTitles(drawing, ink), ...cards(drawing, ink))
  for (const label of labels) {
    const tone: Tone = label.tone === 'fail' ? 'fail' : label.tone === 'warn' ? 'warn' : 'text'
    label.lines.forEach((line, i) => {
      const y = label.y + (i - (label.lines.length - 1) / 2) * 14 + 4
      out.push(words(line, label.x, y, ink(tone), { size: 11, anchor: 'middle' }))
    })
  }
  out.push('</svg>')
  return out.join('\n')
}

function groupTitles({ model, boxes }: Drawing, ink: (tone: Tone) => string): string[] {
  return model.groups.flatMap((group) => {
    const rect = boxes.get(group.id)
    if (!rect) return []
    const title = group.outside ? group.name : `${group.name}  ${count(group.members.length)}`
    return [words(title, rect.x + 10, rect.y + 18, ink('text'), { weight: 600 })]
  })
}

function cards({ model, scene }: Drawing, ink: (tone: Tone) => string): string[] {
  return scene.nodes.flatMap(({ id, rect, fill, stroke, dashed, health }) => {
    const node = model.nodes.get(id)
    if (!node) return []
    const { name, version } = shortName(node)
    const lead = node.in.rps > 0 ? node.in : node.out
    const second = node.fold ? `${plural(node.fold.states.length, 'member')} folded` : `${figure(lead.rps)} rps  ${text(percent(lead.error_ratio))}`
    const badge = badgesOf(node, model)[0]
    return [
      box(rect, 6, ink(fill), ink(stroke), dashed),
      `<circle cx='${n(rect.x + 13)}' cy='${n(rect.y + 15)}' r='5' fill='${ink(health === 'ok' ? 'ok' : health === 'warn' ? 'warn' : health === 'fail' ? 'fail' : 'idle')}'/>`,
      words(short(version === '' ? name : `${name} ${version}`, 20), rect.x + 23, rect.y + 19, ink('text'), { weight: 600 }),
      words(second, rect.x + 8, rect.y + 35, ink('text'), { size: 11 }),
      ...(badge ? [words(badge.text, rect.x + card.w - 8, rect.y - 4, ink(badge.tone === 'plain' ? 'text' : badge.tone), { size: 11, anchor: 'end' })] : []),
    ]
  })
}

/** The same graph for Graphviz. */
export function toDOT(model: Model): string {
  const ids = new Map([...model.nodes.keys()].map((id, i) => [id, `n${i}`]))
  const out = ['digraph mesh {', '  rankdir=LR', '  node [shape=box, fontname="sans-serif", fontsize=11]', '  edge [fontname="sans-serif", fontsize=9]']
  const declared = (id: string) => {
    const node = model.nodes.get(id)
    if (!node) return ''
    const { name, version } = shortName(node)
    return `${ids.get(id)} [label=${quoted(version === '' ? name : `${name} ${version}`)}, tooltip=${quoted(id)}${colour(node.health.state)}]`
  }
  const boxed = new Set<string>()
  model.groups.forEach((group, i) => {
    out.push(`  subgraph cluster_${i} {`, `    label=${quoted(group.name)}`)
    for (const id of group.members) {
      boxed.add(id)
      out.push(`    ${declared(id)}`)
    }
    out.push('  }')
  })
  for (const id of model.nodes.keys()) if (!boxed.has(id)) out.push(`  ${declared(id)}`)
  for (const edge of model.edges.values()) {
    const label = edge.protocol === 'tcp' ? 'tcp' : `${figure(edge.rps)} rps${edge.error_ratio >= 0.0005 ? `, ${text(percent(edge.error_ratio))} errors` : ''}`
    out.push(`  ${ids.get(edge.source)} -> ${ids.get(edge.target)} [label=${quoted(label)}${colour(edge.health.state)}]`)
  }
  out.push('}')
  return `${out.join('\n')}\n`
}

function colour(state: string): string {
  return state === 'fail' ? ', color="#D55E00"' : state === 'warn' ? ', color="#E69F00"' : ''
}

function quoted(name: string): string {
  return `"${plain(name).replace(/[\\"]/g, '\\$&')}"`
}

/** Without what no file format wants in a line of text. */
function plain(name: string): string {
  // oxlint-disable-next-line no-control-regex
  return name.replace(/[\u0000-\u001f\u007f\ufffe\uffff]/g, ' ')
}

function box(r: Rect, radius: number, fill: string, stroke: string, dashed: boolean): string {
  return `<rect x='${n(r.x)}' y='${n(r.y)}' width='${n(r.w)}' height='${n(r.h)}' rx='${radius}' fill='${fill}' stroke='${stroke}'${dashed ? " stroke-dasharray='4 3'" : ''}/>`
}

function path(line: Polyline, cut: number): string {
  const until = Math.max(0, line.total - cut)
  const parts = [`M${n(line.xs[0]!)} ${n(line.ys[0]!)}`]
  for (let i = 1; i < line.xs.length && line.lengths[i]! <= until; i++) parts.push(`L${n(line.xs[i]!)} ${n(line.ys[i]!)}`)
  const end = along(line, until / (line.total || 1))
  return `${parts.join('')}L${n(end.x)} ${n(end.y)}`
}

function head(line: Polyline, { length, half }: { length: number; half: number }): string {
  const tip = along(line, 1)
  const back = along(line, Math.max(0, line.total - length) / (line.total || 1))
  const dx = (tip.x - back.x) / length
  const dy = (tip.y - back.y) / length
  return `M${n(tip.x)} ${n(tip.y)}L${n(back.x - dy * half)} ${n(back.y + dx * half)}L${n(back.x + dy * half)} ${n(back.y - dx * half)}Z`
}

function words(value: string, x: number, y: number, fill: string, { size = 12, weight = 400, anchor = 'start' }: { size?: number; weight?: number; anchor?: string }): string {
  return `<text x='${n(x)}' y='${n(y)}' fill='${fill}' font-size='${size}' font-weight='${weight}' text-anchor='${anchor}'>${escaped(plain(value))}</text>`
}

function escaped(value: string): string {
  return value.replace(/[&<>'"]/g, (c) => `&#${c.charCodeAt(0)};`)
}

function short(name: string, most: number): string {
  const letters = [...name]
  return letters.length <= most ? name : `${letters.slice(0, most - 7).join('')}…${letters.slice(-6).join('')}`
}

function n(value: number): string {
  return String(Math.round(value * 10) / 10)
}

function hex([r, g, b]: readonly number[]): string {
  const part = (v: number | undefined) => Math.round((v ?? 0) * 255).toString(16).padStart(2, '0')
  return `#${part(r)}${part(g)}${part(b)}`
}
