/**
 * Stripe's API at `/v1`, as far as card top-ups use it: the official SDK cannot tell the difference. What the real API has and
 * this one has not is refused in words, never ignored.
 */
import { createHash } from 'node:crypto'
import { Hono } from 'hono'
import type { ContentfulStatusCode } from 'hono/utils/http-status'
import { DAY } from '../clock.ts'
import { randomLetters } from '../ids.ts'
import { type Bindings, NO_ANSWER, readBody } from '../web.ts'
import type { Bank } from './bank.ts'
import { calls } from './calls.ts'
import { settleDue } from './due.ts'
import { StripeRefusal } from './errors.ts'
import { API_VERSION } from './events.ts'
import type { Faults } from './faults.ts'
import { canonical, type Form, readForm } from './form.ts'

/** Stripe keeps an answer for at least 24 hours; then the key is new again. */
const ANSWERS_KEPT_MILLISECONDS = DAY
const KEY_LENGTH_MAX = 255
/** Evidence against a dispute may have 150,000 characters. */
const BODY_BYTES_MAX = 512 * 1024

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

export function stripeApi(bank: Bank, secretKey: string, faults: Faults): Hono<Bindings> {
  const { books, clock } = bank
  const inFlight = new Set<string>()
  const app = new Hono<Bindings>()

  const { posts, gets } = calls(bank)

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
      const failing = faults.fails(verb.operation)
      if (failing) return c.json(failureBody(failing.status), failing.status)
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
      settleDue(bank)
      const run = () => verb.run({ form, id, cause: { id: request, idempotency_key: key ?? null } })

      if (key === undefined) {
        await faults.wait(verb.operation)
        const failing = faults.fails(verb.operation)
        if (failing && !failing.executed) return c.json(failureBody(failing.status), failing.status)
        const answer = await answered(() => books.transaction(run))
        if (failing) return c.json(failureBody(failing.status), failing.status)
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
        const failing = faults.fails(verb.operation)
        if (failing && !failing.executed) return c.json(failureBody(failing.status), failing.status)
        const kept = await once({ key, path: c.req.path, form, request, run })
        if (failing) return c.json(failureBody(failing.status), failing.status)
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
}

/** What Stripe says when it is its own fault, or too much at once. */
function failureBody(status: number): { error: StripeRefusal['body'] } {
  const said: Record<number, StripeRefusal> = {
    409: new StripeRefusal(
      409,
      'There is currently another in-progress request using this Idempotency Key. Try again later.',
      { type: 'api_error', code: 'idempotency_key_in_use' },
    ),
    429: new StripeRefusal(429, 'Too many requests hit the API too quickly. Try again with an exponential backoff.', {
      code: 'rate_limit',
    }),
  }
  const refusal = said[status] ?? new StripeRefusal(status, 'An unknown error occurred.', { type: 'api_error' })
  return { error: refusal.body }
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
