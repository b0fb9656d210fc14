import { queryOptions } from '@tanstack/react-query'
import { api } from '../api.ts'

/** What the pages of staff read. Nothing tells them of changes, so they ask again. */
const WHILE_IT_RUNS_MS = 1_500
const OTHERWISE_MS = 30_000

export const reconciliationRead = queryOptions({
  queryKey: ['staff', 'reconciliation'],
  queryFn: api.reconciliation,
  refetchInterval: (query) =>
    query.state.data?.runs.some((run) => run.status === 'running') ? WHILE_IT_RUNS_MS : OTHERWISE_MS,
})
