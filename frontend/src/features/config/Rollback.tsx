import { useState } from 'react'
import { useRollback } from '@/api/config'
import { plural } from '@/lib/format'
import { Button } from '@/ui/Button'
import { Confirm } from '@/ui/Confirm'

/**
 * Writes the files back as an earlier revision had them, after asking. That is
 * a revision of its own, which says who made it, so that it can be undone.
 */
export function Rollback({ to, newest, objects, onDone }: { to: number; newest: number; objects: number; onDone: () => void }) {
  const [asking, setAsking] = useState(false)
  const rollback = useRollback()
  const close = () => {
    setAsking(false)
    rollback.reset()
  }
  const go = () => rollback.mutate(to, { onSuccess: () => (close(), onDone()) })
  return (
    <>
      <Button small onClick={() => setAsking(true)}>
        Go back to revision {to}
      </Button>
      {asking ? (
        <Confirm title={`Go back to revision ${to}?`} go="Go back" change={rollback} onGo={go} onClose={close}>
          <p>
            {plural(objects, 'object')} in the watched files {objects === 1 ? 'is' : 'are'} written back as revision {to} had {objects === 1 ? 'it' : 'them'}; what else stands in the files stays.
            This makes a new revision in your name, and goes to the nodes like any other. Undo it by going back to revision {newest}.
          </p>
        </Confirm>
      ) : null}
    </>
  )
}
