import type { ReactNode } from 'react'
import { middle } from '@/lib/format'
import { Button, IconButton } from '@/ui/Button'
import { Icon } from '@/ui/Icon'
import { Menu, MenuCheck, MenuItem, MenuLine } from '@/ui/Menu'
import { Segmented } from '@/ui/Segmented'
import { useCanvasActions } from './canvas-actions'
import styles from './GraphTools.module.css'
import type { GraphSearch } from './url'

const levels = [
  { value: 'namespace', label: 'Namespace' },
  { value: 'app', label: 'App' },
  { value: 'service', label: 'Service' },
  { value: 'versioned', label: 'Version', title: 'Each version of an app apart' },
  { value: 'workload', label: 'Workload' },
] as const

const metrics = [
  { value: 'rate', label: 'Rate' },
  { value: 'p95', label: 'p95' },
  { value: 'errors', label: 'Errors' },
  { value: 'bytes', label: 'Bytes' },
] as const

const menuMost = 40

/** What is drawn, by which measure; Tidy and the table; how much there is. */
export function GraphTools({
  url,
  setUrl,
  counts,
  folds,
  menu,
}: {
  url: GraphSearch
  setUrl: (patch: Partial<GraphSearch>) => void
  counts: string
  /** Folding as it is and could be; null where nothing folds. */
  folds: Folds | null
  menu: ReactNode
}) {
  const { tidy, added } = useCanvasActions()
  const table = url.view === 'table'
  return (
    <div className={styles.tools} data-table={table} data-no-pan>
      <Segmented label="Level" value={url.level} options={levels} onChange={(level) => setUrl({ level, sel: '', focus: '', fold: '', open: '' })} />
      {table ? null : <Segmented label="Measure on edges" value={url.metric} options={metrics} onChange={(metric) => setUrl({ metric })} />}
      {table ? null : (
        <Button small icon="tidy" onClick={tidy} title="Lay everything out anew; pins are given up">
          Tidy{added > 0 ? <span className="t3">{added} new</span> : null}
        </Button>
      )}
      <Button small icon={table ? 'graph' : 'table'} onClick={() => setUrl({ view: table ? 'canvas' : 'table' })}>
        {table ? 'Graph' : 'Table'} <kbd>T</kbd>
      </Button>
      {folds === null || table ? null : <FoldMenu folds={folds} />}
      {menu}
      {url.focus === '' ? null : <FocusChip url={url} setUrl={setUrl} />}
      {url.q === '' ? null : (
        <Segmented
          label="What the expression does"
          value={url.find}
          options={[
            { value: 'find', label: 'Find', title: 'Dim what does not match' },
            { value: 'hide', label: 'Hide', title: 'Take away what matches' },
          ]}
          onChange={(find) => setUrl({ find })}
        />
      )}
      <span className={styles.counts}>{counts}</span>
    </div>
  )
}

export type Folds = {
  /** Every namespace that has something to fold, with how much. */
  sizes: ReadonlyMap<string, number>
  folded: ReadonlySet<string>
  toggle: (namespace: string) => void
  all: () => void
  none: () => void
}

/** Which namespaces are one card, and which are open. */
function FoldMenu({ folds: { sizes, folded, toggle, all, none } }: { folds: Folds }) {
  const names = [...sizes.keys()].sort((a, b) => a.localeCompare(b))
  const shown = names.slice(0, menuMost)
  return (
    <Menu
      trigger={
        <Button small>
          Fold
          {folded.size === 0 ? null : <span className="t3">{folded.size}</span>}
          <Icon name="down" size={12} />
        </Button>
      }
    >
      <MenuItem onSelect={all}>Fold all</MenuItem>
      <MenuItem onSelect={none}>Expand all</MenuItem>
      <MenuLine />
      {shown.map((ns) => (
        <MenuCheck
          key={ns}
          keepOpen
          checked={folded.has(ns)}
          hint={sizes.get(ns)}
          onChange={() => toggle(ns)}
        >
          {middle(ns, 32)}
        </MenuCheck>
      ))}
      {names.length > menuMost ? <MenuItem onSelect={() => undefined}>{names.length - menuMost} more: choose namespaces above</MenuItem> : null}
    </Menu>
  )
}

/** What the graph is drawn around, how far it reaches, and the way back to all of it. */
function FocusChip({ url, setUrl }: { url: GraphSearch; setUrl: (patch: Partial<GraphSearch>) => void }) {
  return (
    <span className={styles.focus}>
      <Icon name="focus" size={14} />
      <b className="cut" title={url.focus}>
        {middle(url.focus.slice(url.focus.lastIndexOf('/') + 1).replace(/^\w+:/, ''), 24)}
      </b>
      <Segmented
        label="How far the graph reaches from it"
        value={url.hops}
        options={[
          { value: '1', label: '1', title: 'One call away' },
          { value: '2', label: '2', title: 'Two calls away' },
          { value: '3', label: '3', title: 'Three calls away' },
        ]}
        onChange={(hops) => setUrl({ hops })}
      />
      <IconButton icon="close" size={20} label="Leave the focus" onClick={() => setUrl({ focus: '', hops: '1' })} />
    </span>
  )
}
