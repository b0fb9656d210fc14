/**
 * The calls of Stripe's API that this house knows, each with the pinned SDK's own types for what is asked and what is answered. Types
 * only: `contract.ts` holds recorded traffic against them. A call that is not here is reported, and so is a line that nobody calls.
 */
import type Stripe from 'stripe'

export type Calls = {
  'POST /v1/checkout/sessions': { asks: Stripe.Checkout.SessionCreateParams; answers: Stripe.Checkout.Session }
  'GET /v1/checkout/sessions/:id': { asks: Stripe.Checkout.SessionRetrieveParams; answers: Stripe.Checkout.Session }
  'POST /v1/checkout/sessions/:id/expire': {
    asks: Stripe.Checkout.SessionExpireParams
    answers: Stripe.Checkout.Session
  }
  'GET /v1/checkout/sessions': {
    asks: Stripe.Checkout.SessionListParams
    answers: Stripe.ApiList<Stripe.Checkout.Session>
  }
  'GET /v1/payment_intents': { asks: Stripe.PaymentIntentListParams; answers: Stripe.ApiList<Stripe.PaymentIntent> }
  'GET /v1/payment_intents/:id': { asks: Stripe.PaymentIntentRetrieveParams; answers: Stripe.PaymentIntent }
  'POST /v1/payment_intents/:id/capture': { asks: Stripe.PaymentIntentCaptureParams; answers: Stripe.PaymentIntent }
  'POST /v1/payment_intents/:id/cancel': { asks: Stripe.PaymentIntentCancelParams; answers: Stripe.PaymentIntent }
  'GET /v1/charges': { asks: Stripe.ChargeListParams; answers: Stripe.ApiList<Stripe.Charge> }
  'GET /v1/charges/:id': { asks: Stripe.ChargeRetrieveParams; answers: Stripe.Charge }
  'POST /v1/refunds': { asks: Stripe.RefundCreateParams; answers: Stripe.Refund }
  'GET /v1/refunds': { asks: Stripe.RefundListParams; answers: Stripe.ApiList<Stripe.Refund> }
  'GET /v1/refunds/:id': { asks: Stripe.RefundRetrieveParams; answers: Stripe.Refund }
  'POST /v1/refunds/:id': { asks: Stripe.RefundUpdateParams; answers: Stripe.Refund }
  'GET /v1/disputes': { asks: Stripe.DisputeListParams; answers: Stripe.ApiList<Stripe.Dispute> }
  'GET /v1/disputes/:id': { asks: Stripe.DisputeRetrieveParams; answers: Stripe.Dispute }
  'POST /v1/disputes/:id': { asks: Stripe.DisputeUpdateParams; answers: Stripe.Dispute }
  'POST /v1/disputes/:id/close': { asks: Stripe.DisputeCloseParams; answers: Stripe.Dispute }
  'GET /v1/radar/early_fraud_warnings': {
    asks: Stripe.Radar.EarlyFraudWarningListParams
    answers: Stripe.ApiList<Stripe.Radar.EarlyFraudWarning>
  }
  'GET /v1/radar/early_fraud_warnings/:id': {
    asks: Stripe.Radar.EarlyFraudWarningRetrieveParams
    answers: Stripe.Radar.EarlyFraudWarning
  }
  'GET /v1/payouts': { asks: Stripe.PayoutListParams; answers: Stripe.ApiList<Stripe.Payout> }
  'GET /v1/payouts/:id': { asks: Stripe.PayoutRetrieveParams; answers: Stripe.Payout }
  'GET /v1/balance_transactions': {
    asks: Stripe.BalanceTransactionListParams
    answers: Stripe.ApiList<Stripe.BalanceTransaction>
  }
  'GET /v1/balance_transactions/:id': {
    asks: Stripe.BalanceTransactionRetrieveParams
    answers: Stripe.BalanceTransaction
  }
  'GET /v1/events': { asks: Stripe.EventListParams; answers: Stripe.ApiList<Stripe.Event> }
  'GET /v1/events/:id': { asks: Stripe.EventRetrieveParams; answers: Stripe.Event }
}

/** The body of a webhook. */
export type Event = Stripe.Event

/** What is answered when a call is refused; the fields that the SDK adds to it are not on the wire. */
export type Refused = {
  error: Omit<Stripe.StripeRawError, 'message' | 'type' | AddedBySdk> & { message: string; type: Stripe.RawErrorType }
}
type AddedBySdk = 'headers' | 'statusCode' | 'requestId' | 'detail' | 'exception'
