import type { StaleSource } from '@/api/types'
import type { History } from '@/graph/history'
import type { Model } from '@/graph/model'
import { EdgePanel } from './EdgePanel'
import { NodePanel } from './NodePanel'

export type PanelTab = 'traffic' | 'connections' | 'config' | 'codes' | 'versions'
export type PanelProps = {
  model: Model
  id: string
  history: History
  stale: StaleSource[]
  tab: PanelTab
  onTab: (tab: PanelTab) => void
  onSelect: (id: string | null) => void
  /** Changes what the graph shows: its focus, its table. */
  onView: (patch: { focus?: string; view?: 'table' }) => void
  onFold: (namespace: string) => void
}

/** What is selected, in full: the finding first, then the evidence. */
export function SidePanel(props: PanelProps) {
  const edge = props.model.edges.get(props.id)
  if (edge) return <EdgePanel {...props} edge={edge} />
  const node = props.model.nodes.get(props.id)
  return node ? <NodePanel {...props} node={node} /> : null
}
