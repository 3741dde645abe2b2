import { plural } from '@/lib/format'
import { Button } from '@/ui/Button'
import { EmptyState } from '@/ui/EmptyState'

/** Why nothing is drawn, and what to do about it. */
export function GraphEmpty({
  hidden,
  finding,
  namespaces,
  onReset,
}: {
  hidden: number
  finding: string
  namespaces: string
  onReset: () => void
}) {
  if (hidden > 0) {
    return (
      <EmptyState title="Everything is hidden" why={`The expression hides ${plural(hidden, 'element')}.`}>
        <Button onClick={onReset}>Clear the expression</Button>
      </EmptyState>
    )
  }
  if (finding !== '' || namespaces !== '') {
    return (
      <EmptyState title="No traffic here" why="Nothing was seen with this namespace choice or expression.">
        <Button onClick={onReset}>Show all</Button>
      </EmptyState>
    )
  }
  return (
    <EmptyState
      title="No traffic seen yet"
      why="The graph draws itself from what sidecars report. None has reported a request in the last 30 s. Send one through a sidecar, or look at whether the sidecars are connected."
    >
      <a href="nodes">Which sidecars are connected</a>
    </EmptyState>
  )
}
