import type { ReactNode } from 'react'
import { Button } from './Button'
import styles from './Confirm.module.css'
import { Dialog } from './Dialog'

type Change = { error: Error | null; isPending: boolean }

/** Asks before something is changed, and stays to say why the server refused it. */
export function Confirm({ title, go, change, onGo, onClose, children }: { title: string; go: string; change: Change; onGo: () => void; onClose: () => void; children: ReactNode }) {
  const { error, isPending } = change
  return (
    <Dialog open onClose={onClose} label={title}>
      <div className={styles.confirm}>
        <h2>{title}</h2>
        {children}
        {error ? (
          <p className="fail-t" role="alert">
            Nothing changed: {error.message} {'hint' in error ? String(error.hint) : ''}
          </p>
        ) : null}
        <p className={styles.buttons}>
          <Button onClick={onClose}>Cancel</Button>
          <Button kind="primary" disabled={isPending} onClick={onGo}>
            {isPending ? 'Asking the server…' : go}
          </Button>
        </p>
      </div>
    </Dialog>
  )
}
