import { type ChildProcess, spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { expect, type Page, test } from '@playwright/test'

const mirror = (page: Page) => page.getByRole('toolbar', { name: /Services and edges/ })
const panel = (page: Page) => page.getByRole('complementary')

/** The graph over the generated mesh of dev/mock.mjs, whose every figure is known. */

test.beforeEach(({ page }) => {
  page.on('pageerror', (error) => expect(error.message).toBe(''))
})

test('everything drawn is told, and the arrows walk along edges', async ({ page }) => {
  await page.goto('/graph')
  await expect(mirror(page).getByRole('button')).toHaveCount(28)
  await expect(page.getByText('13 workloads, 15 edges drawn, 0 hidden')).toBeVisible()
  await mirror(page).getByRole('button', { name: /^tickets in booking/ }).focus()
  await page.keyboard.press('ArrowRight')
  await expect(mirror(page).locator(':focus')).toContainText(/^tickets to /)
  await page.keyboard.press('ArrowRight')
  await page.keyboard.press('Enter')
  await expect(panel(page)).toBeVisible()
  await expect(page).toHaveURL(/sel=workload:booking/)
  await page.keyboard.press('Escape')
  await expect(panel(page)).toHaveCount(0)
})

test('the panel says who answered, and leads on', async ({ page }) => {
  await page.goto('/graph')
  await mirror(page).getByRole('button', { name: /^tickets to payments/ }).press('Enter')
  await expect(panel(page)).toContainText(/answered 75\s%\sof them/)
  await expect(panel(page)).toContainText('DestinationRule booking/payments')
  await panel(page).getByRole('link', { name: 'Tap this edge' }).click()
  await expect(page).toHaveURL(/\/tap\?q=from\+=\+booking\/tickets\+and\+to\+=\+booking\/payments/)
})

test('a press on the canvas selects what is drawn there', async ({ page }) => {
  await page.goto('/graph')
  // The words lie over the canvas and take no presses: what is under them does.
  const box = await page.getByText('payments', { exact: true }).first().boundingBox()
  await page.mouse.click((box?.x ?? 0) + 10, (box?.y ?? 0) + 8)
  await expect(panel(page)).toHaveAccessibleName(/^payments/)
})

test('a drag pins, and the place survives a reload', async ({ page }) => {
  await page.goto('/graph')
  const name = page.getByText('seats', { exact: true }).first()
  await expect(name).toBeVisible()
  const before = await name.boundingBox()
  await page.mouse.move((before?.x ?? 0) + 20, (before?.y ?? 0) + 8)
  await page.mouse.down()
  await page.mouse.move((before?.x ?? 0) + 60, (before?.y ?? 0) - 60, { steps: 5 })
  await page.mouse.up()
  const stored = () => page.evaluate(() => localStorage.getItem('sidelight.graph.workload') ?? '')
  await expect.poll(stored).toMatch(/booking\/seats":\[[-\d.]+,[-\d.]+,1,/)
  const at = /booking\/seats":\[([-\d.]+),([-\d.]+)/
  const place = at.exec(await stored())?.slice(1)
  await page.reload()
  await expect(name).toBeVisible()
  await page.waitForTimeout(800)
  expect(at.exec(await stored())?.slice(1)).toEqual(place)
})

test('the table tells the same edges', async ({ page }) => {
  await page.goto('/graph')
  await expect(mirror(page)).toBeAttached()
  await page.keyboard.press('t')
  await expect(page.getByRole('row')).toHaveCount(16)
  await expect(page.getByRole('row').nth(1)).toContainText('failing')
  await expect(page).toHaveURL(/view=table/)
})

test('find colours, judges and counts', async ({ page }) => {
  await page.goto('/graph')
  await expect(mirror(page)).toBeAttached()
  await page.keyboard.press('/')
  const find = page.getByRole('combobox', { name: 'Find' })
  await expect(find).toBeFocused()
  await find.fill('erors > 1 %')
  await expect(page.getByText('did you mean errors?')).toBeVisible()
  await expect(page).not.toHaveURL(/q=/)
  await find.fill('errors > 1 %')
  await expect(page).toHaveURL(/q=errors\+%3E\+1\+%25/)
  await expect(page.getByText('1 edge, 1 node')).toBeVisible()
})

test('time stands still when asked, and L goes back to live', async ({ page }) => {
  await page.goto('/graph')
  await page.getByRole('button', { name: 'Live' }).click()
  await expect(page).toHaveURL(/at=20/)
  await expect(page.getByText(/The graph as it was at/)).toBeVisible()
  await page.keyboard.press('l')
  await expect(page).not.toHaveURL(/at=/)
})

test('a small screen has no sideways scroll, and the pages at its foot', async ({ page }) => {
  await page.setViewportSize({ width: 390, height: 844 })
  for (const path of ['/graph', '/nodes', '/tap', '/traces']) {
    await page.goto(path)
    await expect(page.getByRole('navigation', { name: 'Pages' })).toBeInViewport()
    expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(390)
  }
})

test('a view deep in the address works from its first load', async ({ page }) => {
  await page.goto('/nodes/tickets-0.booking')
  await expect(page.getByRole('link', { name: 'Nodes', exact: true })).toHaveAttribute('aria-current', 'page')
  await page.getByRole('link', { name: 'Graph', exact: true }).click()
  await expect(page).toHaveURL(/\/graph$/)
  await expect(mirror(page).getByRole('button')).toHaveCount(28)
})

test('a server that goes away leaves the picture, with its age; and comes back', async ({ page }) => {
  let server: ChildProcess = start()
  await expect(async () => expect((await fetch('http://127.0.0.1:8496/api/v1/status')).ok).toBe(true)).toPass()
  await page.goto('http://127.0.0.1:8496/graph')
  await expect(mirror(page).getByRole('button')).toHaveCount(28)
  server.kill()
  await expect(page.getByText(/reconnecting, data \d+\s+s old/)).toBeVisible()
  await expect(mirror(page).getByRole('button')).toHaveCount(28)
  server = start()
  await expect(async () => {
    await page.getByRole('button', { name: 'now', exact: true }).click({ timeout: 500 })
    await expect(page.getByText(/^connected/)).toBeVisible({ timeout: 500 })
  }).toPass()
  await expect(page.getByText(/reconnecting/)).toHaveCount(0)
  server.kill()
})

function start(): ChildProcess {
  return spawn('node', ['dev/mock.mjs'], { cwd: fileURLToPath(new URL('..', import.meta.url)), env: { ...process.env, PORT: '8496', DIST: '1' } })
}
