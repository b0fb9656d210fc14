/**
 * How a top-up by crypto stands, by its payments: its status, its labels, what is still missing, how far it is. Pure, and asked anew each
 * time; what the row of the top-up says is a copy for lists.
 */
import type { TopupLabel } from '../../../contract/contract.ts'
import type { Usd } from '../../../contract/money.ts'
import { confirmationsOf, isCredited, type Payment, requiredOf, stateOf } from './life.ts'
import { CREDITED_FROM, isWhole, type Quoted } from './value.ts'

export type CryptoTopupStatus =
  | 'awaiting_payment'
  | 'confirming'
  | 'credited'
  | 'partially_credited'
  | 'reversed'
  | 'expired'

export type Told = {
  quote: Quoted
  /** Of the asset that was asked for. */
  decimals: number
  payments: readonly Payment[]
  /** What its payments put on the balance, less what was reversed. */
  arrived: Usd
  /** How far each chain was read. */
  tips: ReadonlyMap<string, number>
  /** The rate is not held any more, and the chain was read beyond that moment: what was sent in time would be known. */
  over: boolean
}

export function statusOf(told: Told): CryptoTopupStatus {
  if (told.arrived > 0n && isComplete(told)) return 'credited'
  if (told.payments.some((payment) => isOnItsWay(payment, told))) return 'confirming'
  if (told.arrived > 0n) return 'partially_credited'
  if (told.payments.some((payment) => payment.reversedAt !== null)) return 'reversed'
  return told.over ? 'expired' : 'awaiting_payment'
}

/** All that was asked for has come, as coins or as dollars. A late payment of all of it is whole, whatever the rate was by then. */
function isComplete({ quote, decimals, payments, arrived }: Told): boolean {
  if (arrived >= quote.amount) return true
  const credited = payments.filter((payment) => isCredited(payment) && payment.asset === quote.asset)
  return isWhole(unitsOf(credited), quote, decimals)
}

/** Seen or in a block, and not credited yet. Dust is not waited for. */
export function isOnItsWay(payment: Payment, told: Pick<Told, 'quote' | 'decimals' | 'tips'>): boolean {
  switch (stateOf(payment, told.tips.get(payment.chain) ?? null)) {
    case 'seen':
    case 'unmined':
      return payment.worth === null ? !looksLikeDust(payment, told) : payment.worth > 0n
    case 'confirming':
    case 'confirmed':
    case 'needs_review':
      return payment.worth === null ? !looksLikeDust(payment, told) : true
    default:
      return false
  }
}

/** Before its block says what it is worth, the rate of the quote is near enough. */
function looksLikeDust(payment: Payment, { quote, decimals }: Pick<Told, 'quote' | 'decimals'>): boolean {
  if (payment.asset !== quote.asset) return false
  return payment.units * quote.price < CREDITED_FROM * 10n ** BigInt(decimals)
}

/** On the chain or on the way there, or credited, and more than dust. */
function counts(payment: Payment, told: Told): boolean {
  return isCredited(payment) || isOnItsWay(payment, told)
}

/** In the order of the contract. What is not known of a payment before its first block is not said. */
export function labelsOf(told: Told, more: { reorganised: boolean; refunded: boolean }): TopupLabel[] {
  const { quote, decimals } = told
  const counted = told.payments.filter((payment) => counts(payment, told))
  const asked = counted.filter((payment) => payment.asset === quote.asset)
  const mined = counted.some((payment) => payment.worth !== null)
  const has = (basis: string) => counted.some((payment) => payment.parts?.some((part) => part.basis === basis))
  const inTime = asked.filter((payment) => !payment.parts?.some((part) => part.basis === 'late'))
  const whole = isWhole(unitsOf(asked), quote, decimals) || told.arrived >= quote.amount
  const labels: [TopupLabel, boolean][] = [
    ['partial', mined && !whole],
    ['over', unitsOf(inTime) > quote.units],
    ['late', has('late')],
    ['multiple', counted.length > 1],
    ['other_asset', counted.some((payment) => payment.asset !== quote.asset)],
    ['reorganised', more.reorganised],
    ['refunded', more.refunded],
  ]
  return labels.flatMap(([label, holds]) => (holds ? [label] : []))
}

/** What is missing of what was asked for, in the smallest unit; null: nothing, or the rate is not held any more. `now`: house time. */
export function unitsLeftOf(told: Told, now: Date): bigint | null {
  const { quote, decimals } = told
  if (now >= quote.expiresAt) return null
  const there = unitsOf(told.payments.filter((one) => one.asset === quote.asset && counts(one, told)))
  return isWhole(there, quote, decimals) ? null : quote.units - there
}

/** Of the payment that is furthest behind, no more than it needs; 0: none yet. */
export function confirmationsOfAll(told: Told): number {
  const counted = told.payments.filter((payment) => counts(payment, told))
  if (counted.length === 0) return 0
  return Math.min(...counted.map((payment) => shownConfirmations(payment, told.tips)))
}

/** More than what is required says nothing more. */
export function shownConfirmations(payment: Payment, tips: ReadonlyMap<string, number>): number {
  return Math.min(confirmationsOf(payment, tips.get(payment.chain) ?? null), requiredOf(payment))
}

function unitsOf(payments: readonly Payment[]): bigint {
  return payments.reduce((sum, payment) => sum + payment.units, 0n)
}
