import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { expect, type Page, test } from '@playwright/test'
import type { AxeResults, RunOptions } from 'axe-core'

/**
 * Every page, in both themes, with what opens on it: nothing that axe calls
 * serious or critical. What it cannot judge (words over a canvas) is left to
 * the tests of contrast in the tokens.
 */
const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')

const patient = { timeout: 60_000 }

const views: { name: string; open: (page: Page) => Promise<void> }[] = [
  {
    name: 'Overview',
    open: async (page) => {
      await page.goto('/')
      await expect(page.getByRole('region', { name: 'Findings' }).getByRole('listitem').first()).toBeVisible(patient)
    },
  },
  {
    name: 'Graph with the panel of an edge',
    open: async (page) => {
      await page.goto('/graph')
      const edge = page.getByRole('toolbar', { name: /Services and edges/ }).getByRole('button', { name: /^payments to api\.bank\.example/ })
      await expect(edge).toBeAttached(patient)
      await edge.press('Enter')
      await expect(page.getByRole('complementary').getByRole('heading', { name: 'Traces' })).toBeVisible()
    },
  },
  {
    name: 'Graph as a table',
    open: async (page) => {
      await page.goto('/graph?view=table')
      await expect(page.getByRole('row').nth(3)).toBeVisible(patient)
    },
  },
  {
    name: 'Nodes with one open',
    open: async (page) => {
      await page.goto('/nodes/tickets-2.booking')
      await expect(page.getByRole('row', { name: /^route outbound/ })).toBeVisible(patient)
    },
  },
  {
    name: 'Tap with a request open',
    open: async (page) => {
      await page.goto('/tap?q=from+=+booking/payments')
      const rows = page.getByRole('treegrid', { name: 'Tapped requests' }).getByRole('row')
      await expect(rows.nth(3)).toBeVisible(patient)
      await page.keyboard.press('Space')
      await rows.nth(1).click()
      await expect(page.getByRole('heading', { name: 'CLI' })).toBeVisible()
    },
  },
  {
    name: 'Traces',
    open: async (page) => {
      await page.goto('/traces')
      await expect(page.getByRole('list', { name: 'Traces' }).getByRole('link').first()).toBeVisible(patient)
    },
  },
  {
    name: 'a trace with a span open',
    open: async (page) => {
      await page.goto('/traces?source=booking/payments')
      await page.getByRole('list', { name: 'Traces' }).getByRole('link').first().click(patient)
      await page.getByRole('treegrid', { name: 'Spans' }).getByRole('row').last().click()
      await expect(page.getByRole('complementary', { name: 'Span' })).toBeVisible()
    },
  },
]

for (const theme of ['dark', 'light'] as const) {
  test.describe(theme, () => {
    test.use({ colorScheme: theme })
    for (const { name, open } of views) {
      test(name, async ({ page }) => {
        await open(page)
        expect(await grave(page)).toEqual([])
      })
    }
    test('the palette and the sheet of shortcuts', async ({ page }) => {
      await page.goto('/nodes')
      await expect(page.getByRole('treegrid', { name: 'Nodes' })).toBeVisible(patient)
      await page.keyboard.press('Control+k')
      await expect(page.getByRole('option').first()).toBeVisible()
      expect(await grave(page)).toEqual([])
      await page.keyboard.press('Escape')
      await page.keyboard.press('?')
      await expect(page.getByRole('heading', { name: 'Shortcuts' })).toBeVisible()
      expect(await grave(page)).toEqual([])
    })
  })
}

/** What is serious or critical: rule, element, and what axe says of it. */
async function grave(page: Page): Promise<string[]> {
  await page.evaluate(axe)
  const { violations } = await page.evaluate(
    (options) => (globalThis as unknown as { axe: { run: (o: RunOptions) => Promise<AxeResults> } }).axe.run(options),
    { resultTypes: ['violations'] } satisfies RunOptions,
  )
  return violations
    .filter((v) => v.impact === 'serious' || v.impact === 'critical')
    .flatMap((v) => v.nodes.slice(0, 5).map((n) => `${v.id}: ${n.target.join(' ')} — ${n.any[0]?.message ?? n.all[0]?.message ?? v.help}`))
}
