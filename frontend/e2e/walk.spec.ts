import { expect, type Page, test } from '@playwright/test'
import { play } from './demo'

/**
 * From an edge that is retried to the try that failed, its endpoint, and the
 * ejection of that, as someone on call walks it: graph, tap, trace, graph.
 * deploy/e2e walks the same by API.
 */

const panel = (page: Page) => page.getByRole('complementary')
const patient = { timeout: 60_000 }

test('from an edge to the attempt that failed and its endpoint', async ({ page }) => {
  page.on('pageerror', (error) => expect(error.message).toBe(''))
  await page.goto('/graph')
  const edge = page.getByRole('toolbar', { name: /Services and edges/ }).getByRole('button', { name: /^payments to api\.bank\.example/ })
  await expect(edge).toBeAttached(patient)
  await edge.press('Enter')
  await expect(panel(page)).toHaveAccessibleName('Edge from payments to api.bank.example')
  await panel(page).getByRole('link', { name: /^Tap/ }).click()

  // Tap: the requests of that edge; one that was tried more than once.
  await expect(page).toHaveURL(/\/tap\?/)
  await page.getByRole('combobox', { name: 'Filter' }).fill('from = payments and attempts = 3 and status >= 500')
  await page.keyboard.press('Enter')
  const failed = page.getByRole('treegrid').getByRole('row').filter({ hasText: 'URX' }).first()
  await failed.click(patient)
  await expect(page.getByText('3 attempts, all failed')).toBeVisible()
  await page.getByRole('link', { name: 'Open trace' }).first().click()

  // Trace: spans take a moment to arrive from all sidecars.
  await expect(page).toHaveURL(/\/traces\/[0-9a-f]{32}/)
  const attempt = page.getByRole('row', { name: /attempt 3/ })
  await expect(async () => {
    if (!(await attempt.isVisible())) await page.reload()
    await expect(attempt).toBeVisible({ timeout: 3000 })
  }).toPass(patient)
  await attempt.click()
  const span = page.getByRole('complementary', { name: 'Span' })
  await expect(span).toContainText('failed here first')
  await expect(span).toContainText(/127\.0\.0\.1:\d+/)

  // What those that went well have and this one has not.
  await page.getByRole('link', { name: 'Compare with those that went well' }).click()
  await expect(page.getByRole('heading', { name: 'What one side has and the other has not' })).toBeVisible(patient)
  await expect(page.getByLabel('Side B')).toContainText('1 trace, 1 failed')
})

test('from an edge that is retried to the endpoint that was taken out for it', async ({ page }) => {
  test.setTimeout(300_000)
  page.on('pageerror', (error) => expect(error.message).toBe(''))
  const demo = await play('breaker')
  try {
    await page.goto(`${demo.url}/graph`)
    const edge = page.getByRole('toolbar', { name: /Services and edges/ }).getByRole('button', { name: /^web to tickets/ })
    await expect(edge).toBeAttached(patient)
    await edge.press('Enter')
    await panel(page).getByRole('link', { name: /^Tap/ }).click()

    // Tap: requests of it that were tried again; one whose failed try was answered 503, as the broken instance does.
    await page.getByRole('combobox', { name: 'Filter' }).fill('from = front/web and to = booking/tickets and attempts > 1 and status = 2xx and direction = outbound')
    await page.keyboard.press('Enter')
    const tries = page.getByRole('img', { name: /attempt 1 at 127\.0\.0\.1:\d+ .*?: 503/ })
    const requests = page.getByRole('treegrid').getByRole('row').filter({ hasText: /POST|GET/ })
    // The endpoint is out most of the time, so it takes until it is asked again; others were tried again because the bank refused.
    let at = 0
    await expect(async () => {
      await page.mouse.move(1, 1) // rows stand still under the pointer
      const row = requests.nth(at++ % Math.max(1, await requests.count()))
      await row.click({ timeout: 20_000 })
      if (await tries.isVisible()) return
      await row.click()
      throw new Error('another story')
    }).toPass({ timeout: 150_000, intervals: [200] })
    const [, endpoint = 'none'] = /attempt 1 at (127\.0\.0\.1:\d+)/.exec((await tries.getAttribute('aria-label')) ?? '') ?? []
    await page.getByRole('link', { name: 'Open trace' }).first().click()

    // Trace: that try failed, at that endpoint.
    const attempt = page.getByRole('row', { name: /attempt 1/ }).first()
    await expect(async () => {
      if (!(await attempt.isVisible())) await page.reload()
      await expect(attempt).toBeVisible({ timeout: 3000 })
    }).toPass(patient)
    await attempt.click()
    const span = page.getByRole('complementary', { name: 'Span' })
    await expect(span).toContainText(endpoint)

    // The edge again: web's sidecars have taken that endpoint out, by the rules of the DestinationRule.
    await span.getByRole('link', { name: 'Show edge' }).click()
    await expect(panel(page)).toHaveAccessibleName('Edge from web to tickets', patient)
    const ejections = panel(page).locator('section').filter({ has: page.getByRole('heading', { name: 'Ejections' }) })
    const taken = ejections.getByRole('listitem').filter({ hasText: endpoint }).first()
    await expect(taken).toContainText('DestinationRule booking/tickets', patient)
    await expect(taken.getByRole('img', { name: /out \d+ times? in the last 10 min/ })).toBeVisible()
  } finally {
    await demo.stop()
  }
})
