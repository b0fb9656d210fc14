/**
 * Stripe's API at `/v1`, as far as card top-ups use it: the official SDK cannot tell the difference. What the real API has and
 * this one has not is refused in words, never ignored.
 */
import { createHash } from 'node:crypto'
import { Hono } from 'hono'
import type { ContentfulStatusCode } from 'hono/utils/http-status'
import { DAY, HOUR, MINUTE, SECOND, seconds } from '../clock.ts'
import { randomLetters } from '../ids.ts'
import { type Bindings, NO_ANSWER, readBody } from '../web.ts'
import { type Bank, cancel, capture, createSession, expireSession, settleDue } from './bank.ts'
import { missing, StripeRefusal } from './errors.ts'
import { API_VERSION, type Cause } from './events.ts'
import { expanded, list } from './expand.ts'
import type { Faults, Operation } from './faults.ts'
import { canonical, type Form, readForm } from './form.ts'
import type { Ordered } from './objects.ts'
import * as param from './parameters.ts'
import { find, type Kind } from './records.ts'

/** Stripe keeps an answer for at least 24 hours; then the key is new again. */
const ANSWERS_KEPT_MILLISECONDS = DAY
const KEY_LENGTH_MAX = 255
const BODY_BYTES_MAX = 64 * 1024
const LIST_MAX = 100
/** Stripe's own smallest charge in US dollars, in cents. */
const AMOUNT_CENTS_MIN = 50
const AMOUNT_CENTS_MAX = 99_999_999

export function defineAnswers(bank: Bank): void {
  bank.books.define(`
    create table if not exists stripe_answers (
      key text primary key,
      path text not null,
      parameters text not null,
      status integer not null,
      body text not null,
      request text not null,
      created integer not null
    ) without rowid;
    create index if not exists stripe_answers_by_age on stripe_answers (created);
  `)
}

export function forgetOldAnswers(bank: Bank): void {
  bank.books.run('delete from stripe_answers where created < ?', bank.clock() - ANSWERS_KEPT_MILLISECONDS)
}

type Answer = { status: number; body: unknown }
type Call = { form: Form; id: string; cause: Cause }
type Verb = { operation?: Operation; run: (call: Call) => object }

export function stripeApi(bank: Bank, secretKey: string, faults: Faults): Hono<Bindings> {
  const { books, clock } = bank
  const inFlight = new Set<string>()
  const app = new Hono<Bindings>()

  const posts: Record<string, Verb> = {
    '/checkout/sessions': {
      operation: 'create_session',
      run: ({ form }) => answerWith(form, createParams, (asked) => startSession(bank, asked)),
    },
    '/checkout/sessions/:id/expire': {
      run: ({ form, id, cause }) =>
        answerWith(form, expandOnly, () => expireSession(bank, id, cause) ?? none('checkout.session', id)),
    },
    '/payment_intents/:id/capture': {
      operation: 'capture',
      run: ({ form, id, cause }) =>
        answerWith(form, captureParams, (asked) => {
          const { amount_to_capture: amountToCapture, metadata } = asked
          return capture(bank, id, { amountToCapture, metadata }, cause) ?? none('payment_intent', id)
        }),
    },
    '/payment_intents/:id/cancel': {
      operation: 'cancel',
      run: ({ form, id, cause }) =>
        answerWith(
          form,
          cancelParams,
          (asked) => cancel(bank, id, asked.cancellation_reason ?? null, cause) ?? none('payment_intent', id),
        ),
    },
  }

  const gets: Record<string, Verb> = {
    '/checkout/sessions/:id': retrieve('checkout.session'),
    '/payment_intents/:id': retrieve('payment_intent'),
    '/charges/:id': retrieve('charge'),
    '/balance_transactions/:id': retrieve('balance_transaction'),
    '/balance_transactions': {
      run: ({ form }) => answerWith(form, balanceParams, (asked) => listBalance(asked)),
    },
    '/events/:id': {
      run: ({ form, id }) =>
        answerWith(form, expandOnly, () => {
          const row = books.one<{ body: string }>('select body from stripe_events where id = ?', id)
          if (!row) throw missing('event', id)
          return JSON.parse(row.body) as object
        }),
    },
    '/events': { run: ({ form }) => answerWith(form, eventParams, (asked) => listEvents(asked)) },
  }

  app.use('*', async (c, next) => {
    const request = `req_${randomLetters(14)}`
    c.set('requestId', request)
    await next()
    if (c.res.headers.get('x-hono-already-sent')) return
    c.res.headers.set('Request-Id', request)
    c.res.headers.set('Stripe-Version', API_VERSION)
    c.res.headers.set('Cache-Control', 'no-cache, no-store')
    const key = c.req.header('idempotency-key')
    if (key && c.req.method === 'POST') c.res.headers.set('Idempotency-Key', key.slice(0, KEY_LENGTH_MAX))
  })
  app.use('*', async (c, next) => {
    const refused = refusesCaller(c.req.header('authorization'), c.req.header('stripe-version'), secretKey)
    if (refused) return c.json({ error: refused.body }, refused.status as ContentfulStatusCode)
    return next()
  })

  for (const [path, verb] of Object.entries(gets)) {
    app.get(path, async (c) => {
      await faults.wait(verb.operation)
      const answer = await answered(() => {
        settleDue(bank)
        const form = readForm(new URL(c.req.url).search)
        if (!form) throw unreadable()
        return verb.run({ form, id: c.req.param('id') ?? '', cause: null })
      })
      if (faults.drops(verb.operation)) return dropConnection(c.env)
      return c.json(answer.body, answer.status as ContentfulStatusCode)
    })
  }

  for (const [path, verb] of Object.entries(posts)) {
    app.post(path, async (c) => {
      const request = c.get('requestId')
      const read = await readBody(c, BODY_BYTES_MAX)
      const key = c.req.header('idempotency-key')
      const early = await answered(() => {
        if (read === null) throw new StripeRefusal(413, 'Request body is too large.')
        if (key !== undefined && (key.length === 0 || key.length > KEY_LENGTH_MAX))
          throw new StripeRefusal(400, `Idempotency keys are 1 to ${KEY_LENGTH_MAX} characters long.`)
        const form = readForm(read)
        if (!form) throw unreadable()
        return { form }
      })
      if (early.status !== 200) return c.json(early.body, early.status as ContentfulStatusCode)
      const { form } = early.body as { form: Form }
      const id = c.req.param('id') ?? ''
      const run = () => verb.run({ form, id, cause: { id: request, idempotency_key: key ?? null } })

      if (key === undefined) {
        await faults.wait(verb.operation)
        const answer = await answered(() => books.transaction(run))
        if (faults.drops(verb.operation)) return dropConnection(c.env)
        return c.json(answer.body, answer.status as ContentfulStatusCode)
      }

      if (inFlight.has(key)) {
        const busy = new StripeRefusal(
          409,
          `There is currently another in-progress request using this Idempotency Key (that probably means you submitted twice, and the other request is still going through): ${key}. Try again later.`,
          { type: 'api_error', code: 'idempotency_key_in_use' },
        )
        c.header('Stripe-Should-Retry', 'true')
        return c.json({ error: busy.body }, 409)
      }
      inFlight.add(key)
      try {
        await faults.wait(verb.operation)
        const kept = await once({ key, path: c.req.path, form, request, run })
        if (kept.replayOf) {
          c.header('Idempotent-Replayed', 'true')
          c.header('Original-Request', kept.replayOf)
        }
        if (faults.drops(verb.operation)) return dropConnection(c.env)
        return c.body(kept.body, kept.status as ContentfulStatusCode, { 'content-type': 'application/json' })
      } finally {
        inFlight.delete(key)
      }
    })
  }

  app.all('*', (c) =>
    c.json(
      {
        error: new StripeRefusal(
          404,
          `Unrecognized request URL (${c.req.method}: ${c.req.path}). This stand-in for Stripe answers only the calls that card top-ups make.`,
        ).body,
      },
      404,
    ),
  )
  return app

  /** The answer that this key has already had, or a new one that is kept together with what it did. */
  async function once(asked: {
    key: string
    path: string
    form: Form
    request: string
    run: () => object
  }): Promise<{ status: number; body: string; replayOf?: string }> {
    const { key, path, request } = asked
    const parameters = createHash('sha256').update(canonical(asked.form)).digest('hex')
    type Row = { path: string; parameters: string; status: number; body: string; request: string }
    const plain = await answered(() =>
      books.transaction((): { status: number; body: string; replayOf?: string } => {
        const known = books.one<Row>(
          'select * from stripe_answers where key = ? and created >= ?',
          key,
          clock() - ANSWERS_KEPT_MILLISECONDS,
        )
        if (known) {
          if (known.path !== path)
            throw new StripeRefusal(
              400,
              `Keys for idempotent requests can only be used for the same endpoint they were first used for ('${path}' vs '${known.path}'). Try using a key other than '${key}' if you meant to execute a different request.`,
              { type: 'idempotency_error' },
            )
          if (known.parameters !== parameters)
            throw new StripeRefusal(
              400,
              `Keys for idempotent requests can only be used with the same parameters they were first used with. Try using a key other than '${key}' if you meant to execute a different request.`,
              { type: 'idempotency_error' },
            )
          return { status: known.status, body: known.body, replayOf: known.request }
        }
        const done = perform(asked.run)
        books.run(
          'insert or replace into stripe_answers (key, path, parameters, status, body, request, created) values (?, ?, ?, ?, ?, ?, ?)',
          ...[key, path, parameters, done.status, done.body, request, clock()],
        )
        return done
      }),
    )
    // A refusal while reading left nothing behind and is not kept: it may be repeated with better parameters.
    if (plain.status !== 200) return { status: plain.status, body: JSON.stringify(plain.body, null, 2) }
    return plain.body as { status: number; body: string; replayOf?: string }
  }

  /** What was executed is kept, also when it was refused: a repetition hears the same. */
  function perform(run: () => object): { status: number; body: string } {
    try {
      return { status: 200, body: JSON.stringify(run(), null, 2) }
    } catch (error) {
      if (!(error instanceof StripeRefusal) || !error.executed) throw error
      return { status: error.status, body: JSON.stringify({ error: error.body }, null, 2) }
    }
  }

  /** `expand` is everybody's parameter. */
  function answerWith<S extends Parameters<typeof param.branch>[0]>(
    form: Form,
    shape: S,
    work: (asked: param.Read<S>) => object,
  ): object {
    const asked = param.branch(shape)(form, '')
    const paths = (asked as { expand?: string[] }).expand ?? []
    return expanded(books, work(asked), paths)
  }

  function retrieve(kind: Kind): Verb {
    return {
      operation: 'retrieve',
      run: ({ form, id }) => answerWith(form, expandOnly, () => find(books, kind, id) ?? none(kind, id)),
    }
  }

  function listEvents(asked: param.Read<typeof eventParams>): object {
    const types = asked.types ?? (asked.type ? [asked.type] : null)
    const undelivered = asked.delivery_success === undefined ? null : asked.delivery_success ? 0 : 1
    const monthAgo = seconds(clock) - 30 * 86_400
    const { from, until } = between(asked.created)
    const page = pageOf(asked, 'stripe_events')
    const rows = books.all<{ body: string }>(
      `select body from stripe_events event
        where seq < ? and seq > ?
          and created >= ? and created <= ?
          and (? is null or type in (select value from json_each(?)))
          and (? is null or ? = not exists (
                select 1 from stripe_deliveries where event = seq and state = 'delivered'))
        order by seq ${page.order} limit ?`,
      ...[page.before, page.after, Math.max(from, monthAgo), until],
      ...[types && JSON.stringify(types), types && JSON.stringify(types), undelivered, undelivered, page.limit + 1],
    )
    return page.of(
      rows.map((row) => JSON.parse(row.body) as object),
      '/v1/events',
    )
  }

  function listBalance(asked: param.Read<typeof balanceParams>): object {
    const { from, until } = between(asked.created)
    const page = pageOf(asked, 'stripe_objects')
    const rows = books.all<{ body: string }>(
      `select body from stripe_objects
        where kind = 'balance_transaction' and seq < ? and seq > ?
          and body ->> 'created' >= ? and body ->> 'created' <= ?
          and (? is null or body ->> 'source' = ?)
          and (? is null or body ->> 'type' = ?)
        order by seq ${page.order} limit ?`,
      ...[page.before, page.after, from, until],
      ...[asked.source ?? null, asked.source ?? null, asked.type ?? null, asked.type ?? null, page.limit + 1],
    )
    return page.of(
      rows.map((row) => JSON.parse(row.body) as object),
      '/v1/balance_transactions',
    )
  }

  /** Newest first; `ending_before` reads towards the newer ones, as Stripe does, and is turned round again. */
  function pageOf(
    asked: { limit?: number; starting_after?: string; ending_before?: string },
    table: 'stripe_events' | 'stripe_objects',
  ) {
    const limit = asked.limit ?? 10
    if (limit < 1 || limit > LIST_MAX)
      throw new StripeRefusal(400, `This value must be between 1 and ${LIST_MAX} (inclusive).`, { param: 'limit' })
    const place = (id: string | undefined) => {
      if (id === undefined) return undefined
      const row = books.one<{ seq: number }>(`select seq from ${table} where id = ?`, id)
      if (!row) throw missing('object', id)
      return row.seq
    }
    const after = place(asked.ending_before)
    const before = place(asked.starting_after)
    const backwards = after !== undefined
    return {
      limit,
      before: before ?? Number.MAX_SAFE_INTEGER,
      after: after ?? 0,
      order: backwards ? 'asc' : 'desc',
      of(found: object[], url: string): object {
        const data = found.slice(0, limit)
        return list(backwards ? data.reverse() : data, found.length > limit, url)
      },
    }
  }
}

function startSession(bank: Bank, asked: param.Read<typeof createParams>) {
  const now = seconds(bank.clock)
  const mode = param.required(asked.mode, 'mode')
  if (mode !== 'payment')
    throw new StripeRefusal(400, 'This stand-in for Stripe takes payments only: mode=payment.', { param: 'mode' })
  const lines = param.required(asked.line_items, 'line_items').map((line, place) => readLine(line, place))
  if (lines.length === 0) throw new StripeRefusal(400, 'Missing required param: line_items.', { param: 'line_items' })
  if (new Set(lines.map((line) => line.currency)).size > 1)
    throw new StripeRefusal(400, 'All prices must be in the same currency.', { param: 'line_items' })
  const total = lines.reduce((sum, line) => sum + line.amount, 0)
  if (total < AMOUNT_CENTS_MIN)
    throw new StripeRefusal(400, "The Checkout Session's total amount must convert to at least 50 cents.", {
      code: 'amount_too_small',
    })
  if (total > AMOUNT_CENTS_MAX)
    throw new StripeRefusal(400, 'The total amount due must be no more than $999,999.99.', { code: 'amount_too_large' })
  const expiresAt = asked.expires_at ?? now + DAY / SECOND
  if (expiresAt < now + (30 * MINUTE) / SECOND)
    throw new StripeRefusal(
      400,
      'The `expires_at` timestamp must be at least 30 minutes from Checkout Session creation.',
      { param: 'expires_at' },
    )
  if (expiresAt > now + (24 * HOUR) / SECOND)
    throw new StripeRefusal(
      400,
      'The `expires_at` timestamp must be less than 24 hours from Checkout Session creation.',
      { param: 'expires_at' },
    )
  const intent = asked.payment_intent_data ?? {}
  return createSession(
    bank,
    {
      expiresAt,
      successUrl: param.required(asked.success_url, 'success_url'),
      cancelUrl: asked.cancel_url ?? null,
      clientReference: asked.client_reference_id ?? null,
      customerEmail: asked.customer_email ?? null,
      metadata: asked.metadata ?? {},
      onlyCards: asked.allowed_payment_method_types !== undefined,
      threeDSecure: asked.payment_method_options?.card?.request_three_d_secure ?? 'automatic',
      adaptivePricing: asked.adaptive_pricing?.enabled ?? true,
      linkDisplay: asked.wallet_options?.link?.display ?? 'auto',
      locale: asked.locale ?? null,
      submitType: asked.submit_type ?? null,
    },
    lines,
    {
      captureMethod: intent.capture_method ?? 'automatic_async',
      description: intent.description ?? null,
      receiptEmail: intent.receipt_email ?? null,
      statementSuffix: intent.statement_descriptor_suffix ?? null,
      metadata: intent.metadata ?? {},
    },
  )
}

function readLine(line: param.Read<typeof lineParams>, place: number): Ordered {
  const at = (name: string) => `line_items[${place}]${name}`
  const price = param.required(line.price_data, at('[price_data]'))
  const currency = param.required(price.currency, at('[price_data][currency]'))
  if (currency !== 'usd')
    throw new StripeRefusal(400, 'This stand-in for Stripe takes US dollars only.', {
      param: at('[price_data][currency]'),
    })
  const unitAmount = param.required(price.unit_amount, at('[price_data][unit_amount]'))
  const quantity = line.quantity ?? 1
  if (unitAmount < 0 || quantity < 1)
    throw new StripeRefusal(400, 'Invalid non-negative integer', {
      code: 'parameter_invalid_integer',
      param: unitAmount < 0 ? at('[price_data][unit_amount]') : at('[quantity]'),
    })
  const product = param.required(price.product_data, at('[price_data][product_data]'))
  return {
    amount: unitAmount * quantity,
    currency,
    product: {
      name: param.required(product.name, at('[price_data][product_data][name]')),
      description: product.description ?? null,
      metadata: product.metadata ?? {},
    },
    quantity,
    unitAmount,
  }
}

/** API 2026-09-30 took it away; most examples on the web still send it. */
const noLongerSupported = (_value: unknown, name: string): never => {
  throw new StripeRefusal(
    400,
    'The parameter payment_method_types is no longer supported. Use allowed_payment_method_types instead.',
    { code: 'payment_method_types_no_longer_supported', param: name },
  )
}

const expand = param.listOf(param.text(200), 20)
const expandOnly = { expand }
const lineParams = {
  quantity: param.whole,
  metadata: param.metadata,
  price_data: param.branch({
    currency: param.text(3),
    unit_amount: param.whole,
    product_data: param.branch({
      name: param.text(500),
      description: param.text(1_000),
      metadata: param.metadata,
    }),
  }),
}
const createParams = {
  adaptive_pricing: param.branch({ enabled: param.flag }),
  allowed_payment_method_types: param.listOf(param.oneOf('card'), 1),
  cancel_url: param.address,
  client_reference_id: param.text(200),
  customer_email: param.email,
  expand,
  expires_at: param.whole,
  line_items: param.listOf(param.branch(lineParams), 100),
  locale: param.text(10),
  metadata: param.metadata,
  mode: param.oneOf('payment', 'setup', 'subscription'),
  payment_intent_data: param.branch({
    capture_method: param.oneOf('automatic', 'automatic_async', 'manual'),
    description: param.text(1_000),
    metadata: param.metadata,
    receipt_email: param.email,
    statement_descriptor_suffix: param.text(22),
  }),
  payment_method_options: param.branch({
    card: param.branch({ request_three_d_secure: param.oneOf('any', 'automatic', 'challenge') }),
  }),
  payment_method_types: noLongerSupported,
  submit_type: param.oneOf('auto', 'book', 'donate', 'pay', 'subscribe'),
  success_url: param.address,
  ui_mode: param.oneOf('hosted_page'),
  wallet_options: param.branch({ link: param.branch({ display: param.oneOf('auto', 'never') }) }),
}
const captureParams = {
  amount_to_capture: param.whole,
  final_capture: param.flag,
  metadata: param.metadata,
  expand,
}
const cancelParams = {
  cancellation_reason: param.oneOf('abandoned', 'duplicate', 'fraudulent', 'requested_by_customer'),
  expand,
}
const range = param.branch({ gt: param.whole, gte: param.whole, lt: param.whole, lte: param.whole })
const created: (value: Form[string], name: string) => { gt?: number; gte?: number; lt?: number; lte?: number } = (
  value,
  name,
) => {
  if (typeof value !== 'string') return range(value, name)
  const instant = param.whole(value, name)
  return { gte: instant, lte: instant }
}
const pageParams = {
  limit: param.whole,
  starting_after: param.text(200),
  ending_before: param.text(200),
  expand,
  created,
}
const balanceParams = { ...pageParams, source: param.text(200), type: param.text(100) }
const eventParams = {
  ...pageParams,
  type: param.text(100),
  types: param.listOf(param.text(100), 20),
  delivery_success: param.flag,
}

function between(asked: ReturnType<typeof created> | undefined): { from: number; until: number } {
  return {
    from: Math.max(asked?.gte ?? 0, (asked?.gt ?? -1) + 1),
    until: Math.min(asked?.lte ?? Number.MAX_SAFE_INTEGER, (asked?.lt ?? Number.MAX_SAFE_INTEGER) - 1),
  }
}

function none(kind: Kind, id: string): never {
  throw missing(kind, id)
}

function unreadable(): StripeRefusal {
  return new StripeRefusal(400, 'The parameters could not be read.')
}

async function answered(work: () => object): Promise<Answer> {
  try {
    return { status: 200, body: work() }
  } catch (error) {
    if (error instanceof StripeRefusal) return { status: error.status, body: { error: error.body } }
    throw error
  }
}

/** Bearer, or Basic with the key as the user's name. */
function refusesCaller(
  authorization: string | undefined,
  version: string | undefined,
  secretKey: string,
): StripeRefusal | null {
  const [scheme = '', credentials = ''] = authorization?.split(' ') ?? []
  const given = /^basic$/i.test(scheme)
    ? Buffer.from(credentials, 'base64').toString('utf8').split(':')[0]
    : /^bearer$/i.test(scheme)
      ? credentials
      : ''
  if (!given)
    return new StripeRefusal(
      401,
      'You did not provide an API key. You need to provide your API key in the Authorization header, using Bearer auth.',
    )
  if (given !== secretKey)
    return new StripeRefusal(401, `Invalid API Key provided: ${given.slice(0, 8)}****${given.slice(-4)}`)
  if (version !== undefined && version !== API_VERSION)
    return new StripeRefusal(400, `This stand-in for Stripe speaks version ${API_VERSION} only, not ${version}.`)
  return null
}

function dropConnection(env: Bindings['Bindings']): Response {
  env.incoming.socket.destroy()
  return NO_ANSWER
}
