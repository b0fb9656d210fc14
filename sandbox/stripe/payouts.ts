/** What the bank sends to the shop's own account: everything that is available, and which movements it was made of. */
import type Stripe from 'stripe'
import { seconds } from '../clock.ts'
import { randomLetters } from '../ids.ts'
import { book } from './balance.ts'
import type { Bank } from './bank.ts'
import { write } from './events.ts'
import { keepExtra, put } from './records.ts'
import { refused } from './refund-outcome.ts'

/** What a balance transaction does not tell of itself: the payout that took it along. */
export type TakenAlong = { payout: string }

export function payOut(bank: Bank): Stripe.Payout {
  const { books } = bank
  return books.transaction(() => {
    const now = seconds(bank.clock)
    const rows = books.all<{ id: string; net: number }>(
      `select id, body ->> 'net' as net from stripe_objects
        where kind = 'balance_transaction' and extra is null and body ->> 'status' = 'available'
          and body ->> 'type' <> 'payout'`,
    )
    const amount = rows.reduce((sum, each) => sum + each.net, 0)
    if (amount < 1) throw refused('There is nothing available to pay out.')
    const payout: Stripe.Payout = {
      id: `po_1${randomLetters(23)}`,
      object: 'payout',
      amount,
      application_fee: null,
      application_fee_amount: null,
      arrival_date: now,
      automatic: true,
      balance_transaction: null,
      created: now,
      currency: 'usd',
      description: 'STRIPE PAYOUT',
      destination: `ba_1${randomLetters(23)}`,
      failure_balance_transaction: null,
      failure_code: null,
      failure_message: null,
      livemode: false,
      metadata: {},
      method: 'standard',
      original_payout: null,
      payout_method: null,
      reconciliation_status: 'completed',
      reversed_by: null,
      source_type: 'card',
      statement_descriptor: null,
      status: 'paid',
      trace_id: null,
      type: 'bank_account',
    }
    const booked = book(bank, payout.id, {
      amount: -amount,
      type: 'payout',
      category: 'payout',
      description: 'STRIPE PAYOUT',
      source: payout.id,
    })
    payout.balance_transaction = booked.id
    const along: TakenAlong = { payout: payout.id }
    for (const id of [booked.id, ...rows.map((each) => each.id)]) keepExtra(books, id, along)
    put(books, payout, { session: payout.id })
    write(bank, payout.id, 'payout.created', payout, null)
    write(bank, payout.id, 'payout.paid', payout, null)
    write(bank, payout.id, 'payout.reconciliation_completed', payout, null)
    return payout
  })
}
