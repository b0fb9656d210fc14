import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import Stripe from 'stripe'
import { asked, sdk, startWorld, until, type World } from '../testing.ts'

let world: World
before(async () => {
  world = await startWorld()
})
after(() => world.stop())

type Raw = InstanceType<typeof Stripe.errors.StripeError> & { payment_intent?: Stripe.PaymentIntent }

async function refusal(work: Promise<unknown>): Promise<Raw> {
  try {
    await work
  } catch (error) {
    if (error instanceof Stripe.errors.StripeError) return error as Raw
    throw error
  }
  throw new Error('It was not refused')
}

async function paid(card = '4000000032200000', amount = 1_000): Promise<{ session: string; intent: string }> {
  const session = await world.stripe.checkout.sessions.create(asked(amount))
  const { body } = await world.control('/stripe/pay', { session: session.id, card })
  return { session: session.id, intent: body['payment_intent'] as string }
}

test('a session is what was asked for, and nothing is copied that Stripe does not copy', async () => {
  const expiresAt = Math.floor(Date.now() / 1_000) + 45 * 60
  const session = await world.stripe.checkout.sessions.create({
    ...asked(2_500),
    customer_email: 'demo@example.com',
    expires_at: expiresAt,
  })
  assert.match(session.id, /^cs_test_/)
  assert.equal(session.url, `${world.sandbox.url}/c/pay/${session.id}`)
  assert.equal(session.status, 'open')
  assert.equal(session.payment_status, 'unpaid')
  assert.equal(session.payment_intent, null)
  assert.equal(session.amount_total, 2_500)
  assert.equal(session.expires_at, expiresAt)
  assert.equal(session.livemode, false)
  assert.equal(session.client_reference_id, 'top_1')
  assert.match(session.lastResponse.requestId, /^req_/)
  assert.equal(session.lastResponse.apiVersion, '2026-10-28.endive')

  await world.control('/stripe/pay', { session: session.id, card: '4000000032200000' })
  const done = await world.stripe.checkout.sessions.retrieve(session.id, { expand: ['payment_intent.latest_charge'] })
  const intent = done.payment_intent as Stripe.PaymentIntent
  assert.deepEqual(intent.metadata, { topup_id: 'top_1', only: 'intent' })
  assert.deepEqual((intent.latest_charge as Stripe.Charge).metadata, { topup_id: 'top_1', only: 'intent' })
  assert.deepEqual(done.metadata, { topup_id: 'top_1' })
})

test('capture takes the amount once; a second capture carries the intent it found', async () => {
  const { session, intent } = await paid()
  const captured = await world.stripe.paymentIntents.capture(intent, {}, { idempotencyKey: `capture ${intent}` })
  assert.equal(captured.status, 'succeeded')
  assert.equal(captured.amount_received, 1_000)
  assert.equal((await world.stripe.checkout.sessions.retrieve(session)).payment_status, 'paid')

  const again = await refusal(world.stripe.paymentIntents.capture(intent))
  assert.equal(again.type, 'StripeInvalidRequestError')
  assert.equal(again.statusCode, 400)
  assert.equal(again.code, 'payment_intent_unexpected_state')
  assert.equal(again.payment_intent?.status, 'succeeded')

  const cancelled = await refusal(world.stripe.paymentIntents.cancel(intent))
  assert.equal(cancelled.code, 'payment_intent_unexpected_state')
  assert.equal(cancelled.payment_intent?.status, 'succeeded')
})

test('cancel lets a reserved amount go; capture afterwards finds it canceled', async () => {
  const { intent } = await paid('4242424242424242')
  const canceled = await world.stripe.paymentIntents.cancel(
    intent,
    { cancellation_reason: 'abandoned', expand: ['latest_charge'] },
    { idempotencyKey: `cancel ${intent}` },
  )
  assert.equal(canceled.status, 'canceled')
  assert.equal(canceled.cancellation_reason, 'abandoned')
  assert.equal(canceled.amount_capturable, 0)
  assert.equal((canceled.latest_charge as Stripe.Charge).captured, false)
  const late = await refusal(world.stripe.paymentIntents.capture(intent))
  assert.equal(late.payment_intent?.status, 'canceled')
})

test('capture and cancel at once: one of them wins, the other is told', async () => {
  for (let round = 0; round < 10; round++) {
    const { intent } = await paid()
    const both = await Promise.allSettled([
      world.stripe.paymentIntents.capture(intent),
      world.stripe.paymentIntents.cancel(intent),
    ])
    assert.equal(both.filter((each) => each.status === 'fulfilled').length, 1)
    const { status } = await world.stripe.paymentIntents.retrieve(intent)
    assert.equal(status, both[0].status === 'fulfilled' ? 'succeeded' : 'canceled')
  }
})

test('an intent of an open session is not cancelled; the session is expired instead', async () => {
  const session = await world.stripe.checkout.sessions.create(asked())
  const { body } = await world.control('/stripe/pay', { session: session.id, card: '4000000000000002' })
  const refused = await refusal(world.stripe.paymentIntents.cancel(body['payment_intent'] as string))
  assert.match(refused.message, /Expire the Checkout Session instead/)

  const expired = await world.stripe.checkout.sessions.expire(session.id)
  assert.equal(expired.status, 'expired')
  assert.equal(expired.url, null)
  const twice = await refusal(world.stripe.checkout.sessions.expire(session.id))
  assert.match(twice.message, /status in \["open"\]/)
  const late = await world.control('/stripe/pay', { session: session.id, card: '4000000032200000' })
  assert.equal(late.body['outcome'], 'expired')
  const intent = await world.stripe.paymentIntents.retrieve(body['payment_intent'] as string)
  assert.equal(intent.status, 'canceled')
})

test('sessions end by wire time, between 30 minutes and 24 hours', async () => {
  const now = Math.floor(Date.now() / 1_000)
  for (const [seconds, words] of [
    [29 * 60, /at least 30 minutes/],
    [25 * 3_600, /less than 24 hours/],
  ] as const) {
    const refused = await refusal(world.stripe.checkout.sessions.create({ ...asked(), expires_at: now + seconds }))
    assert.match(refused.message, words)
    assert.equal(refused.param, 'expires_at')
  }
  const own = await startWorld()
  const session = await own.stripe.checkout.sessions.create({ ...asked(), expires_at: now + 31 * 60 })
  own.pass(32 * 60_000)
  assert.equal((await own.stripe.checkout.sessions.retrieve(session.id)).status, 'expired')
  await until(() => own.receiver.events().some((event) => event.type === 'checkout.session.expired'))
  await own.stop()
})

test('a hold lapses after seven days', async () => {
  const own = await startWorld()
  const session = await own.stripe.checkout.sessions.create(asked())
  await own.control('/stripe/pay', { session: session.id, card: '4000000032200000' })
  own.pass(7 * 86_400_000 + 60_000)
  const seen = await own.stripe.checkout.sessions.retrieve(session.id, { expand: ['payment_intent'] })
  const intent = seen.payment_intent as Stripe.PaymentIntent
  assert.equal(intent.status, 'canceled')
  assert.equal(intent.cancellation_reason, 'automatic')
  const late = await refusal(own.stripe.paymentIntents.capture(intent.id))
  assert.equal(late.payment_intent?.status, 'canceled')
  await until(() => own.receiver.events().some((event) => event.type === 'charge.expired'))
  await own.stop()
})

test('the same key with the same parameters gets the stored answer, whatever has happened since', async () => {
  const first = await world.stripe.checkout.sessions.create(asked(), { idempotencyKey: 'same' })
  await world.stripe.checkout.sessions.expire(first.id)
  const second = await world.stripe.checkout.sessions.create(asked(), { idempotencyKey: 'same' })
  assert.equal(second.id, first.id)
  assert.equal(second.status, 'open')
  assert.equal(second.lastResponse.headers['idempotent-replayed'], 'true')
  assert.equal(second.lastResponse.headers['original-request'], first.lastResponse.requestId)
  assert.equal(first.lastResponse.headers['idempotent-replayed'], undefined)
})

test('the same key with other parameters, or at another address, is refused', async () => {
  const { intent } = await paid()
  await world.stripe.checkout.sessions.create(asked(), { idempotencyKey: 'other' })
  for (const work of [
    world.stripe.checkout.sessions.create(asked(1_001), { idempotencyKey: 'other' }),
    world.stripe.paymentIntents.capture(intent, {}, { idempotencyKey: 'other' }),
  ]) {
    const refused = await refusal(work)
    assert.equal(refused.type, 'StripeIdempotencyError')
    assert.equal(refused.statusCode, 400)
  }
})

test('a refusal that was executed is repeated under its key; one while reading is not kept', async () => {
  const { intent } = await paid()
  await world.stripe.paymentIntents.cancel(intent)
  const first = await refusal(world.stripe.paymentIntents.capture(intent, {}, { idempotencyKey: 'too late' }))
  const second = await refusal(world.stripe.paymentIntents.capture(intent, {}, { idempotencyKey: 'too late' }))
  assert.equal(second.code, first.code)
  assert.equal(second.headers?.['idempotent-replayed'], 'true')

  await refusal(world.stripe.checkout.sessions.create({ ...asked(), expires_at: 1 }, { idempotencyKey: 'mended' }))
  const mended = await world.stripe.checkout.sessions.create(asked(), { idempotencyKey: 'mended' })
  assert.equal(mended.status, 'open')
})

test('a key in use is refused with 409, and one charge is captured', async () => {
  const { intent } = await paid()
  await world.control('/stripe/answers', { delay_next: 'capture', delay_ms: 300, count: 1 })
  const results = await Promise.allSettled(
    Array.from({ length: 5 }, () =>
      world.stripe.paymentIntents.capture(intent, {}, { idempotencyKey: `busy ${intent}` }),
    ),
  )
  const refused = results.filter((each) => each.status === 'rejected').map((each) => each.reason as Raw)
  assert.equal(refused.length, 4)
  assert.ok(refused.every((each) => each.statusCode === 409 && each.code === 'idempotency_key_in_use'))
  const patient = sdk(world.sandbox, { maxNetworkRetries: 2 })
  const kept = await patient.paymentIntents.capture(intent, {}, { idempotencyKey: `busy ${intent}` })
  assert.equal(kept.status, 'succeeded')
})

test('a dropped answer has been executed: the repetition hears it', async () => {
  const { intent } = await paid()
  await world.control('/stripe/answers', { drop_next: 'capture', count: 1 })
  const captured = await world.stripe.paymentIntents.capture(intent, {}, { idempotencyKey: `dropped ${intent}` })
  assert.equal(captured.status, 'succeeded')
  assert.equal(captured.lastResponse.headers['idempotent-replayed'], 'true')

  for (const [operation, work] of [
    ['create_session', () => world.stripe.checkout.sessions.create(asked(), { idempotencyKey: 'gone' })],
    ['retrieve', () => world.stripe.paymentIntents.retrieve(intent)],
  ] as const) {
    await world.control('/stripe/answers', { drop_next: operation, count: 20 })
    const lost = await refusal(work())
    assert.equal(lost.type, 'StripeConnectionError')
    await world.control('/stripe/answers', { drop_next: null })
  }
  const session = await world.stripe.checkout.sessions.create(asked(), { idempotencyKey: 'gone' })
  assert.equal(session.lastResponse.headers['idempotent-replayed'], 'true')
})

test('an error instead of an answer: before it was executed, or after', async () => {
  for (const [status, type] of [
    [500, 'StripeAPIError'],
    [503, 'StripeAPIError'],
    [429, 'StripeRateLimitError'],
    [409, 'StripeAPIError'],
  ] as const) {
    for (const executed of [false, true]) {
      const { intent } = await paid()
      const capture = () => world.stripe.paymentIntents.capture(intent, {}, { idempotencyKey: `error ${intent}` })
      await world.control('/stripe/answers', { fail_next: 'capture', status, executed, count: 1 })
      assert.equal((await refusal(capture())).type, type, `${status}`)
      const { status: stands } = await world.stripe.paymentIntents.retrieve(intent)
      assert.equal(stands, executed ? 'succeeded' : 'requires_capture', `${status}`)
      assert.equal((await capture()).status, 'succeeded')
    }
  }
  const refused = await world.control('/stripe/answers', { fail_next: 'capture', status: 418 })
  assert.equal(refused.body['field'], 'status')
  assert.equal((await world.control('/stripe/answers', { fail_next: 'wishes' })).body['field'], 'fail_next')
  await world.control('/stripe/answers', { fail_next: 'list', count: 2 })
  assert.equal((await world.control('/stripe/answers', { fail_next: null })).body['fails_left'], 0)
  assert.equal((await world.stripe.refunds.list()).object, 'list')
})

test('a refund whose answer was lost is made once', async () => {
  const { intent } = await paid()
  await world.stripe.paymentIntents.capture(intent)
  await world.control('/stripe/answers', { drop_next: 'create_refund', count: 20 })
  const ask = () =>
    world.stripe.refunds.create({ payment_intent: intent, amount: 100 }, { idempotencyKey: `r ${intent}` })
  assert.equal((await refusal(ask())).type, 'StripeConnectionError')
  await world.control('/stripe/answers', { drop_next: null })
  const refund = await ask()
  assert.equal(refund.lastResponse.headers['idempotent-replayed'], 'true')
  assert.equal((await world.stripe.refunds.list({ payment_intent: intent })).data.length, 1)
})

test('payments, charges and refunds are listed by what they belong to and by when they came, and page both ways', async () => {
  const own = await startWorld()
  const made: string[] = []
  for (let round = 0; round < 5; round++) {
    const session = await own.stripe.checkout.sessions.create(asked())
    const { body } = await own.control('/stripe/pay', { session: session.id, card: '4000000032200000' })
    made.unshift(body['payment_intent'] as string)
  }
  const forwards: string[] = []
  for await (const intent of own.stripe.paymentIntents.list({ limit: 2 })) forwards.push(intent.id)
  assert.deepEqual(forwards, made)
  const backwards: string[] = []
  for await (const intent of own.stripe.paymentIntents.list({ limit: 2, ending_before: made[4]! }))
    backwards.push(intent.id)
  assert.deepEqual(backwards, made.slice(0, 4).reverse())
  const charges = await own.stripe.charges.list({ payment_intent: made[2]! })
  assert.equal(charges.data.length, 1)
  const sessions = await own.stripe.checkout.sessions.list({ payment_intent: made[2]! })
  assert.equal(sessions.data[0]?.payment_intent, made[2])
  assert.equal((await own.stripe.checkout.sessions.list({ status: 'expired' })).data.length, 0)
  assert.equal((await own.stripe.paymentIntents.list({ created: { gt: 4_000_000_000 } })).data.length, 0)
  await own.stop()
})

test('wrong keys, unknown objects, wrong and unknown parameters are refused in Stripe’s words', async () => {
  const stranger = new Stripe('sk_test_other', { host: '127.0.0.1', port: world.sandbox.port, protocol: 'http' })
  const unknownCaller = await refusal(stranger.checkout.sessions.create(asked()))
  assert.equal(unknownCaller.type, 'StripeAuthenticationError')
  assert.equal(unknownCaller.statusCode, 401)

  const nobody = await refusal(world.stripe.paymentIntents.retrieve('pi_nobody'))
  assert.equal(nobody.statusCode, 404)
  assert.equal(nobody.code, 'resource_missing')
  assert.equal((await refusal(world.stripe.paymentIntents.capture('pi_nobody'))).code, 'resource_missing')
  // An id of another kind is no such object either.
  const session = await world.stripe.checkout.sessions.create(asked())
  assert.equal((await refusal(world.stripe.charges.retrieve(session.id))).code, 'resource_missing')

  const line = asked().line_items?.[0]
  for (const [wrong, code, param] of [
    [{ payment_method_types: ['card'] }, 'payment_method_types_no_longer_supported', 'payment_method_types'],
    [{ allow_wishes: true }, 'parameter_unknown', 'allow_wishes'],
    [{ payment_intent_data: { capture: 'manual' } }, 'parameter_unknown', 'payment_intent_data[capture]'],
    [{ success_url: 'nowhere' }, 'url_invalid', 'success_url'],
    [{ success_url: undefined }, 'parameter_missing', 'success_url'],
    [{ line_items: undefined }, 'parameter_missing', 'line_items'],
    [{ customer_email: 'nobody' }, 'email_invalid', 'customer_email'],
    [
      { line_items: [{ ...line, price_data: { ...line?.price_data, unit_amount: 10.5 } }] },
      'parameter_invalid_integer',
      'line_items[0][price_data][unit_amount]',
    ],
    [
      { line_items: [{ ...line, price_data: { ...line?.price_data, unit_amount: 49 } }] },
      'amount_too_small',
      undefined,
    ],
    [{ mode: 'gift' }, undefined, 'mode'],
    [{ metadata: { [`k${'x'.repeat(40)}`]: 'v' } }, undefined, 'metadata'],
    [{ expand: ['wishes'] }, undefined, undefined],
  ] as const) {
    const refused = await refusal(
      world.stripe.checkout.sessions.create({ ...asked(), ...wrong } as unknown as Stripe.Checkout.SessionCreateParams),
    )
    assert.equal(refused.type, 'StripeInvalidRequestError', JSON.stringify(wrong))
    assert.equal(refused.code, code, JSON.stringify(wrong))
    assert.equal(refused.param, param, JSON.stringify(wrong))
  }
})

test('a call that this stand-in does not know, a body that is no form, a body of 5 MB', async () => {
  const headers = { authorization: 'Bearer sk_test_sandbox', 'content-type': 'application/x-www-form-urlencoded' }
  const unknown = await fetch(`${world.sandbox.url}/v1/customers`, { method: 'POST', headers })
  assert.equal(unknown.status, 404)
  for (const [body, status] of [
    ['a[b', 400],
    ['mode=payment&mode[x]=1', 400],
    ['__proto__[polluted]=1', 400],
    ['x'.repeat(5_000_000), 413],
  ] as const) {
    const answer = await fetch(`${world.sandbox.url}/v1/checkout/sessions`, { method: 'POST', headers, body })
    assert.equal(answer.status, status, body.slice(0, 20))
    const { error } = (await answer.json()) as { error: { type: string } }
    assert.equal(error.type, 'invalid_request_error')
  }
})

test('events and balance transactions are listed newest first and page both ways', async () => {
  const own = await startWorld()
  for (let round = 0; round < 3; round++) {
    const session = await own.stripe.checkout.sessions.create(asked())
    const { body } = await own.control('/stripe/pay', { session: session.id, card: '4000000032200000' })
    await own.stripe.paymentIntents.capture(body['payment_intent'] as string)
  }
  own.pass(2_000)
  const charge = await until(async () => {
    const listed = await own.stripe.balanceTransactions.list()
    return listed.data.length === 3 && (listed.data[0]?.source as string)
  })
  const [balance] = (await own.stripe.balanceTransactions.list({ source: charge, expand: ['data.source'] })).data
  assert.equal(balance?.amount, 1_000)
  assert.equal(balance?.net, 1_000 - 59)
  assert.equal((balance?.source as Stripe.Charge | undefined)?.id, charge)
  assert.equal((await own.stripe.charges.retrieve(charge)).balance_transaction, balance?.id)

  const all: string[] = []
  for await (const event of own.stripe.events.list({ limit: 2 })) all.push(event.id)
  assert.equal(all.length, 21)
  const page = await own.stripe.events.list({ limit: 2, ending_before: all[5]! })
  assert.deepEqual(
    page.data.map((event) => event.id),
    [all[3], all[4]],
  )
  const taken = await own.stripe.events.list({ type: 'payment_intent.succeeded' })
  assert.equal(taken.data.length, 3)
  const two = await own.stripe.events.list({ types: ['charge.captured', 'charge.updated'], limit: 100 })
  assert.equal(two.data.length, 6)
  assert.equal((await own.stripe.events.retrieve(all[0]!)).id, all[0])
  const none = await own.stripe.events.list({ created: { lt: 1_000 } })
  assert.equal(none.data.length, 0)
  await own.stop()
})

test('the books tell every payment in whole cents', async () => {
  const own = await startWorld()
  const cards = ['4000000032200000', '4242424242424242', '4000000000000002']
  const intents: string[] = []
  for (const [place, card] of cards.entries()) {
    const session = await own.stripe.checkout.sessions.create(asked(1_000 + place))
    const { body } = await own.control('/stripe/pay', { session: session.id, card })
    intents.push(body['payment_intent'] as string)
  }
  await own.stripe.paymentIntents.capture(intents[0]!)
  await own.stripe.paymentIntents.cancel(intents[1]!)
  own.pass(2_000)
  const books = await until(async () => {
    const seen = await own.read('/stripe/books')
    return (seen['totals'] as Record<string, number>)['balance'] ? seen : null
  })
  assert.deepEqual(books['totals'], {
    authorized: 2_001,
    captured: 1_000,
    received: 1_000,
    capturable: 0,
    canceled: 1_001,
    sessions: 3,
    payment_intents: 3,
    charges: 3,
    captured_charges: 1,
    refunds: 0,
    refunded: 0,
    refunds_pending: 0,
    refunds_failed: 0,
    disputes: 0,
    disputes_open: 0,
    disputes_lost: 0,
    withdrawn: 0,
    warnings: 0,
    paid_out: 0,
    balance_transactions: 1,
    fees: 59,
    balance: 941,
  })
  const told = books['payment_intents'] as { id: string; status: string }[]
  assert.deepEqual(
    intents.map((id) => told.find((intent) => intent.id === id)?.status),
    ['succeeded', 'canceled', 'requires_payment_method'],
  )
  await own.stop()
})
