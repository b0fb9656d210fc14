/** Works off what wire time has made due: sessions end, holds lapse, captures reach the balance, refunds and disputes end. */
import { seconds } from '../clock.ts'
import { becomeAvailable, reachBalance } from './balance.ts'
import { type Bank, expireSession, lapse } from './bank.ts'
import { dueBefore, find } from './records.ts'
import { advanceRefund } from './refunds.ts'

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
          return reachBalance(bank, find(books, kind, id)!)
        case 'balance_transaction':
          return becomeAvailable(bank, find(books, kind, id)!)
        case 'refund':
          return advanceRefund(bank, find(books, kind, id)!)
        default:
          throw new Error(`Nothing can become due for ${id}`)
      }
    })
  }
}
