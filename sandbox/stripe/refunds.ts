/** Money that goes back to the card: at once, after a while, or not at all although it had said so. */
import type Stripe from 'stripe'
import { seconds } from '../clock.ts'
import { randomLetters } from '../ids.ts'
import { dollars } from '../money.ts'
import { book, reachBalance } from './balance.ts'
import type { Bank } from './bank.ts'
import { type RefundPlan, testCard } from './cards.ts'
import { plan, planOf } from './charges.ts'
import { closeInquiries, isRefundable } from './disputes.ts'
import type { StripeRefusal } from './errors.ts'
import { type Cause, write } from './events.ts'
import { mergedMetadata, put, rewrite, sessionOf } from './records.ts'
import {
  endRefund,
  giveBack,
  onTheWay,
  REFERENCE_AFTER_SECONDS,
  type RefundExtra,
  refused,
  tell,
} from './refund-outcome.ts'
import { overtakeWarnings } from './warnings.ts'

/** How long a refund waits when its card or the desk says "later", in seconds. */
export const LATER_SECONDS = 20
export type AskedRefund = {
  charge: Stripe.Charge
  /** Cents; without it, everything that is left. */
  amount?: number | undefined
  reason: 'duplicate' | 'fraudulent' | 'requested_by_customer' | null
  metadata: Record<string, string>
}

export function createRefund(bank: Bank, asked: AskedRefund, cause: Cause): Stripe.Refund {
  const { books } = bank
  return books.transaction(() => {
    const { charge } = asked
    const session = sessionOf(books, charge.id)!
    if (!charge.captured) throw noCharge(charge.payment_intent as string)
    if (charge.refunded)
      throw refused(`Charge ${charge.id} has already been refunded.`, { code: 'charge_already_refunded' })
    if (!isRefundable(bank, charge))
      throw refused(`Charge ${charge.id} has been charged back; cannot issue a refund.`, { code: 'charge_disputed' })
    const left = charge.amount_captured - charge.amount_refunded
    const amount = asked.amount ?? left
    if (amount > left)
      throw refused(
        `Refund amount (${dollars(amount)}) is greater than unrefunded amount on charge (${dollars(left)})`,
        { param: 'amount' },
      )

    reachBalance(bank, charge)
    const { nextRefund, ...rest } = planOf(books, charge.id)
    const planned: RefundPlan = nextRefund ?? testCard(rest.number ?? '')?.refund ?? { outcome: 'succeeds' }
    plan(books, charge.id, rest)
    if (planned.outcome === 'balance_insufficient')
      throw refused(
        'Insufficient funds in your Stripe balance to refund this amount. You can add funds to your balance in the Dashboard.',
        { code: 'balance_insufficient' },
      )

    const now = seconds(bank.clock)
    const pends = planned.outcome === 'pends' || planned.outcome === 'pends_then_fails'
    const ends = planned.outcome === 'pends' ? 'succeeded' : planned.outcome === 'succeeds' ? null : 'failed'
    const refund: Stripe.Refund = {
      id: `re_3${randomLetters(23)}`,
      object: 'refund',
      amount,
      balance_transaction: null,
      charge: charge.id,
      created: now,
      currency: charge.currency,
      customer: null,
      customer_account: null,
      destination_details: { card: onTheWay(pends), type: 'card' },
      metadata: asked.metadata,
      payment_intent: charge.payment_intent,
      payment_method: charge.payment_method,
      ...(pends ? { pending_reason: 'processing' } : {}),
      reason: asked.reason,
      receipt_number: null,
      source_transfer_reversal: null,
      status: pends ? 'pending' : 'succeeded',
      transfer_reversal: null,
    }
    refund.balance_transaction = book(bank, session, {
      amount: -amount,
      type: 'refund',
      category: 'refund',
      description: `REFUND FOR CHARGE${charge.description ? ` (${charge.description})` : ''}`,
      source: refund.id,
    }).id
    const extra: RefundExtra = { ends, failureReason: planned.failureReason ?? 'expired_or_canceled_card' }
    const wait = ends === null ? REFERENCE_AFTER_SECONDS : (planned.afterSeconds ?? LATER_SECONDS)
    put(books, refund, { session, extra, dueAt: now + wait })
    giveBack(bank, charge, amount)
    write(bank, session, 'refund.created', refund, cause)
    write(bank, session, 'charge.refunded', charge, cause, {
      amount_refunded: charge.amount_refunded - amount,
      ...(amount === left && { refunded: false }),
    })
    if (amount === left) {
      closeInquiries(bank, charge)
      overtakeWarnings(bank, charge)
    }
    if (planned.outcome === 'fails') endRefund(bank, refund, 'failed', null)
    return refund
  })
}

export function describeRefund(
  bank: Bank,
  refund: Stripe.Refund,
  metadata: Record<string, string>,
  cause: Cause,
): Stripe.Refund {
  const before = refund.metadata
  refund.metadata = mergedMetadata(before, metadata)
  rewrite(bank.books, refund)
  tell(bank, refund, { metadata: before }, cause)
  return refund
}

export function noCharge(intent: string): StripeRefusal {
  return refused(`This PaymentIntent (${intent}) does not have a successful charge to refund.`)
}
