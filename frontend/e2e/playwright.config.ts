import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { defineConfig } from '@playwright/test'
import { launchOptions } from './chromium'

/**
 * Two meshes, each a project: `mock` is dev/mock.mjs, whose figures are known
 * and which can be killed; `mesh` is the product itself, `sidelight demo` with
 * real processes and sidecars. A mesh that already runs is taken as it is:
 * SIDELIGHT_URL=http://127.0.0.1:8430, then only `mesh` makes sense.
 */
const bin = process.env.SIDELIGHT_BIN ?? fileURLToPath(new URL('../../bin', import.meta.url))
const running = process.env.SIDELIGHT_URL

// Only the main process sees the command line, and only it starts servers.
const only = process.argv.flatMap((a, i) => (a.startsWith('--project=') ? a.slice(10) : a === '--project' ? (process.argv[i + 1] ?? '') : []))
const wanted = (project: string) => only.length === 0 || only.includes(project)
const isWorker = process.env.TEST_WORKER_INDEX !== undefined
const startsMesh = !isWorker && running === undefined && wanted('mesh')
if (startsMesh && !existsSync(`${bin}/sidelight`)) throw new Error(`${bin}/sidelight is missing: run \`make build\`, or name its folder in SIDELIGHT_BIN`)

export default defineConfig({
  testDir: '.',
  outputDir: '../../test-results',
  fullyParallel: false,
  // Files side by side, also on two cores: most of a test's time it waits, for a mesh to show something.
  workers: 3,
  // Machines of a CI are slow; what is asserted is that it comes, not how fast.
  timeout: 90_000,
  expect: { timeout: 20_000 },
  // Once more, for a machine that stood still; the list calls such a test flaky by name.
  retries: 1,
  reporter: 'list',
  use: {
    viewport: { width: 1440, height: 900 },
    colorScheme: 'dark',
    // What every step looked like costs as much as the steps: only where one failed.
    trace: 'on-first-retry',
    // Moving dots would only cost time here.
    contextOptions: { reducedMotion: 'reduce' },
    launchOptions,
  },
  // The longest first: files are taken in this order.
  projects: [
    // Start the product by themselves, without a demo: beside a stand-in for Grafana, for users who may not do everything, with a sidecar of their own.
    { name: 'alone', testMatch: ['grafana.spec.ts', 'rights.spec.ts', 'newedge.spec.ts', 'certificate.spec.ts'] },
    // Stories of the demo besides the one that all others share.
    { name: 'stories', testMatch: 'stories.spec.ts' },
    // The address is known once the demo has said it: see SIDELIGHT_DEMO_URL below.
    { name: 'mesh', testMatch: ['journeys.spec.ts', 'questions.spec.ts', 'walk.spec.ts', 'panels.spec.ts', 'keyboard.spec.ts', 'access.spec.ts'], use: { baseURL: running ?? process.env.SIDELIGHT_DEMO_URL } },
    { name: 'mock', testMatch: ['graph.spec.ts', 'resilience.spec.ts'], use: { baseURL: 'http://127.0.0.1:8497' } },
  ],
  webServer: [
    ...(wanted('mock') ? [{ command: 'node dev/mock.mjs', cwd: '..', url: 'http://127.0.0.1:8497/api/v1/status', env: { PORT: '8497', DIST: '1' } }] : []),
    ...(startsMesh
      ? [
          {
            name: 'demo',
            // Without --port it takes a free one.
            command: `"${bin}/sidelight" demo --no-browser --scenario skew`,
            wait: { stdout: /Open {2}(?<sidelight_demo_url>http:\/\/\S+)/ },
            timeout: 60_000,
            gracefulShutdown: { signal: 'SIGINT' as const, timeout: 10_000 },
          },
        ]
      : []),
  ],
})
