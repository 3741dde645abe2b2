import { DropdownMenu as Radix } from 'radix-ui'
import type { ReactElement, ReactNode } from 'react'
import { Icon } from './Icon'
import styles from './Menu.module.css'

/** A menu below its trigger. Not modal: it locks nothing and injects no style. */
export function Menu({ trigger, children, align = 'start' }: { trigger: ReactElement; children: ReactNode; align?: 'start' | 'end' }) {
  return (
    <Radix.Root modal={false}>
      <Radix.Trigger asChild>{trigger}</Radix.Trigger>
      <Radix.Portal>
        <Radix.Content className={styles.menu} align={align} sideOffset={4} collisionPadding={8}>
          {children}
        </Radix.Content>
      </Radix.Portal>
    </Radix.Root>
  )
}

export function MenuItem({ onSelect, children, hint }: { onSelect: () => void; children: ReactNode; hint?: ReactNode }) {
  return (
    <Radix.Item className={styles.item} onSelect={onSelect}>
      <span className={styles.check} />
      {children}
      {hint ? <span className={styles.hint}>{hint}</span> : null}
    </Radix.Item>
  )
}

/** One that may be on or off. `keepOpen` for choosing several in one go. */
export function MenuCheck({
  checked,
  onChange,
  children,
  hint,
  keepOpen = false,
}: {
  checked: boolean
  onChange: (checked: boolean) => void
  children: ReactNode
  hint?: ReactNode
  keepOpen?: boolean
}) {
  return (
    <Radix.CheckboxItem
      className={styles.item}
      checked={checked}
      onCheckedChange={onChange}
      onSelect={keepOpen ? (e) => e.preventDefault() : undefined}
    >
      <span className={styles.check}>{checked ? <Icon name="check" size={12} /> : null}</span>
      {children}
      {hint ? <span className={styles.hint}>{hint}</span> : null}
    </Radix.CheckboxItem>
  )
}

export function MenuLine() {
  return <Radix.Separator className={styles.line} />
}
