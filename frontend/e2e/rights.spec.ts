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
