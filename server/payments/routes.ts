/** Top-ups over HTTP, and the card company's webhooks. */
import { Hono } from 'hono'
import { z } from 'zod'
import type { Accounts, SignedIn } from '../accounts/accounts.ts'
import {
  answerRefusal,
  Refusal,
  readBody,
  readCursor,
  readIdempotencyKey,
  readJson,
  readLimit,
} from '../platform/answer.ts'
import { readId } from '../platform/ids.ts'
import { WEBHOOK_BODY_BYTES_MAX } from '../platform/limits.ts'
import type { Payments } from './payments.ts'

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

// What a field may hold is decided by the door, which names the limits; here only that there is an object.
const startSchema = z.object({ method: z.unknown().optional(), amount: z.unknown().optional() })
const returnSchema = z.object({ session_id: z.string().max(255).nullish() })

/** Mounted under /api/v1. */
export function paymentsRoutes(payments: Payments, accounts: Pick<Accounts, 'signedIn'>) {
  const app = new Hono<SignedIn>()

  app.post('/topups', accounts.signedIn, async (c) => {
    const idempotencyKey = readIdempotencyKey(c)
    const { method, amount } = await readJson(c, startSchema)
    const started = await payments.start({ accountId: c.get('caller').accountId, method, amount, idempotencyKey })
    return started.ok ? c.json(started.topup, 201) : answerRefusal(c, started.refused)
  })

  app.get('/topups', accounts.signedIn, async (c) => {
    const page = { limit: readLimit(c), before: readCursor(c, UUID) }
    return c.json(await payments.list(c.get('caller').accountId, page))
  })

  app.get('/topups/:id', accounts.signedIn, async (c) => {
    const topup = await payments.get(c.get('caller').accountId, idOf(c.req.param('id')))
    return c.json(topup ?? unknownTopup())
  })

  app.post('/topups/:id/return', accounts.signedIn, async (c) => {
    const { session_id } = await readJson(c, returnSchema)
    const { accountId } = c.get('caller')
    const topupId = idOf(c.req.param('id'))
    const topup = await payments.returned({ accountId, topupId, sessionId: session_id ?? null })
    if (topup) return c.json(topup)
    return (await payments.get(accountId, topupId)) ? unknownSession() : unknownTopup()
  })

  return app
}

/** Mounted at the root: POST /webhooks/stripe. */
export function stripeWebhook(payments: Payments) {
  const app = new Hono()
  app.post('/webhooks/stripe', async (c) => {
    // The signature covers the bytes as they came, so nothing may have read them before.
    const body = await readBody(c, WEBHOOK_BODY_BYTES_MAX)
    const received = await payments.event({ body, signature: c.req.header('stripe-signature') })
    switch (received) {
      case 'off':
        return answerRefusal(c, { code: 'not_found', detail: 'There is nothing here.' })
      case 'invalid_signature':
        return answerRefusal(c, {
          code: 'invalid_signature',
          field: 'Stripe-Signature',
          detail:
            'The signature does not fit the body, or its time is more than 300 seconds from now. Nothing was stored. Check the signing secret and the clock.',
        })
      case 'unreadable':
        return answerRefusal(c, { code: 'invalid_request', detail: 'The body is not an event. Nothing was stored.' })
      case 'accepted':
      case 'duplicate':
        return c.json({ status: received })
    }
  })
  return app
}

/** The same answer for what does not exist, what is somebody else's, and what cannot be an id. */
function unknownTopup(): never {
  throw new Refusal({
    code: 'not_found',
    detail: 'There is no such top-up among yours. Look at your top-ups for the right one; nothing was done.',
    field: 'id',
  })
}

function unknownSession(): never {
  throw new Refusal({
    code: 'not_found',
    detail:
      'This payment page does not belong to this top-up. Open the top-up itself to see how it stands; nothing was done.',
    field: 'session_id',
  })
}

function idOf(printed: string): string {
  return readId('top', printed) ?? unknownTopup()
}
