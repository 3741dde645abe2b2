import type { ReactNode } from 'react'
import type { Piece as Part, Reading } from '@/lib/expr/read'
import { cx } from '@/lib/cx'
import styles from './Pieces.module.css'

/** The expression in colour. No piece may take more room than its letters: it lies under the input. */
export function Pieces({ reading }: { reading: Reading }) {
  const out: ReactNode[] = []
  const { pieces, error } = reading
  for (let i = 0; i < pieces.length; ) {
    const { chip } = pieces[i]!
    let end = i + 1
    if (chip !== undefined) while (end < pieces.length && pieces[end]!.chip === chip) end++
    const group = pieces.slice(i, end).map((t) => <Piece key={t.start} piece={t} wrong={error !== null && t.start < error.end && t.end > error.start} />)
    out.push(
      chip === undefined ? (
        group
      ) : (
        <span key={`chip${chip}`} className={styles.chip}>
          {group}
        </span>
      ),
    )
    i = end
  }
  return out
}

function Piece({ piece, wrong }: { piece: Part; wrong: boolean }) {
  return <span className={cx(styles[piece.kind], wrong && styles.wrong)}>{piece.text}</span>
}
