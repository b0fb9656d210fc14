/** The calls of Stripe's API that card top-ups make: their addresses, their parameters, and what answers them. */
import type { Bank } from './bank.ts'
import { cancel, capture, expireSession } from './bank.ts'
import { acceptDispute, answerDispute, evidenceFields } from './disputes.ts'
import { missing } from './errors.ts'
import type { Cause } from './events.ts'
import { expanded } from './expand.ts'
import type { Operation } from './faults.ts'
import type { Form } from './form.ts'
import { eventParams, listEvents, listObjects, pageParams } from './lists.ts'
import * as param from './parameters.ts'
import { find, type Kind, type Kinds } from './records.ts'
import { createRefund, describeRefund, noCharge } from './refunds.ts'
import { createParams, startSession } from './sessions.ts'

export type Verb = { operation: Operation; run: (call: Call) => object }
type Call = { form: Form; id: string; cause: Cause }

export function calls(bank: Bank): { posts: Record<string, Verb>; gets: Record<string, Verb> } {
  const { books } = bank

  const posts: Record<string, Verb> = {
    '/checkout/sessions': verb('create_session', createParams, (asked) => startSession(bank, asked)),
    '/checkout/sessions/:id/expire': verb(
      'expire_session',
      expandOnly,
      (_asked, { id, cause }) => expireSession(bank, id, cause) ?? none('checkout.session', id),
    ),
    '/payment_intents/:id/capture': verb('capture', captureParams, (asked, { id, cause }) => {
      const { amount_to_capture: amountToCapture, metadata } = asked
      return capture(bank, id, { amountToCapture, metadata }, cause) ?? none('payment_intent', id)
    }),
    '/payment_intents/:id/cancel': verb(
      'cancel',
      cancelParams,
      (asked, { id, cause }) =>
        cancel(bank, id, asked.cancellation_reason ?? null, cause) ?? none('payment_intent', id),
    ),
    '/refunds': verb('create_refund', refundParams, (asked, { cause }) => {
      const { amount, reason = null, metadata = {} } = asked
      return createRefund(bank, { charge: chargeToRefund(asked), amount, reason, metadata }, cause)
    }),
    '/refunds/:id': verb('update_refund', metadataOnly, (asked, { id, cause }) =>
      describeRefund(bank, needed('refund', id), asked.metadata ?? {}, cause),
    ),
    '/disputes/:id': verb('update_dispute', disputeParams, (asked, { id, cause }) => {
      const { evidence, metadata, submit } = asked
      return answerDispute(bank, needed('dispute', id), { evidence, metadata, submit }, cause)
    }),
    '/disputes/:id/close': verb('close_dispute', expandOnly, (_asked, { id, cause }) =>
      acceptDispute(bank, needed('dispute', id), cause),
    ),
  }

  const gets: Record<string, Verb> = {
    '/disputes/:id': retrieve('dispute'),
    '/disputes': listOfPayment('dispute', '/v1/disputes'),
    '/radar/early_fraud_warnings/:id': retrieve('radar.early_fraud_warning'),
    '/radar/early_fraud_warnings': listOfPayment('radar.early_fraud_warning', '/v1/radar/early_fraud_warnings'),
    '/checkout/sessions/:id': retrieve('checkout.session'),
    '/payment_intents/:id': retrieve('payment_intent'),
    '/charges/:id': retrieve('charge'),
    '/refunds/:id': retrieve('refund'),
    '/balance_transactions/:id': retrieve('balance_transaction'),
    '/payouts/:id': retrieve('payout'),
    '/payouts': verb('list', pageParams, (asked) => listObjects(bank, 'payout', '/v1/payouts', asked)),
    '/events/:id': verb('retrieve', expandOnly, (_asked, { id }) => {
      const row = books.one<{ body: string }>('select body from stripe_events where id = ?', id)
      if (!row) throw missing('event', id)
      return JSON.parse(row.body) as object
    }),
    '/checkout/sessions': verb('list', sessionListParams, (asked) => {
      const { payment_intent, status } = asked
      return listObjects(
        bank,
        'checkout.session',
        '/v1/checkout/sessions',
        asked,
        { payment_intent, status },
        payment_intent,
      )
    }),
    '/payment_intents': verb('list', pageParams, (asked) =>
      listObjects(bank, 'payment_intent', '/v1/payment_intents', asked),
    ),
    '/charges': verb('list', ofIntentParams, (asked) => {
      const { payment_intent } = asked
      return listObjects(bank, 'charge', '/v1/charges', asked, { payment_intent }, payment_intent)
    }),
    '/refunds': listOfPayment('refund', '/v1/refunds'),
    '/balance_transactions': verb('list', balanceParams, (asked) => {
      const { source, type, currency, payout } = asked
      if (payout !== undefined) needed('payout', payout)
      return listObjects(
        bank,
        'balance_transaction',
        '/v1/balance_transactions',
        asked,
        { source, type, currency, payout },
        source,
      )
    }),
    '/events': verb('list', eventParams, (asked) => listEvents(bank, asked)),
  }
  return { posts, gets }

  function verb<S extends Parameters<typeof param.branch>[0]>(
    operation: Operation,
    shape: S,
    work: (asked: param.Read<S>, call: Call) => object,
  ): Verb {
    return {
      operation,
      run(call) {
        const asked = param.branch(shape)(call.form, '')
        return expanded(books, work(asked, call), (asked as { expand?: string[] }).expand ?? [])
      },
    }
  }

  function retrieve(kind: Kind): Verb {
    return verb('retrieve', expandOnly, (_asked, { id }) => needed(kind, id))
  }

  /** Those of a charge or of a payment intent. */
  function listOfPayment(kind: Kind, url: string): Verb {
    return verb('list', ofPaymentParams, (asked) => {
      const { charge, payment_intent } = asked
      return listObjects(bank, kind, url, asked, { charge, payment_intent }, charge ?? payment_intent)
    })
  }

  function needed<K extends Kind>(kind: K, id: string): Kinds[K] {
    return find(books, kind, id) ?? none(kind, id)
  }

  function chargeToRefund(asked: param.Read<typeof refundParams>) {
    if (asked.charge !== undefined) return find(books, 'charge', asked.charge) ?? none('charge', asked.charge, 'charge')
    const id = param.required(asked.payment_intent, 'payment_intent')
    const intent = find(books, 'payment_intent', id) ?? none('payment_intent', id, 'payment_intent')
    if (intent.latest_charge === null) throw noCharge(id)
    return needed('charge', intent.latest_charge as string)
  }
}

function none(kind: Kind, id: string, name?: string): never {
  throw missing(kind, id, name)
}

const { expand } = param
const expandOnly = { expand }
const metadataOnly = { metadata: param.metadata, expand }
const captureParams = {
  amount_to_capture: param.whole,
  final_capture: param.flag,
  metadata: param.metadata,
  expand,
}
const cancelParams = {
  cancellation_reason: param.oneOf('abandoned', 'duplicate', 'fraudulent', 'requested_by_customer'),
  expand,
}
const refundParams = {
  amount: param.positive,
  charge: param.text(200),
  currency: param.oneOf('usd'),
  expand,
  metadata: param.metadata,
  payment_intent: param.text(200),
  reason: param.oneOf('duplicate', 'fraudulent', 'requested_by_customer'),
}
const appealParams = { card: param.branch({ reason_for_filing: param.unsettable(20_000) }) }
const disputeParams = {
  evidence: param.branch({
    ...(Object.fromEntries(evidenceFields.map((field) => [field, param.unsettable(20_000)])) as Record<
      (typeof evidenceFields)[number],
      ReturnType<typeof param.unsettable>
    >),
    appeal: param.branch(appealParams),
  }),
  expand,
  metadata: param.metadata,
  submit: param.flag,
}
const ofIntentParams = { ...pageParams, payment_intent: param.text(200) }
const ofPaymentParams = { ...ofIntentParams, charge: param.text(200) }
const sessionListParams = { ...ofIntentParams, status: param.oneOf('open', 'complete', 'expired') }
const balanceParams = {
  ...pageParams,
  source: param.text(200),
  type: param.text(100),
  currency: param.oneOf('usd'),
  payout: param.text(200),
}
