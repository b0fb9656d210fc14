/**
 * TABLE OF CONTENTS 1: every URL and the room that answers it. This is the only file that turns refusals and errors into responses.
 */

import { createHash, timingSafeEqual } from 'node:crypto'
import { isIP } from 'node:net'
import type { HttpBindings } from '@hono/node-server'
import { type Context, Hono, type MiddlewareHandler } from 'hono'
import { routePath } from 'hono/route'
import { z } from 'zod'
import { type Site, siteSchema, statusSchema } from '../contract/contract.ts'
import { printAmount } from '../contract/money.ts'
import { type Problem, refusals } from '../contract/refusals.ts'
import type { Accounts, Caller } from './accounts/accounts.ts'
import { accountsRoutes, meOf } from './accounts/routes.ts'
import { demoLogin } from './accounts/sandbox-logins.ts'
import { sessionCookie } from './accounts/sessions.ts'
import { settingsRoutes } from './accounts/settings-routes.ts'
import type { Billing } from './billing/billing.ts'
import type { Receipts } from './billing/receipts.ts'
import { receiptsRoutes } from './billing/receipts-routes.ts'
import { billingRoutes, evidenceRoutes } from './billing/routes.ts'
import type { Config } from './config.ts'
import type { Live } from './live.ts'
import { describeApi } from './openapi.ts'
import type { Catalogue } from './orders/catalogue.ts'
import type { Orders } from './orders/orders.ts'
import { catalogueRoutes, ordersRoutes } from './orders/routes.ts'
import { smsWebhook, twilioWebhook } from './orders/webhooks.ts'
import { staffCardRoutes } from './payments/card/limits-routes.ts'
import { staffCryptoRoutes } from './payments/crypto-staff-routes.ts'
import { staffDisputesRoutes } from './payments/dispute-routes.ts'
import type { Payments } from './payments/payments.ts'
import { paymentsRoutes, staffEventsRoutes, stripeWebhook } from './payments/routes.ts'
import { createTurnstile, type Turnstile } from './platform/admission.ts'
import { answerRefusal, Refusal, type RequestVariables, readBody } from './platform/answer.ts'
import { OutcomeUnknown, Overloaded } from './platform/batch.ts'
import { houseNow, wireClock } from './platform/clock.ts'
import type { Database } from './platform/db.ts'
import type { Files } from './platform/files.ts'
import { newId, printId } from './platform/ids.ts'
import { WEBHOOK_BODY_BYTES_MAX } from './platform/limits.ts'
import type { Log } from './platform/log.ts'
import { type Metrics, requestSeconds } from './platform/metrics.ts'
import { createRouteTable } from './platform/route.ts'
import { isPassing } from './platform/trouble.ts'
import { staffRoutes } from './staff/routes.ts'
import type { Staff } from './staff/staff.ts'
import { createStatus, LOOK_SECONDS } from './status.ts'

type Env = { Variables: RequestVariables; Bindings: Partial<HttpBindings> }

export function createHttp(house: {
  config: Config
  database: Database
  accounts: Accounts
  payments: Payments
  orders: Orders
  catalogue: Catalogue
  billing: Billing
  staff: Staff
  receipts: Receipts
  live: Live
  pages: Files
  metrics: Metrics
  log: Log
  /** What keeps the server from serving, in words; empty when it can. */
  notReady: () => Promise<string[]>
  /** Moves house time and returns when what became due has run. */
  advanceClock: (seconds: number) => Promise<Date>
}) {
  const { accounts, config, database, live, pages } = house
  const http = new Hono<Env>()

  http.use(
    introduce(house.log, config.trustProxy),
    secureHeaders(config.publicUrl),
    onlyTls(config.publicUrl, config.trustProxy),
    limitBodies,
    receiveBodies,
    throughTurnstiles(house.log),
  )

  const table = createRouteTable<Caller>({ ...accounts.guards, operator: forOperators(config.metricsToken) })

  table.chapter(
    'Orders',
    'A number is yours for a while, and its price is held. A code makes it a deduction; no code, and it returns.',
  )
  ordersRoutes(table, house.orders)
  table.chapter('Catalogue', 'What is for sale, at which price, and how often a code came.')
  catalogueRoutes(table, house.catalogue)
  table.chapter('Top-ups', 'Outside money becomes credit.')
  paymentsRoutes(table, house.payments)
  table.chapter('Balance and history', 'What you have, and every movement that led to it.')
  billingRoutes(table, house.billing)
  receiptsRoutes(table, house.receipts)
  table.chapter('Live updates', 'One stream instead of asking again and again.')
  table.get(
    '/api/v1/events',
    {
      policy: 'read',
      summary: 'Follow what changes',
      description:
        'Server-sent events: `hello` first and after every gap (read everything anew then), and from then on `balance`, `order` and `topup`, each whole.',
      answers: { 200: 'text/event-stream' },
      refuses: ['rate_limited'],
      stream: true,
    },
    (c) => live.open(c),
  )
  table.chapter('Accounts', 'Who you are, and how you sign in.')
  accountsRoutes(table, accounts)
  table.chapter('Settings and API keys', 'For people at the pages: an API key opens none of these.')
  settingsRoutes(table, accounts)

  table.chapter('Staff', 'For members of staff at the pages: an API key opens none of these.')
  staffRoutes(table, house.staff)
  staffEventsRoutes(table, house.payments)
  staffDisputesRoutes(table, house.payments)
  staffCardRoutes(table, house.payments)
  staffCryptoRoutes(table, house.payments)
  evidenceRoutes(table, house.billing)

  table.chapter('This installation', 'Its limits, its state, and this document.')
  table.get(
    '/api/v1/site',
    { policy: 'public', summary: 'Read the limits and the time of this installation', answers: { 200: siteSchema } },
    async (c) => {
      const caller = await accounts.whoAsks(c)
      return c.json({ me: caller && meOf(caller), ...siteOf(config, await houseNow(database.pool)) } satisfies Site)
    },
  )
  const status = createStatus({ database, log: house.log, chains: house.payments.networks })
  table.get(
    '/api/v1/status',
    {
      policy: 'public',
      summary: 'Read what works right now',
      description:
        'By what was seen to happen. Where nothing happened lately that would tell, the state is `not_known`.',
      answers: { 200: statusSchema },
    },
    async (c) => {
      const seen = await status.read()
      c.header('cache-control', `public, max-age=${LOOK_SECONDS}`)
      return c.json(seen)
    },
  )
  table.get(
    '/api/openapi.json',
    { policy: 'public', summary: 'Read this document (OpenAPI 3.1)', answers: { 200: 'application/json' } },
    (c) => c.body(document(), 200, { 'content-type': 'application/json', 'cache-control': 'public, max-age=300' }),
  )
  table.get(
    '/healthz',
    { policy: 'public', summary: 'Is the process alive?', answers: { 200: z.object({ status: z.literal('alive') }) } },
    (c) => c.json({ status: 'alive' }),
  )
  table.get(
    '/readyz',
    {
      policy: 'public',
      summary: 'Can it serve?',
      description: '503 with what is missing, in words, when it cannot.',
      answers: { 200: z.object({ status: z.literal('ready') }) },
    },
    async (c) => {
      const missing = await house.notReady()
      return missing.length === 0 ? c.json({ status: 'ready' }) : c.json({ status: 'not_ready', missing }, 503)
    },
  )
  table.get(
    '/metrics',
    {
      policy: 'operator',
      summary: 'Read the figures of this process',
      description: 'For Prometheus. docs/operating/metrics.md says what each means.',
      answers: { 200: 'text/plain' },
    },
    async (c) =>
      c.body(await house.metrics.print(), 200, {
        'content-type': house.metrics.contentType,
        'cache-control': 'no-store',
      }),
  )

  table.chapter('Webhooks', 'Doors for what the outside tells us.')
  stripeWebhook(table, house.payments)
  smsWebhook(table, house.orders, { secrets: config.smsWebhookSecrets, clock: wireClock })
  twilioWebhook(table, house.orders, { tokens: config.twilioAuthTokens, publicUrl: config.publicUrl })

  if (config.mode === 'sandbox') {
    table.chapter('Sandbox', 'Exists in sandbox mode only.')
    table.post(
      '/api/sandbox/clock',
      {
        policy: 'sandbox',
        summary: 'Move the clock of the house',
        description: 'Answers when everything that became due has run.',
        body: clockBody,
        example: { advance_seconds: 120 },
        answers: { 200: z.object({ now: z.iso.datetime() }) },
      },
      async (c, { body }) => c.json({ now: (await house.advanceClock(body.advance_seconds)).toISOString() }),
    )
  }
  http.route('/', table.hono)
  const document = once(() =>
    JSON.stringify(
      describeApi(table, {
        publicUrl: config.publicUrl,
        brand: config.brand.name,
        cookieName: sessionCookie(config.publicUrl).name,
      }),
    ),
  )

  // Not a route of its own, so that the log names the route that answered.
  http.notFound((c) => pageOrFile(c, pages) ?? nothingHere(c))
  http.onError((error, c) => answerError(error, c, house.log))

  /** The address is known under another method, or not at all. */
  function nothingHere(c: Context): Response {
    const methods = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'].filter((method) => isRoute(method, c.req.path))
    if (methods.length === 0) {
      return answerRefusal(c, {
        code: 'not_found',
        detail: `There is nothing at ${c.req.path.slice(0, 200)}. Check the address.`,
      })
    }
    c.header('allow', methods.join(', '))
    return answerRefusal(c, {
      code: 'method_not_allowed',
      detail: `There is no ${c.req.method} at ${c.req.path.slice(0, 200)}; it answers ${methods.join(' and ')} only. Nothing was done.`,
    })
  }

  function isRoute(method: string, path: string): boolean {
    return http.router.match(method, path)[0].some(([[, route]]) => route.method === method)
  }

  return { fetch: http.fetch, table, routes: http.routes }
}

/**
 * Programs of this machine, asked directly (a proxy on it speaks for somebody else, and says so), and whoever has the token. To
 * everybody else there is nothing here.
 */
function forOperators(token: string | null): MiddlewareHandler<Env> {
  const digest = (text: string) => createHash('sha256').update(text).digest()
  const expected = token === null ? null : digest(`Bearer ${token}`)
  return async (c, next) => {
    const direct = c.env?.incoming?.socket.remoteAddress ?? ''
    const isHere = /^(::ffff:)?127\.|^::1$/.test(direct)
    const isForwarded = ['x-forwarded-for', 'forwarded'].some((name) => c.req.header(name) !== undefined)
    const hasToken = expected !== null && timingSafeEqual(expected, digest(c.req.header('authorization') ?? ''))
    if (!hasToken && (!isHere || isForwarded))
      throw new Refusal({ code: 'not_found', detail: 'There is nothing here. Check the address.' })
    await next()
  }
}

/** While requests are sent away, the log says so this often, instead of once for each. */
const SHED_TOLD_EVERY_MS = 1_000

/**
 * The turnstiles of this process, before anything is asked of the database (docs/decisions/0012-overload.md). Each keeps its own, so that
 * none can take the others' places: a bank that answers slowly keeps top-ups waiting and nothing else, and browsing never keeps an SMS
 * out. Probes pass: whoever asks whether the server is well must hear it most of all when it is not.
 */
function throughTurnstiles(log: Log): MiddlewareHandler<Env> {
  const messages = createTurnstile({
    name: 'messages',
    insideMax: 256,
    waitingMax: 2_000,
    patienceMs: 2_000,
    hurryMs: 250,
  })
  const signIns = createTurnstile({ name: 'sign_ins', insideMax: 16, waitingMax: 200, patienceMs: 1_000, hurryMs: 100 })
  const payments = createTurnstile({
    name: 'payments',
    insideMax: 64,
    waitingMax: 200,
    patienceMs: 1_000,
    hurryMs: 100,
  })
  const others = createTurnstile({ name: 'requests', insideMax: 48, waitingMax: 1_000, patienceMs: 300, hurryMs: 25 })

  function turnstileOf(method: string, path: string): Turnstile | null {
    if (path === '/healthz' || path === '/readyz' || path === '/metrics') return null
    if (path.startsWith('/webhooks/')) return messages
    // A password is checked on few threads, and slowly on purpose.
    if (path.startsWith('/api/auth/')) return signIns
    // Asks the card company.
    if (method === 'POST' && path.startsWith('/api/v1/topups')) return payments
    return others
  }

  let toldAt = Number.NEGATIVE_INFINITY
  return async (c, next) => {
    const turnstile = turnstileOf(c.req.method, c.req.path)
    if (!turnstile) return next()
    const isIn = turnstile.enter(() => c.env?.incoming?.socket.destroyed === true)
    if (isIn === true || (await isIn)) {
      try {
        await next()
      } finally {
        turnstile.leave()
      }
      return
    }
    if (performance.now() - toldAt > SHED_TOLD_EVERY_MS) {
      toldAt = performance.now()
      log.warn('More requests than can be served: some are sent away with 503')
    }
    return answerRefusal(c, {
      code: 'temporarily_unavailable',
      detail:
        'There are more requests than can be served at the moment. Nothing was done; try again after the time in Retry-After.',
      retryAfterSeconds: turnstile.retryAfterSeconds(),
    })
  }
}

function once<T>(make: () => T): () => T {
  let made: { value: T } | null = null
  return () => {
    made ??= { value: make() }
    return made.value
  }
}

/** What is answered between the first moment and the last one of the start. */
export function answerWhileStarting(request: Request): Response {
  if (new URL(request.url).pathname === '/healthz') return Response.json({ status: 'alive' })
  const { status, title } = refusals.temporarily_unavailable
  const problem: Problem = {
    type: 'about:blank',
    title,
    status,
    code: 'temporarily_unavailable',
    detail: 'The server is starting. Try again in a moment.',
    request_id: printId('req', newId()),
  }
  return Response.json(problem, { status, headers: { 'content-type': 'application/problem+json', 'retry-after': '1' } })
}

const clockBody = z.object({ advance_seconds: z.int().min(1).max(31_536_000) })

/** The one page among the API's addresses. */
const DOCS = '/api/docs'

/** Every address that is not a file is a page of the one document; the pages know which of them exist. */
function pageOrFile(c: Context, pages: Files): Response | null {
  const { method, path } = c.req
  if ((method !== 'GET' && method !== 'HEAD') || (path !== DOCS && /^\/(api|webhooks)(\/|$)/.test(path))) return null
  const file = pages.answer(c, path)
  if (file || /\.[a-z0-9]{1,8}$/i.test(path)) return file
  if (!/text\/html|\*\/\*/.test(c.req.header('accept') ?? '')) return null
  return (
    pages.answer(c, '/index.html') ??
    c.text('The pages are not built. Run npm start, which builds them; the API works all the same.\n', 503)
  )
}

function siteOf(config: Config, now: Date): Omit<Site, 'me'> {
  return {
    public_url: config.publicUrl,
    brand: { name: config.brand.name, link_colour: config.brand.linkColour },
    seller: {
      name: config.seller.name,
      address: config.seller.address,
      support_email: config.seller.supportEmail,
    },
    now: now.toISOString(),
    topup: { minimum: printAmount(config.topup.minimum), maximum: printAmount(config.topup.maximum) },
    order: {
      lifetime_seconds: config.order.lifetimeSeconds,
      cancel_after_seconds: config.order.cancelAfterSeconds,
      max_open: config.order.openMax,
    },
    sandbox: config.mode === 'sandbox' ? { desk_url: `http://127.0.0.1:${config.sandboxPort}`, demo: demoLogin } : null,
  }
}

const KNOWN_METHOD = /^(GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS)$/

/** Each request gets an id and one line in the log: never its query or its body, where keys and codes may be. */
function introduce(log: Log, trustProxy: number): MiddlewareHandler<Env> {
  return async (c, next) => {
    const requestId = newId()
    c.set('requestId', requestId)
    c.set('address', addressOf(c, trustProxy))
    c.header('x-request-id', printId('req', requestId))
    const begun = performance.now()
    await next()
    const { method } = c.req
    const { status } = c.res
    const route = routePath(c, -1)
    const ms = performance.now() - begun
    // Methods that nobody knows are words of the caller's; there shall not be a figure for each.
    requestSeconds.observe({ method: KNOWN_METHOD.test(method) ? method : 'other', route, status }, ms / 1000)
    const isQuiet = status === 503 || route === '/healthz' || route === '/readyz' || route === '/metrics'
    log[isQuiet ? 'debug' : 'info'](
      { method, route, status, ms: Math.round(ms), request: printId('req', requestId) },
      'Request',
    )
  }
}

/** Our proxies append to X-Forwarded-For whom they speak for; the last entries are theirs, the ones before are anybody's words. */
function addressOf(c: Context<Env>, trustProxy: number): string {
  const direct = plainAddress(c.env?.incoming?.socket.remoteAddress ?? 'unknown')
  if (trustProxy === 0) return direct
  const forwarded = (c.req.header('x-forwarded-for') ?? '').split(',').map((address) => plainAddress(address.trim()))
  const client = forwarded.at(-trustProxy) ?? ''
  return isIP(client) === 0 ? direct : client
}

/** The same client is one address, whether the socket that took the connection speaks IPv4 or both, and whatever port a proxy adds. */
function plainAddress(address: string): string {
  return address
    .replace(/^\[([^\]]+)\](:\d+)?$/, '$1')
    .replace(/^(\d+(?:\.\d+){3}):\d+$/, '$1')
    .replace(/^::ffff:(?=\d+\.)/i, '')
}

/** What is asked without TLS. The proxy says so; whoever asks us directly is a program beside us, and gets no cookie it could keep. */
function onlyTls(publicUrl: string, trustProxy: number): MiddlewareHandler<Env> {
  const matters = publicUrl.startsWith('https:') && trustProxy > 0
  return async (c, next) => {
    const scheme = c.req.header('x-forwarded-proto')?.split(',').at(-1)?.trim().toLowerCase()
    if (!matters || scheme === undefined || scheme === 'https') return next()
    const { method } = c.req
    const { pathname: path, search } = new URL(c.req.url)
    // A page is asked for by a person who typed the name; a program would send its key along again and again.
    if ((method === 'GET' || method === 'HEAD') && (path === DOCS || !/^\/(api|webhooks)\//.test(path)))
      return c.redirect(publicUrl + path + search, 308)
    throw new Refusal({
      code: 'forbidden',
      detail: `Use ${publicUrl}: this came without TLS, so nothing was done. If a key or a password was in it, others may have read it: replace it.`,
    })
  }
}

function secureHeaders(publicUrl: string): MiddlewareHandler<Env> {
  const headers: Record<string, string> = {
    'content-security-policy':
      "default-src 'none'; script-src 'self'; style-src 'self'; font-src 'self'; img-src 'self' data:; connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    'x-content-type-options': 'nosniff',
    'x-frame-options': 'DENY',
    'referrer-policy': 'no-referrer',
    'cross-origin-opener-policy': 'same-origin',
    'cross-origin-resource-policy': 'same-origin',
    'permissions-policy': 'camera=(), geolocation=(), microphone=(), payment=()',
    ...(publicUrl.startsWith('https:') ? { 'strict-transport-security': 'max-age=31536000' } : {}),
  }
  return async (c, next) => {
    for (const [name, value] of Object.entries(headers)) c.header(name, value)
    // What is about one customer stays in no cache; files say their own.
    if (/^\/(api|webhooks)\//.test(c.req.path) && c.req.path !== DOCS) c.header('cache-control', 'no-store')
    await next()
  }
}

/** No route takes more than a webhook may have; each has its own, lower limit when it reads (platform/answer.ts). */
const limitBodies: MiddlewareHandler<Env> = async (c, next) => {
  if (Number(c.req.header('content-length') ?? 0) > WEBHOOK_BODY_BYTES_MAX) {
    throw new Refusal({
      code: 'too_large',
      detail: `The body may have at most ${WEBHOOK_BODY_BYTES_MAX} bytes. Send a shorter one; nothing was stored.`,
      extra: { limit_bytes: WEBHOOK_BODY_BYTES_MAX },
    })
  }
  await next()
}

/** Whoever sends slowly does so outside the turnstiles: inside he would keep a place from the others for as long as he likes. */
const receiveBodies: MiddlewareHandler<Env> = async (c, next) => {
  const { method } = c.req
  const hasBody = c.req.header('transfer-encoding') !== undefined || Number(c.req.header('content-length') ?? 0) > 0
  if (hasBody && method !== 'GET' && method !== 'HEAD') {
    try {
      c.set('received', await readBody(c, WEBHOOK_BODY_BYTES_MAX))
    } catch (error) {
      if (error instanceof Refusal) throw error
      throw new Refusal({
        code: 'invalid_request',
        detail: 'The body did not arrive whole. Send the request again; nothing was done.',
      })
    }
  }
  await next()
}

function answerError(error: Error, c: Context, log: Log): Response {
  if (error instanceof Refusal) return answerRefusal(c, error.refused)
  const request = printId('req', c.get('requestId') as string)
  if (error instanceof Overloaded) {
    return answerRefusal(c, {
      code: 'temporarily_unavailable',
      detail:
        'This could not be carried out at the moment. Nothing was done; try again after the time in Retry-After, with the same Idempotency-Key.',
      retryAfterSeconds: error.retryAfterSeconds,
    })
  }
  if (error instanceof OutcomeUnknown) {
    // Not as an error of the database, of which some lines are left out: somebody may ask about this very request.
    log.error({ why: error.message, request }, 'The outcome of a request is not known')
    return answerRefusal(c, {
      code: 'temporarily_unavailable',
      detail:
        'The connection to the database broke before it answered, so whether this was done is not known yet. Repeat it with the same Idempotency-Key, which tells and does nothing twice; without a key, look at your list first.',
    })
  }
  if (isPassing(error)) {
    log.warn({ err: error, request }, 'A request could not be answered for the moment')
    return answerRefusal(c, {
      code: 'temporarily_unavailable',
      detail:
        'The server cannot answer at the moment. Try again soon; with the same Idempotency-Key nothing happens twice.',
    })
  }
  log.error({ err: error, request }, 'A request failed')
  return answerRefusal(c, {
    code: 'internal_error',
    detail: `Something went wrong on our side. Try again; if it stays, tell us the request number ${request}.`,
  })
}
