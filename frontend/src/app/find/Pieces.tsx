import type { ReactNode } from 'react'
import type { Reading, Token } from '@/lib/expr'
import { cx } from '@/lib/cx'
import styles from './Pieces.module.css'

/** The expression in colour. No piece may take more room than its letters: it lies under the input. */
export function Pieces({ reading }: { reading: Reading }) {
  const out: ReactNode[] = []
  const { tokens, error } = reading
  for (let i = 0; i < tokens.length; ) {
    const { chip } = tokens[i]!
    let end = i + 1
    if (chip !== undefined) while (end < tokens.length && tokens[end]!.chip === chip) end++
    const group = tokens.slice(i, end).map((t) => <Piece key={t.start} token={t} wrong={error !== null && t.start < error.end && t.end > error.start} />)
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

function Piece({ token, wrong }: { token: Token; wrong: boolean }) {
  return <span className={cx(styles[token.kind], wrong && styles.wrong)}>{token.text}</span>
}
