/** What banks say against payments, for members of staff, over HTTP. */
import { z } from 'zod'
import { disputeId, pageOf, staffDisputeSchema } from '../../contract/contract.ts'
import type { Routes } from '../accounts/accounts.ts'
import { answerRefusal, Refusal, readCursor, readLimit } from '../platform/answer.ts'
import { readId } from '../platform/ids.ts'
import type { Decided } from './card/disputes.ts'
import type { Payments } from './payments.ts'

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/
const WHY_CHARACTERS_MAX = 500
const decisionBody = z.object({
  why: z
    .string()
    .trim()
    .max(WHY_CHARACTERS_MAX)
    .optional()
    .meta({ description: 'For the colleagues; no customer sees it' }),
})

const liftBody = z.object({
  why: z
    .string()
    .trim()
    .min(1)
    .max(WHY_CHARACTERS_MAX)
    .meta({ description: 'For the colleagues; no customer sees it' }),
})

export function staffDisputesRoutes(table: Routes, payments: Payments): void {
  table.get(
    '/api/v1/staff/disputes',
    {
      policy: 'staff',
      summary: 'List disputes, inquiries and warnings of fraud',
      description: 'Newest first, with what the bank waits for, until when, and what it did to the credits.',
      query: z.object({ status: z.enum(['open', 'closed']).optional() }),
      list: true,
      answers: { 200: pageOf(staffDisputeSchema) },
    },
    async (c, { query }) => {
      const page = { status: query.status ?? null, limit: readLimit(c), before: readCursor(c, UUID) }
      return c.json(await payments.staffDisputes(page))
    },
  )

  table.post(
    '/api/v1/staff/warnings/:id/refund',
    {
      policy: 'staff',
      summary: 'Send the money of a payment back that its bank warns of',
      description:
        'Two people: the first one asks, and another one, who is an approver, asks for the same and so agrees. Then what is frozen goes back to the card, as fraud. Answers how the warning stands.',
      params: { id: disputeId },
      body: decisionBody,
      example: { why: 'The cardholder called: the card was stolen.' },
      answers: { 200: staffDisputeSchema },
      refuses: ['not_found', 'second_person_needed', 'already_decided', 'nothing_to_return', 'account_suspended'],
    },
    async (c, { body }) => {
      const id = idOf(c.req.param('id'))
      const decided = await payments.refundWarning(c.get('caller'), id, body.why || null)
      return refusalOf(decided) ? answerRefusal(c, refusalOf(decided)!) : c.json((await payments.staffDispute(id))!)
    },
  )

  table.post(
    '/api/v1/staff/warnings/:id/release',
    {
      policy: 'staff',
      summary: 'Give back what a warning of fraud keeps frozen',
      description: 'The payment was found in order. The customer is told. Answers how the warning stands.',
      params: { id: disputeId },
      body: decisionBody,
      example: { why: 'The customer showed the card.' },
      answers: { 200: staffDisputeSchema },
      refuses: ['not_found', 'already_decided'],
    },
    async (c, { body }) => {
      const id = idOf(c.req.param('id'))
      const decided = await payments.releaseWarning(c.get('caller'), id, body.why || null)
      return refusalOf(decided) ? answerRefusal(c, refusalOf(decided)!) : c.json((await payments.staffDispute(id))!)
    },
  )

  table.post(
    '/api/v1/staff/disputes/:id/take-cards',
    {
      policy: 'staff',
      summary: 'Take cards again of a customer who lost a dispute',
      description:
        'All disputes that he has lost so far are lifted; one that he loses later blocks his cards again. Who did it and why stays with the dispute. Answers how the dispute stands.',
      params: { id: disputeId },
      body: liftBody,
      example: { why: 'Paid what was owed; the cardholder was his mother.' },
      answers: { 200: staffDisputeSchema },
      refuses: ['not_found', 'already_decided'],
    },
    async (c, { body }) => {
      const id = idOf(c.req.param('id'))
      const decided = await payments.takeCardsAgain(c.get('caller'), id, body.why)
      return refusalOf(decided) ? answerRefusal(c, refusalOf(decided)!) : c.json((await payments.staffDispute(id))!)
    },
  )
}

function refusalOf(decided: Decided | null) {
  if (decided === null) return unknownDispute()
  return decided.ok ? null : decided.refused
}

function idOf(printed: string): string {
  return readId('dsp', printed) ?? unknownDispute()
}

function unknownDispute(): never {
  throw new Refusal({
    code: 'not_found',
    detail: 'There is no such dispute or warning. Look at the list of disputes for the right one; nothing was done.',
    field: 'id',
  })
}
