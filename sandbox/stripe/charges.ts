/** Charges beyond what they tell: what the card behind one will still do, and how a person names a payment. */
import type Stripe from 'stripe'
import type { Books } from '../books.ts'
import type { RefundPlan } from './cards.ts'
import { extraOf, find, keepExtra } from './records.ts'

export type ChargePlan = {
  availableAtOnce: boolean
  /** The test number that was typed. */
  number?: string
  /** What the desk has asked for; else the card decides. */
  nextRefund?: RefundPlan
}

export function planOf(books: Books, charge: string): ChargePlan {
  return extraOf<ChargePlan | null>(books, charge) ?? { availableAtOnce: false }
}

export function plan(books: Books, charge: string, planned: ChargePlan): void {
  keepExtra(books, charge, planned)
}

/** The last charge of a payment, by the id of the charge, its payment intent, its session, or the shop's own reference. */
export function chargeNamed(books: Books, name: string): Stripe.Charge | undefined {
  if (name.startsWith('ch_')) return find(books, 'charge', name)
  if (name.startsWith('pi_')) return chargeOf(books, find(books, 'payment_intent', name))
  const sessions = name.startsWith('cs_')
    ? [find(books, 'checkout.session', name)]
    : books
        .all<{ id: string }>(
          `select id from stripe_objects
            where kind = 'checkout.session' and (body ->> 'client_reference_id' = ? or body ->> '$.metadata.topup_id' = ?)
            order by seq desc
            limit 20`,
          name,
          name,
        )
        .map(({ id }) => find(books, 'checkout.session', id))
  for (const session of sessions) {
    const intent = session?.payment_intent as string | null | undefined
    const charge = intent && chargeOf(books, find(books, 'payment_intent', intent))
    if (charge) return charge
  }
  return undefined
}

export function chargeOf(books: Books, intent: Stripe.PaymentIntent | undefined): Stripe.Charge | undefined {
  const id = intent?.latest_charge as string | null | undefined
  return id ? find(books, 'charge', id) : undefined
}
