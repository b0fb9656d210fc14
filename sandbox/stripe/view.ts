/** What the desk shows of the bank. */
import type Stripe from 'stripe'
import type { Bank } from './bank.ts'
import type { RefundPlan } from './cards.ts'
import { chargeOf, planOf } from './charges.ts'
import { webhookState } from './delivery.ts'
import { disputable, disputesOf, isRefundable, stageOf } from './disputes.ts'
import type { DeliveryMode } from './events.ts'
import { find, newest } from './records.ts'
import { refundsOf } from './refund-outcome.ts'
import { threeDSecure } from './report.ts'
import { warningsOf } from './warnings.ts'

const SHOWN_MAX = 12

export type BankView = {
  mode: DeliveryMode
  waiting: number
  withheld: number
  payments: PaymentView[]
}

export type PaymentView = {
  session: string
  page: string | null
  amount: number
  created: number
  card: string | null
  state: 'open' | 'asked' | 'failed' | 'reserved' | 'captured' | 'released' | 'expired'
  reason: string | null
  topup: string | null
  charge: string | null
  /** Null until money was taken. */
  later: LaterView | null
}

/** What became of a captured payment, and what still can. Amounts are cents. */
export type LaterView = {
  refundable: number
  disputable: number
  nextRefund: RefundPlan['outcome'] | null
  refunds: { id: string; amount: number; status: string }[]
  disputes: { id: string; amount: number; status: string; stage: ReturnType<typeof stageOf> }[]
  warnings: { id: string; actionable: boolean }[]
}

/** The newest payments as the desk lists them. */
export function bankView(bank: Bank): BankView {
  const { mode, waiting, withheld } = webhookState(bank)
  const { books } = bank
  return {
    mode,
    waiting,
    withheld,
    payments: newest(books, 'checkout.session', SHOWN_MAX).map((session) => {
      const intent = intentOf(bank, session)
      const charge = chargeOf(bank.books, intent)
      const card = charge?.payment_method_details?.card
      return {
        session: session.id,
        page: session.status === 'open' ? session.url : null,
        amount: session.amount_total ?? 0,
        created: session.created,
        card: card ? `${card.brand} ${card.last4}` : null,
        state: stateOf(session, intent),
        reason:
          intent?.last_payment_error?.message ??
          (intent?.status === 'canceled' && charge ? `3-D Secure: ${threeDSecure(charge) ?? 'none'}` : null),
        topup: session.metadata?.['topup_id'] ?? session.client_reference_id,
        charge: charge?.id ?? null,
        later: charge?.captured ? laterOf(bank, charge) : null,
      }
    }),
  }
}

function laterOf(bank: Bank, charge: Stripe.Charge): LaterView {
  return {
    refundable: isRefundable(bank, charge) ? charge.amount_captured - charge.amount_refunded : 0,
    disputable: disputable(bank, charge),
    nextRefund: planOf(bank.books, charge.id).nextRefund?.outcome ?? null,
    refunds: refundsOf(bank, charge).map(({ id, amount, status }) => ({ id, amount, status: status ?? '' })),
    disputes: disputesOf(bank, charge).map((each) => {
      return { id: each.id, amount: each.amount, status: each.status, stage: stageOf(each) }
    }),
    warnings: warningsOf(bank, charge).map(({ id, actionable }) => ({ id, actionable })),
  }
}

function intentOf(bank: Bank, session: Stripe.Checkout.Session): Stripe.PaymentIntent | undefined {
  const id = session.payment_intent as string | null
  return id === null ? undefined : find(bank.books, 'payment_intent', id)
}

function stateOf(
  session: Stripe.Checkout.Session,
  intent: Stripe.PaymentIntent | undefined,
): BankView['payments'][number]['state'] {
  if (session.status === 'expired') return 'expired'
  switch (intent?.status) {
    case 'succeeded':
      return 'captured'
    case 'requires_capture':
      return 'reserved'
    case 'canceled':
      return 'released'
    case 'requires_action':
      return 'asked'
    case 'requires_payment_method':
      return 'failed'
    default:
      return 'open'
  }
}
