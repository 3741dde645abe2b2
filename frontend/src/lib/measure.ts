/**
 * Cuts names to a width in their middle, by the font they are drawn in: faces
 * differ by a third, so counting letters would cut too much or too little.
 */

let context: CanvasRenderingContext2D | null | undefined
const widths = new Map<string, number>()
const most = 5000

function width(text: string, font: string): number {
  const key = `${font} ${text}`
  const known = widths.get(key)
  if (known !== undefined) return known
  context ??= typeof document === 'undefined' ? null : document.createElement('canvas').getContext('2d')
  if (!context) return text.length * 6.6
  context.font = font
  const measured = context.measureText(text).width
  if (widths.size > most) widths.clear()
  widths.set(key, measured)
  return measured
}

/** The name whole where it fits, else without part of its middle; the tail tells names apart. */
export function fitMiddle(name: string, pixels: number, font: string): string {
  if (width(name, font) <= pixels) return name
  const tail = Math.min(5, Math.floor(name.length / 3))
  for (let head = name.length - tail - 1; head > 1; head--) {
    const cut = `${name.slice(0, head)}…${name.slice(-tail)}`
    if (width(cut, font) <= pixels) return cut
  }
  return `${name.slice(0, 1)}…`
}

/** The sans face of the page at a size and weight, as canvas wants it. */
export function cardFont(): string {
  if (typeof document === 'undefined') return '600 12px sans-serif'
  face ??= getComputedStyle(document.body).fontFamily || 'sans-serif'
  return `600 12px ${face}`
}

let face: string | undefined
