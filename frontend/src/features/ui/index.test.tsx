import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { screen } from '@testing-library/react'
import { describe, expect, it } from 'vitest'
import { renderAt } from '../../../test/render'
import { DesignPage } from '.'

/** What is no control of its own: the parts of a menu, a canvas without a drawing, the states of a live page (each is shown by itself). */
const inside = ['MenuParts', 'LiveView', 'charts/Canvas']

describe('the page of the design system', () => {
  it('shows every control there is', () => {
    const source = readFileSync(join(import.meta.dirname, 'index.tsx'), 'utf8')
    const controls = ['', 'charts/'].flatMap((folder) =>
      readdirSync(join(import.meta.dirname, '../../ui', folder))
        .filter((name) => /^[A-Z]\w+\.tsx$/.test(name))
        .map((name) => folder + name.replace('.tsx', '')),
    )
    expect(controls.length).toBeGreaterThan(15)
    expect(controls.filter((name) => !inside.includes(name) && !source.includes(`from '@/ui/${name}'`))).toEqual([])
  })

  it('draws them', async () => {
    await renderAt('/', () => <DesignPage />)
    for (const title of ['Surfaces', 'Type', 'Health', 'Controls', 'Icons', 'Figures', 'Table', 'Signals', 'Ejections']) expect(screen.getByRole('heading', { name: title })).toBeDefined()
    expect(screen.getByRole('heading', { name: 'You may not see this' })).toBeDefined()
  })
})
