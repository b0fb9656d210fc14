/** The balance and the Billing History over HTTP. */
import { Hono } from 'hono'
import { z } from 'zod'
import { historyTypes } from '../../contract/contract.ts'
import type { Accounts, SignedIn } from '../accounts/accounts.ts'
import { Refusal, readCursor, readLimit, readQuery } from '../platform/answer.ts'
import type { Billing } from './billing.ts'

const WRITE_A_DAY = 'write a day as YYYY-MM-DD'
const day = z.iso
  .date(WRITE_A_DAY)
  .refine((text) => text >= '0001-01-01', WRITE_A_DAY) // no calendar of PostgreSQL's has a year 0
  .optional()
const historyQuery = z.object({ type: z.string().optional(), from: day, to: day })

export function billingRoutes(billing: Billing, accounts: Accounts) {
  const routes = new Hono<SignedIn>()

  routes.get('/balance', accounts.signedIn, async (c) => c.json(await billing.balance(c.get('caller').accountId)))

  // type: one or several of the types, separated by commas. from, to: days in the customer's time zone, both included.
  routes.get('/billing/history', accounts.signedIn, async (c) => {
    const query = readQuery(c, historyQuery)
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
  })

  return routes
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
