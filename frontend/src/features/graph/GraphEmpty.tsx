import { Link } from '@tanstack/react-router'
import { useConnection, useLiveClient, useNow } from '@/api/live-context'
import { plural } from '@/lib/format'
import { Button } from '@/ui/Button'
import { EmptyState } from '@/ui/EmptyState'
import { Skeleton } from '@/ui/Skeleton'

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
export function GraphWaiting({ error, past, onLive }: { error: string | undefined; past: boolean; onLive: () => void }) {
  const { state, attempt, retryAt } = useConnection()
  const client = useLiveClient()
  const now = useNow()
  if (error) {
    return (
      <EmptyState state="fail" title={past ? 'This moment cannot be shown' : 'The graph cannot be shown'} why={error}>
        {past ? <Button onClick={onLive}>Back to live</Button> : null}
      </EmptyState>
    )
  }
  if (!past && (state === 'waiting' || (state === 'connecting' && attempt > 0))) {
    const wait = Math.max(0, Math.ceil(((retryAt ?? now) - now) / 1000))
    return (
      <EmptyState state="fail" title="The server does not answer" why={`Is sidelight running, and is this page on its address? Next attempt in ${wait} s.`}>
        <Button icon="retry" onClick={() => client.retryNow()}>
          Try now
        </Button>
      </EmptyState>
    )
  }
  return <Skeleton rows={8} label="Loading the graph" />
}
