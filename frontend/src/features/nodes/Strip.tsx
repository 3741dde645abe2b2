import { useCallback, useMemo } from 'react'
import type { PointerEvent } from 'react'
import type { NodeStatus } from '@/api/types'
import { Canvas } from '@/ui/charts/Canvas'
import type { Paint } from '@/ui/charts/Canvas'
import { linear } from '@/ui/charts/scale'
import { count } from '@/lib/format'
import { clock } from '@/lib/time'
import { paintMarks, paintNote, paintSegments } from './paint'
import { STATES } from './states'
import { segments } from './strip'
import type { Line, Mark, Segment, Window } from './strip'

/** What all strips of the page share: one axis, one set of marks, one scale of tones. */
export type StripAxis = { window: Window; marks: readonly Mark[]; tone: ReadonlyMap<number, number> }

/** NodeStrip draws one node over time, tall enough for words inside. */
export function NodeStrip({ node, axis, height = 24 }: { node: NodeStatus; axis: StripAxis; height?: number }) {
  const segs = useMemo(() => segments(node.history, axis.window), [node.history, axis.window])
  const note = noteOf(node)
  const paint = useCallback<Paint>(
    (ctx, { width }, p) => {
      const x = linear(axis.window.from, axis.window.to, 0, width)
      paintSegments(ctx, segs, x, { y: 4, h: height - 10 }, axis.tone, p)
      paintMarks(ctx, axis.marks, x, height, p)
      const last = segs[segs.length - 1]
      if (note && last) paintNote(ctx, note, x(last.from), x(last.to), height / 2 - 1, p.canvas, p)
    },
    [segs, axis, height, note],
  )
  return <Canvas paint={paint} height={height} onPointerMove={(e) => tell(e, segs, axis.window)} />
}

function noteOf(n: NodeStatus): string {
  if (n.state === 'never-connected') return 'never asked for configuration'
  if (n.state === 'disconnected') return n.revision ? `no connection, last seen on rev ${count(n.revision)}` : 'no connection'
  return ''
}

/** Says under the pointer what a stretch was; the row's own words say the present. */
function tell(e: PointerEvent<HTMLCanvasElement>, segs: readonly Segment[], window: Window): void {
  const at = linear(window.from, window.to, 0, e.currentTarget.clientWidth).invert(e.nativeEvent.offsetX)
  const s = segs.find((seg) => at >= seg.from && at < seg.to)
  e.currentTarget.title = s
    ? `${clock(s.from)} to ${s.to >= window.to ? 'now' : clock(s.to)}: ${STATES[s.state].word}${s.revision ? `, rev ${count(s.revision)}` : ''}${s.note ? `. ${s.note}` : ''}`
    : `${clock(at)}: not known`
}

const LINE = 4
export const LINE_PITCH = 5.2

/** GroupStrip draws a folded group: a thin line per kept node on the same axis. */
export function GroupStrip({ lines, axis, label }: { lines: readonly Line[]; axis: StripAxis; label: string }) {
  const height = Math.ceil(lines.length * LINE_PITCH)
  const paint = useCallback<Paint>(
    (ctx, { width }, p) => {
      const x = linear(axis.window.from, axis.window.to, 0, width)
      lines.forEach((line, i) => paintSegments(ctx, line.segments, x, { y: i * LINE_PITCH, h: LINE }, axis.tone, p))
      paintMarks(ctx, axis.marks, x, height, p)
    },
    [lines, axis, height],
  )
  const onPointerMove = (e: PointerEvent<HTMLCanvasElement>) => {
    const line = lines[Math.floor(e.nativeEvent.offsetY / LINE_PITCH)]
    if (!line) return
    tell(e, line.segments, axis.window)
    e.currentTarget.title = `${line.id}\n${e.currentTarget.title}`
  }
  return <Canvas paint={paint} height={height} label={label} onPointerMove={onPointerMove} />
}
