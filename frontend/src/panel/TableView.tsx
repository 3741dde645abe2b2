import { useState } from 'react'
import { cx } from '@/lib/cx'
import { Figure } from '@/ui/Figure'
import { SortHead, type Sort, tableClass } from '@/ui/Table'
import type { Measured } from './fetch'
import { type Cell, rowsOf } from './frames'
import type { PanelModel } from './model'
import styles from './Panel.module.css'
import { inUnit } from './units'

const shown = 200

/** Instant answers as a table; a head sorts by its column. */
export function TableView({ panel, answers }: { panel: PanelModel; answers: Measured[] }) {
  const { columns, rows } = rowsOf(panel, answers)
  const given = panel.options?.sortBy?.[0]
  const [sort, setSort] = useState<Sort<string>>({ by: given?.displayName ?? columns[0]?.title ?? '', down: given?.desc ?? false })
  const by = columns.findIndex((c) => c.title === sort.by)
  const sorted = by < 0 ? rows : rows.toSorted((a, b) => order(a[by]!, b[by]!) * (sort.down ? -1 : 1))
  return (
    // It scrolls, so it must be reached by keys, too.
    // oxlint-disable-next-line jsx-a11y/no-noninteractive-tabindex
    <div className={styles.scroll} tabIndex={0} role="region" aria-label={`${panel.title}, table`}>
      <table className={tableClass}>
        <thead>
          <tr>
            {columns.map((c) => (
              <SortHead key={c.title} name={c.title} sort={sort} onSort={setSort} num={c.unit !== null}>
                {c.title}
              </SortHead>
            ))}
          </tr>
        </thead>
        <tbody>
          {sorted.slice(0, shown).map((row) => (
            <tr key={row.filter((c) => typeof c === 'string').join(' ')}>
              {row.map((cell, i) => (
                <td key={columns[i]!.title} data-num={columns[i]!.unit !== null || undefined} className={cx(columns[i]!.unit === null && i > 0 && 't2')}>
                  {columns[i]!.unit === null ? (cell ?? '') : <Figure of={inUnit(typeof cell === 'number' ? cell : null, columns[i]!.unit)} />}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
      {sorted.length > shown ? <p className={styles.said}>{sorted.length - shown} more rows: choose less above.</p> : null}
    </div>
  )
}

function order(a: Cell, b: Cell): number {
  if (typeof a === 'number' || typeof b === 'number') return numeric(a) - numeric(b)
  return String(a ?? '').localeCompare(String(b ?? ''))
}

function numeric(v: Cell): number {
  return typeof v === 'number' && !Number.isNaN(v) ? v : Number.NEGATIVE_INFINITY
}
