/**
 * What a payment on a chain is worth in dollars: the rule, as pure functions. Said once, at the payment's first block, and kept.
 *
 *   in time, of the asset that was asked for ── the rate of the quote, as far as 110 % of what was asked for ── `locked`
 *                                            └─ what is beyond that: the rate of its block ───────────────── `surplus`
 *   late ──────────────────────────────────────────────────────────── the rate of its block ───────────────── `late`
 *   another asset ─────────────────────────────────────────────────── that asset's rate, of its block ─────── `other_asset`
 *
 * `lockedBefore`, wherever it stands: how many units of this top-up other payments have had at the rate of the quote.
 */
import { MICROS_PER_CENT, micros, type Usd, usd } from '../../../contract/money.ts'

/** `decided`: by a member of staff, where no rule could. */
export type Basis = 'locked' | 'late' | 'surplus' | 'other_asset' | 'decided'

/** So many of the payment's smallest units, at so much for one whole coin. `value` is rounded down to the micro-dollar. */
export type Part = { units: bigint; price: Usd; basis: Basis; value: Usd }

/** `worth`: what is credited, `value` rounded up to the cent; 0 for dust. `value` is the sum of the parts'. */
export type Valued = { parts: Part[]; value: Usd; worth: Usd }

export type Quoted = {
  asset: string
  /** What was asked for, in the smallest unit. */
  units: bigint
  /** Dollars for one whole coin. */
  price: Usd
  /** What was to be bought. */
  amount: Usd
  expiresAt: Date
}

/** Less than this is not credited: whoever sends dust wants to be seen, not to pay. Source: product.md, R4. */
export const CREDITED_FROM = usd('0.50')
/** What may be missing of the quoted amount: exchanges take their fees from what they send. Both bind. Source: crypto.md, case 22. */
const TOLERATED_PER_MILLE = 5n
const TOLERATED_MAX = usd('0.50')
/** As much of what was asked for has the rate of the quote. Unit: percent. Source: crypto.md, case 24. */
const LOCKED_PERCENT_MAX = 110n
/** A payment that was seen in time may take so long to its block. Unit: milliseconds. Source: crypto.md, case 28. */
const GRACE_MS = 24 * 60 * 60 * 1000

/**
 * Whether the rate of the quote is kept for it: it was in a block in time, or was seen in time (it, or a payment to the same address that
 * it took the place of) and was in a block within 24 hours. Block times may be wrong by two hours, so the earlier of the two counts.
 */
export function isInTime(payment: { firstSeenAt: Date; blockTime: Date }, expiresAt: Date): boolean {
  if (payment.blockTime <= expiresAt) return true
  const waited = payment.blockTime.getTime() - payment.firstSeenAt.getTime()
  return payment.firstSeenAt <= expiresAt && waited <= GRACE_MS
}

/** How much of it has the rate of the quote, and whether the rest needs a rate of its block. */
export function lockedUnitsOf(
  payment: { asset: string; units: bigint; inTime: boolean },
  quote: Quoted,
  lockedBefore: bigint,
): bigint {
  if (payment.asset !== quote.asset || !payment.inTime) return 0n
  const most = (quote.units * LOCKED_PERCENT_MAX) / 100n
  const free = most > lockedBefore ? most - lockedBefore : 0n
  return payment.units < free ? payment.units : free
}

/**
 * `price`: of the payment's asset at its block; null: not known, and then nothing is guessed (null) unless it is not needed.
 * `decimals` and `floorUnits` are the asset's.
 */
export function valuePayment(
  payment: { asset: string; units: bigint; inTime: boolean },
  of: { quote: Quoted; lockedBefore: bigint; price: Usd | null; decimals: number; floorUnits: bigint },
): Valued | null {
  const { quote, lockedBefore, price, decimals } = of
  const locked = lockedUnitsOf(payment, quote, lockedBefore)
  const rest = payment.units - locked
  const parts: Part[] = []
  if (locked > 0n) {
    const value = worthOfLocked(lockedBefore + locked, quote, decimals) - worthOfLocked(lockedBefore, quote, decimals)
    parts.push({ units: locked, price: quote.price, basis: 'locked', value: micros(value) })
  }
  if (rest > 0n) {
    if (price === null) return null
    const basis = payment.asset !== quote.asset ? 'other_asset' : payment.inTime ? 'surplus' : 'late'
    parts.push({ units: rest, price, basis, value: atPrice(rest, price, decimals) })
  }
  const value = micros(parts.reduce((sum, part) => sum + part.value, 0n))
  const dust = value < CREDITED_FROM || payment.units < of.floorUnits
  return { parts, value, worth: dust ? micros(0n) : toTheCent(value) }
}

/** Whether so many units are what was asked for, or as good as that. */
export function isWhole(units: bigint, quote: Pick<Quoted, 'units' | 'price' | 'amount'>, decimals: number): boolean {
  if (units >= quote.units) return true
  const one = 10n ** BigInt(decimals)
  const tolerated = (quote.amount * TOLERATED_PER_MILLE) / 1000n
  const most = tolerated < TOLERATED_MAX ? tolerated : TOLERATED_MAX
  return quote.amount * one - units * quote.price <= most * one
}

/**
 * What the first so many units are worth at the rate of the quote. What was asked for is worth what was to be bought, to the micro-dollar,
 * although its units were rounded up; and so is what is as good as that. Never falls as units grow, so the parts of payments that come
 * one after the other add up to what one payment of all would be.
 */
function worthOfLocked(units: bigint, quote: Quoted, decimals: number): bigint {
  if (units >= quote.units) return quote.amount + atPrice(units - quote.units, quote.price, decimals)
  return isWhole(units, quote, decimals) ? quote.amount : atPrice(units, quote.price, decimals)
}

function atPrice(units: bigint, price: Usd, decimals: number): Usd {
  return micros((units * price) / 10n ** BigInt(decimals))
}

function toTheCent(value: Usd): Usd {
  return micros(((value + MICROS_PER_CENT - 1n) / MICROS_PER_CENT) * MICROS_PER_CENT)
}
