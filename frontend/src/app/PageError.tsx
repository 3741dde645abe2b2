import { Button } from '@/ui/Button'
import { EmptyState } from '@/ui/EmptyState'

/** A page that broke says so in its own place; the frame around it stays. */
export function PageError({ error, reset }: { error: unknown; reset: () => void }) {
  return (
    <EmptyState state="fail" title="This page broke" why={error instanceof Error ? error.message : String(error)}>
      <Button icon="retry" onClick={reset}>
        Try again
      </Button>
      <Button onClick={() => location.reload()}>Reload</Button>
    </EmptyState>
  )
}

export function NotFound() {
  return <EmptyState title="No such page" why="The address names no view. The rail lists those there are." />
}
