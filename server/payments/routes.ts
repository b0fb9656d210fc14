/** Top-ups over HTTP, and the card company's webhooks. */
import { z } from 'zod'
import {
  cardsTakenSchema,
  cryptoAssets,
  cryptoOffersSchema,
  cryptoTransactionSchema,
  type EventState,
  endpointTestSchema,
  eventStateSchema,
  eventStatuses,
  pageOf,
  staffEventSchema,
  topupId,
  topupRefundSchema,
  topupSchema,
} from '../../contract/contract.ts'
import type { Routes } from '../accounts/accounts.ts'
import { answerRefusal, Refusal, readBody, readCursor, readIdempotencyKey, readLimit } from '../platform/answer.ts'
import { readId } from '../platform/ids.ts'
import { WEBHOOK_BODY_BYTES_MAX } from '../platform/limits.ts'
import type { Payments } from './payments.ts'

/** With what people paste around it. */
const TRANSACTION_ID_CHARACTERS_MAX = 200
const INBOX_ID = /^\d{1,18}$/
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

// What a field may hold is decided by the door, which names the limits; here only that there is an object.
const startBody = z.object({
  method: z
    .unknown()
    .optional()
    .meta({ override: { type: 'string', enum: ['card', 'crypto'] }, description: 'Required' }),
  amount: z
    .unknown()
    .optional()
    .meta({ override: { $ref: '#/components/schemas/Amount' }, description: 'Required' }),
  asset: z
    .unknown()
    .optional()
    .meta({
      override: { type: 'string', enum: [...cryptoAssets] },
      description: 'Required with `crypto`: the coin that will be sent',
    }),
})
const sendBackBody = z.object({
  amount: z
    .unknown()
    .optional()
    .meta({ override: { $ref: '#/components/schemas/Amount' }, description: 'Absent: everything that is unspent' }),
  address: z
    .unknown()
    .optional()
    .meta({
      override: { type: 'string' },
      description: 'Of a top-up by crypto, and required there: where to, on the network that it came from',
    }),
})
const returnBody = z.object({ session_id: z.string().max(255).nullish() })

export function paymentsRoutes(table: Routes, payments: Payments): void {
  table.post(
    '/api/v1/topups',
    {
      policy: 'topup',
      summary: 'Start a top-up',
      description:
        'By card: answers with the address of the payment page. Credits appear when the bank has confirmed the card by 3-D Secure and the payment was taken; any other outcome takes no money. By crypto: answers with an address of its own, what to send there exactly, and until when the rate is held. Whatever arrives there is credited after its confirmations: late, short, too much or in several payments.',
      body: startBody,
      example: { method: 'card', amount: '10.00' },
      idempotent: true,
      answers: { 201: topupSchema },
      refuses: [
        'invalid_amount',
        'amount_below_minimum',
        'amount_above_maximum',
        'unknown_asset',
        'account_suspended',
        'cards_blocked_by_dispute',
        'email_not_proven',
        'card_limit_reached',
        'cards_paused',
        'too_many_open_topups',
      ],
    },
    async (c, { body: { method, amount, asset } }) => {
      const { accountId } = c.get('caller')
      const started = await payments.start({
        accountId,
        method,
        amount,
        asset,
        idempotencyKey: readIdempotencyKey(c),
        from: { address: c.get('address') ?? '', userAgent: c.req.header('user-agent') ?? '' },
      })
      return started.ok ? c.json(started.topup, 201) : answerRefusal(c, started.refused)
    },
  )

  table.get(
    '/api/v1/crypto',
    {
      policy: 'public',
      summary: 'Read what can be paid with on a chain',
      description:
        'Each coin with its network, how that is doing, how long its confirmations take, and the networks that carry the same name and are not watched. None: only cards are taken.',
      answers: { 200: cryptoOffersSchema },
    },
    async (c) => c.json(await payments.offers()),
  )

  table.get(
    '/api/v1/cards',
    {
      policy: 'read',
      summary: 'Read whether your cards are taken',
      description:
        'They are not while your bank disputes or asks about a payment, and not after it took one back. How many cards may be tried in a time is told when a top-up is started.',
      answers: { 200: cardsTakenSchema },
    },
    async (c) => c.json(await payments.cardsTaken(c.get('caller').accountId)),
  )

  table.get(
    '/api/v1/topups',
    {
      policy: 'read',
      summary: 'List your top-ups',
      description: 'Newest first.',
      list: true,
      answers: { 200: pageOf(topupSchema) },
    },
    async (c) => {
      const page = { limit: readLimit(c), before: readCursor(c, UUID) }
      return c.json(await payments.list(c.get('caller').accountId, page))
    },
  )

  table.get(
    '/api/v1/topups/:id',
    {
      policy: 'read',
      summary: 'Read a top-up',
      description: 'How far it is, step by step, and why it was refused where it was.',
      params: { id: topupId },
      answers: { 200: topupSchema },
      refuses: ['not_found'],
    },
    async (c) => {
      const topup = await payments.get(c.get('caller').accountId, idOf(c.req.param('id')))
      return c.json(topup ?? unknownTopup())
    },
  )

  table.get(
    '/api/v1/topups/:id/transaction',
    {
      policy: 'read',
      summary: 'Ask where a transaction is',
      description:
        'Of a top-up by crypto: whether the network knows the transaction, whether it pays the address of this top-up, and how often it is confirmed. What we know already is answered without asking the network.',
      params: { id: topupId },
      query: z.object({
        txid: z.string().max(TRANSACTION_ID_CHARACTERS_MAX).optional().meta({ description: 'Required' }),
      }),
      answers: { 200: cryptoTransactionSchema },
      refuses: ['not_found', 'invalid_request', 'temporarily_unavailable'],
    },
    async (c, { query: { txid } }) => {
      const { accountId } = c.get('caller')
      const asked = await payments.cryptoTransaction({ accountId, topupId: idOf(c.req.param('id')), txid: txid ?? '' })
      if (asked === null) return unknownTopup()
      return asked.ok ? c.json(asked.transaction) : answerRefusal(c, asked.refused)
    },
  )

  table.post(
    '/api/v1/topups/:id/return',
    {
      policy: 'topup',
      summary: 'Say that the customer is back from the bank',
      description:
        'The bank is asked at once instead of waited for. Repeating it changes nothing; without it the top-up settles all the same.',
      params: { id: topupId },
      body: returnBody,
      example: {},
      answers: { 200: topupSchema },
      refuses: ['not_found'],
    },
    async (c, { body: { session_id } }) => {
      const { accountId } = c.get('caller')
      const topupId = idOf(c.req.param('id'))
      const topup = await payments.returned({ accountId, topupId, sessionId: session_id ?? null })
      if (topup) return c.json(topup)
      return (await payments.get(accountId, topupId)) ? unknownSession() : unknownTopup()
    },
  )

  table.post(
    '/api/v1/topups/:id/refunds',
    {
      policy: 'session',
      summary: 'Return what is unspent of a top-up',
      description:
        'To its card, or, of crypto, to an address that you name, after a person has looked at it. The money is held at once and leaves the balance when it was sent; when that fails, it is on the balance again. `returnable` of the top-up says how much can be returned.',
      params: { id: topupId },
      body: sendBackBody,
      example: { amount: '5.00' },
      idempotent: true,
      answers: { 201: topupRefundSchema },
      refuses: [
        'not_found',
        'invalid_amount',
        'nothing_to_return',
        'amount_above_returnable',
        'refund_blocked_by_dispute',
        'not_credited',
        'too_many_returns',
        'account_suspended',
        'invalid_address',
        'amount_below_minimum',
      ],
    },
    async (c, { body: { amount, address } }) => {
      const requested = await payments.sendBack({
        accountId: c.get('caller').accountId,
        topupId: idOf(c.req.param('id')),
        amount,
        address,
        idempotencyKey: readIdempotencyKey(c),
      })
      if (requested === null) return unknownTopup()
      return requested.ok ? c.json(requested.refund, 201) : answerRefusal(c, requested.refused)
    },
  )
}

/** What the card company told us, for members of staff. */
export function staffEventsRoutes(table: Routes, payments: Payments): void {
  table.get(
    '/api/v1/staff/events',
    {
      policy: 'staff',
      summary: "List the card company's events",
      description: 'Newest first. Those that are set aside wait for somebody to look, and to replay them.',
      query: z.object({ status: z.enum(eventStatuses).optional() }),
      list: true,
      answers: { 200: pageOf(staffEventSchema) },
    },
    async (c, { query }) => {
      const page = { status: query.status ?? null, limit: readLimit(c), before: readCursor(c, INBOX_ID) }
      return c.json(await payments.events.list(page))
    },
  )

  table.get(
    '/api/v1/staff/events/state',
    {
      policy: 'staff',
      summary: "Read how the card company's events reach us",
      description: 'Whether its webhooks can, how far its list of events was read, and what waits.',
      answers: { 200: eventStateSchema },
    },
    async (c) => c.json(await stateOfEvents(payments)),
  )

  table.post(
    '/api/v1/staff/events/test',
    {
      policy: 'staff',
      summary: 'Test the address of the webhooks',
      description: 'The server sends itself a signed webhook over its public address. Nothing is stored of it.',
      answers: { 200: endpointTestSchema },
    },
    async (c) => c.json(await payments.endpoint.test()),
  )

  table.post(
    '/api/v1/staff/events/:id/replay',
    {
      policy: 'staff',
      summary: 'Deal with an event once more',
      description: 'Whatever came of it before; what was done already is not done twice. Answers how it stands then.',
      params: { id: z.string().max(255) },
      answers: { 200: staffEventSchema },
      refuses: ['not_found'],
    },
    async (c) => c.json((await payments.events.replay(c.req.param('id'))) ?? unknownEvent()),
  )
}

async function stateOfEvents(payments: Payments): Promise<EventState> {
  const [endpoint, state] = await Promise.all([payments.endpoint.last(), payments.events.state()])
  return { endpoint, ...state }
}

export function stripeWebhook(table: Routes, payments: Payments): void {
  table.post(
    '/webhooks/stripe',
    {
      policy: 'signed',
      summary: 'Hand in an event of Stripe',
      description:
        'Signed by Stripe. Answered 2xx only after the event is stored; what it tells is asked for again at Stripe.',
      answers: {
        200: z.object({
          status: z.enum(['accepted', 'duplicate', 'self_test']),
          installation: z.string().optional().meta({ description: 'Of the test that the server sends itself' }),
        }),
      },
      refuses: ['not_found', 'invalid_signature', 'invalid_request', 'too_large'],
    },
    async (c) => {
      // The signature covers the bytes as they came, so nothing may have read them before.
      const body = await readBody(c, WEBHOOK_BODY_BYTES_MAX)
      const received = await payments.event({ body, signature: c.req.header('stripe-signature') })
      if (typeof received === 'object') return c.json({ status: 'self_test', installation: received.selfTest })
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
    },
  )
}

/** The same answer for what does not exist, what is somebody else's, and what cannot be an id. */
function unknownTopup(): never {
  throw new Refusal({
    code: 'not_found',
    detail: 'There is no such top-up among yours. Look at your top-ups for the right one; nothing was done.',
    field: 'id',
  })
}

function unknownEvent(): never {
  throw new Refusal({
    code: 'not_found',
    detail:
      'The card company has told us of no such event. Look at the list of events for the right one; nothing was done.',
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
