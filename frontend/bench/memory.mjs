// Whether pages that stay open grow, by `make bench-ui-memory`: the live graph
// over the real demo, and a tap of 1,000 rows a second over dev/mock.mjs, whose
// history of 100,000 rows is full before the measuring begins. Heaps are read
// after a forced collection, so that what is counted is what is held.
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { chromium } from '@playwright/test'

const here = dirname(fileURLToPath(import.meta.url))
const bin = process.env.SIDELIGHT_BIN ?? resolve(here, '../../bin')
const minutes = Number(process.env.MINUTES ?? 10)
const fillSeconds = 120
const mostGrowth = 0.05

const say = (line) => process.stdout.write(`${line}\n`)
const wait = (ms) => new Promise((done) => setTimeout(done, ms))
const median = (list) => [...list].sort((a, b) => a - b)[Math.floor(list.length / 2)]

/** A process that says its address on standard output. */
async function started(command, args, address, env = {}) {
  const child = spawn(command, args, { env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'inherit'] })
  const ended = new Promise((done) => child.once('exit', done))
  const url = await new Promise((found, failed) => {
    let told = ''
    child.stdout.on('data', (chunk) => {
      told += chunk
      const [, at] = address.exec(told) ?? []
      if (at) found(at)
    })
    child.once('exit', (code) => failed(new Error(`${command} ended with ${code}:\n${told}`)))
  })
  const stop = async () => {
    child.kill('SIGINT')
    await ended
  }
  return { url, stop }
}

/** Each in a window of its own: a page that is hidden holds still. */
async function watched(browser, name, url, ready) {
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 } })
  const page = await context.newPage()
  page.setDefaultTimeout(60_000)
  await page.goto(url)
  await ready(page)
  const cdp = await context.newCDPSession(page)
  const read = async () => {
    if (await page.evaluate(() => document.hidden)) throw new Error(`${name} is hidden, and holds still`)
    // Twice: what the first one lets go of may hold something else.
    for (let i = 0; i < 2; i++) await cdp.send('HeapProfiler.collectGarbage')
    const { usedSize } = await cdp.send('Runtime.getHeapUsage')
    const { nodes, jsEventListeners } = await cdp.send('Memory.getDOMCounters')
    return { heap: usedSize / 1e6, nodes, listeners: jsEventListeners }
  }
  return { name, read }
}

const demo = await started(join(bin, 'sidelight'), ['demo', '--no-browser'], /Open {2}(http:\/\/\S+)/)
const mock = await started(process.execPath, [join(here, '../dev/mock.mjs')], /mock on (http:\/\/\S+)/, { PORT: '18491', DIST: '1', TAP: '1000' })
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? (existsSync('/usr/bin/chromium') ? '/usr/bin/chromium' : undefined),
  args: ['--no-sandbox', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
})
const samples = []
const goals = []
try {
  const pages = [
    await watched(browser, 'graph', `${demo.url}/graph`, (page) => page.getByRole('toolbar', { name: /Services and edges/ }).getByRole('button').nth(20).waitFor({ state: 'attached' })),
    await watched(browser, 'tap', `${mock.url}/tap`, (page) => page.getByRole('treegrid').getByRole('row').nth(5).waitFor()),
  ]
  await wait(fillSeconds * 1000)
  const begin = Date.now()
  for (let half = 0; half <= 2 * minutes; half++) {
    await wait(Math.max(0, begin + half * 30_000 - Date.now()))
    const sample = { minute: half / 2 }
    for (const page of pages) sample[page.name] = await page.read()
    samples.push(sample)
  }
  for (const { name } of pages) {
    const held = samples.map((s) => s[name].heap)
    const growth = median(held.slice(-5)) / median(held.slice(0, 5)) - 1
    goals.push(`goal memory-${name}: ${(growth * 100).toFixed(1)}% more heap after ${minutes} min <=${mostGrowth * 100}% ${growth <= mostGrowth ? 'met' : 'missed'}`)
  }
} finally {
  await browser.close()
  await demo.stop()
  await mock.stop()
}
say('| minute | graph: heap, MB | DOM nodes | listeners | tap: heap, MB | DOM nodes | listeners |')
say('|---:|---:|---:|---:|---:|---:|---:|')
const cells = (s) => `${s.heap.toFixed(2)} | ${s.nodes} | ${s.listeners}`
for (const s of samples.filter(({ minute }) => minute % 2 === 0)) say(`| ${s.minute} | ${cells(s.graph)} | ${cells(s.tap)} |`)
say('')
for (const g of goals) say(g)
