import { Link } from '@tanstack/react-router'
import { plural } from '@/lib/format'
import { Button } from '@/ui/Button'
import { EmptyState } from '@/ui/EmptyState'
import { LiveWaiting } from '@/ui/LiveView'
import { Skeleton } from '@/ui/Skeleton'
import { type Failure, Trouble } from '@/ui/Trouble'

/** Why nothing is drawn, and what to do about it. */
export function GraphEmpty({
  hidden,
  finding,
  namespaces,
  past,
  onReset,
}: {
  hidden: number
  finding: string
  namespaces: string
  past: boolean
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
  if (past) return <EmptyState title="No traffic at that moment" why="History reaches back to when this server first saw the mesh." />
  return (
    <EmptyState
      title="No traffic seen yet"
      why="The graph draws itself from what sidecars report. None has reported a request in the last 30 s. Send one through a sidecar, or look at whether the sidecars are connected."
    >
      <Link to="/nodes/{-$nodeId}" params={{}} search={{}}>
        Which sidecars are connected
      </Link>
    </EmptyState>
  )
}

/** Before the first picture: nothing for a moment, then why there is none. */
export function GraphWaiting({ error, past, onLive }: { error: Failure | null; past: boolean; onLive: () => void }) {
  if (!past) return <LiveWaiting noun="the graph" rows={8} error={error} />
  if (!error) return <Skeleton rows={8} label="Loading the graph" />
  return (
    <Trouble title="This moment cannot be shown" error={error}>
      <Button onClick={onLive}>Back to live</Button>
    </Trouble>
  )
}
