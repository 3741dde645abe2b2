import { Link } from '@tanstack/react-router'
import type { TapEvent } from '@/api/types'
import { HealthGlyph } from '@/ui/Health'
import { Icon } from '@/ui/Icon'
import { cx } from '@/lib/cx'
import { bytes, duration, text } from '@/lib/format'
import { clockMs } from '@/lib/time'
import { flagsOf, healthOf, pathParts, sideName, statusWord, targetName, why } from './look'
import styles from './TapList.module.css'

/** One request and its response, in one line. */
export function TapRow({ event: e, open, scale }: { event: TapEvent; open: boolean; scale: number }) {
  const health = healthOf(e)
  const d = duration(e.duration_ms)
  const timedOut = /UT|SI/.test(e.flags)
  return (
    <>
      <span className="t3" role="gridcell">
        <Icon name={open ? 'down' : 'right'} size={12} />
      </span>
      <span role="gridcell" data-col="time" className="t2">
        {clockMs(e.at)}
      </span>
      <span role="gridcell" data-col="sides" className={cx('cut', styles.sides)} title={`${e.source.namespace}/${sideName(e.source)} → ${e.destination.namespace}/${targetName(e)}, seen by ${e.node}`}>
        <span data-saw={e.direction === 'outbound' || undefined}>{sideName(e.source)}</span>
        <span className={styles.arrow}>→</span>
        <span data-saw={e.direction === 'inbound' || undefined}>{targetName(e)}</span>
      </span>
      <span role="gridcell" data-col="request" className="cut" title={`${e.method ?? ''} ${e.path ?? ''}`}>
        <span className={styles.method}>{e.protocol === 'tcp' ? 'TCP' : e.method}</span>
        {e.protocol === 'tcp' ? (e.authority ?? '') : <Path path={e.path ?? ''} />}
      </span>
      <span role="gridcell" data-col="status" className={styles.status}>
        <HealthGlyph state={health} size={12} decorative />
        <b className={health === 'fail' ? 'fail-t' : health === 'warn' ? 'warn-t' : undefined}>{statusWord(e)}</b>
        <span className="t2">{flagsOf(e)}</span>
      </span>
      <span role="gridcell" data-col="by" className="cut" title={e.details}>
        {e.answered_by === 'proxy' ? <b className={styles.proxy}>proxy</b> : <span className="t2">service</span>}
        <span className="t3"> {why(e)}</span>
      </span>
      <span role="gridcell" data-col="attempts">
        <Attempts event={e} />
      </span>
      <span role="gridcell" data-col="duration" className={styles.duration}>
        <span className="num">
          {d.value}
          <span className="u">{d.unit}</span>
        </span>
        <i style={{ width: `${Math.max(1, (e.duration_ms / scale) * 100)}%` }} data-late={timedOut || undefined} />
      </span>
      <span role="gridcell" data-col="size" className="num t2">
        {text(bytes(e.request_bytes))}, {text(bytes(e.response_bytes))}
      </span>
      <span role="gridcell" data-col="trace" className="num mono">
        {e.trace_id ? (
          <Link tabIndex={-1} to="/traces/{-$traceId}" params={{ traceId: e.trace_id }} onClick={(c) => c.stopPropagation()}>
            {shortTrace(e.trace_id)}
          </Link>
        ) : (
          <span className="t3">none</span>
        )}
      </span>
    </>
  )
}

const shortTrace = (id: string) => (id.length > 10 ? `${id.slice(0, 4)}…${id.slice(-4)}` : id)

export function Path({ path }: { path: string }) {
  return pathParts(path).map((p, i) =>
    p.kind === 'hidden' ? (
      <span key={i} className={styles.hidden} style={{ width: Math.min(64, 12 + p.text.length * 4) }} title={`hashed by the sidecar: ${p.text}; equal values give equal hashes`} />
    ) : (
      <span key={i} className={p.kind === 'query' ? 't3' : undefined}>
        {p.text}
      </span>
    ),
  )
}

/** One small square per attempt: filled when it was answered, hollow when it failed. */
function Attempts({ event: e }: { event: TapEvent }) {
  const n = e.attempts.length
  if (n === 0) return <span className="t3 t11">none</span>
  return (
    <span className={styles.attempts} title={`${n} attempt${n === 1 ? '' : 's'}`}>
      {e.attempts.slice(0, 6).map((a, i) => (
        <i key={i} data-ok={(a.status > 0 && a.status < 500 && (a.flags === '-' || a.flags === '')) || (e.protocol === 'tcp' && a.flags === '-') || undefined} />
      ))}
      {n > 1 ? <span className="t3 t11">{n}</span> : null}
    </span>
  )
}
