import { existsSync } from 'node:fs'
import { defineConfig } from '@playwright/test'

/**
 * Journeys in a real browser over the built interface. The mesh behind it is
 * dev/mock.mjs, or a real one: SIDELIGHT_URL=http://127.0.0.1:8430.
 */
const chromium = process.env.CHROMIUM ?? (existsSync('/usr/bin/chromium') ? '/usr/bin/chromium' : undefined)

export default defineConfig({
  testDir: '.',
  outputDir: '../../test-results',
  fullyParallel: false,
  workers: 1,
  timeout: 20_000,
  reporter: 'line',
  use: {
    baseURL: process.env.SIDELIGHT_URL ?? 'http://127.0.0.1:8497',
    viewport: { width: 1440, height: 900 },
    colorScheme: 'dark',
    // Moving dots would only cost time here.
    contextOptions: { reducedMotion: 'reduce' },
    launchOptions: {
      executablePath: chromium,
      args: ['--no-sandbox', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
    },
  },
  webServer: process.env.SIDELIGHT_URL
    ? undefined
    : { command: 'node dev/mock.mjs', cwd: '..', url: 'http://127.0.0.1:8497/api/v1/status', env: { PORT: '8497', DIST: '1' } },
})
