/**
 * Stripe's error bodies. Thrown, not returned: the reader of nested parameters would otherwise carry a union through each
 * level, and one place (`api.ts`) turns them all into answers.
 */
import type Stripe from 'stripe'

export type StripeErrorType = 'invalid_request_error' | 'card_error' | 'idempotency_error' | 'api_error'

export class StripeRefusal extends Error {
  readonly status: number
  readonly body: {
    type: StripeErrorType
    message: string
    code?: string
    param?: string
    doc_url?: string
    payment_intent?: Stripe.PaymentIntent
  }
  /** Only what was executed is kept for a repetition; a request that was refused while being read is not. */
  readonly executed: boolean

  constructor(
    status: number,
    message: string,
    more: {
      type?: StripeErrorType
      code?: string
      param?: string
      payment_intent?: Stripe.PaymentIntent
      executed?: boolean
    } = {},
  ) {
    super(message)
    this.status = status
    this.executed = more.executed ?? false
    const { code, param, payment_intent } = more
    this.body = {
      type: more.type ?? 'invalid_request_error',
      message,
      ...(code && { code, doc_url: `https://stripe.com/docs/error-codes/${code.replaceAll('_', '-')}` }),
      ...(param && { param }),
      ...(payment_intent && { payment_intent }),
    }
  }
}

/** 404, as Stripe words it: the object does not exist, or not in this mode. */
export function missing(what: string, id: string, param = 'id'): StripeRefusal {
  return new StripeRefusal(404, `No such ${what}: '${id}'`, { code: 'resource_missing', param })
}
