import {
  type ComponentFactory,
  DefaultEdge,
  DefaultNode,
  EdgeStyle,
  GraphComponent,
  type Graph,
  type Layout,
  ModelKind,
  NodeShape,
  Visualization,
  VisualizationProvider,
  VisualizationSurface,
} from '@patternfly/react-topology'
import type { Root } from 'react-dom/client'
import type { GraphView } from '@/api/types'

/** The library that Kiali draws with: its surface, which draws a mesh when it is given one; positions are given here, too. */
export function standPatternFly(root: Root): (view: GraphView) => void {
  const components: ComponentFactory = (kind) => {
    if (kind === ModelKind.graph) return GraphComponent
    return kind === ModelKind.node ? DefaultNode : DefaultEdge
  }
  const controller = new Visualization()
  controller.registerComponentFactory(components)
  controller.registerLayoutFactory((_type: string, _graph: Graph): Layout | undefined => undefined)
  controller.fromModel({ graph: { id: 'mesh', type: 'graph' } })
  root.render(
    <VisualizationProvider controller={controller}>
      <VisualizationSurface />
    </VisualizationProvider>,
  )
  return (view) => {
    const columns = Math.ceil(Math.sqrt(view.nodes.length))
    controller.fromModel({
      nodes: view.nodes.map((n, i) => ({
        id: n.id, type: 'node', label: n.name, width: 146, height: 56, shape: NodeShape.rect, x: (i % columns) * 224, y: Math.floor(i / columns) * 90,
      })),
      edges: view.edges.map((e) => ({ id: e.id, type: 'edge', source: e.source, target: e.target, edgeStyle: EdgeStyle.default })),
    })
  }
}
