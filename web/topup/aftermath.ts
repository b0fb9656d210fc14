/** In words: what became of a top-up's money after it was credited. */
import type { CardTopup, TopupDispute, TopupRefund } from '../../contract/contract.ts'
import { displayAmount } from '../../contract/money.ts'
import { cardWords, REFUND_DAYS, whyRefundFailed } from '../../contract/receipts.ts'
import type { MarkState } from '../ui/Mark.tsx'
import type { InkName } from '../ui/Money.tsx'
import type { Tone } from '../ui/tone.ts'

/** What a step did to the money; `ink`: it is not simply spent or received. */
type Did = { amount: string; ink?: { name: InkName; word: string } }
export type Telling = {
  key: string
  state: MarkState
  text: string
  at: string | null
  money: Did | null
  /** It was taken back since. */
  struck?: boolean
}

type DayOf = (instant: string) => string

/** A refund to the card: asked for, sent, shown by the bank; or that it failed. */
export function refundSteps(refund: TopupRefund, card: CardTopup['card'], dayOf: DayOf): Telling[] {
  const amount = displayAmount(refund.amount)
  const to = cardWords(card)
  const asked: Telling = {
    key: 'asked',
    state: 'done',
    text: {
      you: `You asked for ${amount} back.`,
      us: `We are returning ${amount}.`,
      card_company: `${amount} was returned by the card company.`,
    }[refund.origin],
    at: refund.requested_at,
    money:
      refund.origin === 'card_company' || refund.status === 'succeeded'
        ? null
        : { amount: refund.amount, ink: { name: 'held', word: 'held' } },
  }
  switch (refund.status) {
    case 'requested':
    case 'pending':
      return [
        asked,
        {
          key: 'sent',
          state: 'waiting',
          text: refund.status === 'pending' ? `On its way to ${to}.` : `Sending it to ${to}.`,
          at: null,
          money: null,
        },
        {
          key: 'shown',
          state: 'to_come',
          text: `Your bank shows it ${REFUND_DAYS} after it was sent.`,
          at: null,
          money: null,
        },
      ]
    case 'succeeded':
      return [
        asked,
        {
          key: 'sent',
          state: 'done',
          text: `Sent to ${to}.`,
          at: refund.ended_at,
          money: { amount: `-${refund.amount}` },
        },
        {
          key: 'shown',
          state: 'to_come',
          text: refund.expected_by
            ? `Your bank shows it by ${dayOf(refund.expected_by)}.`
            : `Your bank shows it within ${REFUND_DAYS}.`,
          at: null,
          money: null,
        },
      ]
    case 'failed':
      return [
        { ...asked, money: null },
        {
          key: 'sent',
          state: 'cannot',
          text: `It could not be returned. ${whyRefundFailed(refund.reason)}`,
          at: refund.ended_at,
          money: null,
        },
        {
          key: 'back',
          state: 'done',
          text: `${amount} is in your credits again.`,
          at: refund.ended_at,
          money: { amount: refund.amount, ink: { name: 'available', word: 'available' } },
        },
      ]
  }
}

export type DisputeTold = { tone: Tone; says: string; todo: string | null; steps: Telling[] }

/** A dispute, an inquiry or a warning: what happened, what is frozen, what is owed, what may be done. */
export function disputeWords(dispute: TopupDispute, card: CardTopup['card'], dayOf: DayOf): DisputeTold {
  const from = cardWords(card)
  const amount = displayAmount(dispute.amount)
  const over = dispute.status === 'won' || dispute.status === 'lost' || dispute.status === 'closed'
  const frozen = isZero(dispute.frozen)
    ? ''
    : ` ${displayAmount(dispute.frozen)} of its credits is frozen until that is decided.`
  // What is frozen contains what is owed: it is kept, whether it is there or not.
  const owed = isZero(dispute.owed)
    ? ''
    : over
      ? ` ${displayAmount(dispute.owed)} had been spent already and is owed; what comes in next pays it first.`
      : ` Of it, ${displayAmount(dispute.owed)} had been spent already: that is what you owe for now, and what comes in next pays it first.`
  return {
    tone: dispute.status === 'lost' ? 'refused' : over ? 'arrived' : 'held',
    says: `${whatHappened(dispute, amount, from)}${over ? '' : frozen}${owed}`,
    todo: whatToDo(dispute),
    steps: [
      {
        key: 'opened',
        state: 'done',
        text: `${openedWords[dispute.kind]} The bank says: ${dispute.reason}.`,
        at: dispute.opened_at,
        money: isZero(dispute.frozen) ? null : { amount: dispute.frozen, ink: { name: 'frozen', word: 'frozen' } },
      },
      {
        key: 'decided',
        state: over ? (dispute.status === 'lost' ? 'cannot' : 'done') : 'waiting',
        text: over ? `Decided on ${dayOf(dispute.ended_at ?? dispute.opened_at)}.` : waitingWords(dispute),
        at: over ? dispute.ended_at : null,
        money: isZero(dispute.owed) ? null : { amount: dispute.owed, ink: { name: 'owed', word: 'owed' } },
      },
    ],
  }
}

const openedWords: Record<TopupDispute['kind'], string> = {
  dispute: 'The payment was disputed.',
  inquiry: 'The bank asked about the payment.',
  warning: 'The bank warned us about the payment.',
}

function whatHappened(dispute: TopupDispute, amount: string, card: string): string {
  switch (dispute.status) {
    case 'won':
      return `The bank decided that the payment of ${amount} by ${card} stands. Its credits are yours to spend again.`
    case 'lost':
      return `The bank gave ${amount} back to the cardholder of ${card}. The credits that the payment had bought are gone.`
    case 'closed':
      return `The bank has closed its question about the payment of ${amount} by ${card}. Nothing is frozen because of it any more.`
    case 'open':
    case 'under_review':
      return {
        dispute: `The payment of ${amount} by ${card} was disputed at the bank, which took the money back until it has decided.`,
        inquiry: `The bank asks about the payment of ${amount} by ${card}. No money has moved.`,
        warning: `The bank warned us that the payment of ${amount} by ${card} may not have been made by the cardholder.`,
      }[dispute.kind]
  }
}

function whatToDo(dispute: TopupDispute): string | null {
  switch (dispute.status) {
    case 'won':
    case 'closed':
      return null
    case 'lost':
      return dispute.cards_blocked
        ? 'You go on seeing your account and its history. Cards are not taken for this account any more; our support can tell you what is possible.'
        : 'You go on seeing your account and its history. We take your cards again.'
    case 'open':
    case 'under_review': {
      const rest =
        'You can spend what is available, and see everything as before. Until it is decided no card is taken, and nothing of this top-up can be returned.'
      return {
        dispute: `${rest} If it was you who disputed it by mistake, tell your bank and write to our support.`,
        inquiry: `${rest} If the payment was yours, tell your bank and write to our support.`,
        warning: `${rest} If the payment was yours, tell your bank and write to our support.`,
      }[dispute.kind]
    }
  }
}

function waitingWords(dispute: TopupDispute): string {
  if (dispute.kind === 'warning') return 'We are looking at it.'
  return dispute.status === 'under_review' ? 'The bank has our answer and decides.' : 'We are answering the bank.'
}

/** A bank took its money back, for now or for good. */
export function isContested(topup: Pick<CardTopup, 'disputes'>): boolean {
  return topup.disputes.some(({ kind, status }) => (isOpen(status) ? kind === 'dispute' : status === 'lost'))
}

function isOpen(status: TopupDispute['status']): boolean {
  return status === 'open' || status === 'under_review'
}

/** Why nothing of a credited top-up can be returned now. Null: something can, all of it went back, or what a bank says tells it. */
export function whyNotReturnable(topup: CardTopup): string | null {
  if (topup.status !== 'credited' || !isZero(topup.returnable) || topup.returned === topup.amount) return null
  if (topup.disputes.some(({ status }) => isOpen(status) || status === 'lost')) return null
  return 'Nothing of this top-up can be returned at the moment: it is spent, or held.'
}

export function isZero(amount: string): boolean {
  return /^0*\.?0*$/.test(amount)
}
