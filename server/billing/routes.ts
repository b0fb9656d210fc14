/** The balance and the Billing History over HTTP. */
import { z } from 'zod'
import {
  balanceSchema,
  disputeEvidenceSchema,
  disputeId,
  historyRowSchema,
  historyTypes,
  pageOf,
  pastBalanceSchema,
} from '../../contract/contract.ts'
import type { Routes } from '../accounts/accounts.ts'
import { Refusal, readCursor, readLimit } from '../platform/answer.ts'
import { readId } from '../platform/ids.ts'
import type { Billing } from './billing.ts'

const WRITE_A_DAY = 'write a day as YYYY-MM-DD'
const day = z.iso
  .date(WRITE_A_DAY)
  .refine((text) => text >= '0001-01-01', WRITE_A_DAY) // no calendar of PostgreSQL's has a year 0
  .optional()
const balanceQuery = z.object({
  as_of: z.iso
    .datetime({ offset: true, error: 'write an instant such as 2026-11-23T14:02:41Z, a plus sign as %2B' })
    .refine((text) => text >= '0001-01-02', 'write an instant such as 2026-11-23T14:02:41Z, of the year 1 or later')
    .optional()
    .meta({
      description:
        'A past instant, RFC 3339. A movement counts from the moment at which it was recorded; `pending` is not answered.',
    }),
})
const historyQuery = z.object({
  type: z
    .string()
    .optional()
    .meta({ description: `One or several of ${historyTypes.join(', ')}, separated by commas` }),
  from: day.meta({ description: 'A day in your time zone, included' }),
  to: day.meta({ description: 'A day in your time zone, included' }),
})

export function billingRoutes(table: Routes, billing: Billing): void {
  table.get(
    '/api/v1/balance',
    {
      policy: 'read',
      summary: 'Read your balance',
      description:
        'Available and held are yours; `pending` is on its way in. None of the figures is ever negative. With `as_of`: what it was then.',
      query: balanceQuery,
      answers: { 200: z.union([balanceSchema, pastBalanceSchema]) },
    },
    async (c, { query }) => {
      const { accountId } = c.get('caller')
      if (query.as_of === undefined) return c.json(await billing.balance(accountId))
      const past = await billing.balanceAsOf(accountId, new Date(query.as_of))
      if (past) return c.json(past)
      throw new Refusal({
        code: 'invalid_request',
        detail: '"as_of" is still to come: give a past instant, or leave it out for the balance of now.',
        field: 'as_of',
      })
    },
  )

  table.get(
    '/api/v1/billing/history',
    {
      policy: 'read',
      summary: 'Read your Billing History',
      description: 'Every movement of your credits, newest first, one row each, with what you owned afterwards.',
      query: historyQuery,
      list: true,
      answers: { 200: pageOf(historyRowSchema) },
    },
    async (c, { query }) => {
      const limit = readLimit(c)
      const before = readCursor(c, /^\d{1,18}$/)
      const { accountId, timeZone } = c.get('caller')
      return c.json(
        await billing.history(accountId, timeZone, {
          limit,
          before: before === null ? null : BigInt(before),
          types: readTypes(query.type),
          from: query.from ?? null,
          to: query.to ?? null,
        }),
      )
    },
  )
}

/** For members of staff. */
export function evidenceRoutes(table: Routes, billing: Billing): void {
  table.get(
    '/api/v1/staff/disputes/:id/evidence',
    {
      policy: 'staff',
      summary: 'Export the evidence in a dispute',
      description:
        "Under the card company's names for it, and the rows that it rests on: receipt, 3-D Secure, address and browser, policies accepted, orders and when their codes came. Texts of messages are not in it.",
      params: { id: disputeId },
      answers: { 200: disputeEvidenceSchema },
      refuses: ['not_found'],
    },
    async (c) => {
      const id = readId('dsp', c.req.param('id'))
      const evidence = id && (await billing.evidence(id))
      if (evidence) return c.json(evidence)
      throw new Refusal({
        code: 'not_found',
        detail: 'There is no such dispute. Look at the list of disputes for the right one.',
        field: 'id',
      })
    },
  )
}

function readTypes(text: string | undefined) {
  if (text === undefined || text === '') return null
  const types = text.split(',')
  const known = types.filter((type) => historyTypes.includes(type as (typeof historyTypes)[number]))
  if (known.length < types.length) {
    throw new Refusal({
      code: 'invalid_request',
      detail: `"type" is one or more of ${historyTypes.join(', ')}, separated by commas.`,
      field: 'type',
    })
  }
  return known as (typeof historyTypes)[number][]
}
