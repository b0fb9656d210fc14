/**
 * Orders: credit becomes a number, a number becomes a code. The door of the room.
 *
 * The hot verbs are one SQL function each (place.sql, accept.sql, close.sql), fed by batchers; the money moves inside them, in the
 * transaction of the order. This file translates: requests into their arguments, their words into what the caller is told.
 */
import { createHash } from 'node:crypto'
import type { Message, Order, OrderStatus } from '../../contract/contract.ts'
import { displayAmount, micros, printAmount, subtract, type Usd } from '../../contract/money.ts'
import type { Ledger } from '../ledger/ledger.ts'
import type { Announce } from '../platform/announce.ts'
import type { Refused } from '../platform/answer.ts'
import { createBatcher } from '../platform/batch.ts'
import type { Database, Row } from '../platform/db.ts'
import { newId, newOrderNumber, printId } from '../platform/ids.ts'
import type { Log } from '../platform/log.ts'
import { unknownIn } from './catalogue.ts'
import { createFavourites } from './favourites.ts'
import { readCode, SMS_TEXT_CHARACTERS_MAX } from './sms.ts'

export type OrderSettings = {
  /** How long an order waits for its code. Unit: seconds. Default 1200. */
  lifetimeSeconds: number
  /** Cancelling is possible this long after the number was given, as the field does it. Unit: seconds. Default 120. */
  cancelAfterSeconds: number
  /** How long a number rests before it is sold again for the same service. Unit: seconds. Default 86400. */
  restSeconds: number
  /** Open orders a customer, at most. Default 20. */
  openMax: number
}

export type PlaceRequest = {
  accountId: bigint
  service: string
  country: string
  maxPrice: Usd | null
  idempotencyKey: string | null
  /** The API key it is ordered with, and what that may spend from one midnight of its owner's to the next; null: a person orders. */
  key: { id: bigint; dailyCap: Usd | null } | null
}

/** Which orders a customer wants to see. What is null or absent is not asked for. */
export type OrderFilter = {
  limit: number
  /** The id at which the page before ended. */
  before: string | null
  status?: 'open' | 'ended' | OrderStatus | undefined
  service?: string | undefined
  country?: string | undefined
  /** The number was given at this instant or later. */
  from?: Instant | null | undefined
  /** The number was given before this instant; of a day, before its end. */
  to?: Instant | null | undefined
  /** Digits that stand together in the order number or the phone number. */
  digits?: string | undefined
}

/** An instant, or a day `YYYY-MM-DD` of a time zone (IANA name). */
export type Instant = Date | { day: string; zone: string }

export type Placed = { ok: true; order: Order; replayed: boolean } | ({ ok: false } & Refused)
export type Acted = { ok: true; order: Order; replayed: boolean } | ({ ok: false } & Refused)

export type InboundSms = {
  /** The door it came through: `generic`. */
  source: string
  /** The sender's own id of the message: the same id again is the same message. */
  externalId: string
  /** E.164. */
  to: string
  from: string
  text: string
  /** The request as it came, kept as evidence. */
  body: string
}

/** What became of a message; accept.sql explains the words. */
export type Accepted = 'charged' | 'further' | 'no_code' | 'late' | 'other_service' | 'nobody' | 'duplicate' | 'stored'

export type Orders = ReturnType<typeof createOrders>

const LANES = 2
/** Whoever orders a number sits before a page or a program that does not wait for long: later it would be bought for nobody. */
const PLACE_WAIT_MS_MAX = 2_000
/** A number that changed hands while we looked is looked up again this often; then the sweep takes over. */
const MOVED_RETRIES_MAX = 3
const DUE_ORDERS_PER_ROUND_MAX = 500
const UNHANDLED_SMS_PER_SWEEP_MAX = 100
/** A message whose decision fails this often raises an alarm, and again each time it has failed as often; its order stays open. */
const SMS_ATTEMPTS_PER_ALARM = 50
/** An order shows its newest messages, so that a flooded number stays readable. */
const MESSAGES_SHOWN_MAX = 50
const CURSOR = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

type OrderRequest = { accountId: bigint; orderId: string; idempotencyKey: string | null }
type PlaceItem = PlaceRequest & { id: string; fingerprint: string }
type PlaceAnswer = {
  answer: string
  orderId: string
  price: Usd | null
  /** Of a key with a daily cap: what it has spent today, and when its next day begins. */
  spent: Usd | null
  opensAt: Date | null
}
type CloseItem = {
  orderId: string
  /** Null: the house closes, whoever's order it is. */
  accountId: bigint | null
  reason: 'cancel' | 'finish' | 'expire'
  idempotencyKey: string | null
  fingerprint: string | null
}
type CloseAnswer = { answer: string; accountId: bigint | null }
type SmsAnswer = { answer: Accepted | 'moved'; orderId: string | null; accountId: bigint | null }

export function createOrders(parts: {
  database: Database
  ledger: Ledger
  announce: Announce
  log: Log
  settings: OrderSettings
}) {
  const { database, ledger, announce, log, settings } = parts

  const placing = createBatcher<PlaceItem, PlaceAnswer>({
    name: 'orders.place',
    database,
    lanes: LANES,
    waitMsMax: PLACE_WAIT_MS_MAX,
    log,
    keyOf: (item) => item.accountId,
    conflictsOf: (item) => (item.idempotencyKey === null ? [] : [`${item.accountId}:${item.idempotencyKey}`]),
    async run(connection, items) {
      const { rows } = await connection.query({
        name: 'orders_place',
        text: `select answer, order_id, price, spent, opens_at
                 from orders_place($1::uuid[], $2::bigint[], $3::bigint[], $4::text[], $5::text[], $6::bigint[], $7::text[], $8::text[],
                                   $9::bigint[], $10::bigint[], $11, $12, $13, $14)`,
        values: [
          items.map((item) => item.id),
          // Drawn anew at each attempt: a number that is taken already fails the attempt.
          items.map(() => newOrderNumber()),
          items.map((item) => item.accountId),
          items.map((item) => item.service),
          items.map((item) => item.country),
          items.map((item) => item.maxPrice),
          items.map((item) => item.idempotencyKey),
          items.map((item) => item.fingerprint),
          items.map((item) => item.key?.id ?? null),
          items.map((item) => item.key?.dailyCap ?? null),
          settings.lifetimeSeconds,
          settings.cancelAfterSeconds,
          settings.restSeconds,
          settings.openMax,
        ],
      })
      return rows.map((row) => ({
        answer: row.answer,
        orderId: row.order_id,
        price: row.price === null ? null : micros(row.price),
        spent: row.spent === null ? null : micros(row.spent),
        opensAt: row.opens_at,
      }))
    },
  })

  const closing = createBatcher<CloseItem, CloseAnswer>({
    name: 'orders.close',
    database,
    lanes: LANES,
    log,
    keyOf: (item) => item.orderId,
    conflictsOf: (item) => (item.idempotencyKey === null ? [] : [`${item.accountId}:${item.idempotencyKey}`]),
    async run(connection, items, repeated) {
      const { rows } = await connection.query({
        name: 'orders_close',
        text: 'select answer, account_id from orders_close($1::uuid[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6)',
        values: [
          items.map((item) => item.orderId),
          items.map((item) => item.accountId),
          items.map((item) => item.reason),
          items.map((item) => item.idempotencyKey),
          items.map((item) => item.fingerprint),
          settings.restSeconds,
        ],
      })
      return rows.map((row) => ({
        // The call before may have ended it; its answer got lost, and whoever asked must not be told that he came too late.
        answer: repeated && row.answer === 'already_closed' ? 'closed_before' : row.answer,
        accountId: row.account_id === null ? null : BigInt(row.account_id),
      }))
    },
  })

  const accepting = createBatcher<InboundSms, SmsAnswer>({
    name: 'orders.accept',
    database,
    lanes: LANES,
    log,
    // By number, because the customer is not known yet: what meets on one order is decided by the order's row.
    keyOf: (sms) => sms.to,
    conflictsOf: (sms) => [`${sms.source}:${sms.externalId}`],
    async run(connection, messages) {
      const { rows } = await connection.query({
        name: 'sms_accept',
        text: `select answer, order_id, account_id
                 from sms_accept($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9)`,
        values: [
          messages.map(() => newId()),
          messages.map((sms) => `sms:${sms.source}`),
          messages.map((sms) => sms.externalId),
          messages.map((sms) => sms.to),
          messages.map((sms) => sms.from),
          // A longer one is no SMS of any network: it is shown cut, and kept whole in the inbox.
          messages.map((sms) => sms.text.slice(0, SMS_TEXT_CHARACTERS_MAX)),
          messages.map((sms) => readCode(sms.text)),
          messages.map((sms) => sms.body),
          settings.restSeconds,
        ],
      })
      return rows.map((row) => ({
        answer: row.answer,
        orderId: row.order_id,
        accountId: row.account_id === null ? null : BigInt(row.account_id),
      }))
    },
  })

  /** Orders a number: holds its price. Either the order with its number, or a refusal that left no trace. */
  async function place(request: PlaceRequest): Promise<Placed> {
    const item: PlaceItem = {
      ...request,
      id: newId(),
      fingerprint: fingerprint(
        'place',
        request.service,
        request.country,
        request.maxPrice === null ? '' : printAmount(request.maxPrice),
      ),
    }
    let placed = await placing.submit(item)
    if (placed.answer === 'claim_again') placed = await placing.submit(item)
    const { answer, orderId } = placed
    if (answer === 'placed' || answer === 'replayed') {
      // Also a replay: the answer that would have announced it may have been lost.
      changed(request.accountId, orderId)
      const order = await get(request.accountId, orderId)
      if (order) return { ok: true, order, replayed: answer === 'replayed' }
      // The key belongs to something else of this customer: a top-up.
      return { ok: false, ...refusedKey }
    }
    return { ok: false, ...(await explainRefusal(request, placed)) }
  }

  async function explainRefusal(
    request: PlaceRequest,
    { answer, price, spent, opensAt }: PlaceAnswer,
  ): Promise<Refused> {
    switch (answer) {
      case 'insufficient_credits': {
        const available = (await ledger.balance(database.pool, request.accountId))?.available ?? micros(0n)
        const missing = price !== null && price > available ? subtract(price, available) : micros(0n)
        return {
          code: 'insufficient_credits',
          detail: `This number costs ${show(price ?? micros(0n))} and you have ${show(available)} to spend. Top up ${show(missing)} or more, then order again. Nothing was held.`,
          extra: {
            price: printAmount(price ?? micros(0n)),
            available: printAmount(available),
            missing: printAmount(missing),
          },
        }
      }
      case 'too_many_open_orders':
        return {
          code: 'too_many_open_orders',
          detail: `You have ${settings.openMax} orders open, which is the most at a time. Wait for one to end, or cancel one, then order again. Nothing was held.`,
          extra: { limit: settings.openMax },
        }
      case 'spending_limit_reached': {
        const [cap, used, cost] = [request.key?.dailyCap, spent, price].map((amount) => amount ?? micros(0n))
        const opens = opensAt?.toISOString() ?? ''
        return {
          code: 'spending_limit_reached',
          detail: `This API key may spend ${show(cap!)} a day and has spent ${show(used!)} today; this number costs ${show(cost!)}. It can spend again from ${opens} on, or at once with a higher cap, which is yours to set. Nothing was held.`,
          extra: {
            daily_cap: printAmount(cap!),
            spent: printAmount(used!),
            price: printAmount(cost!),
            opens_at: opens,
          },
        }
      }
      case 'claim_again':
      case 'no_numbers':
        return {
          code: 'no_numbers',
          detail:
            'No number is free for this service and country at the moment. Try another country, or try again later. Nothing was held.',
        }
      case 'above_max_price':
        return {
          code: 'above_max_price',
          detail: `This number costs ${show(price ?? micros(0n))}, which is above your maximum of ${show(request.maxPrice ?? micros(0n))}. Raise the maximum or leave it out. Nothing was held.`,
          field: 'max_price',
          extra: { price: printAmount(price ?? micros(0n)) },
        }
      case 'unknown_service':
        return {
          code: 'unknown_service',
          detail: `There is no service "${clip(request.service)}". GET /api/v1/services lists them.`,
          field: 'service',
        }
      case 'unknown_country':
        return {
          code: 'unknown_country',
          detail: `There is no country "${clip(request.country)}". Use two capital letters such as GB; GET /api/v1/countries lists them.`,
          field: 'country',
        }
      case 'account_suspended':
        return {
          code: 'account_suspended',
          detail: 'This account is suspended, so it cannot order numbers. Your credits are not lost.',
        }
      case 'idempotency_key_reused':
        return refusedKey
      default:
        throw new Error(`orders_place answered "${answer}"`)
    }
  }

  /** Ends an order before its time; the whole hold returns. Refused in the first two minutes and once a code has arrived. */
  const cancel = (request: OrderRequest): Promise<Acted> => end('cancel', request)

  /**
   * Ends an order that has its code: the number is free for others from now on. An order without its code is cancelled, and refused as
   * a cancellation is. Finishing what is finished changes nothing.
   */
  const finish = (request: OrderRequest): Promise<Acted> => end('finish', request)

  async function end(reason: 'cancel' | 'finish', request: OrderRequest): Promise<Acted> {
    const item: CloseItem = { ...request, reason, fingerprint: fingerprint(reason, request.orderId) }
    let { answer } = await closing.submit(item)
    if (answer === 'message_waiting') {
      // A message for this number is stored and not decided yet. It came first, so it goes first.
      const waiting = await get(request.accountId, request.orderId)
      if (waiting) await sweepUnhandledSms(waiting.phone_number)
      ;({ answer } = await closing.submit(item))
    }
    if (answer === 'cancelled' || answer === 'expired' || answer === 'finished' || answer === 'closed_before')
      changed(request.accountId, request.orderId)
    const order = await get(request.accountId, request.orderId)
    if (!order || answer === 'not_found') return { ok: false, ...refusedOrder }
    if (answer === 'closed_before') answer = order.status === 'finished' ? 'already_closed' : 'replayed'
    switch (answer) {
      case 'cancelled':
      case 'expired':
      case 'finished':
        return { ok: true, order, replayed: false }
      case 'replayed':
        return { ok: true, order, replayed: true }
      case 'cancel_too_early':
        return {
          ok: false,
          code: 'cancel_too_early',
          detail: `This order has no code yet, and can be cancelled from ${order.cancel_from} on. Its price is held, not charged; without a code it returns by itself.`,
          extra: { cancel_from: order.cancel_from },
        }
      case 'already_received':
        return {
          ok: false,
          code: 'already_received',
          detail: `A code arrived at ${order.received_at} and ${displayAmount(order.price)} was deducted, so this order cannot be cancelled any more.`,
        }
      case 'already_closed':
        return { ok: false, ...refusedClosed(order, reason === 'cancel' ? 'to cancel' : 'to finish') }
      case 'idempotency_key_reused':
        return { ok: false, ...refusedKey }
      case 'message_waiting':
        return {
          ok: false,
          code: 'temporarily_unavailable',
          detail:
            'A message for this number has just arrived and is being read. Nothing was ended; try again in a moment.',
        }
      default:
        throw new Error(`orders_close answered "${answer}" to the reason ${reason}`)
    }
  }

  /**
   * Notes that the customer waits for a further code of an order that has one; it is free while the order lives. An order that waits
   * for its first code waits anyway, and stays as it is. Asked twice, the first time counts. Refused once the order has ended.
   */
  async function askAnotherCode({ accountId, orderId, idempotencyKey }: OrderRequest): Promise<Acted> {
    const { rows } = await database.pool.query<{ answer: string }>(
      'select order_ask_another_code($1, $2, $3, $4) as answer',
      [orderId, accountId, idempotencyKey, fingerprint('another-code', orderId)],
    )
    const { answer } = rows[0]!
    // Its time is up, and the tick that ends it has not come round: it ends now, so that the answer is true.
    if (answer === 'over') await expire(orderId)
    if (answer === 'asked' || answer === 'replayed') changed(accountId, orderId)
    const order = await get(accountId, orderId)
    if (!order || answer === 'not_found') return { ok: false, ...refusedOrder }
    switch (answer) {
      case 'asked':
      case 'waiting':
        return { ok: true, order, replayed: false }
      case 'replayed':
        return { ok: true, order, replayed: true }
      case 'over':
        return { ok: false, ...refusedClosed(order, 'that could get another code') }
      case 'idempotency_key_reused':
        return { ok: false, ...refusedKey }
      default:
        throw new Error(`order_ask_another_code answered "${answer}"`)
    }
  }

  /**
   * Ends every order whose time is over: waiting ones are given back, received ones are finished. Returns how many ended. What
   * cannot be ended is an alarm, and is tried again at the next turn.
   */
  async function expireDue(signal?: AbortSignal): Promise<number> {
    let ended = 0
    let after: string | null = null
    while (!signal?.aborted) {
      const { rows }: { rows: Pick<Row<'orders'>, 'id'>[] } = await database.pool.query(
        `select id from orders
          where status in ('waiting', 'received') and expires_at <= house_now() and ($2::uuid is null or id > $2)
          order by id limit $1`,
        [DUE_ORDERS_PER_ROUND_MAX, after],
      )
      const answers = await Promise.all(
        rows.map(async (row) => {
          try {
            return await expire(row.id)
          } catch (error) {
            // One order that cannot be ended must not keep the others, nor what runs after them, from their turn.
            log.error({ alarm: true, err: error, order: row.id }, 'Alarm: an order is over and could not be ended')
            return 'failed'
          }
        }),
      )
      ended += answers.filter((answer) => answer === 'expired' || answer === 'finished').length
      if (rows.length < DUE_ORDERS_PER_ROUND_MAX) break
      after = rows.at(-1)!.id
    }
    return ended
  }

  /** Ends one order whose time is over. */
  async function expire(orderId: string): Promise<string> {
    const { answer, accountId } = await closing.submit({
      orderId,
      accountId: null,
      reason: 'expire',
      idempotencyKey: null,
      fingerprint: null,
    })
    if (accountId !== null && (answer === 'expired' || answer === 'finished' || answer === 'closed_before'))
      changed(accountId, orderId)
    return answer
  }

  /**
   * Takes an SMS in: stored once, charged exactly when it carries a code in time for an order that waits. Answers only after the
   * commit. `stored`: it is safe in the inbox but could not be decided now; the sweep decides it.
   */
  async function accept(sms: InboundSms): Promise<Accepted> {
    try {
      for (let attempt = 0; attempt < MOVED_RETRIES_MAX; attempt++) {
        const { answer, orderId, accountId } = await accepting.submit(sms)
        if (answer === 'moved') continue
        // Also a duplicate: it may be this very message, whose answer got lost.
        if (orderId !== null && accountId !== null) changed(accountId, orderId)
        return answer
      }
    } catch (error) {
      // Whatever went wrong with the order, the message itself must not be lost: then it alone is stored.
      log.error(
        { err: error, source: sms.source },
        'An SMS could not be decided; it is stored and the sweep will try again',
      )
      const { rows } = await database.pool.query('select handled from inbox_store($1, $2, $3, $4)', [
        [`sms:${sms.source}`],
        [sms.externalId],
        [sms.to],
        [sms.body],
      ])
      return rows[0].handled ? 'duplicate' : 'stored'
    }
    return 'stored'
  }

  /** Decides the messages that are stored but were not decided, of one number or of all. Returns how many are done. */
  async function sweepUnhandledSms(phoneNumber: string | null = null): Promise<number> {
    const { rows } = await database.pool.query(
      `update inbox set attempts = attempts + 1
        where id in (select id from inbox
                      where source like 'sms:%' and handled_at is null and ($2::text is null or subject = $2)
                      order by attempts, id       -- what could never be decided keeps nobody else waiting
                      limit $1
                        for update)               -- in this order, so that two who sweep at once wait in no circle
       returning id, source, external_id, body, attempts`,
      [UNHANDLED_SMS_PER_SWEEP_MAX, phoneNumber],
    )
    let done = 0
    for (const row of rows) {
      const { to, from, text } = JSON.parse(row.body)
      const answer = await accept({
        source: row.source.slice('sms:'.length),
        externalId: row.external_id,
        to,
        from,
        text,
        body: row.body,
      })
      if (answer !== 'stored') done++
      else if (row.attempts % SMS_ATTEMPTS_PER_ALARM === 0)
        log.error({ inbox: row.id }, 'Alarm: an SMS could not be decided; a person must look')
    }
    return done
  }

  function changed(accountId: bigint, orderId: string): void {
    announce.publish({ what: 'order', accountId, id: orderId })
    announce.publish({ what: 'balance', accountId })
  }

  /** Null: there is no such order, or it is somebody else's. */
  async function get(accountId: bigint, orderId: string): Promise<Order | null> {
    return (await read('id = $2 and account_id = $1', [accountId, orderId], 1))[0] ?? null
  }

  /** A customer's orders, newest first. Each filter is one more condition on the walk along one index (0010_orders_rest.sql). */
  async function list(
    accountId: bigint,
    filter: OrderFilter,
  ): Promise<Order[] | 'unknown_service' | 'unknown_country'> {
    const unknown = await unknownIn(database, filter)
    if (unknown) return unknown
    const values: unknown[] = [accountId]
    const value = (given: unknown) => `$${values.push(given)}`
    const conditions = ['account_id = $1']
    const instant = (at: Instant, daysOn: 0 | 1) =>
      at instanceof Date
        ? value(at)
        : `((${value(at.day)}::date + ${daysOn})::timestamp at time zone ${value(at.zone)})`
    if (filter.before !== null) {
      const before = value(filter.before)
      conditions.push(`(given_at, id) < ((select given_at from orders where id = ${before}), ${before}::uuid)`)
    }
    // The words are ours, not the caller's: written out, so that the index of open orders is seen to fit.
    if (filter.status === 'open') conditions.push(`status in ('waiting', 'received')`)
    else if (filter.status === 'ended') conditions.push(`status in ('finished', 'cancelled', 'expired')`)
    else if (filter.status) {
      if (filter.status === 'waiting' || filter.status === 'received')
        conditions.push(`status in ('waiting', 'received')`)
      conditions.push(`status = ${value(filter.status)}`)
    }
    if (filter.service) conditions.push(`service = ${value(filter.service)}`)
    if (filter.country) conditions.push(`country = ${value(filter.country)}`)
    if (filter.from) conditions.push(`given_at >= ${instant(filter.from, 0)}`)
    if (filter.to) conditions.push(`given_at < ${instant(filter.to, 1)}`)
    if (filter.digits) {
      const digits = value(filter.digits)
      conditions.push(`(position(${digits} in number::text) > 0 or position(${digits} in phone_number) > 0)`)
    }
    return read(conditions.join(' and '), values, filter.limit)
  }

  async function read(where: string, values: unknown[], limit: number): Promise<Order[]> {
    const { rows } = await database.pool.query<Row<'orders'> & { messages: Message[] }>(
      `select o.*, coalesce(m.messages, '[]') as messages
         from (select id from orders where ${where} order by given_at desc, id desc limit ${limit}) found
         join orders o using (id)
         left join lateral (
           select json_agg(json_build_object('id', id, 'text', text, 'code', code, 'from', sender, 'late', late, 'received_at', received_at)
                           order by received_at, id) as messages
             from (select * from messages where order_id = o.id order by received_at desc, id desc limit ${MESSAGES_SHOWN_MAX}) newest) m on true
        order by o.given_at desc, o.id desc`,
      values,
    )
    return rows.map((row) => ({
      id: printId('ord', row.id),
      number: Number(row.number),
      phone_number: row.phone_number,
      service: row.service,
      country: row.country,
      price: printAmount(micros(row.price)),
      status: row.status as Order['status'],
      created_at: row.given_at.toISOString(),
      expires_at: row.expires_at.toISOString(),
      cancel_from: row.cancel_from.toISOString(),
      ended_at: row.ended_at?.toISOString() ?? null,
      received_at: row.received_at?.toISOString() ?? null,
      another_code_requested_at: row.another_code_requested_at?.toISOString() ?? null,
      messages: row.messages.map((message) => ({
        ...message,
        id: printId('msg', message.id),
        received_at: new Date(message.received_at).toISOString(),
      })),
    }))
  }

  return {
    place,
    cancel,
    finish,
    askAnotherCode,
    expireDue,
    accept,
    sweepUnhandledSms,
    get,
    list,
    favourites: createFavourites({ database }),
    /** What a cursor of `list` looks like: the id at which a page ended. */
    cursorPattern: CURSOR,
    async close() {
      await Promise.all([placing.close(), closing.close(), accepting.close()])
    },
  }
}

const refusedKey: Refused = {
  code: 'idempotency_key_reused',
  detail:
    'This Idempotency-Key already belongs to another request of yours. Use a fresh key for a new request. Nothing was done.',
  field: 'Idempotency-Key',
}

function refusedClosed(order: Order, nothingLeft: string): Refused {
  return {
    code: 'already_closed',
    detail: `This order ended at ${order.ended_at ?? order.expires_at} (${order.status}). There is nothing left ${nothingLeft}.`,
    extra: { order_status: order.status },
  }
}

const refusedOrder: Refused = {
  code: 'not_found',
  detail: 'There is no such order among yours. Check the id.',
  field: 'id',
}

function fingerprint(...parts: string[]): string {
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex')
}

function show(amount: Usd): string {
  return displayAmount(printAmount(amount))
}

/** What people sent, quoted back to them: short, and without control characters. */
function clip(text: string): string {
  return text.replace(/[^\p{L}\p{N} _-]/gu, '').slice(0, 32)
}
