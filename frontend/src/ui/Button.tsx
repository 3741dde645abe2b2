import type { ComponentProps, ReactNode } from 'react'
import { cx } from '@/lib/cx'
import styles from './Button.module.css'
import { Icon, type IconName } from './Icon'

type ButtonProps = Omit<ComponentProps<'button'>, 'type'> & {
  kind?: 'line' | 'quiet' | 'primary'
  small?: boolean
  icon?: IconName
  /** Sends the form that it stands in. */
  submit?: boolean
  children?: ReactNode
}

/** A button that does something here. For going somewhere use a link with `buttonClass`. */
export function Button({ kind = 'line', small = false, icon, submit = false, className, children, ...rest }: ButtonProps) {
  return (
    <button type={submit ? 'submit' : 'button'} className={cx(buttonClass(kind, small), className)} {...rest}>
      {icon ? <Icon name={icon} size={small ? 14 : 16} /> : null}
      {children}
    </button>
  )
}

/** A square button with an icon alone; the label is its name and its title. */
export function IconButton({
  icon,
  label,
  size = 28,
  className,
  ...rest
}: Omit<ComponentProps<'button'>, 'type' | 'children'> & { icon: IconName; label: string; size?: number }) {
  return (
    <button
      type="button"
      aria-label={label}
      title={label}
      className={cx(styles.square, className)}
      style={{ width: size, height: size }}
      {...rest}
    >
      <Icon name={icon} size={size < 24 ? 12 : 16} />
    </button>
  )
}

/** The look of a button for a link. */
export function buttonClass(kind: 'line' | 'quiet' | 'primary' = 'line', small = false): string {
  return cx(styles.button, styles[kind], small && styles.small)
}
