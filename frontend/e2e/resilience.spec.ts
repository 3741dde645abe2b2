import { type ChildProcess, spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { expect, type Page, test } from '@playwright/test'

/** What must not break, and must not be believed: over meshes of dev/mock.mjs of their own. */

const cwd = fileURLToPath(new URL('..', import.meta.url))
const running: ChildProcess[] = []
test.afterEach(() => {
  for (const child of running.splice(0)) child.kill()
})

async function mock(story: string, port: number): Promise<string> {
  running.push(spawn(process.execPath, ['dev/mock.mjs'], { cwd, env: { ...process.env, PORT: String(port), DIST: '1', MOCK: story }, stdio: 'ignore' }))
  const url = `http://127.0.0.1:${port}`
  await expect.poll(() => fetch(`${url}/api/v1/status`).then((r) => r.ok, () => false)).toBe(true)
  return url
}

const patient = { timeout: 60_000 }
const mirror = (page: Page) => page.getByRole('toolbar', { name: /Services and edges/ })
const section = (page: Page) => page.getByRole('region', { name: 'Service graph' })

test('names are text: nothing runs, nothing overflows, nothing fails', async ({ page }) => {
  const url = await mock('hostile', 8498)
  const errors: string[] = []
  page.on('pageerror', (e) => errors.push(e.message))
  page.on('dialog', (d) => errors.push(`dialog ${d.message()}`))
  for (const path of ['/', '/graph', '/graph?view=table', '/graph?level=namespace', '/nodes', '/workloads', '/traces']) {
    await page.goto(`${url}${path}`)
    await expect(page.getByRole('main')).not.toBeEmpty()
    await expect(page.getByRole('status', { name: /^Loading/ })).toHaveCount(0)
    expect([path, await page.evaluate(() => document.documentElement.scrollWidth - innerWidth)]).toEqual([path, 0])
    expect([path, await page.evaluate(() => document.title.length < 60)]).toEqual([path, true])
  }
  await page.goto(`${url}/graph`)
  // Every element opens, from the mirror, with its panel.
  await expect(mirror(page).getByRole('button')).toHaveCount(28)
  for (let i = 0; i < 28; i += 3) {
    await mirror(page).getByRole('button').nth(i).press('Enter')
    await expect(page.getByRole('complementary')).toBeVisible()
  }
  expect(await page.evaluate(() => (window as unknown as { harmed?: number }).harmed)).toBeUndefined()
  expect(errors).toEqual([])
})

test('one workload and no call is a graph, too', async ({ page }) => {
  const url = await mock('one', 8499)
  await page.goto(`${url}/graph`)
  await expect(mirror(page).getByRole('button')).toHaveCount(1)
  await expect(page.getByText('1 workload, 0 edges drawn, 0 hidden')).toBeVisible()
  await page.keyboard.press('t')
  await expect(page.getByText(/1 workload without edges/)).toBeVisible()
})

test('ten thousand workloads fold, and lists draw what is in view', async ({ page }) => {
  const url = await mock('huge', 8501)
  await page.goto(`${url}/graph`)
  await expect(page.getByText(/10[\s\u202f]\d{3} workloads folded/).first()).toBeVisible(patient)
  expect(await mirror(page).getByRole('button').count()).toBeLessThan(700)
  await page.goto(`${url}/nodes`)
  const nodes = page.getByRole('treegrid', { name: 'Nodes' })
  await expect(page.getByRole('main')).toContainText(/10[\s\u202f]0\d\d/, patient)
  expect(await nodes.getByRole('row').count()).toBeLessThan(120)
  await nodes.focus()
  await page.keyboard.press('End')
  await expect(nodes.locator('[aria-selected=true]')).toBeInViewport()
})

test('a canvas whose context is taken away draws again, with or without WebGL', async ({ page }) => {
  const url = await mock('quiet', 8500)
  await page.goto(`${url}/graph`)
  await expect(section(page)).toHaveAttribute('data-renderer', 'webgl2')
  // The extension outlives the context, and is what gives it back.
  const lose = () =>
    page.evaluate(() => {
      const gl = document.querySelector<HTMLCanvasElement>('section[data-renderer] > canvas')?.getContext('webgl2')
      const extension = gl?.getExtension('WEBGL_lose_context')
      Object.assign(window, { extension })
      extension?.loseContext()
      return extension !== null && extension !== undefined
    })
  expect(await lose()).toBe(true)
  await page.evaluate(() => (window as unknown as { extension: WEBGL_lose_context }).extension.restoreContext())
  await expect.poll(() => drawn(page)).toBeGreaterThan(500)
  await expect(section(page)).toHaveAttribute('data-renderer', 'webgl2')
  // And when nobody gives it back, the plain canvas takes over.
  expect(await lose()).toBe(true)
  await expect(section(page)).toHaveAttribute('data-renderer', 'canvas2d')
  await expect.poll(() => drawn(page)).toBeGreaterThan(500)
})

/** How many pixels of the canvas are not its ground; the words over it are left out. */
async function drawn(page: Page): Promise<number> {
  await page.addStyleTag({ content: 'section[data-renderer] > :not(canvas) { visibility: hidden; } section[data-renderer] { background: #000 !important; }' }).catch(() => undefined)
  const png = (await section(page).screenshot()).toString('base64')
  return page.evaluate(async (data) => {
    const image = new Image()
    image.src = `data:image/png;base64,${data}`
    await image.decode()
    const copy = document.createElement('canvas')
    copy.width = image.width
    copy.height = image.height
    const context = copy.getContext('2d')
    context?.drawImage(image, 0, 0)
    const pixels = context?.getImageData(0, 0, copy.width, copy.height).data ?? []
    let ink = 0
    for (let i = 0; i < pixels.length; i += 4) if (pixels[i]! + pixels[i + 1]! + pixels[i + 2]! > 60) ink++
    return ink
  }, png)
}
