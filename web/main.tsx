import { QueryCache, QueryClient, QueryClientProvider } from '@tanstack/react-query'
import { RouterProvider } from '@tanstack/react-router'
import { createRoot } from 'react-dom/client'
import { Refused, whenSignedOut } from './api.ts'
import { forgetCustomer, meRead, siteRead } from './reads.ts'
import { router } from './routes.tsx'
import { setClock } from './ui/clock.ts'
import './ui/base.css'

const RETRIES_MAX = 2

const cache = new QueryClient({
  queryCache: new QueryCache({
    onSuccess: (value, query) => {
      if (query.queryKey[0] === 'site') setClock((value as { now: string }).now)
    },
  }),
  defaultOptions: {
    queries: {
      staleTime: 2_000,
      // Without a connection a page says so after its tries; by itself the library would wait without a word.
      networkMode: 'always',
      refetchOnReconnect: true,
      // A refusal is an answer; only what may be over in a moment is asked again.
      retry: (failures, problem) => failures < RETRIES_MAX && !(problem instanceof Refused && isAnswer(problem)),
    },
  },
})

function isAnswer({ refusal }: Refused): boolean {
  return refusal.code !== 'unreachable' && refusal.code !== 'temporarily_unavailable'
}

whenSignedOut(() => forgetCustomer(cache))
void cache.prefetchQuery(siteRead)
void cache.prefetchQuery(meRead)

const root = document.getElementById('root')
if (!root) throw new Error('index.html has no #root to draw the pages in')
createRoot(root).render(
  <QueryClientProvider client={cache}>
    <RouterProvider router={router} />
  </QueryClientProvider>,
)
