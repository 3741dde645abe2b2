import { useNavigate, useParams } from '@tanstack/react-router'
import { useCallback, useMemo, useState } from 'react'
import { useNodes, useObserved } from '@/api/nodes'
import type { NodesView } from '@/api/types'
import { parse } from '@/lib/expr/parse'
import { namespacesOf, useUrlState } from '@/lib/url'
import { useFindSlot, useFoot } from '@/lib/shell'
import { count, plural } from '@/lib/format'
import { EmptyState } from '@/ui/EmptyState'
import { LiveView } from '@/ui/LiveView'
import { Segmented } from '@/ui/Segmented'
import { Band } from './Band'
import { nodeSchema } from './find'
import { finding } from './finding'
import { listItems } from './groups'
import type { Item } from './groups'
import styles from './index.module.css'
import { NodeTable } from './NodeTable'
import { Observed } from './Observed'
import { Rollout } from './Rollout'
import { axisEnd, newestBuild, stripAxis } from './axis'
import { nodesSearch } from './url'

/** The Nodes page: which node runs which configuration, since when, and why not. */
export function NodesPage() {
  const live = useNodes()
  const observed = useObserved()
  const [search, setSearch] = useUrlState(nodesSearch)
  // Most meshes have one control plane: without sources there is nothing to choose.
  const choice = (observed.data?.sources.length ?? 0) > 0
  return (
    <div className={styles.page}>
      {choice ? (
        <div className={styles.which}>
          <Segmented
            label="Whose nodes"
            value={search.of}
            options={[
              { value: '', label: 'Ours' },
              { value: 'observed', label: `Observed, ${count(observed.data?.nodes.length ?? 0)}`, title: 'Nodes of other control planes, as --observe reads them' },
            ]}
            onChange={(of) => setSearch({ of })}
          />
        </div>
      ) : null}
      {search.of === 'observed' ? (
        <Observed />
      ) : (
        <LiveView live={live} noun="the nodes">
          {(data) => <Nodes view={data} />}
        </LiveView>
      )}
    </div>
  )
}

function Nodes({ view }: { view: NodesView }) {
  const [search, setSearch] = useUrlState(nodesSearch)
  const { nodeId } = useParams({ strict: false }) as { nodeId?: string }
  const navigate = useNavigate()
  const [selected, setSelected] = useState<string | null>(nodeId ?? null)
  const [openGroups, setOpenGroups] = useState<ReadonlySet<string>>(new Set())

  const parsed = useMemo(() => parse(search.q, nodeSchema), [search.q])
  const now = Date.parse(view.at)
  const axis = useStripAxis(view.nodes, view.desired, axisEnd(now))
  const namespaces = namespacesOf(search.ns).join(',')
  const { items, matched } = useMemo(() => {
    const within = new Set(namespaces.split(',').filter(Boolean))
    const match = parsed.match ?? (() => true)
    return listItems(view.nodes, {
      match: (n) => (within.size === 0 || within.has(n.workload.namespace)) && match(n),
      state: search.state || undefined,
      revision: search.rev === '' ? undefined : Number(search.rev),
      open: nodeId ?? null, openGroups, order: search.sort, window: axis.window,
    })
  }, [view.nodes, parsed, namespaces, search.state, search.rev, nodeId, openGroups, search.sort, axis.window])

  const openNode = useCallback(
    (id: string | undefined) => void navigate({ to: '/nodes/{-$nodeId}' as never, params: { nodeId: id } as never, search: ((s: object) => s) as never }),
    [navigate],
  )
  const onToggle = useCallback(
    (item: Item, open?: boolean) => {
      if (item.kind === 'node' && item.open !== open) openNode(item.open ? undefined : item.id)
      if (item.kind === 'group' && item.open !== open) setOpenGroups((s) => toggled(s, item.group.namespace))
    },
    [openNode],
  )

  useFindSlot({
    label: 'Find', placeholder: 'state != synced or lag > 5 s', fields: nodeSchema.fields, error: parsed.error?.message ?? '',
    note: matched === view.nodes.length ? plural(matched, 'node') : `${count(matched)} of ${plural(view.nodes.length, 'node')}`,
  })
  useFoot(`${plural(view.summary.nodes, 'node')}, ${count(view.summary.synced)} on the desired configuration`, '↑↓ rows   → open   ← close')

  if (view.nodes.length === 0) {
    return (
      <EmptyState
        title="No node has asked for configuration"
        why="Sidecars appear here when they connect to the configuration port (15010 by default), or when they are seen in traffic. Start one with sidelight proxy --server HOST:15010."
      />
    )
  }
  return (
    <>
      <Rollout now={now} />
      <Band
        view={view}
        now={now}
        finding={finding(view, now, openNode)}
        state={search.state || undefined}
        onState={(state) => setSearch({ state: state ?? '' })}
        onRevision={(rev) => setSearch({ rev: search.rev === String(rev) ? '' : String(rev) })}
      />
      {nodeId !== undefined && !view.nodes.some((n) => n.id === nodeId) ? (
        <p className={styles.unknown} role="status">
          No node of the name {nodeId} is known: it was never seen, or left so long ago that it is forgotten.
        </p>
      ) : null}
      {items.length > 0 ? (
        <NodeTable {...{ items, axis, selected, onToggle }} order={search.sort} onOrder={(sort) => setSearch({ sort })} newestBuild={newestBuild(view.nodes)} onSelect={setSelected} />
      ) : (
        <EmptyState title="No node matches" why={`${plural(view.nodes.length, 'node')} are known. Widen the expression, the namespaces, or the chosen state.`}>
          <button type="button" className="info-t" onClick={() => setSearch({ q: '', state: '', rev: '', ns: '' })}>
            Show all nodes
          </button>
        </EmptyState>
      )}
    </>
  )
}

function useStripAxis(nodes: NodesView['nodes'], desired: NodesView['desired'], to: number) {
  return useMemo(() => stripAxis(nodes, desired, to), [nodes, desired, to])
}

function toggled(set: ReadonlySet<string>, key: string): Set<string> {
  const next = new Set(set)
  if (!next.delete(key)) next.add(key)
  return next
}
