import type { ReactNode } from 'react'
import { Icon } from './Icon'
import styles from './Table.module.css'

export const tableClass = styles.table

export type Sort<K extends string> = { by: K; down: boolean }

/** A column head that sorts when pressed; `aria-sort` stands on the cell. */
export function SortHead<K extends string>({
  name,
  sort,
  onSort,
  num = false,
  children,
}: {
  name: K
  sort: Sort<K>
  onSort: (sort: Sort<K>) => void
  num?: boolean
  children: ReactNode
}) {
  const on = sort.by === name
  return (
    <th scope="col" data-col={name} data-num={num || undefined} aria-sort={on ? (sort.down ? 'descending' : 'ascending') : 'none'}>
      <button
        type="button"
        className={styles.sort}
        data-on={on || undefined}
        onClick={() => onSort({ by: name, down: on ? !sort.down : num })}
      >
        {children}
        {on ? <Icon name={sort.down ? 'down' : 'up'} size={12} /> : null}
      </button>
    </th>
  )
}
