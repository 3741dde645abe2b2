import { useCallback, useState } from 'react'

/** Why the list holds still. */
export type Holder = 'pointer' | 'scroll' | 'open' | 'keys'

type Held = { by: readonly Holder[]; at: number | null }
const FREE: Held = { by: [], at: null }

/**
 * useFollow decides which rows a list that grows at its front shows. It
 * follows the newest, until somebody points at a row, scrolls, or opens one:
 * then it holds still, and counts what is newer. `added` is how many rows were
 * ever added; rows are named by their number from the start, which never
 * changes.
 */
export function useFollow(added: number, rows: number) {
  const [held, setHeld] = useState(FREE)

  const hold = useCallback(
    (who: Holder, on: boolean) =>
      setHeld((h) => {
        if (h.by.includes(who) === on) return h
        const by = on ? [...h.by, who] : h.by.filter((b) => b !== who)
        return by.length === 0 ? FREE : { by, at: h.at ?? added }
      }),
    [added],
  )
  const release = useCallback(() => setHeld(FREE), [])

  const front = held.at ?? added
  const newer = added - front
  return { front, newer, shown: Math.max(0, rows - newer), hold, release }
}
