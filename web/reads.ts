import { infiniteQueryOptions, keepPreviousData, type QueryClient, queryOptions, useQuery } from '@tanstack/react-query'
import type { Favourite, HistoryRow, Order, Topup } from '../contract/contract.ts'
import { api } from './api.ts'
import type { BillingSearch, OrdersSearch } from './paths.ts'

/** What the pages read, each with its place in the Query cache. `live.ts` writes into the same places. */

const OPEN_ORDERS_MAX = 100
const RECENT_TOPUPS = 20
const MOVEMENTS_ON_HOME = 5
const HISTORY_PAGE_ROWS = 50
const ORDERS_PAGE_ROWS = 50
/** What the server searches for: fewer would find nearly everything, more has no phone number. */
const SEARCH_DIGITS_MIN = 3
const SEARCH_DIGITS_MAX = 15
/** They change by this customer's own hand only; another tab may wait. */
const FAVOURITES_FRESH_MS = 60_000
/** Stock and success rates move with everybody's orders; a minute old is fresh enough to choose by. */
const PRICES_FRESH_MS = 60_000

export const siteRead = queryOptions({ queryKey: ['site'], queryFn: api.site, staleTime: Number.POSITIVE_INFINITY })
/** As often as the server looks itself. */
const STATUS_FRESH_MS = 15_000
export const statusRead = queryOptions({
  queryKey: ['status'],
  queryFn: api.status,
  staleTime: STATUS_FRESH_MS,
  refetchInterval: STATUS_FRESH_MS,
})
export const meRead = queryOptions({ queryKey: ['me'], queryFn: api.me, staleTime: 30_000 })
export const balanceRead = queryOptions({ queryKey: ['balance'], queryFn: api.balance })
export const servicesRead = queryOptions({ queryKey: ['services'], queryFn: api.services, staleTime: 3_600_000 })
export const countriesRead = queryOptions({ queryKey: ['countries'], queryFn: api.countries, staleTime: 3_600_000 })
export const pricesRead = queryOptions({ queryKey: ['prices'], queryFn: api.prices, staleTime: PRICES_FRESH_MS })
/** One pair, for whom another is of no interest. */
export const priceRead = ({ service, country }: Favourite) =>
  queryOptions({
    queryKey: ['prices', 'pair', service, country],
    queryFn: () => api.price({ service, country }),
    staleTime: PRICES_FRESH_MS,
  })

export const documentRead = queryOptions({ queryKey: ['openapi'], queryFn: api.document, staleTime: 3_600_000 })

/** The server's own search, for whom the whole catalogue is too much to begin with. */
export const foundPricesRead = (search: string, limit: number) =>
  queryOptions({
    queryKey: ['prices', 'found', search, limit],
    queryFn: () => api.findPrices(search, limit),
    staleTime: PRICES_FRESH_MS,
    placeholderData: keepPreviousData,
  })

export const openOrdersRead = queryOptions({
  queryKey: ['orders', 'open'],
  queryFn: () => api.openOrders(OPEN_ORDERS_MAX),
})
export const lastOrderRead = queryOptions({ queryKey: ['orders', 'last'], queryFn: api.lastOrder })
export const favouritesRead = queryOptions({
  queryKey: ['favourites'],
  queryFn: api.favourites,
  staleTime: FAVOURITES_FRESH_MS,
})

/** The orders, page after page. The days of the search are days in the account's time zone, both included. */
export const ordersRead = ({ q, ...filter }: OrdersSearch) => {
  const digits = searchDigits(q)
  const asked = { ...filter, ...(digits ? { search: digits } : {}) }
  return infiniteQueryOptions({
    queryKey: ['orders', 'pages', asked],
    queryFn: ({ pageParam }) =>
      api.orders({ ...asked, limit: ORDERS_PAGE_ROWS, ...(pageParam ? { cursor: pageParam } : {}) }),
    initialPageParam: '',
    getNextPageParam: (last) => last.next_cursor,
    placeholderData: keepPreviousData,
  })
}

/** The digits that are worth a search; null: none were typed, or too few. */
export function searchDigits(typed: string | undefined): string | null {
  const digits = typed?.replace(/\D/g, '') ?? ''
  return digits.length >= SEARCH_DIGITS_MIN && digits.length <= SEARCH_DIGITS_MAX ? digits : null
}

export const orderRead = (id: string) => queryOptions({ queryKey: ['order', id], queryFn: () => api.order(id) })

/** A network that was away is back within seconds; whoever waits for it sees that soon. */
const CRYPTO_FRESH_MS = 10_000
export const cryptoRead = queryOptions({
  queryKey: ['crypto'],
  queryFn: api.crypto,
  staleTime: CRYPTO_FRESH_MS,
  refetchInterval: CRYPTO_FRESH_MS,
})
/** Banks decide when they like: what a page shows is asked anew whenever it is opened. */
export const cardsRead = queryOptions({ queryKey: ['cards'], queryFn: api.cards, staleTime: 0 })
export const topupsRead = queryOptions({
  queryKey: ['topups'],
  queryFn: () => api.topups(RECENT_TOPUPS),
})
export const receiptRead = (id: string) => queryOptions({ queryKey: ['receipt', id], queryFn: () => api.receipt(id) })
export const topupRead = (id: string) => queryOptions({ queryKey: ['topup', id], queryFn: () => api.topup(id) })

export const movementsRead = queryOptions({
  queryKey: ['history', 'last'],
  queryFn: async () => (await api.history({ limit: MOVEMENTS_ON_HOME })).items,
})

/** What moves the balance: everything but holds and releases. A record, so that a new type must be answered to compile. */
const movesBalance: Record<Exclude<HistoryRow['type'], 'hold' | 'release'>, true> = {
  topup: true,
  deduction: true,
  refund: true,
  topup_refund: true,
  dispute: true,
  adjustment: true,
  gift: true,
  reversal: true,
}

/** Billing History, page after page. The days of the search are days in the account's time zone, both included. */
export const historyRead = ({ type, from, to, holds }: BillingSearch) => {
  const filter = {
    ...(type ? { type } : holds === 'hidden' ? { type: Object.keys(movesBalance).join() } : {}),
    ...(from ? { from } : {}),
    ...(to ? { to } : {}),
  }
  return infiniteQueryOptions({
    queryKey: ['history', 'pages', filter],
    queryFn: ({ pageParam }) =>
      api.history({ ...filter, limit: HISTORY_PAGE_ROWS, ...(pageParam ? { cursor: pageParam } : {}) }),
    initialPageParam: '',
    getNextPageParam: (last) => last.next_cursor,
  })
}

export const settingsRead = queryOptions({ queryKey: ['settings'], queryFn: api.settings })
export const sessionsRead = queryOptions({ queryKey: ['sessions'], queryFn: api.sessions })
export const keysRead = queryOptions({ queryKey: ['keys', 'works'], queryFn: api.keys })
export const endedKeysRead = infiniteQueryOptions({
  queryKey: ['keys', 'ended'],
  queryFn: ({ pageParam }) => api.endedKeys(pageParam),
  initialPageParam: '',
  getNextPageParam: (last) => last.next_cursor,
})

/** Names of services and countries, and the dial code; the code itself until they are known. */
export function useNames() {
  const services = useQuery(servicesRead).data
  const countries = useQuery(countriesRead).data
  return {
    service: (code: string) => services?.find((service) => service.code === code)?.name ?? code,
    country: (code: string) => countries?.find((country) => country.code === code)?.name ?? code,
    dialCode: (code: string) => {
      const dial = countries?.find((country) => country.code === code)?.dial_code ?? ''
      return dial && !dial.startsWith('+') ? `+${dial}` : dial
    },
  }
}

const lasting = new Set(['site', 'me', 'services', 'countries', 'status', 'crypto'])
/** Nothing of this customer stays for the next one at the same browser. */
export function forgetCustomer(cache: QueryClient): void {
  cache.removeQueries({ predicate: (query) => !lasting.has(String(query.queryKey[0])) })
  cache.setQueryData(meRead.queryKey, null)
}

/** An order as it is now, wherever it is shown. A reading under way is stopped: what it brings could be older. */
export function orderChanged(cache: QueryClient, order: Order): void {
  void cache.cancelQueries({ queryKey: ['order', order.id] })
  cache.setQueryData(['order', order.id], order)
  cache.setQueryData<Order[]>(['orders', 'open'], (orders) =>
    orders?.map((known) => (known.id === order.id ? order : known)),
  )
  void cache.invalidateQueries({ queryKey: ['orders'] })
  void cache.invalidateQueries({ queryKey: ['history'] })
}

export function topupChanged(cache: QueryClient, topup: Topup): void {
  void cache.cancelQueries({ queryKey: ['topup', topup.id] })
  cache.setQueryData(['topup', topup.id], topup)
  void cache.invalidateQueries({ queryKey: ['topups'] })
  void cache.invalidateQueries({ queryKey: cardsRead.queryKey })
  void cache.invalidateQueries({ queryKey: ['history'] })
}
