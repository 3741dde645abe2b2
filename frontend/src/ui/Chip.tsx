import type { ReactNode } from 'react'
import { cx } from '@/lib/cx'
import styles from './Chip.module.css'

export type ChipKind = 'plain' | 'ok' | 'warn' | 'fail' | 'info' | 'idle'

/** A small word on a wash of its own kind. */
export function Chip({ kind = 'plain', title, children }: { kind?: ChipKind; title?: string; children: ReactNode }) {
  return (
    <span className={cx(styles.chip, styles[kind])} title={title}>
      {children}
    </span>
  )
}

/** A chip that filters when pressed. */
export function ChipButton({
  kind = 'plain',
  pressed,
  onClick,
  children,
}: {
  kind?: ChipKind
  pressed: boolean
  onClick: () => void
  children: ReactNode
}) {
  return (
    <button type="button" aria-pressed={pressed} onClick={onClick} className={cx(styles.chip, styles.press, styles[kind])}>
      {children}
    </button>
  )
}
