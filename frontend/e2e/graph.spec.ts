import { type ChildProcess, spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { expect, type Page, test } from '@playwright/test'

const mirror = (page: Page) => page.getByRole('toolbar', { name: /Services and edges/ })
const panel = (page: Page) => page.getByRole('complementary')
/** What a screen reader is told. */
const says = (page: Page) => page.locator('[role=status][aria-live=polite]')

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
  await expect(mirror(page).locator(':focus')).toHaveAccessibleName(/^tickets to /)
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
  await expect(page.getByText('did you mean "errors"?')).toBeVisible()
  await expect(page).not.toHaveURL(/q=/)
  await find.fill('errors > 1 %')
  await expect(page).toHaveURL(/q=errors\+%3E\+1\+%25/)
  await expect(page.getByText('1 edge, 1 node').first()).toBeVisible()
  await expect(says(page)).toHaveText('1 edge, 1 node')
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

test('a server that goes away leaves the picture, with its age; and comes back', async ({ page, context }) => {
  let server: ChildProcess = start()
  await expect(async () => expect((await fetch('http://127.0.0.1:8496/api/v1/status')).ok).toBe(true)).toPass()
  await page.goto('http://127.0.0.1:8496/graph')
  await expect(mirror(page).getByRole('button')).toHaveCount(28)
  // Pages that ask again and again say the same as those that are told.
  const config = await context.newPage()
  await config.goto('http://127.0.0.1:8496/config/revisions')
  await expect(config.getByText('No revision yet')).toBeVisible()
  await page.bringToFront()
  server.kill()
  await expect(page.getByText(/reconnecting, data \d+\s+s old/)).toBeVisible()
  await expect(says(page)).toHaveText('Connection lost. What is shown is the last that was known.')
  await config.bringToFront()
  await expect(config.getByText(/data \d+\s+s old/)).toBeVisible()
  await expect(config.getByText('No revision yet')).toBeVisible()
  await config.close()
  await expect(mirror(page).getByRole('button')).toHaveCount(28)
  server = start()
  await expect(async () => {
    await page.getByRole('button', { name: 'now', exact: true }).click({ timeout: 500 })
    await expect(page.getByText(/^connected/)).toBeVisible({ timeout: 500 })
  }).toPass()
  await expect(page.getByText(/reconnecting/)).toHaveCount(0)
  await expect(says(page)).toHaveText('Connected again.')
  server.kill()
})

function start(): ChildProcess {
  return spawn('node', ['dev/mock.mjs'], { cwd: fileURLToPath(new URL('..', import.meta.url)), env: { ...process.env, PORT: '8496', DIST: '1' } })
}

test('a namespace folds into one card and opens in place; nobody else moves', async ({ page }) => {
  await page.goto('/graph')
  await mirror(page).getByRole('button', { name: /^payments in booking/ }).focus()
  const places = () => page.evaluate(() => JSON.parse(localStorage.getItem('sidelight.graph.workload') ?? '{}') as Record<string, number[]>)
  await expect.poll(async () => Object.keys(await places()).length).toBeGreaterThan(10)
  const before = await places()
  await mirror(page).getByRole('button', { name: /^catalog v1 in catalog/ }).focus()
  await page.keyboard.press('z')
  await expect(page.getByText('5 workloads folded', { exact: false }).first()).toBeVisible()
  await expect(page).toHaveURL(/fold=catalog/)
  await page.getByTitle('Expand catalog').click()
  await expect(mirror(page).getByRole('button', { name: /^catalog v1 in catalog/ })).toBeAttached()
  const after = await places()
  for (const [id, [x, y]] of Object.entries(before)) expect([id, ...(after[id] ?? []).slice(0, 2)]).toEqual([id, x, y])
})

test('a focus draws what is near, and says what is left out', async ({ page }) => {
  await page.goto('/graph?focus=workload:booking/payments')
  await expect(page.getByText('3 workloads, 2 edges drawn, 0 hidden, 10 out of focus')).toBeVisible()
  await page.getByRole('button', { name: '2', exact: true }).click()
  await expect(page).toHaveURL(/hops=2/)
  await page.getByRole('button', { name: 'Leave the focus' }).click()
  await expect(page.getByText('13 workloads, 15 edges drawn, 0 hidden')).toBeVisible()
})

test('the graph is exported as picture and as data', async ({ page }) => {
  await page.goto('/graph')
  await expect(mirror(page).getByRole('button')).toHaveCount(28)
  for (const [item, ending, has] of [
    ['Picture, SVG', '.svg', '<svg '],
    ['Picture, PNG', '.png', 'PNG'],
    ['Data, JSON', '.json', '"nodes"'],
    ['Graphviz, DOT', '.dot', 'digraph'],
  ] as const) {
    await page.getByRole('button', { name: 'Export' }).click()
    const [file] = await Promise.all([page.waitForEvent('download'), page.getByRole('menuitem', { name: item }).click()])
    expect(file.suggestedFilename().endsWith(ending)).toBe(true)
    const stream = await file.createReadStream()
    let text = ''
    for await (const chunk of stream) text += String(chunk)
    expect(text).toContain(has)
  }
})

test('two times are compared: what is new, gone and changed', async ({ page }) => {
  await page.goto(`/graph?vs=${new Date(Date.now() - 40 * 60_000).toISOString()}`)
  const changes = page.getByRole('complementary', { name: 'What changed' })
  await expect(changes.getByRole('heading')).toHaveText('4 new, 7 changed')
  await changes.getByRole('button', { name: 'new catalog-v2 new', exact: true }).click()
  await expect(panel(page)).toHaveAccessibleName(/^catalog v2/)
  await page.keyboard.press('Escape')
  await changes.getByRole('button', { name: 'End the comparison' }).click()
  await expect(page).not.toHaveURL(/vs=/)
})

test('a pause steps by the arrows, and plays up to now', async ({ page }) => {
  await page.goto(`/graph?at=${new Date(Date.now() - 30_000).toISOString()}`)
  const clock = page.getByRole('region', { name: 'Time' }).getByRole('time')
  await expect(page.getByText('Paused')).toBeVisible()
  await expect(page.getByRole('group', { name: 'Step' })).toBeVisible()
  const before = await clock.textContent()
  await page.keyboard.press('ArrowLeft')
  await expect(clock).not.toHaveText(before ?? '')
  await page.keyboard.press('ArrowRight')
  await expect(clock).toHaveText(before ?? '')
  await page.getByRole('button', { name: 'Play from here' }).click()
  await expect(page.getByRole('button', { name: 'Live', exact: true })).toBeVisible()
})
