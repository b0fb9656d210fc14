import assert from 'node:assert/strict'
import { test } from 'node:test'
import type Stripe from 'stripe'
import { asked, startWorld, until, type World } from '../testing.ts'

async function pay(world: World): Promise<string> {
  const session = await world.stripe.checkout.sessions.create(asked())
  await world.control('/stripe/pay', { session: session.id, card: '4000000032200000' })
  return session.id
}

const order = [
  'payment_intent.created',
  'charge.succeeded',
  'payment_intent.amount_capturable_updated',
  'checkout.session.completed',
]
const types = (events: Stripe.Event[]) => events.map((event) => event.type as string)

test('webhooks carry a signature that the SDK accepts, over the very bytes that were sent', async () => {
  const world = await startWorld()
  await pay(world)
  await until(() => world.receiver.events().length === 4)
  for (const call of world.receiver.heard) {
    const signature = call.headers['stripe-signature'] as string
    const event = world.stripe.webhooks.constructEvent(call.body, signature, 'whsec_sandbox')
    assert.equal(event.api_version, '2026-10-28.endive')
    assert.equal(event.livemode, false)
    assert.throws(() => world.stripe.webhooks.constructEvent(`${call.body} `, signature, 'whsec_sandbox'))
    assert.throws(() => world.stripe.webhooks.constructEvent(call.body, signature, 'whsec_other'))
    const kept = await world.stripe.events.retrieve(event.id)
    assert.equal(kept.type, event.type)
  }
  assert.deepEqual(types(world.receiver.events()), order)
  await world.stop()
})

test('an API call is named in the event that it caused', async () => {
  const world = await startWorld()
  const session = await pay(world)
  const { payment_intent } = await world.stripe.checkout.sessions.retrieve(session)
  await world.stripe.paymentIntents.capture(payment_intent as string, {}, { idempotencyKey: 'topup:1:capture' })
  const event = await until(() => world.receiver.events().find((each) => each.type === 'payment_intent.succeeded'))
  assert.equal(event.request?.idempotency_key, 'topup:1:capture')
  assert.match(event.request?.id ?? '', /^req_/)
  await world.stop()
})

test('what the server does not take is sent again until it does', async () => {
  const world = await startWorld()
  let refusals = 0
  world.receiver.answer = () => {
    if (refusals >= 6) return undefined
    refusals += 1
    return refusals % 2 ? 'hang' : { status: 500 }
  }
  await pay(world)
  const refused = () => world.receiver.heard.length - world.receiver.events().length
  assert.equal(refused(), 0)
  await until(async () => {
    world.pass(61_000)
    return (await world.read('/stripe/webhooks'))['delivered'] === 4
  })
  assert.equal(refusals, 6)
  const distinct = new Set(world.receiver.events().map((event) => event.id))
  assert.equal(distinct.size, 4)
  await world.stop()
})

test('an event outlives a restart of the bank and an absence of the server', async () => {
  const world = await startWorld()
  world.receiver.answer = () => ({ status: 503 })
  await pay(world)
  await until(() => world.receiver.heard.length > 0)
  world.receiver.heard.length = 0
  await world.restart()
  world.receiver.answer = () => undefined
  world.pass(60_000)
  // One whose answer was on its way at the restart may come again.
  await until(() => new Set(types(world.receiver.events())).size === 4)
  assert.deepEqual(new Set(types(world.receiver.events())), new Set(order))
  await world.stop()
})

test('a server that never answers is given up after fourteen attempts', async () => {
  const world = await startWorld()
  world.receiver.answer = () => ({ status: 500 })
  await pay(world)
  await until(async () => {
    world.pass(61_000)
    return (await world.read('/stripe/webhooks'))['given_up'] === 4
  })
  assert.equal(world.receiver.heard.length, 4 * 14)
  await world.stop()
})

test('off: lost, also after it is on again; the events list still knows', async () => {
  const world = await startWorld()
  await world.control('/stripe/webhooks', { mode: 'off' })
  await pay(world)
  await world.control('/stripe/webhooks', { mode: 'on' })
  const later = await pay(world)
  await until(() => world.receiver.events().length === 4)
  assert.ok(world.receiver.heard.every((call) => call.body.includes(later) || !call.body.includes('cs_test')))
  const lost = await world.stripe.events.list({ delivery_success: false })
  assert.deepEqual(types(lost.data).reverse(), order)
  await world.stop()
})

test('double: each event arrives twice', async () => {
  const world = await startWorld()
  const { body } = await world.control('/stripe/webhooks', { mode: 'double' })
  assert.equal(body['mode'], 'double')
  await pay(world)
  await until(() => world.receiver.events().length === 8)
  const ids = world.receiver.events().map((event) => event.id)
  assert.equal(new Set(ids).size, 4)
  assert.ok(ids.every((id) => ids.filter((each) => each === id).length === 2))
  await world.stop()
})

test('late: five seconds after it happened', async () => {
  const world = await startWorld()
  await world.control('/stripe/webhooks', { mode: 'late' })
  await pay(world)
  world.pass(4_900)
  await new Promise((resolve) => setTimeout(resolve, 500))
  assert.equal(world.receiver.events().length, 0)
  world.pass(100)
  await until(() => world.receiver.events().length === 4)
  await world.stop()
})

test('reordered: the last comes first', async () => {
  const world = await startWorld()
  await world.control('/stripe/webhooks', { mode: 'reordered' })
  await pay(world)
  world.pass(2_000)
  await until(() => world.receiver.events().length === 4)
  assert.deepEqual(types(world.receiver.events()), order.toReversed())
  await world.stop()
})

test('withheld: none leaves before they are released, then in the order that was asked for, as often as was asked for', async () => {
  const world = await startWorld()
  await world.control('/stripe/webhooks', { mode: 'withheld' })
  await pay(world)
  assert.equal((await world.read('/stripe/webhooks'))['withheld'], 4)
  const reversed = await world.control('/stripe/webhooks/release', { order: 'reversed' })
  assert.equal(reversed.body['released'], 4)
  await until(() => world.receiver.events().length === 4)
  assert.deepEqual(types(world.receiver.events()), order.toReversed())

  await pay(world)
  assert.equal((await world.control('/stripe/webhooks/release', { order: 'shuffled', copies: 3 })).body['released'], 4)
  await until(() => world.receiver.events().length === 4 + 12)
  assert.equal((await world.control('/stripe/webhooks/release', {})).body['released'], 0)
  assert.equal((await world.control('/stripe/webhooks/release', { order: 'none' })).body['field'], 'order')
  await world.stop()
})

test('what the server answered stands beside each delivery, also a redirect, which nobody follows', async () => {
  const world = await startWorld()
  world.receiver.answer = () => ({ status: 307 })
  await pay(world)
  await until(() => world.receiver.heard.length >= 4)
  const { deliveries } = (await world.read('/stripe/webhooks')) as {
    deliveries: { state: string; last_answer: string }[]
  }
  assert.ok(deliveries.some((each) => each.state === 'due' && each.last_answer === '307'))
  await world.stop()
})

test('an event is sent once more when somebody asks for it', async () => {
  const world = await startWorld()
  await world.control('/stripe/webhooks', { mode: 'off' })
  await pay(world)
  const [newest] = (await world.stripe.events.list()).data
  assert.equal((await world.control('/stripe/webhooks/resend', { event: newest!.id })).status, 200)
  await until(() => world.receiver.events().length === 1)
  assert.equal(world.receiver.events()[0]?.id, newest!.id)
  assert.equal((await world.control('/stripe/webhooks/resend', { event: 'evt_none' })).status, 404)
  await world.stop()
})

test('another way to send webhooks is refused with the ways there are', async () => {
  const world = await startWorld()
  const refused = await world.control('/stripe/webhooks', { mode: 'sometimes' })
  assert.equal(refused.status, 400)
  assert.equal(refused.body['field'], 'mode')
  assert.match(String(refused.body['detail']), /on, off, double, late, reordered/)
  assert.equal((await world.read('/stripe/webhooks'))['mode'], 'on')
  await world.stop()
})
