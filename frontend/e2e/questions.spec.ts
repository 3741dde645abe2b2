import { expect, type Page, test } from '@playwright/test'

/**
 * What Sidelight is for, as questions that people bring; each is answered on
 * the real demo (scenario skew) by what a reader sees. Numbers are those of
 * the list of questions in README.md; the four journeys
 * (journeys.spec.ts) answer 1, 2, 5 and 14 at length, stories.spec.ts those of
 * other stories.
 */

const mirror = (page: Page) => page.getByRole('toolbar', { name: /Services and edges/ })
const panel = (page: Page) => page.getByRole('complementary').first()
const patient = { timeout: 60_000 }

async function openEdge(page: Page, name: RegExp): Promise<void> {
  await page.goto('/graph')
  const edge = mirror(page).getByRole('button', { name })
  await expect(edge).toBeAttached(patient)
  await edge.press('Enter')
  await expect(panel(page)).toBeVisible()
}

test('1, 2: which version runs where, and is it applied everywhere?', async ({ page }) => {
  await page.goto('/')
  await expect(page.getByRole('heading', { name: /^Rev \d+ runs on 11 of 12 nodes$/ })).toBeVisible(patient)
  await page.getByRole('complementary').locator('a[href^="/nodes/"]', { hasText: 'tickets-2' }).click()
  await expect(page).toHaveURL(/\/nodes\/tickets-2\.booking/)
  // The page's own entry leads to the page, not to what is open on it.
  await page.getByRole('link', { name: 'Nodes', exact: true }).first().click()
  await expect(page).toHaveURL(/\/nodes(\?|$)/)
})

test('5: did the service say so, or the proxy?', async ({ page }) => {
  await openEdge(page, /^payments to api\.bank\.example/)
  await expect(panel(page).getByRole('heading', { name: 'Who answered' })).toBeVisible(patient)
  await panel(page).getByRole('button', { name: /How who answered is measured/ }).click()
  await expect(page.getByRole('note')).toContainText('a proxy gave the answer itself')
})

test('6: what would become of this request, on that node?', async ({ page }) => {
  await page.goto('/config/explain')
  await page.getByLabel('From').fill('front/web')
  await page.getByLabel('URL').fill('catalog.catalog:8080/v1/films')
  await page.getByLabel('URL').press('Enter')
  const steps = page.getByRole('list', { name: 'Steps' }).getByRole('listitem')
  for (const step of ['Listener', 'Virtual host', 'Route', 'Split', 'Cluster', 'Endpoints']) await expect(steps.filter({ hasText: step }).first()).toBeVisible(patient)
  // Each step leads to the line that decides it.
  await steps.getByRole('link', { name: /VirtualService catalog\/catalog/ }).first().click()
  await expect(page).toHaveURL(/\/config\/VirtualService\/catalog\/catalog\?line=\d+/)
  await expect(page.getByRole('heading', { name: 'Who has it' })).toBeVisible(patient)
})

test('7: is a retry storm hiding behind success?', async ({ page }) => {
  await openEdge(page, /^payments to api\.bank\.example/)
  await expect(panel(page).getByRole('heading', { name: 'Attempts' })).toBeVisible(patient)
  await expect(panel(page)).toContainText(/retries hide \d+ points/)
  const tries = panel(page).getByRole('list', { name: 'Tries by number' }).getByRole('listitem')
  await expect(tries).toHaveText([/^first.*failed$/, /^second.*failed$/, /^third.*failed$/], patient)
})

test('9: does traffic split as configured?', async ({ page }) => {
  await openEdge(page, /^web to catalog v1/)
  await expect(panel(page)).toContainText(/Configured 9\d(\.\d)?\s%, gets/, patient)
})

test('10: who opens a connection for each request?', async ({ page }) => {
  await openEdge(page, /^web to tickets/)
  await panel(page).getByRole('tab', { name: 'Connections' }).click()
  await expect(panel(page).getByRole('row', { name: /Requests per connection/ })).toBeVisible()
})

test('12: who is not in the mesh?', async ({ page }) => {
  await page.goto('/')
  await expect(page.getByRole('heading', { name: /^\d+ policies do not hold/ })).toBeVisible(patient)
  await expect(page.getByText(/unknown, which calls catalog/).first()).toBeVisible()
  await page.goto('/graph')
  await expect(mirror(page).getByRole('button', { name: /^unknown/ }).first()).toBeAttached(patient)
})

test('14: what is in the traffic, from its edge', async ({ page }) => {
  await openEdge(page, /^tickets to payments/)
  await panel(page).getByRole('button', { name: 'Watch for 60 s' }).click()
  await expect(panel(page).getByText(/[1-9]\d* matched, 0 not shown/)).toBeVisible(patient)
})

test('15: what does the mesh itself cost?', async ({ page }) => {
  await page.goto('/workloads/booking/tickets')
  await expect(page.getByRole('heading', { name: 'What its sidecars take' })).toBeVisible(patient)
  await expect(page.getByText(/cores, .* a request/).first()).toBeVisible()
})

test('17: what is outside, in the same picture and with a page of its own', async ({ page }) => {
  await page.goto('/services')
  await page.getByRole('link', { name: 'api.bank.example' }).click(patient)
  await expect(page.getByText('outside the mesh').first()).toBeVisible()
  await page.getByRole('link', { name: 'On the graph' }).click()
  await expect(page).toHaveURL(/focus=external/)
  await expect(mirror(page).getByRole('button', { name: /^payments to api\.bank\.example/ })).toBeAttached(patient)
})

test('18: what changed between then and now?', async ({ page }) => {
  await page.goto('/graph')
  await expect(mirror(page).getByRole('button').nth(10)).toBeAttached(patient)
  await page.getByRole('button', { name: 'Compare' }).click()
  const changes = page.getByRole('complementary', { name: 'What changed' })
  await expect(changes.getByRole('heading')).toHaveText(/new|gone|changed|Nothing changed/, patient)
})
