import type { ReactNode } from 'react'
import { announce } from '@/lib/shell'
import { Button } from '@/ui/Button'
import { Icon } from '@/ui/Icon'
import { Menu, MenuItem } from '@/ui/Menu'

/** What else can be done with what is selected. */
export function PanelMenu({ cli, onFocus, onTable, children }: { cli: string; onFocus: (() => void) | null; onTable: () => void; children?: ReactNode }) {
  const copy = () =>
    void navigator.clipboard
      .writeText(cli)
      .then(() => announce('Command copied'))
      .catch(() => announce(`The browser allows no copying: ${cli}`))
  return (
    <Menu
      align="end"
      trigger={
        <Button>
          More
          <Icon name="down" size={12} />
        </Button>
      }
    >
      {onFocus ? <MenuItem onSelect={onFocus}>Focus here</MenuItem> : null}
      {children}
      <MenuItem onSelect={onTable}>As a table</MenuItem>
      <MenuItem onSelect={copy}>Copy as CLI</MenuItem>
    </Menu>
  )
}
