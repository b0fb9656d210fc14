/**
 * The chart of accounts: what stands on the other side of a customer's movements, and every cause a movement can have. Numbers are
 * stored, words are spoken; a number is never given a second meaning.
 */

/** The platform's accounts. Seen from the house: a customer's credit is what the house owes him. */
export const platformAccounts = {
  /** Taken by card, on its way to the bank. */
  card_clearing: 1,
  /** Received on chain. */
  crypto_clearing: 2,
  /** Earned with codes that arrived. */
  revenue: 3,
  /** Paid back to cards and addresses. */
  refunds: 4,
  /** Taken back by banks. */
  disputes: 5,
  /** Given by the house: gifts, price differences, goodwill. */
  goodwill: 6,
  /** Money in the bank after payouts. */
  bank: 7,
  /** What the card company keeps. */
  card_fees: 8,
  /** What suppliers of numbers cost. */
  supplier_costs: 9,
  /** Residues of conversions, by the one stated rule. */
  rounding: 10,
} as const
export type PlatformAccount = keyof typeof platformAccounts

/**
 * Why something moved. The codes of holds are 1 to 3: the account's row counts its open holds by them, each in a column of its
 * own (apply.sql).
 */
export const causes = {
  /** The price of an order: held, and captured when its code arrives. */
  order: 1,
  /** The unspent part of a top-up, on its way back to where it came from. */
  topup_refund: 2,
  /** What a bank disputes. */
  dispute: 3,
  /** The customer cancelled the order. */
  order_cancelled: 20,
  /** The order ended without a code. */
  order_expired: 21,
  /** The ledger's own sweep gave back a hold that its owner had forgotten: an incident. */
  hold_overdue: 22,
  /** A card payment that was authenticated and taken. */
  topup_card: 30,
  topup_crypto: 31,
  /** The price of an order given back after it had been captured. */
  order_refund: 40,
  gift: 41,
  /** A correction by staff. */
  adjustment: 42,
  /** Outside money that was taken back from us. */
  reversal: 43,
  /** A movement between the house's own accounts. */
  payout: 60,
  fee: 61,
  supplier_cost: 62,
  conversion_residue: 63,
} as const
export type Cause = keyof typeof causes
export type HoldCause = 'order' | 'topup_refund' | 'dispute'

const causeByNumber = new Map<number, Cause>(Object.entries(causes).map(([word, number]) => [number, word as Cause]))

export function causeOf(number: number): Cause {
  const word = causeByNumber.get(number)
  if (!word) throw new Error(`The chart has no cause ${number}`)
  return word
}

const platformAccountByNumber = new Map<number, PlatformAccount>(
  Object.entries(platformAccounts).map(([word, number]) => [number, word as PlatformAccount]),
)

export function platformAccountOf(number: number): PlatformAccount {
  const word = platformAccountByNumber.get(number)
  if (!word) throw new Error(`The chart has no platform account ${number}`)
  return word
}
