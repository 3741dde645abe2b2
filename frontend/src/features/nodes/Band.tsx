import type { ReactNode } from 'react'
import type { NodeState, NodesView, Revision, RevisionTraffic } from '@/api/types'
import { ChipButton } from '@/ui/Chip'
import { clock } from '@/lib/time'
import { cx } from '@/lib/cx'
import { count, duration, percent, plural, text } from '@/lib/format'
import styles from './Band.module.css'
import { SpreadChart } from './SpreadChart'
import { STATE_ORDER, STATES } from './states'

type BandProps = {
  view: NodesView
  now: number
  finding: ReactNode
  state: NodeState | undefined
  onState: (state: NodeState | undefined) => void
  onRevision: (revision: number) => void
}

/** The answer to "who runs what": how many, how fast, and what the rest run. */
export function Band({ view, now, finding, state, onState, onRevision }: BandProps) {
  return (
    <div className={styles.band}>
      <Desired view={view} finding={finding} state={state} onState={onState} />
      <section>
        <header>
          <h2>{view.spread.revision ? `How rev ${count(view.spread.revision)} spread` : 'How a revision spreads'}</h2>
          <span className={styles.note}>seconds after it was accepted, log</span>
        </header>
        <SpreadChart spread={view.spread} now={now} />
      </section>
      <section>
        <header>
          <h2>What nodes run</h2>
          <span className={styles.note}>{plural(view.summary.nodes, 'node')}</span>
        </header>
        <Runs view={view} onRevision={onRevision} />
      </section>
    </div>
  )
}

function Desired({ view, finding, state, onState }: Pick<BandProps, 'view' | 'finding' | 'state' | 'onState'>) {
  const { desired, summary } = view
  const share = summary.nodes ? summary.synced / summary.nodes : 1
  const odd = STATE_ORDER.filter((s) => s !== 'synced' && (summary.by_state[s] ?? 0) > 0)
  return (
    <section>
      <header>
        <h2>{desired ? `Desired: rev ${count(desired.number)}` : 'No configuration yet'}</h2>
        {desired ? <span className="mono t3">{desired.hash.slice(0, 8)}</span> : null}
      </header>
      <p className={styles.who}>{desired ? origin(desired) : 'The first accepted object makes revision 1.'}</p>
      <div className={styles.big}>
        <b>
          {share === 1 ? '100' : Math.min(99.9, share * 100).toFixed(1)}
          <span>{'\u2009%'}</span>
        </b>
        <p className="t2">{finding}</p>
      </div>
      <div className={styles.states} role="group" aria-label="Show nodes by state">
        {odd.map((s) => (
          <ChipButton key={s} kind={chipKind[STATES[s].health]} pressed={state === s} onClick={() => onState(state === s ? undefined : s)}>
            {count(summary.by_state[s] ?? 0)} {STATES[s].word.replace(', no ACK', '')}
          </ChipButton>
        ))}
      </div>
    </section>
  )
}

const chipKind = { ok: 'plain', warn: 'warn', fail: 'fail', idle: 'plain', unknown: 'plain' } as const

function origin(r: Revision): string {
  const one = r.objects[0]
  const what = r.summary || (one ? `${one.kind} ${one.namespace}/${one.name}` : '')
  const more = !r.summary && r.objects.length > 1 ? ` and ${r.objects.length - 1} more` : ''
  return [r.by || r.source, clock(r.at), what + more].filter(Boolean).join(', ')
}

function Runs({ view, onRevision }: Pick<BandProps, 'view' | 'onRevision'>) {
  const desired = view.desired?.number ?? 0
  const rows = view.summary.by_revision
  const shown = rows.length > 5 ? rows.slice(0, 4) : rows
  const rest = rows.slice(shown.length)
  const most = Math.max(1, ...rows.map((r) => r.nodes))
  const traffic = new Map((view.traffic ?? []).filter((t) => t.rps > 0).map((t) => [t.revision, t]))
  const least = Math.min(...[...traffic.values()].map((t) => t.error_ratio))
  return (
    <ul className={styles.runs}>
      {shown.map((r) => (
        <li key={`${r.revision} ${r.state_note ?? ''}`}>
          <button type="button" data-on={r.revision === desired && !r.state_note ? true : undefined} onClick={() => onRevision(r.revision)}>
            <span className="cut">{r.revision ? `rev ${count(r.revision)}` : 'none'}</span>
            <span className={styles.bar}>
              <i style={{ width: `${Math.max(1.5, (r.nodes / most) * 100)}%`, background: barColour(r, desired) }} />
              <span className="cut">{r.state_note ?? behindNote(r.revision, desired)}</span>
              <Handles traffic={traffic.get(r.revision)} least={least} />
            </span>
            <span className="num">{count(r.nodes)}</span>
          </button>
        </li>
      ))}
      {rest.length > 0 ? (
        <li className={styles.rest}>
          {count(rest.reduce((n, r) => n + r.nodes, 0))} more on {plural(rest.length, 'older revision')}
        </li>
      ) : null}
    </ul>
  )
}

/** How nodes at a revision do: errors stand out when they are a point above the best revision's. */
function Handles({ traffic, least }: { traffic: RevisionTraffic | undefined; least: number }) {
  if (!traffic) return null
  const errors = text(percent(traffic.error_ratio))
  const p95 = traffic.p95_ms === null ? '' : `, p95 ${text(duration(traffic.p95_ms))}`
  return (
    <span className={cx(styles.handles, traffic.error_ratio > least + 0.01 && 'fail-t')} title={`${errors} of requests fail${p95}, on ${plural(traffic.nodes, 'connected node')}, in the last minute`}>
      {errors} errors
    </span>
  )
}

function barColour(r: { revision: number; state_note?: string }, desired: number): string {
  if (r.revision === 0) return 'var(--idle)'
  // Without a note nothing keeps these nodes back: what came later did not concern them.
  return r.state_note && (r.revision !== desired || /drift|reject/.test(r.state_note)) ? 'var(--warn)' : 'var(--ok-quiet)'
}

const behindNote = (revision: number, desired: number) =>
  revision === 0 ? 'never connected' : revision < desired ? `${count(desired - revision)} before it` : ''
