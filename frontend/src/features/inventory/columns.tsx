import type { ReactNode } from 'react'
import type { HealthReason, HealthState, Traffic } from '@/api/types'
import type { Field } from '@/lib/expr/parse'
import { cx } from '@/lib/cx'
import { duration, percent, rate } from '@/lib/format'
import { Figure } from '@/ui/Figure'
import { HealthGlyph, healthRank } from '@/ui/Health'
import { Sparkline } from '@/ui/Sparkline'
import styles from './List.module.css'
import type { Row } from './sort'

/** A column of a list; without `sort` it is for wide screens and tells a shape. */
export type Column<T> = {
  name: string
  head: string
  num?: boolean
  sort?: (row: T) => number | string
  cell: (row: T) => ReactNode
  /** Class of the cell. */
  tone?: (row: T) => string
  title?: (row: T) => string
}

type Judged = Row & { health: { state: HealthState; reasons: HealthReason[] }; in: Traffic; rps_series: number[] }

/** The colour of a row's trouble. */
export const troubleTone = ({ health: { state } }: Row): string => (state === 'fail' ? 'fail-t' : state === 'warn' ? 'warn-t' : 't3')

export function Name({ state, children }: { state: HealthState; children: ReactNode }) {
  return (
    <span className={styles.name}>
      <HealthGlyph state={state} />
      {children}
    </span>
  )
}

export function health<T extends Judged>(): Column<T> {
  return {
    name: 'health', head: 'Health',
    sort: (r) => healthRank[r.health.state] * 1e9 - r.in.rps,
    cell: (r) => r.health.reasons[0]?.text ?? '',
    tone: (r) => cx('cut', styles.why, troubleTone(r)),
    title: (r) => r.health.reasons.map((reason) => reason.text).join('\n'),
  }
}

export function lastMinute<T extends Judged>(): Column<T> {
  return {
    name: 'minute', head: 'Last minute',
    cell: ({ rps_series, health: { state } }) => <Sparkline values={rps_series} width={96} height={14} tone={state === 'fail' || state === 'warn' ? state : 'data'} />,
  }
}

export function rateOf<T>(name: string, head: string, of: (row: T) => Traffic): Column<T> {
  return { name, head, num: true, sort: (r) => of(r).rps, cell: (r) => <Figure of={rate(of(r).rps)} />, tone: () => 'num' }
}

/** Errors and p95 of the side that a row is judged by. */
export function golden<T extends Row>(of: (row: T) => Traffic): Column<T>[] {
  return [
    {
      name: 'errors', head: 'Errors', num: true, sort: (r) => of(r).error_ratio,
      cell: (r) => <Figure of={percent(of(r).error_ratio)} />,
      tone: (r) => cx('num', of(r).error_ratio >= 0.005 && troubleTone(r)),
    },
    { name: 'p95', head: 'p95', num: true, sort: (r) => of(r).p95_ms ?? -1, cell: (r) => <Figure of={duration(of(r).p95_ms)} />, tone: () => 'num' },
  ]
}

/** The fields that all lists have, named as on the graph. */
export function sharedFields<T extends Judged>(of: (row: T) => Traffic): Field<T>[] {
  return [
    { name: 'name', help: 'its name', kind: 'text', get: (r) => r.name },
    { name: 'namespace', aliases: ['ns'], help: 'its namespace', kind: 'text', get: (r) => r.namespace },
    { name: 'health', help: 'ok, warn, fail, idle or unknown; or the code of a reason: 5xx, config …', kind: 'text', values: ['ok', 'warn', 'fail', 'idle', 'unknown'], get: (r) => [r.health.state, ...r.health.reasons.map((reason) => reason.code)] },
    { name: 'rps', aliases: ['traffic', 'rate'], help: 'requests a second', kind: 'number', get: (r) => of(r).rps },
    { name: 'errors', aliases: ['error'], help: 'share of failed requests: 2 %', kind: 'number', unit: 'ratio', get: (r) => of(r).error_ratio },
    { name: 'p95', aliases: ['latency'], help: '95th percentile of latency: 250 ms', kind: 'number', unit: 'millis', get: (r) => of(r).p95_ms ?? 0 },
    { name: 'p99', help: '99th percentile of latency', kind: 'number', unit: 'millis', get: (r) => of(r).p99_ms ?? 0 },
    { name: 'idle', help: 'no traffic in the window', kind: 'bool', get: (r) => r.health.state === 'idle' },
  ]
}
