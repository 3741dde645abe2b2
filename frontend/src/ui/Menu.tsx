import { cloneElement, type KeyboardEvent, type ReactElement, type ReactNode, useState } from 'react'
import type * as MenuParts from './MenuParts'

/**
 * A menu below its trigger. What draws it is loaded when somebody reaches for
 * it: most visits open no menu, and none opens one in the first second.
 */

type Parts = typeof MenuParts
let loaded: Parts | null = null

async function load(): Promise<Parts> {
  loaded ??= await import('./MenuParts')
  return loaded
}

type TriggerProps = {
  onPointerEnter?: () => void
  onClick?: () => void
  onKeyDown?: (e: KeyboardEvent) => void
  'aria-haspopup'?: 'menu'
  'aria-expanded'?: boolean
}

export function Menu({
  trigger,
  children,
  align = 'start',
}: {
  trigger: ReactElement<TriggerProps>
  children: ReactNode
  align?: 'start' | 'end'
}) {
  const [parts, setParts] = useState<Parts | null>(null)
  if (parts) {
    return (
      <parts.MenuRoot trigger={trigger} align={align} open>
        {children}
      </parts.MenuRoot>
    )
  }
  const open = () => void load().then(setParts)
  return cloneElement(trigger, {
    'aria-haspopup': 'menu',
    'aria-expanded': false,
    onPointerEnter: () => void load(),
    onClick: open,
    onKeyDown: (e) => {
      if (e.key !== 'ArrowDown') return
      e.preventDefault()
      open()
    },
  })
}

/** Items stand in an open menu only, so what draws them is there. */
function shown(): Parts {
  if (!loaded) throw new Error('BUG: a menu item outside of a menu')
  return loaded
}

export function MenuItem(props: MenuParts.MenuItemProps) {
  const Item = shown().MenuItem
  return <Item {...props} />
}

/** One that may be on or off. `keepOpen` for choosing several in one go. */
export function MenuCheck(props: MenuParts.MenuCheckProps) {
  const Check = shown().MenuCheck
  return <Check {...props} />
}

export function MenuLine() {
  const Line = shown().MenuLine
  return <Line />
}
