/** Lists as Stripe gives them: newest first, in pages, both ways. */
import { seconds } from '../clock.ts'
import type { Bank } from './bank.ts'
import { missing, StripeRefusal } from './errors.ts'
import { list } from './expand.ts'
import type { FormValue } from './form.ts'
import * as param from './parameters.ts'
import { type Kind, sessionOf } from './records.ts'

const LIST_MAX = 100
const EVENTS_KEPT_DAYS = 30

const range = param.branch({ gt: param.whole, gte: param.whole, lt: param.whole, lte: param.whole })
type Range = { gt?: number; gte?: number; lt?: number; lte?: number }

const created = (value: FormValue, name: string): Range => {
  if (typeof value !== 'string') return range(value, name)
  const instant = param.whole(value, name)
  return { gte: instant, lte: instant }
}

export const pageParams = {
  limit: param.whole,
  starting_after: param.text(200),
  ending_before: param.text(200),
  expand: param.expand,
  created,
}

export const eventParams = {
  ...pageParams,
  type: param.text(100),
  types: param.listOf(param.text(100), 20),
  delivery_success: param.flag,
}

type Page = param.Read<typeof pageParams>

/**
 * Objects of a kind. `where`: fields of the object and what they must be (`payout`: that it went along with it); undefined does not
 * restrict. `of`: an object of the same
 * payment, which makes the search short.
 */
export function listObjects(
  bank: Bank,
  kind: Kind,
  url: string,
  asked: Page,
  where: Record<string, string | undefined> = {},
  of?: string,
): object {
  const { books } = bank
  const { from, until } = between(asked.created)
  const page = pageOf(bank, asked, 'stripe_objects')
  const { payout, ...ofBody } = where
  const fields = Object.entries(ofBody).filter(([, value]) => value !== undefined) as [string, string][]
  const session = of === undefined ? null : (sessionOf(books, of) ?? '')
  const rows = books.all<{ body: string }>(
    `select body from stripe_objects
      where kind = ? and seq < ? and seq > ?
        ${session === null ? '' : 'and session = ?'}
        and body ->> 'created' >= ? and body ->> 'created' <= ?
        ${payout === undefined ? '' : `and extra ->> 'payout' = ?`}
        ${fields.map(([field]) => `and body ->> '${field}' = ?`).join(' ')}
      order by seq ${page.order} limit ?`,
    ...[kind, page.before, page.after, ...(session === null ? [] : [session])],
    ...[from, until, ...(payout === undefined ? [] : [payout]), ...fields.map(([, value]) => value), page.limit + 1],
  )
  return page.of(rows, url)
}

export function listEvents(bank: Bank, asked: param.Read<typeof eventParams>): object {
  const { books, clock } = bank
  const types = asked.types ?? (asked.type ? [asked.type] : null)
  const undelivered = asked.delivery_success === undefined ? null : asked.delivery_success ? 0 : 1
  const oldest = seconds(clock) - EVENTS_KEPT_DAYS * 86_400
  const { from, until } = between(asked.created)
  const page = pageOf(bank, asked, 'stripe_events')
  const rows = books.all<{ body: string }>(
    `select body from stripe_events event
      where seq < ? and seq > ?
        and created >= ? and created <= ?
        and (? is null or type in (select value from json_each(?)))
        and (? is null or ? = not exists (
              select 1 from stripe_deliveries where event = seq and state = 'delivered'))
      order by seq ${page.order} limit ?`,
    ...[page.before, page.after, Math.max(from, oldest), until],
    ...[types && JSON.stringify(types), types && JSON.stringify(types), undelivered, undelivered, page.limit + 1],
  )
  return page.of(rows, '/v1/events')
}

/** `ending_before` reads towards the newer ones, as Stripe does, and is turned round again. */
function pageOf(bank: Bank, asked: Page, table: 'stripe_events' | 'stripe_objects') {
  const limit = asked.limit ?? 10
  if (limit < 1 || limit > LIST_MAX)
    throw new StripeRefusal(400, `This value must be between 1 and ${LIST_MAX} (inclusive).`, { param: 'limit' })
  const place = (id: string | undefined) => {
    if (id === undefined) return undefined
    const row = bank.books.one<{ seq: number }>(`select seq from ${table} where id = ?`, id)
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
    of(rows: { body: string }[], url: string): object {
      const data = rows.slice(0, limit).map((row) => JSON.parse(row.body) as object)
      return list(backwards ? data.reverse() : data, rows.length > limit, url)
    },
  }
}

function between(asked: Range | undefined): { from: number; until: number } {
  return {
    from: Math.max(asked?.gte ?? 0, (asked?.gt ?? -1) + 1),
    until: Math.min(asked?.lte ?? Number.MAX_SAFE_INTEGER, (asked?.lt ?? Number.MAX_SAFE_INTEGER) - 1),
  }
}
