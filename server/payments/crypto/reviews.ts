/**
 * Payments that a person has to look at: those that no rule decides, and those that nobody follows, which support finds by the id of their
 * transaction. Each is decided once.
 *
 *   open ─┬─► credited     by decision: worth so much, to this top-up; above the limit a second person agrees (`credit_asked` until then)
 *         ├─► left         nothing is to be done
 *         ├─► recovered    it was on no address that is followed, and we have the coins
 *         └─► settled      it became right by itself (mined again, the account opened again)
 *
 * What is credited by decision goes the way of every payment: here it is written what it is worth and whose it is, and it is credited
 * when it is deep enough, taken back when its block is. Only what nobody follows (`payment_id` null) is credited at once.
 */
import type pg from 'pg'
import type { CryptoAsset, cryptoReviewActions, cryptoReviewStatuses } from '../../../contract/contract.ts'
import { MICROS_PER_CENT, micros, printAmount, readAmount, type Usd } from '../../../contract/money.ts'
import type { Ledger } from '../../ledger/ledger.ts'
import type { Announce } from '../../platform/announce.ts'
import type { Refused } from '../../platform/answer.ts'
import type { WireClock } from '../../platform/clock.ts'
import type { Database, Queryable } from '../../platform/db.ts'
import { derivedId, newId } from '../../platform/ids.ts'
import { lockTopup } from '../remaining.ts'
import { assetOf, networkOf, networks } from './assets.ts'
import { type Chain, type Found, NodeTrouble } from './chain.ts'
import { isCredited, PAYMENT_COLUMNS, type Payment, readPayment, storedParts } from './life.ts'
import type { Member } from './refunds.ts'
import { noteAction, transactionIdOf } from './staff-actions.ts'

const OPENED_PER_RUN_MAX = 500
const FOUND_PER_TRANSACTION_MAX = 50
const NETWORK_CHARACTERS_MAX = 60
const FOREIGN_ID = /^[0-9a-zA-Z]{8,128}$/
/** More than this is a slip of the pen. Unit: micro-dollars. */
const CREDIT_MAX = 10_000_000_000n

export type ReviewAction = (typeof cryptoReviewActions)[number]
export type ReviewRow = {
  id: string
  kind: string
  paymentId: string | null
  chain: string
  txid: string
  asset: CryptoAsset | null
  units: bigint | null
  accountId: bigint | null
  topupId: string | null
  status: (typeof cryptoReviewStatuses)[number]
  credit: Usd | null
  creditTopup: string | null
  creditPrice: Usd | null
  askedBy: bigint | null
}

export type Closed = { ok: true } | { ok: false; refused: Refused }
export type LookedUp =
  | { ok: true; found: Found | null; pays: Paid[]; reviewIds: string[] }
  | { ok: false; refused: Refused }
/** What one transfer of a transaction pays to an address of ours. */
export type Paid = {
  address: string
  addressId: bigint
  accountId: bigint | null
  topupId: string | null
  asset: CryptoAsset | null
  contract: string | null
  units: bigint
  ordinal: string
  followed: boolean
}

class Refuses extends Error {
  readonly refused: Refused
  constructor(refused: Refused) {
    super(refused.detail)
    this.refused = refused
  }
}

export type CryptoReviews = ReturnType<typeof createCryptoReviews>

export function createCryptoReviews(settings: {
  database: Database
  ledger: Ledger
  announce: Announce
  clock: WireClock
  chains: ReadonlyMap<string, Chain>
  /** What a whole coin cost at an instant of house time; null: not known. */
  priceAt: (db: Queryable, asset: CryptoAsset, at: Date) => Promise<{ price: Usd } | null>
  /** Credits what is due on a chain. */
  creditDue: (chain: string) => Promise<unknown>
  /** More than this needs two people. */
  secondPersonAbove: Usd
}) {
  const { database, ledger, announce, clock, chains } = settings

  /**
   * Opens what needs a look and is not there yet, and closes what became right by itself. Bounded; safe to run at any time and twice at
   * once.
   */
  async function openDue(): Promise<void> {
    const { rows } = await database.pool.query(
      `select p.id, p.review
         from crypto_payments p
         left join chain_cursors c using (chain)
        where (p.review is not null
               -- Dust is looked at when it cannot vanish any more.
               or (p.decided_at is null and p.worth = 0 and p.height + p.confirmations_required - 1 <= c.height))
          and not exists (select from crypto_reviews r
                           where r.payment_id = p.id and r.kind = coalesce(p.review, 'below_minimum'))
        order by p.id
        limit $1`,
      [OPENED_PER_RUN_MAX],
    )
    for (const row of rows) {
      await database.pool.query(
        `insert into crypto_reviews (id, kind, payment_id, chain, txid, ordinal, asset, units, address_id, account_id, topup_id, opened_at)
         select $1, $2, p.id, p.chain, p.txid, p.ordinal, p.asset, p.units, p.address_id, p.account_id, p.topup_id, house_now()
           from crypto_payments p where p.id = $3
         on conflict do nothing`,
        [newId(clock.now()), row.review ?? 'below_minimum', row.id],
      )
    }
    await database.pool.query(
      `update crypto_reviews r
          set status = 'settled', decided_at = house_now()
         from crypto_payments p
        where p.id = r.payment_id
          and r.status in ('open', 'credit_asked')
          and p.review is distinct from r.kind
          and (r.kind <> 'below_minimum' or p.worth > 0 or p.height is null)`,
    )
  }

  /**
   * What a transaction pays to addresses of ours, asked of the chain. What it pays there and nobody follows (a token that is not ours) is
   * opened to be looked at. `chain` `other`: a network that we do not ask; then `network` and `address` say what staff know, and that is
   * opened.
   */
  async function lookup(
    by: Member,
    asked: { chain: string; transactionId: string; network?: string | undefined; address?: string | undefined },
  ): Promise<LookedUp> {
    if (asked.chain === 'other') return openOther(by, asked)
    const network = networks.find(({ name }) => name === asked.chain)
    if (!network) return refuse(unknownNetwork())
    const txid = transactionIdOf(network.kind, asked.transactionId)
    if (txid === null) return refuse(notATransaction())
    const chain = chains.get(network.name)
    if (!chain) return refuse(notAsked(network.title, 'no node of it is set'))
    let found: Found
    try {
      found = await chain.find(txid)
    } catch (error) {
      if (error instanceof NodeTrouble) return refuse(notAsked(network.title, error.message))
      throw error
    }
    if (found.where === 'nowhere') return { ok: true, found, pays: [], reviewIds: [] }
    const pays = await paysOf(network.name, txid, found)
    // What waits may never come, and what failed paid nobody.
    const isThere = found.where === 'block' && !found.failed
    const reviewIds = isThere ? await openFound(by, network.name, txid, pays) : []
    return { ok: true, found, pays, reviewIds }
  }

  async function paysOf(chain: string, txid: string, found: Exclude<Found, { where: 'nowhere' }>): Promise<Paid[]> {
    const unknown = found.where === 'block' ? (found.unknown ?? []) : []
    const transfers = [
      ...found.transfers.map((one) => ({ ...one, contract: null as string | null })),
      ...unknown.map((one, at) => ({ ...one, asset: null, ordinal: `unknown:${at}` })),
    ].slice(0, FOUND_PER_TRANSACTION_MAX)
    const { rows } = await database.pool.query<{
      id: string
      address: string
      script: string
      account_id: string | null
      topup_id: string | null
    }>(
      `select id, address, encode(script, 'hex') as script, account_id, topup_id
         from crypto_addresses
        where family = $1
          and script = any (select decode(s, 'hex') from unnest($2::text[]) s)`,
      [networkOf(chain).family, transfers.map(({ script }) => script)],
    )
    const { rows: followed } = await database.pool.query<{ ordinal: string; asset: string }>(
      'select ordinal, asset from crypto_payments where chain = $1 and txid = $2',
      [chain, txid],
    )
    return transfers.flatMap((transfer) => {
      const own = rows.find(({ script }) => script === transfer.script)
      if (!own) return []
      return [
        {
          address: own.address,
          addressId: BigInt(own.id),
          accountId: own.account_id === null ? null : BigInt(own.account_id),
          topupId: own.topup_id,
          asset: transfer.asset,
          contract: transfer.contract,
          units: transfer.units,
          ordinal: transfer.ordinal,
          followed: followed.some((one) => one.ordinal === transfer.ordinal && one.asset === transfer.asset),
        },
      ]
    })
  }

  /** The items of a transaction: those that are there, and those that it makes. */
  async function openFound(by: Member, chain: string, txid: string, pays: readonly Paid[]): Promise<string[]> {
    await openDue()
    for (const paid of pays.filter(({ followed }) => !followed)) {
      const asset = paid.asset === null ? null : assetOf(paid.asset)
      const kind = asset === null ? 'unknown_token' : paid.units < asset.floorUnits ? 'below_minimum' : 'not_followed'
      await open({ by, kind, chain, txid, ...paid })
    }
    return idsOf(chain, txid)
  }

  /** On a network that nobody asks: as staff tell it. */
  async function openOther(
    by: Member,
    asked: { transactionId: string; network?: string | undefined; address?: string | undefined },
  ): Promise<LookedUp> {
    const network = asked.network?.trim() ?? ''
    const txid = asked.transactionId.trim()
    if (network === '' || network.length > NETWORK_CHARACTERS_MAX) return refuse(nameTheNetwork())
    if (!FOREIGN_ID.test(txid)) return refuse(notATransaction())
    const { rows } = await database.pool.query<{
      id: string
      address: string
      account_id: string | null
      topup_id: string | null
    }>('select id, address, account_id, topup_id from crypto_addresses where lower(address) = lower($1) limit 1', [
      asked.address?.trim() ?? '',
    ])
    const own = rows[0]
    if (!own) return refuse(notOurs())
    await open({
      by,
      kind: 'other_network',
      chain: network,
      txid,
      ordinal: 'as told',
      asset: null,
      contract: null,
      units: null,
      addressId: BigInt(own.id),
      accountId: own.account_id === null ? null : BigInt(own.account_id),
      topupId: own.topup_id,
    })
    return { ok: true, found: null, pays: [], reviewIds: await idsOf(network, txid) }
  }

  async function open(item: {
    by: Member
    kind: string
    chain: string
    txid: string
    ordinal: string
    asset: CryptoAsset | null
    contract: string | null
    units: bigint | null
    addressId: bigint
    accountId: bigint | null
    topupId: string | null
  }): Promise<void> {
    await database.transaction(async (tx) => {
      const id = newId(clock.now())
      const { rowCount } = await tx.query(
        `insert into crypto_reviews
           (id, kind, chain, txid, ordinal, asset, contract, units, address_id, account_id, topup_id, opened_at, opened_by)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, house_now(), $12)
         on conflict do nothing`,
        [
          id,
          item.kind,
          item.chain,
          item.txid,
          item.ordinal,
          item.asset,
          item.contract,
          item.units,
          item.addressId,
          item.accountId,
          item.topupId,
          item.by.accountId,
        ],
      )
      if (rowCount === 1)
        await noteAction(tx, { subject: id, what: 'looked it up', memberId: item.by.accountId, why: null })
    })
  }

  async function idsOf(chain: string, txid: string): Promise<string[]> {
    const { rows } = await database.pool.query<{ id: string }>(
      'select id from crypto_reviews where chain = $1 and txid = $2 order by id limit $3',
      [chain, txid, FOUND_PER_TRANSACTION_MAX],
    )
    return rows.map(({ id }) => id)
  }

  /**
   * A member of staff decides. `credit`: at `amount` dollars, or at `rate` dollars for a whole coin, or, without either, as the rules value
   * it, and where they do not, by the rate of its block; to the top-up that it paid, or to `topupId`. Above the limit the first one only asks, and another one, who is an approver, agrees
   * to the same. The same decision again changes nothing. Null: there is no such item.
   */
  async function close(
    by: Member,
    reviewId: string,
    asked: {
      action: ReviewAction
      why: string | null
      amount?: string | undefined
      rate?: string | undefined
      topupId?: string | undefined
    },
  ): Promise<Closed | null> {
    const found = await find(database.pool, reviewId)
    if (!found) return null
    const topups = [found.topupId, found.creditTopup, asked.topupId ?? null].filter((id) => id !== null)
    let told: { accountId: bigint; topupId: string } | null = null
    try {
      await database.transaction(async (tx) => {
        // The one that it paid, and the one that it is to be credited to.
        for (const topupId of [...new Set(topups)].sort()) await lockTopup(tx, topupId)
        const { rows } = await tx.query(`select ${REVIEW_COLUMNS} from crypto_reviews r where r.id = $1 for update`, [
          reviewId,
        ])
        const review = readReview(rows[0])
        if (asked.action === 'credit') told = await credit(tx, by, review, asked)
        else {
          await leave(tx, by, review, asked.action, asked.why)
          // Whose money it would have been reads what became of it.
          if (review.accountId !== null && review.topupId !== null)
            told = { accountId: review.accountId, topupId: review.topupId }
        }
      })
    } catch (error) {
      if (error instanceof Refuses) return refuse(error.refused)
      throw error
    }
    const changed = told as { accountId: bigint; topupId: string } | null
    if (changed) {
      if (found.paymentId !== null) await settings.creditDue(found.chain)
      announce.publish({ what: 'topup', accountId: changed.accountId, id: changed.topupId })
      announce.publish({ what: 'balance', accountId: changed.accountId })
    }
    return { ok: true }
  }

  async function leave(
    tx: pg.PoolClient,
    by: Member,
    review: ReviewRow,
    action: 'leave' | 'recover',
    why: string | null,
  ): Promise<void> {
    const status = action === 'leave' ? 'left' : 'recovered'
    if (review.status === status) return
    if (review.status !== 'open' && review.status !== 'credit_asked') throw new Refuses(alreadyDecided(review))
    await tx.query(
      `update crypto_reviews set status = $2, decided_by = $3, decided_at = house_now(), why = coalesce($4, why) where id = $1`,
      [review.id, status, by.accountId, why],
    )
    await noteAction(tx, { subject: review.id, what: status, memberId: by.accountId, why })
  }

  /** Answers whose money changes; null: nothing does, now. */
  async function credit(
    tx: pg.PoolClient,
    by: Member,
    review: ReviewRow,
    asked: {
      why: string | null
      amount?: string | undefined
      rate?: string | undefined
      topupId?: string | undefined
    },
  ): Promise<{ accountId: bigint; topupId: string } | null> {
    if (review.status === 'credited') return null
    if (review.status !== 'open' && review.status !== 'credit_asked') throw new Refuses(alreadyDecided(review))
    const payment = review.paymentId === null ? null : await lockPayment(tx, review.paymentId)
    if (payment && isCredited(payment)) throw new Refuses(alreadyCredited())
    if (payment && payment.height === null) throw new Refuses(notOnChain())

    // The second of two agrees to what the first one said.
    const second = review.status === 'credit_asked'
    const topupId = second ? review.creditTopup! : (asked.topupId ?? payment?.topupId ?? review.topupId)
    if (topupId === null) throw new Refuses(nameTheTopup())
    const accountId = await accountOf(tx, topupId)
    if (accountId === null) throw new Refuses(nameTheTopup())
    if (accountId === by.accountId) throw new Refuses(notYourOwn())
    const worth = second
      ? { credit: review.credit!, price: review.creditPrice }
      : await worthOf(tx, review, payment, { ...asked, topupId })

    if (second) {
      if (review.askedBy === by.accountId || by.role !== 'approver') throw new Refuses(secondPersonNeeded())
    } else if (worth.credit > settings.secondPersonAbove) {
      await tx.query(
        `update crypto_reviews
            set status = 'credit_asked', asked_by = $2, asked_at = house_now(), why = $3, credit = $4, credit_price = $5, credit_topup = $6
          where id = $1`,
        [review.id, by.accountId, asked.why, worth.credit, worth.price, topupId],
      )
      await noteAction(tx, {
        subject: review.id,
        what: `asked to credit $${printAmount(worth.credit)}`,
        memberId: by.accountId,
        why: asked.why,
      })
      return null
    }
    await tx.query(
      `update crypto_reviews
          set status = 'credited', decided_by = $2, decided_at = house_now(), why = coalesce($3, why), credit = $4, credit_price = $5,
              credit_topup = $6
        where id = $1`,
      [review.id, by.accountId, asked.why, worth.credit, worth.price, topupId],
    )
    await noteAction(tx, {
      subject: review.id,
      what: `credited $${printAmount(worth.credit)}`,
      memberId: by.accountId,
      why: asked.why,
    })
    if (payment) await valueByDecision(tx, payment, { ...worth, topupId, accountId })
    else {
      const [outcome] = await ledger.apply(tx, [
        {
          id: derivedId(review.id, 'credit'),
          kind: 'credit',
          accountId,
          code: 'adjustment',
          contra: 'crypto_clearing',
          amount: worth.credit,
          reference: topupId,
        },
      ])
      if (!outcome!.done) throw new Error(`The ledger refuses the credit of ${review.id}: ${outcome!.result}`)
    }
    return { accountId, topupId }
  }

  async function valueByDecision(
    tx: pg.PoolClient,
    payment: Payment,
    of: { credit: Usd; price: Usd | null; topupId: string; accountId: bigint },
  ): Promise<void> {
    // What the rules made of it, and nobody wants otherwise: its parts and their rates stay as the customer saw them.
    if (of.price === null && of.credit === payment.worth && of.topupId === payment.topupId) {
      await tx.query('update crypto_payments set decided_at = house_now(), review = null where id = $1', [payment.id])
      return
    }
    const { decimals } = assetOf(payment.asset)
    const whole = 10n ** BigInt(decimals)
    const price = of.price ?? micros((of.credit * whole) / payment.units)
    // By a rate it is worth what that says, and the residue is the house's; an amount is what it is.
    const value = of.price === null ? of.credit : micros((payment.units * price) / whole)
    const parts = storedParts([{ units: payment.units, price, basis: 'decided', value }])
    await tx.query(
      `update crypto_payments
          set account_id = $2, topup_id = $3, parts = $4, value = $5, worth = $6, valued_at = house_now(), decided_at = house_now(),
              review = null
        where id = $1`,
      [payment.id, of.accountId, of.topupId, parts, value, of.credit],
    )
  }

  async function worthOf(
    tx: Queryable,
    review: ReviewRow,
    payment: Payment | null,
    asked: { amount?: string | undefined; rate?: string | undefined; topupId: string },
  ): Promise<{ credit: Usd; price: Usd | null }> {
    if (asked.amount !== undefined) {
      const amount = readAmount(asked.amount)
      if (amount === null || amount === 0n || amount > CREDIT_MAX) throw new Refuses(notAnAmount('amount'))
      return { credit: amount, price: null }
    }
    if (payment?.worth && asked.rate === undefined && asked.topupId === payment.topupId)
      return { credit: payment.worth, price: null }
    const units = payment?.units ?? review.units
    const asset = payment?.asset ?? review.asset
    if (units === null || asset === null) throw new Refuses(sayHowMuch())
    let price: Usd | null
    if (asked.rate !== undefined) {
      price = readAmount(asked.rate)
      if (price === null || price === 0n) throw new Refuses(notAnAmount('rate'))
    } else {
      price = payment?.blockTime ? ((await settings.priceAt(tx, asset, payment.blockTime))?.price ?? null) : null
    }
    if (price === null) throw new Refuses(sayHowMuch())
    const value = (units * price) / 10n ** BigInt(assetOf(asset).decimals)
    const credit = micros(((value + MICROS_PER_CENT - 1n) / MICROS_PER_CENT) * MICROS_PER_CENT)
    if (credit === 0n || credit > CREDIT_MAX)
      throw new Refuses(notAnAmount(asked.rate === undefined ? 'amount' : 'rate'))
    return { credit, price }
  }

  return { openDue, lookup, close }
}

async function lockPayment(tx: pg.PoolClient, paymentId: string): Promise<Payment> {
  const { rows } = await tx.query(`select ${PAYMENT_COLUMNS} from crypto_payments p where p.id = $1 for update`, [
    paymentId,
  ])
  return readPayment(rows[0])
}

/** Whose this top-up by crypto is; null: there is none. */
async function accountOf(tx: Queryable, topupId: string): Promise<bigint | null> {
  const { rows } = await tx.query<{ account_id: string }>(
    `select account_id from topups where id = $1 and method = 'crypto'`,
    [topupId],
  )
  return rows[0] ? BigInt(rows[0].account_id) : null
}

const REVIEW_COLUMNS = `
  r.id, r.kind, r.payment_id, r.chain, r.txid, r.asset, r.units, r.account_id, r.topup_id, r.status, r.credit, r.credit_topup,
  r.credit_price, r.asked_by`

async function find(db: Queryable, id: string): Promise<ReviewRow | null> {
  const { rows } = await db.query(`select ${REVIEW_COLUMNS} from crypto_reviews r where r.id = $1`, [id])
  return rows[0] ? readReview(rows[0]) : null
}

// biome-ignore lint/suspicious/noExplicitAny: what the driver hands out, given its types here
function readReview(row: any): ReviewRow {
  return {
    id: row.id,
    kind: row.kind,
    paymentId: row.payment_id,
    chain: row.chain,
    txid: row.txid,
    asset: row.asset,
    units: row.units === null ? null : BigInt(row.units),
    accountId: row.account_id === null ? null : BigInt(row.account_id),
    topupId: row.topup_id,
    status: row.status,
    credit: row.credit === null ? null : micros(row.credit),
    creditTopup: row.credit_topup,
    creditPrice: row.credit_price === null ? null : micros(row.credit_price),
    askedBy: row.asked_by === null ? null : BigInt(row.asked_by),
  }
}

/** What staff may decide about it now. `state`: of its payment; null: nobody follows it. */
export function actionsFor(of: {
  status: ReviewRow['status']
  followed: boolean
  credited: boolean
  inABlock: boolean
}): ReviewAction[] {
  if (of.status !== 'open' && of.status !== 'credit_asked') return []
  const credit = of.followed ? !of.credited && of.inABlock : true
  return [...(credit ? (['credit'] as const) : []), 'leave', ...(of.followed ? [] : (['recover'] as const))]
}

function refuse(refused: Refused): { ok: false; refused: Refused } {
  return { ok: false, refused }
}

function alreadyDecided({ status }: ReviewRow): Refused {
  const how = {
    open: '',
    credit_asked: 'Somebody asked to credit it.',
    credited: 'It was credited by decision.',
    left: 'It was decided to leave it.',
    recovered: 'Its coins were recovered.',
    settled: 'It became right by itself.',
  }[status]
  return { code: 'already_decided', detail: `${how} Nothing was changed. Look at it as it stands now.` }
}

function alreadyCredited(): Refused {
  return { code: 'already_decided', detail: 'This payment is credited. Nothing was changed.' }
}

function notOnChain(): Refused {
  return {
    code: 'not_on_chain',
    detail:
      'This payment is in no block of the chain as it is now, so there is nothing to credit. It is credited again by itself when it is mined again; nothing was changed.',
  }
}

function nameTheTopup(): Refused {
  return {
    code: 'invalid_request',
    detail:
      'Say whose it is: the id of a top-up by crypto of that customer. He can begin one on Top-Up. Nothing was changed.',
    field: 'topup_id',
  }
}

function sayHowMuch(): Refused {
  return {
    code: 'invalid_request',
    detail:
      'No rate of its moment is known: say in "amount" how many dollars it is, or in "rate" how many a whole coin is. Nothing was changed.',
    field: 'amount',
  }
}

function notAnAmount(field: 'amount' | 'rate'): Refused {
  return {
    code: 'invalid_amount',
    detail: `Send "${field}" as dollars in a string with at most two decimals and more than zero, such as "10.00"; at most $10,000.00 are credited by decision. Nothing was changed.`,
    field,
  }
}

function notYourOwn(): Refused {
  return {
    code: 'second_person_needed',
    detail: 'This top-up is your own, so somebody else must decide it. Nothing was changed.',
  }
}

function secondPersonNeeded(): Refused {
  return {
    code: 'second_person_needed',
    detail:
      'Somebody asked to credit this, and another one must agree to it, who is an approver. Nothing was credited until then.',
  }
}

function unknownNetwork(): Refused {
  return {
    code: 'invalid_request',
    detail: `"chain" is one of ${networks.map(({ name }) => name).join(', ')}, or other for a network that we do not ask. Nothing was looked up.`,
    field: 'chain',
  }
}

function nameTheNetwork(): Refused {
  return {
    code: 'invalid_request',
    detail: 'Say in "network" on which network it was sent, such as "BNB Smart Chain". Nothing was opened.',
    field: 'network',
  }
}

function notATransaction(): Refused {
  return {
    code: 'invalid_request',
    detail: 'This is no transaction id of that network. Copy it from the wallet that sent it; nothing was looked up.',
    field: 'transaction_id',
  }
}

function notOurs(): Refused {
  return {
    code: 'invalid_address',
    detail: 'No top-up here has this address, so it is nobody’s payment to us. Nothing was opened.',
    field: 'address',
  }
}

function notAsked(network: string, why: string): Refused {
  return {
    code: 'temporarily_unavailable',
    detail: `${network} cannot be asked at the moment (${why}). Nothing was changed. Try again in a minute.`,
  }
}
