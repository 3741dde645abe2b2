import { createHash } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from '@playwright/test'
import { run } from './product'

/** What somebody is shown who may not see or do something, by the file of docs/access.md. */

const pages = ['/', '/graph', '/nodes', '/config', '/config/revisions', '/config/explain?url=http://payments.booking/&caller=booking/tickets', '/services', '/services/payments.booking.svc.cluster.local', '/workloads', '/workloads/booking/payments', '/dashboards/sidelight-mesh', '/tap', '/traces', '/alerts']

function of(rules: string): () => string {
  let product: Awaited<ReturnType<typeof run>>
  let folder: string
  test.beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'sidelight-rights-'))
    const file = join(folder, 'access.yaml')
    writeFileSync(file, rules)
    product = await run('--access', file)
  })
  test.afterAll(async () => {
    await product.stop()
    rmSync(folder, { recursive: true })
  })
  return () => product.url
}

test.describe('who may see nothing', () => {
  const url = of('rules:\n- {users: [olga], may: [view]}\n')

  test('is told so on every page, and what to do', async ({ page }) => {
    for (const path of pages) {
      await page.goto(`${url()}${path}`)
      const main = page.getByRole('main')
      await expect(main.getByRole('heading', { name: 'You may not see this' }).first(), path).toBeVisible()
      await expect(main, path).toContainText('View is not permitted for 127.0.0.1')
      await expect(main, path).toContainText('Ask those who run this server for a rule in its --access file.')
    }
  })
})

test.describe('who may look, but neither tap nor change', () => {
  const url = of('rules:\n- {users: [anonymous], may: [view]}\n')

  test('has the pages, and is told what the tap lacks', async ({ page }) => {
    for (const path of ['/graph', '/nodes', '/config/revisions']) {
      await page.goto(`${url()}${path}`)
      await expect(page.getByRole('main')).not.toBeEmpty()
      await expect(page.getByText('You may not see this')).toHaveCount(0)
    }
    await page.goto(`${url()}/tap`)
    await expect(page.getByRole('heading', { name: 'You may not see this' })).toBeVisible()
    await expect(page.getByRole('main')).toContainText('Tap is not permitted for 127.0.0.1')
  })
})

test.describe('who has a token', () => {
  const token = `slt_${'7'.repeat(64)}`
  const url = of(`tokens:\n- {name: ann, sha256: ${createHash('sha256').update(token).digest('hex')}}\nrules:\n- {users: [ann], may: [view]}\n`)

  test('signs in by it once, and out again', async ({ page }) => {
    await page.goto(`${url()}/services`)
    const dialog = page.getByRole('dialog', { name: 'Sign in' })
    await dialog.getByLabel('Token').fill('slt_0')
    await dialog.getByRole('button', { name: 'Sign in' }).click()
    await expect(dialog.getByRole('alert')).toHaveText('The server does not know this token.')
    await page.keyboard.press('Escape')
    await expect(page.getByRole('main').getByRole('heading', { name: 'You are not signed in' })).toBeVisible()
    await page.getByRole('main').getByRole('button', { name: 'Sign in' }).click()
    await dialog.getByLabel('Token').fill(token)
    await page.keyboard.press('Enter')
    await expect(dialog).toBeHidden()
    await expect(page.getByText('You are not signed in')).toHaveCount(0)
    await page.goto(`${url()}/graph`) // the live socket, too
    await expect(page.getByText('You are not signed in')).toHaveCount(0)
    expect(await page.evaluate(() => document.cookie)).toBe('')

    await page.keyboard.press('ControlOrMeta+k')
    await page.getByPlaceholder('A workload, an action, a page').fill('Sign out')
    await page.keyboard.press('Enter')
    await expect(dialog).toBeVisible()
  })
})
