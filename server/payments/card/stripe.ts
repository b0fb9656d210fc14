/**
 * Stripe, through its official SDK: the calls that a card top-up and what follows it make, the lists of what happened, and the signature
 * of its webhooks.
 *
 * Each call that changes something carries an idempotency key derived from the top-up's id or the refund's, so that a repetition is the same call.
 * What the caller must act upon is a value: the answer, a refusal, or that the outcome is not known.
 */
import Stripe from 'stripe'
import { printId } from '../../platform/ids.ts'

/** The version whose types the SDK ships; webhooks of other versions are read for ids only. */
export const API_VERSION = '2026-10-28.endive'

const TIMEOUT_MS = 15_000
const NETWORK_RETRIES_MAX = 2
/** A webhook's timestamp may differ from our clock by this much, in both directions. */
const SIGNATURE_TOLERANCE_SECONDS = 300
const SIGNATURE_HEADER_CHARACTERS_MAX = 4_096
/** Stripe's own limit of a page, and where we stop reading: no payment has that many of anything. */
const PAGE_OBJECTS_MAX = 100
const LISTED_OBJECTS_MAX = 1_000

export type Answer<Value> =
  | { ok: true; value: Value }
  /** Stripe says no; a repetition would say the same. */
  | { ok: false; why: 'refused'; code: string; message: string }
  /** It may have happened or not: repeat the same call later. Never decide anything on it. */
  | { ok: false; why: 'unknown'; code: string; message: string }

/** The code of an unknown outcome that only the operator can mend: Stripe does not accept our key for this call. */
export const KEY_REFUSED = 'key_refused'

export type SessionCall = Stripe.Checkout.SessionCreateParams

/** A session read together with its payment and the last charge. */
export type Session = Stripe.Checkout.Session
export type PaymentIntent = Stripe.PaymentIntent
export type Refund = Stripe.Refund
/** Written down before the call, and sent as it was written. */
export type RefundCall = { idempotencyKey: string; parameters: Stripe.RefundCreateParams }
/** A charge read together with its payment. */
export type Charge = Stripe.Charge
export type BalanceTransaction = Stripe.BalanceTransaction
export type Dispute = Stripe.Dispute
export type FraudWarning = Stripe.Radar.EarlyFraudWarning

export type CardCompany = ReturnType<typeof openStripe>

/**
 * `apiUrl`: where the API is when it is not at its usual place (http://127.0.0.1:3001); refused together with a live key, because
 * that would hand a key that moves real money to whoever answers there.
 */
export function openStripe(settings: { secretKey: string; apiUrl: string | null }) {
  if (settings.apiUrl && /^[a-z]+_live_/.test(settings.secretKey)) {
    throw new Error('STRIPE_API_URL must not be set together with a live STRIPE_SECRET_KEY. Remove one of them.')
  }
  const stripe = new Stripe(settings.secretKey, {
    apiVersion: API_VERSION,
    timeout: TIMEOUT_MS,
    maxNetworkRetries: NETWORK_RETRIES_MAX,
    telemetry: false,
    ...(settings.apiUrl ? placeOf(settings.apiUrl) : {}),
  })
  return {
    createSession(topupId: string, call: SessionCall): Promise<Answer<Session>> {
      return answer(stripe.checkout.sessions.create(call, { idempotencyKey: keyOf(topupId, 'session') }))
    },

    readSession(sessionId: string): Promise<Answer<Session>> {
      return answer(stripe.checkout.sessions.retrieve(sessionId, { expand: ['payment_intent.latest_charge'] }))
    },

    /** Closes the payment page; refused when the customer has paid in the meantime. */
    expireSession(topupId: string, sessionId: string): Promise<Answer<Session>> {
      return answer(stripe.checkout.sessions.expire(sessionId, {}, { idempotencyKey: keyOf(topupId, 'expire') }))
    },

    /** Takes the authorised amount. */
    capture(topupId: string, paymentIntentId: string): Promise<Answer<PaymentIntent>> {
      return answer(
        stripe.paymentIntents.capture(
          paymentIntentId,
          { expand: ['latest_charge'] },
          { idempotencyKey: keyOf(topupId, 'capture') },
        ),
      )
    },

    /** Lets the authorised amount go: no money moves, and no refund is made. */
    cancel(topupId: string, paymentIntentId: string): Promise<Answer<PaymentIntent>> {
      return answer(
        stripe.paymentIntents.cancel(
          paymentIntentId,
          { cancellation_reason: 'abandoned' },
          { idempotencyKey: keyOf(topupId, 'cancel') },
        ),
      )
    },

    /** Sends money back to the card, as it was written down. */
    createRefund(call: RefundCall): Promise<Answer<Refund>> {
      return answer(stripe.refunds.create(call.parameters, { idempotencyKey: call.idempotencyKey }))
    },

    readRefund(refundId: string): Promise<Answer<Refund>> {
      return answer(stripe.refunds.retrieve(refundId))
    },

    /** All refunds of a payment, by whomever; newest first. */
    listRefunds(paymentIntentId: string): Promise<Answer<Refund[]>> {
      const list = stripe.refunds.list({ payment_intent: paymentIntentId, limit: PAGE_OBJECTS_MAX })
      return answer(list.autoPagingToArray({ limit: LISTED_OBJECTS_MAX }))
    },

    /** A page of the movements of our balance there, newest first: those of [from, until), after the entry `after`. */
    async listBalance(asked: {
      from: Date
      until: Date
      after: string | null
    }): Promise<Answer<{ entries: BalanceTransaction[]; more: boolean }>> {
      const page = await answer(
        stripe.balanceTransactions.list({
          created: { gte: secondsOf(asked.from), lt: secondsOf(asked.until) },
          limit: PAGE_OBJECTS_MAX,
          ...(asked.after === null ? {} : { starting_after: asked.after }),
        }),
      )
      return page.ok ? { ok: true, value: { entries: page.value.data, more: page.value.has_more } } : page
    },

    readCharge(chargeId: string): Promise<Answer<Charge>> {
      return answer(stripe.charges.retrieve(chargeId, { expand: ['payment_intent'] }))
    },

    /** The payment page that a payment came from; null: it came from none. */
    async findSession(paymentIntentId: string): Promise<Answer<Session | null>> {
      const found = await answer(stripe.checkout.sessions.list({ payment_intent: paymentIntentId, limit: 1 }))
      return found.ok ? { ok: true, value: found.value.data[0] ?? null } : found
    },

    /**
     * One page of what happened in the last 30 days, newest first; after `endingBefore` the page that follows that event, also newest
     * first. Not repeated when it fails: whoever reads comes again.
     */
    listEvents(page: ListPage): Promise<Answer<Listed<Stripe.Event>>> {
      return answer(stripe.events.list(pageParams(page), READ_ONCE))
    },

    /** One page of the objects of a kind that were made since `createdFrom`, newest first. */
    listObjects(kind: ListedKind, page: ListPage): Promise<Answer<Listed<ListedObject>>> {
      const asked = pageParams(page)
      switch (kind) {
        case 'payment_intent':
          return answer(stripe.paymentIntents.list(asked, READ_ONCE))
        case 'refund':
          return answer(stripe.refunds.list(asked, READ_ONCE))
        case 'dispute':
          return answer(stripe.disputes.list(asked, READ_ONCE))
        case 'radar.early_fraud_warning':
          return answer(stripe.radar.earlyFraudWarnings.list(asked, READ_ONCE))
      }
    },

    /** With the movements of money that belong to it. */
    readDispute(disputeId: string): Promise<Answer<Dispute>> {
      return answer(stripe.disputes.retrieve(disputeId))
    },

    readFraudWarning(warningId: string): Promise<Answer<FraudWarning>> {
      return answer(stripe.radar.earlyFraudWarnings.retrieve(warningId))
    },

    /** One page of the disputes that began since `createdFrom`, newest first. */
    listDisputes(page: ListPage): Promise<Answer<Listed<Dispute>>> {
      return answer(stripe.disputes.list(pageParams(page), READ_ONCE))
    },

    listFraudWarnings(page: ListPage): Promise<Answer<Listed<FraudWarning>>> {
      return answer(stripe.radar.earlyFraudWarnings.list(pageParams(page), READ_ONCE))
    },

    /** The attempts of a payment that reached a bank, the newest 100; newest first. */
    async listCharges(paymentIntentId: string): Promise<Answer<Charge[]>> {
      const page = await answer(stripe.charges.list({ payment_intent: paymentIntentId, limit: PAGE_OBJECTS_MAX }))
      return page.ok ? { ok: true, value: page.value.data } : page
    },
  }
}

export const listedKinds = ['payment_intent', 'refund', 'dispute', 'radar.early_fraud_warning'] as const
export type ListedKind = (typeof listedKinds)[number]
export type ListedObject = { id: string; object: string; created: number }
/** Times in whole seconds since 1970, as Stripe writes them, both ends included. */
export type ListPage = {
  limit: number
  startingAfter?: string | undefined
  endingBefore?: string | undefined
  createdFrom?: number | undefined
  createdUntil?: number | undefined
}
export type Listed<Item> = { data: Item[]; has_more: boolean }

const READ_ONCE: Stripe.RequestOptions = { maxNetworkRetries: 0 }

function pageParams(page: ListPage) {
  const { createdFrom, createdUntil, startingAfter, endingBefore } = page
  const created = {
    ...(createdFrom === undefined ? {} : { gte: createdFrom }),
    ...(createdUntil === undefined ? {} : { lte: createdUntil }),
  }
  return {
    limit: page.limit,
    ...(Object.keys(created).length === 0 ? {} : { created }),
    ...(startingAfter === undefined ? {} : { starting_after: startingAfter }),
    ...(endingBefore === undefined ? {} : { ending_before: endingBefore }),
  }
}

/** What the outside knows a top-up by: the id that people see. */
export function referenceOf(topupId: string): string {
  return printId('top', topupId)
}

function keyOf(topupId: string, purpose: 'session' | 'expire' | 'capture' | 'cancel'): string {
  return `topup:${topupId}:${purpose}`
}

function secondsOf(instant: Date): number {
  return Math.floor(instant.getTime() / 1000)
}

function placeOf(apiUrl: string): { host: string; port: string; protocol: 'http' | 'https' } {
  const url = new URL(apiUrl)
  const protocol = url.protocol.slice(0, -1)
  if ((protocol !== 'http' && protocol !== 'https') || url.pathname !== '/') {
    throw new Error(`STRIPE_API_URL must be http(s)://host:port without a path, not ${apiUrl}`)
  }
  return { host: url.hostname, port: url.port || (protocol === 'https' ? '443' : '80'), protocol }
}

async function answer<Value>(call: Promise<Value>): Promise<Answer<Value>> {
  try {
    return { ok: true, value: await call }
  } catch (error) {
    if (!(error instanceof Stripe.errors.StripeError)) throw error
    const { statusCode = 0, message } = error
    const code = [401, 403].includes(statusCode) ? KEY_REFUSED : (error.code ?? error.rawType ?? error.type)
    // 4xx was read and refused. 401 and 403 are about our key, 409 about a repetition that came too early, 429 about our pace:
    // after any of these the same call may pass later. Everything else (no answer, half an answer, 5xx) says nothing at all.
    const definite = statusCode >= 400 && statusCode < 500 && ![401, 403, 409, 429].includes(statusCode)
    return { ok: false, why: definite ? 'refused' : 'unknown', code, message }
  }
}

/**
 * Whether the signature over exactly these bytes was made with one of the secrets, not more than 300 seconds ago or ahead (the
 * SDK checks for old timestamps only). A signed body that is not JSON has the event null.
 */
export function readEvent(received: {
  body: Buffer
  signature: string | undefined
  secrets: readonly string[]
  now: Date
}): { signed: true; event: unknown } | { signed: false } {
  const { body, signature, secrets, now } = received
  if (!signature || signature.length > SIGNATURE_HEADER_CHARACTERS_MAX) return { signed: false }
  const stamps = signature.split(',').filter((part) => part.startsWith('t='))
  if (stamps.length !== 1 || !/^t=\d{1,12}$/.test(stamps[0]!)) return { signed: false }
  const aheadSeconds = Number(stamps[0]!.slice(2)) - now.getTime() / 1000
  if (aheadSeconds > SIGNATURE_TOLERANCE_SECONDS) return { signed: false }
  for (const secret of secrets) {
    try {
      const scheme = Stripe.webhooks.signature!
      scheme.verifyHeader(body, signature, secret, SIGNATURE_TOLERANCE_SECONDS, undefined, now.getTime())
      // Not by `constructEvent`, which throws on the kinds of events that the SDK has another method for.
      return { signed: true, event: parse(body) }
    } catch (error) {
      if (!(error instanceof Stripe.errors.StripeSignatureVerificationError)) throw error
    }
  }
  return { signed: false }
}

/** The header that Stripe would send with this body, for the test of our own endpoint. */
export function signEvent(body: string, secret: string, now: Date): string {
  const timestamp = Math.floor(now.getTime() / 1000)
  return Stripe.webhooks.generateTestHeaderString({ payload: body, secret, timestamp })
}

function parse(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString('utf8'))
  } catch {
    return null
  }
}
