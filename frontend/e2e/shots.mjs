// Takes the pictures of docs/img from the real demo: each page in both themes on
// a screen, a tablet and a phone, and each dashboard (docs/pictures.md). `npm run
// shots`, after `make build`, and names of pages for some only; the folder of the
// binaries may be named in SIDELIGHT_BIN, a demo that already runs in
// SIDELIGHT_URL, one theme in THEME, another folder for the pictures in OUT.
import { spawn } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { chromium } from '@playwright/test'

const here = dirname(fileURLToPath(import.meta.url))
const out = resolve(process.env.OUT ?? resolve(here, '../../docs/img'))
const bin = process.env.SIDELIGHT_BIN ?? resolve(here, '../../bin')
const warmupSeconds = Number(process.env.WARMUP ?? 180)
const most = 160 * 1024
/** Words stay sharp at this; a picture is a third of what it is as PNG. */
const quality = 78

const themes = ['dark', 'light']
/** Each with the end of its files' names. */
const sizes = [
  { end: '', width: 1440, height: 900 },
  { end: '-1024', width: 1024, height: 768 },
  { end: '-390', width: 390, height: 844 },
]

/** Each page as a reader should see it first: with what it is for open. */
const pages = {
  overview: async (page) => {
    await page.goto('/')
    await page.getByRole('region', { name: 'Findings' }).getByRole('listitem').nth(2).waitFor()
  },
  graph: async (page) => {
    await page.goto('/graph')
    await edge(page, /^payments to api\.bank\.example/).press('Enter')
    await page.getByRole('complementary').getByRole('heading', { name: 'Traces' }).waitFor()
    // The panel draws latency from what the page itself has seen.
    await page.waitForTimeout(20_000)
  },
  services: async (page) => {
    await page.goto('/services')
    await page.getByRole('link', { name: 'payments' }).waitFor()
  },
  service: async (page) => {
    await page.goto('/services/payments.booking.svc.cluster.local')
    await page.getByRole('heading', { name: 'Endpoints' }).waitFor()
    await page.getByRole('heading', { name: 'Traces' }).waitFor()
  },
  workload: async (page) => {
    await page.goto('/workloads/booking/tickets')
    await page.getByRole('heading', { name: 'Sidecars', exact: true }).waitFor()
  },
  nodes: async (page) => {
    await page.goto('/nodes/tickets-2.booking')
    await page.getByRole('row', { name: /^route outbound/ }).waitFor()
    await page.waitForTimeout(1500)
  },
  config: async (page) => {
    await page.goto('/config/VirtualService/catalog/catalog?line=11')
    await page.getByRole('heading', { name: 'Who has it' }).waitFor()
  },
  revisions: async (page) => {
    // The first change of the story, as long as it is kept: an object that came, and is shown whole.
    await page.goto('/config/revisions?from=1&to=3')
    await page.getByLabel('YAML').first().waitFor({ timeout: 5000 }).catch(() => page.goto('/config/revisions'))
    await page.getByRole('heading', { name: /revision/i }).first().waitFor()
  },
  explain: async (page) => {
    await page.goto('/config/explain?url=http://catalog.catalog/movies&caller=front/web')
    await page.getByRole('list', { name: 'Steps' }).getByText('Endpoints').first().waitFor()
  },
  alerts: async (page) => {
    await page.goto('/alerts')
    await page.getByRole('link', { name: /tickets-2\.booking/ }).first().waitFor()
  },
  workloads: async (page) => {
    await page.goto('/workloads')
    await page.getByRole('link', { name: 'tickets', exact: true }).first().waitFor()
  },
  tap: async (page) => {
    await page.goto('/tap?headers=1&q=from+=+booking/payments+and+(attempts+>+1+or+duration+>+150ms)')
    const rows = page.getByRole('treegrid').getByRole('row')
    await rows.nth(13).waitFor()
    await page.keyboard.press('Space')
    await rows.filter({ hasText: 'URX' }).first().click()
    await page.getByRole('heading', { name: 'CLI' }).waitFor()
    await page.waitForTimeout(3000)
  },
  traces: async (page) => {
    await page.goto('/traces?source=booking/tickets')
    await page.getByRole('list', { name: 'Traces' }).getByRole('link').nth(5).waitFor()
  },
  trace: async (page) => {
    await page.goto('/traces?source=booking/payments&errors=1')
    const failed = page.getByRole('list', { name: 'Traces' }).getByRole('link').filter({ hasText: '10 errors' })
    await failed.first().click()
    await page.getByRole('row', { name: /payments POST transfer/ }).click()
    await page.getByRole('complementary', { name: 'Span' }).waitFor()
  },
}

/** The dashboards, for docs/dashboards.md: in one theme, as far as they go. */
const dashboards = { mesh: 'Requests by service', service: 'Requests by caller', workload: 'Inbound by caller', proxy: 'Memory', 'config-sync': 'Nodes by state', collector: 'Scrape duration', server: 'API requests by route' }

const edge = (page, name) => page.getByRole('toolbar', { name: /Services and edges/ }).getByRole('button', { name })

async function main() {
  const only = process.argv.slice(2)
  const demo = process.env.SIDELIGHT_URL ? { url: process.env.SIDELIGHT_URL, stop: async () => undefined } : await startDemo()
  const browser = await chromium.launch(launch())
  try {
    for (const { end, width, height } of sizes) {
      for (const theme of process.env.THEME ? [process.env.THEME] : themes) {
        for (const [name, open] of Object.entries(pages)) {
          if (only.length > 0 && !only.includes(name)) continue
          await shoot(browser, demo.url, `${name}${end}-${theme}`, theme, { width, height }, open)
        }
      }
    }
    for (const [name, panel] of Object.entries(dashboards)) {
      if (only.length > 0 && !only.includes('dashboards')) continue
      await shoot(browser, demo.url, `dashboard-${name}`, 'dark', { width: 1440, height: 900 }, async (page) => {
        await page.goto(`/dashboards/sidelight-${name}?window=5m${name === 'service' ? '&service=payments' : name === 'workload' ? '&workload=tickets' : ''}`)
        await page.getByRole('region', { name: panel, exact: true }).locator('canvas').waitFor()
        await page.waitForTimeout(3000)
      })
    }
  } finally {
    await browser.close()
    await demo.stop()
  }
}

async function shoot(browser, baseURL, name, colorScheme, viewport, open) {
  const context = await browser.newContext({ baseURL, colorScheme, viewport, deviceScaleFactor: 1, reducedMotion: 'reduce' })
  // Who reads a picture has had the first look.
  await context.addInitScript(() => localStorage.setItem('sidelight.look', 'seen'))
  const page = await context.newPage()
  page.setDefaultTimeout(60_000)
  await open(page)
  // What was pressed to get here is not part of the picture.
  await page.mouse.move(0, 0)
  await page.evaluate(() => document.activeElement instanceof HTMLElement && document.activeElement.blur())
  await page.waitForTimeout(1200)
  const path = join(out, `${name}.webp`)
  const cdp = await context.newCDPSession(page)
  const { data } = await cdp.send('Page.captureScreenshot', { format: 'webp', quality })
  await context.close()
  const picture = Buffer.from(data, 'base64')
  if (picture.length > most) throw new Error(`${path} would have ${picture.length} bytes, more than ${most}`)
  writeFileSync(path, picture)
  say(`${name}.webp  ${Math.round(picture.length / 1024)} KB`)
}

/** The demo, once it has some minutes of history to show. */
async function startDemo() {
  if (!existsSync(`${bin}/sidelight`)) throw new Error(`${bin}/sidelight is missing: run \`make build\`, or name its folder in SIDELIGHT_BIN`)
  const child = spawn(`${bin}/sidelight`, ['demo', '--no-browser', '--scenario', 'skew'], { stdio: ['ignore', 'pipe', 'inherit'] })
  const ended = new Promise((done) => child.once('exit', done))
  const url = await new Promise((found, failed) => {
    let told = ''
    child.stdout.on('data', (chunk) => {
      told += chunk
      const [, address] = /Open {2}(http:\/\/\S+)/.exec(told) ?? []
      if (address) found(address)
    })
    child.once('exit', (code) => failed(new Error(`the demo ended with ${code}:\n${told}`)))
  })
  say(`demo at ${url}; ${warmupSeconds} s of traffic first`)
  await new Promise((done) => setTimeout(done, warmupSeconds * 1000))
  return {
    url,
    stop: async () => {
      child.kill('SIGINT')
      await ended
    },
  }
}

/** Chromium with an interface's typeface where it is installed, as a desktop has it; a server's own is DejaVu. */
function launch() {
  const fonts = join(mkdtempSync(join(tmpdir(), 'sidelight-shots-')), 'fonts.conf')
  const prefer = (family, name) => `<alias binding="strong"><family>${family}</family><prefer><family>${name}</family></prefer></alias>`
  const rules = [prefer('system-ui', 'Inter'), prefer('sans-serif', 'Inter'), prefer('ui-monospace', 'JetBrains Mono'), prefer('monospace', 'JetBrains Mono')]
  writeFileSync(fonts, `<?xml version="1.0"?><fontconfig><include>/etc/fonts/fonts.conf</include>${rules.join('')}</fontconfig>`)
  const own = process.env.CHROMIUM ?? (existsSync('/usr/bin/chromium') ? '/usr/bin/chromium' : undefined)
  return { executablePath: own, env: { ...process.env, FONTCONFIG_FILE: fonts }, args: ['--no-sandbox', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'] }
}

function say(line) {
  process.stdout.write(`${line}\n`)
}

mkdirSync(out, { recursive: true })
await main()
