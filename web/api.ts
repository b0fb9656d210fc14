import type {
  ApiKey,
  Balance,
  CardsTaken,
  CardTopup,
  ConfirmSignUp,
  Country,
  CryptoAsset,
  CryptoOffers,
  CryptoReconciliation,
  CryptoTopup,
  CryptoTransaction,
  EndpointTest,
  EventState,
  Favourite,
  HistoryRow,
  Me,
  NewApiKey,
  Order,
  Page,
  Price,
  Receipt,
  Reconciliation,
  ReconciliationRun,
  Service,
  Session,
  Settings,
  SignUp,
  Site,
  StaffCards,
  StaffChain,
  StaffCryptoItem,
  StaffCryptoLookup,
  StaffCryptoRefund,
  StaffDispute,
  StaffEvent,
  Status,
  Topup,
  TopupRefund,
} from '../contract/contract.ts'
import { type RefusalCode, refusals } from '../contract/refusals.ts'
import type { ApiDocument } from './docs/document.ts'
import { endpoints, type OrdersFilter, type StaffListSearch } from './paths.ts'

/** A refusal as the pages know it. `unreachable`: no answer came, so whether it was done is not known. */
export type Refusal = {
  code: RefusalCode | 'unreachable'
  title: string
  detail: string
  field: string | null
  requestId: string | null
  /** What it costs, where a price above what was agreed to is the reason. */
  price?: string
  /** From when on it works again, where it is closed for a while. */
  opensAt?: string
}

export type Answer<Value> = { ok: true; value: Value } | { ok: false; refusal: Refusal }

/** A refused reading, as an exception: that is how the Query cache carries it to the page, which shows it as a value. */
export class Refused extends Error {
  readonly refusal: Refusal
  constructor(refusal: Refusal) {
    super(refusal.detail)
    this.name = 'Refused'
    this.refusal = refusal
  }
}

const REQUEST_TIMEOUT_MS = 20_000
/** The catalogue in one list: 96 pairs in a sandbox. Beyond so many pages the server's search finds the rest. */
const PRICE_PAGES_MAX = 10
const PRICES_A_PAGE = 100
/** An account has no more. */
const FAVOURITES_MAX = 100

/** The only fetcher. */
export const api = {
  site: () => read<Site>(endpoints.site()),
  /** Null: nobody is signed in. */
  me: async (): Promise<Me | null> => (await read<Site>(endpoints.site())).me,
  status: () => read<Status>(endpoints.status()),
  balance: () => read<Balance>(endpoints.balance()),
  services: async () => (await read<Page<Service>>(endpoints.services())).items,
  countries: async () => (await read<Page<Country>>(endpoints.countries())).items,
  /** `whole`: no pair is missing. */
  prices: async (): Promise<{ items: Price[]; whole: boolean }> => {
    const items: Price[] = []
    let cursor: string | undefined
    for (let page = 0; page < PRICE_PAGES_MAX; page += 1) {
      const answer = await read<Page<Price>>(endpoints.prices(PRICES_A_PAGE, cursor))
      items.push(...answer.items)
      if (!answer.next_cursor) return { items, whole: true }
      cursor = answer.next_cursor
    }
    return { items, whole: false }
  },
  /** Null: the pair is not sold. */
  price: async (pair: Favourite) => (await read<Page<Price>>(endpoints.price(pair))).items[0] ?? null,
  /** The first rows that fit the words, and whether there are more. */
  findPrices: (search: string, limit: number) => read<Page<Price>>(endpoints.findPrices(search, limit)),
  topups: async (limit: number) => (await read<Page<Topup>>(endpoints.topups(limit))).items,
  topup: (id: string) => read<Topup>(endpoints.topup(id)),
  crypto: () => read<CryptoOffers>(endpoints.crypto()),
  /** Of who is signed in. */
  cards: () => read<CardsTaken>(endpoints.cards()),
  /** A transaction by its id, as the network of this top-up knows it. */
  transaction: (topup: string, txid: string) => send<CryptoTransaction>('GET', endpoints.topupTransaction(topup, txid)),
  receipt: (id: string) => read<Receipt>(endpoints.receipt(id)),
  /** Tells the server that the customer is back from the bank; it asks Stripe and settles. Repeating it changes nothing. */
  returned: async (id: string, sessionId: string | undefined): Promise<CardTopup> => {
    const answer = await send<CardTopup>('POST', endpoints.topupReturn(id), sessionId ? { session_id: sessionId } : {})
    if (answer.ok) return answer.value
    throw new Refused(answer.refusal)
  },
  openOrders: async (limit: number) => (await read<Page<Order>>(endpoints.orders({ status: 'open', limit }))).items,
  lastOrder: async () => (await read<Page<Order>>(endpoints.orders({ limit: 1 }))).items[0] ?? null,
  orders: (filter: OrdersFilter) => read<Page<Order>>(endpoints.orders(filter)),
  order: (id: string) => read<Order>(endpoints.order(id)),
  favourites: async () => (await read<Page<Favourite>>(endpoints.favourites(FAVOURITES_MAX))).items,
  document: () => read<ApiDocument>(endpoints.openapi()),
  history: (filter: Parameters<typeof endpoints.history>[0]) => read<Page<HistoryRow>>(endpoints.history(filter)),

  startTopup: (wish: TopupWish, key: string) =>
    send<CardTopup | CryptoTopup>('POST', endpoints.topups(), wish, { key }),
  /** Sends what is unspent of a top-up back to its card, or to an address. */
  returnUnspent: ({ topup, ...wish }: { topup: string; amount: string; address?: string }, key: string) =>
    send<TopupRefund>('POST', endpoints.topupRefunds(topup), wish, { key }),
  placeOrder: (wish: { service: string; country: string; max_price: string }, key: string) =>
    send<Order>('POST', endpoints.orders(), wish, { key }),
  cancelOrder: (id: string, key: string) => send<Order>('POST', endpoints.cancelOrder(id), {}, { key }),
  finishOrder: (id: string, key: string) => send<Order>('POST', endpoints.finishOrder(id), {}, { key }),
  anotherCode: (id: string, key: string) => send<Order>('POST', endpoints.anotherCode(id), {}, { key }),
  markFavourite: (favourite: Favourite) => send<unknown>('POST', endpoints.favourites(), favourite),
  unmarkFavourite: (favourite: Favourite) => send<unknown>('DELETE', endpoints.favourite(favourite)),

  signIn: (login: { username: string; password: string }) =>
    send<unknown>('POST', endpoints.signIn(), login, { signingIn: true }),
  signOut: () => send<unknown>('POST', endpoints.signOut(), {}),
  signUp: (wish: SignUp) => send<unknown>('POST', endpoints.signUp(), wish),
  /** `username`: another one, when the first was taken meanwhile. `password`: when another browser began. */
  confirmSignUp: (wish: ConfirmSignUp) => send<Me>('POST', endpoints.confirmSignUp(), wish),
  resendSignUp: (email: string) => send<unknown>('POST', endpoints.resendSignUp(), { email }),
  passwordForgotten: (login: string) => send<unknown>('POST', endpoints.passwordForgotten(), { login }),
  resetPassword: (token: string, password: string) =>
    send<unknown>('POST', endpoints.resetPassword(), { token, password }),
  confirmEmail: (token: string) => send<unknown>('POST', endpoints.confirmEmail(), { token }),

  settings: () => read<Settings>(endpoints.settings()),
  changeSettings: (change: SettingsChange) => send<Settings>('PATCH', endpoints.settings(), change),
  /** At most 20 work, so one page has them all. */
  keys: async () => (await read<Page<ApiKey>>(endpoints.keys({ status: 'works' }))).items,
  endedKeys: (cursor: string) => read<Page<ApiKey>>(endpoints.keys({ status: 'ended', ...(cursor && { cursor }) })),
  makeKey: (wish: KeyWish, key: string) => send<NewApiKey>('POST', endpoints.keys(), wish, { key }),
  revokeKey: (id: string) => send<ApiKey>('POST', endpoints.revokeKey(id), {}),
  sessions: async () => (await read<Page<Session>>(endpoints.sessions())).items,
  endSession: (id: string) => send<unknown>('POST', endpoints.endSession(id), {}),
  endOtherSessions: () => send<unknown>('POST', endpoints.endOtherSessions(), {}),
  confirmPassword: (password: string) => send<unknown>('POST', endpoints.confirmPassword(), { password }),
  changePassword: (change: { current_password: string; password: string; end_other_sessions: boolean }) =>
    send<unknown>('POST', endpoints.changePassword(), change),
  changeEmail: (email: string) => send<unknown>('POST', endpoints.changeEmail(), { email }),
  /** For members of staff. */
  reconciliation: () => read<Reconciliation>(endpoints.staffReconciliation()),
  reconcile: () => send<ReconciliationRun>('POST', endpoints.staffReconciliation(), {}),
  staffEvents: (filter: StaffListSearch & { cursor?: string }) => read<Page<StaffEvent>>(endpoints.staffEvents(filter)),
  staffDisputes: (filter: StaffListSearch & { cursor?: string }) =>
    read<Page<StaffDispute>>(endpoints.staffDisputes(filter)),
  takeCardsAgain: (id: string, why: string) => send<StaffDispute>('POST', endpoints.takeCardsAgain(id), { why }),
  staffCards: () => read<StaffCards>(endpoints.staffCards()),
  pauseCards: (paused: boolean) => send<StaffCards>('POST', endpoints.staffCards(), { paused }),
  refundWarning: (id: string, why: string) => send<StaffDispute>('POST', endpoints.refundWarning(id), { why }),
  releaseWarning: (id: string, why: string) => send<StaffDispute>('POST', endpoints.releaseWarning(id), { why }),
  staffCrypto: (filter: StaffListSearch & { cursor?: string }) =>
    read<Page<StaffCryptoItem>>(endpoints.staffCrypto(filter)),
  lookUpCrypto: (asked: { chain: string; transaction_id: string; network?: string; address?: string }) =>
    send<StaffCryptoLookup>('POST', endpoints.staffCryptoLookup(), asked),
  closeCryptoItem: (
    id: string,
    decision: { action: 'credit' | 'leave' | 'recover'; why: string; amount?: string; topup_id?: string },
  ) => send<StaffCryptoItem>('POST', endpoints.closeCryptoItem(id), decision),
  staffChains: () => read<{ items: StaffChain[] }>(endpoints.staffChains()),
  resumeChain: (chain: string, why: string) => send<StaffChain>('POST', endpoints.resumeChain(chain), { why }),
  staffCryptoRefunds: (filter: StaffListSearch & { cursor?: string }) =>
    read<Page<StaffCryptoRefund>>(endpoints.staffCryptoRefunds(filter)),
  approveCryptoRefund: (id: string) => send<StaffCryptoRefund>('POST', endpoints.cryptoRefund(id, 'approve'), {}),
  priceCryptoRefund: (id: string) => send<StaffCryptoRefund>('POST', endpoints.cryptoRefund(id, 'price'), {}),
  payCryptoRefund: (id: string, transaction_id: string) =>
    send<StaffCryptoRefund>('POST', endpoints.cryptoRefund(id, 'paid'), { transaction_id }),
  declineCryptoRefund: (id: string, why: string) =>
    send<StaffCryptoRefund>('POST', endpoints.cryptoRefund(id, 'decline'), { why }),
  cryptoReconciliation: () => read<CryptoReconciliation>(endpoints.cryptoReconciliation()),
  reconcileCrypto: () => send<CryptoReconciliation>('POST', endpoints.cryptoReconciliation(), {}),
  eventState: () => read<EventState>(endpoints.staffEventState()),
  testEndpoint: () => send<EndpointTest>('POST', endpoints.staffEventTest(), {}),
  replayEvent: (event: string) => send<StaffEvent>('POST', endpoints.staffReplay(event), {}),
}

export type TopupWish = { method: 'card'; amount: string } | { method: 'crypto'; amount: string; asset: CryptoAsset }

export type SettingsChange = {
  time_zone?: string
  company?: string
  tax_id?: string
  mails?: Settings['mails']
}

export type KeyWish = Pick<NewApiKey, 'name' | 'scopes'> &
  Partial<{ daily_cap: string; addresses: string[]; expires_at: string }>

let signedOut = () => {}
/** What happens when the server no longer knows who asks: the session ended, or another tab signed out. */
export function whenSignedOut(act: () => void): void {
  signedOut = act
}

async function read<Value>(url: string): Promise<Value> {
  const answer = await send<Value>('GET', url)
  if (answer.ok) return answer.value
  throw new Refused(answer.refusal)
}

async function send<Value>(
  method: 'GET' | 'POST' | 'PATCH' | 'DELETE',
  url: string,
  body?: unknown,
  options: { key?: string; signingIn?: boolean } = {},
): Promise<Answer<Value>> {
  const headers: Record<string, string> = { accept: 'application/json' }
  if (body !== undefined) headers['content-type'] = 'application/json'
  if (options.key) headers['idempotency-key'] = options.key
  try {
    const response = await fetch(url, {
      method,
      headers,
      signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS),
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
    const answered: unknown = await response.json().catch(() => null)
    if (response.ok) return { ok: true, value: answered as Value }
    const refusal = refusalFrom(response, answered, options.signingIn ?? false)
    if (refusal.code === 'unauthenticated' && !options.signingIn) signedOut()
    return { ok: false, refusal }
  } catch {
    return { ok: false, refusal: unreachable }
  }
}

const unreachable: Refusal = {
  code: 'unreachable',
  title: 'No answer came',
  detail: 'The server did not answer. Try again: what you pressed is done once at most.',
  field: null,
  requestId: null,
}

function refusalFrom(response: Response, body: unknown, signingIn: boolean): Refusal {
  const requestId = response.headers.get('x-request-id')
  if (isProblem(body)) {
    return {
      code: body.code,
      title: body.title ?? refusals[body.code].title,
      detail: body.detail ?? `${refusals[body.code].title}.`,
      field: body.field ?? null,
      requestId: body.request_id ?? requestId,
      ...(body.code === 'above_max_price' && body.price ? { price: body.price } : {}),
      ...(typeof body.opens_at === 'string' ? { opensAt: body.opens_at } : {}),
    }
  }
  // Whatever stands in front of the server answers in its own words: the status has to do.
  const code = codeOfStatus(response.status)
  const wrongLogin = signingIn && (response.status === 401 || response.status === 400)
  return {
    code: wrongLogin ? 'unauthenticated' : code,
    title: refusals[code].title,
    detail: wrongLogin ? 'This username and this password do not belong together. Try again.' : detailOf(code),
    field: null,
    requestId,
  }
}

type ProblemLike = {
  code: RefusalCode
  title?: string
  detail?: string
  field?: string
  request_id?: string
  price?: string
  opens_at?: string
}
function isProblem(body: unknown): body is ProblemLike {
  return (
    typeof body === 'object' &&
    body !== null &&
    'code' in body &&
    typeof body.code === 'string' &&
    body.code in refusals
  )
}

function codeOfStatus(status: number): RefusalCode {
  switch (status) {
    case 401:
      return 'unauthenticated'
    case 403:
      return 'forbidden'
    case 404:
      return 'not_found'
    case 429:
      return 'rate_limited'
    case 502:
    case 503:
    case 504:
      return 'temporarily_unavailable'
    default:
      return status >= 500 ? 'internal_error' : 'invalid_request'
  }
}

function detailOf(code: RefusalCode): string {
  switch (code) {
    case 'rate_limited':
      return 'That was too often. Wait a minute, then try again.'
    case 'temporarily_unavailable':
      return 'The server is starting or busy. Try again in a moment: what you pressed is done once at most.'
    default:
      return `${refusals[code].title}.`
  }
}
