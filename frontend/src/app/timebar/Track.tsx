import { useEffect, useLayoutEffect, useRef, useState } from 'react'
import type { Timeline } from '@/api/types'
import { figure } from '@/lib/format'
import { useTheme } from '@/lib/theme'
import { clock } from '@/lib/time'
import { drawTrack, inset, readInk } from './draw'
import { nearestMarker, scaleOf, type TrackScale } from './scale'
import styles from './TimeBar.module.css'

/** Errors a second over the window, with what happened; press or drag to go there. */
export function Track({
  timeline,
  seconds,
  now,
  at,
  vs,
  onScrub,
  onCompare,
}: {
  timeline: Timeline
  seconds: number
  now: number
  at: number | null
  /** The moment compared with. */
  vs: number | null
  onScrub: (ms: number | null) => void
  /** Null where nothing is compared. */
  onCompare: ((ms: number) => void) | null
}) {
  const host = useRef<HTMLDivElement>(null)
  const canvas = useRef<HTMLCanvasElement>(null)
  const [size, setSize] = useState({ w: 0, h: 0 })
  const [over, setOver] = useState<number | null>(null)
  const theme = useTheme((s) => s.theme)
  const scale = scaleOf(timeline, seconds, at === null ? now : null, size.w, inset)

  useEffect(() => {
    const element = host.current
    if (!element) return
    const observer = new ResizeObserver(() => setSize({ w: element.clientWidth, h: element.clientHeight }))
    observer.observe(element)
    return () => observer.disconnect()
  }, [])

  useLayoutEffect(() => {
    const context = canvas.current?.getContext('2d')
    if (!canvas.current || !context || size.w === 0) return
    const ratio = devicePixelRatio || 1
    canvas.current.width = Math.round(size.w * ratio)
    canvas.current.height = Math.round(size.h * ratio)
    context.setTransform(ratio, 0, 0, ratio, 0, 0)
    drawTrack(context, { timeline, scale, size, at, vs, ink: readInk(canvas.current) })
    // `theme` changes the ink that is read.
    // oxlint-disable-next-line react/exhaustive-deps
  }, [timeline, scale.from, scale.to, size, at, vs, theme])

  const timeAt = (e: React.PointerEvent) => {
    const box = host.current?.getBoundingClientRect()
    return box ? scale.time(e.clientX - box.left) : null
  }
  const scrub = (e: React.PointerEvent) => {
    const t = timeAt(e)
    if (t === null || e.buttons !== 1) return
    if (e.shiftKey && onCompare) onCompare(Math.max(scale.from, Math.min(scale.to, t)))
    else onScrub(clampToNow(t, scale))
  }
  const frame = Math.max(1, timeline.step_s) * 1000
  return (
    <div
      ref={host}
      className={styles.track}
      role="slider"
      tabIndex={0}
      aria-label="Moment shown"
      aria-valuemin={0}
      aria-valuemax={seconds}
      aria-valuenow={Math.round(((at ?? now) - scale.from) / 1000)}
      aria-valuetext={at === null ? 'live' : clock(at)}
      onPointerDown={(e) => {
        e.currentTarget.setPointerCapture(e.pointerId)
        scrub(e)
      }}
      onPointerMove={(e) => {
        setOver(timeAt(e))
        scrub(e)
      }}
      onPointerLeave={() => setOver(null)}
      onKeyDown={(e) => {
        const by = { ArrowLeft: -frame, ArrowRight: frame, PageUp: -frame * 10, PageDown: frame * 10 }[e.key]
        if (by !== undefined) onScrub(clampToNow((at ?? now) + by, scale))
        else if (e.key === 'End') onScrub(null)
        else if (e.key === 'Home') onScrub(scale.from)
        else return
        e.preventDefault()
      }}
    >
      <canvas ref={canvas} aria-hidden="true" />
      {over === null || size.w === 0 ? null : <Tip time={over} timeline={timeline} scale={scale} width={size.w} />}
      <ul className="sr-only">
        {timeline.markers.map((m) => (
          <li key={`${m.at} ${m.text}`}>
            {clock(m.at)} {m.text}
          </li>
        ))}
      </ul>
    </div>
  )
}

/** The present has no address: scrubbing to it is live again. */
function clampToNow(t: number, scale: TrackScale): number | null {
  return t >= scale.to - 500 && scale.live ? null : Math.max(scale.from, Math.min(scale.to, t))
}

function Tip({ time, timeline, scale, width }: { time: number; timeline: Timeline; scale: TrackScale; width: number }) {
  const i = Math.round((time - Date.parse(timeline.from)) / 1000 / timeline.step_s)
  const errors = timeline.errors_per_s[i]
  const marker = nearestMarker(timeline.markers, scale, scale.x(time))
  const x = Math.max(90, Math.min(width - 90, scale.x(time)))
  return (
    <div className={styles.tip} style={{ left: x }} aria-hidden="true">
      {marker ? (
        <>
          <b className="strong">{marker.text}</b> <span className="t3">{clock(marker.at)}</span>
        </>
      ) : (
        <>
          {clock(time)}
          {errors === undefined ? null : <span className="t2"> {figure(errors)} errors/s</span>}
        </>
      )}
    </div>
  )
}
