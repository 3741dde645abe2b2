/**
 * The tokens a canvas needs, read from the page's own custom properties so
 * that theme and tokens.css stay the only source of colour.
 */

const names = {
  canvas: '--canvas',
  bar: '--bar',
  card: '--card',
  group: '--group',
  line: '--line',
  text: '--text',
  ok: '--ok',
  okQuiet: '--ok-quiet',
  warn: '--warn',
  fail: '--fail',
  idle: '--idle',
  info: '--info',
  data2: '--data-2',
  data3: '--data-3',
} as const

export type Tone = keyof typeof names
/** Straight alpha, each 0..1, in sRGB. */
export type Colour = readonly [number, number, number, number]
export type Palette = Record<Tone, { css: string; rgba: Colour }>

export function readPalette(element: Element): Palette {
  const style = getComputedStyle(element)
  const probe = document.createElement('canvas')
  probe.width = 1
  probe.height = 1
  const context = probe.getContext('2d', { willReadFrequently: true })
  const entries = Object.entries(names).map(([tone, property]) => {
    const css = style.getPropertyValue(property).trim() || '#888'
    return [tone, { css, rgba: context ? measure(context, css) : ([0.5, 0.5, 0.5, 1] as const) }]
  })
  return Object.fromEntries(entries) as Palette
}

/** Lets the browser translate any CSS colour: paint one pixel and look at it. */
function measure(context: CanvasRenderingContext2D, css: string): Colour {
  context.clearRect(0, 0, 1, 1)
  context.fillStyle = css
  context.fillRect(0, 0, 1, 1)
  const [r = 0, g = 0, b = 0, a = 255] = context.getImageData(0, 0, 1, 1).data
  return [r / 255, g / 255, b / 255, a / 255]
}
