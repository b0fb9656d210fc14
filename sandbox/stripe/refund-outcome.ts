/** What becomes of a refund: it arrives, waits, or fails, also after it had succeeded. */
import type Stripe from 'stripe'
import { seconds } from '../clock.ts'
import { book } from './balance.ts'
import type { Bank } from './bank.ts'
import type { FailureReason } from './cards.ts'
import { StripeRefusal } from './errors.ts'
import { type Cause, write } from './events.ts'
import { change, extraOf, find, keepExtra, ofSession, rewrite, sessionOf } from './records.ts'

/** When the card's network has given the refund its reference, in seconds; really some days. */
export const REFERENCE_AFTER_SECONDS = 2

export type RefundExtra = { ends: 'succeeded' | 'failed' | null; failureReason: FailureReason }

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
export function onTheWay(pends: boolean): Stripe.Refund.DestinationDetails.Card {
  return {
    reference_status: 'pending',
    reference_type: 'acquirer_reference_number',
    type: pends ? 'pending' : 'refund',
  }
}

/** Cents given back by a charge; less than nothing: a refund has failed, and it can be given back once more. */
export function giveBack(bank: Bank, charge: Stripe.Charge, amount: number): void {
  charge.amount_refunded += amount
  charge.refunded = charge.amount_refunded === charge.amount_captured
  rewrite(bank.books, charge)
}

/** `charge.refund.updated` tells the same once more, as Stripe does for cards. */
export function tell(bank: Bank, refund: Stripe.Refund, previous: Record<string, unknown>, cause: Cause = null): void {
  const session = sessionOf(bank.books, refund.id)!
  if (previous['status'] && refund.status === 'failed') write(bank, session, 'refund.failed', refund, cause, previous)
  write(bank, session, 'refund.updated', refund, cause, previous)
  write(bank, session, 'charge.refund.updated', refund, cause, previous)
}

export function refused(message: string, more: { code?: string; param?: string } = {}): StripeRefusal {
  return new StripeRefusal(400, message, { ...more, executed: true })
}
