/**
 * Cuts names to a width in their middle, by the font they are drawn in: faces
 * differ by a third, so counting letters would cut too much or too little.
 */

let context: CanvasRenderingContext2D | null | undefined
const fitted = new Map<string, string>()
const most = 5000

function width(text: string, font: string): number {
  context ??= typeof document === 'undefined' ? null : document.createElement('canvas').getContext('2d')
  if (!context) return text.length * 6.6
  context.font = font
  return context.measureText(text).width
}

/** The name whole where it fits, else without part of its middle; the tail tells names apart. */
export function fitMiddle(name: string, pixels: number, font: string): string {
  const key = `${pixels} ${font} ${name}`
  const known = fitted.get(key)
  if (known !== undefined) return known
  if (fitted.size > most) fitted.clear()
  const cut = width(name, font) <= pixels ? name : cutMiddle(name, pixels, font)
  fitted.set(key, cut)
  return cut
}

/** By halves: a name may have thousands of letters. */
function cutMiddle(name: string, pixels: number, font: string): string {
  const tail = Math.min(5, Math.floor(name.length / 3))
  const at = (head: number) => `${name.slice(0, head)}…${name.slice(-tail)}`
  let fits = 1
  let over = name.length - tail
  while (over - fits > 1) {
    const head = (fits + over) >> 1
    if (width(at(head), font) <= pixels) fits = head
    else over = head
  }
  return fits > 1 ? at(fits) : `${name.slice(0, 1)}…`
}

/** The sans face of the page at a size and weight, as canvas wants it. */
export function cardFont(): string {
  if (typeof document === 'undefined') return '600 12px sans-serif'
  face ??= getComputedStyle(document.body).fontFamily || 'sans-serif'
  return `600 12px ${face}`
}

let face: string | undefined
