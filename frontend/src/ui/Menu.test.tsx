import { fireEvent, render, screen } from '@testing-library/react'
import { describe, expect, it, vi } from 'vitest'
import { Menu, MenuCheck, MenuItem } from './Menu'

describe('Menu', () => {
  it('opens by the press that loads it, and hears the choice', async () => {
    const onSelect = vi.fn()
    render(
      <Menu trigger={<button type="button">Window</button>}>
        <MenuItem onSelect={onSelect}>Last hour</MenuItem>
        <MenuCheck checked onChange={() => undefined}>
          Last day
        </MenuCheck>
      </Menu>,
    )
    const trigger = screen.getByRole('button', { name: 'Window' })
    expect(trigger.getAttribute('aria-haspopup')).toBe('menu')
    fireEvent.click(trigger)
    const item = await screen.findByRole('menuitem', { name: 'Last hour' })
    expect(screen.getByRole('menuitemcheckbox', { name: 'Last day' }).getAttribute('aria-checked')).toBe('true')
    fireEvent.click(item)
    expect(onSelect).toHaveBeenCalledOnce()
    expect(screen.queryByRole('menu')).toBeNull()
  })
})
