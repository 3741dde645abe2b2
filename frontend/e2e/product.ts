import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect } from '@playwright/test'

/** The folder of the two programs. */
export const bin = process.env.SIDELIGHT_BIN ?? fileURLToPath(new URL('../../bin', import.meta.url))

/** The product by itself, without a mesh, on ports and folders of its own. */
export async function run(...flags: string[]): Promise<{ url: string; stop: () => Promise<void> }> {
  const folder = mkdtempSync(join(tmpdir(), 'sidelight-e2e-'))
  const [api, admin, grpc, otlp, otlpHTTP] = await freePorts(5)
  const url = `http://127.0.0.1:${api}`
  const child = spawn(
    join(bin, 'sidelight'),
    ['run', '--api', `127.0.0.1:${api}`, '--admin', `127.0.0.1:${admin}`, '--grpc', `127.0.0.1:${grpc}`, '--otlp-grpc', `127.0.0.1:${otlp}`,
      '--otlp-http', `127.0.0.1:${otlpHTTP}`, '--config-dir', join(folder, 'config'), '--data-dir', join(folder, 'data'),
      '--grpc-tls', '127.0.0.1:0', '--scrape-interval', '1s', ...flags],
    { stdio: 'inherit' },
  )
  const ended = new Promise((done) => child.once('exit', done))
  // Also one who may not see it is answered.
  await expect.poll(() => fetch(`${url}/api/v1/status`).then((r) => r.status, () => 0)).toBeGreaterThan(0)
  return {
    url,
    stop: async () => {
      child.kill('SIGINT')
      await ended
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

export async function freePorts(n: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from({ length: n }, () => new Promise<ReturnType<typeof createServer>>((done) => {
      const s = createServer().listen(0, '127.0.0.1', () => done(s))
    })),
  )
  const ports = servers.map((s) => (s.address() as { port: number }).port)
  await Promise.all(servers.map((s) => new Promise((done) => s.close(done))))
  return ports
}
