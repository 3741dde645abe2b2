import { useEffect, useLayoutEffect, useMemo, useRef, useState, useSyncExternalStore } from 'react'
import type { CSSProperties, PointerEventHandler } from 'react'
import { paletteSource } from './palette'
import type { Palette } from './palette'

const documentPalette = paletteSource(document.documentElement)

/** usePalette gives the theme's colours and follows a change of theme. */
export function usePalette(): Palette {
  return useSyncExternalStore(documentPalette.subscribe, documentPalette.get)
}

export type Paint = (ctx: CanvasRenderingContext2D, size: { width: number; height: number }, palette: Palette) => void

export type CanvasProps = {
  /** Called in CSS pixels after each change of size, theme or of the function itself: memoise it. */
  paint: Paint
  height: number
  /** Text alternative. Without it the canvas is decoration beside a text that says the same. */
  label?: string
  className?: string
  style?: CSSProperties
  onPointerMove?: PointerEventHandler<HTMLCanvasElement>
  onPointerLeave?: PointerEventHandler<HTMLCanvasElement>
  onPointerDown?: PointerEventHandler<HTMLCanvasElement>
  onPointerUp?: PointerEventHandler<HTMLCanvasElement>
}

/** Canvas fills its container's width and paints sharp on every pixel ratio. */
export function Canvas({ paint, height, label, className, style, ...pointer }: CanvasProps) {
  const ref = useRef<HTMLCanvasElement>(null)
  const [width, setWidth] = useState(0)
  const palette = usePalette()

  useLayoutEffect(() => {
    const canvas = ref.current
    if (!canvas) return
    setWidth(canvas.clientWidth)
    const watch = new ResizeObserver(() => setWidth(canvas.clientWidth))
    watch.observe(canvas)
    return () => watch.disconnect()
  }, [])

  const ratio = usePixelRatio()
  useEffect(() => {
    const canvas = ref.current
    const ctx = canvas?.getContext('2d')
    if (!canvas || !ctx || width === 0 || height === 0) return
    const w = Math.round(width * ratio)
    const h = Math.round(height * ratio)
    if (canvas.width !== w) canvas.width = w
    if (canvas.height !== h) canvas.height = h
    ctx.setTransform(ratio, 0, 0, ratio, 0, 0)
    ctx.clearRect(0, 0, width, height)
    ctx.globalAlpha = 1
    paint(ctx, { width, height }, palette)
  }, [paint, width, height, ratio, palette])

  const box = useMemo(() => ({ display: 'block', width: '100%', height, ...style }), [height, style])
  return (
    <canvas
      ref={ref}
      className={className}
      style={box}
      role={label ? 'img' : undefined}
      aria-label={label}
      aria-hidden={label ? undefined : true}
      {...pointer}
    />
  )
}

function usePixelRatio(): number {
  const [ratio, setRatio] = useState(() => window.devicePixelRatio || 1)
  useEffect(() => {
    const query = matchMedia(`(resolution: ${ratio}dppx)`)
    const update = () => setRatio(window.devicePixelRatio || 1)
    query.addEventListener('change', update)
    return () => query.removeEventListener('change', update)
  }, [ratio])
  return ratio
}
