import { expect, type Page, test } from '@playwright/test'
import { type StandIn, standIn } from './grafana'
import { run } from './product'

/** The product with a Grafana that behaves as its documentation says. */

test.describe.configure({ mode: 'serial' })

let grafana: StandIn
let sidelight: Awaited<ReturnType<typeof run>>
let base: string

test.beforeAll(async () => {
  grafana = await standIn()
  sidelight = await run('--jaeger-ui-url', 'http://jaeger.example', '--perses-url', 'http://perses.example', '--grafana-url', grafana.url, '--grafana-user', 'viewer')
  base = sidelight.url
})

test.afterAll(async () => {
  await sidelight.stop()
  await grafana.close()
})

const frames = (page: Page) => page.locator('iframe')
const first = (page: Page) => page.frameLocator('iframe').first()

test('frames follow time, variables and theme, six at once', async ({ page }) => {
  await page.goto(`${base}/dashboards/sidelight-server?window=30m`)
  await expect(frames(page)).toHaveCount(6)
  await expect(page.getByText(/drawn by Grafana 12\.2\.0/)).toBeVisible()
  await expect(first(page).locator('#told')).toContainText('panelId=')
  await expect(first(page).locator('#told')).toContainText('from=now-1800s to=now refresh=15s theme=dark')
  await page.getByRole('button', { name: 'Light theme' }).click()
  await expect(first(page).locator('#told')).toContainText('theme=light')
  // A moment of the past, and what is chosen of the variables.
  await page.goto(`${base}/dashboards/sidelight-service?window=5m&at=2026-01-02T03:04:05Z&ns=booking&service=tickets,payments`)
  await expect(first(page).locator('#told')).toContainText('from=1767322745000 to=1767323045000')
  await expect(first(page).locator('#told')).toContainText('var-namespace=booking var-service=tickets var-service=payments')
  // Those without a place are drawn by us.
  await expect(frames(page)).toHaveCount(6)
  await page.getByRole('group', { name: 'Drawn by' }).getByRole('button', { name: 'Sidelight' }).click()
  await expect(frames(page)).toHaveCount(0)
})

test('who the visitor is, cookies and the live socket', async ({ page, context }) => {
  await page.goto(`${base}/dashboards/sidelight-server`)
  await expect(first(page).locator('#live')).toHaveText('echo hello')
  await expect(first(page).locator('#query')).toHaveText('session ofviewer')
  const session = (await context.cookies()).find((c) => c.name === 'grafana_session')
  expect(session).toMatchObject({ path: '/grafana/', httpOnly: true, sameSite: 'Lax', value: 'ofviewer' })
  // What a client claims is not passed on.
  await page.request.get(`${base}/grafana/d/x`, { headers: { 'X-WEBAUTH-USER': 'admin', 'X-WEBAUTH-ROLE': 'Admin', Authorization: 'Bearer x' } })
  const { headers } = grafana.seen.at(-1)!
  expect(headers['x-webauth-user']).toBe('viewer')
  expect(headers['x-webauth-role']).toBe('Viewer')
  expect(headers.authorization).toBeUndefined()
  expect(grafana.seen.every((r) => r.path.startsWith('/grafana/'))).toBe(true)
  await expect(page.getByRole('link', { name: 'Jaeger' })).toHaveAttribute('href', /^http:\/\/jaeger\.example\/search\?/)
  await expect(page.getByRole('link', { name: 'Perses' })).toHaveAttribute('href', /^http:\/\/perses\.example\/projects\/sidelight\/dashboards\/sidelight-server\?/)
  const link = page.getByRole('link', { name: 'Open in Grafana' })
  await expect(link).toHaveAttribute('href', /\/grafana\/d\/sidelight-server\/_\?.*theme=/)
})

for (const c of [
  { name: 'refuses frames', set: { allowEmbedding: false }, title: 'Grafana refuses to be shown inside of a page', setting: 'allow_embedding = true' },
  { name: 'wants a login', set: { authProxy: false }, title: 'Grafana wants a login', setting: 'header_name = X-WEBAUTH-USER' },
  { name: 'lacks the dashboards', set: { provisioned: false }, title: 'Grafana lacks these dashboards', setting: '' },
  { name: 'is slow', set: { delayMs: 60_000 }, title: 'Grafana is too slow to wait for', setting: '' },
]) {
  test(`a Grafana that ${c.name} does not break the page`, async ({ page, context }) => {
    await context.clearCookies()
    grafana.set(c.set)
    await page.goto(`${base}/dashboards/sidelight-server?window=5m`)
    const card = page.getByRole('region', { name: 'Grafana' })
    await expect(card).toContainText(c.title, { timeout: 40_000 })
    if (c.setting) await expect(card).toContainText(c.setting)
    await expect(frames(page)).toHaveCount(0)
    // Our own drawing stands meanwhile, with data of this very process.
    await expect(page.getByRole('region', { name: 'API requests by route', exact: true }).locator('canvas')).toBeVisible()
    grafana.set({ allowEmbedding: true, authProxy: true, provisioned: true, delayMs: 0 })
    await expect(frames(page)).toHaveCount(6, { timeout: 40_000 })
  })
}

test('a Grafana that is gone does not break the page', async ({ page }) => {
  await grafana.close()
  await page.goto(`${base}/dashboards/sidelight-server?window=5m`)
  await expect(page.getByRole('region', { name: 'Grafana' })).toContainText('Grafana does not answer', { timeout: 40_000 })
  await expect(frames(page)).toHaveCount(0)
  await expect(page.getByRole('region', { name: 'API requests by route', exact: true }).locator('canvas')).toBeVisible()
})
