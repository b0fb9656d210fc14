/**
 * A payment's life: how it stands, and what is to be done about it next. Pure: both follow from what the chain says of it and from what
 * was decided of it before, at whatever moment one asks.
 *
 *   seen ──► confirming ──► confirmed ──► credited            its block is deep enough ── the ledger was told
 *    │ │        │  ▲                        │   ▲
 *    │ │        ▼  │ mined again            ▼   │ mined again, and deep again: the next round
 *    │ └──────► unmined ◄────────────────────   │
 *    ▼            │                     └──► reversed          gone for 3 blocks, or excluded by another transaction
 *   replaced    dropped
 *
 * Beside that: `dust`; `needs_review` where a person has to decide first, and `left` where he decided that it is not credited.
 */
import type { CryptoAsset, CryptoPaymentState } from '../../../contract/contract.ts'
import { micros, type Usd } from '../../../contract/money.ts'
import type { Row } from '../../platform/db.ts'
import { networkOf } from './assets.ts'
import type { Part } from './value.ts'

/** A row of `crypto_payments`; what each column means stands in the migration. */
export type Payment = {
  id: string
  chain: string
  txid: string
  ordinal: string
  asset: CryptoAsset
  addressId: bigint
  accountId: bigint | null
  topupId: string | null
  units: bigint
  coinbase: boolean
  confirmationsRequired: number
  firstSeenAt: Date
  pooled: boolean
  blockHash: string | null
  height: number | null
  blockTime: Date | null
  unminedAtHeight: number | null
  replacedBy: string | null
  /** The block of that transaction; null: it only waits in the pool, so nothing is decided by it. */
  replacedHeight: number | null
  parts: Part[] | null
  value: Usd | null
  worth: Usd | null
  round: number
  creditedAt: Date | null
  reversedAt: Date | null
  review: string | null
  goneToldAt: Date | null
  /** A member of staff has decided what it is worth, and that it is credited. */
  decidedAt: Date | null
  /** A member of staff has decided that it is not credited. */
  leftAt: Date | null
}

/** A payment whose block was taken back is given up when the branch has grown by so many blocks without it. Source: crypto.md, case 4. */
export const GIVEN_UP_AFTER_BLOCKS = 3

/** Why a person must look, of payments that are not credited before he has. Other words call him, and hold nothing up. */
export const HOLDING_REVIEWS: readonly string[] = ['account_suspended', 'account_closed', 'unused_address']

/** SQL, of a row `p` of `crypto_payments`: a member of staff decided that it is not credited. As `isLeft` says it of a payment. */
export const IS_LEFT = `exists (select from crypto_reviews left_by
                                 where left_by.payment_id = p.id and left_by.kind = p.review and left_by.status = 'left'
                                   and left_by.kind in (${HOLDING_REVIEWS.map((word) => `'${word}'`).join(', ')}))`

type Standing = Pick<
  Payment,
  | 'chain'
  | 'accountId'
  | 'coinbase'
  | 'confirmationsRequired'
  | 'pooled'
  | 'height'
  | 'unminedAtHeight'
  | 'replacedBy'
  | 'replacedHeight'
  | 'worth'
  | 'creditedAt'
  | 'reversedAt'
  | 'review'
  | 'goneToldAt'
  | 'leftAt'
>

/** `tip`: how far we have read its chain ourselves; null: not at all yet. The one function that names how a payment stands. */
export function stateOf(payment: Omit<Standing, 'goneToldAt'>, tip: number | null): CryptoPaymentState {
  if (isLeft(payment)) return 'left'
  if (payment.height === null) {
    if (payment.reversedAt !== null) return 'reversed'
    if (payment.creditedAt !== null) return 'unmined'
    if (payment.replacedBy !== null) return 'replaced'
    if (payment.pooled) return payment.unminedAtHeight === null ? 'seen' : 'unmined'
    return payment.unminedAtHeight === null || isGivenUp(payment, tip) ? 'dropped' : 'unmined'
  }
  if (isCredited(payment)) return 'credited'
  if (isHeld(payment)) return 'needs_review'
  if (payment.worth === 0n) return 'dust'
  return confirmationsOf(payment, tip) >= requiredOf(payment) ? 'confirmed' : 'confirming'
}

export type Due =
  /** In a block for the first time: what is it worth? */
  | 'value'
  | 'credit'
  | 'reverse'
  /** It was on its way, and is gone for good, as far as one can tell: its customer hears of it. */
  | 'tell_gone'

/** What is to be done about it now; null: nothing. `agreed`: up to where a second node has the same blocks; null: there is no second one. */
export function dueOf(payment: Standing, tip: number | null, agreed: number | null = null): Due | null {
  if (payment.accountId === null || isLeft(payment)) return null
  if (payment.height === null) {
    if (!isGone(payment, tip)) return null
    if (isCredited(payment)) return 'reverse'
    const wasOnItsWay = payment.unminedAtHeight !== null && payment.worth !== null && payment.worth > 0n
    return wasOnItsWay && payment.creditedAt === null && payment.goneToldAt === null ? 'tell_gone' : null
  }
  if (payment.worth === null) return 'value'
  if (isCredited(payment) || isHeld(payment) || payment.worth === 0n) return null
  // What one node says alone is shown, and not credited.
  const creditTip = tip !== null && agreed !== null ? Math.min(tip, agreed) : tip
  return confirmationsOf(payment, creditTip) >= requiredOf(payment) ? 'credit' : null
}

/** Another transaction in a block excludes it, or it is gone for longer than a reorganisation usually takes to bring it back. */
function isGone(payment: Pick<Standing, 'replacedHeight' | 'unminedAtHeight'>, tip: number | null): boolean {
  return payment.replacedHeight !== null || isGivenUp(payment, tip)
}

function isGivenUp(payment: Pick<Standing, 'unminedAtHeight'>, tip: number | null): boolean {
  return payment.unminedAtHeight !== null && tip !== null && tip >= payment.unminedAtHeight + GIVEN_UP_AFTER_BLOCKS
}

/** Of what the ledger was told, nothing was taken back. */
export function isCredited(payment: Pick<Payment, 'creditedAt' | 'reversedAt'>): boolean {
  return payment.creditedAt !== null && payment.reversedAt === null
}

function isHeld(payment: Pick<Payment, 'review'>): boolean {
  return payment.review !== null && HOLDING_REVIEWS.includes(payment.review)
}

/** It was never credited, and will not be, wherever its chain puts it. */
function isLeft(payment: Pick<Payment, 'review' | 'leftAt' | 'creditedAt'>): boolean {
  return isHeld(payment) && payment.leftAt !== null && payment.creditedAt === null
}

/** Blocks on top of it, its own included; counted in our own table, never by the node's word. 0: it is in none. */
export function confirmationsOf(payment: Pick<Payment, 'height'>, tip: number | null): number {
  if (payment.height === null || tip === null) return 0
  return Math.max(0, tip - payment.height + 1)
}

/** What its quote promised; newly mined coins can come back to nobody for longer. */
export function requiredOf(payment: Pick<Payment, 'chain' | 'coinbase' | 'confirmationsRequired'>): number {
  return payment.coinbase
    ? Math.max(payment.confirmationsRequired, networkOf(payment.chain).coinbaseConfirmations)
    : payment.confirmationsRequired
}

/** Reads rows of `crypto_payments p`; add `from …`. */
export const PAYMENT_COLUMNS = `
  p.id, p.chain, p.txid, p.ordinal, p.asset, p.address_id, p.account_id, p.topup_id, p.units, p.coinbase, p.confirmations_required,
  p.first_seen_at, p.pooled, p.block_hash, p.height, p.block_time, p.unmined_at_height, p.replaced_by, p.replaced_height,
  p.parts, p.value, p.worth, p.round, p.credited_at, p.reversed_at, p.review, p.gone_told_at, p.decided_at,
  (select r.decided_at from crypto_reviews r
    where r.payment_id = p.id and r.kind = p.review and r.status = 'left') as left_at`

type Columns = Omit<Row<'crypto_payments'>, 'spends' | 'valued_at'> & { left_at: Date | null }
/** The parts as they are stored: micro-dollars and smallest units, as strings. */
type StoredPart = { units: string; price: string; basis: Part['basis']; value: string }

export function readPayment(row: Columns): Payment {
  const parts = row.parts as StoredPart[] | null
  return {
    id: row.id,
    chain: row.chain,
    txid: row.txid,
    ordinal: row.ordinal,
    asset: row.asset as CryptoAsset,
    addressId: BigInt(row.address_id),
    accountId: row.account_id === null ? null : BigInt(row.account_id),
    topupId: row.topup_id,
    units: BigInt(row.units),
    coinbase: row.coinbase,
    confirmationsRequired: row.confirmations_required,
    firstSeenAt: row.first_seen_at,
    pooled: row.pooled,
    blockHash: row.block_hash,
    height: row.height === null ? null : Number(row.height),
    blockTime: row.block_time,
    unminedAtHeight: row.unmined_at_height === null ? null : Number(row.unmined_at_height),
    replacedBy: row.replaced_by,
    replacedHeight: row.replaced_height === null ? null : Number(row.replaced_height),
    parts:
      parts?.map((part) => ({
        units: BigInt(part.units),
        price: micros(part.price),
        basis: part.basis,
        value: micros(part.value),
      })) ?? null,
    value: row.value === null ? null : micros(row.value),
    worth: row.worth === null ? null : micros(row.worth),
    round: row.round,
    creditedAt: row.credited_at,
    reversedAt: row.reversed_at,
    review: row.review,
    goneToldAt: row.gone_told_at,
    decidedAt: row.decided_at,
    leftAt: row.left_at,
  }
}

export function storedParts(parts: readonly Part[]): string {
  return JSON.stringify(
    parts.map((part) => ({
      units: String(part.units),
      price: String(part.price),
      basis: part.basis,
      value: String(part.value),
    })),
  )
}
