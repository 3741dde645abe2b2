import { Link } from '@tanstack/react-router'
import type { ReactNode } from 'react'
import { IconButton, buttonClass } from '@/ui/Button'
import { Chip } from '@/ui/Chip'
import { HealthGlyph } from '@/ui/Health'
import { Section } from '@/ui/Panel'
import { count, duration, text } from '@/lib/format'
import { messageOf, saidDetails, statusOf, targetOf } from './finding'
import styles from './SpanPanel.module.css'
import { ancestry, attribute, CRITICAL, ERROR, ORIGIN } from './tree'
import type { SpanTree } from './tree'

type SpanPanelProps = { tree: SpanTree; index: number; traceId: string; onSelect: (index: number | null) => void }

/** One span: what it did, what it took, what the sidecar said, all it carries. */
export function SpanPanel({ tree, index, traceId, onSelect }: SpanPanelProps) {
  const s = tree.spans[index]!
  const flags = tree.flags[index]!
  const failed = (flags & ERROR) !== 0
  const path = ancestry(tree, index)
  return (
    <aside className={styles.panel} aria-label="Span">
      <header className={styles.head}>
        {failed ? <HealthGlyph state={flags & ORIGIN ? 'fail' : 'warn'} /> : null}
        <h2 className="cut">
          {s.service} <span className="t2">{s.operation}</span>
        </h2>
        <IconButton icon="close" label="Close" size={24} onClick={() => onSelect(null)} />
      </header>
      <div className={styles.body}>
        <Section>
          <p className={styles.finding}>{verdict(tree, index)}</p>
          <p className={styles.chips}>
            <Chip>{s.kind}</Chip>
            {flags & CRITICAL ? <Chip>on the critical path</Chip> : null}
            {flags & ORIGIN ? <Chip kind="fail">failed here first</Chip> : failed ? <Chip kind="warn">passed the failure on</Chip> : null}
          </p>
        </Section>
        <Said tree={tree} index={index} />
        {s.events.length > 0 ? (
          <Section title="Events" note={String(s.events.length)}>
            {s.events.map((e, i) => (
              <div key={i} className={styles.event}>
                <span className="t3 num">{text(duration(e.at_us / 1000))}</span>
                <b>{e.name}</b>
                {e.attributes.length > 0 ? <Pairs of={e.attributes.map((a) => [a.key, a.value])} /> : null}
              </div>
            ))}
          </Section>
        ) : null}
        <Section title="Attributes" note={String(s.attributes.length)}>
          <Pairs of={s.attributes.map((a) => [a.key, a.value])} />
        </Section>
        <Section title="Path" note={`depth ${s.depth}`}>
          <ol className={styles.path}>
            {path.map((i) => (
              <li key={i}>
                <button type="button" className={i === index ? 'strong' : 'info-t'} onClick={() => onSelect(i)}>
                  {tree.spans[i]!.service} {tree.spans[i]!.operation}
                </button>
              </li>
            ))}
          </ol>
          <Pairs of={[['span', s.span_id], ['parent', s.parent_id || 'none'], ['workload', s.workload || 'not told']]} />
        </Section>
      </div>
      <Actions tree={tree} index={index} traceId={traceId} />
    </aside>
  )
}

function verdict(tree: SpanTree, index: number): string {
  const s = tree.spans[index]!
  const own = s.duration_us > 0 ? Math.round((s.self_us / s.duration_us) * 100) : 0
  const share = Math.round((s.duration_us / tree.duration_us) * 100)
  return `${text(duration(s.duration_us / 1000))}, ${share} % of the trace, begun ${text(duration(s.start_us / 1000))} in. ${own} % of it was its own time.`
}

/** What the sidecar says of the call: who answered, why, by which object. */
function Said({ tree, index }: { tree: SpanTree; index: number }) {
  const s = tree.spans[index]!
  const get = (key: string) => attribute(s, key)
  if (!get('sidelight.reporter')) return s.message ? <Section title="Message"><p className="fail-t">{s.message}</p></Section> : null
  const flags = get('sidelight.flags')
  const rows: [string, ReactNode][] = []
  const code = statusOf(s)
  if (code) rows.push(['Answer', <b key="c" className={tree.flags[index]! & ERROR ? 'fail-t' : undefined}>{[code, flags === '-' ? '' : flags].filter(Boolean).join(' ')}</b>])
  const by = get('sidelight.answered_by')
  if (by) rows.push(['Answered by', by === 'proxy' ? `the proxy of ${s.service}` : targetOf(s) || 'the service'])
  const why = saidDetails(s) || messageOf(s)
  if (why) rows.push(['Because', why])
  if (get('sidelight.object')) rows.push(['Set by', get('sidelight.object')])
  if (get('sidelight.revision')) rows.push(['Revision', count(Number(get('sidelight.revision')))])
  if (get('sidelight.attempts')) rows.push(['Attempts', get('sidelight.attempts')])
  if (get('server.address')) rows.push(['Endpoint', <span key="e" className="mono">{get('server.address')}</span>])
  if (rows.length === 0) return null
  return (
    <Section title="What the sidecar saw" note={get('sidelight.node')}>
      <dl className={styles.said}>
        {rows.map(([k, v]) => (
          <div key={k}>
            <dt>{k}</dt>
            <dd>{v}</dd>
          </div>
        ))}
      </dl>
    </Section>
  )
}

function Pairs({ of }: { of: readonly (readonly [string, string])[] }) {
  return (
    <dl className={styles.pairs}>
      {of.map(([k, v]) => (
        <div key={k}>
          <dt title={k}>{k}</dt>
          <dd>{v}</dd>
        </div>
      ))}
    </dl>
  )
}

const isOutside = (host: string | undefined) => Boolean(host) && !host!.endsWith('.svc.cluster.local')

function Actions({ tree, index, traceId }: { tree: SpanTree; index: number; traceId: string }) {
  const s = tree.spans[index]!
  // A try is part of its call, which knows the ends.
  const call = s.role === 'attempt' || s.role === 'hedge' ? (tree.spans[tree.parent[index]!] ?? s) : s
  const get = (key: string) => attribute(s, key) ?? attribute(call, key)
  const source = get('sidelight.source')
  const target = get('sidelight.destination')
  const protocol = get('rpc.grpc.status_code') === undefined ? 'http' : 'grpc'
  const side = (w: string) => (w !== 'unknown' ? `workload:${w}` : isOutside(get('sidelight.service')) ? `external:${get('sidelight.service')}` : w)
  return (
    <footer className={styles.actions}>
      {source && target ? (
        <>
          <Link className={buttonClass('line', true)} to="/graph" search={{ sel: `${side(source)}>${side(target)}:${protocol}` } as never}>
            Show edge
          </Link>
          <Link className={buttonClass('line', true)} to="/tap" search={{ q: target === 'unknown' ? `from = ${source} and service = ${get('sidelight.service') ?? 'unknown'}` : `from = ${source} and to = ${target}` } as never}>
            Tap this edge
          </Link>
        </>
      ) : s.workload ? (
        <Link className={buttonClass('line', true)} to="/tap" search={{ q: `workload = ${s.workload}` } as never}>
          Tap this workload
        </Link>
      ) : null}
      <Link className={buttonClass('line', true)} to="/tap" search={{ q: `trace = ${traceId}` } as never}>
        Tap this trace
      </Link>
    </footer>
  )
}
