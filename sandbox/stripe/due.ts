/** Works off what wire time has made due: sessions end, holds lapse, captures reach the balance, refunds and disputes end. */
import type Stripe from 'stripe'
import { seconds } from '../clock.ts'
import { becomeAvailable, reachBalance } from './balance.ts'
import { type Bank, expireSession, lapse } from './bank.ts'
import { testCard } from './cards.ts'
import { planOf } from './charges.ts'
import { advanceDispute, openDispute } from './disputes.ts'
import { change, dueBefore, find } from './records.ts'
import { advanceRefund } from './refund-outcome.ts'
import { warn } from './warnings.ts'

/** How many due objects are worked off in one go. */
const DUE_MAX = 200

/** Called before each answer, so that nobody sees what has ended already. */
export function settleDue(bank: Bank): void {
  const { books } = bank
  for (const { kind, id } of dueBefore(books, seconds(bank.clock), DUE_MAX)) {
    books.transaction(() => {
      switch (kind) {
        case 'checkout.session':
          return void expireSession(bank, id, null)
        case 'payment_intent':
          return void lapse(bank, id)
        case 'charge':
          return taken(bank, find(books, kind, id)!)
        case 'balance_transaction':
          return becomeAvailable(bank, find(books, kind, id)!)
        case 'refund':
          return advanceRefund(bank, find(books, kind, id)!)
        case 'dispute':
          return advanceDispute(bank, find(books, kind, id)!)
        default:
          throw new Error(`Nothing can become due for ${id}`)
      }
    })
  }
}

/** The money is there, and the cardholder does what the card's number foresees. */
function taken(bank: Bank, charge: Stripe.Charge): void {
  change(bank.books, charge, null)
  reachBalance(bank, charge)
  const card = testCard(planOf(bank.books, charge.id).number ?? '')
  if (card?.warning) warn(bank, charge, card.warning)
  let left = charge.amount_captured
  for (const { share = 100, ...asked } of card?.disputes ?? []) {
    const amount = Math.min(left, Math.ceil((charge.amount_captured * share) / 100))
    left -= amount
    if (amount > 0) openDispute(bank, charge, { ...asked, amount })
  }
}
