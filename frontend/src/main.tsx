import './styles/tokens.css'
import './styles/base.css'
import { QueryClient, QueryClientProvider } from '@tanstack/react-query'
import { RouterProvider } from '@tanstack/react-router'
import { StrictMode } from 'react'
import { createRoot } from 'react-dom/client'
import { ApiError } from '@/api/client'
import { LiveClient } from '@/api/live'
import { LiveContext } from '@/api/live-context'
import { newRouter } from '@/app/router'
import { socketURL } from '@/lib/base'

// The mount point is that of the page as it was loaded: a browser may read a
// relative <base> anew against the address that we have gone to since.
const base = document.querySelector('base')
if (base) base.href = String(base.href)

const queries = new QueryClient({
  defaultOptions: {
    queries: {
      retry: (failures, error) => failures < 2 && !(error instanceof ApiError && error.status >= 400 && error.status < 500),
      refetchOnWindowFocus: false,
    },
  },
})

const live = new LiveClient(socketURL('api/v1/live'))
const router = newRouter()
const root = document.getElementById('root')
if (!root) throw new Error('BUG: index.html has no #root')

createRoot(root).render(
  <StrictMode>
    <QueryClientProvider client={queries}>
      <LiveContext value={live}>
        <RouterProvider router={router} />
      </LiveContext>
    </QueryClientProvider>
  </StrictMode>,
)
