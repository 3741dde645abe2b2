import { type FormEvent, useState } from 'react'
import { ApiError } from '@/api/client'
import { signIn } from '@/api/session'
import { useShell } from '@/lib/shell'
import { Button } from '@/ui/Button'
import { Dialog } from '@/ui/Dialog'
import styles from './SignIn.module.css'

/** Asks for the token by which the server knows who one is, then begins anew. */
export function SignIn() {
  const set = useShell((s) => s.set)
  const [asking, setAsking] = useState(false)
  const [error, setError] = useState('')
  const close = () => set({ signIn: false })
  const submit = async (e: FormEvent<HTMLFormElement>) => {
    e.preventDefault()
    const token = String(new FormData(e.currentTarget).get('token')).trim()
    setAsking(true)
    try {
      await signIn(token)
      location.reload()
    } catch (cause) {
      setError(cause instanceof ApiError && cause.code === 'unauthenticated' ? 'The server does not know this token.' : String((cause as Error).message))
      setAsking(false)
    }
  }
  return (
    <Dialog open onClose={close} label="Sign in">
      <form className={styles.form} onSubmit={(e) => void submit(e)}>
        <h2>Sign in</h2>
        <p className="t2">
          This server knows who may look at the mesh by their tokens. Those who run it make yours with <code>sidelight access token</code>.
        </p>
        <label>
          Token
          {/* It was asked for: the cursor belongs here. */}
          {/* oxlint-disable-next-line jsx-a11y/no-autofocus */}
          <input name="token" type="password" autoComplete="current-password" placeholder="slt_…" required autoFocus aria-invalid={error !== ''} />
        </label>
        {error === '' ? null : (
          <p className="fail-t" role="alert">
            {error}
          </p>
        )}
        <p className={styles.buttons}>
          <Button onClick={close}>Not now</Button>
          <Button kind="primary" submit disabled={asking}>
            {asking ? 'Asking the server…' : 'Sign in'}
          </Button>
        </p>
      </form>
    </Dialog>
  )
}
