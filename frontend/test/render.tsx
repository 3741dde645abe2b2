import { QueryClient, QueryClientProvider } from '@tanstack/react-query'
import { createMemoryHistory, createRootRoute, createRoute, createRouter, RouterProvider } from '@tanstack/react-router'
import { render } from '@testing-library/react'
import type { ReactNode } from 'react'
import { LiveClient, type Surroundings } from '@/api/live'
import { LiveContext } from '@/api/live-context'
import { parseSearch, type Search, stringifySearch } from '@/lib/url'

/** A live client that never gets a connection: tests feed what they need otherwise. */
const nowhere: Surroundings = {
  open: () => ({ readyState: 0, close: () => undefined, send: () => undefined }) as unknown as WebSocket,
  now: () => Date.now(),
  random: () => 0.5,
  hidden: () => false,
  onVisibility: () => () => undefined,
  barred: () => Promise.resolve(null),
}

/** Renders at an address of the application, with the pages' paths known. */
export async function renderAt(address: string, element: () => ReactNode) {
  const root = createRootRoute({ component: element, validateSearch: (s: Record<string, unknown>): Search => s as Search })
  const paths = ['/', '/graph', '/nodes/{-$nodeId}', '/tap', '/traces/{-$traceId}']
  const routeTree = root.addChildren(paths.map((path) => createRoute({ getParentRoute: () => root, path, component: () => null })))
  const history = createMemoryHistory({ initialEntries: [address] })
  const router = createRouter({ routeTree, history, parseSearch, stringifySearch })
  const queries = new QueryClient({ defaultOptions: { queries: { retry: false } } })
  const live = new LiveClient('ws://nowhere', nowhere)
  await router.load()
  const view = render(
    <QueryClientProvider client={queries}>
      <LiveContext value={live}>
        <RouterProvider router={router as never} />
      </LiveContext>
    </QueryClientProvider>,
  )
  return { ...view, search: () => parseSearch(history.location.search), path: () => history.location.pathname }
}
