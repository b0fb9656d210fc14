/** Crypto for members of staff, over HTTP: payments that need a look, and money that goes back. */
import { z } from 'zod'
import {
  cryptoReviewActions,
  pageOf,
  reviewId,
  staffChainSchema,
  staffCryptoItemSchema,
  staffCryptoLookupSchema,
  staffCryptoRefundSchema,
  topupRefundId,
} from '../../contract/contract.ts'
import type { Routes } from '../accounts/accounts.ts'
import { answerRefusal, Refusal, type Refused, readCursor, readLimit } from '../platform/answer.ts'
import { readId } from '../platform/ids.ts'
import type { Payments } from './payments.ts'

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/
const WHY_CHARACTERS_MAX = 500
const status = z.object({ status: z.enum(['open', 'closed']).optional() })
const whyText = z.string().trim().max(WHY_CHARACTERS_MAX)
const why = whyText.optional().meta({ description: 'For the colleagues; no customer sees it' })

export function staffCryptoRoutes(table: Routes, payments: Payments): void {
  const { cryptoStaff: staff } = payments

  table.get(
    '/api/v1/staff/crypto',
    {
      policy: 'staff',
      summary: 'List payments on chains that need a look',
      description: 'Newest first: what is known of each, what may be done, and who did what.',
      query: status,
      list: true,
      answers: { 200: pageOf(staffCryptoItemSchema) },
    },
    async (c, { query }) => {
      const page = { status: query.status ?? null, limit: readLimit(c), before: readCursor(c, UUID) }
      return c.json(await staff.items(page))
    },
  )

  table.post(
    '/api/v1/staff/crypto/lookup',
    {
      policy: 'staff',
      summary: 'Look a transaction up by its id',
      description:
        'Tells what it pays to addresses of ours. What it pays there and nobody follows is opened to be looked at. With "chain" "other", for a network that we do not ask, "network" and "address" say what is known, and that is opened.',
      body: z.object({
        chain: z.string().max(60).meta({ description: 'bitcoin, litecoin, ethereum, or other' }),
        transaction_id: z.string().max(200),
        network: z.string().max(60).optional(),
        address: z.string().max(120).optional(),
      }),
      example: { chain: 'ethereum', transaction_id: `0x${'0'.repeat(64)}` },
      answers: { 200: staffCryptoLookupSchema },
      refuses: ['invalid_request', 'invalid_address'],
    },
    async (c, { body }) => {
      const { chain, transaction_id: transactionId, network, address } = body
      const looked = await staff.lookup(c.get('caller'), { chain, transactionId, network, address })
      return looked.ok ? c.json(looked.told) : answerRefusal(c, looked.refused)
    },
  )

  table.post(
    '/api/v1/staff/crypto/:id/close',
    {
      policy: 'staff',
      summary: 'Decide about a payment that needs a look',
      description:
        '`credit`: worth `amount` dollars, or `rate` dollars a whole coin, or without either as the rules value it, else by the rate of its block; to its top-up or to `topup_id`. Above the limit a second person, who is an approver, asks for the same. It is credited when it is deep enough. `leave`: nothing is to be done. `recover`: we have the coins. Decided once.',
      params: { id: reviewId },
      body: z.object({
        action: z.enum(cryptoReviewActions),
        why,
        amount: z.string().max(32).optional(),
        rate: z.string().max(32).optional(),
        topup_id: z.string().max(100).optional(),
      }),
      example: { action: 'leave', why: 'Dust.' },
      answers: { 200: staffCryptoItemSchema },
      refuses: [
        'not_found',
        'second_person_needed',
        'already_decided',
        'not_on_chain',
        'invalid_amount',
        'invalid_request',
      ],
    },
    async (c, { body }) => {
      const { action, amount, rate } = body
      const topup = body.topup_id === undefined ? undefined : readId('top', body.topup_id)
      if (topup === null)
        return answerRefusal(c, {
          code: 'invalid_request',
          detail: 'There is no such top-up: copy its id from the customer’s page. Nothing was changed.',
          field: 'topup_id',
        })
      const id = readId('rev', c.req.param('id')) ?? unknown('item')
      const closed = await staff.closeItem(c.get('caller'), id, {
        action,
        why: body.why || null,
        ...(amount === undefined ? {} : { amount }),
        ...(rate === undefined ? {} : { rate }),
        ...(topup === undefined ? {} : { topupId: topup }),
      })
      return tell(c, closed ?? unknown('item'))
    },
  )

  table.get(
    '/api/v1/staff/chains',
    {
      policy: 'staff',
      summary: 'List the networks: how far each is read',
      description: 'And who let it go on after it was halted.',
      answers: { 200: z.object({ items: z.array(staffChainSchema) }) },
    },
    async (c) => c.json({ items: await staff.networks() }),
  )

  table.post(
    '/api/v1/staff/chains/:chain/resume',
    {
      policy: 'staff',
      summary: 'Let a halted network go on',
      description:
        'After a person has looked: it goes on from the newest block that we and its node have both, and payments that are not on that branch are taken back like in any reorganisation. Who, and why, is kept.',
      params: { chain: z.string().max(60).meta({ description: 'bitcoin, litecoin or ethereum' }) },
      body: z.object({ why: whyText.min(1).meta({ description: 'What was looked at; it is kept' }) }),
      example: { why: 'Two explorers show the branch of our node.' },
      answers: { 200: staffChainSchema },
      refuses: ['not_found', 'not_halted'],
    },
    async (c, { body }) =>
      tell(c, (await staff.resume(c.get('caller'), c.req.param('chain'), body.why)) ?? unknown('network')),
  )

  table.get(
    '/api/v1/staff/crypto-refunds',
    {
      policy: 'staff',
      summary: 'List money that goes back by a chain',
      description: 'Newest first: where to, how much, who agreed, what paid it, and what may be done.',
      query: status,
      list: true,
      answers: { 200: pageOf(staffCryptoRefundSchema) },
    },
    async (c, { query }) => {
      const page = { status: query.status ?? null, limit: readLimit(c), before: readCursor(c, UUID) }
      return c.json(await staff.refunds(page))
    },
  )

  table.post(
    '/api/v1/staff/crypto-refunds/:id/approve',
    {
      policy: 'staff',
      summary: 'Agree to send money back by a chain',
      description:
        'Above the limit the first one asks, and another one, who is an approver, asks for the same. Nobody agrees to his own. The customer is told. Answers how it stands.',
      params: { id: topupRefundId },
      body: z.object({ why }),
      example: { why: 'The address is confirmed by the customer.' },
      answers: { 200: staffCryptoRefundSchema },
      refuses: ['not_found', 'second_person_needed', 'already_decided', 'not_on_chain'],
    },
    async (c, { body }) =>
      tell(c, (await staff.approve(c.get('caller'), idOf(c.req.param('id')), body.why || null)) ?? unknown('refund')),
  )

  table.post(
    '/api/v1/staff/crypto-refunds/:id/price',
    {
      policy: 'staff',
      summary: 'Ask how many coins are to be paid now',
      description: 'By the present rate. What was said before stays good. Answers how it stands.',
      params: { id: topupRefundId },
      body: z.object({}),
      example: {},
      answers: { 200: staffCryptoRefundSchema },
      refuses: ['not_found', 'second_person_needed', 'already_decided', 'not_on_chain'],
    },
    async (c) => tell(c, (await staff.price(c.get('caller'), idOf(c.req.param('id')))) ?? unknown('refund')),
  )

  table.post(
    '/api/v1/staff/crypto-refunds/:id/paid',
    {
      policy: 'staff',
      summary: 'Name the transaction that paid it',
      description:
        'It must pay that address what was asked for, on that chain. It is watched from then on: confirmed, the money leaves the credits.',
      params: { id: topupRefundId },
      body: z.object({ transaction_id: z.string().max(200) }),
      example: { transaction_id: '0'.repeat(64) },
      answers: { 200: staffCryptoRefundSchema },
      refuses: ['not_found', 'second_person_needed', 'already_decided', 'wrong_transaction', 'invalid_request'],
    },
    async (c, { body }) =>
      tell(c, (await staff.paid(c.get('caller'), idOf(c.req.param('id')), body.transaction_id)) ?? unknown('refund')),
  )

  table.post(
    '/api/v1/staff/crypto-refunds/:id/decline',
    {
      policy: 'staff',
      summary: 'Do not send it: the money is the customer’s again',
      description:
        'The customer is told why. Once a transaction was named, only when it has vanished. Answers how it stands.',
      params: { id: topupRefundId },
      body: z.object({ why: whyText.min(1).meta({ description: 'The customer reads it' }) }),
      example: { why: 'This address belongs to an exchange that does not take payments from others.' },
      answers: { 200: staffCryptoRefundSchema },
      refuses: ['not_found', 'second_person_needed', 'already_decided'],
    },
    async (c, { body }) =>
      tell(c, (await staff.decline(c.get('caller'), idOf(c.req.param('id')), body.why)) ?? unknown('refund')),
  )
}

type Context = Parameters<typeof answerRefusal>[0]

function tell<Told>(c: Context, answer: { ok: true; told: Told } | { ok: false; refused: Refused }) {
  return answer.ok ? c.json(answer.told as object) : answerRefusal(c, answer.refused)
}

function idOf(printed: string): string {
  return readId('ref', printed) ?? unknown('refund')
}

function unknown(what: 'item' | 'refund' | 'network'): never {
  throw new Refusal({
    code: 'not_found',
    detail: `There is no such ${what}. Look at the list for the right one; nothing was done.`,
    field: 'id',
  })
}
