// What a trace of 80,000 spans costs the browser's main thread, by `make
// bench-trace-ui`: the built interface in Chromium, over an API that answers
// with one generated trace. Script is the time in JavaScript, as Chromium
// counts it; a fold is one press of a key, to the rows that it leaves.
import { createServer } from 'node:http'
import { createReadStream, existsSync } from 'node:fs'
import { dirname, extname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { chromium } from '@playwright/test'

const SPANS = 80_000
const ROUNDS = 5
const dist = resolve(dirname(fileURLToPath(import.meta.url)), '../dist')
const id = 'a41f6b0c09d24a8f9b8e7d6c5b4a09c2'

/** A trace as wide as it is deep: thousands of requests that fan out over eight levels. */
function bigTrace() {
  const services = ['web', 'catalog', 'reviews', 'posters', 'tickets', 'seats', 'payments', 'bank']
  const open = []
  const spans = Array.from({ length: SPANS }, (_, i) => {
    const depth = i === 0 ? 0 : 1 + (i % 8)
    open.length = Math.min(open.length, depth)
    const span_id = i.toString(16).padStart(16, '0')
    const service = services[depth % 8]
    const outbound = depth % 2 === 1
    const span = {
      span_id, parent_id: open.at(-1) ?? '', depth: open.length, role: outbound ? 'outbound' : 'inbound', hop: outbound ? span_id : (open.at(-1) ?? span_id),
      service, workload: `cinema/${service}`, version: 'v1', node: `${service}-1`, operation: `GET /v1/items/${i % 40}`, kind: outbound ? 'client' : 'server',
      start_us: i * 10, duration_us: Math.max(1, (SPANS - i) * 10), self_us: 100, status: i % 997 === 996 ? 'error' : 'unset',
      attributes: [{ key: 'sidelight.reporter', value: outbound ? 'source' : 'destination' }, { key: 'http.response.status_code', value: i % 997 === 996 ? '503' : '200' }], events: [],
    }
    open.push(span_id)
    return span
  })
  return JSON.stringify({
    trace_id: id, start: new Date(0).toISOString(), duration_ms: SPANS / 100, spans, critical_path: spans.filter((_, i) => i % 50 === 0).map((s) => s.span_id),
    origins: [], gaps: [], calls: [], services, problems: [],
  })
}

const types = { '.html': 'text/html', '.js': 'text/javascript', '.css': 'text/css', '.svg': 'image/svg+xml', '.woff2': 'font/woff2' }

async function serve() {
  const trace = bigTrace()
  const json = (res, body) => res.writeHead(200, { 'content-type': 'application/json' }).end(body)
  const server = createServer((req, res) => {
    const { pathname } = new URL(req.url, 'http://x')
    if (pathname === `/api/v1/traces/${id}`) return json(res, trace)
    if (pathname === '/api/v1/traces') return json(res, '{"traces":[],"total_scanned":0,"complete":true}')
    if (pathname.startsWith('/api/v1/traces/')) return json(res, '{"workloads":[],"services":[],"operations":[]}')
    if (pathname.startsWith('/api/')) return res.writeHead(503, { 'content-type': 'application/json' }).end('{"error":{"code":"unavailable","message":"not measured"}}')
    const file = join(dist, pathname)
    const path = extname(pathname) && existsSync(file) ? file : join(dist, 'index.html')
    res.writeHead(200, { 'content-type': types[extname(path)] ?? 'application/octet-stream' })
    createReadStream(path).pipe(res)
  })
  await new Promise((done) => server.listen(0, '127.0.0.1', done))
  return server
}

const say = (line) => process.stdout.write(`${line}\n`)
const median = (list) => [...list].sort((a, b) => a - b)[Math.floor(list.length / 2)]

if (!existsSync(join(dist, 'index.html'))) throw new Error(`${dist} is missing: run make ui`)
const server = await serve()
const url = `http://127.0.0.1:${server.address().port}`
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? (existsSync('/usr/bin/chromium') ? '/usr/bin/chromium' : undefined),
  args: ['--no-sandbox', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
})
const first = []
const folds = []
try {
  for (let round = 0; round < ROUNDS; round++) {
    const page = await browser.newPage({ viewport: { width: 1440, height: 900 }, reducedMotion: 'reduce' })
    const cdp = await page.context().newCDPSession(page)
    await cdp.send('Performance.enable', { timeDomain: 'threadTicks' })
    const script = async () => (await cdp.send('Performance.getMetrics')).metrics.find((m) => m.name === 'ScriptDuration').value * 1000
    // The application's own start is no part of it: the list of traces has loaded it.
    await page.goto(`${url}/traces`)
    await page.getByRole('search', { name: 'Search traces' }).waitFor()
    await page.waitForTimeout(1000)
    let before = await script()
    await page.evaluate((to) => {
      history.pushState({}, '', to)
      dispatchEvent(new PopStateEvent('popstate'))
    }, `/traces/${id}`)
    await page.waitForFunction(() => document.querySelector('[role=treegrid] [role=row]'), undefined, { polling: 'raf', timeout: 60_000 })
    await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))))
    first.push((await script()) - before)
    const grid = page.getByRole('treegrid', { name: 'Spans' })
    const rows = Number(await grid.getAttribute('aria-rowcount'))
    if (rows !== SPANS) throw new Error(`${rows} rows, want ${SPANS}`)
    await grid.getByRole('row').first().click()
    await grid.focus()
    for (const [key, left] of [['ArrowLeft', 1], ['ArrowRight', SPANS]]) {
      before = await script()
      await page.keyboard.press(key)
      await page.waitForFunction((n) => document.querySelector('[role=treegrid]').getAttribute('aria-rowcount') === String(n), left, { polling: 'raf' })
      folds.push((await script()) - before)
    }
    await page.close()
  }
} finally {
  await browser.close()
  server.close()
}
const [paint, fold] = [median(first), median(folds)]
say(`\n| ${SPANS.toLocaleString('en')} spans, medians of ${ROUNDS} rounds | script, ms |\n|---|---:|`)
say(`| first paint: parse, tree, minimap, rows | ${paint.toFixed(1)} |\n| fold or unfold all, by a key | ${fold.toFixed(1)} |\n`)
for (const [name, value, bound] of [['waterfall-first-paint', paint, 300], ['waterfall-fold', fold, 5]]) say(`goal ${name}: ${value.toFixed(1)}ms <=${bound}ms ${value <= bound ? 'met' : 'missed'}`)
