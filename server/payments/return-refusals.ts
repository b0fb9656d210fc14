/** What a customer is told who wants back what is unspent and cannot have it so: the same to a card and to an address. */
import { displayAmount, printAmount, type Usd } from '../../contract/money.ts'
import type { Refused } from '../platform/answer.ts'

/** In so many parts a top-up is returned, and so many of a customer's are on their way at once. */
export const REFUNDS_OF_A_TOPUP_MAX = 20
export const OPEN_REFUNDS_OF_A_CUSTOMER_MAX = 10

export const dollars = (amount: Usd) => displayAmount(printAmount(amount))

export function notAnAmount(sent: unknown): Refused {
  const shown = typeof sent === 'string' && sent.length > 0 && sent.length <= 32 ? `"${sent}" cannot be returned. ` : ''
  return {
    code: 'invalid_amount',
    detail: `${shown}Send dollars as a string with at most two decimals and more than zero, such as "10.00", or leave "amount" out to return everything that is unspent. Nothing was sent back.`,
    field: 'amount',
  }
}

export function notCredited(): Refused {
  return {
    code: 'not_credited',
    detail: 'No credits came of this top-up, so there is nothing to send back. Open it to see what became of it.',
  }
}

export function nothingToReturn(left: Usd): Refused {
  return {
    code: 'nothing_to_return',
    detail:
      left > 0n
        ? 'The credits of this top-up are spent, or held for an order. What is held can be returned when the order ends without a code.'
        : 'All of this top-up went back already, or is on its way. The top-up shows when and how much.',
  }
}

export function aboveReturnable(amount: Usd, payable: Usd): Refused {
  return {
    code: 'amount_above_returnable',
    detail: `${dollars(amount)} is more than what is unspent of this top-up: ${dollars(payable)} can be returned now. Nothing was sent back.`,
    field: 'amount',
    extra: { returnable: printAmount(payable) },
  }
}

export function tooManyReturns(): Refused {
  return {
    code: 'too_many_returns',
    detail: `Returns come in at most ${REFUNDS_OF_A_TOPUP_MAX} parts a top-up, and ${OPEN_REFUNDS_OF_A_CUSTOMER_MAX} may be on their way at once. Nothing was sent back. Wait until one has arrived, or write to support.`,
    extra: { parts_max: REFUNDS_OF_A_TOPUP_MAX, on_their_way_max: OPEN_REFUNDS_OF_A_CUSTOMER_MAX },
  }
}

export function suspended(): Refused {
  return {
    code: 'account_suspended',
    detail:
      'This account is suspended, so nothing is sent back for the moment. Your credits stay as they are. Write to support.',
  }
}

export function keyReused(): Refused {
  return {
    code: 'idempotency_key_reused',
    detail: 'This Idempotency-Key belongs to another request. Send a new key for a new return; nothing was sent back.',
    field: 'Idempotency-Key',
  }
}
