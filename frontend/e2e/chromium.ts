import { existsSync } from 'node:fs'

/** The machine's own Chromium where there is one; else the one that Playwright installed. */
const own = process.env.CHROMIUM ?? (existsSync('/usr/bin/chromium') ? '/usr/bin/chromium' : undefined)

export const launchOptions = {
  executablePath: own,
  args: ['--no-sandbox', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
}
