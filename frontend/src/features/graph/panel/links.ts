import type { GraphEdge, GraphNode } from '@/api/types'

/** How a node is named in tap filters and trace searches: namespace/name. */
function reference(node: GraphNode | undefined): string | null {
  if (!node) return null
  switch (node.kind) {
    case 'workload':
      return `${node.namespace}/${node.name}`
    case 'app':
      return node.app ?? node.name
    default:
      return null
  }
}

export function edgeTapFilter(edge: GraphEdge, source: GraphNode | undefined, target: GraphNode | undefined): string {
  const parts: string[] = []
  const from = reference(source)
  const to = reference(target)
  if (from !== null) parts.push(`from = ${from}`)
  else if (source?.kind === 'namespace') parts.push(`namespace = ${source.name}`)
  if (to !== null) parts.push(`to = ${to}`)
  else if (edge.service) parts.push(`service = ${edge.service.host}`)
  else if (target?.kind === 'external') parts.push(`host = ${target.name}`)
  else if (target?.kind === 'namespace') parts.push(`namespace = ${target.name}`)
  return parts.join(' and ')
}

export function nodeTapFilter(node: GraphNode): string {
  const name = reference(node)
  if (name !== null) return `workload = ${name}`
  if (node.kind === 'namespace') return `namespace = ${node.name}`
  if (node.kind === 'external') return `host = ${node.name}`
  if (node.kind === 'service') return `service = ${node.name}`
  return ''
}

/** Null where traces cannot be asked by this edge's ends. */
export function edgeTraceSearch(source: GraphNode | undefined, target: GraphNode | undefined): Record<string, string> | null {
  const search: Record<string, string> = {}
  if (source?.kind === 'workload') search.source = `${source.namespace}/${source.name}`
  if (target?.kind === 'workload') search.target = `${target.namespace}/${target.name}`
  return Object.keys(search).length === 0 ? null : search
}

export function nodeTraceSearch(node: GraphNode): Record<string, string> | null {
  if (node.kind === 'workload') return { workload: `${node.namespace}/${node.name}` }
  if (node.kind === 'app') return { service: node.app ?? node.name }
  return null
}
