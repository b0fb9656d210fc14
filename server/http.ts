/**
 * TABLE OF CONTENTS 1: every URL and the room that answers it. This is the only file that turns refusals and errors into responses.
 */
import type { HttpBindings } from '@hono/node-server'
import { type Context, Hono, type MiddlewareHandler } from 'hono'
import { routePath } from 'hono/route'
import { z } from 'zod'
import type { Site } from '../contract/contract.ts'
import { printAmount } from '../contract/money.ts'
import { type Problem, refusals } from '../contract/refusals.ts'
import type { Accounts, SignedIn } from './accounts/accounts.ts'
import { accountsRoutes, meOf, signInRoutes } from './accounts/routes.ts'
import { demoLogin } from './accounts/sandbox-logins.ts'
import type { Billing } from './billing/billing.ts'
import { billingRoutes } from './billing/routes.ts'
import type { Config } from './config.ts'
import type { Live } from './live.ts'
import type { Catalogue } from './orders/catalogue.ts'
import type { Orders } from './orders/orders.ts'
import { catalogueRoutes, ordersRoutes, smsWebhook } from './orders/routes.ts'
import type { Payments } from './payments/payments.ts'
import { paymentsRoutes, stripeWebhook } from './payments/routes.ts'
import { answerRefusal, Refusal, type RequestVariables, readJson } from './platform/answer.ts'
import { Overloaded } from './platform/batch.ts'
import { houseNow, wireClock } from './platform/clock.ts'
import type { Database } from './platform/db.ts'
import type { Files } from './platform/files.ts'
import { newId, printId } from './platform/ids.ts'
import { WEBHOOK_BODY_BYTES_MAX } from './platform/limits.ts'
import type { Log } from './platform/log.ts'

type Env = { Variables: RequestVariables; Bindings: Partial<HttpBindings> }

export function createHttp(house: {
  config: Config
  database: Database
  accounts: Accounts
  payments: Payments
  orders: Orders
  catalogue: Catalogue
  billing: Billing
  live: Live
  pages: Files
  log: Log
  /** What keeps the server from serving, in words; empty when it can. */
  notReady: () => Promise<string[]>
  /** Moves house time and returns when what became due has run. */
  advanceClock: (seconds: number) => Promise<Date>
}) {
  const { accounts, config, database, live, pages } = house
  const http = new Hono<Env>()

  http.use(introduce(house.log, config.trustProxy), secureHeaders(config.publicUrl), limitBodies)

  http.get('/healthz', (c) => c.json({ status: 'alive' }))
  http.get('/readyz', async (c) => {
    const missing = await house.notReady()
    return missing.length === 0 ? c.json({ status: 'ready' }) : c.json({ status: 'not_ready', missing }, 503)
  })

  http.route('/api/auth', signInRoutes(accounts))

  const api = new Hono<SignedIn>()
  api.get('/site', async (c) => {
    const caller = await accounts.whoAsks(c)
    return c.json({ me: caller && meOf(caller), ...siteOf(config, await houseNow(database.pool)) } satisfies Site)
  })
  api.route('/', accountsRoutes(accounts))
  api.route('/', paymentsRoutes(house.payments, accounts))
  api.route('/', catalogueRoutes(house.catalogue))
  api.route('/orders', ordersRoutes(house.orders, accounts))
  api.route('/', billingRoutes(house.billing, accounts))
  api.get('/events', accounts.signedIn, (c) => live.open(c))
  http.route('/api/v1', api)

  http.route('/', stripeWebhook(house.payments))
  http.route('/webhooks/sms', smsWebhook(house.orders, { secrets: config.smsWebhookSecrets, clock: wireClock }))

  if (config.mode === 'sandbox') {
    http.post('/api/sandbox/clock', async (c) => {
      const { advance_seconds } = await readJson(c, clockBody)
      return c.json({ now: (await house.advanceClock(advance_seconds)).toISOString() })
    })
  }

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

  return http
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

/** Every address that is not a file is a page of the one document; the pages know which of them exist. */
function pageOrFile(c: Context, pages: Files): Response | null {
  const { method, path } = c.req
  if ((method !== 'GET' && method !== 'HEAD') || /^\/(api|webhooks)(\/|$)/.test(path)) return null
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

/** Each request gets an id and one line in the log: never its query or its body, where keys and codes may be. */
function introduce(log: Log, trustProxy: number): MiddlewareHandler<Env> {
  return async (c, next) => {
    const requestId = newId()
    c.set('requestId', requestId)
    c.set('address', addressOf(c, trustProxy))
    c.header('x-request-id', printId('req', requestId))
    const begun = wireClock.now().getTime()
    await next()
    const probe = c.req.path === '/healthz' || c.req.path === '/readyz'
    log[probe ? 'debug' : 'info'](
      {
        method: c.req.method,
        route: routePath(c, -1),
        status: c.res.status,
        ms: wireClock.now().getTime() - begun,
        request: printId('req', requestId),
      },
      'Request',
    )
  }
}

/** Our proxies append to X-Forwarded-For whom they speak for; the last entries are theirs, the ones before are anybody's words. */
function addressOf(c: Context<Env>, trustProxy: number): string {
  const direct = c.env?.incoming?.socket.remoteAddress ?? 'unknown'
  if (trustProxy === 0) return direct
  const forwarded = (c.req.header('x-forwarded-for') ?? '').split(',').map((address) => address.trim())
  return forwarded.at(-trustProxy) || direct
}

function secureHeaders(publicUrl: string): MiddlewareHandler<Env> {
  const headers: Record<string, string> = {
    'content-security-policy':
      "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
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
    if (/^\/(api|webhooks)\//.test(c.req.path)) c.header('cache-control', 'no-store')
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

function answerError(error: Error, c: Context, log: Log): Response {
  if (error instanceof Refusal) return answerRefusal(c, error.refused)
  const request = printId('req', c.get('requestId') as string)
  if (isUnavailable(error)) {
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

/** Trouble that passes: a full queue, a database that is away, restarting, or out of connections, a lock waited for too long. */
function isUnavailable(error: unknown, depth = 0): boolean {
  if (!(error instanceof Error) || depth > 5) return false
  if (error instanceof Overloaded) return true
  const { code } = error as { code?: unknown }
  if (typeof code === 'string' && /^(08|40|53|57)...$|^55P03$|^(ECONNREFUSED|ECONNRESET|EPIPE|ETIMEDOUT)$/.test(code)) {
    return true
  }
  // pg says these without a code.
  if (
    /^(Connection terminated|timeout exceeded when trying to connect|Client has encountered a connection error)/.test(
      error.message,
    )
  )
    return true
  return isUnavailable(error.cause, depth + 1)
}
