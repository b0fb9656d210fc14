/**
 * Refunds to the card: what is unspent of a top-up goes back to where it came from. Ours begin here; those that somebody makes at the
 * card company itself are learned of and booked.
 *
 *   request ─ row, key and hold in one transaction ─ call ─┬─ succeeded ─ capture ──┬─ failed later: credit
 *                                                          ├─ pending: stays held ──┤
 *                                                          └─ failed, refused ─ void
 *   learn ── of the card company's own ─ debit, as far as it is left ── failed later: credit
 *
 * A refund is looked at as a top-up is (looks.ts). A call whose outcome is not known is repeated as it was written down; when the card
 * company may have forgotten its key, what it has is read first.
 */
import type pg from 'pg'
import type { TopupRefund, TopupRefundReason } from '../../../contract/contract.ts'
import { MICROS_PER_CENT, micros, printAmount, readAmount, type Usd } from '../../../contract/money.ts'
import type { Command, Ledger, Outcome } from '../../ledger/ledger.ts'
import type { Announce } from '../../platform/announce.ts'
import type { Refused } from '../../platform/answer.ts'
import { atMost, houseNow, type WireClock } from '../../platform/clock.ts'
import type { Database, Queryable } from '../../platform/db.ts'
import { derivedId, newId, printId, readId } from '../../platform/ids.ts'
import type { Log } from '../../platform/log.ts'
import { printRefund, REFUND_COLUMNS, type RefundRow, readRefundRow } from '../refund.ts'
import { lockTopup, remainingOf, returnables, standingsOf } from '../remaining.ts'
import {
  aboveReturnable,
  keyReused,
  notAnAmount,
  notCredited,
  nothingToReturn,
  OPEN_REFUNDS_OF_A_CUSTOMER_MAX,
  REFUNDS_OF_A_TOPUP_MAX,
  suspended,
  tooManyReturns,
} from '../return-refusals.ts'
import type { TopupRow } from '../topup.ts'
import {
  createLooks,
  NEXT_LOOK_AFTER_ALARM_SECONDS,
  NEXT_LOOK_SECONDS,
  NEXT_TRY_SECONDS,
  type Next,
  over,
} from './looks.ts'
import { enter, find as findTopup } from './settle.ts'
import { type CardCompany, KEY_REFUSED, type Refund, type RefundCall, referenceOf } from './stripe.ts'

export type Requested = { ok: true; refund: TopupRefund } | { ok: false; refused: Refused }

/** The customer waits with us; what is not known by then, the page is told by announcement. Unit: milliseconds. */
const REQUEST_WAIT_MS = 10_000
const LEARN_WAIT_MS = 5_000
/** How often a decision is made anew because the credit moved while it was made. */
const DECISIONS_MAX = 3
/** The card company keeps the answer to a key for a day at least. After this long it is asked first what it has. */
const KEY_IS_KEPT_SECONDS = 23 * 3_600
/** A bank may return a refund that it had accepted for a month; so long we ask, ever more rarely. */
const WATCHED_SECONDS = 35 * 86_400
/** The shortest and the longest time between two looks. */
const LOOKS_APART_SECONDS = {
  requested: [NEXT_TRY_SECONDS, 600],
  pending: [NEXT_LOOK_SECONDS, 3_600],
  succeeded: [NEXT_LOOK_SECONDS, 86_400],
} as const
/** When money that is still on its way raises an alarm. Unit: milliseconds of house time. */
const ON_ITS_WAY_MS_MAX = 30 * 86_400_000

/** Why a transaction is not committed. */
class Refuses extends Error {
  readonly refused: Refused
  constructor(refused: Refused) {
    super(refused.detail)
    this.refused = refused
  }
}
/** The credit moved between the decision and the hold. */
class Moved extends Error {}

export type Refunds = ReturnType<typeof createRefunds>

export function createRefunds(settings: {
  database: Database
  ledger: Ledger
  announce: Announce
  log: Log
  clock: WireClock
  card: CardCompany
  /** Finds out what became of a top-up that is not credited. */
  settle: (topupId: string) => Promise<unknown>
  /** Takes what banks' warnings keep of a top-up out of the way while `book` takes from the same credits (disputes.ts). */
  besideWarnings: (
    tx: pg.PoolClient,
    topup: { id: string; accountId: bigint },
    book: () => Promise<void>,
  ) => Promise<void>
  /** Tells the customer of a refund that is on its way, was sent or has failed, in the same transaction. Never throws for a reason of its own. */
  onRefund: (tx: pg.PoolClient, of: { refund: RefundRow; topup: TopupRow }) => Promise<void>
}) {
  const { database, ledger, announce, log, clock, card } = settings
  const looks = createLooks({
    database,
    log,
    table: 'topup_refunds',
    columns: REFUND_COLUMNS,
    readRow: readRefundRow,
    ended: `(status = 'failed')`,
    // Of the same top-up others may be booked further. Lock order: the top-up's row, its refunds, the ledger's account.
    lockFirst: (tx, mine) => lockTopup(tx, mine.topupId),
    changed: tell,
  })

  /**
   * Sends back what is unspent of a top-up: `amount` of it, or all when it is undefined. Answers when the card company has, or after ten
   * seconds with what is known. With an idempotency key, a repetition answers with the same refund. Null: no such top-up of this customer.
   */
  async function request(asked: {
    accountId: bigint
    topupId: string
    amount: unknown
    idempotencyKey: string | null
  }): Promise<Requested | null> {
    const topup = await findTopup(database.pool, asked.topupId)
    if (topup?.accountId !== asked.accountId) return null
    const amount = asked.amount === undefined ? null : readAmount(asked.amount)
    if (asked.amount !== undefined && !amount) return refuse(notAnAmount(asked.amount))

    for (let decisions = 0; decisions < DECISIONS_MAX; decisions++) {
      try {
        const { refundId, isNew } = await database.transaction((tx) => decide(tx, { ...asked, amount }))
        if (isNew) tell({ accountId: asked.accountId, topupId: asked.topupId })
        // Whether or not the call comes through, the refund was requested and its money is held; the sweeper goes on with it.
        await goOn(refundId)
        return { ok: true, refund: printRefund((await find(database.pool, refundId))!) }
      } catch (error) {
        if (error instanceof Refuses) return refuse(error.refused)
        if (!(error instanceof Moved)) throw error
      }
    }
    return refuse({
      code: 'temporarily_unavailable',
      detail: 'Your credit is moving at the moment, so nothing was sent back. Try again in a minute.',
    })
  }

  /** The intent and the hold, committed together before anybody outside hears of it. Throws `Refuses` or `Moved`: nothing is written. */
  async function decide(
    tx: pg.PoolClient,
    asked: {
      accountId: bigint
      topupId: string
      amount: Usd | null
      idempotencyKey: string | null
    },
  ): Promise<{ refundId: string; isNew: boolean }> {
    const { accountId, topupId, idempotencyKey } = asked
    await lockTopup(tx, topupId)
    const fingerprint = `return ${topupId} ${asked.amount ?? 'all'}`
    if (idempotencyKey !== null) {
      const { rows } = await tx.query<{ fingerprint: string; subject: string }>(
        'select fingerprint, subject from idempotency_keys where account_id = $1 and key = $2',
        [accountId, idempotencyKey],
      )
      if (rows[0]?.fingerprint === fingerprint) return { refundId: rows[0].subject, isNew: false }
      if (rows[0]) throw new Refuses(keyReused())
    }

    const topup = (await findTopup(tx, topupId))!
    if (topup.status !== 'credited' || topup.paymentIntentId === null) throw new Refuses(notCredited())
    const { payable, left, beforeABank } = await payableOf(tx, topup)
    if (beforeABank) throw new Refuses(blockedByDispute())
    if (payable === 0n) throw new Refuses(nothingToReturn(left))
    const amount = asked.amount ?? payable
    if (amount > payable) throw new Refuses(aboveReturnable(amount, payable))

    const { rows } = await tx.query<{ refunds: number }>(
      'select count(*)::int as refunds from topup_refunds where topup_id = $1 and refund_call is not null',
      [topupId],
    )
    if (rows[0]!.refunds >= REFUNDS_OF_A_TOPUP_MAX) throw new Refuses(tooManyReturns())
    const id = newId(clock.now())
    if (idempotencyKey !== null) {
      const { rowCount } = await tx.query(
        `insert into idempotency_keys (account_id, key, fingerprint, subject) values ($1, $2, $3, $4) on conflict do nothing`,
        [accountId, idempotencyKey, fingerprint, id],
      )
      // Taken at this very moment by a request about something else, which the next decision reads.
      if (rowCount === 0) throw new Moved()
    }
    const outcome = await intend(tx, topup, {
      id,
      amount,
      origin: 'you',
      reason: 'requested_by_customer',
      openMax: OPEN_REFUNDS_OF_A_CUSTOMER_MAX,
    })
    if (outcome.result === 'account_suspended') throw new Refuses(suspended())
    if (outcome.result === 'too_many_open_holds') throw new Refuses(tooManyReturns())
    if (outcome.result === 'insufficient_credits') throw new Moved()
    if (!outcome.done) throw new Error(`The ledger refuses the hold of refund ${id}: ${outcome.result}`)
    // The hold stands behind the account's lock, the figures above did not: a gift may have come and been spent since. Asked once
    // more as if it were not made yet, it must be payable.
    if ((await payableOf(tx, topup, amount)).payable < amount) throw new Moved()
    return { refundId: id, isNew: true }
  }

  /**
   * The intent and the hold of a refund that two members of staff agreed to because the bank warns of fraud: in the caller's transaction,
   * behind the top-up's lock, once `amount` is available and cannot be spent any more. `goOn` then makes the call. Null: the account is
   * suspended, so nothing can be held.
   */
  async function intendForFraud(tx: pg.PoolClient, topup: TopupRow, amount: Usd): Promise<string | null> {
    const id = newId(clock.now())
    const outcome = await intend(tx, topup, { id, amount, origin: 'us', reason: 'fraudulent' })
    if (outcome.result === 'account_suspended') return 'account_suspended'
    if (!outcome.done) throw new Error(`The ledger refuses the hold of refund ${id}: ${outcome.result}`)
    return id
  }

  /** The call as it will be made, and the hold of its money, in the caller's transaction. A hold that is refused leaves nothing. */
  async function intend(
    tx: pg.PoolClient,
    topup: TopupRow,
    of: { id: string; amount: Usd; origin: 'you' | 'us'; reason: Reason; openMax?: number },
  ): Promise<Outcome> {
    const { accountId, id: topupId } = topup
    const { id, amount, openMax } = of
    const [outcome] = await ledger.apply(tx, [
      {
        ...movementOf({ accountId, topupId }),
        id: holdOf(id),
        kind: 'hold',
        amount,
        expiresAt: new Date((await houseNow(tx)).getTime() + ON_ITS_WAY_MS_MAX),
        onExpiry: 'alarm',
        ...(openMax === undefined ? {} : { openMax }),
      },
    ])
    if (!outcome!.done) return outcome!
    const call = callOf(id, topup, amount, of.reason)
    await tx.query(
      `insert into topup_refunds (id, topup_id, account_id, amount, origin, booked, refund_call, requested_at, next_look_at)
       values ($1, $2, $3, $4, $5, $4, $6, house_now(), now() + make_interval(secs => $7))`,
      [id, topupId, accountId, amount, of.origin, JSON.stringify(call), NEXT_TRY_SECONDS],
    )
    return outcome!
  }

  /** Makes the call that was written down; waits ten seconds at most. What does not come through is the sweeper's. */
  async function goOn(refundId: string): Promise<void> {
    const sending = look(refundId, 'request', REQUEST_WAIT_MS).catch((error: unknown) =>
      log.error({ err: error, refund: refundId }, 'A refund could not be sent; the sweeper tries again'),
    )
    await atMost(sending, REQUEST_WAIT_MS)
  }

  /** What of a credited top-up can be paid back; `besides`: as if that much of it were not on its way. */
  async function payableOf(tx: pg.PoolClient, topup: TopupRow, besides = micros(0n)) {
    const standings = await standingsOf(tx, topup.accountId, topup.id)
    const { available } = (await ledger.balance(tx, topup.accountId))!
    const mine = standings.at(-1)!
    const newestFirst = [...standings.slice(0, -1), { ...mine, left: micros(mine.left + besides) }]
    const payable = returnables(micros(available + besides), newestFirst).get(topup.id)!
    return { payable, left: mine.left, beforeABank: mine.beforeABank }
  }

  /**
   * Brings our row and the ledger to the present state of a refund that the outside told us of, whoever made it. Throws when that could
   * not be found out. `not_ours`: the card company has no such refund of this top-up's payment.
   */
  async function learn(topupId: string, externalId: string): Promise<'done' | 'not_ours'> {
    const known = await findByExternalId(database.pool, externalId)
    if (known) return known.topupId === topupId ? lookAnew(known.id) : 'not_ours'

    const answer = await card.readRefund(externalId)
    if (!answer.ok && answer.why === 'unknown')
      throw new Error(`Refund ${externalId} could not be read: ${answer.message}`)
    if (!answer.ok) return 'not_ours'
    const refund = answer.value
    const ours = await ourRow(refund, topupId)
    if (ours) return lookAnew(ours.id)
    let topup = await findTopup(database.pool, topupId)
    // Taken and sent back before we settled: the credit comes first, then what takes it back.
    if (topup && topup.status !== 'credited') {
      await settings.settle(topupId)
      topup = await findTopup(database.pool, topupId)
    }
    if (!topup || refund.payment_intent === null || refund.payment_intent !== topup.paymentIntentId) return 'not_ours'
    if (topup.status === 'confirming') throw new Error(`Top-up ${topupId} is not credited yet`)
    await book(topup, refund)
    return lookAnew((await findByExternalId(database.pool, externalId))!.id)
  }

  async function lookAnew(refundId: string): Promise<'done'> {
    const found = await look(refundId, 'event', LEARN_WAIT_MS)
    if (!found?.fresh) throw new Error(`Refund ${refundId}: ${found?.row.lastError ?? 'somebody else is looking'}`)
    return 'done'
  }

  /** The row of ours that this refund is, as it says itself. One that has failed without it is not. */
  async function ourRow(refund: Refund, topupId: string): Promise<RefundRow | null> {
    const id = readId('ref', refund.metadata?.['refund_id'] ?? '')
    const row = id && (await find(database.pool, id))
    return row && row.topupId === topupId && row.externalId === null && row.status !== 'failed' ? row : null
  }

  /** Writes down a refund that somebody made at the card company, and takes what it sent back, as far as it is left of the top-up. */
  async function book(topup: TopupRow, refund: Refund): Promise<void> {
    if (refund.currency !== 'usd') throw new Error(`Refund ${refund.id} is not in US dollars but in ${refund.currency}`)
    const sent = micros(BigInt(refund.amount) * MICROS_PER_CENT)
    const missing = await database.transaction(async (tx) => {
      await lockTopup(tx, topup.id)
      const id = newId(clock.now())
      const { rowCount } = await tx.query(
        `insert into topup_refunds
           (id, topup_id, account_id, amount, origin, status, booked, external_id, requested_at, next_look_at)
         values ($1, $2, $3, $4, 'card_company', 'pending', 0, $5, house_now(), now())
         on conflict (external_id) do nothing`,
        [id, topup.id, topup.accountId, sent, refund.id],
      )
      if (rowCount === 0) return 0n
      await enter(tx, 'stripe:refund', refund.id, topup)
      // What never went back takes nothing; the look that follows says so.
      if (isGone(refund)) return 0n
      const booked = await bookFurther(tx, topup)
      return sent - (booked.get(id) ?? 0n)
    })
    tell({ accountId: topup.accountId, topupId: topup.id })
    if (missing > 0n) {
      alarm(
        { topupId: topup.id, accountId: topup.accountId },
        'More was sent back at the card company than is left of the top-up',
        {
          stripe_refund: refund.id,
          not_booked: printAmount(micros(missing)),
        },
      )
    }
  }

  /**
   * Takes of the customer what the card company sent back beyond what was booked yet, as far as it is left of the top-up. Behind
   * `lockTopup`, where something may have come free. Answers how much it took, by refund.
   */
  async function bookFurther(tx: pg.PoolClient, topup: { id: string; accountId: bigint }): Promise<Map<string, Usd>> {
    const { rows } = await tx.query<{ id: string; amount: string; booked: string }>(
      `select id, amount, booked
         from topup_refunds
        where topup_id = $1
          and status <> 'failed'
          and booked < amount
        order by id`,
      [topup.id],
    )
    const commands: Command[] = []
    const taken = new Map<string, Usd>()
    let left = rows.length === 0 ? micros(0n) : await remainingOf(tx, topup.id)
    for (const { id, amount, booked } of rows) {
      const missing = micros(BigInt(amount) - BigInt(booked))
      const more = missing < left ? missing : left
      if (more === 0n) continue
      left = micros(left - more)
      taken.set(id, more)
      await tx.query('update topup_refunds set booked = booked + $2 where id = $1', [id, more])
      commands.push({
        // The part that begins at this cent: a repetition of it is the same command.
        id: derivedId(id, 'booked', Number(BigInt(booked) / MICROS_PER_CENT) + 1),
        kind: 'clawback_debit',
        accountId: topup.accountId,
        code: 'reversal',
        contra: 'refunds',
        amount: more,
        reference: topup.id,
      })
    }
    // What a warning of fraud keeps of the same credits makes room, so that nobody owes what is only frozen.
    if (commands.length > 0) await settings.besideWarnings(tx, topup, () => carryOut(tx, commands))
    return taken
  }

  function look(refundId: string, asker: 'request' | 'event' | 'sweeper', waitMs: number) {
    return looks.look(refundId, {
      waitMs,
      enough: (row) => row.status === 'failed' || (asker === 'request' && row.externalId !== null),
      step: advance,
    })
  }

  async function advance(mine: RefundRow): Promise<Next<RefundRow>> {
    if (mine.status === 'failed') return over()
    if (mine.externalId === null) return send(mine, mine.refundCall!)
    const answer = await card.readRefund(mine.externalId)
    if (answer.ok) return follow(mine, answer.value)
    if (answer.why === 'unknown') return unknown(mine, 'read_refund', answer)
    alarm(mine, 'Stripe does not know a refund that it told us of', { stripe: answer.message })
    return { ending: { nextSeconds: NEXT_LOOK_AFTER_ALARM_SECONDS, error: answer.message } }
  }

  /** Makes the call that was written down, again if need be. */
  async function send(mine: RefundRow, call: RefundCall): Promise<Next<RefundRow>> {
    if (mine.askedSecondsAgo > KEY_IS_KEPT_SECONDS) {
      const answer = await card.listRefunds(call.parameters.payment_intent!)
      if (!answer.ok) return unknown(mine, 'list_refunds', answer)
      const made = answer.value.find((refund) => isThis(refund, mine))
      if (made) return follow(mine, made)
    }
    const answer = await card.createRefund(call)
    if (answer.ok) return follow(mine, answer.value)
    if (answer.why === 'unknown') return unknown(mine, 'create_refund', answer)

    // What the card company refuses now it may have done before, or for somebody else: what it has says so.
    const has = await card.listRefunds(call.parameters.payment_intent!)
    if (!has.ok) return unknown(mine, 'list_refunds', has)
    const made = has.value.find((refund) => isThis(refund, mine))
    if (made) return follow(mine, made)
    const others: Refund[] = []
    for (const refund of has.value) {
      const known = (await findByExternalId(database.pool, refund.id)) ?? (await ourRow(refund, mine.topupId))
      if (!known) others.push(refund)
    }
    const reason = refusedBecause[answer.code] ?? (others.length > 0 ? 'already_returned' : 'our_side')
    if (reason === 'our_side') {
      alarm(mine, 'Stripe refuses to send money back to a card', { stripe: answer.message, stripe_code: answer.code })
    }
    await giveBack(mine, reason, answer.code)
    // Somebody was quicker there, and it is not known here yet.
    const topup = (await findTopup(database.pool, mine.topupId))!
    for (const refund of others) await book(topup, refund)
    return over()
  }

  /** What the card company says of it now is what we say, and what the ledger does. */
  async function follow(mine: RefundRow, refund: Refund): Promise<Next<RefundRow>> {
    const wrong = differences(mine, refund)
    if (wrong.length > 0) {
      alarm(mine, 'A refund is not the one that was asked for; somebody must decide', {
        differs: wrong,
        stripe_refund: refund.id,
      })
      return { ending: { nextSeconds: NEXT_LOOK_AFTER_ALARM_SECONDS, error: `differs: ${wrong.join(', ')}` } }
    }
    const fresh = refund.status !== mine.externalStatus
    if (fresh && needsSomebody(refund)) {
      alarm(mine, 'A refund does not go on by itself; look at it at the card company', {
        stripe_refund: refund.id,
        status: refund.status,
        pending_reason: refund.pending_reason ?? null,
      })
    }
    if (isGone(refund)) {
      const reason =
        failedBecause[refund.failure_reason ?? ''] ?? (refund.status === 'canceled' ? 'cancelled' : 'unknown')
      if (reason === 'our_side') {
        alarm(mine, 'A refund failed for want of money at the card company', { stripe_refund: refund.id })
      }
      await giveBack(mine, reason, refund.failure_reason ?? null, refund)
      return over()
    }
    if (refund.status === 'succeeded' && mine.status !== 'succeeded') await succeed(mine, refund)
    else if (fresh || mine.externalId === null || mine.reference !== referenceIn(refund)) {
      await record(mine, async (tx) => {
        await note(tx, mine, refund)
        const { rowCount } = await tx.query(
          `update topup_refunds set status = 'pending' where id = $1 and status = 'requested'`,
          [mine.id],
        )
        if (rowCount === 1) await tellCustomer(tx, mine)
      })
    }
    // A bank had the rest, and may have let go of it.
    if (mine.booked < mine.amount) await record(mine, (tx) => bookFurther(tx, topupOf(mine)))
    return {
      ending: { nextSeconds: nextLook(mine, refund.status === 'succeeded' ? 'succeeded' : 'pending'), error: null },
    }
  }

  async function succeed(mine: RefundRow, refund: Refund): Promise<void> {
    await record(mine, async (tx) => {
      await note(tx, mine, refund)
      await tx.query(
        `update topup_refunds set status = 'succeeded', succeeded_at = house_now(), ended_at = house_now() where id = $1`,
        [mine.id],
      )
      // What the card company sent back by itself was taken when we learned of it.
      if (mine.refundCall) {
        await carryOut(tx, [
          { ...movementOf(mine), id: derivedId(mine.id, 'sent'), kind: 'capture', holdId: holdOf(mine.id) },
        ])
      }
      await tellCustomer(tx, mine)
    })
  }

  /** It did not arrive: the money is the customer's to spend again, whatever had been done with it. */
  async function giveBack(
    mine: RefundRow,
    reason: TopupRefundReason,
    failureReason: string | null,
    refund: Refund | null = null,
  ): Promise<void> {
    await record(mine, async (tx) => {
      if (refund) await note(tx, mine, refund)
      await tx.query(
        `update topup_refunds set status = 'failed', reason = $2, failure_reason = $3, ended_at = house_now() where id = $1`,
        [mine.id, reason, failureReason],
      )
      const isHeld = mine.refundCall !== null && mine.succeededAt === null
      const { rows } = await tx.query<{ booked: string }>('select booked from topup_refunds where id = $1', [mine.id])
      const booked = micros(rows[0]!.booked)
      if (isHeld) {
        await carryOut(tx, [
          { ...movementOf(mine), id: derivedId(mine.id, 'not_sent'), kind: 'void', holdId: holdOf(mine.id) },
        ])
      } else if (booked > 0n) {
        await carryOut(tx, [{ ...movementOf(mine), id: derivedId(mine.id, 'failed'), kind: 'credit', amount: booked }])
      }
      await bookFurther(tx, topupOf(mine))
      await tellCustomer(tx, mine)
    })
  }

  const { record } = looks

  /** What the card company says, for people who ask it and for the customer's bank. */
  async function note(tx: pg.PoolClient, mine: RefundRow, refund: Refund): Promise<void> {
    if (mine.externalId === null) await enter(tx, 'stripe:refund', refund.id, topupOf(mine))
    await tx.query(
      `update topup_refunds set external_id = $2, external_status = $3, reference = coalesce($4, reference) where id = $1`,
      [mine.id, refund.id, refund.status, referenceIn(refund)],
    )
  }

  async function tellCustomer(tx: pg.PoolClient, mine: RefundRow): Promise<void> {
    const [refund, topup] = [(await find(tx, mine.id))!, (await findTopup(tx, mine.topupId))!]
    // What never took anything is nothing to write about.
    if (refund.booked > 0n) await settings.onRefund(tx, { refund, topup })
  }

  async function carryOut(tx: pg.PoolClient, commands: Command[]): Promise<void> {
    if (commands.length === 0) return
    const outcomes = await ledger.apply(tx, commands)
    outcomes.forEach((outcome, i) => {
      if (!outcome.done) throw new Error(`The ledger refuses the ${commands[i]!.kind} of a refund: ${outcome.result}`)
    })
  }

  function unknown(mine: RefundRow, call: string, answer: { code: string; message: string }): Next<RefundRow> {
    const level = answer.code === KEY_REFUSED ? 'error' : 'warn'
    log[level](
      { refund: mine.id, call, stripe: answer.message, stripe_code: answer.code },
      'The outcome of a call to Stripe is not known; it will be repeated',
    )
    return { ending: { nextSeconds: nextLook(mine, 'requested'), error: `${call}: ${answer.message}` } }
  }

  /** For an operator: something that needs a person's eyes. */
  function alarm(of: { id?: string; topupId: string; accountId: bigint }, sentence: string, more: object): void {
    log.error(
      { alarm: true, refund: of.id, topup: of.topupId, account: String(of.accountId), ...more },
      `Alarm: ${sentence}`,
    )
  }

  function tell(of: { accountId: bigint; topupId: string }): void {
    announce.publish({ what: 'topup', accountId: of.accountId, id: of.topupId })
    announce.publish({ what: 'balance', accountId: of.accountId })
  }

  return {
    request,
    learn,
    bookFurther,
    intendForFraud,
    goOn,
    /** Every refund that is not ended, and those that may still come back, when they are due. */
    sweep: (signal?: AbortSignal) => looks.sweep((id) => look(id, 'sweeper', 0), signal),
    close: looks.close,
  }
}

/** How long until the next look: as long as it has been under way, between a shortest and a longest time. Null: it is watched no longer. */
function nextLook(mine: RefundRow, status: 'requested' | 'pending' | 'succeeded'): number | null {
  if (status === 'succeeded' && mine.askedSecondsAgo > WATCHED_SECONDS) return null
  // What is not booked yet may be soon.
  if (mine.booked < mine.amount) return NEXT_LOOK_AFTER_ALARM_SECONDS
  const [least, most] = LOOKS_APART_SECONDS[status]
  return Math.min(Math.max(mine.askedSecondsAgo, least), most)
}

async function find(db: Queryable, refundId: string): Promise<RefundRow | null> {
  const { rows } = await db.query(`select ${REFUND_COLUMNS} from topup_refunds where id = $1`, [refundId])
  return rows[0] ? readRefundRow(rows[0]) : null
}

async function findByExternalId(db: Queryable, externalId: string): Promise<RefundRow | null> {
  const { rows } = await db.query(`select ${REFUND_COLUMNS} from topup_refunds where external_id = $1`, [externalId])
  return rows[0] ? readRefundRow(rows[0]) : null
}

/** Every parameter of the call: written down, and sent as it was written. */
function callOf(refundId: string, topup: TopupRow, amount: Usd, reason: Reason): RefundCall {
  return {
    idempotencyKey: `refund:${refundId}`,
    parameters: {
      payment_intent: topup.paymentIntentId!,
      amount: Number(amount / MICROS_PER_CENT),
      reason,
      metadata: { refund_id: printId('ref', refundId), topup_id: referenceOf(topup.id) },
    },
  }
}

type Reason = 'requested_by_customer' | 'fraudulent'

/** What the ledger's commands of a refund have in common. */
function movementOf({ accountId, topupId }: { accountId: bigint; topupId: string }) {
  return { accountId, code: 'topup_refund', contra: 'refunds', reference: topupId } as const
}

function topupOf({ topupId, accountId }: RefundRow): { id: string; accountId: bigint } {
  return { id: topupId, accountId }
}

function holdOf(refundId: string): string {
  return derivedId(refundId, 'hold')
}

function isThis(refund: Refund, mine: RefundRow): boolean {
  return refund.metadata?.['refund_id'] === printId('ref', mine.id)
}

function isGone(refund: Refund): boolean {
  return refund.status === 'failed' || refund.status === 'canceled'
}

/** A status that we do not know counts as pending, and so does one that waits for somebody. */
function needsSomebody(refund: Refund): boolean {
  if (refund.status === 'pending') return refund.pending_reason === 'insufficient_funds'
  return refund.status !== 'succeeded' && !isGone(refund)
}

/** What of the refund is not what our row says. */
function differences(mine: RefundRow, refund: Refund): string[] {
  const checks: [string, boolean][] = [
    ['id', mine.externalId === null || refund.id === mine.externalId],
    ['amount', micros(BigInt(refund.amount) * MICROS_PER_CENT) === mine.amount],
    ['currency', refund.currency === 'usd'],
    ['payment_intent', !mine.refundCall || refund.payment_intent === mine.refundCall.parameters.payment_intent],
  ]
  return checks.flatMap(([name, holds]) => (holds ? [] : [name]))
}

function referenceIn(refund: Refund): string | null {
  return refund.destination_details?.card?.reference ?? null
}

/** Why the card company does not even try. What is not here is a fault of ours, and somebody is called. */
const refusedBecause: Record<string, TopupRefundReason> = {
  charge_already_refunded: 'already_returned',
  charge_disputed: 'disputed',
  refund_disputed_payment: 'disputed',
}

/** Why it tried in vain. */
const failedBecause: Record<string, TopupRefundReason> = {
  lost_or_stolen_card: 'card_lost_or_stolen',
  expired_or_canceled_card: 'card_closed',
  charge_for_pending_refund_disputed: 'disputed',
  insufficient_funds: 'our_side',
  declined: 'declined',
  merchant_request: 'cancelled',
}

function refuse(refused: Refused): Requested {
  return { ok: false, refused }
}

function blockedByDispute(): Refused {
  return {
    code: 'refund_blocked_by_dispute',
    detail:
      'A bank is deciding about this payment, or took it back, so nothing of it can be returned by us as well. Nothing was sent back. The top-up shows how the dispute stands.',
  }
}
