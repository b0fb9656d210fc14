import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type Stripe from 'stripe'
import { asked, startWorld, until, type World } from '../testing.ts'

let world: World
before(async () => {
  world = await startWorld()
})
after(() => world.stop())

/**
 * Every test number and what comes of it when 3-D Secure is asked for: `challenge` stands for a press on Complete.
 * Columns: number · page or none · outcome · decline or 3-D Secure result · flow · ECI.
 */
const table = `
4000000000003220  challenge  authorized  authenticated         challenge     05
4000008400000027  challenge  authorized  authenticated         challenge     05
4000002760003184  challenge  authorized  authenticated         challenge     05
4000002500003155  challenge  authorized  authenticated         challenge     05
4000003800000446  challenge  authorized  authenticated         challenge     05
4000000000003055  challenge  authorized  authenticated         challenge     05
4000582600000094  challenge  authorized  authenticated         challenge     05
4000582600000045  challenge  authorized  authenticated         challenge     05
4000582600000102  challenge  authorized  authenticated         challenge     05
4000582600000110  challenge  authorized  authenticated         challenge     05
4000000032200000  none       authorized  authenticated         frictionless  05
4000008400001629  challenge  declined    generic_decline       challenge     05
4000008260003178  challenge  declined    insufficient_funds    challenge     05
4000008400001280  none       declined    generic_decline       -             07
4000000000003097  none       authorized  processing_error      -             07
4242424242424242  none       authorized  attempt_acknowledged  -             06
5555555555554444  none       authorized  attempt_acknowledged  -             01
378282246310005   none       authorized  -                     -             -
4000000000000259  none       authorized  attempt_acknowledged  -             06
4000000000002685  none       authorized  attempt_acknowledged  -             06
4000000000001976  none       authorized  attempt_acknowledged  -             06
4000000000005423  none       authorized  attempt_acknowledged  -             06
4000000404000079  none       authorized  attempt_acknowledged  -             06
4000000404000038  none       authorized  attempt_acknowledged  -             06
4000000404004816  none       authorized  attempt_acknowledged  -             06
4000000404005649  none       authorized  attempt_acknowledged  -             06
5105000300000018  none       authorized  attempt_acknowledged  -             01
4000000000007726  none       authorized  attempt_acknowledged  -             06
4000000000005126  none       authorized  attempt_acknowledged  -             06
4000000000000077  none       authorized  attempt_acknowledged  -             06
4000003720000278  none       authorized  attempt_acknowledged  -             06
4000008405600003  none       authorized  attempt_acknowledged  -             06
4000000000001208  challenge  authorized  attempt_acknowledged  -             06
4000000000003725  challenge  authorized  attempt_acknowledged  -             06
4000000000009235  none       authorized  attempt_acknowledged  -             06
4000000000000101  none       authorized  attempt_acknowledged  -             06
4000000000000036  none       authorized  attempt_acknowledged  -             06
4000000000000002  none       declined    generic_decline       -             06
4000000000000341  none       declined    generic_decline       -             06
4000000000009995  none       declined    insufficient_funds    -             06
4000000000009987  none       declined    lost_card             -             06
4000000000009979  none       declined    stolen_card           -             06
4000000000006975  none       declined    card_velocity_exceeded -            06
4000000000000069  none       declined    expired_card          -             06
4000000000000127  none       declined    incorrect_cvc         -             06
4000000000000119  none       declined    processing_error      -             06
4100000000000019  none       declined    fraudulent            -             -
4000000000004954  none       declined    fraudulent            -             -
4012888888881881  none       declined    test_mode_live_card   -             -
`

for (const line of table.trim().split('\n')) {
  const [number = '', page, outcome, word, flow, eci] = line.trim().split(/\s+/)
  test(`${number}: ${page === 'challenge' ? 'asks, then ' : ''}${outcome}, ${word}`, async () => {
    const session = await world.stripe.checkout.sessions.create(asked())
    const left = await world.control('/stripe/pay', { session: session.id, card: number, challenge: 'close' })
    if (page === 'challenge') assert.equal(left.body['outcome'], 'challenge_open')
    const paid = page === 'challenge' ? await world.control('/stripe/pay', { session: session.id, card: number }) : left
    assert.equal(paid.body['outcome'], outcome)

    const seen = await retrieve(session.id)
    const intent = seen.payment_intent as Stripe.PaymentIntent
    const charge = intent.latest_charge as Stripe.Charge
    const threeDSecure = charge.payment_method_details?.card?.three_d_secure ?? null
    assert.equal(threeDSecure?.authentication_flow ?? '-', flow)
    assert.equal(threeDSecure?.electronic_commerce_indicator ?? '-', eci)
    assert.equal(charge.payment_method_details?.card?.wallet, null)
    assert.equal(charge.payment_method_details?.card?.last4, number.slice(-4))
    if (outcome === 'authorized') {
      assert.equal(threeDSecure?.result ?? '-', word)
      assert.equal(seen.status, 'complete')
      assert.equal(seen.payment_status, 'unpaid')
      assert.equal(intent.status, 'requires_capture')
      assert.equal(intent.amount_capturable, 1_000)
      assert.equal(charge.captured, false)
      assert.equal(charge.status, 'succeeded')
      assert.equal(paid.body['redirect_to'], `http://localhost:4299/topups/top_1/return?session_id=${session.id}`)
    } else {
      assert.equal(seen.status, 'open')
      assert.equal(intent.status, 'requires_payment_method')
      assert.equal(intent.last_payment_error?.decline_code ?? intent.last_payment_error?.code, word)
      assert.equal(intent.last_payment_error?.type, 'card_error')
      assert.equal(charge.status, 'failed')
      assert.equal(paid.body['redirect_to'], session.url)
    }
  })
}

test('what no test card shows is shown when it is asked for: a result, an exemption, a wallet, nothing at all', async () => {
  for (const [shows, result, exemption, wallet] of [
    [{ three_d_secure: 'data_share_only' }, 'data_share_only', null, undefined],
    [{ three_d_secure: 'not_invented_yet' }, 'not_invented_yet', null, undefined],
    [{ exemption: 'low_risk' }, 'authenticated', 'low_risk', undefined],
    [{ three_d_secure: null, wallet: 'apple_pay' }, undefined, undefined, 'apple_pay'],
  ] as const) {
    const session = await world.stripe.checkout.sessions.create(asked())
    const card = '4000000032200000'
    await world.control('/stripe/pay', { session: session.id, card, shows })
    const intent = (await retrieve(session.id)).payment_intent as Stripe.PaymentIntent
    const details = (intent.latest_charge as Stripe.Charge).payment_method_details?.card
    assert.equal(details?.three_d_secure?.result as string | undefined, result)
    assert.equal(details?.three_d_secure?.exemption_indicator, exemption)
    assert.equal(details?.wallet?.type, wallet)
    const refused = await world.control('/stripe/pay', { session: session.id, card, shows: { mood: 'good' } })
    assert.equal(refused.body['field'], 'shows')
  }
})

test('a failed challenge takes nothing, says why, and the same session takes another card', async () => {
  const session = await world.stripe.checkout.sessions.create(asked())
  const failed = await world.control('/stripe/pay', {
    session: session.id,
    card: '4000000000003220',
    challenge: 'fail',
  })
  assert.equal(failed.body['outcome'], 'challenge_failed')
  assert.equal(failed.body['redirect_to'], session.url)
  const seen = await retrieve(session.id)
  const intent = seen.payment_intent as Stripe.PaymentIntent
  assert.equal(intent.status, 'requires_payment_method')
  assert.equal(intent.last_payment_error?.code, 'payment_intent_authentication_failure')
  assert.equal(intent.latest_charge, null)
  assert.equal(seen.status, 'open')

  const again = await world.control('/stripe/pay', { session: session.id, card: '4000 0000 3220 0000' })
  assert.equal(again.body['outcome'], 'authorized')
  assert.equal(again.body['payment_intent'], intent.id)
})

test('a closed challenge leaves the payment waiting for the customer', async () => {
  const session = await world.stripe.checkout.sessions.create(asked())
  const left = await world.control('/stripe/pay', { session: session.id, card: '4000000000003220', challenge: 'close' })
  assert.equal(left.body['redirect_to'], null)
  const intent = (await retrieve(session.id)).payment_intent as Stripe.PaymentIntent
  assert.equal(intent.status, 'requires_action')
  assert.equal(intent.next_action?.redirect_to_url?.url, left.body['challenge_url'])
})

test('without a wish for 3-D Secure only banks that insist ask for it', async () => {
  const params = { ...asked(), payment_method_options: { card: { request_three_d_secure: 'automatic' as const } } }
  for (const [card, result] of [
    ['4000000000003220', 'authenticated'],
    ['4000000000003055', undefined],
    ['4242424242424242', undefined],
  ] as const) {
    const session = await world.stripe.checkout.sessions.create(params)
    await world.control('/stripe/pay', { session: session.id, card })
    const intent = (await retrieve(session.id)).payment_intent as Stripe.PaymentIntent
    const charge = intent.latest_charge as Stripe.Charge
    assert.equal(charge.payment_method_details?.card?.three_d_secure?.result, result, card)
  }
})

test('a number with a wrong check digit is no card', async () => {
  const session = await world.stripe.checkout.sessions.create(asked())
  const refused = await world.control('/stripe/pay', { session: session.id, card: '4242424242424241' })
  assert.equal(refused.status, 400)
  assert.equal(refused.body['field'], 'card')
  assert.equal((await retrieve(session.id)).payment_intent, null)
})

test('a session is paid once, whoever presses how often', async () => {
  const session = await world.stripe.checkout.sessions.create(asked())
  const pressed = await Promise.all(
    Array.from({ length: 10 }, () => world.control('/stripe/pay', { session: session.id, card: '4000000032200000' })),
  )
  const outcomes = pressed.map((each) => each.body['outcome'])
  assert.equal(outcomes.filter((outcome) => outcome === 'authorized').length, 1)
  assert.equal(outcomes.filter((outcome) => outcome === 'already_complete').length, 9)
})

test('events of a good top-up come in the order of what happened', async () => {
  const session = await world.stripe.checkout.sessions.create(asked())
  await world.control('/stripe/pay', { session: session.id, card: '4000000000003220' })
  const intent = (await world.stripe.checkout.sessions.retrieve(session.id)).payment_intent as string
  await world.stripe.paymentIntents.capture(intent)
  world.pass(2_000)
  const types = await until(() => {
    const own = world.receiver.events().filter((event) => JSON.stringify(event).includes(intent))
    return own.length === 8 && own.map((event) => event.type)
  })
  assert.deepEqual(types, [
    'payment_intent.created',
    'payment_intent.requires_action',
    'charge.succeeded',
    'payment_intent.amount_capturable_updated',
    'checkout.session.completed',
    'charge.captured',
    'payment_intent.succeeded',
    'charge.updated',
  ])
})

function retrieve(id: string): Promise<Stripe.Checkout.Session> {
  return world.stripe.checkout.sessions.retrieve(id, { expand: ['payment_intent.latest_charge'] })
}
