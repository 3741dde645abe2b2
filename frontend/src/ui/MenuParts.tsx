import { DropdownMenu as Radix } from 'radix-ui'
import type { ReactElement, ReactNode } from 'react'
import { Icon } from './Icon'
import styles from './Menu.module.css'

/** The menu itself, over Radix. Not modal: it locks nothing and injects no style. */
export function MenuRoot({ trigger, children, align, open }: { trigger: ReactElement; children: ReactNode; align: 'start' | 'end'; open: boolean }) {
  return (
    <Radix.Root modal={false} defaultOpen={open}>
      <Radix.Trigger asChild>{trigger}</Radix.Trigger>
      <Radix.Portal>
        <Radix.Content className={styles.menu} align={align} sideOffset={4} collisionPadding={8}>
          {children}
        </Radix.Content>
      </Radix.Portal>
    </Radix.Root>
  )
}

export type MenuItemProps = { onSelect: () => void; children: ReactNode; hint?: ReactNode }

export function MenuItem({ onSelect, children, hint }: MenuItemProps) {
  return (
    <Radix.Item className={styles.item} onSelect={onSelect}>
      <span className={styles.check} />
      {children}
      {hint ? <span className={styles.hint}>{hint}</span> : null}
    </Radix.Item>
  )
}

export type MenuCheckProps = {
  checked: boolean
  onChange: (checked: boolean) => void
  children: ReactNode
  hint?: ReactNode
  keepOpen?: boolean
}

export function MenuCheck({
  checked,
  onChange,
  children,
  hint,
  keepOpen = false,
}: MenuCheckProps) {
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
