/**
 * The bank: what happens to a checkout session, its payment intent and its charge. Each verb is one transaction of the books
 * that also writes the events telling of it, so that nothing happens unannounced and nothing is announced that did not happen.
 */
import type Stripe from 'stripe'
import type { Books } from '../books.ts'
import { type Clock, seconds } from '../clock.ts'
import { randomLetters } from '../ids.ts'
import { brandOf, type Decline, nonTestCard, type TestCard, testCard, type Verification } from './cards.ts'
import type { ChargePlan } from './charges.ts'
import { StripeRefusal } from './errors.ts'
import { type Cause, write } from './events.ts'
import {
  HOLD_SECONDS,
  type IntentData,
  newCharge,
  newLineItem,
  newPaymentIntent,
  newPaymentMethod,
  newSession,
  type Ordered,
  type Typed,
  threeDSecureOf,
} from './objects.ts'
import { change, extraOf, find, findChallenge, put, putChallenge, sessionOf } from './records.ts'

export type Bank = {
  books: Books
  clock: Clock
  /** Where browsers find this program; known once it listens. */
  url: () => string
  /** Whose account it is, in the words that customers read. */
  shopName: string
}

/** How long after a capture its balance transaction appears, in seconds: Stripe books captures asynchronously. */
const BALANCE_AFTER_SECONDS = 1

export function createSession(
  bank: Bank,
  asked: Omit<Parameters<typeof newSession>[0], 'now' | 'url' | 'amount' | 'currency'>,
  ordered: Ordered[],
  intent: IntentData,
): Stripe.Checkout.Session {
  const { books } = bank
  const now = seconds(bank.clock)
  return books.transaction(() => {
    const session = newSession({
      ...asked,
      now,
      url: bank.url(),
      amount: ordered.reduce((sum, line) => sum + line.amount, 0),
      currency: ordered[0]!.currency,
    })
    put(books, session, { session: session.id, dueAt: session.expires_at, extra: intent })
    for (const line of ordered) put(books, newLineItem(line, now), { session: session.id })
    return session
  })
}

export function expireSession(bank: Bank, id: string, cause: Cause): Stripe.Checkout.Session | undefined {
  const { books } = bank
  return books.transaction(() => {
    const session = find(books, 'checkout.session', id)
    if (!session) return undefined
    if (session.status !== 'open')
      throw new StripeRefusal(
        400,
        `Only Checkout Sessions with a status in ["open"] can be expired. This Session has a status of \`${session.status}\`.`,
        { executed: true },
      )
    session.status = 'expired'
    session.url = null
    change(books, session, null)
    const intent = intentOf(bank, session)
    if (intent) {
      intent.status = 'canceled'
      intent.canceled_at = seconds(bank.clock)
      intent.cancellation_reason = 'automatic'
      intent.next_action = null
      change(books, intent, null)
      write(bank, session.id, 'payment_intent.canceled', intent, cause)
    }
    write(bank, session.id, 'checkout.session.expired', session, cause)
    return session
  })
}

export type Paid =
  | { outcome: 'authorized'; redirectTo: string; intent: string }
  | { outcome: 'challenge'; challenge: string; intent: string }
  | { outcome: 'declined'; message: string; code: string; declineCode?: string; intent: string }
  /** Nothing was asked of the bank: the session is no longer open. */
  | { outcome: 'closed'; session: Stripe.Checkout.Session }

/** The customer presses Pay. A card that failed before, or a challenge left open, may be followed by another. */
export function pay(bank: Bank, sessionId: string, typed: Typed, shown: Shown = {}): Paid | undefined {
  const { books } = bank
  return books.transaction(() => {
    const session = find(books, 'checkout.session', sessionId)
    if (!session) return undefined
    if (session.status !== 'open') return { outcome: 'closed', session }
    const now = seconds(bank.clock)
    const intent = intentOf(bank, session) ?? bearIntent(bank, session)
    const card = testCard(typed.number)
    const method = newPaymentMethod(typed, card, brandOf(typed.number), session.customer_email, now)
    put(books, method, { session: session.id })

    const asked = session.payment_method_options?.card?.request_three_d_secure !== 'automatic'
    const verification = card && (asked || card.insists) ? card.verification : 'unsupported'
    if (verification === 'challenge' || card?.captcha) {
      const challenge = randomLetters(32)
      putChallenge(books, { id: challenge, session: session.id, method: method.id, number: typed.number })
      intent.status = 'requires_action'
      intent.payment_method = method.id
      intent.last_payment_error = null
      intent.next_action = {
        type: 'redirect_to_url',
        redirect_to_url: { url: `${bank.url()}/c/challenge/${challenge}`, return_url: session.url },
      }
      change(books, intent, null)
      write(bank, session.id, 'payment_intent.requires_action', intent, null)
      return { outcome: 'challenge', challenge, intent: intent.id }
    }
    return charge(bank, session, intent, method, card, verification, shown)
  })
}

export type Answered = Paid | { outcome: 'challenge_failed'; intent: string; session: Stripe.Checkout.Session }

/** The customer answers the bank's page. Undefined: no such page, or another card was tried since. */
export function answerChallenge(bank: Bank, id: string, answer: 'complete' | 'fail'): Answered | undefined {
  const { books } = bank
  return books.transaction(() => {
    const challenge = findChallenge(books, id)
    const session = challenge && find(books, 'checkout.session', challenge.session)
    if (!challenge || !session) return undefined
    if (session.status !== 'open') return { outcome: 'closed', session }
    const intent = intentOf(bank, session)
    const method = find(books, 'payment_method', challenge.method)
    if (!intent || !method || intent.status !== 'requires_action' || intent.payment_method !== method.id)
      return undefined
    const card = testCard(challenge.number)
    if (answer === 'complete')
      return charge(bank, session, intent, method, card, card?.captcha ? card.verification : 'challenge')
    failed(
      bank,
      session,
      intent,
      card?.captcha ? { ...declinedToRobots, payment_method: method } : notConfirmed(method),
    )
    return { outcome: 'challenge_failed', intent: intent.id, session }
  })
}

function notConfirmed(method: Stripe.PaymentMethod): Stripe.PaymentIntent.LastPaymentError {
  return {
    code: 'payment_intent_authentication_failure',
    doc_url: 'https://stripe.com/docs/error-codes/payment-intent-authentication-failure',
    message:
      'We are unable to authenticate your payment method. Please choose a different payment method and try again.',
    payment_method: method,
    payment_method_type: 'card',
    type: 'invalid_request_error',
  }
}

/** The bank was never asked. */
const declinedToRobots: Stripe.PaymentIntent.LastPaymentError = {
  code: 'card_declined',
  decline_code: 'generic_decline',
  doc_url: 'https://stripe.com/docs/error-codes/card-declined',
  message: 'Your card was declined.',
  payment_method_type: 'card',
  type: 'card_error',
}

/** Takes the reserved amount. Undefined: no such payment intent. */
export function capture(
  bank: Bank,
  id: string,
  asked: { amountToCapture?: number | undefined; metadata?: Record<string, string> | undefined },
  cause: Cause,
): Stripe.PaymentIntent | undefined {
  const { books } = bank
  return books.transaction(() => {
    const intent = find(books, 'payment_intent', id)
    if (!intent) return undefined
    if (intent.status !== 'requires_capture') throw unexpectedState(intent, 'capture', ['requires_capture'])
    const amount = asked.amountToCapture ?? intent.amount_capturable
    if (amount > intent.amount_capturable)
      throw new StripeRefusal(400, 'The specified amount_to_capture is greater than the amount you can capture.', {
        code: 'amount_too_large',
        param: 'amount_to_capture',
      })
    if (amount !== intent.amount_capturable)
      throw new StripeRefusal(400, 'This stand-in for Stripe captures the whole amount or nothing.', {
        param: 'amount_to_capture',
      })
    Object.assign(intent.metadata, asked.metadata)
    take(bank, intent, find(books, 'charge', intent.latest_charge as string)!, cause)
    const session = find(books, 'checkout.session', sessionOf(books, intent.id)!)!
    session.payment_status = 'paid'
    change(books, session, null)
    return intent
  })
}

/** Lets the reserved amount go. Undefined: no such payment intent. */
export function cancel(
  bank: Bank,
  id: string,
  reason: Stripe.PaymentIntent.CancellationReason | null,
  cause: Cause,
): Stripe.PaymentIntent | undefined {
  const { books } = bank
  return books.transaction(() => {
    const intent = find(books, 'payment_intent', id)
    if (!intent) return undefined
    if (intent.status === 'succeeded' || intent.status === 'canceled')
      throw unexpectedState(intent, 'cancel', [
        ...['requires_payment_method', 'requires_capture', 'requires_confirmation', 'requires_action', 'processing'],
      ])
    const session = sessionOf(books, intent.id)!
    if (intent.status !== 'requires_capture')
      throw new StripeRefusal(
        400,
        `You cannot cancel this PaymentIntent because it was created by the Checkout Session ${session}, which is still open. Expire the Checkout Session instead.`,
        { code: 'payment_intent_unexpected_state', payment_intent: intent, executed: true },
      )
    release(bank, intent, reason, cause)
    return intent
  })
}

function intentOf(bank: Bank, session: Stripe.Checkout.Session): Stripe.PaymentIntent | undefined {
  return session.payment_intent === null
    ? undefined
    : find(bank.books, 'payment_intent', session.payment_intent as string)
}

function bearIntent(bank: Bank, session: Stripe.Checkout.Session): Stripe.PaymentIntent {
  const intent = newPaymentIntent(session, extraOf<IntentData>(bank.books, session.id), seconds(bank.clock))
  put(bank.books, intent, { session: session.id })
  session.payment_intent = intent.id
  change(bank.books, session, session.expires_at)
  write(bank, session.id, 'payment_intent.created', intent, null)
  return intent
}

function charge(
  bank: Bank,
  session: Stripe.Checkout.Session,
  intent: Stripe.PaymentIntent,
  method: Stripe.PaymentMethod,
  card: TestCard | undefined,
  verification: Verification,
  shown: Shown = {},
): Paid {
  const { books } = bank
  const now = seconds(bank.clock)
  const decline: Decline | undefined = card ? card.decline : nonTestCard
  const threeDSecure = card && !decline?.blocked ? threeDSecureOf(verification, card.brand) : null
  const charged = newCharge(intent, method, card, threeDSecure, decline, now)
  show(charged, shown)
  intent.latest_charge = charged.id
  intent.next_action = null

  if (decline) {
    put(books, charged, { session: session.id })
    write(bank, session.id, 'charge.failed', charged, null)
    failed(bank, session, intent, {
      charge: charged.id,
      code: decline.code,
      ...(decline.decline_code && { decline_code: decline.decline_code }),
      doc_url: `https://stripe.com/docs/error-codes/${decline.code.replaceAll('_', '-')}`,
      message: decline.message,
      ...(decline.blocked ? {} : { network_decline_code: '05' }),
      payment_method: method,
      payment_method_type: 'card',
      type: 'card_error',
    })
    return {
      outcome: 'declined',
      message: decline.message,
      code: decline.code,
      ...(decline.decline_code && { declineCode: decline.decline_code }),
      intent: intent.id,
    }
  }

  const extra: ChargePlan = { availableAtOnce: card?.availableAtOnce ?? false, ...(card && { number: card.number }) }
  put(books, charged, { session: session.id, extra })
  intent.payment_method = method.id
  intent.last_payment_error = null
  session.status = 'complete'
  session.url = null
  write(bank, session.id, 'charge.succeeded', charged, null)
  if (intent.capture_method === 'manual') {
    intent.status = 'requires_capture'
    intent.amount_capturable = intent.amount
    change(books, intent, now + HOLD_SECONDS)
    write(bank, session.id, 'payment_intent.amount_capturable_updated', intent, null)
  } else {
    take(bank, intent, charged, null)
    session.payment_status = 'paid'
  }
  change(books, session, null)
  write(bank, session.id, 'checkout.session.completed', session, null)
  return {
    outcome: 'authorized',
    redirectTo: (session.success_url ?? '').replaceAll('{CHECKOUT_SESSION_ID}', session.id),
    intent: intent.id,
  }
}

/** What no test card has, said of a charge by whoever presses Pay without a browser. */
export type Shown = {
  /** Null: it says nothing of 3-D Secure. Also a word that does not exist yet. */
  threeDSecure?: string | null | undefined
  exemption?: 'low_risk' | 'none' | undefined
  wallet?: 'apple_pay' | 'google_pay' | 'link' | undefined
}

function show(charged: Stripe.Charge, shown: Shown): void {
  const card = charged.payment_method_details!.card!
  if (shown.threeDSecure === null) card.three_d_secure = null
  else if (shown.threeDSecure !== undefined || shown.exemption !== undefined)
    card.three_d_secure = {
      ...(card.three_d_secure ?? threeDSecureOf('not_enrolled', card.brand ?? 'visa')!),
      ...(shown.threeDSecure !== undefined && { result: shown.threeDSecure as 'authenticated' }),
      ...(shown.exemption !== undefined && { exemption_indicator: shown.exemption }),
    }
  if (shown.wallet) card.wallet = { dynamic_last4: null, type: shown.wallet, [shown.wallet]: {} }
}

/** Back to the same page with a reason; another card may be tried. */
function failed(
  bank: Bank,
  session: Stripe.Checkout.Session,
  intent: Stripe.PaymentIntent,
  reason: Stripe.PaymentIntent.LastPaymentError,
): void {
  intent.status = 'requires_payment_method'
  intent.payment_method = null
  intent.next_action = null
  intent.last_payment_error = reason
  change(bank.books, intent, null)
  write(bank, session.id, 'payment_intent.payment_failed', intent, null)
}

function take(bank: Bank, intent: Stripe.PaymentIntent, charged: Stripe.Charge, cause: Cause): void {
  const { books } = bank
  const session = sessionOf(books, intent.id)!
  const wasReserved = intent.status === 'requires_capture'
  charged.captured = true
  charged.amount_captured = charged.amount
  charged.receipt_url = `${bank.url()}/c/pay/${session}`
  intent.status = 'succeeded'
  intent.amount_received = intent.amount
  intent.amount_capturable = 0
  change(books, charged, seconds(bank.clock) + BALANCE_AFTER_SECONDS)
  change(books, intent, null)
  if (wasReserved) write(bank, session, 'charge.captured', charged, cause)
  write(bank, session, 'payment_intent.succeeded', intent, cause)
}

/** Undefined: no such payment intent. A hold lapses without anybody's call, and says so. */
export function lapse(bank: Bank, id: string): Stripe.PaymentIntent | undefined {
  const { books } = bank
  return books.transaction(() => {
    const intent = find(books, 'payment_intent', id)
    if (!intent) return undefined
    if (intent.status !== 'requires_capture') throw unexpectedState(intent, 'cancel', ['requires_capture'])
    release(bank, intent, 'automatic', null)
    return intent
  })
}

function release(
  bank: Bank,
  intent: Stripe.PaymentIntent,
  reason: Stripe.PaymentIntent.CancellationReason | null,
  cause: Cause,
): void {
  const { books } = bank
  const session = sessionOf(books, intent.id)!
  const charged = find(books, 'charge', intent.latest_charge as string)!
  // Stripe shows a released authorisation as refunded in full; there is no Refund object and no fee.
  charged.refunded = true
  charged.amount_refunded = charged.amount
  intent.status = 'canceled'
  intent.canceled_at = seconds(bank.clock)
  intent.cancellation_reason = reason
  intent.amount_capturable = 0
  change(books, charged, null)
  change(books, intent, null)
  const lapsed = cause === null
  write(bank, session, lapsed ? 'charge.expired' : 'charge.refunded', charged, cause)
  write(bank, session, 'payment_intent.canceled', intent, cause)
}

function unexpectedState(intent: Stripe.PaymentIntent, verb: string, allowed: string[]): StripeRefusal {
  const past = verb === 'capture' ? 'captured' : 'canceled'
  return new StripeRefusal(
    400,
    `This PaymentIntent could not be ${past} because it has a status of ${intent.status}. Only a PaymentIntent with one of the following statuses may be ${past}: ${allowed.join(', ')}.`,
    { code: 'payment_intent_unexpected_state', payment_intent: intent, executed: true },
  )
}
