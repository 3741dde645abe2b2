import type { Choice } from '@/graph/model'
import { anyText, oneOf, sharedSearch, type Values } from '@/lib/url'

/** The graph's part of the address. */
export const graphSearch = {
  ...sharedSearch,
  level: oneOf('workload', 'namespace', 'app', 'versioned', 'service'),
  metric: oneOf('rate', 'p95', 'errors', 'bytes'),
  view: oneOf('canvas', 'table'),
  /** Find dims what does not match; hide takes away what does. */
  find: oneOf('find', 'hide'),
  /** Namespaces folded by hand, comma-separated; `none` folds nobody, not even by size. */
  fold: anyText(),
  /** Namespaces that stay open although there is much to draw. */
  open: anyText(),
  /** The id of the node in focus, and how many calls away the graph reaches from it. */
  focus: anyText(),
  hops: oneOf('1', '2', '3'),
  /** The id of the selected node or edge. */
  sel: anyText(),
  tab: oneOf('traffic', 'connections', 'config', 'codes', 'versions'),
}

/** The folding that an address asks for. */
export function foldingOf({ fold, open }: Pick<GraphSearch, 'fold' | 'open'>): Pick<Choice, 'fold' | 'auto'> {
  if (fold === 'none') return {}
  return { fold: new Set(fold.split(',').filter(Boolean)), auto: { open: new Set(open.split(',').filter(Boolean)) } }
}

/** The address after a namespace has been folded or opened; `folded` is what is folded now, for whatever reason. */
export function toggled({ fold, open }: Pick<GraphSearch, 'fold' | 'open'>, namespace: string, folded: ReadonlySet<string>): Pick<GraphSearch, 'fold' | 'open'> {
  const byHand = new Set(fold === 'none' ? [] : fold.split(',').filter(Boolean))
  const opened = new Set(open.split(',').filter(Boolean))
  if (folded.has(namespace)) {
    if (!byHand.delete(namespace)) opened.add(namespace)
  } else if (!opened.delete(namespace)) byHand.add(namespace)
  const words = (names: Set<string>) => [...names].sort().join(',')
  return { fold: byHand.size === 0 && fold === 'none' ? 'none' : words(byHand), open: words(opened) }
}

export type GraphSearch = Values<typeof graphSearch>

/** How far back the figures of the graph reach. */
export const graphWindowSeconds = 30
