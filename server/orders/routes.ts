/** The catalogue, orders and favourites over HTTP. */
import type { Context } from 'hono'
import { z } from 'zod'
import {
  countrySchema,
  type Favourite,
  favouriteSchema,
  orderId,
  orderSchema,
  orderStatuses,
  type Page,
  pageOf,
  priceSchema,
  serviceSchema,
} from '../../contract/contract.ts'
import { readAmount } from '../../contract/money.ts'
import type { Routes, SignedIn } from '../accounts/accounts.ts'
import {
  answerRefusal,
  printCursor,
  Refusal,
  type Refused,
  readCursor,
  readIdempotencyKey,
  readLimit,
} from '../platform/answer.ts'
import { readId } from '../platform/ids.ts'
import type { Catalogue } from './catalogue.ts'
import { FAVOURITES_MAX, unknownCountry, unknownService } from './favourites.ts'
import type { Acted, Instant, Orders } from './orders.ts'

const placeBody = z.object({
  service: z.string().meta({ description: 'A code of GET /services' }),
  country: z.string().meta({ description: 'A code of GET /countries' }),
  max_price: z
    .unknown()
    .optional()
    .meta({ override: { $ref: '#/components/schemas/Amount' }, description: 'Above it, nothing is ordered' }),
})

const WRITE_A_MOMENT = 'write a day as 2026-11-23, or an instant as 2026-11-23T14:02:00Z'
const day = z.iso.date()
const instant = z.iso.datetime({ offset: true })
const moment = z
  .string()
  // No calendar of PostgreSQL's has a year 0.
  .refine((text) => text >= '0001' && (day.safeParse(text).success || instant.safeParse(text).success), WRITE_A_MOMENT)
  .optional()
const serviceFilter = z.string().max(64).optional().meta({ description: 'A code of GET /services' })
const countryFilter = z.string().max(8).optional().meta({ description: 'A code of GET /countries' })

const listQuery = z.object({
  status: z
    .enum(['open', 'ended', ...orderStatuses])
    .optional()
    .meta({ description: 'One state, or `open` (requested, waiting, received) or `ended` (all others)' }),
  service: serviceFilter,
  country: countryFilter,
  from: moment.meta({ description: 'Ordered from here on: an instant, or a day in your time zone' }),
  to: moment.meta({ description: 'Ordered before this instant, or until the end of this day in your time zone' }),
  search: z
    .string()
    .max(40)
    .optional()
    .meta({ description: 'At least 3 digits that stand together in the order number or the phone number' }),
})
/** Too few would find nearly everything; more has no phone number. */
const searchPattern = /^\d{3,15}$/
const priceQuery = z.object({
  service: serviceFilter,
  country: countryFilter,
  search: z.string().max(100).optional().meta({
    description: 'Words that begin a word of the service’s or the country’s name, or are its code or dial code',
  }),
})

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
        'Holds the price and answers with the number at once. The price is deducted only when a code arrives; without one it returns by itself when the order ends. With `max_price`, nothing is ordered above it, and less is charged where less is asked.',
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
        'spending_limit_reached',
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
        key: c.get('caller').key,
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
      description: 'Newest first. Filters may be combined; what is left out is not asked for.',
      query: listQuery,
      list: true,
      answers: { 200: pageOf(orderSchema) },
      refuses: ['unknown_service', 'unknown_country'],
    },
    async (c, { query }) => {
      const limit = readLimit(c)
      const before = readCursor(c, orders.cursorPattern)
      const { accountId, timeZone } = c.get('caller')
      const items = await orders.list(accountId, {
        limit: limit + 1,
        before,
        status: query.status,
        service: query.service,
        country: query.country,
        from: readMoment(query.from, timeZone),
        to: readMoment(query.to, timeZone),
        digits: readSearch(query.search),
      })
      if (items === 'unknown_service') return answerRefusal(c, unknownService)
      if (items === 'unknown_country') return answerRefusal(c, unknownCountry)
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
        'Possible from `cancel_from` on while no code has arrived. The whole hold returns. Asked again, it changes nothing: the same Idempotency-Key answers as the first time, any other asking `already_closed`.',
      params: { id: orderId },
      idempotent: true,
      answers: { 200: orderSchema },
      refuses: ['not_found', 'cancel_too_early', 'already_received', 'already_closed'],
    },
    (c) => actOn(c, c.req.param('id'), orders.cancel),
  )

  table.post(
    '/api/v1/orders/:id/finish',
    {
      policy: 'order',
      summary: 'Finish an order',
      description:
        'Ends an order that has its code: nothing more is charged, and its number is free for others. An order without a code is cancelled, as by cancel. Finishing twice changes nothing.',
      params: { id: orderId },
      idempotent: true,
      answers: { 200: orderSchema },
      refuses: ['not_found', 'cancel_too_early', 'already_closed'],
    },
    (c) => actOn(c, c.req.param('id'), orders.finish),
  )

  table.post(
    '/api/v1/orders/:id/another-code',
    {
      policy: 'order',
      summary: 'Wait for another code',
      description:
        'Every further code of an order is free while the order lives; this says that you wait for one, until it comes. An order without its first code waits anyway and stays as it is.',
      params: { id: orderId },
      idempotent: true,
      answers: { 200: orderSchema },
      refuses: ['not_found', 'already_closed'],
    },
    (c) => actOn(c, c.req.param('id'), orders.askAnotherCode),
  )

  favouritesRoutes(table, orders.favourites)
}

/** The order of the path is asked to do something; answers as it is afterwards. */
async function actOn(
  c: Context<SignedIn>,
  printedId: string,
  act: (request: { accountId: bigint; orderId: string; idempotencyKey: string | null }) => Promise<Acted>,
): Promise<Response> {
  const id = readId('ord', printedId)
  if (id === null) return answerRefusal(c, notFound)
  const acted = await act({
    accountId: c.get('caller').accountId,
    orderId: id,
    idempotencyKey: readIdempotencyKey(c),
  })
  if (!acted.ok) return answerRefusal(c, acted)
  if (acted.replayed) c.header('Idempotent-Replayed', 'true')
  return c.json(acted.order)
}

function readMoment(text: string | undefined, zone: string): Instant | null {
  if (text === undefined) return null
  return day.safeParse(text).success ? { day: text, zone } : new Date(text)
}

/** People write numbers with spaces, a plus sign, brackets and dashes. */
function readSearch(text: string | undefined): string | undefined {
  const digits = text?.replace(/[\s()+.-]/g, '')
  if (digits === undefined || searchPattern.test(digits)) return digits
  throw new Refusal({
    code: 'invalid_request',
    detail: '"search" is 3 to 15 digits of an order number or a phone number. Correct it, or leave it out.',
    field: 'search',
  })
}

function favouritesRoutes(table: Routes, favourites: Orders['favourites']): void {
  table.get(
    '/api/v1/favourites',
    {
      policy: 'read',
      summary: 'List your favourites',
      description: 'Pairs of service and country that you have marked, by service and country.',
      list: true,
      answers: { 200: pageOf(favouriteSchema) },
    },
    async (c) => {
      const limit = readLimit(c)
      const after = readCursor(c, PAIR)
      const items = await favourites.list(c.get('caller').accountId, { limit: limit + 1, after: readPair(after) })
      return c.json(pageOfPairs(items, limit))
    },
  )

  table.post(
    '/api/v1/favourites',
    {
      policy: 'order',
      summary: 'Mark a favourite',
      description: `Marking twice changes nothing. At most ${FAVOURITES_MAX} an account.`,
      body: favouriteSchema,
      example: { service: 'telegram', country: 'GB' },
      answers: { 200: favouriteSchema },
      refuses: ['unknown_service', 'unknown_country', 'too_many_favourites'],
    },
    async (c, { body }) => {
      const marked = await favourites.mark(c.get('caller').accountId, body)
      return marked.ok ? c.json(marked.favourite) : answerRefusal(c, marked)
    },
  )

  table.delete(
    '/api/v1/favourites/:service/:country',
    {
      policy: 'order',
      summary: 'Remove a favourite',
      description: 'Where there is none, nothing changes.',
      params: { service: favouriteSchema.shape.service, country: favouriteSchema.shape.country },
      answers: { 204: 'Removed' },
    },
    async (c) => {
      const { service, country } = c.req.param()
      await favourites.unmark(c.get('caller').accountId, { service, country })
      return c.body(null, 204)
    },
  )
}

/** A cursor of lists by service and country. */
const PAIR = /^[a-z0-9]{2,32} [A-Z]{2}$/

function readPair(cursor: string | null): Favourite | null {
  if (cursor === null) return null
  const [service, country] = cursor.split(' ')
  return { service: service!, country: country! }
}

/** `items` has one more than the page where there is more. */
function pageOfPairs<Item extends Favourite>(items: Item[], limit: number): Page<Item> {
  const page = items.slice(0, limit)
  const last = page.at(-1)
  const more = items.length > limit && last
  return { items: page, next_cursor: more ? printCursor(`${last.service} ${last.country}`) : null }
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
        'By service and country. The rate is the share of the numbers of the last 30 days that got a code; `success_base` is how many numbers it stands on. Stock is a second old at most, rates are a minute.',
      query: priceQuery,
      list: true,
      answers: { 200: pageOf(priceSchema) },
      refuses: ['unknown_service', 'unknown_country'],
    },
    async (c, { query }) => {
      const limit = readLimit(c)
      const after = readPair(readCursor(c, PAIR))
      const prices = await catalogue.prices({ ...query, limit: limit + 1, after })
      if (prices === 'unknown_service') return answerRefusal(c, unknownService)
      if (prices === 'unknown_country') return answerRefusal(c, unknownCountry)
      return c.json(pageOfPairs(prices, limit))
    },
  )
}
