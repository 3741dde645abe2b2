/**
 * Hatch says "not what was asked": a refusal, a drift, a reply of the proxy's
 * own. It is drawn as lines, not as a pattern image, so that it stays sharp
 * and starts at the same phase in neighbouring rectangles.
 */
export type Hatch = { ink: string; ground: string; lean: 1 | -1; pitch?: number; weight?: number }

export function fillHatch(
  ctx: CanvasRenderingContext2D, x: number, y: number, w: number, h: number,
  { ink, ground, lean, pitch = 6, weight = 2.4 }: Hatch,
): void {
  if (w <= 0 || h <= 0) return
  ctx.save()
  ctx.beginPath()
  ctx.rect(x, y, w, h)
  ctx.clip()
  ctx.fillStyle = ground
  ctx.fillRect(x, y, w, h)
  ctx.strokeStyle = ink
  ctx.lineWidth = weight
  ctx.beginPath()
  const first = Math.floor((x - h) / pitch) * pitch
  for (let at = first; at <= x + w + h; at += pitch) {
    ctx.moveTo(at, lean > 0 ? y + h : y)
    ctx.lineTo(at + h, lean > 0 ? y : y + h)
  }
  ctx.stroke()
  ctx.restore()
}
