import { type ReactNode, useLayoutEffect, useRef } from 'react'
import { cx } from '@/lib/cx'
import styles from './Dialog.module.css'

/** A modal on the browser's own <dialog>: focus stays in, Escape and the ground close. */
export function Dialog({
  open,
  onClose,
  label,
  className,
  children,
}: {
  open: boolean
  onClose: () => void
  label: string
  className?: string
  children: ReactNode
}) {
  if (!open) return null
  return (
    <Opened onClose={onClose} label={label} className={className}>
      {children}
    </Opened>
  )
}

function Opened({
  onClose,
  label,
  className,
  children,
}: {
  onClose: () => void
  label: string
  className?: string
  children: ReactNode
}) {
  const ref = useRef<HTMLDialogElement>(null)
  // Closing before the element leaves the page is what gives the focus back.
  useLayoutEffect(() => {
    const dialog = ref.current
    dialog?.showModal()
    return () => dialog?.close()
  }, [])
  return (
    // The click on the ground is a convenience beside Escape, which the dialog brings.
    // oxlint-disable-next-line jsx-a11y/click-events-have-key-events, jsx-a11y/no-noninteractive-element-interactions
    <dialog
      ref={ref}
      aria-label={label}
      className={cx(styles.dialog, className)}
      // React's strict mode closes it once and opens it again before this is heard.
      onClose={() => ref.current?.open || onClose()}
      onClick={(e) => {
        if (e.target === ref.current) onClose()
      }}
    >
      <div className={styles.body}>{children}</div>
    </dialog>
  )
}
