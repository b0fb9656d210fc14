/** The catalogue, orders, and the door through which SMS come in, over HTTP. */
import { createHmac, timingSafeEqual } from 'node:crypto'
import { z } from 'zod'
import { countrySchema, orderId, orderSchema, pageOf, priceSchema, serviceSchema } from '../../contract/contract.ts'
import { readAmount } from '../../contract/money.ts'
import type { Routes } from '../accounts/accounts.ts'
import {
  answerRefusal,
  fit,
  parseJson,
  printCursor,
  type Refused,
  readBody,
  readCursor,
  readIdempotencyKey,
  readLimit,
} from '../platform/answer.ts'
import type { WireClock } from '../platform/clock.ts'
import { readId } from '../platform/ids.ts'
import { REQUEST_BODY_BYTES_MAX } from '../platform/limits.ts'
import type { Catalogue } from './catalogue.ts'
import type { Orders } from './orders.ts'

const placeBody = z.object({
  service: z.string().meta({ description: 'A code of GET /services' }),
  country: z.string().meta({ description: 'A code of GET /countries' }),
  max_price: z
    .unknown()
    .optional()
    .meta({ override: { $ref: '#/components/schemas/Amount' }, description: 'Above it, nothing is ordered' }),
})
const listQuery = z.object({ status: z.enum(['open', 'ended']).optional() })
const priceQuery = z.object({ service: z.string().max(64).optional(), country: z.string().max(8).optional() })

const notFound: Refused = {
  code: 'not_found',
  detail: 'There is no such order among yours. Check the id.',
  field: 'id',
}

export function ordersRoutes(table: Routes, orders: Orders): void {
  table.post(
    '/api/v1/orders',
    {
      policy: 'order',
      summary: 'Order a number',
      description:
        'Holds the price and answers with the number at once. The price is deducted only when a code arrives; without one it returns by itself when the order ends.',
      body: placeBody,
      example: { service: 'telegram', country: 'GB' },
      idempotent: true,
      answers: { 201: orderSchema },
      refuses: [
        'unknown_service',
        'unknown_country',
        'account_suspended',
        'invalid_amount',
        'above_max_price',
        'too_many_open_orders',
        'insufficient_credits',
        'no_numbers',
      ],
    },
    async (c, { body }) => {
      const maxPrice = body.max_price === undefined || body.max_price === null ? null : readAmount(body.max_price)
      if (body.max_price !== undefined && body.max_price !== null && maxPrice === null) {
        return answerRefusal(c, {
          code: 'invalid_amount',
          detail:
            'The maximum price is a decimal string in dollars with at most two decimals, such as "1.20". Nothing was held.',
          field: 'max_price',
        })
      }
      const placed = await orders.place({
        accountId: c.get('caller').accountId,
        service: body.service,
        country: body.country,
        maxPrice,
        idempotencyKey: readIdempotencyKey(c),
      })
      if (!placed.ok) return answerRefusal(c, placed)
      if (placed.replayed) c.header('Idempotent-Replayed', 'true')
      return c.json(placed.order, 201)
    },
  )

  table.get(
    '/api/v1/orders',
    {
      policy: 'read',
      summary: 'List your orders',
      description: 'Newest first.',
      query: listQuery,
      list: true,
      answers: { 200: pageOf(orderSchema) },
    },
    async (c, { query }) => {
      const limit = readLimit(c)
      const before = readCursor(c, orders.cursorPattern)
      const items = await orders.list(c.get('caller').accountId, { limit: limit + 1, before, which: query.status })
      const more = items.length > limit
      const page = items.slice(0, limit)
      return c.json({ items: page, next_cursor: more ? printCursor(readId('ord', page.at(-1)!.id)!) : null })
    },
  )

  table.get(
    '/api/v1/orders/:id',
    {
      policy: 'read',
      summary: 'Read an order',
      description: 'With its messages and codes. Asking again costs nothing.',
      params: { id: orderId },
      answers: { 200: orderSchema },
      refuses: ['not_found'],
    },
    async (c) => {
      const id = readId('ord', c.req.param('id'))
      const order = id === null ? null : await orders.get(c.get('caller').accountId, id)
      return order ? c.json(order) : answerRefusal(c, notFound)
    },
  )

  table.post(
    '/api/v1/orders/:id/cancel',
    {
      policy: 'order',
      summary: 'Cancel an order',
      description:
        'Possible from `cancel_from` on while no code has arrived. The whole hold returns. Cancelling twice changes nothing.',
      params: { id: orderId },
      idempotent: true,
      answers: { 200: orderSchema },
      refuses: ['not_found', 'cancel_too_early', 'already_received', 'already_closed'],
    },
    async (c) => {
      const id = readId('ord', c.req.param('id'))
      if (id === null) return answerRefusal(c, notFound)
      const closed = await orders.cancel({
        accountId: c.get('caller').accountId,
        orderId: id,
        idempotencyKey: readIdempotencyKey(c),
      })
      if (!closed.ok) return answerRefusal(c, closed)
      if (closed.replayed) c.header('Idempotent-Replayed', 'true')
      return c.json(closed.order)
    },
  )
}

/** What is for sale, readable by anybody. */
export function catalogueRoutes(table: Routes, catalogue: Catalogue): void {
  table.get(
    '/api/v1/services',
    { policy: 'public', summary: 'List the services', answers: { 200: pageOf(serviceSchema) } },
    async (c) => c.json({ items: await catalogue.services(), next_cursor: null }),
  )
  table.get(
    '/api/v1/countries',
    { policy: 'public', summary: 'List the countries', answers: { 200: pageOf(countrySchema) } },
    async (c) => c.json({ items: await catalogue.countries(), next_cursor: null }),
  )
  table.get(
    '/api/v1/prices',
    {
      policy: 'public',
      summary: 'List prices with stock and success rate',
      description:
        'The rate is the share of the numbers of the last 30 days that got a code; `success_base` is how many numbers it stands on.',
      query: priceQuery,
      answers: { 200: pageOf(priceSchema) },
      refuses: ['unknown_service', 'unknown_country'],
    },
    async (c, { query }) => {
      const prices = await catalogue.prices(query)
      if (prices === 'unknown_service') {
        return answerRefusal(c, {
          code: prices,
          detail: 'There is no such service. GET /api/v1/services lists them.',
          field: 'service',
        })
      }
      if (prices === 'unknown_country') {
        return answerRefusal(c, {
          code: prices,
          detail: 'There is no such country. GET /api/v1/countries lists them.',
          field: 'country',
        })
      }
      return c.json({ items: prices, next_cursor: null })
    },
  )
}

/** How far a message's timestamp may be from ours, to both sides. Unit: seconds. */
const SIGNATURE_TOLERANCE_SECONDS = 300

const smsBody = z.object({
  id: z
    .string()
    .min(1)
    .max(128)
    .regex(/^[^\0]*$/, 'it has a zero character (U+0000)'),
  to: z.string().regex(/^\+[1-9]\d{6,14}$/, 'write the number as +, country code and digits'),
  from: z.string().min(1).max(64),
  text: z.string(),
})

/**
 * `POST /webhooks/sms/generic`: JSON `{id, to, from, text}`, signed over the raw body:
 * `X-Signature: t=<unix seconds>,v1=<hex HMAC-SHA256 of "t.body">`. Answers 2xx only after the message is stored.
 * Without a secret the door is shut (404), or anybody could send codes.
 */
export function smsWebhook(
  table: Routes,
  orders: Orders,
  settings: { secrets: readonly string[]; clock: WireClock },
): void {
  table.post(
    '/webhooks/sms/generic',
    {
      policy: 'signed',
      summary: 'Hand in an SMS',
      description:
        'For SMS gateways: JSON {id, to, from, text}, signed over the raw body: X-Signature: t=<unix seconds>,v1=<hex HMAC-SHA256 of "t.body">, 300 seconds both ways. Answered 2xx only after the message is stored; the same id again is the same message.',
      answers: { 200: z.object({ status: z.enum(['accepted', 'duplicate']), outcome: z.string() }) },
      refuses: ['not_found', 'invalid_signature', 'invalid_request', 'too_large'],
    },
    async (c) => {
      if (settings.secrets.length === 0) {
        return answerRefusal(c, { code: 'not_found', detail: 'No secret is set for this source, so it is closed.' })
      }
      const raw = await readBody(c, REQUEST_BODY_BYTES_MAX)
      const wrong = verifySignature(c.req.header('x-signature') ?? '', raw, settings)
      if (wrong) return answerRefusal(c, { code: 'invalid_signature', detail: wrong, field: 'X-Signature' })
      const { id, to, from, text } = fit(smsBody, parseJson(raw).content)
      const outcome = await orders.accept({
        source: 'generic',
        externalId: id,
        to,
        // PostgreSQL's text cannot hold a zero character; a phone network can send one.
        from: from.replaceAll('\0', ''),
        text: text.replaceAll('\0', ''),
        body: JSON.stringify({ id, to, from: from.replaceAll('\0', ''), text: text.replaceAll('\0', '') }),
      })
      return c.json({ status: outcome === 'duplicate' ? 'duplicate' : 'accepted', outcome })
    },
  )
}

/** Null: the signature is right. Otherwise what is wrong with it, in words for the sender's developer. */
export function verifySignature(
  header: string,
  raw: Buffer,
  settings: { secrets: readonly string[]; clock: WireClock },
): string | null {
  const stamp = /(?:^|,)\s*t=(\d{1,12})(?:,|$)/.exec(header)?.[1]
  const given = [...header.matchAll(/(?:^|,)\s*v1=([0-9a-f]{64})(?=,|$)/g)].map((match) =>
    Buffer.from(match[1]!, 'hex'),
  )
  if (stamp === undefined || given.length === 0) {
    return 'The header X-Signature must read t=<unix seconds>,v1=<hex HMAC-SHA256 of "t.body">. Nothing was stored.'
  }
  const ageSeconds = Math.abs(settings.clock.now().getTime() / 1000 - Number(stamp))
  if (ageSeconds > SIGNATURE_TOLERANCE_SECONDS) {
    return `The timestamp of the signature is more than ${SIGNATURE_TOLERANCE_SECONDS} seconds from now. Sign again with the current time. Nothing was stored.`
  }
  const right = settings.secrets.some((secret) => {
    const expected = createHmac('sha256', secret).update(`${stamp}.`).update(raw).digest()
    return given.some((candidate) => timingSafeEqual(candidate, expected))
  })
  return right
    ? null
    : 'The signature does not match the body. Sign the bytes exactly as they are sent. Nothing was stored.'
}
