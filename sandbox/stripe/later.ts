/**
 * What happens to a payment later, on demand: refunds from Stripe's dashboard, refunds that wait or fail, disputes and their ends,
 * warnings, holds that lapse. The real Stripe has none of these calls; there, banks and people do it. JSON without a login, or a form of the desk.
 */
import { Hono } from 'hono'
import type Stripe from 'stripe'
import { dollars } from '../money.ts'
import { type Bindings, isForm, readAsked } from '../web.ts'
import { type Asked, nothing, refusedPress, whole, word, wrong } from './asking.ts'
import { type Bank, lapse } from './bank.ts'
import { disputeKinds, disputeReasons, failureReasons, fraudTypes, refundOutcomes } from './cards.ts'
import { chargeNamed, plan, planOf } from './charges.ts'
import { decideDispute, disputeOutcomes, disputesOf, openDispute } from './disputes.ts'
import { settleDue } from './due.ts'
import { payOut } from './payouts.ts'
import { find } from './records.ts'
import { endRefund } from './refund-outcome.ts'
import { createRefund, LATER_SECONDS } from './refunds.ts'
import { warn } from './warnings.ts'

/** A refund may be made to wait for its end at most this long. */
const AFTER_SECONDS_MAX = 30 * 86_400
const REASONS = ['duplicate', 'fraudulent', 'requested_by_customer'] as const

/** What a press does: the object as it is then, and the sentence for the desk's log. */
type Done = { object: object; sentence: string; charge: Stripe.Charge | undefined }

export function laterControls(
  bank: Bank,
  note: (sentence: string, link?: string) => void,
  topupPage: (id: string) => string,
): Hono<Bindings> {
  const { books } = bank
  const app = new Hono<Bindings>()

  press('/refunds', (asked) => {
    const charge = payment(asked)
    const reason = word(asked, 'reason', REASONS) ?? null
    const refund = createRefund(bank, { charge, amount: whole(asked, 'amount', 1), reason, metadata: {} }, null)
    return {
      object: refund,
      sentence: `${dollars(refund.amount)} went back from Stripe’s dashboard; the shop was not asked.`,
      charge,
    }
  })

  press('/refunds/next', (asked) => {
    const charge = payment(asked)
    const outcome = word(asked, 'outcome', refundOutcomes) ?? wrong('outcome', `one of ${refundOutcomes.join(', ')}`)
    const afterSeconds = whole(asked, 'after_seconds', 0, AFTER_SECONDS_MAX)
    const failureReason = word(asked, 'failure_reason', failureReasons)
    const nextRefund = {
      outcome,
      ...(afterSeconds !== undefined && { afterSeconds }),
      ...(failureReason && { failureReason }),
    }
    plan(books, charge.id, { ...planOf(books, charge.id), nextRefund })
    return {
      object: { charge: charge.id, next_refund: outcome, after_seconds: afterSeconds ?? LATER_SECONDS },
      sentence: `The next refund of ${dollars(charge.amount)} ${refundWords[outcome]}.`,
      charge,
    }
  })

  press('/refunds/:id', (asked, id) => {
    const refund = find(books, 'refund', id) ?? nothing('refund', id)
    const status =
      word(asked, 'status', ['succeeded', 'failed', 'canceled']) ??
      wrong('status', 'one of succeeded, failed, canceled')
    endRefund(bank, refund, status, word(asked, 'failure_reason', failureReasons) ?? null)
    return {
      object: find(books, 'refund', id)!,
      sentence: `The refund of ${dollars(refund.amount)} ${status === 'succeeded' ? 'arrived' : `is ${status}`}.`,
      charge: find(books, 'charge', refund.charge as string),
    }
  })

  press('/disputes', (asked) => {
    const charge = payment(asked)
    const kind = word(asked, 'kind', disputeKinds) ?? 'dispute'
    const reason = word(asked, 'reason', disputeReasons) ?? 'fraudulent'
    const dispute = openDispute(bank, charge, { kind, reason, amount: whole(asked, 'amount', 1) })
    return { object: dispute, sentence: `${dollars(dispute.amount)}: ${disputeWords[kind]}.`, charge }
  })

  press('/disputes/:id', (asked, id) => {
    const dispute = find(books, 'dispute', id) ?? newestDisputeOf(id) ?? nothing('dispute', id)
    const outcome = word(asked, 'outcome', disputeOutcomes) ?? wrong('outcome', `one of ${disputeOutcomes.join(', ')}`)
    decideDispute(bank, dispute, outcome)
    return {
      object: dispute,
      sentence: `The dispute over ${dollars(dispute.amount)} ${outcomeWords[outcome]}: ${dispute.status}.`,
      charge: find(books, 'charge', dispute.charge as string),
    }
  })

  press('/warnings', (asked) => {
    const charge = payment(asked)
    if (!charge.captured) wrong('payment', 'one whose money was taken')
    const warning = warn(bank, charge, word(asked, 'fraud_type', fraudTypes) ?? 'unauthorized_use_of_card')
    return { object: warning, sentence: `The bank warns that ${dollars(charge.amount)} may be fraud.`, charge }
  })

  press('/payouts', () => {
    const payout = payOut(bank)
    return { object: payout, sentence: `${dollars(payout.amount)} were paid out to the shop.`, charge: undefined }
  })

  press('/lapse', (asked) => {
    const charge = payment(asked)
    const intent = lapse(bank, charge.payment_intent as string)!
    return { object: intent, sentence: `The hold of ${dollars(charge.amount)} lapsed; nothing is taken.`, charge }
  })

  return app

  function press(path: string, work: (asked: Asked, id: string) => Done): void {
    app.post(path, async (c) => {
      const asked = await readAsked(c)
      if (asked instanceof Response) return asked
      settleDue(bank)
      try {
        const { object, charge } = books.transaction(() => {
          const done = work(asked, c.req.param('id') ?? '')
          const topup = done.charge?.metadata['topup_id']
          note(done.sentence, topup ? topupPage(topup) : undefined)
          return done
        })
        return isForm(c) ? c.redirect(`/#${charge ? `payment-${charge.id}` : 'bank'}`, 303) : c.json(object)
      } catch (error) {
        return refusedPress(c, error)
      }
    })
  }

  function newestDisputeOf(name: string): Stripe.Dispute | undefined {
    const charge = chargeNamed(books, name)
    return charge && disputesOf(bank, charge).at(-1)
  }

  function payment(asked: Asked): Stripe.Charge {
    const name = asked['payment']
    if (typeof name !== 'string' || name === '')
      wrong('payment', 'the id of a charge, a payment intent, a session or a top-up')
    return chargeNamed(books, name) ?? nothing('payment', name)
  }
}

const refundWords: Record<(typeof refundOutcomes)[number], string> = {
  succeeds: 'will succeed',
  pends: 'will wait, and succeed later',
  pends_then_fails: 'will wait, and fail later',
  fails: 'will fail at once',
  fails_later: 'will succeed, and fail later',
  balance_insufficient: 'will be refused: the balance does not cover it',
}

const disputeWords: Record<(typeof disputeKinds)[number], string> = {
  dispute: 'the cardholder disputes it, and the money is gone for now',
  inquiry: 'the bank only asks; no money moved',
  prevented: 'a dispute was stopped before it came about; no money moved',
  prevented_refunded: 'a dispute was settled at once by giving the money back',
}

const outcomeWords: Record<(typeof disputeOutcomes)[number], string> = {
  win: 'went well for the shop',
  lose: 'went to the cardholder',
  escalate: 'became a real one',
  appeal: 'was taken up again',
  prevent: 'came to nothing',
  prevent_refunded: 'was settled by giving the money back',
}
