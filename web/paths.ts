import { linkOptions } from '@tanstack/react-router'
import type { Favourite } from '../contract/contract.ts'

/** The only writer of URLs: of the pages (which a person may share) and of the server's interface. */
export const paths = {
  home: () => linkOptions({ to: '/' }),
  topUp: (amount?: string, by: Omit<TopUpSearch, 'amount'> = {}) =>
    linkOptions({ to: '/top-up', search: { ...(amount ? { amount } : {}), ...by } }),
  topup: (id: string) => linkOptions({ to: '/topups/$id', params: { id } }),
  receipt: (id: string) => linkOptions({ to: '/topups/$id/receipt', params: { id } }),
  numbers: (search: NumbersSearch = {}) => linkOptions({ to: '/numbers', search }),
  orders: (search: OrdersSearch = {}) => linkOptions({ to: '/numbers/orders', search }),
  order: (orderId: string) => linkOptions({ to: '/numbers/$orderId', params: { orderId } }),
  billing: (search: BillingSearch = {}) => linkOptions({ to: '/billing', search }),
  signIn: (next?: string) => linkOptions({ to: '/sign-in', search: next ? { next } : {} }),
  join: (next?: string) => linkOptions({ to: '/join', search: next ? { next } : {} }),
  checkMail: () => linkOptions({ to: '/join/check-mail' }),
  passwordForgotten: () => linkOptions({ to: '/password/forgotten' }),
  help: (search: HelpSearch = {}) => linkOptions({ to: '/help', search }),
  article: (article: string) => linkOptions({ to: '/help/$article', params: { article } }),
  status: () => linkOptions({ to: '/status' }),
  terms: (search: PolicySearch = {}) => linkOptions({ to: '/terms', search }),
  privacy: (search: PolicySearch = {}) => linkOptions({ to: '/privacy', search }),
  acceptableUse: (search: PolicySearch = {}) => linkOptions({ to: '/acceptable-use', search }),
  refundPolicy: (search: PolicySearch = {}) => linkOptions({ to: '/refund-policy', search }),
  settings: () => linkOptions({ to: '/settings' }),
  security: () => linkOptions({ to: '/settings/security' }),
  keys: () => linkOptions({ to: '/settings/keys' }),
  mails: () => linkOptions({ to: '/settings/mails' }),
  docs: () => linkOptions({ to: '/api/docs' }),
  staffReconciliation: () => linkOptions({ to: '/staff/reconciliation' }),
  staffCards: () => linkOptions({ to: '/staff/cards' }),
  staffEvents: (search: StaffListSearch = {}) => linkOptions({ to: '/staff/events', search }),
  staffDisputes: (search: StaffListSearch = {}) => linkOptions({ to: '/staff/disputes', search }),
  staffCrypto: (search: StaffListSearch = {}) => linkOptions({ to: '/staff/crypto', search }),
  staffCryptoRefunds: (search: StaffListSearch = {}) => linkOptions({ to: '/staff/crypto-refunds', search }),
}

/** The row of the catalogue as an address, to come back to. */
export function numbersAddress(words: string): string {
  return `/numbers${stringifySearch({ q: words })}`
}

const API = '/api/v1'
const id = encodeURIComponent

export const endpoints = {
  site: () => `${API}/site`,
  status: () => `${API}/status`,
  balance: () => `${API}/balance`,
  services: () => `${API}/services`,
  countries: () => `${API}/countries`,
  prices: (limit: number, cursor?: string) => `${API}/prices${query({ limit: limit.toString(), cursor })}`,
  price: ({ service, country }: Favourite) => `${API}/prices${query({ service, country })}`,
  findPrices: (search: string, limit: number) => `${API}/prices${query({ search, limit: limit.toString() })}`,
  topups: (limit?: number) => `${API}/topups${query({ limit: limit?.toString() })}`,
  topup: (topup: string) => `${API}/topups/${id(topup)}`,
  crypto: () => `${API}/crypto`,
  cards: () => `${API}/cards`,
  topupTransaction: (topup: string, txid: string) => `${API}/topups/${id(topup)}/transaction${query({ txid })}`,
  topupRefunds: (topup: string) => `${API}/topups/${id(topup)}/refunds`,
  receipt: (topup: string) => `${API}/receipts/${id(topup)}`,
  receiptPdf: (topup: string) => `${API}/receipts/${id(topup)}.pdf`,
  refundPdf: (refund: string) => `${API}/receipts/refunds/${id(refund)}.pdf`,
  topupReturn: (topup: string) => `${API}/topups/${id(topup)}/return`,
  orders: (filter: OrdersFilter = {}) => `${API}/orders${query({ ...filter, limit: filter.limit?.toString() })}`,
  order: (order: string) => `${API}/orders/${id(order)}`,
  cancelOrder: (order: string) => `${API}/orders/${id(order)}/cancel`,
  finishOrder: (order: string) => `${API}/orders/${id(order)}/finish`,
  anotherCode: (order: string) => `${API}/orders/${id(order)}/another-code`,
  favourites: (limit?: number) => `${API}/favourites${query({ limit: limit?.toString() })}`,
  favourite: ({ service, country }: Favourite) => `${API}/favourites/${id(service)}/${id(country)}`,
  history: (filter: { type?: string; from?: string; to?: string; limit: number; cursor?: string }) =>
    `${API}/billing/history${query({ ...filter, limit: filter.limit.toString() })}`,
  events: () => `${API}/events`,
  openapi: () => '/api/openapi.json',
  signIn: () => '/api/auth/sign-in/username',
  signOut: () => '/api/auth/sign-out',
  signUp: () => '/api/auth/sign-up',
  confirmSignUp: () => '/api/auth/sign-up/confirm',
  resendSignUp: () => '/api/auth/sign-up/resend',
  passwordForgotten: () => '/api/auth/password/forgotten',
  resetPassword: () => '/api/auth/password/reset',
  confirmEmail: () => '/api/auth/email/confirm',
  settings: () => `${API}/settings`,
  keys: (filter: { status?: 'works' | 'ended'; cursor?: string } = {}) => `${API}/keys${query(filter)}`,
  revokeKey: (key: string) => `${API}/keys/${id(key)}/revoke`,
  sessions: () => `${API}/sessions`,
  endSession: (session: string) => `${API}/sessions/${id(session)}/end`,
  endOtherSessions: () => `${API}/sessions/end-others`,
  confirmPassword: () => '/api/auth/confirm-password',
  changePassword: () => '/api/auth/password/change',
  changeEmail: () => '/api/auth/email/change',
  staffReconciliation: () => `${API}/staff/reconciliation`,
  staffEvents: (filter: StaffListSearch & { cursor?: string }) => `${API}/staff/events${query(filter)}`,
  staffDisputes: (filter: StaffListSearch & { cursor?: string }) => `${API}/staff/disputes${query(filter)}`,
  staffEvidence: (dispute: string) => `${API}/staff/disputes/${id(dispute)}/evidence`,
  takeCardsAgain: (dispute: string) => `${API}/staff/disputes/${id(dispute)}/take-cards`,
  staffCards: () => `${API}/staff/cards`,
  refundWarning: (warning: string) => `${API}/staff/warnings/${id(warning)}/refund`,
  releaseWarning: (warning: string) => `${API}/staff/warnings/${id(warning)}/release`,
  staffCrypto: (filter: StaffListSearch & { cursor?: string }) => `${API}/staff/crypto${query(filter)}`,
  staffCryptoLookup: () => `${API}/staff/crypto/lookup`,
  closeCryptoItem: (item: string) => `${API}/staff/crypto/${id(item)}/close`,
  staffChains: () => `${API}/staff/chains`,
  resumeChain: (chain: string) => `${API}/staff/chains/${encodeURIComponent(chain)}/resume`,
  staffCryptoRefunds: (filter: StaffListSearch & { cursor?: string }) => `${API}/staff/crypto-refunds${query(filter)}`,
  cryptoRefund: (refund: string, what: 'approve' | 'price' | 'paid' | 'decline') =>
    `${API}/staff/crypto-refunds/${id(refund)}/${what}`,
  cryptoReconciliation: () => `${API}/staff/reconciliation/crypto`,
  staffEventState: () => `${API}/staff/events/state`,
  staffEventTest: () => `${API}/staff/events/test`,
  staffReplay: (event: string) => `${API}/staff/events/${id(event)}/replay`,
}

/** What a URL of Numbers holds: the words of the search. */
export type NumbersSearch = { q?: string }
/** What a URL of the orders holds. `from` and `to` are days (`2026-11-22`), both included; `q` the digits that are searched for. */
export type OrdersSearch = {
  status?: string
  service?: string
  country?: string
  from?: string
  to?: string
  q?: string
}
/** What a URL of Billing History holds. `from` and `to` are days (`2026-11-22`), both included. */
export type BillingSearch = { type?: string; from?: string; to?: string; holds?: 'hidden' }
export type ReturnSearch = { session_id?: string }
/** `method` none: by card. */
export type TopUpSearch = { amount?: string; method?: 'crypto'; asset?: string }
/** Where somebody wanted to go before he had to sign in: a place of these pages, never another site's. */
export type NextSearch = { next?: string }
/** The words of the search in the help articles. */
export type HelpSearch = { q?: string }
/** Which of a list of staff's is shown; none: all of it. */
export type StaffListSearch = { status?: string }
/** Which version of a policy; none: the one in force. */
export type PolicySearch = { version?: string }

/** What the server is asked of the orders. */
export type OrdersFilter = {
  status?: string
  service?: string
  country?: string
  from?: string
  to?: string
  search?: string
  limit?: number
  cursor?: string
}

type Raw = Record<string, unknown>

export function readNumbersSearch(raw: Raw): NumbersSearch {
  return present({ q: text(raw['q'], 100) })
}

export function readOrdersSearch(raw: Raw): OrdersSearch {
  return present({
    status: text(raw['status'], 20),
    service: text(raw['service'], 64),
    country: text(raw['country'], 8),
    from: day(raw['from']),
    to: day(raw['to']),
    q: text(raw['q'], 40),
  })
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
  return present({
    amount: text(raw['amount'], 12),
    method: raw['method'] === 'crypto' ? ('crypto' as const) : undefined,
    asset: text(raw['asset'], 10),
  })
}

export function readNextSearch(raw: Raw): NextSearch {
  const next = text(raw['next'], 300)
  return present({ next: next && isOfThesePages(next) ? next : undefined })
}

export function readHelpSearch(raw: Raw): HelpSearch {
  return present({ q: text(raw['q'], 100) })
}

export function readStaffListSearch(raw: Raw): StaffListSearch {
  return present({ status: text(raw['status'], 20) })
}

export function readPolicySearch(raw: Raw): PolicySearch {
  return present({ version: day(raw['version']) })
}

/** A path from the root, and one only: browsers read `//x`, `/\\x` and paths with control characters in them as other sites. */
function isOfThesePages(address: string): boolean {
  if (!/^\/(?![/\\])[^\\\s]*$/.test(address)) return false
  const here = 'https://pages.invalid'
  const url = URL.parse(address, here)
  return url?.origin === here && !url.pathname.startsWith('//')
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
