import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { WebSocketServer } from 'ws'

/**
 * A stand-in for Grafana, as far as its documentation says how it behaves when
 * it is embedded: sub-path, auth proxy, login token, frames, Live's socket and
 * what d-solo reads. No real one can run in these tests.
 */
export type StandIn = {
  url: string
  /** Every request for a page or the API: path and headers. */
  seen: { path: string; headers: IncomingHttpHeaders }[]
  set: (change: Partial<Settings>) => void
  close: () => Promise<void>
}

type Settings = {
  /** [security] allow_embedding */
  allowEmbedding: boolean
  /** [auth.proxy] enabled */
  authProxy: boolean
  /** Whether the dashboards were provisioned. */
  provisioned: boolean
  /** How long a health check takes. */
  delayMs: number
}

export async function standIn(): Promise<StandIn> {
  const settings: Settings = { allowEmbedding: true, authProxy: true, provisioned: true, delayMs: 0 }
  const seen: StandIn['seen'] = []
  const server = createServer((req, res) => {
    const url = new URL(req.url ?? '/', 'http://grafana')
    seen.push({ path: req.url ?? '', headers: req.headers })
    // root_url has the sub-path, and serve_from_sub_path is on.
    if (!url.pathname.startsWith('/grafana/')) return redirect(res, `/grafana${req.url}`)
    const path = url.pathname.slice('/grafana'.length)
    if (path === '/api/health') {
      setTimeout(() => json(res, { database: 'ok', version: '12.2.0', commit: '92f1fba9b4' }), settings.delayMs)
      return
    }
    const user = settings.authProxy ? req.headers['x-webauth-user'] : undefined
    const session = /grafana_session=(\w+)/.exec(req.headers.cookie ?? '')?.[1]
    if (!user && !session) return path.startsWith('/api/') ? json(res, { message: 'Unauthorized' }, 401) : redirect(res, '/grafana/login')
    // enable_login_token: the proxy's word is kept in a cookie below the sub-path.
    if (user && !session) res.setHeader('Set-Cookie', `grafana_session=of${String(user)}; Path=/grafana; Max-Age=2592000; HttpOnly; SameSite=Lax`)
    if (path.startsWith('/api/dashboards/uid/')) return json(res, settings.provisioned ? { dashboard: {} } : { message: 'Dashboard not found' }, settings.provisioned ? 200 : 404)
    if (path === '/api/ds/query') return json(res, { session: session ?? '', origin: req.headers.origin ?? '' })
    if (!settings.allowEmbedding) res.setHeader('X-Frame-Options', 'deny')
    if (path.startsWith('/d-solo/') || path.startsWith('/d/')) return html(res, solo(url.searchParams, String(user ?? session)))
    json(res, { message: 'Not found' }, 404)
  })
  const live = new WebSocketServer({ noServer: true })
  server.on('upgrade', (req, socket, head) => {
    seen.push({ path: req.url ?? '', headers: req.headers })
    // Grafana Live takes origins that are its own host, or in allowed_origins.
    const origin = new URL(req.headers.origin ?? 'http://none')
    if (req.url !== '/grafana/api/live/ws' || origin.host !== req.headers.host) {
      socket.end('HTTP/1.1 403 Forbidden\r\n\r\n')
      return
    }
    live.handleUpgrade(req, socket, head, (ws) => ws.on('message', (m) => ws.send(`echo ${m}`)))
  })
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/grafana`,
    seen,
    set: (change) => void Object.assign(settings, change),
    close: () =>
      new Promise((done) => {
        for (const ws of live.clients) ws.terminate()
        server.closeAllConnections()
        server.close(() => done())
      }),
  }
}

/** A page that says what it was told, and what its own requests came to. */
function solo(search: URLSearchParams, user: string): string {
  const told = [...search].map(([k, v]) => `${k}=${v}`).join(' ').replaceAll(/[<&]/g, '')
  return `<!DOCTYPE html><html><head><base href="/grafana/" /><title>Grafana</title></head>
<body><p id="told">${told}</p><p id="user">${user}</p><p id="live"></p><p id="query"></p>
<script>
  const ws = new WebSocket(location.origin.replace('http', 'ws') + '/grafana/api/live/ws')
  ws.onopen = () => ws.send('hello')
  ws.onmessage = (e) => { document.getElementById('live').textContent = e.data }
  fetch('api/ds/query', { method: 'POST', body: '{}' }).then((r) => r.json()).then((a) => {
    document.getElementById('query').textContent = 'session ' + a.session
  })
</script></body></html>`
}

function json(res: ServerResponse, value: unknown, status = 200): void {
  res.writeHead(status, { 'Content-Type': 'application/json' }).end(JSON.stringify(value))
}

function html(res: ServerResponse, text: string): void {
  res.writeHead(200, { 'Content-Type': 'text/html; charset=UTF-8', 'Cache-Control': 'no-store' }).end(text)
}

function redirect(res: ServerResponse, to: string): void {
  res.writeHead(302, { Location: to }).end()
}
