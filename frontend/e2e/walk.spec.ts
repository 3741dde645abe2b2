import { expect, type Page, test } from '@playwright/test'

/**
 * From an edge that is retried to the try that failed and its endpoint, as someone
 * on call walks it: graph, tap, trace. (On to the ejection of that endpoint:
 * stories.spec.ts.) deploy/e2e walks the same by API.
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
