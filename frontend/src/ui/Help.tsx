import { useId } from 'react'
import { type MeasureName, measures } from '@/lib/measures'
import styles from './Help.module.css'
import { Icon } from './Icon'

/** How a figure is measured, behind a small question mark. The browser's own popover: Escape and a press elsewhere close it. */
export function Help({ of, about }: { of: MeasureName; about: string }) {
  const id = useId()
  return (
    <>
      <button type="button" className={styles.ask} popoverTarget={id} aria-label={`How ${about} is measured`} title="How this is measured">
        <Icon name="help" size={12} />
      </button>
      <div id={id} popover="auto" className={styles.answer} role="note">
        {measures[of]}
      </div>
    </>
  )
}
