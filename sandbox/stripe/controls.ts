/**
 * What the real Stripe does not have: the bank's own books in one answer, payments without a browser, and faults on demand.
 * JSON without a login; the desk's buttons post the same as forms.
 */
import { Hono } from 'hono'
import type Stripe from 'stripe'
import { type Bindings, isForm, problem, readAsked } from '../web.ts'
import { type Answered, answerChallenge, type Bank, pay } from './bank.ts'
import { looksLikeCard } from './cards.ts'
import { settleDue } from './due.ts'
import { type DeliveryMode, deliveryMode, deliveryModes, setDeliveryMode } from './events.ts'
import { COUNT_MAX, DELAY_MILLISECONDS_MAX, type Faults, operations } from './faults.ts'
import { find, newest } from './records.ts'

/** More of a kind than this are not listed one by one; the totals always count all. */
const LISTED_MAX = 20_000

const modeSentences: Record<DeliveryMode, string> = {
  on: 'Webhooks are sent at once.',
  off: 'Webhooks are lost from now on.',
  double: 'Each webhook is sent twice from now on.',
  late: 'Webhooks come five seconds late from now on.',
  reordered: 'Webhooks that belong together come last first from now on.',
}

export function controls(bank: Bank, faults: Faults, note: (sentence: string, link?: string) => void): Hono<Bindings> {
  const app = new Hono<Bindings>()

  app.get('/webhooks', (c) => c.json(webhookState(bank)))

  app.post('/webhooks', async (c) => {
    const asked = await readAsked(c)
    if (asked instanceof Response) return asked
    const mode = deliveryModes.find((each) => each === asked['mode'])
    if (!mode) return problem(c, 400, 'invalid_request', `mode is one of ${deliveryModes.join(', ')}.`, 'mode')
    bank.books.transaction(() => {
      if (deliveryMode(bank.books) !== mode) note(modeSentences[mode])
      setDeliveryMode(bank.books, mode)
    })
    return isForm(c) ? c.redirect('/#bank', 303) : c.json(webhookState(bank))
  })

  app.get('/books', (c) => {
    settleDue(bank)
    return c.json(ownBooks(bank))
  })

  app.get('/answers', (c) => c.json(faults.state()))

  app.post('/answers', async (c) => {
    const asked = await readAsked(c)
    if (asked instanceof Response) return asked
    const { drop_next: drop, delay_next: delay, count = 1, delay_ms: milliseconds = 1_000 } = asked
    for (const [field, value] of Object.entries({ drop_next: drop, delay_next: delay })) {
      if (value !== undefined && value !== null && !operations.some((each) => each === value))
        return problem(c, 400, 'invalid_request', `${field} is one of ${operations.join(', ')}, or null.`, field)
    }
    if (!isWhole(count, 1, COUNT_MAX))
      return problem(c, 400, 'invalid_request', `count is a whole number from 1 to ${COUNT_MAX}.`, 'count')
    if (!isWhole(milliseconds, 0, DELAY_MILLISECONDS_MAX))
      return problem(c, 400, 'invalid_request', `delay_ms is at most ${DELAY_MILLISECONDS_MAX}.`, 'delay_ms')
    if (drop !== undefined) faults.dropNext(operations.find((each) => each === drop) ?? null, count)
    if (delay !== undefined) faults.delayNext(operations.find((each) => each === delay) ?? null, count, milliseconds)
    return c.json(faults.state())
  })

  app.post('/pay', async (c) => {
    const asked = await readAsked(c)
    if (asked instanceof Response) return asked
    const { session, challenge = 'complete' } = asked
    const number = typeof asked['card'] === 'string' ? asked['card'].replace(/[\s-]/g, '') : ''
    if (typeof session !== 'string')
      return problem(c, 400, 'invalid_request', 'session is the id of a session.', 'session')
    if (!looksLikeCard(number))
      return problem(c, 400, 'invalid_request', 'card is a card number with a right check digit.', 'card')
    if (challenge !== 'complete' && challenge !== 'fail' && challenge !== 'close')
      return problem(c, 400, 'invalid_request', 'challenge is complete, fail or close.', 'challenge')
    const year = new Date(bank.clock()).getUTCFullYear() + 4
    settleDue(bank)
    const paid = pay(bank, session, { number, expMonth: 12, expYear: year })
    if (!paid) return problem(c, 404, 'not_found', `There is no session ${session}.`, 'session')
    if (paid.outcome !== 'challenge' || challenge === 'close') return c.json(told(bank, session, paid))
    return c.json(told(bank, session, answerChallenge(bank, paid.challenge, challenge)!))
  })

  app.all('*', (c) => problem(c, 404, 'not_found', `There is no ${c.req.method} ${c.req.path}.`))
  return app
}

function isWhole(value: unknown, min: number, max: number): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max
}

/** Where the browser would stand now, and why. */
function told(bank: Bank, session: string, paid: Answered) {
  const page = `${bank.url()}/c/pay/${session}`
  switch (paid.outcome) {
    case 'authorized':
      return { outcome: 'authorized', redirect_to: paid.redirectTo, payment_intent: paid.intent }
    case 'challenge':
      return {
        outcome: 'challenge_open',
        // The window is closed: the browser is nowhere.
        redirect_to: null,
        challenge_url: `${bank.url()}/c/challenge/${paid.challenge}`,
        payment_intent: paid.intent,
      }
    case 'challenge_failed':
      return { outcome: 'challenge_failed', redirect_to: page, payment_intent: paid.intent }
    case 'declined':
      return {
        outcome: 'declined',
        redirect_to: page,
        code: paid.code,
        decline_code: paid.declineCode ?? null,
        message: paid.message,
        payment_intent: paid.intent,
      }
    case 'closed':
      return {
        outcome: paid.session.status === 'complete' ? 'already_complete' : 'expired',
        redirect_to:
          paid.session.status === 'complete'
            ? (paid.session.success_url ?? '').replaceAll('{CHECKOUT_SESSION_ID}', session)
            : page,
        payment_intent: paid.session.payment_intent,
      }
  }
}

function webhookState(bank: Bank) {
  const counted = bank.books.all<{ state: string; count: number }>(
    'select state, count(*) as count from stripe_deliveries group by state',
  )
  const count = (state: string) => counted.find((row) => row.state === state)?.count ?? 0
  return {
    mode: deliveryMode(bank.books),
    waiting: count('due'),
    delivered: count('delivered'),
    lost: count('lost'),
    given_up: count('given_up'),
  }
}

const listed = ['sessions', 'payment_intents', 'charges', 'refunds', 'disputes', 'warnings', 'balance_transactions']

/** The bank's side of the story, for comparison with ours. Amounts are whole cents. */
function ownBooks(bank: Bank) {
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

function threeDSecure(charge: Stripe.Charge): string | null {
  return charge.payment_method_details?.card?.three_d_secure?.result ?? null
}

const SHOWN_MAX = 12

export type BankView = {
  mode: DeliveryMode
  waiting: number
  payments: {
    session: string
    page: string | null
    amount: number
    created: number
    card: string | null
    state: 'open' | 'asked' | 'failed' | 'reserved' | 'captured' | 'released' | 'expired'
    reason: string | null
    topup: string | null
  }[]
}

/** The newest payments as the desk lists them. */
export function bankView(bank: Bank): BankView {
  const { mode, waiting } = webhookState(bank)
  const { books } = bank
  return {
    mode,
    waiting,
    payments: newest(books, 'checkout.session', SHOWN_MAX).map((session) => {
      const intent = intentOf(bank, session)
      const charge = chargeOf(bank, intent)
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
      }
    }),
  }
}

function intentOf(bank: Bank, session: Stripe.Checkout.Session): Stripe.PaymentIntent | undefined {
  const id = session.payment_intent as string | null
  return id === null ? undefined : find(bank.books, 'payment_intent', id)
}

function chargeOf(bank: Bank, intent: Stripe.PaymentIntent | undefined): Stripe.Charge | undefined {
  const id = intent?.latest_charge as string | null | undefined
  return id ? find(bank.books, 'charge', id) : undefined
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
