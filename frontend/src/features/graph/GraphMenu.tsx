import type { GraphView } from '@/api/types'
import type { Model } from '@/graph/model'
import { announce } from '@/lib/shell'
import { Button } from '@/ui/Button'
import { Icon } from '@/ui/Icon'
import { Menu, MenuItem, MenuLine } from '@/ui/Menu'
import { useCanvasActions } from './canvas-actions'
import { cliForGraph } from './cli'
import { exportDOT, exportJSON, exportPNG, exportSVG } from './exports'
import type { GraphSearch } from './url'

/** What to take away from here: files, and the same on the command line. */
export function GraphMenu({ view, model, url }: { view: GraphView; model: Model; url: GraphSearch }) {
  const { svg } = useCanvasActions()
  const picture = async () => {
    if (svg && !(await exportPNG(svg(), view.at))) announce('This browser paints no such picture; SVG holds the same')
  }
  const copy = () =>
    void navigator.clipboard
      .writeText(cliForGraph(url))
      .then(() => announce('Command copied'))
      .catch(() => announce('The browser allows no copying'))
  return (
    <Menu
      trigger={
        <Button small icon="save" title="Take the graph elsewhere">
          Export
          <Icon name="down" size={12} />
        </Button>
      }
    >
      {svg ? <MenuItem onSelect={() => exportSVG(svg(), view.at)}>Picture, SVG</MenuItem> : null}
      {svg ? <MenuItem onSelect={() => void picture()}>Picture, PNG</MenuItem> : null}
      <MenuItem onSelect={() => exportJSON(view)}>Data, JSON</MenuItem>
      <MenuItem onSelect={() => exportDOT(model, view.at)}>Graphviz, DOT</MenuItem>
      <MenuLine />
      <MenuItem onSelect={copy}>Copy as CLI</MenuItem>
    </Menu>
  )
}
