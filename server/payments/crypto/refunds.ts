/**
 * Money that goes back by a chain. The house holds no private key: the customer names an address, staff agree and pay from a wallet of
 * their own, and the transaction that they name is watched.
 *
 *   requested ──► approved ──► sent ──► succeeded            confirmed ── the hold is taken
 *       │            │          ▲ │         │
 *       │            │          │ │         └─► sent         the chain took it back: watched again, and staff are told
 *       ▼            ▼          └─┘ another transaction, where the first has vanished
 *    declined     declined        └───► failed               vanished, and given up by staff ── the money is the customer's again
 *
 * What is promised is dollars. How many coins that is, is said when staff are about to pay (`price`), and each price that was said stays
 * good: whoever paid by the one before paid rightly. The network's fee is the house's. (docs/decisions/0032)
 */
import type pg from 'pg'
import type { CryptoAsset, TopupRefund } from '../../../contract/contract.ts'
import { micros, printAmount, readAmount, type Usd, usd } from '../../../contract/money.ts'
import type { Command, Ledger } from '../../ledger/ledger.ts'
import type { Announce } from '../../platform/announce.ts'
import type { Refused } from '../../platform/answer.ts'
import { houseNow, type WireClock } from '../../platform/clock.ts'
import type { Database, Queryable } from '../../platform/db.ts'
import { derivedId, newId } from '../../platform/ids.ts'
import type { Log } from '../../platform/log.ts'
import { lockTopup, returnables, standingsOf, whyKept } from '../remaining.ts'
import {
  aboveReturnable,
  dollars,
  keyReused,
  notAnAmount,
  notCredited,
  nothingToReturn,
  OPEN_REFUNDS_OF_A_CUSTOMER_MAX,
  REFUNDS_OF_A_TOPUP_MAX,
  suspended,
  tooManyReturns,
} from '../return-refusals.ts'
import { assetOf, assets, type Family, networkOf, printUnits } from './assets.ts'
import { type Chain, type Found, NodeTrouble } from './chain.ts'
import { confirmationsOf } from './life.ts'
import type { CryptoRefundLetters } from './refund-letters.ts'
import { CRYPTO_REFUND_COLUMNS, type CryptoRefundRow, printCryptoRefund, readCryptoRefundRow } from './refund-row.ts'
import { noteAction, transactionIdOf } from './staff-actions.ts'

/** Less than this costs more to send than it is worth. */
export const RETURNED_FROM = usd('1.00')
/** How often a decision is made anew because the credit moved while it was made. */
const DECISIONS_MAX = 3
/** When money that is still on its way raises an alarm. Unit: milliseconds of house time. */
const ON_ITS_WAY_MS_MAX = 30 * 86_400_000
const ADDRESS_CHARACTERS_MAX = 120
const WHY_CHARACTERS_MAX = 500
/** After it was confirmed a transaction is watched for so many blocks more. */
const WATCHED_BLOCKS = 100
const WATCHED_PER_TICK_MAX = 100

/** Who of staff decides. */
export type Member = { accountId: bigint; role: 'customer' | 'admin' | 'approver' }
export type Asked = { ok: true; refundId: string } | { ok: false; refused: Refused }
type Priced = { ok: true; rateId: bigint; price: Usd } | { ok: false; detail: string }

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

export type CryptoRefunds = ReturnType<typeof createCryptoRefunds>

export function createCryptoRefunds(settings: {
  database: Database
  ledger: Ledger
  announce: Announce
  log: Log
  clock: WireClock
  chains: ReadonlyMap<string, Chain>
  priceNow: (asset: CryptoAsset) => Promise<Priced>
  /** What an address that somebody typed stands for; null: no address of this family's network. */
  readAddress: (family: Family, text: string) => { address: string; script: Uint8Array } | null
  letters: CryptoRefundLetters
  /** By chain, the address of a page about a transaction, with `{txid}`. */
  explorers: ReadonlyMap<string, string | null>
  /** More than this needs two people. */
  secondPersonAbove: Usd
}) {
  const { database, ledger, announce, log, clock, chains, letters } = settings

  /**
   * The customer asks for `amount` of a top-up (all that is unspent when it is undefined) at an address of his. The money is held from
   * then on. With an idempotency key a repetition answers with the same refund. Null: no such top-up of this customer, by crypto.
   */
  async function request(asked: {
    accountId: bigint
    topupId: string
    amount: unknown
    address: unknown
    idempotencyKey: string | null
  }): Promise<{ ok: true; refund: TopupRefund } | { ok: false; refused: Refused } | null> {
    const quote = await quoteOf(asked.topupId)
    if (quote?.accountId !== asked.accountId) return null
    const amount = asked.amount === undefined ? null : readAmount(asked.amount)
    if (asked.amount !== undefined && !amount) return refuse(notAnAmount(asked.amount))
    const target = await targetOf(quote, asked.address)
    if ('code' in target) return refuse(target)

    for (let decisions = 0; decisions < DECISIONS_MAX; decisions++) {
      try {
        const { refundId, isNew } = await database.transaction((tx) =>
          intend(tx, { ...asked, ...target, quote, amount }),
        )
        if (isNew) tell(asked)
        return { ok: true, refund: (await tellOne(refundId))! }
      } catch (error) {
        if (error instanceof Refuses) return refuse(error.refused)
        if (!(error instanceof Moved)) throw error
      }
    }
    return refuse({
      code: 'temporarily_unavailable',
      detail: 'Your credit is moving at the moment, so nothing was asked for. Try again in a minute.',
    })
  }

  type Quote = { accountId: bigint; asset: CryptoAsset; chain: string; confirmationsRequired: number }

  async function quoteOf(topupId: string): Promise<Quote | null> {
    const { rows } = await database.pool.query<{ account_id: string; asset: CryptoAsset; chain: string }>(
      `select t.account_id, q.asset, q.chain from topups t join crypto_quotes q on q.topup_id = t.id where t.id = $1`,
      [topupId],
    )
    const row = rows[0]
    return row
      ? {
          accountId: BigInt(row.account_id),
          asset: row.asset,
          chain: row.chain,
          confirmationsRequired: assetOf(row.asset).confirmations,
        }
      : null
  }

  /** Where it is to go: the address in its canonical spelling, and what blocks show of it. */
  async function targetOf(quote: Quote, sent: unknown): Promise<{ address: string; script: Uint8Array } | Refused> {
    const { title, family } = networkOf(quote.chain)
    const typed = typeof sent === 'string' && sent.length <= ADDRESS_CHARACTERS_MAX ? sent.trim() : ''
    const target = typed === '' ? null : settings.readAddress(family, typed)
    if (!target) return notAnAddress(quote.asset, title, typed)
    const hex = Buffer.from(target.script).toString('hex')
    // Coins that are sent to a token's own contract, or to nobody, are lost.
    const nobody = family === 'evm' && (/^0{40}$/.test(hex) || assets.some((one) => one.contract === `0x${hex}`))
    if (nobody) return notAnAddress(quote.asset, title, typed)
    const { rows } = await database.pool.query('select from crypto_addresses where family = $1 and script = $2', [
      family,
      Buffer.from(target.script),
    ])
    return rows.length > 0 ? ourAddress() : target
  }

  /** The row and the hold. Throws `Refuses` or `Moved`: nothing is written. */
  async function intend(
    tx: pg.PoolClient,
    asked: {
      accountId: bigint
      topupId: string
      quote: Quote
      amount: Usd | null
      address: string
      script: Uint8Array
      idempotencyKey: string | null
    },
  ): Promise<{ refundId: string; isNew: boolean }> {
    const { accountId, topupId, quote, idempotencyKey } = asked
    await lockTopup(tx, topupId)
    const fingerprint = `return ${topupId} ${asked.amount ?? 'all'} ${asked.address}`
    if (idempotencyKey !== null) {
      const { rows } = await tx.query<{ fingerprint: string; subject: string }>(
        'select fingerprint, subject from idempotency_keys where account_id = $1 and key = $2',
        [accountId, idempotencyKey],
      )
      if (rows[0]?.fingerprint === fingerprint) return { refundId: rows[0].subject, isNew: false }
      if (rows[0]) throw new Refuses(keyReused())
    }
    const { payable, left, offItsChain } = await payableOf(tx, { accountId, topupId })
    if (left === null) throw new Refuses(notCredited())
    if (offItsChain) throw new Refuses(notInABlock())
    if (payable === 0n) throw new Refuses(nothingToReturn(left))
    const amount = asked.amount ?? payable
    if (amount > payable) throw new Refuses(aboveReturnable(amount, payable))
    if (amount < RETURNED_FROM) throw new Refuses(tooLittle(amount))

    const { rows } = await tx.query<{ of_topup: number; open: number }>(
      `select count(*) filter (where topup_id = $1)::int as of_topup, count(*) filter (where ended_at is null)::int as open
         from crypto_refunds where topup_id = $1 or (account_id = $2 and ended_at is null)`,
      [topupId, accountId],
    )
    if (rows[0]!.of_topup >= REFUNDS_OF_A_TOPUP_MAX) throw new Refuses(tooManyReturns())
    const id = newId(clock.now())
    if (idempotencyKey !== null) {
      const { rowCount } = await tx.query(
        `insert into idempotency_keys (account_id, key, fingerprint, subject) values ($1, $2, $3, $4) on conflict do nothing`,
        [accountId, idempotencyKey, fingerprint, id],
      )
      // Taken at this very moment by a request about something else, which the next decision reads.
      if (rowCount === 0) throw new Moved()
    }
    await tx.query(
      `insert into crypto_refunds (id, topup_id, account_id, amount, asset, chain, address, script, confirmations_required, requested_at)
       values ($1, $2, $3, $4, $5, $6, $7, $8, $9, house_now())`,
      [
        id,
        topupId,
        accountId,
        amount,
        quote.asset,
        quote.chain,
        asked.address,
        Buffer.from(asked.script),
        quote.confirmationsRequired,
      ],
    )
    await letters.refund(tx, (await find(tx, id))!)
    const [outcome] = await ledger.apply(tx, [
      {
        ...movementOf({ accountId, topupId }),
        id: holdOf(id),
        kind: 'hold',
        amount,
        expiresAt: new Date((await houseNow(tx)).getTime() + ON_ITS_WAY_MS_MAX),
        onExpiry: 'alarm',
        openMax: OPEN_REFUNDS_OF_A_CUSTOMER_MAX,
      },
    ])
    const { result, done } = outcome!
    if (result === 'account_suspended') throw new Refuses(suspended())
    if (result === 'too_many_open_holds') throw new Refuses(tooManyReturns())
    if (result === 'insufficient_credits') throw new Moved()
    if (!done) throw new Error(`The ledger refuses the hold of refund ${id}: ${result}`)
    // The hold stands behind the account's lock, the figures above did not: asked once more as if it were not made yet
    // (docs/decisions/0018). Its own row counts as returned by now.
    if ((await payableOf(tx, { accountId, topupId }, amount)).payable < amount) throw new Moved()
    return { refundId: id, isNew: true }
  }

  /** What of a top-up can be paid back; `besides`: as if that much of it were not on its way. `left` null: nothing was credited of it. */
  async function payableOf(
    tx: pg.PoolClient,
    of: { accountId: bigint; topupId: string },
    besides = micros(0n),
  ): Promise<{ payable: Usd; left: Usd | null; offItsChain: boolean }> {
    const standings = await standingsOf(tx, of.accountId, of.topupId)
    const mine = standings.at(-1)
    if (mine?.id !== of.topupId) return { payable: micros(0n), left: null, offItsChain: false }
    const { available } = (await ledger.balance(tx, of.accountId))!
    const newestFirst = [...standings.slice(0, -1), { ...mine, left: micros(mine.left + besides) }]
    const payable = returnables(micros(available + besides), newestFirst).get(mine.id)!
    return { payable, left: mine.left, offItsChain: mine.offItsChain }
  }

  /**
   * A member of staff agrees. Above the limit two do: the first one asks, another one, who is an approver, asks for the same. Nobody
   * agrees to a refund of his own. Repeating it changes nothing. Null: no such refund.
   */
  function approve(by: Member, refundId: string, why: string | null): Promise<Asked | null> {
    return decide(refundId, async (tx, refund) => {
      if (refund.status === 'declined' || refund.status === 'failed') throw new Refuses(alreadyDecided(refund))
      if (refund.status !== 'requested') return
      if (by.accountId === refund.accountId) throw new Refuses(notYourOwn())
      await refuseWhatIsKept(tx, refund.topupId)
      if (refund.amount > settings.secondPersonAbove && refund.askedBy === null) {
        await tx.query('update crypto_refunds set asked_by = $2, asked_at = house_now() where id = $1', [
          refund.id,
          by.accountId,
        ])
        return noteAction(tx, { subject: refund.id, what: 'asked to approve', memberId: by.accountId, why })
      }
      if (refund.askedBy !== null && (refund.askedBy === by.accountId || by.role !== 'approver'))
        throw new Refuses(secondPersonNeeded())
      await tx.query(
        `update crypto_refunds set status = 'approved', approved_by = $2, approved_at = house_now() where id = $1`,
        [refund.id, by.accountId],
      )
      await noteAction(tx, { subject: refund.id, what: 'approved', memberId: by.accountId, why })
      await letters.refund(tx, (await find(tx, refund.id))!)
    })
  }

  async function refuseWhatIsKept(tx: pg.PoolClient, topupId: string): Promise<void> {
    const why = await whyKept(tx, topupId)
    if (why !== null) throw new Refuses(keptBack(why))
  }

  /** Says how many coins are to be paid now, and writes that down; before it stays good. */
  async function price(by: Member, refundId: string): Promise<Asked | null> {
    const found = await find(database.pool, refundId)
    if (!found) return null
    if (!mayPay(found)) return refuse(found.status === 'requested' ? notApproved() : alreadyDecided(found))
    const now = await settings.priceNow(found.asset)
    if (!now.ok) return refuse({ code: 'temporarily_unavailable', detail: now.detail })
    return decide(refundId, async (tx, refund) => {
      if (!mayPay(refund)) throw new Refuses(alreadyDecided(refund))
      // Whoever is told how many coins to pay goes and pays them.
      await refuseWhatIsKept(tx, refund.topupId)
      const units = unitsFor(refund.amount, now.price, refund.asset)
      await tx.query(
        `insert into crypto_refund_prices (refund_id, seq, rate_id, price, units, height, at, member_id)
         select $1, coalesce(max(p.seq), 0) + 1, $2, $3, $4,
                coalesce((select height from chain_cursors where chain = $6), 0), house_now(), $5
           from crypto_refund_prices p where p.refund_id = $1`,
        [refund.id, now.rateId, now.price, units, by.accountId, refund.chain],
      )
      await noteAction(tx, {
        subject: refund.id,
        what: 'asked what to pay',
        memberId: by.accountId,
        why: null,
        detail: { units: String(units), price: String(now.price) },
      })
    })
  }

  /**
   * A member of staff has paid it, by this transaction: it must pay that address what a price of this refund said, on that chain, after
   * that price. Repeating it changes nothing.
   */
  async function paid(by: Member, refundId: string, transactionId: unknown): Promise<Asked | null> {
    const before = await find(database.pool, refundId)
    if (!before) return null
    const { kind, title } = networkOf(before.chain)
    const txid = transactionIdOf(kind, transactionId)
    if (txid === null) return refuse(notATransaction(title))
    if (before.transactionId === txid && before.status !== 'failed') return { ok: true, refundId }
    if (!mayPay(before)) return refuse(before.status === 'requested' ? notApproved() : alreadyDecided(before))

    const found = await findOnChain(before.chain, txid)
    if ('refused' in found) return refuse(found.refused)
    const { rows: prices } = await database.pool.query<{ seq: number; units: string; height: string }>(
      'select seq, units, height from crypto_refund_prices where refund_id = $1 order by seq desc',
      [refundId],
    )
    if (prices.length === 0) return refuse(notPriced())
    if (found.where === 'nowhere') return refuse(notFound(title))
    if (found.where === 'block' && found.failed)
      return refuse(wrong('This transaction failed in its block, so it paid nobody.'))
    const own = found.transfers.filter((one) => one.script === before.script && one.asset === before.asset)
    if (own.length === 0) return refuse(wrong(`This transaction pays nothing in ${before.asset} to ${before.address}.`))
    const matching = own.flatMap((transfer) => {
      const fits = prices.find((one) => BigInt(one.units) === transfer.units)
      return fits ? [{ ordinal: transfer.ordinal, price: fits }] : []
    })
    if (matching.length === 0) return refuse(wrongAmount(before, own[0]!.units, BigInt(prices[0]!.units)))
    const inBlock = found.where === 'block' ? found : null
    const young = matching.filter(({ price }) => inBlock === null || inBlock.height > Number(price.height))
    if (young.length === 0)
      return refuse(wrong('This transaction was in a block before the amount was asked for, so it is another payment.'))

    return decide(refundId, async (tx, refund) => {
      if (refund.transactionId === txid && refund.status !== 'failed') return
      if (!mayPay(refund)) throw new Refuses(alreadyDecided(refund))
      const { rows: used } = await tx.query<{ ordinal: string }>(
        'select ordinal from crypto_refunds where chain = $1 and transaction_id = $2 and id <> $3',
        [refund.chain, txid, refund.id],
      )
      const free = young.find(({ ordinal }) => !used.some((one) => one.ordinal === ordinal))
      if (!free) throw new Refuses(wrong('This transaction is that of another refund already.'))
      await tx.query(
        `update crypto_refunds
            set status = 'sent', transaction_id = $2, ordinal = $3, price_seq = $4, sent_by = $5, sent_at = house_now(),
                block_hash = $6, height = $7, vanished_at = null
          where id = $1`,
        [refund.id, txid, free.ordinal, free.price.seq, by.accountId, inBlock?.hash ?? null, inBlock?.height ?? null],
      )
      await noteAction(tx, {
        subject: refund.id,
        what: refund.transactionId === null ? 'paid' : 'paid by another transaction',
        memberId: by.accountId,
        why: null,
        detail: { transaction_id: txid },
      })
      await letters.refund(tx, (await find(tx, refund.id))!)
    })
  }

  /**
   * It is not done: the money is the customer's again. `note` is told to him. Once a transaction was named, only when it has vanished, and
   * above the limit only by an approver: should it come back after all, it was paid twice.
   */
  async function decline(by: Member, refundId: string, note: string): Promise<Asked | null> {
    const before = await find(database.pool, refundId)
    if (!before) return null
    if (before.status === 'declined' || before.status === 'failed') return { ok: true, refundId }
    if (before.status === 'sent') {
      if (before.vanishedAt === null) return refuse(onItsWay())
      const found = await findOnChain(before.chain, before.transactionId!)
      if ('refused' in found) return refuse(found.refused)
      if (found.where !== 'nowhere') return refuse(onItsWay())
    }
    return decide(refundId, async (tx, refund) => {
      if (refund.status === 'declined' || refund.status === 'failed') return
      if (refund.status === 'succeeded') throw new Refuses(alreadyDecided(refund))
      if (refund.status === 'sent') {
        if (refund.vanishedAt === null || refund.transactionId !== before.transactionId) throw new Refuses(onItsWay())
        if (refund.amount > settings.secondPersonAbove && by.role !== 'approver') throw new Refuses(approverNeeded())
      }
      const status = refund.status === 'sent' ? 'failed' : 'declined'
      await tx.query(
        `update crypto_refunds set status = $2, ended_by = $3, ended_at = house_now(), note = $4 where id = $1`,
        [refund.id, status, by.accountId, note.slice(0, WHY_CHARACTERS_MAX)],
      )
      await noteAction(tx, {
        subject: refund.id,
        what: status === 'failed' ? 'gave it up' : 'declined',
        memberId: by.accountId,
        why: note,
      })
      await move(
        tx,
        refund.capturedAt === null
          ? { ...movementOf(refund), id: derivedId(refund.id, 'not_sent'), kind: 'void', holdId: holdOf(refund.id) }
          : { ...movementOf(refund), id: derivedId(refund.id, 'failed'), kind: 'credit', amount: refund.amount },
      )
      await letters.refund(tx, (await find(tx, refund.id))!)
    })
  }

  /** Runs `work` behind the locks of the top-up and of the refund, and announces what it changed. */
  async function decide(
    refundId: string,
    work: (tx: pg.PoolClient, refund: CryptoRefundRow) => Promise<unknown>,
  ): Promise<Asked | null> {
    const found = await find(database.pool, refundId)
    if (!found) return null
    let changed: unknown
    try {
      changed = await database.transaction(async (tx) => {
        await lockTopup(tx, found.topupId)
        await tx.query('select from crypto_refunds where id = $1 for update', [refundId])
        return work(tx, (await find(tx, refundId))!)
      })
    } catch (error) {
      if (error instanceof Refuses) return refuse(error.refused)
      throw error
    }
    if (changed !== 'unchanged') tell(found)
    return { ok: true, refundId }
  }

  async function findOnChain(chain: string, txid: string): Promise<Found | { refused: Refused }> {
    const node = chains.get(chain)
    const { title } = networkOf(chain)
    if (!node) return { refused: notAsked(title, 'no node of it is set') }
    try {
      return await node.find(txid)
    } catch (error) {
      if (error instanceof NodeTrouble) return { refused: notAsked(title, error.message) }
      throw error
    }
  }

  /**
   * Looks after the transactions that staff named: confirmed, the money is taken; vanished, it is not, and staff are told. Bounded; the
   * oldest first. What cannot be asked is asked again at the next tick.
   */
  async function watch(signal?: AbortSignal): Promise<void> {
    const { rows } = await database.pool.query(
      `select ${CRYPTO_REFUND_COLUMNS}
         from crypto_refunds r
         join chain_cursors c using (chain)
        where r.status = 'sent' or (r.status = 'succeeded' and r.height > c.height - $1)
        order by r.id
        limit $2`,
      [WATCHED_BLOCKS, WATCHED_PER_TICK_MAX],
    )
    for (const row of rows) {
      if (signal?.aborted) return
      const refund = readCryptoRefundRow(row)
      await look(refund).catch((error: unknown) =>
        log.warn(
          { err: error, refund: refund.id },
          'A refund by a chain could not be looked at; it is looked at again',
        ),
      )
    }
  }

  async function look(refund: CryptoRefundRow): Promise<void> {
    const chain = chains.get(refund.chain)
    if (!chain) return
    const stands = await whereNow(chain, refund)
    await decide(refund.id, async (tx, mine) => {
      // Another transaction took its place, or somebody gave it up, while we asked.
      if (mine.transactionId !== refund.transactionId || (mine.status !== 'sent' && mine.status !== 'succeeded'))
        return 'unchanged'
      const { rows } = await tx.query<{ height: string }>('select height from chain_cursors where chain = $1', [
        mine.chain,
      ])
      const tip = rows[0] ? Number(rows[0].height) : null
      const block = typeof stands === 'object' ? stands : null
      const vanished = stands === 'nowhere'
      const wasVanished = mine.vanishedAt !== null
      if (mine.status === 'succeeded' && block?.hash === mine.blockHash) return 'unchanged'
      await tx.query(
        `update crypto_refunds
            set block_hash = $2, height = $3,
                vanished_at = case when $4 then coalesce(vanished_at, house_now()) end,
                status = case when $2::text is null then 'sent' else status end,
                ended_at = case when $2::text is not null then ended_at end
          where id = $1`,
        [mine.id, block?.hash ?? null, block?.height ?? null, vanished],
      )
      if (vanished && !wasVanished) {
        await noteAction(tx, { subject: mine.id, what: 'the transaction vanished', memberId: null, why: null })
        alarm(mine, 'A transaction by which money was sent back is not to be found any more')
      } else if (!vanished && mine.status === 'succeeded' && block === null) {
        await noteAction(tx, { subject: mine.id, what: 'the chain took its block back', memberId: null, why: null })
        alarm(mine, 'A chain took the block back in which money was sent back')
      }
      const deep = confirmationsOf({ height: block?.height ?? null }, tip) >= mine.confirmationsRequired
      if (deep && mine.status !== 'succeeded') await succeed(tx, mine)
      return undefined
    })
  }

  /** The block in which it stands; in none, but known; or not known at all. A chain that lags behind our own table is not believed yet. */
  async function whereNow(
    chain: Chain,
    refund: CryptoRefundRow,
  ): Promise<{ hash: string; height: number } | 'pool' | 'nowhere'> {
    if (refund.blockHash !== null && (await chain.hashAt(refund.height!)) === refund.blockHash)
      return { hash: refund.blockHash, height: refund.height! }
    const found = await chain.find(refund.transactionId!)
    if (found.where === 'nowhere' || (found.where === 'block' && found.failed)) return 'nowhere'
    return found.where === 'pool' ? 'pool' : { hash: found.hash, height: found.height }
  }

  async function succeed(tx: pg.PoolClient, refund: CryptoRefundRow): Promise<void> {
    await tx.query(
      `update crypto_refunds
          set status = 'succeeded', captured_at = coalesce(captured_at, house_now()), succeeded_at = house_now(), ended_at = house_now()
        where id = $1`,
      [refund.id],
    )
    await noteAction(tx, { subject: refund.id, what: 'confirmed', memberId: null, why: null })
    // What the chain took back, and brought again, was taken from the credits the first time.
    if (refund.capturedAt === null)
      await move(tx, {
        ...movementOf(refund),
        id: derivedId(refund.id, 'sent'),
        kind: 'capture',
        holdId: holdOf(refund.id),
      })
    await letters.refund(tx, (await find(tx, refund.id))!)
  }

  /** It follows a fact that cannot be refused, so a refusal is a bug. */
  async function move(tx: pg.PoolClient, command: Command): Promise<void> {
    const [outcome] = await ledger.apply(tx, [command])
    if (!outcome!.done) throw new Error(`The ledger refuses the ${command.kind} of a refund: ${outcome!.result}`)
  }

  async function tellOne(refundId: string): Promise<TopupRefund | null> {
    const row = await find(database.pool, refundId)
    if (!row) return null
    const { rows } = await database.pool.query<{ height: string }>(
      'select height from chain_cursors where chain = $1',
      [row.chain],
    )
    return printCryptoRefund(row, {
      tip: rows[0] ? Number(rows[0].height) : null,
      explorer: settings.explorers.get(row.chain) ?? null,
    })
  }

  function tell(of: { accountId: bigint; topupId: string }): void {
    announce.publish({ what: 'topup', accountId: of.accountId, id: of.topupId })
    announce.publish({ what: 'balance', accountId: of.accountId })
  }

  /** For an operator: something that needs a person's eyes. */
  function alarm(of: CryptoRefundRow, sentence: string): void {
    log.error(
      { alarm: true, refund: of.id, topup: of.topupId, account: String(of.accountId), transaction: of.transactionId },
      `Alarm: ${sentence}`,
    )
  }

  return { request, approve, price, paid, decline, watch }
}

export async function find(db: Queryable, refundId: string): Promise<CryptoRefundRow | null> {
  const { rows } = await db.query(`select ${CRYPTO_REFUND_COLUMNS} from crypto_refunds r where r.id = $1`, [refundId])
  return rows[0] ? readCryptoRefundRow(rows[0]) : null
}

/** Staff may pay it now: it was agreed to and not paid, or what paid it has vanished. */
export function mayPay(refund: Pick<CryptoRefundRow, 'status' | 'vanishedAt'>): boolean {
  return refund.status === 'approved' || (refund.status === 'sent' && refund.vanishedAt !== null)
}

/** So many of the smallest unit are this many dollars; rounded up to what a wallet's field takes, for the customer. */
export function unitsFor(amount: Usd, price: Usd, asset: string): bigint {
  const { decimals, quoteDecimals } = assetOf(asset)
  const step = 10n ** BigInt(decimals - quoteDecimals)
  const units = (amount * 10n ** BigInt(decimals) + price - 1n) / price
  return ((units + step - 1n) / step) * step
}

/** What the ledger's commands of a refund have in common. */
function movementOf({ accountId, topupId }: { accountId: bigint; topupId: string }) {
  return { accountId, code: 'topup_refund', contra: 'refunds', reference: topupId } as const
}

function holdOf(refundId: string): string {
  return derivedId(refundId, 'hold')
}

function refuse(refused: Refused): { ok: false; refused: Refused } {
  return { ok: false, refused }
}

function notAnAddress(asset: string, network: string, typed: string): Refused {
  return {
    code: 'invalid_address',
    detail: `${typed === '' ? `Say where to: an address of yours for ${asset} on the ${network} network.` : `This is no address on the ${network} network that ${asset} can be sent to.`} Copy it from your wallet, whole; one wrong letter is noticed. Nothing was sent back.`,
    field: 'address',
  }
}

function ourAddress(): Refused {
  return {
    code: 'invalid_address',
    detail:
      'This is the address of a top-up here, so the money would come straight back. Take the receiving address of your own wallet. Nothing was sent back.',
    field: 'address',
  }
}

function notInABlock(): Refused {
  return {
    code: 'nothing_to_return',
    detail:
      'The chain took back the block with a payment of this top-up. Nothing of it is sent back until the payment is in a block again, or its credits were taken back; both come by themselves. Nothing was sent back.',
  }
}

function keptBack(why: 'off_its_chain' | 'uncovered'): Refused {
  return {
    code: 'not_on_chain',
    detail:
      why === 'off_its_chain'
        ? 'The chain took back the block with a payment of this top-up. Send nothing before it is in a block again, which it mostly is within minutes; the money stays held. Nothing was changed.'
        : 'The chain took back a payment of this top-up, and its credits were taken back. More would be sent than the top-up has: decline it, and the held money pays what is owed. Nothing was changed.',
  }
}

function tooLittle(amount: Usd): Refused {
  return {
    code: 'amount_below_minimum',
    detail: `${dollars(amount)} is less than the network would cost: ${dollars(RETURNED_FROM)} or more can be returned. It stays among your credits, and can be spent. Nothing was sent back.`,
    field: 'amount',
    extra: { minimum: printAmount(RETURNED_FROM) },
  }
}

// ── To staff ───────────────────────────────────────────────────────────────────────────────────────────────────────

function alreadyDecided(refund: CryptoRefundRow): Refused {
  const how = {
    requested: 'Nobody has agreed to it.',
    approved: 'It was agreed to.',
    sent: 'It was paid, and its transaction is watched.',
    succeeded: 'It was paid and confirmed.',
    declined: 'It was declined, and the money is the customer’s again.',
    failed: 'It was given up, and the money is the customer’s again.',
  }[refund.status]
  return { code: 'already_decided', detail: `${how} Nothing was changed. Look at the refund as it stands now.` }
}

function notYourOwn(): Refused {
  return {
    code: 'second_person_needed',
    detail: 'This refund is your own, so somebody else must agree to it. Nothing was changed.',
  }
}

function secondPersonNeeded(): Refused {
  return {
    code: 'second_person_needed',
    detail:
      'Somebody asked for this refund, and another one must agree to it, who is an approver. Nothing was sent back; the money stays held until then.',
  }
}

function approverNeeded(): Refused {
  return {
    code: 'second_person_needed',
    detail: 'Only an approver gives a refund of this size up once it was paid. Nothing was changed.',
  }
}

function notApproved(): Refused {
  return {
    code: 'second_person_needed',
    detail: 'Nobody has agreed to this refund yet, or one of two only. Approve it first; nothing was changed.',
  }
}

function notPriced(): Refused {
  return wrong('Nobody has asked yet what is to be paid. Ask for the amount first, and pay exactly that.')
}

function onItsWay(): Refused {
  return {
    code: 'already_decided',
    detail:
      'It was paid, and its transaction is on its way, so it cannot be declined. Nothing was changed. Only a transaction that has vanished can be given up.',
  }
}

function notATransaction(network: string): Refused {
  return {
    code: 'invalid_request',
    detail: `This is no transaction id of ${network}: it has 64 digits of 0-9 and a-f. Copy it from your wallet; nothing was changed.`,
    field: 'transaction_id',
  }
}

function notFound(network: string): Refused {
  return wrong(
    `Our node of ${network} knows no such transaction. One that was sent a moment ago may take a minute to reach it: try again then.`,
  )
}

function wrongAmount(refund: CryptoRefundRow, pays: bigint, asked: bigint): Refused {
  const { decimals } = assetOf(refund.asset)
  const print = (units: bigint) => `${printUnits(units, decimals)} ${refund.asset}`
  return wrong(`This transaction pays ${print(pays)} to ${refund.address}, and ${print(asked)} was to be paid.`)
}

function wrong(why: string): Refused {
  return { code: 'wrong_transaction', detail: `${why} Nothing was changed.`, field: 'transaction_id' }
}

function notAsked(network: string, why: string): Refused {
  return {
    code: 'temporarily_unavailable',
    detail: `${network} cannot be asked at the moment (${why}). Nothing was changed. Try again in a minute.`,
  }
}
