import { createRootRoute, createRoute, createRouter, lazyRouteComponent, redirect } from '@tanstack/react-router'
import { basePath } from '@/lib/base'
import { parseSearch, type Search, stringifySearch } from '@/lib/url'
import { NotFound, PageError } from './PageError'
import { Shell } from './Shell'

/** Every page of the interface, on one screen. */
const root = createRootRoute({
  component: Shell,
  validateSearch: (search: Record<string, unknown>): Search => search as Search,
  notFoundComponent: NotFound,
  errorComponent: PageError,
})

const routes = [
  createRoute({
    getParentRoute: () => root,
    path: '/',
    component: lazyRouteComponent(() => import('@/features/overview'), 'OverviewPage'),
  }),
  createRoute({
    getParentRoute: () => root,
    path: '/overview',
    beforeLoad: ({ search }) => {
      throw redirect({ to: '/', search: search as never, replace: true })
    },
  }),
  createRoute({
    getParentRoute: () => root,
    path: '/graph',
    component: lazyRouteComponent(() => import('@/features/graph'), 'GraphPage'),
  }),
  createRoute({
    getParentRoute: () => root,
    path: '/nodes/{-$nodeId}',
    component: lazyRouteComponent(() => import('@/features/nodes'), 'NodesPage'),
  }),
  createRoute({
    getParentRoute: () => root,
    path: '/config/$',
    component: lazyRouteComponent(() => import('@/features/config'), 'ConfigPage'),
  }),
  createRoute({
    getParentRoute: () => root,
    path: '/services/{-$host}',
    component: lazyRouteComponent(() => import('@/features/inventory'), 'ServicesPage'),
  }),
  createRoute({
    getParentRoute: () => root,
    path: '/workloads/$',
    component: lazyRouteComponent(() => import('@/features/inventory'), 'WorkloadsPage'),
  }),
  createRoute({
    getParentRoute: () => root,
    path: '/tap',
    // Links from elsewhere may say what it is: a filter. Here every page's expression is q.
    beforeLoad: ({ search }) => {
      const { filter, ...rest } = search as Search
      if (filter) throw redirect({ to: '/tap', search: { ...rest, q: filter } as never, replace: true })
    },
    component: lazyRouteComponent(() => import('@/features/tap'), 'TapPage'),
  }),
  createRoute({
    getParentRoute: () => root,
    path: '/traces/{-$traceId}',
    component: lazyRouteComponent(() => import('@/features/traces'), 'TracesPage'),
  }),
  createRoute({
    getParentRoute: () => root,
    path: '/dashboards/{-$uid}',
    component: lazyRouteComponent(() => import('@/features/dashboards'), 'DashboardsPage'),
  }),
  createRoute({
    getParentRoute: () => root,
    path: '/alerts',
    component: lazyRouteComponent(() => import('@/features/alerts'), 'AlertsPage'),
  }),
  // What the interface is built from, for those who build it.
  ...(import.meta.env.DEV
    ? [
        createRoute({
          getParentRoute: () => root,
          path: '/ui',
          component: lazyRouteComponent(() => import('@/features/ui'), 'DesignPage'),
        }),
      ]
    : []),
]

export function newRouter() {
  return createRouter({
    routeTree: root.addChildren(routes),
    basepath: basePath() || '/',
    parseSearch,
    stringifySearch,
    defaultPreload: 'intent',
    defaultErrorComponent: PageError,
    scrollRestoration: false,
  })
}

declare module '@tanstack/react-router' {
  interface Register {
    router: ReturnType<typeof newRouter>
  }
}
