/** What a new checkout session is asked for, and within which limits. */
import type Stripe from 'stripe'
import { DAY, HOUR, MINUTE, SECOND, seconds } from '../clock.ts'
import { type Bank, createSession } from './bank.ts'
import { StripeRefusal } from './errors.ts'
import type { Ordered } from './objects.ts'
import * as param from './parameters.ts'

/** Stripe's own smallest charge in US dollars, in cents. */
const AMOUNT_CENTS_MIN = 50
const AMOUNT_CENTS_MAX = 99_999_999

export function startSession(bank: Bank, asked: param.Read<typeof createParams>): Stripe.Checkout.Session {
  const now = seconds(bank.clock)
  const mode = param.required(asked.mode, 'mode')
  if (mode !== 'payment')
    throw new StripeRefusal(400, 'This stand-in for Stripe takes payments only: mode=payment.', { param: 'mode' })
  const lines = param.required(asked.line_items, 'line_items').map((line, place) => readLine(line, place))
  if (lines.length === 0) throw new StripeRefusal(400, 'Missing required param: line_items.', { param: 'line_items' })
  if (new Set(lines.map((line) => line.currency)).size > 1)
    throw new StripeRefusal(400, 'All prices must be in the same currency.', { param: 'line_items' })
  const total = lines.reduce((sum, line) => sum + line.amount, 0)
  if (total < AMOUNT_CENTS_MIN)
    throw new StripeRefusal(400, "The Checkout Session's total amount must convert to at least 50 cents.", {
      code: 'amount_too_small',
    })
  if (total > AMOUNT_CENTS_MAX)
    throw new StripeRefusal(400, 'The total amount due must be no more than $999,999.99.', { code: 'amount_too_large' })
  const expiresAt = asked.expires_at ?? now + DAY / SECOND
  if (expiresAt < now + (30 * MINUTE) / SECOND)
    throw new StripeRefusal(
      400,
      'The `expires_at` timestamp must be at least 30 minutes from Checkout Session creation.',
      { param: 'expires_at' },
    )
  if (expiresAt > now + (24 * HOUR) / SECOND)
    throw new StripeRefusal(
      400,
      'The `expires_at` timestamp must be less than 24 hours from Checkout Session creation.',
      { param: 'expires_at' },
    )
  const intent = asked.payment_intent_data ?? {}
  return createSession(
    bank,
    {
      expiresAt,
      successUrl: param.required(asked.success_url, 'success_url'),
      cancelUrl: asked.cancel_url ?? null,
      clientReference: asked.client_reference_id ?? null,
      customerEmail: asked.customer_email ?? null,
      metadata: asked.metadata ?? {},
      onlyCards: asked.allowed_payment_method_types !== undefined,
      threeDSecure: asked.payment_method_options?.card?.request_three_d_secure ?? 'automatic',
      adaptivePricing: asked.adaptive_pricing?.enabled ?? true,
      linkDisplay: asked.wallet_options?.link?.display ?? 'auto',
      locale: asked.locale ?? null,
      submitType: asked.submit_type ?? null,
    },
    lines,
    {
      captureMethod: intent.capture_method ?? 'automatic_async',
      description: intent.description ?? null,
      receiptEmail: intent.receipt_email ?? null,
      statementSuffix: intent.statement_descriptor_suffix ?? null,
      metadata: intent.metadata ?? {},
    },
  )
}

function readLine(line: param.Read<typeof lineParams>, place: number): Ordered {
  const at = (name: string) => `line_items[${place}]${name}`
  const price = param.required(line.price_data, at('[price_data]'))
  const currency = param.required(price.currency, at('[price_data][currency]'))
  if (currency !== 'usd')
    throw new StripeRefusal(400, 'This stand-in for Stripe takes US dollars only.', {
      param: at('[price_data][currency]'),
    })
  const unitAmount = param.required(price.unit_amount, at('[price_data][unit_amount]'))
  const quantity = line.quantity ?? 1
  if (unitAmount < 0 || quantity < 1)
    throw new StripeRefusal(400, 'Invalid non-negative integer', {
      code: 'parameter_invalid_integer',
      param: unitAmount < 0 ? at('[price_data][unit_amount]') : at('[quantity]'),
    })
  const product = param.required(price.product_data, at('[price_data][product_data]'))
  return {
    amount: unitAmount * quantity,
    currency,
    product: {
      name: param.required(product.name, at('[price_data][product_data][name]')),
      description: product.description ?? null,
      metadata: product.metadata ?? {},
    },
    quantity,
    unitAmount,
  }
}

/** API 2026-09-30 took it away; most examples on the web still send it. */
const noLongerSupported = (_value: unknown, name: string): never => {
  throw new StripeRefusal(
    400,
    'The parameter payment_method_types is no longer supported. Use allowed_payment_method_types instead.',
    { code: 'payment_method_types_no_longer_supported', param: name },
  )
}

const lineParams = {
  quantity: param.whole,
  metadata: param.metadata,
  price_data: param.branch({
    currency: param.text(3),
    unit_amount: param.whole,
    product_data: param.branch({
      name: param.text(500),
      description: param.text(1_000),
      metadata: param.metadata,
    }),
  }),
}
export const createParams = {
  adaptive_pricing: param.branch({ enabled: param.flag }),
  allowed_payment_method_types: param.listOf(param.oneOf('card'), 1),
  cancel_url: param.address,
  client_reference_id: param.text(200),
  customer_email: param.email,
  expand: param.expand,
  expires_at: param.whole,
  line_items: param.listOf(param.branch(lineParams), 100),
  locale: param.text(10),
  metadata: param.metadata,
  mode: param.oneOf('payment', 'setup', 'subscription'),
  payment_intent_data: param.branch({
    capture_method: param.oneOf('automatic', 'automatic_async', 'manual'),
    description: param.text(1_000),
    metadata: param.metadata,
    receipt_email: param.email,
    statement_descriptor_suffix: param.text(22),
  }),
  payment_method_options: param.branch({
    card: param.branch({ request_three_d_secure: param.oneOf('any', 'automatic', 'challenge') }),
  }),
  payment_method_types: noLongerSupported,
  submit_type: param.oneOf('auto', 'book', 'donate', 'pay', 'subscribe'),
  success_url: param.address,
  ui_mode: param.oneOf('hosted_page'),
  wallet_options: param.branch({ link: param.branch({ display: param.oneOf('auto', 'never') }) }),
}
