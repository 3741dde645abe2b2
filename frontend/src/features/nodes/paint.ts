import { fillHatch } from '@/ui/charts/hatch'
import type { Palette } from '@/ui/charts/palette'
import type { Scale } from '@/ui/charts/scale'
import type { Mark, Segment } from './strip'

export type Box = { y: number; h: number }

/** paintSegments draws one node's stretches into a row of the canvas. */
export function paintSegments(
  ctx: CanvasRenderingContext2D, segments: readonly Segment[], x: Scale, box: Box, tone: ReadonlyMap<number, number>, p: Palette,
): void {
  for (const s of segments) {
    const a = x(s.from)
    const w = Math.max(0.8, x(s.to) - a - 0.7) // the gap makes a change visible where tones are close
    paintOne(ctx, s, a, w, box, tone.get(s.revision) ?? 0.22, p)
  }
}

function paintOne(ctx: CanvasRenderingContext2D, s: Segment, x: number, w: number, { y, h }: Box, tone: number, p: Palette): void {
  switch (s.state) {
    case 'synced':
    case 'in-flight':
      ctx.globalAlpha = s.state === 'synced' ? tone : tone * 0.6
      ctx.fillStyle = p['ok-quiet']
      ctx.fillRect(x, y, w, h)
      ctx.globalAlpha = 1
      return
    case 'slow':
    case 'stale':
      ctx.fillStyle = p.warn
      ctx.fillRect(x, y, w, h)
      return
    case 'drifted':
      return fillHatch(ctx, x, y, w, h, { ink: p.warn, ground: p['warn-wash'], lean: -1 })
    case 'rejected':
      return fillHatch(ctx, x, y, w, h, { ink: p.fail, ground: p['fail-wash'], lean: 1, weight: 3 })
    case 'disconnected':
      return dashes(ctx, p.idle, [2, 4], () => {
        ctx.moveTo(x, Math.round(y + h / 2) + 0.5)
        ctx.lineTo(x + w, Math.round(y + h / 2) + 0.5)
      })
    case 'unsupported':
      return fillHatch(ctx, x, y, w, h, { ink: p.warn, ground: p['warn-wash'], lean: 1, weight: 1.6 })
    case 'never-connected':
      if (h < 8) return dashes(ctx, p.idle, [3, 3], () => { ctx.moveTo(x, y + h / 2); ctx.lineTo(x + w, y + h / 2) })
      return dashes(ctx, p.idle, [3, 3], () => ctx.rect(x + 0.5, y + 0.5, Math.max(0, w - 1), h - 1))
  }
}

function dashes(ctx: CanvasRenderingContext2D, ink: string, dash: number[], path: () => void): void {
  ctx.save()
  ctx.strokeStyle = ink
  ctx.lineWidth = 1
  ctx.setLineDash(dash)
  ctx.beginPath()
  path()
  ctx.stroke()
  ctx.restore()
}

/** Nearer to each other than this, lines hide what they cross: the axis still has every mark. */
const CROWDED = 9

/** paintMarks draws when revisions began to spread: the blue lines that all charts share. */
export function paintMarks(ctx: CanvasRenderingContext2D, marks: readonly Mark[], x: Scale, height: number, p: Palette): void {
  ctx.globalAlpha = 0.6
  ctx.fillStyle = p.info
  for (const m of lines(marks, x)) ctx.fillRect(Math.round(x(m.at)), 0, 1, height)
  ctx.globalAlpha = 1
}

/** lines leaves the newest alone where they would stand too close. */
export function lines(marks: readonly Mark[], x: Scale): readonly Mark[] {
  const [first, last] = [marks[0], marks.at(-1)]
  if (!first || !last || (x(last.at) - x(first.at)) / (marks.length - 1) >= CROWDED) return marks
  return [last]
}

/** paintNote writes a few words into the strip, on ground of their own so that dashes do not run through them. */
export function paintNote(ctx: CanvasRenderingContext2D, text: string, from: number, to: number, y: number, ground: string, p: Palette): void {
  ctx.font = `11px ${p.sans}`
  ctx.textBaseline = 'middle'
  const w = ctx.measureText(text).width
  if (w + 20 > to - from) return
  ctx.fillStyle = ground
  ctx.fillRect(from + 8, y - 7, w + 8, 14)
  ctx.fillStyle = p['text-3']
  ctx.fillText(text, from + 12, y + 0.5)
}
