/**
 * The shop's balance at the bank: one transaction for each movement, with what the bank keeps of it. Fees are not given back: not
 * with a refund, not with a dispute that was won.
 */
import type Stripe from 'stripe'
import { seconds } from '../clock.ts'
import { randomLetters } from '../ids.ts'
import type { Bank } from './bank.ts'
import { planOf } from './charges.ts'
import { write } from './events.ts'
import { change, put, rewrite, sessionOf } from './records.ts'

const DAY_SECONDS = 86_400
/** What a charge costs: 2.9 % and 30 cents. */
const CHARGE_FEE_PER_THOUSAND = 29
const CHARGE_FEE_CENTS = 30

export type Movement = {
  /** Cents; negative: it leaves the balance. */
  amount: number
  fee?: { amount: number; description: string }
  type: 'charge' | 'refund' | 'refund_failure' | 'adjustment' | 'payout'
  category: 'charge' | 'refund' | 'refund_failure' | 'dispute' | 'dispute_reversal' | 'payout'
  description: string | null
  source: string
  availableOn?: number
}

export function book(bank: Bank, session: string, movement: Movement): Stripe.BalanceTransaction {
  const now = seconds(bank.clock)
  const { amount, fee, type, category, description, source, availableOn = now } = movement
  const charged = fee?.amount ?? 0
  const pending = availableOn > now
  const booked: Stripe.BalanceTransaction = {
    id: `txn_${type === 'charge' ? 3 : 1}${randomLetters(23)}`,
    object: 'balance_transaction',
    amount,
    available_on: availableOn,
    balance_type: 'payments',
    created: now,
    currency: 'usd',
    description,
    exchange_rate: null,
    fee: charged,
    fee_details: fee ? [{ ...fee, application: null, currency: 'usd', type: 'stripe_fee' }] : [],
    net: amount - charged,
    reporting_category: category,
    source,
    status: pending ? 'pending' : 'available',
    type,
  }
  put(bank.books, booked, { session, dueAt: pending ? availableOn : null })
  return booked
}

/** Two days after it was booked; at once with the cards that say so. */
export function becomeAvailable(bank: Bank, booked: Stripe.BalanceTransaction): void {
  booked.status = 'available'
  change(bank.books, booked, null)
}

/** A captured charge reaches the balance: a moment after the capture, or when something else of it has to be booked. */
export function reachBalance(bank: Bank, charged: Stripe.Charge): void {
  if (charged.balance_transaction !== null) return
  const session = sessionOf(bank.books, charged.id)!
  const now = seconds(bank.clock)
  const booked = book(bank, session, {
    amount: charged.amount_captured,
    fee: {
      amount: Math.round((charged.amount_captured * CHARGE_FEE_PER_THOUSAND) / 1_000) + CHARGE_FEE_CENTS,
      description: 'Stripe processing fees',
    },
    type: 'charge',
    category: 'charge',
    description: charged.description,
    source: charged.id,
    availableOn: planOf(bank.books, charged.id).availableAtOnce ? now : now + 2 * DAY_SECONDS,
  })
  charged.balance_transaction = booked.id
  rewrite(bank.books, charged)
  write(bank, session, 'charge.updated', charged, null, { balance_transaction: null })
}
