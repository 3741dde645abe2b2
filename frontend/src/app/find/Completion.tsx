import { useEffect, useRef } from 'react'
import type { Offer } from './offers'
import styles from './Completion.module.css'

/** What may stand here, each with one line of help. */
export function Completion({
  id,
  options,
  active,
  onPick,
}: {
  id: string
  options: readonly Offer[]
  active: number
  onPick: (option: Offer) => void
}) {
  const list = useRef<HTMLDivElement>(null)
  useEffect(() => {
    list.current?.children[active]?.scrollIntoView?.({ block: 'nearest' })
  }, [active])
  return (
    <div ref={list} className={styles.list} role="listbox" tabIndex={-1} id={`${id}-list`} aria-label="Fields, values and questions">
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
          onClick={() => onPick(o)}
        >
          <b>{o.name}</b>
          <span>{o.help}</span>
        </div>
      ))}
    </div>
  )
}
