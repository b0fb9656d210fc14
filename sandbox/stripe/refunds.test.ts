import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import Stripe from 'stripe'
import { asked, startWorld, until, type World } from '../testing.ts'

let world: World
before(async () => {
  world = await startWorld()
})
after(() => world.stop())

async function captured(amount = 1_000, card = '4000000032200000') {
  const session = await world.stripe.checkout.sessions.create(asked(amount))
  const { body } = await world.control('/stripe/pay', { session: session.id, card })
  const intent = await world.stripe.paymentIntents.capture(body['payment_intent'] as string)
  return { session: session.id, intent: intent.id, charge: intent.latest_charge as string }
}

async function refusal(work: Promise<unknown>) {
  try {
    await work
  } catch (error) {
    if (error instanceof Stripe.errors.StripeError) return error
    throw error
  }
  throw new Error('It was not refused')
}

/** What the bank told about an object, oldest first, without what only the card's network adds. */
const told = async (id: string, count: number) =>
  until(() => {
    const events = world.receiver.events().filter((event) => (event.data.object as { id: string }).id === id)
    return events.length >= count && events.map((event) => event.type)
  })

test('a refund gives back what was asked for, once under its key', async () => {
  const { intent, charge } = await captured()
  const ask = () =>
    world.stripe.refunds.create(
      { payment_intent: intent, amount: 400, reason: 'requested_by_customer', metadata: { refund_id: 'ref_1' } },
      { idempotencyKey: `refund ${intent}` },
    )
  const refund = await ask()
  assert.equal(refund.status, 'succeeded')
  assert.equal(refund.amount, 400)
  assert.equal(refund.charge, charge)
  assert.deepEqual(refund.metadata, { refund_id: 'ref_1' })
  const again = await ask()
  assert.equal(again.id, refund.id)
  assert.equal(again.lastResponse.headers['idempotent-replayed'], 'true')

  const seen = await world.stripe.charges.retrieve(charge, { expand: ['refunds'] })
  assert.equal(seen.amount_refunded, 400)
  assert.equal(seen.refunded, false)
  assert.deepEqual(
    seen.refunds?.data.map((each) => each.id),
    [refund.id],
  )
  const rest = await world.stripe.refunds.create({ charge })
  assert.equal(rest.amount, 600)
  assert.equal((await world.stripe.charges.retrieve(charge)).refunded, true)
  const listed = await world.stripe.refunds.list({ charge })
  assert.deepEqual(
    listed.data.map((each) => each.id),
    [rest.id, refund.id],
  )
  world.pass(2_000)
  assert.deepEqual((await told(refund.id, 2)).slice(0, 1), ['refund.created'])
  const charged = await until(() => {
    const events = world.receiver.events().filter((event) => event.type === 'charge.refunded')
    return events.filter((event) => (event.data.object as Stripe.Charge).id === charge).length === 2
  })
  assert.ok(charged)
})

test('the fee of the charge stays with the bank', async () => {
  const { charge } = await captured(2_000)
  const refund = await world.stripe.refunds.create({ charge })
  const booked = await world.stripe.balanceTransactions.retrieve(refund.balance_transaction as string)
  assert.deepEqual([booked.type, booked.amount, booked.fee, booked.net], ['refund', -2_000, 0, -2_000])
  assert.equal(booked.source, refund.id)
  const taken = await world.stripe.charges.retrieve(charge, { expand: ['balance_transaction'] })
  assert.equal((taken.balance_transaction as Stripe.BalanceTransaction).net, 2_000 - 88)
})

test('more than is left, a refund of everything again, of nothing taken, of nothing there', async () => {
  const { intent, charge } = await captured()
  const tooMuch = await refusal(world.stripe.refunds.create({ charge, amount: 1_001 }))
  assert.equal(tooMuch.message, 'Refund amount ($10.01) is greater than unrefunded amount on charge ($10.00)')
  assert.equal(tooMuch.param, 'amount')
  await world.stripe.refunds.create({ charge })
  assert.equal((await refusal(world.stripe.refunds.create({ charge }))).code, 'charge_already_refunded')
  assert.equal((await refusal(world.stripe.refunds.create({ payment_intent: intent }))).code, 'charge_already_refunded')
  assert.equal((await refusal(world.stripe.refunds.create({ charge, amount: 0 }))).param, 'amount')
  assert.equal((await refusal(world.stripe.refunds.create({ charge: 'ch_none' }))).code, 'resource_missing')
  assert.equal((await refusal(world.stripe.refunds.create({}))).code, 'parameter_missing')

  const session = await world.stripe.checkout.sessions.create(asked())
  const { body } = await world.control('/stripe/pay', { session: session.id, card: '4000000032200000' })
  const reserved = await refusal(world.stripe.refunds.create({ payment_intent: body['payment_intent'] as string }))
  assert.match(reserved.message, /does not have a successful charge to refund/)
})

test('two refunds of the whole at once: one is made', async () => {
  const { charge } = await captured()
  const both = await Promise.allSettled([
    world.stripe.refunds.create({ charge }),
    world.stripe.refunds.create({ charge }),
  ])
  assert.equal(both.filter((each) => each.status === 'fulfilled').length, 1)
})

test('card 4000000000007726: the refund waits, and succeeds later', async () => {
  const { charge } = await captured(1_000, '4000000000007726')
  const refund = await world.stripe.refunds.create({ charge })
  assert.equal(refund.status, 'pending')
  assert.equal(refund.pending_reason, 'processing')
  assert.equal((await world.stripe.charges.retrieve(charge)).amount_refunded, 1_000)
  world.pass(20_000)
  const done = await world.stripe.refunds.retrieve(refund.id)
  assert.equal(done.status, 'succeeded')
  assert.equal(done.pending_reason, undefined)
  assert.deepEqual(await told(refund.id, 3), ['refund.created', 'refund.updated', 'charge.refund.updated'])
})

test('card 4000000000005126: the refund succeeds, and turns out to have failed', async () => {
  const { charge } = await captured(1_000, '4000000000005126')
  const refund = await world.stripe.refunds.create({ charge })
  assert.equal(refund.status, 'succeeded')
  world.pass(20_000)
  const failed = await world.stripe.refunds.retrieve(refund.id, { expand: ['failure_balance_transaction'] })
  assert.equal(failed.status, 'failed')
  assert.equal(failed.failure_reason, 'expired_or_canceled_card')
  const back = failed.failure_balance_transaction as Stripe.BalanceTransaction
  assert.deepEqual([back.type, back.net, back.source], ['refund_failure', 1_000, refund.id])
  const seen = await world.stripe.charges.retrieve(charge)
  assert.deepEqual([seen.amount_refunded, seen.refunded], [0, false])
  assert.deepEqual(await told(refund.id, 4), [
    'refund.created',
    'refund.failed',
    'refund.updated',
    'charge.refund.updated',
  ])
})

test('a refund gets the reference by which the customer’s bank finds it', async () => {
  const { charge } = await captured()
  const refund = await world.stripe.refunds.create({ charge })
  assert.equal(refund.destination_details?.card?.reference_status, 'pending')
  world.pass(2_000)
  const referred = await world.stripe.refunds.retrieve(refund.id)
  assert.equal(referred.destination_details?.card?.reference_status, 'available')
  assert.match(referred.destination_details?.card?.reference ?? '', /^\d{23}$/)
})

test('the desk decides about the next refund of any payment, and about that one only', async () => {
  const cases: [string, string, string?][] = [
    ['pends', 'pending'],
    ['fails', 'failed'],
    ['fails_later', 'succeeded'],
    ['pends_then_fails', 'pending'],
  ]
  for (const [outcome, status] of cases) {
    const { session, charge } = await captured()
    const set = await world.control('/stripe/refunds/next', { payment: session, outcome })
    assert.equal(set.status, 200, JSON.stringify(set.body))
    const refund = await world.stripe.refunds.create({ charge, amount: 300 })
    assert.equal(refund.status, status, outcome)
    const plain = await world.stripe.refunds.create({ charge, amount: 300 })
    assert.equal(plain.status, 'succeeded')
  }
  const { intent } = await captured()
  await world.control('/stripe/refunds/next', { payment: intent, outcome: 'balance_insufficient' })
  const key = { idempotencyKey: `poor ${intent}` }
  const poor = await refusal(world.stripe.refunds.create({ payment_intent: intent }, key))
  assert.equal(poor.code, 'balance_insufficient')
  // The answer belongs to its key; with another one the call is a new one.
  assert.equal(
    (await refusal(world.stripe.refunds.create({ payment_intent: intent }, key))).code,
    'balance_insufficient',
  )
  assert.equal((await world.stripe.refunds.create({ payment_intent: intent })).status, 'succeeded')
})

test('the desk ends a refund that waits, and lets one fail that had succeeded', async () => {
  const { charge } = await captured()
  await world.control('/stripe/refunds/next', { payment: charge, outcome: 'pends', after_seconds: 86_400 })
  const refund = await world.stripe.refunds.create({ charge })
  const ended = await world.control(`/stripe/refunds/${refund.id}`, { status: 'succeeded' })
  assert.equal(ended.body['status'], 'succeeded')
  const twice = await world.control(`/stripe/refunds/${refund.id}`, { status: 'canceled' })
  assert.equal(twice.status, 409)
  const failed = await world.control(`/stripe/refunds/${refund.id}`, { status: 'failed', failure_reason: 'declined' })
  assert.equal(failed.body['failure_reason'], 'declined')
  const nobody = await world.control('/stripe/refunds/re_none', { status: 'failed' })
  assert.equal(nobody.status, 404)
  const unclear = await world.control(`/stripe/refunds/${refund.id}`, { status: 'gone' })
  assert.equal(unclear.body['field'], 'status')
})

test('a refund from the dashboard names no call of ours, and the top-up finds its payment', async () => {
  const { charge } = await captured()
  const { body } = await world.control('/stripe/refunds', { payment: 'top_1', amount: 250 })
  assert.equal(body['charge'], charge)
  const event = await until(() =>
    world.receiver
      .events()
      .find((each) => each.type === 'refund.created' && (each.data.object as Stripe.Refund).id === body['id']),
  )
  assert.deepEqual(event.request, { id: null, idempotency_key: null })
  const tooMuch = await world.control('/stripe/refunds', { payment: charge, amount: 751 })
  assert.equal(tooMuch.status, 409)
  assert.equal((await world.control('/stripe/refunds', { payment: 'top_none' })).status, 404)
})

test('metadata of a refund is mended, and nothing else', async () => {
  const { charge } = await captured()
  const refund = await world.stripe.refunds.create({ charge, metadata: { a: '1', b: '2' } })
  const mended = await world.stripe.refunds.update(refund.id, { metadata: { a: '', c: '3' } })
  assert.deepEqual(mended.metadata, { b: '2', c: '3' })
})

test('a hold lapses when the desk says so', async () => {
  const session = await world.stripe.checkout.sessions.create(asked())
  const { body } = await world.control('/stripe/pay', { session: session.id, card: '4000000032200000' })
  const lapsed = await world.control('/stripe/lapse', { payment: session.id })
  assert.equal(lapsed.body['status'], 'canceled')
  assert.equal(lapsed.body['cancellation_reason'], 'automatic')
  const late = await refusal(world.stripe.paymentIntents.capture(body['payment_intent'] as string))
  assert.equal(late.code, 'payment_intent_unexpected_state')
  assert.equal((await world.control('/stripe/lapse', { payment: session.id })).status, 409)
})
