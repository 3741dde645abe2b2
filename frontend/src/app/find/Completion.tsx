import type { FieldHelp } from '@/lib/shell'
import styles from './Completion.module.css'

/** The fields that may stand here, each with one line of help. */
export function Completion({
  id,
  options,
  active,
  onPick,
}: {
  id: string
  options: readonly FieldHelp[]
  active: number
  onPick: (name: string) => void
}) {
  return (
    <div className={styles.list} role="listbox" tabIndex={-1} id={`${id}-list`} aria-label="Fields">
      {options.map((o, i) => (
        // Keys are heard by the input, which keeps the focus.
        // oxlint-disable-next-line jsx-a11y/click-events-have-key-events
        <div
          key={o.name}
          id={`${id}-${i}`}
          role="option"
          tabIndex={-1}
          aria-selected={i === active}
          onMouseDown={(e) => e.preventDefault()}
          onClick={() => onPick(o.name)}
        >
          <b>{o.name}</b>
          <span>{o.help}</span>
        </div>
      ))}
    </div>
  )
}
