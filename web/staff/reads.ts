import { infiniteQueryOptions, queryOptions } from '@tanstack/react-query'
import { api } from '../api.ts'
import type { StaffListSearch } from '../paths.ts'

/** What the pages of staff read. Nothing tells them of changes, so they ask again. */
const WHILE_IT_RUNS_MS = 1_500
const OTHERWISE_MS = 30_000

export const reconciliationRead = queryOptions({
  queryKey: ['staff', 'reconciliation'],
  queryFn: api.reconciliation,
  refetchInterval: (query) =>
    query.state.data?.runs.some((run) => run.status === 'running') ? WHILE_IT_RUNS_MS : OTHERWISE_MS,
})

export const cardsRead = queryOptions({
  queryKey: ['staff', 'cards'],
  queryFn: api.staffCards,
  refetchInterval: OTHERWISE_MS,
})

export const eventStateRead = queryOptions({
  queryKey: ['staff', 'events', 'state'],
  queryFn: api.eventState,
  refetchInterval: OTHERWISE_MS,
})

/** Page after page, newest first. */
export const staffEventsRead = (search: StaffListSearch) =>
  infiniteQueryOptions({
    queryKey: ['staff', 'events', 'pages', search],
    queryFn: ({ pageParam }) => api.staffEvents({ ...search, ...(pageParam ? { cursor: pageParam } : {}) }),
    initialPageParam: '',
    getNextPageParam: (last) => last.next_cursor,
  })

export const staffDisputesRead = (search: StaffListSearch) =>
  infiniteQueryOptions({
    queryKey: ['staff', 'disputes', search],
    queryFn: ({ pageParam }) => api.staffDisputes({ ...search, ...(pageParam ? { cursor: pageParam } : {}) }),
    initialPageParam: '',
    getNextPageParam: (last) => last.next_cursor,
  })

export const staffCryptoRead = (search: StaffListSearch) =>
  infiniteQueryOptions({
    queryKey: ['staff', 'crypto', search],
    queryFn: ({ pageParam }) => api.staffCrypto({ ...search, ...(pageParam ? { cursor: pageParam } : {}) }),
    initialPageParam: '',
    getNextPageParam: (last) => last.next_cursor,
  })

export const staffChainsRead = queryOptions({
  queryKey: ['staff', 'chains'],
  queryFn: api.staffChains,
  refetchInterval: OTHERWISE_MS,
})

export const staffCryptoRefundsRead = (search: StaffListSearch) =>
  infiniteQueryOptions({
    queryKey: ['staff', 'crypto-refunds', search],
    queryFn: ({ pageParam }) => api.staffCryptoRefunds({ ...search, ...(pageParam ? { cursor: pageParam } : {}) }),
    initialPageParam: '',
    getNextPageParam: (last) => last.next_cursor,
    refetchInterval: OTHERWISE_MS,
  })

export const cryptoReconciliationRead = queryOptions({
  queryKey: ['staff', 'reconciliation', 'crypto'],
  queryFn: api.cryptoReconciliation,
  refetchInterval: (query) =>
    query.state.data?.runs.some((run) => run.status === 'running') ? WHILE_IT_RUNS_MS : OTHERWISE_MS,
})
