import { Link } from '@tanstack/react-router'
import type { ReactNode } from 'react'
import { useComparison } from '@/api/traces'
import type { ComparedGroup, Comparison, OperationDifference, ValueDifference } from '@/api/types'
import { duration, percent, plural, text } from '@/lib/format'
import { Skeleton } from '@/ui/Skeleton'
import { tableClass } from '@/ui/Table'
import { Trouble } from '@/ui/Trouble'
import { sideInWords } from './compare'
import type { Sides } from './compare'
import styles from './ComparePage.module.css'

/** What differs between two traces or two groups of them. */
export function ComparePage({ sides }: { sides: Sides }) {
  const { data, error, refetch } = useComparison(sides)
  return (
    <>
      <nav className={styles.crumb} aria-label="Where this is">
        <Link to="/traces/{-$traceId}" params={{ traceId: undefined }} search={((s: object) => ({ ...s, a: '', b: '' })) as never}>
          Traces
        </Link>
        <span className="t3">/</span>
        <span className="t2">compare</span>
      </nav>
      {error && !data ? (
        <Trouble title="These traces cannot be compared" error={error} retry={refetch} />
      ) : data ? (
        <Compared of={data} sides={sides} />
      ) : (
        <Skeleton rows={12} label="Comparing traces" />
      )}
    </>
  )
}

function Compared({ of: c, sides }: { of: Comparison; sides: Sides }) {
  const most = Math.max(0.001, ...c.operations.map((o) => Math.abs(o.delta_ms)))
  const operations = c.operations.filter((o) => Math.abs(o.delta_ms) >= most / 200 || o.a.spans_per_trace !== o.b.spans_per_trace)
  return (
    <div className={styles.body}>
      <h1 className={styles.finding}>{c.finding}.</h1>
      <div className={styles.sides}>
        <Side name="A" what={sides.a} group={c.a} />
        <Side name="B" what={sides.b} group={c.b} />
      </div>
      <Part title="Where the time differs" note="own time a trace, B less A" none={operations.length === 0 ? 'Each operation takes as long on both sides.' : ''}>
        <table className={tableClass}>
          <thead>
            <tr>
              <th scope="col">Service, operation</th>
              <th scope="col" data-num>A</th>
              <th scope="col" data-num>B</th>
              <th scope="col">Less ← → more</th>
              <th scope="col" data-num>Spans a trace</th>
              <th scope="col" data-num>Errors</th>
            </tr>
          </thead>
          <tbody>
            {operations.slice(0, 25).map((o) => (
              <Operation key={`${o.service} ${o.operation} ${o.kind} ${o.role}`} of={o} most={most} />
            ))}
          </tbody>
        </table>
      </Part>
      <Part title="What one side has and the other has not" note="share of its traces" none={c.values.length === 0 ? 'No endpoint, version, revision or attribute tells the two apart.' : ''}>
        <table className={tableClass}>
          <thead>
            <tr>
              <th scope="col">Service</th>
              <th scope="col">Attribute</th>
              <th scope="col">Value</th>
              <th scope="col">A</th>
              <th scope="col">B</th>
            </tr>
          </thead>
          <tbody>
            {c.values.map((v) => (
              <Value key={`${v.service} ${v.key} ${v.value}`} of={v} />
            ))}
          </tbody>
        </table>
      </Part>
    </div>
  )
}

function Side({ name, what, group: g }: { name: 'A' | 'B'; what: string; group: ComparedGroup }) {
  return (
    <section className={styles.side} data-side={name} aria-label={`Side ${name}`}>
      <b>{name}</b>
      <span>
        <span className="strong">{sideInWords(what)}</span>
        <br />
        <span className="t2">
          {plural(g.traces, 'trace')}, {g.failed} failed; mean {text(duration(g.mean_ms))}, p50 {text(duration(g.p50_ms))}, p95 {text(duration(g.p95_ms))}
        </span>
      </span>
    </section>
  )
}

function Part({ title, note, none, children }: { title: string; note: string; none: string; children: ReactNode }) {
  return (
    <section className={styles.part}>
      <h2>
        {title} <span className="t3">{note}</span>
      </h2>
      {none ? <p className="t2">{none}</p> : <div className={styles.scroll}>{children}</div>}
    </section>
  )
}

const shares = (o: OperationDifference) => [o.a.spans_per_trace, o.b.spans_per_trace].map((n) => (n === 0 ? 'none' : String(Math.round(n * 100) / 100)))

function Operation({ of: o, most }: { of: OperationDifference; most: number }) {
  const [a, b] = shares(o)
  const width = (Math.abs(o.delta_ms) / most) * 50
  const errors = o.a.error_ratio > 0 || o.b.error_ratio > 0
  return (
    <tr>
      <td>
        <b className="strong">{o.service}</b> <span className="t2">{o.operation}</span> {o.role ? <small className="t3">{o.role}</small> : null}
      </td>
      <td data-num>{text(duration(o.a.own_ms))}</td>
      <td data-num>{text(duration(o.b.own_ms))}</td>
      <td>
        <span className={styles.delta} title={`${o.delta_ms < 0 ? '−' : '+'}${text(duration(Math.abs(o.delta_ms)))}`}>
          <i data-more={o.delta_ms > 0 || undefined} style={{ width: `${width}%`, [o.delta_ms > 0 ? 'left' : 'right']: '50%' }} />
        </span>
      </td>
      <td data-num>{a === b ? a : <b className="strong">{`${a} → ${b}`}</b>}</td>
      <td data-num className={o.b.error_ratio > o.a.error_ratio ? 'fail-t' : 't2'}>
        {errors ? `${text(percent(o.a.error_ratio))} → ${text(percent(o.b.error_ratio))}` : ''}
      </td>
    </tr>
  )
}

function Value({ of: v }: { of: ValueDifference }) {
  return (
    <tr>
      <td>
        <b className="strong">{v.service}</b>
      </td>
      <td className="t2">{v.key}</td>
      <td className="mono">{v.value}</td>
      <Ratio side="A" of={v.a_ratio} />
      <Ratio side="B" of={v.b_ratio} />
    </tr>
  )
}

function Ratio({ side, of }: { side: 'A' | 'B'; of: number }) {
  return (
    <td>
      <span className={styles.ratio}>
        <i data-side={side} style={{ width: `${of * 100}%` }} />
        <span>{Math.round(of * 100)} %</span>
      </span>
    </td>
  )
}
