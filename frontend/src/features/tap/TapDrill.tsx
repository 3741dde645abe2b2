import { Link } from '@tanstack/react-router'
import { useLayoutEffect } from 'react'
import type { TapEvent, TapHeader } from '@/api/types'
import { buttonClass } from '@/ui/Button'
import { useHeight } from '@/ui/charts/measure'
import { bytes, count, text } from '@/lib/format'
import { attemptAxis } from './attempts'
import { AttemptChart } from './AttemptChart'
import { CopyButton } from './CopyButton'
import { cliCommand, curlCommand } from './export'
import { askedOf, edgeOf, flagsOf, healthOf, statusWord } from './look'
import styles from './TapDrill.module.css'
import { Path } from './TapRow'

/** One request opened: its attempts on one axis, its header fields, and how to repeat it. */
export function TapDrill({ event: e, filter, onHeight }: { event: TapEvent; filter: string; onHeight: (px: number) => void }) {
  const axis = attemptAxis(e)
  const [ref, height] = useHeight<HTMLDivElement>()
  useLayoutEffect(() => onHeight(height), [onHeight, height])
  return (
    <div ref={ref} className={styles.drill}>
      <section>
        <header>
          <h3>{axis.finding}</h3>
          {e.route_object ? (
            <span className={styles.note}>
              set by <b>{e.route_object}</b>
              {e.revision ? `, rev ${count(e.revision)}` : ''}
            </span>
          ) : null}
        </header>
        <AttemptChart axis={axis} failed={healthOf(e) === 'fail'} />
        <Facts event={e} />
      </section>
      <section>
        <Headers event={e} />
      </section>
      <section>
        <Repeat event={e} filter={filter} />
      </section>
    </div>
  )
}

function Facts({ event: e }: { event: TapEvent }) {
  const facts = [
    e.details ? `details: ${e.details}` : '',
    e.route ? `route ${e.route}` : '',
    e.cluster ? `cluster ${e.cluster}` : '',
    `own share of the proxy ${e.proxy_ms < 0.1 ? '< 0.1' : e.proxy_ms.toFixed(1)}\u2009ms`,
    e.tls === 'mutual_tls' ? 'mTLS' : 'no mTLS',
    `seen ${e.direction} by ${e.node}`,
  ].filter(Boolean)
  return <p className={styles.facts}>{facts.join(', ')}</p>
}

function Headers({ event: e }: { event: TapEvent }) {
  const asked = (e.request_headers?.length ?? 0) + (e.response_headers?.length ?? 0) > 0
  return (
    <>
      <div className={styles.fields}>
        <h4>Request</h4>
        <dl>
          {e.protocol === 'tcp' ? null : (
            <>
              <dt>:method</dt>
              <dd>{e.method}</dd>
              <dt>:authority</dt>
              <dd>{e.authority}</dd>
              <dt>:path</dt>
              <dd title={e.path}>
                <Path path={e.path ?? ''} />
              </dd>
            </>
          )}
          <Fields of={e.request_headers} />
        </dl>
        <h4>Response, {text(bytes(e.response_bytes))}</h4>
        <dl>
          <dt>{e.protocol === 'tcp' ? 'end' : ':status'}</dt>
          <dd className={healthOf(e) === 'fail' ? 'fail-t' : undefined}>
            {statusWord(e)} {flagsOf(e)}
          </dd>
          <Fields of={e.response_headers} />
        </dl>
      </div>
      <p className="t3 t11">{asked || e.protocol === 'tcp' ? 'Bodies are never captured.' : 'Header fields were not asked for: choose “With header fields” above. Bodies are never captured.'}</p>
    </>
  )
}

function Fields({ of }: { of: readonly TapHeader[] | undefined }) {
  return (of ?? [])
    .filter((h) => !h.name.startsWith(':'))
    .map((h, i) => [
      <dt key={`n${i}`} title={h.name}>
        {h.name}
      </dt>,
      <dd key={`v${i}`} title={h.redacted ? 'redacted at the sidecar' : h.value}>
        {h.redacted ? (
          <>
            <span className={styles.block} style={{ width: Math.min(120, 20 + (h.bytes ?? 0) / 8) }} />
            <span className="t3"> {text(bytes(h.bytes ?? 0))} redacted</span>
          </>
        ) : (
          h.value
        )}
      </dd>,
    ])
}

function Repeat({ event: e, filter }: { event: TapEvent; filter: string }) {
  const cli = e.trace_id ? cliCommand(`trace = ${e.trace_id}`, 50, false) : cliCommand(filter || 'error', 50, false)
  const curl = curlCommand(e)
  const asked = askedOf(e)
  return (
    <>
      <header>
        <h3>CLI</h3>
        <span className={styles.note}>
          <CopyButton plain label="copy" text={() => cli} />
        </span>
      </header>
      <pre className={styles.code}>{cli}</pre>
      {e.protocol === 'http' ? (
        <>
          <header>
            <h3>curl</h3>
            <span className={styles.note}>
              <CopyButton plain label="copy" text={() => curl} />
            </span>
          </header>
          <pre className={styles.code}>{curl}</pre>
        </>
      ) : null}
      <p className={styles.actions}>
        {e.trace_id ? (
          <Link className={buttonClass('line', true)} to="/traces/{-$traceId}" params={{ traceId: e.trace_id }}>
            Open trace
          </Link>
        ) : null}
        {asked ? (
          <Link className={buttonClass('line', true)} to="/config/$" params={{ _splat: 'explain' }} search={asked as never}>
            Explain
          </Link>
        ) : null}
        <Link className={buttonClass('line', true)} to="/graph" search={{ sel: edgeOf(e) } as never}>
          Show edge
        </Link>
      </p>
    </>
  )
}
