/**
 * Stripe's objects at their birth, complete to the SDK's own types: those are the contract of the pinned version.
 */
import { createHash } from 'node:crypto'
import type Stripe from 'stripe'
import { randomLetters } from '../ids.ts'
import { type Decline, nonTestCard, type TestCard, type Verification } from './cards.ts'

const DAY_SECONDS = 86_400
/** The bank keeps an uncaptured amount reserved for seven days. */
export const HOLD_SECONDS = 7 * DAY_SECONDS

const NO_ADDRESS = { city: null, country: null, line1: null, line2: null, postal_code: null, state: null }

export type Ordered = {
  amount: number
  currency: string
  product: { name: string; description: string | null; metadata: Record<string, string> }
  quantity: number
  unitAmount: number
}

export function newLineItem(ordered: Ordered, now: number): Stripe.LineItem {
  return {
    id: `li_1${randomLetters(23)}`,
    object: 'item',
    adjustable_quantity: null,
    amount_discount: 0,
    amount_subtotal: ordered.amount,
    amount_tax: 0,
    amount_total: ordered.amount,
    currency: ordered.currency,
    description: ordered.product.name,
    metadata: {},
    price: {
      id: `price_1${randomLetters(23)}`,
      object: 'price',
      active: false,
      billing_scheme: 'per_unit',
      created: now,
      currency: ordered.currency,
      custom_unit_amount: null,
      livemode: false,
      lookup_key: null,
      metadata: {},
      nickname: null,
      product: `prod_${randomLetters(14)}`,
      recurring: null,
      tax_behavior: 'unspecified',
      tiers_mode: null,
      transform_quantity: null,
      type: 'one_time',
      unit_amount: ordered.unitAmount,
      // A string on the wire; the SDK turns it into its Decimal while reading.
      unit_amount_decimal: String(ordered.unitAmount) as unknown as Stripe.Price['unit_amount_decimal'],
    },
    quantity: ordered.quantity,
  }
}

export function newSession(asked: {
  now: number
  url: string
  expiresAt: number
  amount: number
  currency: string
  successUrl: string
  cancelUrl: string | null
  clientReference: string | null
  customerEmail: string | null
  metadata: Record<string, string>
  onlyCards: boolean
  threeDSecure: 'automatic' | 'any' | 'challenge'
  adaptivePricing: boolean
  linkDisplay: 'auto' | 'never'
  locale: string | null
  submitType: string | null
}): Stripe.Checkout.Session {
  const id = `cs_test_a1${randomLetters(56)}`
  return {
    id,
    object: 'checkout.session',
    adaptive_pricing: { enabled: asked.adaptivePricing },
    after_expiration: null,
    allow_promotion_codes: null,
    allowed_payment_method_types: asked.onlyCards ? ['card'] : null,
    amount_subtotal: asked.amount,
    amount_total: asked.amount,
    automatic_tax: { enabled: false, liability: null, provider: null, status: null },
    billing_address_collection: null,
    cancel_url: asked.cancelUrl,
    client_reference_id: asked.clientReference,
    client_secret: null,
    collected_information: null,
    consent: null,
    consent_collection: null,
    created: asked.now,
    currency: asked.currency,
    currency_conversion: null,
    custom_fields: [],
    custom_text: { after_submit: null, shipping_address: null, submit: null, terms_of_service_acceptance: null },
    customer: null,
    customer_account: null,
    customer_creation: 'if_required',
    customer_details: asked.customerEmail
      ? {
          address: null,
          business_name: null,
          email: asked.customerEmail,
          individual_name: null,
          name: null,
          phone: null,
          tax_exempt: 'none',
          tax_ids: null,
        }
      : null,
    customer_email: asked.customerEmail,
    discounts: [],
    expires_at: asked.expiresAt,
    integration_identifier: null,
    invoice: null,
    invoice_creation: {
      enabled: false,
      invoice_data: {
        account_tax_ids: null,
        custom_fields: null,
        description: null,
        footer: null,
        issuer: null,
        metadata: {},
        rendering_options: null,
      },
    },
    livemode: false,
    locale: asked.locale as Stripe.Checkout.Session.Locale | null,
    managed_payments: null,
    metadata: asked.metadata,
    mode: 'payment',
    origin_context: null,
    // Null until the customer pays: the payment intent is born with the first card.
    payment_intent: null,
    payment_link: null,
    payment_method_collection: 'if_required',
    payment_method_configuration_details: null,
    payment_method_options: { card: { request_three_d_secure: asked.threeDSecure } },
    payment_method_types: ['card'],
    payment_status: 'unpaid',
    permissions: null,
    phone_number_collection: { enabled: false },
    recovered_from: null,
    saved_payment_method_options: null,
    setup_intent: null,
    shipping_address_collection: null,
    shipping_cost: null,
    shipping_options: [],
    status: 'open',
    submit_type: asked.submitType as Stripe.Checkout.Session.SubmitType | null,
    subscription: null,
    success_url: asked.successUrl,
    total_details: { amount_discount: 0, amount_shipping: 0, amount_tax: 0 },
    ui_mode: 'hosted_page',
    url: `${asked.url}/c/pay/${id}`,
    wallet_options: { link: { display: asked.linkDisplay } },
  }
}

export type IntentData = {
  captureMethod: 'automatic_async' | 'automatic' | 'manual'
  description: string | null
  receiptEmail: string | null
  statementSuffix: string | null
  metadata: Record<string, string>
}

export function newPaymentIntent(
  session: Stripe.Checkout.Session,
  asked: IntentData,
  now: number,
): Stripe.PaymentIntent {
  const id = `pi_3${randomLetters(23)}`
  return {
    id,
    object: 'payment_intent',
    allowed_payment_method_types:
      session.allowed_payment_method_types as Stripe.PaymentIntent['allowed_payment_method_types'],
    amount: session.amount_total!,
    amount_capturable: 0,
    amount_details: { tip: {} },
    amount_received: 0,
    application: null,
    application_fee_amount: null,
    automatic_payment_methods: null,
    canceled_at: null,
    cancellation_reason: null,
    capture_method: asked.captureMethod,
    client_secret: `${id}_secret_${randomLetters(25)}`,
    confirmation_method: 'automatic',
    created: now,
    currency: session.currency!,
    customer: null,
    customer_account: null,
    description: asked.description,
    excluded_payment_method_types: null,
    last_payment_error: null,
    latest_charge: null,
    livemode: false,
    managed_payments: null,
    // The session's own metadata is not copied; only payment_intent_data's is.
    metadata: asked.metadata,
    next_action: null,
    on_behalf_of: null,
    payment_method: null,
    payment_method_configuration_details: null,
    payment_method_options: {
      card: {
        installments: null,
        mandate_options: null,
        network: null,
        request_three_d_secure: session.payment_method_options?.card?.request_three_d_secure ?? 'automatic',
      },
    },
    payment_method_types: ['card'],
    payment_record: null,
    processing: null,
    receipt_email: asked.receiptEmail,
    review: null,
    setup_future_usage: null,
    shipping: null,
    source: null,
    statement_descriptor: null,
    statement_descriptor_suffix: asked.statementSuffix,
    status: 'requires_payment_method',
    transfer_data: null,
    transfer_group: null,
  }
}

export type Typed = { number: string; expMonth: number; expYear: number }

export function newPaymentMethod(
  typed: Typed,
  card: TestCard | undefined,
  brand: string,
  email: string | null,
  now: number,
): Stripe.PaymentMethod {
  return {
    id: `pm_1${randomLetters(23)}`,
    object: 'payment_method',
    allow_redisplay: 'limited',
    billing_details: { address: NO_ADDRESS, email, name: null, phone: null, tax_id: null },
    card: {
      brand,
      checks: {
        address_line1_check: null,
        address_postal_code_check: card?.postcodeFails ? 'fail' : null,
        cvc_check: card?.cvcCheck ?? 'unchecked',
      },
      country: card?.country ?? null,
      display_brand: brand === 'amex' ? 'american_express' : brand,
      exp_month: typed.expMonth,
      exp_year: typed.expYear,
      fingerprint: fingerprintOf(typed.number),
      funding: card?.funding ?? 'unknown',
      generated_from: null,
      last4: typed.number.slice(-4),
      networks: { available: [brand], preferred: null },
      regulated_status: 'unregulated',
      three_d_secure_usage: { supported: card !== undefined && card.verification !== 'unsupported' },
      wallet: null,
    },
    created: now,
    customer: null,
    customer_account: null,
    livemode: false,
    metadata: {},
    type: 'card',
  }
}

/** The same card has the same mark, whoever types it in. */
function fingerprintOf(number: string): string {
  return createHash('sha256').update(number).digest('base64url').replace(/[-_]/g, 'x').slice(0, 16)
}

type ThreeDSecure = Stripe.Charge.PaymentMethodDetails.Card.ThreeDSecure

/** What the charge says about 3-D Secure (Visa, American Express, JCB: 05 full, 06 attempted; Mastercard: 02, 01). */
export function threeDSecureOf(verification: Verification, brand: string): ThreeDSecure | null {
  const mastercard = brand === 'mastercard'
  const common = {
    exemption_indicator: null,
    transaction_id: crypto.randomUUID(),
    version: '2.2.0' as const,
  }
  switch (verification) {
    case 'challenge':
    case 'frictionless':
      return {
        ...common,
        authentication_flow: verification,
        electronic_commerce_indicator: mastercard ? '02' : '05',
        result: 'authenticated',
        result_reason: null,
      }
    case 'not_enrolled':
      return {
        ...common,
        authentication_flow: null,
        electronic_commerce_indicator: mastercard ? '01' : '06',
        result: 'attempt_acknowledged',
        result_reason: 'card_not_enrolled',
      }
    case 'error':
    case 'error_declined':
      return {
        ...common,
        authentication_flow: null,
        electronic_commerce_indicator: mastercard ? null : '07',
        result: 'processing_error',
        result_reason: 'protocol_error',
        transaction_id: null,
      }
    case 'unsupported':
      return null
  }
}

/** The bank's answer to a charge: it reserved the amount, or declined. */
export function newCharge(
  intent: Stripe.PaymentIntent,
  method: Stripe.PaymentMethod,
  card: TestCard | undefined,
  threeDSecure: ThreeDSecure | null,
  decline: Decline | undefined,
  now: number,
): Stripe.Charge {
  const paidWith = method.card!
  const manual = intent.capture_method === 'manual'
  const descriptor = intent.statement_descriptor_suffix
    ? `MOBILESMS* ${intent.statement_descriptor_suffix}`.slice(0, 22)
    : 'MOBILESMS'
  return {
    id: `ch_3${randomLetters(23)}`,
    object: 'charge',
    amount: intent.amount,
    amount_captured: 0,
    amount_refunded: 0,
    application: null,
    application_fee: null,
    application_fee_amount: null,
    balance_transaction: null,
    billing_details: {
      address: NO_ADDRESS,
      email: method.billing_details.email,
      name: null,
      phone: null,
      tax_id: null,
    },
    calculated_statement_descriptor: descriptor,
    captured: false,
    created: now,
    currency: intent.currency,
    customer: null,
    description: intent.description,
    disputed: false,
    failure_balance_transaction: null,
    failure_code: decline?.code ?? null,
    failure_message: decline?.message ?? null,
    fraud_details: {},
    livemode: false,
    // Stripe copies the payment intent's metadata to its charge once, at its birth.
    metadata: { ...intent.metadata },
    on_behalf_of: null,
    outcome: outcomeOf(card, decline),
    paid: !decline,
    payment_intent: intent.id,
    payment_method: method.id,
    payment_method_details: {
      card: {
        amount_authorized: decline ? null : intent.amount,
        authorization_code: decline ? null : randomLetters(6).toUpperCase(),
        brand: paidWith.brand,
        ...(manual && !decline && { capture_before: now + HOLD_SECONDS }),
        checks: paidWith.checks,
        country: paidWith.country,
        electronic_commerce_indicator:
          decline?.blocked || !['visa', 'mastercard'].includes(paidWith.brand)
            ? null
            : (threeDSecure?.electronic_commerce_indicator ?? '07'),
        exp_month: paidWith.exp_month,
        exp_year: paidWith.exp_year,
        extended_authorization: { status: 'disabled' },
        fingerprint: paidWith.fingerprint ?? null,
        funding: paidWith.funding,
        incremental_authorization: { status: 'unavailable' },
        installments: null,
        last4: paidWith.last4,
        mandate: null,
        multicapture: { status: 'unavailable' },
        network: paidWith.brand,
        network_token: { used: false },
        network_transaction_id: decline?.blocked ? null : randomLetters(15).toUpperCase(),
        overcapture: { maximum_amount_capturable: intent.amount, status: 'unavailable' },
        regulated_status: 'unregulated',
        three_d_secure: threeDSecure,
        transaction_link_id: null,
        wallet: null,
      },
      type: 'card',
    },
    receipt_email: intent.receipt_email,
    receipt_number: null,
    receipt_url: null,
    refunded: false,
    review: null,
    shipping: null,
    source: null,
    source_transfer: null,
    statement_descriptor: null,
    statement_descriptor_suffix: intent.statement_descriptor_suffix,
    status: decline ? 'failed' : 'succeeded',
    transfer_data: null,
    transfer_group: null,
  }
}

function outcomeOf(card: TestCard | undefined, decline: Decline | undefined): Stripe.Charge.Outcome {
  const risk = card?.riskLevel ?? 'normal'
  const common = {
    advice_code: null,
    network_advice_code: null,
    network_decline_code: decline && !decline.blocked ? '05' : null,
    risk_level: risk,
    risk_score: { normal: 12, elevated: 71, highest: 92 }[risk],
  }
  if (decline?.blocked)
    return {
      ...common,
      network_status: 'not_sent_to_network',
      reason: 'highest_risk_level',
      seller_message: 'Stripe blocked this payment as too risky.',
      type: 'blocked',
    }
  if (decline)
    return {
      ...common,
      network_status: 'declined_by_network',
      reason: decline.decline_code ?? decline.code,
      seller_message:
        decline.decline_code === nonTestCard.decline_code
          ? 'The charge was made in test mode, but used a non-test card.'
          : 'The bank did not return any further details with this decline.',
      type: 'issuer_declined',
    }
  return {
    ...common,
    network_status: 'approved_by_network',
    reason: null,
    seller_message: 'Payment complete.',
    type: 'authorized',
  }
}
