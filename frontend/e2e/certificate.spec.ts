import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from '@playwright/test'
import { bin, freePorts, run } from './product'

/** Passes connections on to a server; when it is shut, those that are open stay so. */
function door(port: number, to: number) {
  const server = createServer((inward) => {
    const outward = connect(to, '127.0.0.1')
    inward.pipe(outward).pipe(inward)
    inward.on('error', () => outward.destroy())
    outward.on('error', () => inward.destroy())
  })
  return {
    open: async () => {
      server.listen(port, '127.0.0.1')
      await once(server, 'listening')
    },
    shut: () => server.close(),
  }
}

test('a certificate that could not be renewed: whose, what to do, and when it is over', async ({ page }) => {
  test.setTimeout(180_000)
  const folder = mkdtempSync(join(tmpdir(), 'sidelight-e2e-'))
  const [front = 0, tls = 0, inbound = 0, metrics = 0] = await freePorts(4)
  const product = await run('--grpc-tls', `127.0.0.1:${tls}`, '--cert-lifetime', '20s')
  const token = join(folder, 'token')
  const mayJoin = () =>
    writeFileSync(token, execFileSync(join(bin, 'sidelight'), ['token', 'create', '-n', 'shop', '--service-account', 'posters', '--address', product.url]))
  mayJoin()
  const way = door(front, tls)
  await way.open()
  const sidecar = spawn(
    join(bin, 'sidelight-proxy'),
    ['--node-id', 'posters-1.shop', '--workload', 'posters', '--namespace', 'shop', '--service-account', 'posters',
      '--server', `tls://127.0.0.1:${front}`, '--join-token-file', token, '--collector', 'off', '--admin', 'off', '--health', 'off',
      '--outbound', 'off', '--inbound', `127.0.0.1:${inbound}=127.0.0.1:1/http`, '--metrics', `127.0.0.1:${metrics}`, '--state-dir', join(folder, 'state')],
    { stdio: 'inherit' },
  )
  const ended = once(sidecar, 'exit')
  try {
    const node = () => fetch(`${product.url}/api/v1/nodes/posters-1.shop`).then((r) => r.json() as Promise<{ state?: string }>)
    await expect.poll(async () => (await node()).state, { timeout: 30_000 }).toBe('synced')
    way.shut() // the next certificate needs a connection of its own

    await page.goto(`${product.url}/alerts`)
    const active = page.getByRole('region', { name: 'Active' })
    const alert = active.getByRole('listitem').filter({ hasText: 'The certificate of posters-1.shop ended' })
    await alert.getByRole('button').click({ timeout: 60_000 })
    await expect(alert).toContainText('critical')
    await expect(alert).toContainText('it cannot reconnect to the server over TLS. The last try failed: server_unreachable.')
    await expect(alert).toContainText('docs/identity.md#when-a-certificate-does-not-come')
    await expect(alert.getByRole('link', { name: 'posters-1.shop' })).toHaveAttribute('href', '/nodes/posters-1.shop')

    mayJoin()
    await way.open()
    await expect(page.getByRole('region', { name: 'Over' })).toContainText('The certificate of posters-1.shop ended', { timeout: 60_000 })
    await expect(alert).toHaveCount(0)
  } finally {
    sidecar.kill('SIGINT')
    await ended
    way.shut()
    await product.stop()
    rmSync(folder, { recursive: true, force: true })
  }
})
