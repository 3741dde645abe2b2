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
    name: 'Objects of the configuration',
    open: async (page) => {
      await page.goto('/config')
      await expect(page.getByRole('region', { name: 'Objects' }).getByRole('link', { name: 'catalog' }).first()).toBeVisible(patient)
    },
  },
  {
    name: 'One object, and who has it',
    open: async (page) => {
      await page.goto('/config/VirtualService/catalog/catalog?line=11')
      await expect(page.getByRole('heading', { name: 'Who has it' })).toBeVisible(patient)
    },
  },
  {
    name: 'Revisions and what differs',
    open: async (page) => {
      await page.goto('/config/revisions')
      await expect(page.getByRole('heading', { name: /revision/i }).first()).toBeVisible(patient)
    },
  },
  {
    name: 'What becomes of a request',
    open: async (page) => {
      await page.goto('/config/explain?url=http://catalog.catalog/movies&caller=front/web')
      await expect(page.getByRole('list', { name: 'Steps' })).toContainText('Endpoints', patient)
    },
  },
  {
    name: 'Services',
    open: async (page) => {
      await page.goto('/services')
      await expect(page.getByRole('link', { name: 'payments' })).toBeVisible(patient)
    },
  },
  {
    name: 'A service',
    open: async (page) => {
      await page.goto('/services/payments.booking.svc.cluster.local')
      await expect(page.getByRole('heading', { name: 'Endpoints' })).toBeVisible(patient)
    },
  },
  {
    name: 'A workload',
    open: async (page) => {
      await page.goto('/workloads/booking/tickets')
      await expect(page.getByRole('heading', { name: 'Sidecars', exact: true })).toBeVisible(patient)
    },
  },
  {
    name: 'Dashboards',
    open: async (page) => {
      await page.goto('/dashboards/sidelight-mesh')
      await expect(page.locator('main canvas').first()).toBeVisible(patient)
    },
  },
  {
    name: 'Alerts',
    open: async (page) => {
      await page.goto('/alerts')
      await expect(page.getByRole('link', { name: /tickets-2\.booking/ }).first()).toBeVisible(patient)
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

for (const { name, open } of views) {
  test(name, async ({ page }) => {
    await open(page)
    expect(await grave(page)).toEqual([])
    // Themes differ in colours alone.
    await page.evaluate(() => (document.documentElement.dataset.theme = 'light'))
    expect(await grave(page, ['color-contrast'])).toEqual([])
    for (const [width, height] of [[720, 450], [390, 844]] as const) {
      await page.setViewportSize({ width, height })
      await expect.poll(() => sideways(page), { message: `at ${width} × ${height}` }).toEqual([])
    }
  })
}

for (const theme of ['dark', 'light'] as const) {
  test.describe(theme, () => {
    test.use({ colorScheme: theme })
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

/**
 * What has to be scrolled in both directions, or ends where nobody can scroll to:
 * at 200 % (half of 1440 × 900) and at a phone's width everything that is read
 * runs down one column. Tables and code may be wider than the screen.
 */
async function sideways(page: Page): Promise<string[]> {
  return page.evaluate(() => {
    const found: string[] = []
    const name = (e: Element) => `${e.tagName.toLowerCase()}.${String(e.className).split(' ')[0]} ${e.getAttribute('aria-label') ?? (e.textContent ?? '').slice(0, 40)}`
    if (document.documentElement.scrollWidth > innerWidth) found.push(`the page is ${document.documentElement.scrollWidth} px wide`)
    for (const e of document.querySelectorAll('main, main *')) {
      const { overflowX, overflowY } = getComputedStyle(e)
      const wide = e.scrollWidth > e.clientWidth + 1
      const may = e.querySelector(':scope > table, :scope > pre') !== null || e.closest('pre, code, [role=tablist], nav') !== null
      if (wide && /auto|scroll/.test(overflowX) && /auto|scroll/.test(overflowY) && !may && e.clientWidth > 0) found.push(`sideways: ${name(e)}, ${e.scrollWidth} in ${e.clientWidth} px`)
      // A heading or a button that is cut off by the screen's edge cannot be read at all.
      if (/^(H1|H2|BUTTON|A)$/.test(e.tagName) && e.closest('[class*=sr-only], table, pre, [role=tablist], nav, [data-renderer]') === null) {
        const { left, right, width } = e.getBoundingClientRect()
        if (width > 1 && (right > innerWidth + 1 || left < -1)) found.push(`cut off: ${name(e)}, to ${Math.round(right)} px`)
      }
    }
    return found.slice(0, 8)
  })
}

/** What is serious or critical: rule, element, and what axe says of it; by all rules, or by some. */
async function grave(page: Page, rules?: string[]): Promise<string[]> {
  await page.evaluate(axe)
  const { violations } = await page.evaluate(
    (options) => (globalThis as unknown as { axe: { run: (o: RunOptions) => Promise<AxeResults> } }).axe.run(options),
    { resultTypes: ['violations'], ...(rules ? { runOnly: { type: 'rule', values: rules } as const } : {}) } satisfies RunOptions,
  )
  return violations
    .filter((v) => v.impact === 'serious' || v.impact === 'critical')
    .flatMap((v) => v.nodes.slice(0, 5).map((n) => `${v.id}: ${n.target.join(' ')} — ${n.any[0]?.message ?? n.all[0]?.message ?? v.help}`))
}
