// A stand-in for the server, for work on the interface without a mesh: the API
// of sidelight over a generated cinema, one tick a second. Nothing here is
// part of the product.
//
//   npm run dev:mock            then: npm run dev
//   MOCK=empty npm run dev:mock     nothing has been seen yet
//   MOCK=quiet npm run dev:mock     all is well
//   MOCK=single npm run dev:mock    all in one namespace
//   MOCK=hostile npm run dev:mock  names that are markup, RTL, control characters, 5,000 letters
//   MOCK=one npm run dev:mock      one workload and no call
//   MOCK=big npm run dev:mock       400 workloads more
//   MOCK=huge npm run dev:mock      10,000 workloads more
//   PORT=8431 npm run dev:mock      another port
//   TAP=1000 npm run dev:mock       so many tapped requests a second (20)
//   DIST=1 npm run dev:mock         also serves dist/ (after a build)

import { createServer } from 'node:http'
import { readFileSync } from 'node:fs'
import { extname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { WebSocketServer } from 'ws'
import { cinema } from './cinema.mjs'

const port = Number(process.env.PORT ?? 8430)
const dist = fileURLToPath(new URL('../dist/', import.meta.url))
const mesh = cinema(process.env.MOCK ?? 'story')

const server = createServer((req, res) => {
  const url = new URL(req.url, 'http://mock')
  if (url.pathname.startsWith('/api/v1/')) return api(url, res)
  if (process.env.DIST) return file(url.pathname, res)
  res.writeHead(404).end()
})

function json(res, value, status = 200) {
  res.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value))
}

function api(url, res) {
  const path = url.pathname.slice('/api/v1/'.length)
  const query = Object.fromEntries(url.searchParams)
  const answer = mesh.rest(path, query)
  if (answer === undefined) {
    return json(res, { error: { code: 'not_found', message: `No ${path}.`, hint: 'The mock knows part of the API.' } }, 404)
  }
  if (answer.error) return json(res, answer, 400)
  json(res, answer)
}

const types = { '.html': 'text/html', '.js': 'text/javascript', '.css': 'text/css', '.svg': 'image/svg+xml' }

function file(path, res) {
  const name = extname(path) in types ? path.slice(1) : 'index.html'
  try {
    let body = readFileSync(join(dist, name))
    if (name === 'index.html') {
      const up = '../'.repeat(Math.max(0, path.split('/').length - 2)) || './'
      body = body.toString().replace('<base href="./"', `<base href="${up}"`)
    }
    res.writeHead(200, { 'content-type': types[extname(name)] ?? 'application/octet-stream' }).end(body)
  } catch {
    res.writeHead(404).end()
  }
}

const sockets = new WebSocketServer({
  server,
  path: '/api/v1/live',
  handleProtocols: (offered) => (offered.has('sidelight.v1') ? 'sidelight.v1' : false),
})

sockets.on('connection', (socket) => {
  const subscriptions = new Map()
  const send = (frame) => socket.readyState === 1 && socket.send(JSON.stringify(frame))
  socket.on('message', (raw) => {
    const message = JSON.parse(raw)
    if (message.op === 'unsubscribe') return subscriptions.delete(message.id)
    const subscription = { ...message, seq: message.resume?.seq ?? 0 }
    subscriptions.set(message.id, subscription)
    const error = mesh.check(message.channel, message.params)
    if (error) return send({ id: message.id, type: 'error', error })
    if (message.resume?.epoch === mesh.epoch && message.channel !== 'tap') return
    if (message.channel !== 'tap') {
      const data = mesh.snapshot(message.channel, message.params)
      if (Object.keys(data).length === 0) return send({ id: message.id, type: 'error', error: { code: 'not_found', message: `The mock knows no ${message.channel}.` } })
      subscription.seq = 1
      send({ id: message.id, type: 'snapshot', epoch: mesh.epoch, seq: 1, at: mesh.now(), data })
    }
  })
  const timer = setInterval(() => {
    for (const sub of subscriptions.values()) {
      if (sub.channel === 'tap') continue
      const whole = sub.channel === 'overview' || sub.channel === 'alerts'
      const type = whole ? 'snapshot' : 'delta'
      sub.seq++
      send({ id: sub.id, type, epoch: mesh.epoch, seq: sub.seq, at: mesh.now(), data: mesh.delta(sub.channel, sub.params) })
    }
  }, 1000)
  // Requests come in batches of a tenth of a second, as from the server.
  const perBatch = Math.max(1, Math.round(Number(process.env.TAP ?? 20) / 10))
  const taps = setInterval(() => {
    for (const sub of subscriptions.values()) {
      if (sub.channel === 'tap') send({ id: sub.id, type: 'event', seq: ++sub.seq, at: mesh.now(), data: mesh.tapped(perBatch) })
    }
  }, 100)
  socket.on('close', () => {
    clearInterval(timer)
    clearInterval(taps)
  })
})

setInterval(() => mesh.tick(), 1000)
server.listen(port, '127.0.0.1', () => process.stdout.write(`mock on http://127.0.0.1:${port}\n`))
