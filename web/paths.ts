import { linkOptions } from '@tanstack/react-router'

/** The only writer of URLs: of the pages (which a person may share) and of the server's interface. */
export const paths = {
  home: () => linkOptions({ to: '/' }),
  topUp: (amount?: string) => linkOptions({ to: '/top-up', search: amount ? { amount } : {} }),
  topup: (id: string) => linkOptions({ to: '/topups/$id', params: { id } }),
  numbers: (search: NumbersSearch = {}) => linkOptions({ to: '/numbers', search }),
  order: (orderId: string) => linkOptions({ to: '/numbers/$orderId', params: { orderId } }),
  billing: (search: BillingSearch = {}) => linkOptions({ to: '/billing', search }),
}

const API = '/api/v1'
const id = encodeURIComponent

export const endpoints = {
  site: () => `${API}/site`,
  balance: () => `${API}/balance`,
  services: () => `${API}/services`,
  countries: () => `${API}/countries`,
  prices: (cursor?: string) => `${API}/prices${query({ cursor })}`,
  topups: (limit?: number) => `${API}/topups${query({ limit: limit?.toString() })}`,
  topup: (topup: string) => `${API}/topups/${id(topup)}`,
  topupReturn: (topup: string) => `${API}/topups/${id(topup)}/return`,
  orders: (filter: { status?: 'open' | 'ended'; limit?: number } = {}) =>
    `${API}/orders${query({ status: filter.status, limit: filter.limit?.toString() })}`,
  order: (order: string) => `${API}/orders/${id(order)}`,
  cancelOrder: (order: string) => `${API}/orders/${id(order)}/cancel`,
  history: (filter: { type?: string; from?: string; to?: string; limit: number; cursor?: string }) =>
    `${API}/billing/history${query({ ...filter, limit: filter.limit.toString() })}`,
  events: () => `${API}/events`,
  signIn: () => '/api/auth/sign-in/username',
  signOut: () => '/api/auth/sign-out',
}

/** What a URL of Numbers holds: the words of the search. */
export type NumbersSearch = { q?: string }
/** What a URL of Billing History holds. `from` and `to` are days (`2026-11-22`), both included. */
export type BillingSearch = { type?: string; from?: string; to?: string; holds?: 'hidden' }
export type ReturnSearch = { session_id?: string }
export type TopUpSearch = { amount?: string }

type Raw = Record<string, unknown>

export function readNumbersSearch(raw: Raw): NumbersSearch {
  return present({ q: text(raw['q'], 100) })
}

export function readBillingSearch(raw: Raw): BillingSearch {
  return present({
    type: text(raw['type'], 30),
    from: day(raw['from']),
    to: day(raw['to']),
    holds: raw['holds'] === 'hidden' ? ('hidden' as const) : undefined,
  })
}

export function readReturnSearch(raw: Raw): ReturnSearch {
  return present({ session_id: text(raw['session_id'], 300) })
}

export function readTopUpSearch(raw: Raw): TopUpSearch {
  return present({ amount: text(raw['amount'], 12) })
}

/** Reads `?a=b` as plain words: the router's own reading would turn `10.00` into a number. */
export function parseSearch(search: string): Raw {
  return Object.fromEntries(new URLSearchParams(search))
}

export function stringifySearch(search: Raw): string {
  return query(Object.fromEntries(Object.entries(search).map(([key, value]) => [key, value?.toString()])))
}

function query(values: Record<string, string | undefined>): string {
  const params = new URLSearchParams()
  for (const [key, value] of Object.entries(values)) if (value) params.set(key, value)
  const words = params.toString()
  return words && `?${words}`
}

function text(value: unknown, charactersMax: number): string | undefined {
  return typeof value === 'string' && value !== '' ? value.slice(0, charactersMax) : undefined
}

/** A day as the calendar has it; anything else in the address is as if it were not there. */
function day(value: unknown): string | undefined {
  if (typeof value !== 'string' || !/^\d{4}-\d{2}-\d{2}$/.test(value)) return undefined
  const instant = Date.parse(`${value}T00:00:00Z`)
  return !Number.isNaN(instant) && new Date(instant).toISOString().startsWith(value) ? value : undefined
}

type Present<T> = { [Key in keyof T]?: NonNullable<T[Key]> }
function present<T extends Record<string, unknown>>(values: T): Present<T> {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as Present<T>
}
