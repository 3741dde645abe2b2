// Measures the longest task of the Dashboards page in Chromium while it draws
// two dozen panels of a running mesh (SIDELIGHT_URL, after `make build`: a demo
// is started otherwise), and then follows live time; prints each with its goal.
// By the CPU that the main thread took, not by the clock (ADR 29): what else
// runs on the machine is not the page's fault.
import { spawn } from 'node:child_process'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { chromium } from '@playwright/test'
import { existsSync } from 'node:fs'

const bin = process.env.SIDELIGHT_BIN ?? resolve(dirname(fileURLToPath(import.meta.url)), '../../bin')
let url = process.env.SIDELIGHT_URL
let demo
if (!url) {
  demo = spawn(join(bin, 'sidelight'), ['demo', '--no-browser'], { stdio: ['ignore', 'pipe', 'inherit'] })
  url = await new Promise((done) => demo.stdout.on('data', (text) => /Open {2}(http:\/\/\S+)/.exec(text)?.[1] && done(/Open {2}(http:\/\/\S+)/.exec(text)[1])))
  await new Promise((done) => setTimeout(done, 60_000))
}
const executablePath = process.env.CHROMIUM ?? (existsSync('/usr/bin/chromium') ? '/usr/bin/chromium' : undefined)
const browser = await chromium.launch({ executablePath, args: ['--no-sandbox'] })
// So high that all panels are in view at once.
const page = await browser.newPage({ viewport: { width: 1440, height: 3200 } })
// The frame and its scripts are there already: what counts is the panels.
await page.goto(`${url}/dashboards/sidelight-config-sync`)
await page.getByRole('region', { name: 'Nodes by state', exact: true }).locator('canvas').waitFor()
await page.waitForTimeout(3000)
const trace = { categories: ['toplevel', 'disabled-by-default-devtools.timeline'] }
const drawn = () => page.locator('main canvas').count()

await browser.startTracing(page, trace)
await page.getByRole('navigation', { name: 'Dashboards' }).getByRole('link', { name: 'Proxy' }).click()
for (let before = -1; before < 10 || before !== (await drawn()); ) {
  before = await drawn()
  await page.waitForTimeout(3000)
}
const first = longestTask(JSON.parse((await browser.stopTracing()).toString()).traceEvents)
await browser.startTracing(page, trace)
await page.waitForTimeout(20_000)
const live = longestTask(JSON.parse((await browser.stopTracing()).toString()).traceEvents)
const panels = await page.locator('main section[data-kind]').count()
if (panels < 24) throw new Error(`the page has ${panels} panels, want 24: is the Proxy dashboard still the largest?`)
const empty = await page.locator('main section[data-kind]').filter({ hasText: /Nothing in this time|No data can be had|Loading/ }).count()
if (empty > 0) throw new Error(`${empty} of ${panels} panels show no data: the figure would flatter`)
// oxlint-disable-next-line no-console
console.log(`\n${panels} panels, ${await drawn()} of them canvases; the longest task, CPU ms`)
goal('dashboards-draw-task', first)
goal('dashboards-live-task', live)
await browser.close()
if (demo) {
  demo.kill('SIGINT')
  await new Promise((done) => demo.once('exit', done))
}

function goal(name, ms) {
  // oxlint-disable-next-line no-console
  console.log(`goal ${name}: ${ms.toFixed(1)} CPU ms < 50 ms ${ms < 50 ? 'met' : 'missed'}`)
}

/** The CPU that the longest task of the page's main thread took, in ms. */
function longestTask(events) {
  const mains = new Set(events.filter((e) => e.name === 'thread_name' && e.args?.name === 'CrRendererMain').map((e) => `${e.pid} ${e.tid}`))
  return Math.max(0, ...events.filter((e) => mains.has(`${e.pid} ${e.tid}`) && e.ph === 'X' && e.tdur !== undefined).map((e) => e.tdur / 1000))
}
