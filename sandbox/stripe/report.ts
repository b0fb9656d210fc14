/** The bank's own books in one answer, for comparison with the shop's. */
import type Stripe from 'stripe'
import type { Bank } from './bank.ts'
import { newest } from './records.ts'

/** More of a kind than this are not listed one by one; the totals always count all. */
const LISTED_MAX = 20_000

const listed = ['sessions', 'payment_intents', 'charges', 'refunds', 'disputes', 'warnings', 'balance_transactions']

/** The bank's side of the story, for comparison with ours. Amounts are whole cents. */
export function ownBooks(bank: Bank) {
  const { books } = bank
  const totals = books.one<Record<string, number>>(`
    select
      coalesce(sum(body ->> 'amount') filter (where kind = 'charge' and body ->> 'status' = 'succeeded'), 0) as authorized,
      coalesce(sum(body ->> 'amount_captured') filter (where kind = 'charge'), 0) as captured,
      coalesce(sum(body ->> 'amount_received') filter (where kind = 'payment_intent'), 0) as received,
      coalesce(sum(body ->> 'amount_capturable') filter (where kind = 'payment_intent'), 0) as capturable,
      coalesce(sum(body ->> 'amount') filter (where kind = 'payment_intent' and body ->> 'status' = 'canceled'), 0) as canceled,
      count(*) filter (where kind = 'checkout.session') as sessions,
      count(*) filter (where kind = 'payment_intent') as payment_intents,
      count(*) filter (where kind = 'charge') as charges,
      count(*) filter (where kind = 'charge' and body ->> 'captured' = 1) as captured_charges,
      count(*) filter (where kind = 'refund') as refunds,
      coalesce(sum(body ->> 'amount') filter (where kind = 'refund' and body ->> 'status' = 'succeeded'), 0) as refunded,
      coalesce(sum(body ->> 'amount') filter (where kind = 'refund' and body ->> 'status' = 'pending'), 0) as refunds_pending,
      coalesce(sum(body ->> 'amount') filter (where kind = 'refund' and body ->> 'status' in ('failed', 'canceled')), 0) as refunds_failed,
      count(*) filter (where kind = 'dispute') as disputes,
      coalesce(sum(body ->> 'amount') filter (where kind = 'dispute' and body ->> 'status' in ('needs_response', 'under_review', 'appeal_needs_response', 'appeal_under_review')), 0) as disputes_open,
      coalesce(sum(body ->> 'amount') filter (where kind = 'dispute' and body ->> 'status' = 'lost'), 0) as disputes_lost,
      count(*) filter (where kind = 'radar.early_fraud_warning') as warnings,
      -(select coalesce(sum(body ->> 'amount'), 0) from stripe_objects
         where kind = 'balance_transaction' and body ->> 'reporting_category' in ('dispute', 'dispute_reversal')) as withdrawn,
      coalesce(sum(body ->> 'amount') filter (where kind = 'payout'), 0) as paid_out,
      count(*) filter (where kind = 'balance_transaction') as balance_transactions,
      coalesce(sum(body ->> 'fee') filter (where kind = 'balance_transaction'), 0) as fees,
      coalesce(sum(body ->> 'net') filter (where kind = 'balance_transaction'), 0) as balance
    from stripe_objects`)!
  return {
    currency: 'usd',
    unit: 'cent',
    totals,
    complete: Math.max(...listed.map((kind) => totals[kind]!)) <= LISTED_MAX,
    sessions: newest(books, 'checkout.session', LISTED_MAX).map((session) => ({
      id: session.id,
      status: session.status,
      payment_status: session.payment_status,
      amount_total: session.amount_total,
      currency: session.currency,
      client_reference_id: session.client_reference_id,
      metadata: session.metadata,
      payment_intent: session.payment_intent,
      created: session.created,
      expires_at: session.expires_at,
      url: session.url,
    })),
    payment_intents: newest(books, 'payment_intent', LISTED_MAX).map((intent) => ({
      id: intent.id,
      status: intent.status,
      amount: intent.amount,
      amount_capturable: intent.amount_capturable,
      amount_received: intent.amount_received,
      currency: intent.currency,
      cancellation_reason: intent.cancellation_reason,
      last_payment_error: intent.last_payment_error?.code ?? null,
      latest_charge: intent.latest_charge,
      metadata: intent.metadata,
      created: intent.created,
    })),
    charges: newest(books, 'charge', LISTED_MAX).map((charge) => ({
      id: charge.id,
      status: charge.status,
      amount: charge.amount,
      amount_captured: charge.amount_captured,
      captured: charge.captured,
      released: charge.refunded && !charge.captured,
      currency: charge.currency,
      payment_intent: charge.payment_intent,
      balance_transaction: charge.balance_transaction,
      three_d_secure: threeDSecure(charge),
      amount_refunded: charge.captured ? charge.amount_refunded : 0,
      disputed: charge.disputed,
      metadata: charge.metadata,
      created: charge.created,
    })),
    refunds: newest(books, 'refund', LISTED_MAX).map((refund) => ({
      id: refund.id,
      status: refund.status,
      amount: refund.amount,
      currency: refund.currency,
      reason: refund.reason,
      failure_reason: refund.failure_reason ?? null,
      charge: refund.charge,
      payment_intent: refund.payment_intent,
      metadata: refund.metadata,
      created: refund.created,
    })),
    disputes: newest(books, 'dispute', LISTED_MAX).map((dispute) => ({
      id: dispute.id,
      status: dispute.status,
      reason: dispute.reason,
      amount: dispute.amount,
      currency: dispute.currency,
      /** Cents that are away because of it, without the fee. */
      withdrawn: 0 - dispute.balance_transactions.reduce((sum, each) => sum + each.amount, 0),
      fee: dispute.balance_transactions.reduce((sum, each) => sum + each.fee, 0),
      charge: dispute.charge,
      payment_intent: dispute.payment_intent,
      created: dispute.created,
    })),
    warnings: newest(books, 'radar.early_fraud_warning', LISTED_MAX).map((warning) => ({
      id: warning.id,
      actionable: warning.actionable,
      fraud_type: warning.fraud_type,
      charge: warning.charge,
      payment_intent: warning.payment_intent,
      created: warning.created,
    })),
    balance_transactions: newest(books, 'balance_transaction', LISTED_MAX).map((booked) => ({
      id: booked.id,
      type: booked.type,
      reporting_category: booked.reporting_category,
      amount: booked.amount,
      fee: booked.fee,
      net: booked.net,
      currency: booked.currency,
      source: booked.source,
      created: booked.created,
    })),
  }
}

export function threeDSecure(charge: Stripe.Charge): string | null {
  return charge.payment_method_details?.card?.three_d_secure?.result ?? null
}
