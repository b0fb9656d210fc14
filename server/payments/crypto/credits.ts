/**
 * From what a chain says to what the ledger knows: each payment that is due is valued, credited, taken back, credited again. The only
 * code here that moves money.
 *
 * One decision is one transaction, behind the lock of its top-up's row; ids of movements are derived from (payment, what, round). So
 * deciding twice, twice at once, late, or dying between any two decisions comes to the same. A decision that fails is made again, and
 * holds up no other.
 */
import type pg from 'pg'
import { printAmount, type Usd } from '../../../contract/money.ts'
import type { Ledger } from '../../ledger/ledger.ts'
import type { Announce } from '../../platform/announce.ts'
import type { Database, Queryable } from '../../platform/db.ts'
import { derivedId } from '../../platform/ids.ts'
import type { Log } from '../../platform/log.ts'
import { lockTopup } from '../remaining.ts'
import { assetOf, type ChainName } from './assets.ts'
import {
  type Due,
  dueOf,
  GIVEN_UP_AFTER_BLOCKS,
  HOLDING_REVIEWS,
  IS_LEFT,
  PAYMENT_COLUMNS,
  type Payment,
  readPayment,
  requiredOf,
  storedParts,
} from './life.ts'
import { statusOf } from './outcome.ts'
import { findTopup, toldOf } from './topup.ts'
import { isInTime, lockedUnitsOf, valuePayment } from './value.ts'

export type Credits = ReturnType<typeof createCredits>

/** The letters about a payment, each written in the transaction of its fact. They never throw for a reason of their own. */
export type CreditLetters = {
  credited: (tx: pg.PoolClient, payment: Payment) => Promise<void>
  reversed: (tx: pg.PoolClient, payment: Payment) => Promise<void>
  /** It came after the rate had ended: what it will be credited as. */
  late: (tx: pg.PoolClient, payment: Payment) => Promise<void>
  /** It was in a block, and is gone before it was credited. */
  gone: (tx: pg.PoolClient, payment: Payment) => Promise<void>
}

/** How many payments one call decides about; the rest waits for the next. */
const DECISIONS_MAX = 1_000
const PER_QUERY_MAX = 100
/** From value over credit to nothing: more steps than this is a bug. */
const STEPS_MAX = 4
const TOPUPS_PER_SWEEP_MAX = 500
/** So long a payment may be deep enough and not credited before somebody is called, and then again after as long. Unit: seconds. */
const ALARM_AFTER_SECONDS = 300
const ALARMS_MAX = 20

export function createCredits(parts: {
  database: Database
  ledger: Ledger
  announce: Announce
  log: Log
  /** What a whole coin cost at an instant of house time; null: not known (yet). */
  priceAt: (db: Queryable, asset: string, at: Date) => Promise<{ price: Usd } | null>
  letters: CreditLetters
}) {
  const { database, ledger, announce, log, priceAt, letters } = parts
  const alarmed = new Map<string, number>()

  /** Decides about every payment of this chain that is due. Returns how many decisions were made. */
  async function decide(chain: ChainName, signal?: AbortSignal): Promise<number> {
    const tried: string[] = []
    let made = 0
    while (tried.length < DECISIONS_MAX && !signal?.aborted) {
      const due = await dueNow(chain, tried)
      for (const id of due) {
        if (signal?.aborted) break
        tried.push(id)
        made += await decideAbout(id)
      }
      if (due.length < PER_QUERY_MAX) break
    }
    await callForHelp(chain)
    return made
  }

  /** Of the payments that may be due, the lowest block's first: earlier ones take the rate of the quote first. */
  async function dueNow(chain: ChainName, tried: readonly string[]): Promise<string[]> {
    const { rows } = await database.pool.query(
      `select ${PAYMENT_COLUMNS}, c.height as tip
         from crypto_payments p
         join chain_cursors c on c.chain = p.chain
        where p.chain = $1
          and p.account_id is not null
          and p.id <> all ($2)
          and case when p.height is not null
                   then p.worth is null
                     or (p.worth > 0 and (p.credited_at is null or p.reversed_at is not null)
                         and p.height + p.confirmations_required - 1 <= least(c.height, c.agreed_height)
                         and (p.review is null or p.review <> all ($4)))
                   else ((p.credited_at is not null and p.reversed_at is null)
                         or (p.credited_at is null and p.gone_told_at is null and p.worth > 0 and p.unmined_at_height is not null))
                    and (p.replaced_height is not null or p.unmined_at_height + $5 <= c.height) end
        order by p.height nulls first, p.id
        limit $3`,
      [chain, tried, PER_QUERY_MAX, HOLDING_REVIEWS, GIVEN_UP_AFTER_BLOCKS],
    )
    return rows.map(({ id }) => id)
  }

  /** As many steps as are due, each its own transaction. */
  async function decideAbout(paymentId: string): Promise<number> {
    for (let step = 0; step < STEPS_MAX; step++) {
      try {
        if (!(await decideOnce(paymentId))) return step
      } catch (error) {
        // The next call tries again; meanwhile the payment stands as it stood.
        log.warn({ err: error, payment: paymentId }, 'A payment on a chain could not be decided about')
        return step
      }
    }
    throw new Error(`Payment ${paymentId} comes to no end`)
  }

  /** False: nothing was to be done, or cannot be done yet. */
  async function decideOnce(paymentId: string): Promise<boolean> {
    const { rows } = await database.pool.query<{ topup_id: string | null }>(
      'select topup_id from crypto_payments where id = $1',
      [paymentId],
    )
    const topupId = rows[0]?.topup_id
    if (!topupId) return false
    const done = await database.transaction(async (tx) => {
      await lockTopup(tx, topupId)
      const { rows: locked } = await tx.query(
        `select ${PAYMENT_COLUMNS} from crypto_payments p where p.id = $1 for update`,
        [paymentId],
      )
      const payment = readPayment(locked[0])
      const due = dueOf(payment, await tipOf(tx, payment.chain), await agreedOf(tx, payment.chain))
      if (due === null || !(await carryOut[due](tx, payment))) return null
      return { due, payment }
    })
    if (done === null) return false
    tell(done.due, done.payment)
    return true
  }

  const carryOut: Record<Due, (tx: pg.PoolClient, payment: Payment) => Promise<boolean>> = {
    value,
    credit,
    reverse,
    tell_gone: tellGone,
  }

  async function value(tx: pg.PoolClient, payment: Payment): Promise<boolean> {
    const topup = (await findTopup(tx, payment.topupId!))!
    const asset = assetOf(payment.asset)
    const it = {
      asset: payment.asset,
      units: payment.units,
      inTime: isInTime({ firstSeenAt: payment.firstSeenAt, blockTime: payment.blockTime! }, topup.quote.expiresAt),
    }
    const lockedBefore = await lockedUnitsBeside(tx, payment)
    const needsRate = lockedUnitsOf(it, topup.quote, lockedBefore) < it.units
    const rate = needsRate ? await priceAt(tx, payment.asset, payment.blockTime!) : null
    const valued = valuePayment(it, {
      quote: topup.quote,
      lockedBefore,
      price: rate?.price ?? null,
      decimals: asset.decimals,
      floorUnits: asset.floorUnits,
    })
    // No rate of that moment: it waits for one.
    if (valued === null) return false
    await tx.query(
      `update crypto_payments set parts = $2, value = $3, worth = $4, valued_at = house_now() where id = $1`,
      [payment.id, storedParts(valued.parts), valued.value, valued.worth],
    )
    await note(tx, payment, 'valued', { value: printAmount(valued.value), worth: printAmount(valued.worth) })
    await refresh(tx, payment.topupId!)
    const now: Payment = { ...payment, ...valued }
    if (valued.worth > 0n && valued.parts.some((part) => part.basis === 'late')) await letters.late(tx, now)
    return true
  }

  /** What other payments of its top-up have had at the rate of the quote. Dust has had nothing, nor has what is gone. */
  async function lockedUnitsBeside(tx: pg.PoolClient, payment: Payment): Promise<bigint> {
    const { rows } = await tx.query<{ units: string }>(
      `select coalesce(sum((part ->> 'units')::numeric), 0)::text as units
         from crypto_payments p, jsonb_array_elements(p.parts) part
        where p.topup_id = $1
          and p.id <> $2
          and p.worth > 0
          and (p.height is not null or (p.replaced_height is null and p.reversed_at is null and p.gone_told_at is null))
          and not ${IS_LEFT}
          and part ->> 'basis' = 'locked'`,
      [payment.topupId, payment.id],
    )
    return BigInt(rows[0]!.units)
  }

  async function credit(tx: pg.PoolClient, payment: Payment): Promise<boolean> {
    const balance = await ledger.balance(tx, payment.accountId!)
    const held = balance === null ? 'account_closed' : balance.suspended ? 'account_suspended' : null
    if (held !== null && payment.decidedAt === null) {
      await tx.query('update crypto_payments set review = $2 where id = $1', [payment.id, held])
      await note(tx, payment, 'review', { why: held })
      await refresh(tx, payment.topupId!)
      return true
    }
    const round = payment.round + 1
    const worth = payment.worth!
    const id = derivedId(payment.id, 'credit', round)
    await move(tx, payment, { id, kind: 'credit', code: 'topup_crypto' })
    // The moment is the ledger's: within an account it never goes back, also where a transaction that began later was there first.
    const { rows } = await tx.query<{ at: Date }>(
      `update crypto_payments p
          set round = $2, credited_at = t.happened_at, reversed_at = null, review = null
         from transfers t
        where p.id = $1
          and t.id = $3
        returning p.credited_at as at`,
      [payment.id, round, id],
    )
    await note(tx, payment, 'credited', { round, worth: printAmount(worth) })
    await tx.query(
      `update topups set arrived = arrived + $2, credited_at = coalesce(credited_at, house_now()) where id = $1`,
      [payment.topupId, worth],
    )
    await refresh(tx, payment.topupId!)
    await bookResidue(tx, payment, round, 'residue')
    await letters.credited(tx, { ...payment, round, creditedAt: rows[0]!.at, reversedAt: null, review: null })
    return true
  }

  async function reverse(tx: pg.PoolClient, payment: Payment): Promise<boolean> {
    const why = payment.replacedHeight !== null ? 'conflict_after_credit' : 'gone_after_credit'
    const id = derivedId(payment.id, 'reversal', payment.round)
    await move(tx, payment, { id, kind: 'clawback_debit', code: 'reversal' })
    const { rows } = await tx.query<{ at: Date }>(
      `update crypto_payments p
          set reversed_at = t.happened_at, review = $2
         from transfers t
        where p.id = $1
          and t.id = $3
        returning p.reversed_at as at`,
      [payment.id, why, id],
    )
    await note(tx, payment, 'reversed', { round: payment.round, worth: printAmount(payment.worth!), why })
    await tx.query('update topups set arrived = arrived - $2 where id = $1', [payment.topupId, payment.worth])
    await refresh(tx, payment.topupId!)
    await bookResidue(tx, payment, payment.round, 'residue_back')
    await letters.reversed(tx, { ...payment, reversedAt: rows[0]!.at, review: why })
    return true
  }

  async function move(
    tx: pg.PoolClient,
    payment: Payment,
    by: { id: string; kind: 'credit'; code: 'topup_crypto' } | { id: string; kind: 'clawback_debit'; code: 'reversal' },
  ): Promise<void> {
    const [outcome] = await ledger.apply(tx, [
      {
        ...by,
        accountId: payment.accountId!,
        contra: 'crypto_clearing',
        amount: payment.worth!,
        reference: payment.topupId!,
      },
    ])
    if (!outcome!.done)
      throw new Error(`The ledger refuses the ${by.kind} of payment ${payment.id}: ${outcome!.result}`)
  }

  /** What was added to come to a whole cent was not received: it is the house's own. */
  async function bookResidue(
    tx: pg.PoolClient,
    payment: Payment,
    round: number,
    what: 'residue' | 'residue_back',
  ): Promise<void> {
    const residue = (payment.worth! - payment.value!) as Usd
    if (residue === 0n) return
    await ledger.book(tx, {
      id: derivedId(payment.id, what, round),
      ...(what === 'residue'
        ? { debit: 'rounding', credit: 'crypto_clearing' }
        : { debit: 'crypto_clearing', credit: 'rounding' }),
      amount: residue,
      code: 'conversion_residue',
      reference: payment.topupId!,
    })
  }

  async function tellGone(tx: pg.PoolClient, payment: Payment): Promise<boolean> {
    await tx.query('update crypto_payments set gone_told_at = house_now() where id = $1', [payment.id])
    await refresh(tx, payment.topupId!)
    // What took its place pays the same top-up: nothing is lost, and the page shows both.
    const { rows } = await tx.query(
      'select from crypto_payments where topup_id = $1 and chain = $2 and txid = $3 limit 1',
      [payment.topupId, payment.chain, payment.replacedBy],
    )
    if (rows.length === 0) await letters.gone(tx, payment)
    return true
  }

  /** Writes into the top-up's row how it stands, for lists. Behind its lock. */
  async function refresh(tx: Queryable, topupId: string): Promise<boolean> {
    const topup = (await findTopup(tx, topupId))!
    const status = statusOf(await toldOf(tx, topup))
    if (status === topup.status) return false
    await tx.query(
      `update topups set status = $2, ended_at = case when $2 = 'expired' then house_now() end where id = $1`,
      [topupId, status],
    )
    return true
  }

  /** After the commit: open pages read anew, and whoever must know is told. */
  function tell(due: Due, payment: Payment): void {
    const about = { payment: payment.id, topup: payment.topupId, account: String(payment.accountId) }
    if (due === 'reverse') {
      log.error(
        { alarm: true, ...about, chain: payment.chain, replaced_by: payment.replacedBy },
        'Alarm: a credited payment is not on the chain any more; its credit was taken back',
      )
    }
    announce.publish({ what: 'topup', accountId: payment.accountId!, id: payment.topupId! })
    announce.publish({ what: 'balance', accountId: payment.accountId! })
  }

  /** What should have been credited for five minutes, while everything that it needs is there. */
  async function callForHelp(chain: ChainName): Promise<void> {
    const { rows } = await database.pool.query(
      `select ${PAYMENT_COLUMNS}, c.height as tip
         from crypto_payments p
         join chain_cursors c on c.chain = p.chain
         join chain_blocks b on b.chain = p.chain and b.height = p.height + p.confirmations_required - 1
        where p.chain = $1
          and b.height <= coalesce(c.agreed_height, b.height)
          and p.account_id is not null
          and (p.credited_at is null or p.reversed_at is not null)
          and (p.worth is null or p.worth > 0)
          and (p.review is null or p.review <> all ($2))
          and b.time < house_now() - make_interval(secs => $3)
        order by p.id
        limit $4`,
      [chain, HOLDING_REVIEWS, ALARM_AFTER_SECONDS, ALARMS_MAX],
    )
    const now = performance.now()
    for (const row of rows) {
      const payment = readPayment(row)
      if (Number(row.tip) - payment.height! + 1 < requiredOf(payment)) continue
      if (now - (alarmed.get(payment.id) ?? Number.NEGATIVE_INFINITY) < ALARM_AFTER_SECONDS * 1000) continue
      if (alarmed.size >= ALARMS_MAX * 10) alarmed.clear()
      alarmed.set(payment.id, now)
      log.error(
        { alarm: true, payment: payment.id, chain, waits_for: payment.worth === null ? 'a rate' : 'the ledger' },
        'Alarm: a payment is deep enough for five minutes and not credited; it is tried again',
      )
    }
  }

  /**
   * Brings the rows of top-ups to how their payments stand, also where nothing was to be decided: what was seen, what was forgotten, and
   * what nobody paid. Bounded; what is left comes with the next.
   */
  async function sweep(signal?: AbortSignal): Promise<void> {
    const { rows } = await database.pool.query<{ id: string; account_id: string }>(
      `select t.id, t.account_id
         from topups t
        where t.method = 'crypto'
          and (t.status = 'confirming'
               or (t.status = 'awaiting_payment'
                   and (t.expires_at <= house_now() or exists (select from crypto_payments p where p.topup_id = t.id)))
               or (t.status in ('expired', 'reversed', 'partially_credited')
                   and exists (select from crypto_payments p
                                where p.topup_id = t.id and p.pooled and p.height is null and p.credited_at is null)))
        order by t.id
        limit $1`,
      [TOPUPS_PER_SWEEP_MAX],
    )
    for (const { id, account_id } of rows) {
      if (signal?.aborted) return
      const changed = await database.transaction(async (tx) => {
        await lockTopup(tx, id)
        return refresh(tx, id)
      })
      if (changed) announce.publish({ what: 'topup', accountId: BigInt(account_id), id })
    }
  }

  return { decide, sweep }
}

/** What happened to a payment, as its own next number. Behind the payment's lock. */
async function note(tx: Queryable, payment: Payment, what: string, detail: Record<string, unknown>): Promise<void> {
  await tx.query(
    `insert into crypto_payment_events (payment_id, seq, what, at, height, block_hash, detail)
     select $1, coalesce(max(seq), 0) + 1, $2, house_now(), $3, $4, $5 from crypto_payment_events where payment_id = $1`,
    [payment.id, what, payment.height, payment.blockHash, JSON.stringify(detail)],
  )
}

/** How far the chain was read; null: not at all yet. */
export async function tipOf(db: Queryable, chain: ChainName): Promise<number | null> {
  const { rows } = await db.query<{ height: string }>('select height from chain_cursors where chain = $1', [chain])
  return rows[0] ? Number(rows[0].height) : null
}

/** Up to where a second node has the same blocks; null: there is no second one. */
async function agreedOf(db: Queryable, chain: ChainName): Promise<number | null> {
  const { rows } = await db.query<{ agreed_height: string | null }>(
    'select agreed_height from chain_cursors where chain = $1',
    [chain],
  )
  return rows[0]?.agreed_height ? Number(rows[0].agreed_height) : null
}
