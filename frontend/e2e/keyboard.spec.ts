import { expect, type Locator, type Page, test } from '@playwright/test'

/**
 * The four main journeys by keyboard alone, and what a screen reader is told on
 * the way. (Nodes, why a node lags: journeys.spec.ts has that one.)
 */

const patient = { timeout: 60_000 }
const focused = (page: Page) => page.locator(':focus')
/** What a screen reader calls what has the focus. */
const named = async (page: Page) => (await focused(page).getAttribute('aria-label')) ?? ''
const says = (page: Page) => page.locator('[role=status][aria-live=polite]').first()

/** Tab until that has the focus, as somebody does who sees where it is. */
async function tabTo(page: Page, to: Locator, most = 80): Promise<void> {
  await expect(to.first()).toBeAttached(patient)
  for (let i = 0; i < most; i++) {
    if (await to.first().evaluate((e) => e === document.activeElement)) return
    await page.keyboard.press('Tab')
  }
  await expect(to.first()).toBeFocused({ timeout: 1 })
}

/** Up and down until what has the focus begins so. */
async function upDownTo(page: Page, text: RegExp): Promise<void> {
  for (const key of ['ArrowUp', 'ArrowDown'])
    for (let i = 0; i < 8; i++) {
      if (text.test(await named(page))) return
      await page.keyboard.press(key)
    }
  await expect(focused(page)).toHaveAccessibleName(text)
}

/** From a node onto one of its edges: right leads to the middle one, up and down to the others. */
async function along(page: Page, edge: string): Promise<void> {
  await page.keyboard.press('ArrowRight')
  await upDownTo(page, new RegExp(`^${edge}`))
}

test.beforeEach(({ page }) => {
  page.on('pageerror', (error) => expect(error.message).toBe(''))
})

test('graph, edge, tap', async ({ page }) => {
  await page.goto('/')
  await expect(page.getByRole('region', { name: 'Findings' })).toBeVisible(patient)
  await page.keyboard.press('g')
  await page.keyboard.press('g')
  const mirror = page.getByRole('toolbar', { name: /Services and edges/ })
  await expect(mirror.getByRole('button', { name: /^payments to api\.bank\.example, http, (failing|degraded)/ })).toBeAttached(patient)
  await expect(mirror.getByRole('button', { name: /^unknown in|^unknown,/ }).first()).toBeAttached(patient)
  await tabTo(page, mirror.locator('button[tabindex="0"]'))
  // From the left along edges, as the requests go; callers without a sidecar stand there, too.
  await page.keyboard.press('Home')
  for (let i = 0; i < 8 && !/^ingress(?! to)/.test(await named(page)); i++) await page.keyboard.press('ArrowDown')
  await expect(focused(page)).toHaveAccessibleName(/^ingress(?! to)/)
  for (const edge of ['ingress to web', 'web to tickets', 'tickets to payments', 'payments to api.bank.example']) {
    await along(page, edge)
    if (!edge.startsWith('payments')) await page.keyboard.press('ArrowRight')
  }
  await page.keyboard.press('Enter')
  await expect(page.getByRole('complementary')).toHaveAccessibleName('Edge from payments to api.bank.example')
  await expect(says(page)).toHaveText(/^payments to api\.bank\.example, http, (failing|degraded)/)
  await tabTo(page, page.getByRole('complementary').getByRole('link', { name: /^Tap/ }))
  await page.keyboard.press('Enter')

  await expect(page).toHaveURL(/\/tap\?/)
  const rows = page.getByRole('treegrid', { name: 'Tapped requests' })
  await expect(rows.getByRole('row').nth(2)).toBeVisible(patient)
  await expect(says(page)).toHaveText(/^The tap runs, \d+ sidecars? listening\.$/)
  await page.keyboard.press('Space')
  await expect(page.getByText(/^Paused/).first()).toBeVisible()
  await expect(says(page)).toHaveText('Paused. New requests are kept.')
  await tabTo(page, rows)
  await page.keyboard.press('ArrowDown')
  await page.keyboard.press('ArrowRight')
  await expect(page.getByRole('heading', { name: 'CLI' })).toBeVisible()
})

test('traces, waterfall', async ({ page }) => {
  await page.goto('/traces?source=booking/payments&errors=1')
  const list = page.getByRole('list', { name: 'Traces' })
  // One that failed to its caller: in the newest, a second attempt may have been answered.
  await tabTo(page, list.getByRole('link').filter({ hasText: /50[234]\d+ errors?/ }), 160)
  await page.keyboard.press('Enter')
  await expect(page.getByRole('heading', { level: 1 })).toHaveText(/^Failed at payments/, patient)
  const spans = page.getByRole('treegrid', { name: 'Spans' })
  await tabTo(page, spans)
  await page.keyboard.press('End')
  await expect(spans.locator('[aria-selected=true]')).toBeVisible()
  const span = page.getByRole('complementary', { name: 'Span' })
  await page.keyboard.press('n')
  await expect(span).toContainText('failed here first')
  await page.keyboard.press('Escape')
  await expect(span).toHaveCount(0)
})

test('config, explain', async ({ page }) => {
  await page.goto('/nodes')
  await expect(page.getByRole('treegrid', { name: 'Nodes' })).toBeVisible(patient)
  await page.keyboard.press('g')
  await page.keyboard.press('c')
  await tabTo(page, page.getByRole('link', { name: /^Explain/ }))
  await page.keyboard.press('Enter')
  await tabTo(page, page.getByLabel('From'))
  await page.keyboard.type('front/web')
  await tabTo(page, page.getByLabel('URL'))
  await page.keyboard.type('catalog.catalog:8080/v1/films')
  await page.keyboard.press('Enter')
  const steps = page.getByRole('list', { name: 'Steps' })
  await expect(steps).toContainText('Endpoints', patient)
  await tabTo(page, steps.getByRole('link', { name: /VirtualService catalog\/catalog/ }))
  await page.keyboard.press('Enter')
  await expect(page).toHaveURL(/\/config\/VirtualService\/catalog\/catalog\?line=\d+/)
  await expect(page.getByRole('heading', { level: 1, name: 'catalog' })).toBeVisible(patient)
})

test('what a screen reader has of the overview, a node and an edge', async ({ page }) => {
  await page.goto('/')
  await expect(page.getByRole('region', { name: 'Findings' }).getByRole('listitem').first()).toBeVisible(patient)
  await expect(page.getByRole('region', { name: 'Findings' })).toMatchAriaSnapshot(`
    - region "Findings":
      - heading /fail|degraded/ [level=1]
      - list:
        - listitem:
          - link /errors, all answered by/
  `)
  await page.goto('/nodes/tickets-2.booking')
  await expect(page.getByRole('row', { name: /^route outbound/ })).toBeVisible(patient)
  await expect(page.getByRole('main')).toMatchAriaSnapshot(`
    - main:
      - heading /Desired. rev \\d+/ [level=2]
      - group "Show nodes by state"
      - treegrid "Nodes"
  `)
  await page.goto('/graph')
  const edge = page.getByRole('toolbar', { name: /Services and edges/ }).getByRole('button', { name: /^payments to api\.bank\.example/ })
  await expect(edge).toBeAttached(patient)
  await edge.press('Enter')
  await expect(page.getByRole('complementary')).toMatchAriaSnapshot(`
    - complementary "Edge from payments to api.bank.example":
      - tablist "Details":
        - tab "Traffic" [selected]
        - tab "Codes"
        - tab "Connections"
  `)
})

test('the first look leads through the pages', async ({ page }) => {
  await page.goto('/')
  await page.getByRole('link', { name: /A first look, in six steps/ }).click(patient)
  for (const [at, title, path] of [
    [1, 'Is anything wrong?', /\/\?look=1$/],
    [2, 'Who talks to whom?', /\/graph\?look=2$/],
    [3, 'What stands behind it?', /\/services\?look=3$/],
    [4, 'Which configuration runs where?', /\/nodes\?look=4$/],
    [5, 'What is in the traffic, right now?', /\/tap\?look=5$/],
    [6, 'Where did the time go?', /\/traces\?look=6$/],
  ] as const) {
    const card = page.getByRole('region', { name: `First look, ${at} of 6` })
    await expect(card.getByRole('heading', { name: title })).toBeVisible()
    await expect(page).toHaveURL(path)
    await card.getByRole('button', { name: at < 6 ? 'Next' : 'Done' }).press('Enter')
  }
  await expect(page).toHaveURL(/\/traces$/)
  // Who has had it is not asked again.
  await page.goto('/')
  await expect(page.getByRole('region', { name: 'Findings' }).getByRole('listitem').first()).toBeVisible(patient)
  await expect(page.getByRole('link', { name: /A first look/ })).toHaveCount(0)
})
