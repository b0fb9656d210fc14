import type { CardTopup, Topup, TopupReason } from '../../contract/contract.ts'
import { displayAmount } from '../../contract/money.ts'
import type { Tone } from '../ui/tone.ts'

/** What comes next for the customer; each is one action of the page. */
export type Next = 'order_number' | 'go_on_paying' | 'another_card' | 'try_again' | 'start_again' | 'none'

/** What a top-up has come to: what happened, where the money is, what to do. */
export type Outcome = {
  tone: Tone
  says: string
  hint?: string
  next: Next
  /** Whether paying with crypto is offered, too: before the other step, or after it. */
  crypto?: 'first' | 'second' | null
}

/** Longer than this after the bank's yes, the page owns up to it. */
export const SETTLING_SOON_MS = 10_000

type Told = Pick<CardTopup, 'status' | 'reason' | 'amount' | 'bank_may_show_pending' | 'checkout_url' | 'trace'>
type Context = {
  /** House time in ms. */
  now: number
  /** What the customer may spend, as the wire writes it; null while it is not known. */
  available: string | null
  /** Whether some coin can be paid with at the moment. */
  takesCrypto: boolean
  /** How the bank's answer is written in the customer's time zone. */
  timeOf: (instant: string) => string
}

export function outcomeOf(topup: Told, { now, available, takesCrypto, timeOf }: Context): Outcome {
  const amount = displayAmount(topup.amount)
  switch (topup.status) {
    case 'credited':
    case 'partially_credited': {
      const spend = available === null ? '' : ` You have ${displayAmount(available)} to spend.`
      return { tone: 'arrived', says: `${amount} added.${spend}`, next: 'order_number' }
    }
    case 'confirming': {
      const answered = bankAnsweredAt(topup)
      const said = answered ? `Your bank said yes at ${timeOf(answered)}. ` : ''
      const late = isOverdue(topup, now)
        ? ' This takes longer than it should. You need not do anything; we check every minute.'
        : ''
      return { tone: 'coming', says: `${said}Adding your credits.${late}`, next: 'none' }
    }
    case 'awaiting_payment': {
      const next = topup.checkout_url ? 'go_on_paying' : 'start_again'
      // An attempt failed, and the payment page is still open for another one.
      if (topup.reason !== null)
        return { ...refused(topup.reason, amount, topup.bank_may_show_pending, takesCrypto), next }
      return { tone: 'held', says: 'You have not paid yet. No money was taken.', next }
    }
    case 'refused':
      return refused(topup.reason, amount, topup.bank_may_show_pending, takesCrypto)
    case 'expired':
      return refused('expired', amount, topup.bank_may_show_pending, takesCrypto)
    case 'reversed':
      return { tone: 'refused', says: `${amount} were added and have been taken back.`, next: 'none' }
  }
}

function refused(reason: TopupReason | null, amount: string, mayShowPending: boolean, takesCrypto: boolean): Outcome {
  const second = takesCrypto ? ('second' as const) : null
  const pending = mayShowPending
    ? ` Your bank may show ${amount} as pending for a few days; it disappears by itself.`
    : ''
  switch (reason) {
    case 'bank_does_not_verify':
    case 'not_verified':
    case 'card_without_3ds':
      return {
        tone: 'refused',
        says: `Your bank did not verify this card with 3-D Secure, so we took no money.${pending}`,
        hint: takesCrypto
          ? `Try a card that asks you to confirm in your banking app, or pay ${amount} with crypto.`
          : 'Try a card that asks you to confirm in your banking app.',
        next: 'another_card',
        crypto: takesCrypto ? 'first' : null,
      }
    case 'verification_failed':
    case 'abandoned':
      return {
        tone: 'refused',
        says: `You did not finish the confirmation. No money was taken.${pending}`,
        next: 'try_again',
        crypto: second,
      }
    case 'declined':
      return {
        tone: 'refused',
        says: `Your bank declined the payment. It does not tell us why; it can tell you. No money was taken.${pending}`,
        next: 'another_card',
        crypto: second,
      }
    case 'bank_unavailable':
      return {
        tone: 'refused',
        says: `Your bank’s check did not answer. No money was taken.${pending}`,
        hint: takesCrypto ? 'Retry in a few minutes, or pay with crypto.' : 'Retry in a few minutes.',
        next: 'try_again',
        crypto: second,
      }
    case 'wallet_without_3ds':
      return {
        tone: 'refused',
        says: `Wallet payments skip the confirmation; type the card number instead. No money was taken.${pending}`,
        next: 'try_again',
      }
    case 'expired':
      // The bank had reserved the amount: nobody left.
      if (mayShowPending)
        return {
          tone: 'refused',
          says: `Your bank had said yes and let the payment go before we took it. No money was taken.${pending}`,
          next: 'start_again',
        }
      return { tone: 'held', says: 'You left before paying. Nothing happened.', next: 'start_again' }
    case null:
      return {
        tone: 'refused',
        says: `This payment was not accepted. No money was taken.${pending}`,
        next: 'try_again',
      }
  }
}

/** Paid or to be paid, and not credited yet: stands above the statement, since the statement holds transfers only. */
export function isByCard(topup: Topup): topup is CardTopup {
  return topup.method === 'card'
}

export function isOnItsWay(topup: Pick<CardTopup, 'status'>): boolean {
  return topup.status === 'awaiting_payment' || topup.status === 'confirming'
}

export function isOverdue(topup: Pick<CardTopup, 'status' | 'trace'>, now: number): boolean {
  const answered = bankAnsweredAt(topup)
  return topup.status === 'confirming' && answered !== null && now - Date.parse(answered) > SETTLING_SOON_MS
}

function bankAnsweredAt(topup: Pick<CardTopup, 'trace'>): string | null {
  return topup.trace.find((step) => step.step === 'bank_answered')?.at ?? null
}
