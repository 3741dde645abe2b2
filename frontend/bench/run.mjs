// Measures the interface in headless Chromium and prints a table beside
// cytoscape and PatternFly's topology (which Kiali draws with) on the same
// mesh, then one line a goal: "goal NAME: VALUE BOUND met|missed". Times are
// the CPU that the main thread took (Chromium's TaskDuration in thread ticks), so
// that a machine with other work to do says the same. `make bench-ui`.
import { createServer } from 'node:http'
import { existsSync, readFileSync, readdirSync } from 'node:fs'
import { spawn } from 'node:child_process'
import { extname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { chromium } from '@playwright/test'

const here = fileURLToPath(new URL('.', import.meta.url))
const product = join(here, '../dist')
const most = Number(process.env.MOST ?? 10_000)
const goals = []
const rows = []

function goal(name, value, unit, bound, isMet) {
  goals.push(`goal ${name}: ${value}${unit} ${bound} ${isMet ? 'met' : 'missed'}`)
}
const round = (v) => (v < 10 ? Math.round(v * 10) / 10 : Math.round(v))

/** Files of a folder on a free port of loopback. */
function serve(folder) {
  const types = { '.html': 'text/html', '.js': 'text/javascript', '.css': 'text/css', '.svg': 'image/svg+xml' }
  const server = createServer((req, res) => {
    const path = new URL(req.url, 'http://bench').pathname
    const file = join(folder, path === '/' ? 'index.html' : path)
    if (!file.startsWith(folder) || !existsSync(file)) return res.writeHead(404).end()
    res.writeHead(200, { 'content-type': types[extname(file)] ?? 'application/octet-stream' }).end(readFileSync(file))
  })
  return new Promise((done) => server.listen(0, '127.0.0.1', () => done({ url: `http://127.0.0.1:${server.address().port}`, stop: () => server.close() })))
}

/** What the main thread spent on a piece of work, in ms. */
async function spent(page, work) {
  const cdp = await page.context().newCDPSession(page)
  await cdp.send('Performance.enable', { timeDomain: 'threadTicks' })
  const read = async () => Object.fromEntries((await cdp.send('Performance.getMetrics')).metrics.map((m) => [m.name, m.value]))
  const before = await read()
  const result = await work()
  const after = await read()
  await cdp.detach()
  const ms = (name) => (after[name] - before[name]) * 1000
  return { task: ms('TaskDuration'), script: ms('ScriptDuration'), result }
}

async function graphs(browser, url) {
  for (const [nodes, edges] of [[200, 600], [1000, 3000], [2000, 6000], [10_000, 30_000]]) {
    if (nodes > most) continue
    const row = { what: `${nodes} nodes, ${edges} edges`, ours: 0, cytoscape: null, patternfly: null }
    const ours = await draw(browser, url, nodes, edges, 'sidelight')
    row.ours = ours.task
    if (nodes === 1000) {
      goal('graph-1000', round(ours.task), 'ms', '<=500ms', ours.task <= 500)
      await updates(ours.page)
    }
    if (nodes === 10_000) {
      goal('graph-10000', round(ours.task), 'ms', '<=1500ms', ours.task <= 1500)
      await flow(ours.page)
    }
    await ours.page.context().close()
    if (nodes <= 2000) {
      for (const peer of ['cytoscape', 'patternfly']) {
        const theirs = await draw(browser, url, nodes, edges, peer).catch((e) => ({ failed: String(e).split('\n')[0] }))
        if (theirs.failed) say(`${peer} at ${nodes}: ${theirs.failed}`)
        else {
          row[peer] = theirs.task
          await theirs.page.context().close()
        }
      }
      if (row.patternfly) goal(`patternfly-${nodes}`, round(row.patternfly / row.ours), 'x', '>=10x', row.patternfly / row.ours >= 10)
    }
    rows.push(row)
  }
}

/** Draws the mesh once. Without flow, which the peers do not have: what it costs is a row of its own. */
async function draw(browser, url, nodes, edges, library) {
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, reducedMotion: 'reduce' })
  const page = await context.newPage()
  page.setDefaultTimeout(240_000)
  await page.goto(url)
  await page.waitForFunction(() => window.bench !== undefined)
  await page.evaluate(([name, n, e]) => window.bench.stand(name, n, e), [library, nodes, edges])
  try {
    const { task } = await spent(page, () => page.evaluate(() => window.bench.draw()))
    return { page, task }
  } catch (e) {
    await context.close()
    throw e
  }
}

async function updates(page) {
  await page.emulateMedia({ reducedMotion: 'no-preference' })
  await page.evaluate(() => window.bench.kept())
  const figures = await spent(page, () => page.evaluate(() => window.bench.update(false)))
  const replaced = await spent(page, () => page.evaluate(() => window.bench.update(true)))
  rows.push({ what: '1000 / 3000: 5 % of figures change', ours: figures.task }, { what: '1000 / 3000: 5 % of workloads replaced', ours: replaced.task })
  goal('update', round(figures.task), 'ms', '<=50ms', figures.task <= 50)
  goal('moved', figures.result + replaced.result, '', '<=0', figures.result + replaced.result === 0)
}

async function flow(page) {
  await page.emulateMedia({ reducedMotion: 'no-preference' })
  const { script, result } = await spent(page, () => page.evaluate(() => window.bench.flow(3)))
  const perFrame = script / Math.max(1, result)
  rows.push({ what: '10000 / 30000: script a frame, with flow', ours: perFrame })
  goal('frame', round(perFrame), 'ms', '<=2ms', perFrame <= 2)
}

/** The product's own page: what its first load weighs and costs. */
async function firstLoad(browser, url) {
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 } })
  const page = await context.newPage()
  const scripts = new Set()
  page.on('response', (r) => /\/assets\/.*\.js$/.test(new URL(r.url()).pathname) && scripts.add(new URL(r.url()).pathname.split('/').at(-1)))
  const { task } = await spent(page, async () => {
    await page.goto(`${url}/graph`)
    await page.getByRole('toolbar', { name: /Services and edges/ }).getByRole('button').first().waitFor({ state: 'attached' })
  })
  const packed = new Map(readdirSync(join(product, 'assets')).map((name) => [name, readFileSync(join(product, 'assets', name)).length]))
  // A worker's code is not loaded by the page; what is small is not packed.
  const kb = [...scripts].reduce((sum, name) => sum + (packed.get(`${name}.gz`) ?? packed.get(name) ?? 0), 0) / 1000
  rows.push({ what: 'first load of /graph: JavaScript, gzip, KB', ours: kb }, { what: 'first load of /graph: main thread until the graph stands', ours: task })
  goal('first-load', round(kb), 'KB', '<=205KB', kb <= 205)
  goal('interactive', round(task), 'ms', '<=1000ms', task <= 1000)
  await context.close()
}

/** A tap at a thousand rows a second: the longest task that it makes, by CPU. */
async function tap(browser, url) {
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 } })
  const page = await context.newPage()
  await page.goto(`${url}/tap`)
  await page.getByRole('treegrid').getByRole('row').nth(5).waitFor()
  await browser.startTracing(page, { categories: ['toplevel', 'disabled-by-default-devtools.timeline'] })
  const { script } = await spent(page, () => page.waitForTimeout(10_000))
  const longest = longestTask(JSON.parse((await browser.stopTracing()).toString()).traceEvents)
  rows.push({ what: 'tap, 1000 rows/s: script a second', ours: script / 10 }, { what: 'tap, 1000 rows/s: longest task in 10 s', ours: longest })
  goal('tap-task', round(longest), 'ms', '<=50ms', longest <= 50)
  await context.close()
}

/** Scrolling through the whole history of a tap: the longest task that it makes, by CPU. */
async function history(browser, url) {
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 } })
  const page = await context.newPage()
  page.setDefaultTimeout(120_000)
  await page.goto(`${url}/tap`)
  await page.getByText(/100\s000 rows/).waitFor()
  await page.keyboard.press('Space')
  await page.getByText(/^Paused at/).waitFor()
  await browser.startTracing(page, { categories: ['toplevel', 'disabled-by-default-devtools.timeline'] })
  const steps = await page.evaluate(async () => {
    const list = document.querySelector('[role=treegrid]')
    const step = list.scrollHeight / 200
    for (let i = 0; i <= 200; i++) {
      list.scrollTop = i * step
      await new Promise((done) => requestAnimationFrame(done))
    }
    return Math.round(list.scrollHeight / step)
  })
  const longest = longestTask(JSON.parse((await browser.stopTracing()).toString()).traceEvents)
  rows.push({ what: `tap, 100,000 rows: longest task of ${steps} steps through them`, ours: longest })
  goal('tap-history-task', round(longest), 'ms', '<=50ms', longest <= 50)
  await context.close()
}

/** The CPU that the longest task of a page's main thread took, in ms. */
function longestTask(events) {
  const mains = new Set(events.filter((e) => e.name === 'thread_name' && e.args?.name === 'CrRendererMain').map((e) => `${e.pid} ${e.tid}`))
  return Math.max(0, ...events.filter((e) => mains.has(`${e.pid} ${e.tid}`) && e.ph === 'X' && e.tdur !== undefined).map((e) => e.tdur / 1000))
}

/** The generated mesh of dev/mock.mjs with the built interface. */
async function mock(port, rate) {
  const child = spawn(process.execPath, [join(here, '../dev/mock.mjs')], { env: { ...process.env, PORT: String(port), DIST: '1', TAP: String(rate) }, stdio: 'ignore' })
  const url = `http://127.0.0.1:${port}`
  for (let i = 0; i < 100; i++) {
    if (await fetch(`${url}/api/v1/status`).then((r) => r.ok, () => false)) break
    await new Promise((done) => setTimeout(done, 100))
  }
  return { url, stop: () => child.kill() }
}

function say(line) {
  process.stdout.write(`${line}\n`)
}

const own = process.env.CHROMIUM ?? (existsSync('/usr/bin/chromium') ? '/usr/bin/chromium' : undefined)
const browser = await chromium.launch({ executablePath: own, args: ['--no-sandbox', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'] })
const pages = await serve(join(here, 'dist'))
const backend = await mock(18_490, 1000)
const flood = await mock(18_492, 5000)
try {
  const only = process.env.ONLY
  if (!only || only === 'load') await firstLoad(browser, backend.url)
  if (!only || only === 'graph') await graphs(browser, pages.url)
  if (!only || only === 'tap') {
    await tap(browser, backend.url)
    await history(browser, flood.url)
  }
} finally {
  await browser.close()
  pages.stop()
  backend.stop()
  flood.stop()
}
const cell = (v) => (v === null || v === undefined ? '' : `${round(v)}`)
say('| what | Sidelight | cytoscape | PatternFly topology |')
say('|---|---:|---:|---:|')
for (const r of rows) say(`| ${r.what} | ${cell(r.ours)} | ${cell(r.cytoscape)} | ${cell(r.patternfly)} |`)
say('')
for (const g of goals) say(g)
