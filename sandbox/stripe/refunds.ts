/** Money that goes back to the card: at once, after a while, or not at all although it had said so. */
import type Stripe from 'stripe'
import { seconds } from '../clock.ts'
import { randomLetters } from '../ids.ts'
import { dollars } from '../money.ts'
import { book, reachBalance } from './balance.ts'
import type { Bank } from './bank.ts'
import { type FailureReason, type RefundPlan, testCard } from './cards.ts'
import { plan, planOf } from './charges.ts'
import { StripeRefusal } from './errors.ts'
import { type Cause, write } from './events.ts'
import { change, extraOf, find, keepExtra, mergedMetadata, ofSession, put, rewrite, sessionOf } from './records.ts'

/** How long a refund waits when its card or the desk says "later", in seconds. */
export const LATER_SECONDS = 20
/** When the card's network has given the refund its reference, in seconds; really some days. */
const REFERENCE_AFTER_SECONDS = 2

type RefundExtra = { ends: 'succeeded' | 'failed' | null; failureReason: FailureReason }

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
    if (planned.outcome === 'fails') endRefund(bank, refund, 'failed', null)
    return refund
  })
}

/** What was due for it: the end that its card foresees, or its reference. */
export function advanceRefund(bank: Bank, refund: Stripe.Refund): void {
  const { ends } = extraOf<RefundExtra>(bank.books, refund.id)
  if (ends !== null) endRefund(bank, refund, ends, null)
  else if (refund.status === 'succeeded') refer(bank, refund)
  else change(bank.books, refund, null)
}

/** How a refund ends, also one that had already succeeded: a card may turn out to be closed. */
export function endRefund(
  bank: Bank,
  refund: Stripe.Refund,
  status: 'succeeded' | 'failed' | 'canceled',
  failureReason: FailureReason | null,
): void {
  const { books } = bank
  books.transaction(() => {
    const before = refund.status
    const possible = status === 'failed' ? ['pending', 'succeeded'] : ['pending']
    if (!possible.includes(before ?? ''))
      throw refused(`A refund that is ${before} cannot become ${status}.`, { param: 'status' })
    const now = seconds(bank.clock)
    const session = sessionOf(books, refund.id)!
    const extra = extraOf<RefundExtra>(books, refund.id)
    keepExtra(books, refund.id, { ...extra, ends: null })
    refund.status = status
    delete refund.pending_reason
    if (status === 'succeeded') {
      refund.destination_details = { card: onTheWay(false), type: 'card' }
      change(books, refund, now + REFERENCE_AFTER_SECONDS)
    } else {
      const charge = find(books, 'charge', refund.charge as string)!
      refund.failure_reason = status === 'canceled' ? 'merchant_request' : (failureReason ?? extra.failureReason)
      refund.failure_balance_transaction = book(bank, session, {
        amount: refund.amount,
        type: 'refund_failure',
        category: 'refund_failure',
        description: `REFUND FAILURE${charge.description ? ` (${charge.description})` : ''}`,
        source: refund.id,
      }).id
      refund.destination_details = { card: { reference_status: 'unavailable', type: 'refund' }, type: 'card' }
      giveBack(bank, charge, -refund.amount)
      change(books, refund, null)
    }
    tell(bank, refund, { status: before })
  })
}

/** The refunds of a charge, oldest first. */
export function refundsOf(bank: Bank, charge: Stripe.Charge): Stripe.Refund[] {
  return ofSession(bank.books, 'refund', sessionOf(bank.books, charge.id)!).filter((each) => each.charge === charge.id)
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

function refer(bank: Bank, refund: Stripe.Refund): void {
  const reference = Array.from(crypto.getRandomValues(new Uint8Array(23)), (each) => each % 10).join('')
  refund.destination_details = {
    card: {
      reference,
      reference_status: 'available',
      reference_type: 'acquirer_reference_number',
      type: 'refund',
    },
    type: 'card',
  }
  change(bank.books, refund, null)
  tell(bank, refund, {
    destination_details: { card: onTheWay(false), type: 'card' },
  })
}

/** How the card's side of it stands; its reference comes later. */
function onTheWay(pends: boolean): Stripe.Refund.DestinationDetails.Card {
  return {
    reference_status: 'pending',
    reference_type: 'acquirer_reference_number',
    type: pends ? 'pending' : 'refund',
  }
}

/** Cents given back by a charge; less than nothing: a refund has failed, and it can be given back once more. */
function giveBack(bank: Bank, charge: Stripe.Charge, amount: number): void {
  charge.amount_refunded += amount
  charge.refunded = charge.amount_refunded === charge.amount_captured
  rewrite(bank.books, charge)
}

/** `charge.refund.updated` tells the same once more, as Stripe does for cards. */
function tell(bank: Bank, refund: Stripe.Refund, previous: Record<string, unknown>, cause: Cause = null): void {
  const session = sessionOf(bank.books, refund.id)!
  if (previous['status'] && refund.status === 'failed') write(bank, session, 'refund.failed', refund, cause, previous)
  write(bank, session, 'refund.updated', refund, cause, previous)
  write(bank, session, 'charge.refund.updated', refund, cause, previous)
}

export function noCharge(intent: string): StripeRefusal {
  return refused(`This PaymentIntent (${intent}) does not have a successful charge to refund.`)
}

function refused(message: string, more: { code?: string; param?: string } = {}): StripeRefusal {
  return new StripeRefusal(400, message, { ...more, executed: true })
}
