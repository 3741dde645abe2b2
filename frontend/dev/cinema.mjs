// The generated mesh behind dev/mock.mjs: a cinema whose payments go wrong.

const namespaceOf = {
  web: 'front', gateway: 'front',
  catalog: 'catalog', reviews: 'catalog', posters: 'catalog', recommendations: 'catalog',
  tickets: 'booking', payments: 'booking', seats: 'booking', notifications: 'booking',
}

function workload(name, app = name, version = 'v1', more = {}) {
  const namespace = namespaceOf[app]
  return { id: `workload:${namespace}/${name}`, kind: 'workload', namespace, name, app, version, meshed: true, ...more }
}

const nodes = [
  workload('gateway'), workload('web'),
  workload('catalog-v1', 'catalog', 'v1'), workload('catalog-v2', 'catalog', 'v2'),
  workload('reviews'), workload('posters'), workload('recommendations'),
  workload('tickets', 'tickets', 'v1', { config: { state: 'rejected', revision: 127, behind: 1, nodes: 3 } }),
  workload('payments'), workload('seats', 'seats', 'v1', { config: { state: 'stale', revision: 127, behind: 1, nodes: 4 } }),
  workload('notifications'),
  { id: 'external:api.bank.example', kind: 'external', namespace: '', name: 'api.bank.example', meshed: false },
  { id: 'unknown', kind: 'unknown', namespace: '', name: 'unknown', meshed: false },
]

const id = (name) => nodes.find((n) => n.name === name).id
function call(from, to, rps, more = {}) {
  return { source: id(from), target: id(to), protocol: 'http', rps, errors: 0.0004, p95: 20, ...more }
}

const calls = [
  call('gateway', 'web', 642),
  call('web', 'catalog-v1', 420, { weight: 0.9 }), call('web', 'catalog-v2', 47, { weight: 0.1, p95: 312, errors: 0.003, warn: 'p95 312 ms, 4 times that of v1' }),
  call('web', 'recommendations', 120), call('recommendations', 'catalog-v1', 64),
  call('catalog-v1', 'reviews', 203), call('catalog-v1', 'posters', 390), call('catalog-v2', 'posters', 57, { p95: 40 }),
  call('catalog-v2', 'reviews', 40),
  call('web', 'tickets', 61, { errors: 0.124, p95: 1340, bad: 'upstream' }),
  call('tickets', 'payments', 38, { errors: 0.214, p95: 1920, bad: 'proxy', attempts: 1.62 }),
  call('tickets', 'seats', 61, { protocol: 'grpc' }), call('tickets', 'notifications', 14, { protocol: 'tcp' }),
  call('payments', 'api.bank.example', 24, { errors: 0.086, p95: 1800, bad: 'upstream', mtls: 0 }),
  call('unknown', 'catalog-v1', 5, { mtls: 0 }),
]

/** Adds namespaces with workloads that call each other, for looking at size. */
function grow(spaces, each) {
  for (let s = 0; s < spaces; s++) {
    for (let i = 0; i < each; i++) {
      const name = `${['orders', 'users', 'stock', 'search', 'mail'][i % 5]}-${i}`
      nodes.push({ ...workload(name), id: `workload:team-${s}/${name}`, namespace: `team-${s}` })
      const own = nodes.at(-1).id
      if (i > 0) calls.push({ source: nodes[nodes.length - 1 - Math.ceil(Math.random() * Math.min(i, 9))].id, target: own, protocol: 'http', rps: 5 + Math.random() * 300, errors: i % 17 === 5 ? 0.2 : 0.0005, p95: 30, bad: 'upstream' })
      if (i % 3 === 0 && s > 0) calls.push({ source: `workload:team-${s - 1}/${['orders', 'users', 'stock', 'search', 'mail'][i % 5]}-${i}`, target: own, protocol: 'http', rps: 4, errors: 0, p95: 12 })
    }
  }
}

/** Names as nobody should have them, and somebody has. */
const hostile = [
  `<img src=x onerror="window.harmed=1">`, `<script>window.harmed=1</script>`, `"'><svg onload=window.harmed=1>`, '\u202eneddih-\u2066evil', 'شبكة-الخدمات', '👩‍👩‍👧‍👦-🔥🔥🔥',
  'a\u0000b\u0007c\u001b[31m', `javascript:window.harmed=1`, '%00%0a%0d<>', `${'very-long-'.repeat(500)}end`, '   ', '..%2f..%2fetc', '{{7*7}}${7*7}',
]

function spoil() {
  const renamed = new Map()
  nodes.forEach((n, i) => {
    const name = hostile[i % hostile.length]
    const was = n.id
    Object.assign(n, { name, app: n.app && name, id: n.kind === 'workload' ? `workload:${n.namespace}/${name}` : `${n.kind}:${name}` })
    renamed.set(was, n.id)
  })
  for (const n of nodes) if (n.namespace === 'booking') n.namespace = hostile[0]
  for (const c of calls) Object.assign(c, { source: renamed.get(c.source), target: renamed.get(c.target) })
}

function keepOne() {
  nodes.splice(1)
  calls.splice(0)
}

const finite = (n) => Math.round(n * 1000) / 1000
const noise = (k = 0.1) => 1 - k / 2 + Math.random() * k

export function cinema(story) {
  if (story === 'single') for (const n of nodes) if (n.namespace) n.namespace = 'cinema'
  if (story === 'big') grow(10, 40)
  if (story === 'huge') grow(200, 50)
  if (story === 'hostile') spoil()
  if (story === 'one') keepOne()
  const epoch = Math.random().toString(36).slice(2, 10)
  const begun = Date.now()
  const quiet = story === 'quiet'
  const byId = new Map(nodes.map((n) => [n.id, n]))
  const series = new Map(calls.map((c) => [c, Array.from({ length: 60 }, (_, i) => point(c, i / 60))]))

  function point(c, t) {
    const trouble = quiet ? 0.001 : c.errors * (c.errors > 0.01 ? Math.min(1, Math.max(0.02, (t - 0.5) * 8)) : 1)
    const rps = c.rps * noise(0.16)
    return { rps, errors: rps * trouble * noise(0.5) }
  }

  function tick() {
    for (const [c, list] of series) {
      list.shift()
      list.push(point(c, 1))
    }
  }

  function edge(c) {
    const list = series.get(c)
    const last = list.slice(-10)
    const rps = last.reduce((s, p) => s + p.rps, 0) / last.length
    const errors = last.reduce((s, p) => s + p.errors, 0) / last.length
    const ratio = errors / rps
    const state = quiet ? 'ok' : ratio > 0.15 ? 'fail' : ratio > 0.01 || c.warn ? 'warn' : 'ok'
    const byProxy = c.bad === 'proxy' ? 0.75 : 0
    const p95 = quiet ? Math.min(60, c.p95) : c.p95
    const tcp = c.protocol === 'tcp'
    const side = { rps: finite(rps), error_ratio: finite(ratio), p50_ms: tcp ? null : finite(p95 / 3), p95_ms: tcp ? null : finite(p95 * noise()), p99_ms: tcp ? null : finite(p95 * 1.4) }
    const name = c.target.split('/')[1] ?? c.target.split(':')[1]
    const answers = state === 'ok' || c.warn ? [] : c.bad === 'proxy'
      ? [
          { code: 503, flags: 'UO', by: 'proxy', details: 'upstream_reset_before_response_started{overflow}', object: 'DestinationRule booking/payments', rps: finite(errors * 0.54) },
          { code: 504, flags: 'UT', by: 'proxy', details: 'response_timeout', object: 'VirtualService booking/payments', rps: finite(errors * 0.21) },
          { code: 500, flags: '-', by: 'upstream', details: 'via_upstream', object: '', rps: finite(errors * 0.25) },
        ]
      : [{ code: 503, flags: '-', by: 'upstream', details: 'via_upstream', object: '', rps: finite(errors) }]
    return {
      id: `${c.source}>${c.target}:${c.protocol}`, source: c.source, target: c.target, protocol: c.protocol,
      service: c.target === 'unknown' ? undefined : { host: `${byId.get(c.target)?.app ?? name}.svc`, namespace: '', name },
      ...side,
      codes: tcp ? { 0: finite(rps) } : { 200: finite(rps - errors), ...(errors > 0.01 ? { 503: finite(errors * 0.7), 500: finite(errors * 0.3) } : {}) },
      flags: answers.reduce((all, a) => (a.flags === '-' ? all : { ...all, [a.flags]: a.rps }), {}),
      answered_by: { upstream: finite(errors * (1 - byProxy)), proxy: finite(errors * byProxy) },
      answers, attempts_per_request: quiet ? 1 : (c.attempts ?? 1), mirrored: false,
      new_connections_per_s: finite(rps / 100), requests_per_connection: tcp ? null : 100, mtls_ratio: c.mtls ?? 1,
      sent_bytes_per_s: finite(rps * 1100), received_bytes_per_s: finite(rps * 420), active_connections: 8,
      weight: c.weight ? { configured: c.weight, actual: finite(c.weight * noise(0.04)) } : undefined,
      client_side: c.source === 'unknown' ? null : side,
      server_side: c.target.startsWith('external') ? null : { ...side, error_ratio: finite(ratio * (1 - byProxy)), rps: finite(rps - errors * byProxy) },
      health: { state, reasons: state === 'ok' ? [] : [{ code: state === 'fail' ? 'error_ratio' : c.warn ? 'latency' : 'error_ratio', text: c.warn ?? `${(ratio * 100).toFixed(1)} % errors${c.bad === 'proxy' ? ', 75 % answered by the proxy of tickets' : ''}`, since: new Date(begun - 780_000).toISOString() }] },
      rps_series: list.map((p) => finite(p.rps)), error_series: list.map((p) => finite(p.errors)),
    }
  }

  /** Edges by each of their ends. */
  function ends(edges) {
    const known = { into: new Map(), out: new Map() }
    const put = (map, key, e) => (map.has(key) ? map.get(key).push(e) : map.set(key, [e]))
    for (const e of edges) {
      put(known.into, e.target, e)
      put(known.out, e.source, e)
    }
    return known
  }

  function node(n, edges) {
    const traffic = (list) => {
      const rps = list.reduce((s, e) => s + e.rps, 0)
      const errors = list.reduce((s, e) => s + e.rps * e.error_ratio, 0)
      const p95 = Math.max(0, ...list.map((e) => e.p95_ms ?? 0))
      return { rps: finite(rps), error_ratio: rps ? finite(errors / rps) : 0, p50_ms: p95 / 3, p95_ms: p95 || null, p99_ms: p95 * 1.4, sent_bytes_per_s: rps * 900, received_bytes_per_s: rps * 300, active_connections: 4 }
    }
    const into = edges.into.get(n.id) ?? []
    const out = edges.out.get(n.id) ?? []
    const worst = into.some((e) => e.health.state === 'fail') ? 'fail' : [...into, ...out].some((e) => e.health.state !== 'ok') ? 'warn' : 'ok'
    const seriesOf = (list) => Array.from({ length: 60 }, (_, i) => finite(list.reduce((s, e) => s + e.rps_series[i], 0)))
    const reasons = [...into, ...out].flatMap((e) => e.health.reasons)
    const state = n.kind === 'unknown' ? 'unknown' : worst
    return { ...n, config: quiet ? (n.config && { ...n.config, state: 'synced', behind: 0 }) : (n.config ?? (n.meshed ? { state: 'synced', revision: 128, behind: 0, nodes: 2 } : undefined)), health: { state, reasons: state === 'ok' ? [] : reasons }, in: traffic(into), out: traffic(out), rps_series: seriesOf(into.length ? into : out) }
  }

  function graph(params = {}) {
    if (story === 'empty') return { epoch, seq: 1, at: now(), window_s: 30, group: 'workload', nodes: [], edges: [], stale: [], totals: { rps: 0, error_ratio: 0, p95_ms: null }, limits: { edges: 0, edges_max: 30000, dropped: 0 } }
    let edges = calls.map(edge)
    const known = ends(edges)
    let all = nodes.map((n) => node(n, known))
    if (params.group === 'namespace') ({ nodes: all, edges } = rollUp(all, edges))
    let matched
    if (params.q) {
      const words = params.q.toLowerCase()
      const failing = /error|fail|health/.test(words)
      edges = edges.map((e) => ({ ...e, match: failing ? e.health.state === 'fail' : e.id.includes(words) }))
      all = all.map((n) => ({ ...n, match: failing ? n.health.state === 'fail' : n.name.includes(words) }))
      matched = { nodes: all.filter((n) => n.match).length, edges: edges.filter((e) => e.match).length }
    }
    return { epoch, seq: 1, at: now(), window_s: 30, group: params.group ?? 'workload', nodes: all, edges, stale: [], matched, totals: { rps: 642, error_ratio: 0.0127, p95_ms: 212 }, limits: { edges: edges.length, edges_max: 30000, dropped: 0 } }
  }

  /** A past moment: before revision 128 nothing failed, and the canary was not there. */
  function before(g, at) {
    if (Date.parse(at) > begun - 780_000) return { ...g, at }
    const well = (x) => ({ ...x, health: { state: x.health.state === 'unknown' ? 'unknown' : 'ok', reasons: [] } })
    const there = g.nodes.filter((n) => n.name !== 'catalog-v2')
    const ids = new Set(there.map((n) => n.id))
    return { ...g, at, nodes: there.map(well), edges: g.edges.filter((e) => ids.has(e.source) && ids.has(e.target)).map((e) => ({ ...well(e), error_ratio: 0.0004, answers: [] })) }
  }

  function rollUp(all, edges) {
    const of = (nodeID) => {
      const n = all.find((x) => x.id === nodeID)
      return n.namespace ? `namespace:${n.namespace}` : n.id
    }
    const merged = new Map()
    for (const e of edges) {
      const source = of(e.source)
      const target = of(e.target)
      if (source === target) continue
      const key = `${source}>${target}:${e.protocol}`
      if (!merged.has(key)) merged.set(key, { ...e, id: key, source, target, weight: undefined })
    }
    const list = [...merged.values()]
    const known = ends(list)
    const spaces = [...new Set(all.map((n) => of(n.id)))].map((key) => {
      const first = all.find((n) => of(n.id) === key)
      return node({ ...first, id: key, kind: key.startsWith('namespace') ? 'namespace' : first.kind, name: key.split(':')[1] ?? key, config: undefined }, known)
    })
    return { nodes: spaces, edges: list }
  }

  const now = () => new Date().toISOString()

  function timeline({ window = '30m', until }) {
    const seconds = { '5m': 300, '15m': 900, '30m': 1800, '1h': 3600, '3h': 10800, '6h': 21600, '12h': 43200, '1d': 86400 }[window] ?? 1800
    const end = until ? Date.parse(until) : Date.now()
    const step = Math.max(1, Math.round(seconds / 300))
    const n = Math.round(seconds / step)
    const from = end - n * step * 1000
    const start = begun - 780_000
    const at = (i) => from + i * step * 1000
    const errors = Array.from({ length: n }, (_, i) => (story === 'empty' ? 0 : (at(i) > start && !quiet ? Math.min(8, (at(i) - start) / 6000) : 0) + 0.6 + 0.5 * Math.sin(i * 12.9898) ** 2 + (i % 97 === 40 ? 1.8 : 0)))
    const markers = story === 'empty' ? [] : [
      { at: new Date(begun - 1_500_000).toISOString(), kind: 'config', text: 'rev 126', revision: 126 },
      { at: new Date(begun - 1_200_000).toISOString(), kind: 'start', text: 'catalog-v2 seen' },
      { at: new Date(start - 8000).toISOString(), kind: 'config', text: 'rev 128 payments', revision: 128 },
      { at: new Date(start + 40_000).toISOString(), kind: 'alert', text: 'errors over SLO, payments', severity: 'fail' },
    ].filter((m) => Date.parse(m.at) > from && Date.parse(m.at) < end)
    return { from: new Date(from).toISOString(), step_s: step, rps: errors.map(() => 640 * noise()), errors_per_s: errors.map(finite), markers }
  }

  function nodesView() {
    const list = story === 'empty' ? [] : nodes.filter((n) => n.meshed).map((n) => {
      const state = quiet ? 'synced' : (n.config?.state ?? 'synced')
      return { id: `${n.name}-0.${n.namespace}`, workload: n, kind: 'sidecar', build: '0.1.0', state, since: new Date(begun - 780_000).toISOString(), reason: state === 'synced' ? 'runs revision 128' : `refused revision 128`, connected: true, connected_at: new Date(begun - 3_600_000).toISOString(), revision: state === 'synced' ? 128 : 127, behind: state === 'synced' ? 0 : 1, lag_s: state === 'synced' ? 0 : 780, push: { sent_ms: 12, acked_ms: 31, applied_ms: state === 'synced' ? 44 : null }, history: [{ at: new Date(begun - 3_600_000).toISOString(), state: 'synced', revision: 127 }] }
    })
    const synced = list.filter((n) => n.state === 'synced').length
    return { at: now(), epoch, seq: 1, desired: { number: 128, at: new Date(begun - 788_000).toISOString(), by: 'petra', source: 'directory', summary: 'DestinationRule booking/payments', objects: [], hash: '9f3a1c7e' }, summary: { nodes: list.length, synced, by_state: {}, by_revision: list.length === 0 ? [] : quiet ? [{ revision: 128, nodes: synced }] : [{ revision: 128, nodes: synced }, { revision: 127, nodes: list.length - synced, state_note: `${list.length - synced} rejected` }] }, traffic: [{ revision: 128, nodes: synced, rps: 610, error_ratio: 0.031, p95_ms: 41 }, { revision: 127, nodes: list.length - synced, rps: 40, error_ratio: 0.001, p95_ms: 22 }], spread: { revision: 128, accepted_at: now(), sent_ms: [], acked_ms: [], applied_ms: [], waiting: 0 }, nodes: list }
  }

  function overview() {
    const g = graph()
    const bad = g.edges.filter((e) => e.health.state === 'fail' || e.health.state === 'warn')
    const v = nodesView()
    return {
      at: now(),
      window_s: 30, findings: bad.map((e) => ({ severity: e.health.state, text: `${e.source.split('/')[1] ?? e.source} → ${e.target.split('/')[1] ?? e.target}: ${e.health.reasons[0]?.text ?? ''}`, link: `/graph?sel=${encodeURIComponent(e.id)}` })),
      totals: g.totals, namespaces: rest('namespaces', {}).items,
      services: g.nodes.map((n) => ({ id: n.id, namespace: n.namespace, name: n.name, health: n.health, rps: n.in.rps, error_ratio: n.in.error_ratio, p95_ms: n.in.p95_ms, rps_series: n.rps_series })).sort((a, b) => (a.health.state === 'fail' ? -1 : 0) - (b.health.state === 'fail' ? -1 : 0)),
      error_edges: bad.slice(0, 5), objectives: [], coverage: { workloads: 11, meshed: 11, unmeshed: [], not_held: [] },
      convergence: { revision: 128, nodes: v.summary.nodes, synced: v.summary.synced, applied_p50_ms: 44, applied_p99_ms: 61, not_synced: v.nodes.filter((n) => n.state !== 'synced').map((n) => ({ id: n.id, state: n.state, reason: n.reason })) },
      cost: { proxies: v.summary.nodes, cpu_cores: 0.21, memory_bytes: 231e6, added_p50_ms: 0.4, added_p99_ms: 1.9, cpu_us_per_request: 92 },
    }
  }

  function alerts() {
    const ago = (s) => new Date(Date.now() - s * 1000).toISOString()
    const one = (alert, rule, severity, state, summary, about, detail, since, over) => ({ id: alert, rule, group: 'sidelight-config-sync', state, severity, summary, description: `${summary}. What it had runs on.`, runbook: 'docs/config-sync.md', detail, about, labels: { alertname: rule, severity }, annotations: {}, value: 1, active_at: ago(since), ...(state === 'pending' ? {} : { fired_at: ago(since - 15) }), ...(over ? { resolved_at: ago(over) } : {}) })
    const list = quiet || story === 'empty' ? [] : [
      one('1', 'SidelightNodeConfigRejected', 'critical', 'firing', 'payments-0.booking refused the desired configuration', { kind: 'node', id: 'payments-0.booking' }, 'rejected: refused listener inbound_127.0.0.1:15006: field use_original_dst is not supported by this build; revision 127 runs on', 780),
      one('2', 'SidelightServiceFails', 'critical', 'firing', '21% of requests to payments.booking.svc.cluster.local fail', { kind: 'service', id: 'payments.booking.svc.cluster.local' }, undefined, 410),
      one('3', 'SidelightConfigConvergenceSlow', 'warning', 'firing', 'a configuration change is not on all nodes after 13m 0s', null, undefined, 750),
      one('4', 'SidelightNodeDisconnected', 'warning', 'pending', 'seats-2.booking has no connection to the control plane', { kind: 'node', id: 'seats-2.booking' }, 'disconnected: disconnected for 31 s (EOF); last known to run revision 127', 31),
    ]
    const rule = (name, severity, for_s, state = 'inactive') => ({ name, group: 'sidelight-config-sync', file: 'builtin:config-sync.yaml', query: 'sidelight_config_node_state == 1', for_s, severity, state, evaluated_at: now() })
    return {
      at: now(), counts: { firing: list.filter((a) => a.state === 'firing').length, critical: list.filter((a) => a.severity === 'critical').length, pending: list.filter((a) => a.state === 'pending').length },
      alerts: list, past: story === 'empty' ? [] : [one('5', 'SidelightNodeConfigStale', 'warning', 'resolved', 'web-0.front does not take the desired configuration', { kind: 'node', id: 'web-0.front' }, undefined, 9000, 8700)],
      rules: [rule('SidelightNodeConfigRejected', 'critical', 0, list.length ? 'firing' : 'inactive'), rule('SidelightNodeConfigStale', 'warning', 15), rule('SidelightNodeDisconnected', 'warning', 60, list.length ? 'pending' : 'inactive'), rule('SidelightNodeConfigDrifted', 'critical', 0)],
      receivers: list.length ? [{ kind: 'alertmanager', name: '10.0.0.7:9093', sent: 41, dropped: 0, waiting: 0, last_sent_at: now() }, { kind: 'webhook', name: 'hooks.example.com', sent: 3, dropped: 0, waiting: 2, error: 'notify hooks.example.com: it answered 503 Service Unavailable: ""' }] : [], problems: [],
    }
  }

  function traces() {
    const one = (i, errors, ms) => ({ trace_id: `a41f${i}77be09c2${i}`.padEnd(32, '0'), service: 'web', operation: 'POST /buy', start: new Date(Date.now() - i * 4000).toISOString(), duration_ms: ms, spans: 9 + i, errors, status: errors ? 503 : 200, services: [{ name: 'web', spans: 2, errors: 0 }, { name: 'tickets', spans: 4, errors }, { name: 'payments', spans: 3, errors: 0 }] })
    return { traces: story === 'empty' ? [] : [one(1, 3, 4060), one(2, 1, 2510), one(3, 0, 1860), one(4, 0, 412)], total_scanned: 114, complete: true }
  }

  function rest(path, query) {
    if (path === 'graph') return query.at ? before(graph({ ...query, q: query.q }), query.at) : graph({ ...query, q: query.q })
    if (path === 'overview') return overview()
    if (path === 'timeline') return timeline(query)
    if (path === 'nodes') return nodesView()
    if (path === 'traces') return traces()
    if (path === 'traces/propagation') return { from: now(), to: now(), traces: 0, workloads: [] }
    if (path === 'namespaces') return { at: now(), items: story === 'empty' ? [] : ['booking', 'catalog', 'front'].map((name) => ({ name, health: { state: name === 'booking' && !quiet ? 'fail' : 'ok', reasons: [] }, workloads: 4, meshed: 4, rps: 300, error_ratio: 0.01 })) }
    if (path === 'workloads') return { at: now(), items: graph().nodes }
    if (path === 'services') return { at: now(), items: [] }
    if (path === 'status') return { version: '0.1.0', started_at: new Date(begun).toISOString(), uptime_s: 10, mode: 'all', counts: { nodes_synced: 8, dropped: 0 }, losses: [], targets: [] }
    if (path === 'config/revisions') return { revisions: [] }
    return undefined
  }

  let tapSeq = 0
  /** So many requests that just ended: mostly well, some as the story goes. */
  function tapped(n) {
    const events = Array.from({ length: story === 'empty' ? 0 : n }, () => {
      const failed = !quiet && Math.random() < 0.2
      const seq = ++tapSeq
      return {
        seq, at: now(), node: 'tickets-0.booking', direction: 'outbound', source: { namespace: 'booking', name: 'tickets' }, destination: { namespace: 'booking', name: 'payments' },
        service: { host: 'payments.booking.svc.cluster.local', namespace: 'booking', name: 'payments' }, protocol: 'http', method: 'POST', authority: 'payments.booking:8080', path: `/v1/charges/${seq}`,
        status: failed ? 503 : 201, flags: failed ? 'UO' : '-', answered_by: failed ? 'proxy' : 'upstream', details: failed ? 'upstream_reset_before_response_started{overflow}' : 'via_upstream',
        route: 'default', route_object: 'VirtualService booking/payments', cluster: 'outbound|8080||payments.booking.svc.cluster.local', revision: 128,
        attempts: [{ endpoint: '10.2.6.3:8080', start_ms: 0, duration_ms: 12, status: failed ? 503 : 201, flags: '-' }],
        duration_ms: finite(4 + Math.random() * 60), first_byte_ms: 3, proxy_ms: 0.4, request_bytes: 1104, response_bytes: 240, trace_id: seq.toString(16).padStart(32, 'a'), span_id: '', tls: 'mutual_tls',
      }
    })
    return { events, ledger: { matched: tapSeq, delivered: tapSeq, sampled_out: 0, dropped_sidecar: 0, dropped_server: 0, dropped_socket: 0 }, sidecars: 3 }
  }

  return {
    epoch, now, tick, rest,
    check: (_channel, params) => (params?.q?.endsWith('(') ? { code: 'invalid', message: 'at the end: an expression is missing', hint: 'close the parenthesis' } : null),
    snapshot: (channel, params) => (channel === 'graph' ? graph(params) : channel === 'nodes' ? nodesView() : channel === 'overview' ? overview() : channel === 'alerts' ? alerts() : {}),
    delta: (channel, params) => {
      if (channel === 'graph') {
        const g = graph(params)
        // Of a large mesh not everything changes each second.
        if (story === 'huge') Object.assign(g, { nodes: g.nodes.slice(0, 100), edges: g.edges.slice(0, 100) })
        return { nodes: g.nodes, edges: g.edges, gone_nodes: [], gone_edges: [], stale: g.stale, totals: g.totals, window_s: 30, matched: g.matched }
      }
      if (channel === 'nodes') {
        const v = nodesView()
        return { nodes: [], gone: [], desired: v.desired, summary: v.summary, spread: v.spread, traffic: v.traffic }
      }
      if (channel === 'overview') return overview()
      if (channel === 'alerts') return alerts()
      return undefined
    },
    tapped,
  }
}
