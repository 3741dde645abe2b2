/** View is the stretch of a trace that is drawn, in µs from its start. */
export type View = { from: number; to: number }

/** zoomed keeps a chosen stretch inside the trace and wide enough to see. */
export function zoomed(a: number, b: number, duration: number): View {
  const least = Math.max(1, duration / 20_000)
  let from = Math.max(0, Math.min(a, b))
  let to = Math.min(duration, Math.max(a, b))
  if (to - from < least) {
    const mid = (from + to) / 2
    from = Math.max(0, Math.min(duration - least, mid - least / 2))
    to = from + least
  }
  return { from, to }
}

/** ticksOf gives round offsets inside the view, in µs. */
export function ticksOf({ from, to }: View, max: number): number[] {
  const raw = (to - from) / Math.max(1, max)
  const p = 10 ** Math.floor(Math.log10(raw))
  const step = ([1, 2, 2.5, 5, 10].find((s) => s * p >= raw) ?? 10) * p
  const out: number[] = []
  for (let i = Math.ceil(from / step - 1e-9); i * step <= to + step * 1e-6; i++) out.push(Number((i * step).toPrecision(9)))
  return out
}
