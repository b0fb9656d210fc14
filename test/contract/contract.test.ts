/**
 * All requests that this house sends to Stripe, all answers of the stand-in and all bodies of its webhooks fit the pinned SDK's own
 * types exactly. One wire stands before the stand-in and one before the server; what went over them is held against the types.
 */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import Stripe from 'stripe'
import { readForm } from '../../sandbox/stripe/form.ts'
import { API_VERSION, openStripe } from '../../server/payments/card/stripe.ts'
import type { Payments } from '../../server/payments/payments.ts'
import { type CardCompany, type CardWorld, cards, sessionOf, startCardWorld } from '../card-world.ts'
import { until } from '../until.ts'
import { type Contract, openContract } from './contract.ts'
import { type Exchange, openWire, type Wire } from './wire.ts'

let contract: Contract
let world: CardWorld
let room: Payments
let card: CardCompany
let toStripe: Wire
let toServer: Wire
/** The calls of `server/payments/card/stripe.ts` that were made. */
const made = new Set<string>()
/** So many of the exchanges are the house's own; those after them are this test's. */
let askedByTheHouse: number
/** Asks over the wire what the house itself does not, and what is refused. */
let stripe: Stripe

before(async () => {
  contract = openContract()
  world = await startCardWorld()
  toStripe = await openWire(world.sandbox.url)
  toServer = await openWire(world.serverUrl)
  world.sandbox.serverMovedTo(toServer.url)
  stripe = new Stripe('sk_test_sandbox', stripeAt())
  const real = openStripe({ secretKey: 'sk_test_sandbox', apiUrl: toStripe.url })
  card = new Proxy(real, {
    get(_, name) {
      made.add(String(name))
      return real[name as keyof typeof real]
    },
  })
  room = world.room(card)
  world.serve(room)
  await everythingHappens()
})
after(async () => {
  contract?.close()
  await toStripe?.close()
  await toServer?.close()
  await world?.stop()
})

async function everythingHappens(): Promise<void> {
  const ana = await world.customer()
  for (const [number, challenge] of [
    [cards.confirms, 'complete'],
    [cards.frictionless, undefined],
    [cards.notEnrolled, undefined],
    [cards.without3ds, undefined],
    [cards.attemptErrs, undefined],
    [cards.declined, undefined],
    [cards.declinedAfterwards, 'complete'],
    ['4100000000000019', undefined],
    [cards.confirms, 'fail'],
    [cards.confirms, 'close'],
  ] as const) {
    const topup = await ana.startsTopup('10.00')
    await world.pay(topup, number, challenge)
    await ana.comesBack(topup)
  }
  await world.houseTimePasses(45 * 60)
  await room.sweep()

  // What goes back: at once, later, not at all, not any more, and by another hand.
  const paid = await ana.startsTopup('60.00')
  await world.pay(paid, cards.confirms)
  await ana.comesBack(paid)
  for (const outcome of ['succeeds', 'pends', 'fails', 'fails_later', 'balance_insufficient']) {
    await world.control('/stripe/refunds/next', { payment: paid.id, outcome, after_seconds: 0 })
    const { status } = await ana.call(`/topups/${paid.id}/refunds`, { amount: '5.00' })
    assert.equal(status, 201)
  }
  const lapsing = await ana.startsTopup('10.00')
  await world.pay(lapsing, cards.confirms)
  await world.control('/stripe/lapse', { payment: lapsing.id })
  await ana.comesBack(lapsing)
  await room.fillGap()
  await card.listObjects('payment_intent', { limit: 2, createdFrom: 1 })
  await card.listObjects('refund', { limit: 2, createdFrom: 1 })
  askedByTheHouse = toStripe.exchanges.length

  // What only somebody at Stripe's dashboard, or a later version of this house, asks.
  const session = await stripe.checkout.sessions.retrieve(sessionOf(paid), { expand: ['line_items', 'payment_intent'] })
  const intent = session.payment_intent as Stripe.PaymentIntent
  await stripe.paymentIntents.retrieve(intent.id, { expand: ['payment_method'] })
  await stripe.charges.retrieve(intent.latest_charge as string, { expand: ['balance_transaction', 'payment_intent'] })
  const [balance] = await until(async () => (await stripe.balanceTransactions.list({ limit: 3 })).data)
  await stripe.balanceTransactions.retrieve(balance!.id, { expand: ['source'] })
  await stripe.checkout.sessions.list({ status: 'complete', limit: 2 })
  await stripe.paymentIntents.list({ created: { gte: 1 } })
  await stripe.charges.list({ payment_intent: intent.id })
  await card.listRefunds(intent.id)
  const [refund] = (await stripe.refunds.list({ charge: intent.latest_charge as string })).data
  await card.readRefund(refund!.id)
  await stripe.refunds.retrieve(refund!.id, { expand: ['balance_transaction', 'charge'] })
  await stripe.refunds.update(refund!.id, { metadata: { seen: 'yes' } })
  await disputesHappen()
  const { data: events } = await stripe.events.list({ limit: 100, created: { gte: 1 } })
  await stripe.events.retrieve(events[0]!.id)

  // Refusals, of each kind.
  const refused = async (call: Promise<unknown>) => assert.rejects(call, Stripe.errors.StripeError)
  await refused(stripe.checkout.sessions.retrieve('cs_test_unknown'))
  await refused(stripe.paymentIntents.capture(intent.id, {}))
  await refused(stripe.paymentIntents.cancel(intent.id, {}))
  await refused(stripe.checkout.sessions.expire(session.id, {}))
  const keyed = { idempotencyKey: 'the same for both' }
  await refused(stripe.paymentIntents.cancel(intent.id, { cancellation_reason: 'duplicate' }, keyed))
  await refused(stripe.paymentIntents.cancel(intent.id, { cancellation_reason: 'fraudulent' }, keyed))
  await refused(new Stripe('sk_test_wrong', stripeAt()).events.list())
  await until(async () => (await world.control('/stripe/webhooks'))['waiting'] === 0)
}

/** Every kind of dispute, every end of one, warnings, and what is paid out in the end. */
async function disputesHappen(): Promise<void> {
  const disputed: string[] = []
  for (const [kind, outcomes] of [
    ['dispute', ['win', 'appeal', 'lose']],
    ['inquiry', ['escalate', 'prevent']],
    ['prevented', []],
    ['prevented_refunded', []],
    ['dispute', []],
  ] as const) {
    // Who was once disputed with does not pay by card again.
    const ben = await world.customer()
    const topup = await ben.startsTopup('10.00')
    await world.pay(topup, cards.frictionless)
    await ben.comesBack(topup)
    await world.control('/stripe/warnings', { payment: topup.id })
    const { id } = await world.control('/stripe/disputes', { payment: topup.id, kind, reason: 'product_not_received' })
    disputed.push(id as string)
    for (const outcome of outcomes) await world.control(`/stripe/disputes/${id}`, { outcome })
  }
  const open = disputed.at(-1)!
  await card.readDispute(open)
  const { charge } = await stripe.disputes.retrieve(open, { expand: ['charge', 'payment_intent'] })
  await card.readCharge((charge as Stripe.Charge).id)
  await card.findSession((charge as Stripe.Charge).payment_intent as string)
  await stripe.disputes.list({ charge: (charge as Stripe.Charge).id, limit: 1 })
  await stripe.disputes.update(open, {
    evidence: { customer_email_address: 'ana@example.com', access_activity_log: 'Day 1: three codes.' },
    metadata: { seen: 'yes' },
    submit: false,
  })
  await stripe.disputes.close(open)
  const [warning] = (await stripe.radar.earlyFraudWarnings.list({ expand: ['data.charge'] })).data
  await card.readFraudWarning(warning!.id)
  await card.listDisputes({ limit: 2 })
  await card.listFraudWarnings({ limit: 2 })
  await stripe.radar.earlyFraudWarnings.retrieve(warning!.id, { expand: ['charge', 'payment_intent'] })

  // A charge that is available at once, from a session of another shop's: this house would not take the card.
  const session = await stripe.checkout.sessions.create({
    mode: 'payment',
    line_items: [
      { quantity: 1, price_data: { currency: 'usd', unit_amount: 90_000, product_data: { name: 'Something else' } } },
    ],
    success_url: 'http://localhost:4499/',
  })
  await world.control('/stripe/pay', { session: session.id, card: '4000000000000077' })
  const paid = await until(async () => {
    const answer = await fetch(`${world.sandbox.url}/stripe/payouts`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: '{}',
    })
    return answer.status === 200 && ((await answer.json()) as { id: string })
  })
  await stripe.payouts.retrieve(paid.id)
  await stripe.payouts.list({ limit: 1 })
  await stripe.balanceTransactions.list({ payout: paid.id, expand: ['data.source'] })
  await card.listBalance({ from: new Date(0), until: new Date(), after: null })
}

const stripeAt = () => ({
  host: '127.0.0.1',
  port: new URL(toStripe.url).port,
  protocol: 'http' as const,
  maxNetworkRetries: 0,
})

function misfitsOf(exchange: Exchange): string[] {
  const call = contract.callOf(exchange.method, exchange.path)
  if (!call) return [`${exchange.method} ${exchange.path}: no call of the table`]
  const form = readForm(exchange.method === 'GET' ? exchange.query : exchange.asked)
  assert.ok(form)
  return [...contract.asked(call, form), ...contract.answered(call, exchange.status, JSON.parse(exchange.answered))]
}

test('every request sent and every answer given fit the types of the pinned SDK', () => {
  assert.deepEqual([...new Set(toStripe.exchanges.flatMap(misfitsOf))], [])
})

test('every webhook fits the types of the pinned SDK', () => {
  assert.deepEqual([...new Set(webhooks().flatMap((event) => contract.told(event)))], [])
})

test('nothing is left out: every call of the table, every call of the house, every kind of event that the stand-in tells', () => {
  const called = new Set(toStripe.exchanges.map(({ method, path }) => contract.callOf(method, path)))
  assert.deepEqual(
    contract.calls.filter((call) => !called.has(call)),
    [],
    'a call of the table that nobody makes',
  )
  assert.deepEqual(
    Object.keys(world.stripe).filter((name) => !made.has(name)),
    [],
    'a call of the house that was not made here',
  )
  const told = new Set(webhooks().map(({ type }) => type))
  assert.deepEqual(
    eventsOfTheStandIn().filter((type) => !told.has(type)),
    [],
    'an event that did not happen here',
  )
})

function webhooks(): { type: string }[] {
  return toServer.exchanges
    .filter(({ path }) => path === '/webhooks/stripe')
    .map(({ asked }) => JSON.parse(asked) as { type: string })
}

/** The kinds of events that stand in the stand-in's code. */
function eventsOfTheStandIn(): string[] {
  const folder = join(import.meta.dirname, '../../sandbox/stripe')
  const text = readdirSync(folder)
    .filter((name) => name.endsWith('.ts') && !name.endsWith('.test.ts'))
    .map((name) => readFileSync(join(folder, name), 'utf8'))
    .join('\n')
  const kinds = /'((?:charge|checkout\.session|payment_intent|refund|radar\.early_fraud_warning|payout)\.[a-z_.]+)'/g
  return [...new Set([...text.matchAll(kinds)].map((match) => match[1]!))].sort()
}

test('every call that changes something carries a durable key of ours, and each the version of the SDK', () => {
  for (const { method, path, headers } of toStripe.exchanges.slice(0, askedByTheHouse)) {
    assert.equal(headers['stripe-version'], API_VERSION, path)
    if (method === 'POST') assert.match(headers['idempotency-key'] ?? 'none', /^[a-z]+:[0-9a-f-]{36}(:|$)/, path)
  }
})

test('a wrong exchange is reported: each kind of mistake, in a request, an answer, an event, and at any depth', () => {
  // biome-ignore lint/suspicious/noExplicitAny: spoilt on purpose, wherever the mistake belongs
  type Json = Record<string, any>
  const created = toStripe.exchanges.find(({ method, path }) => method === 'POST' && path === '/v1/checkout/sessions')!
  const read = toStripe.exchanges.find(
    ({ method, path, answered }) =>
      method === 'GET' && /sessions\/cs/.test(path) && /"result": ?"authenticated"/.test(answered),
  )!
  const failed = toStripe.exchanges.find(({ status }) => status === 400)!
  const event = toServer.exchanges.find(({ asked }) => asked.includes('"payment_intent.succeeded"'))!
  const call = 'POST /v1/checkout/sessions'
  const spoil = (text: string, how: (it: Json) => unknown): Json => {
    const copy = JSON.parse(text) as Json
    how(copy)
    return copy
  }
  const spoilt: [name: string, check: () => string[], reported: RegExp][] = [
    ['request, unknown field', () => asked((it) => (it['payment_method'] = 'x')), /payment_method: unknown/],
    [
      'request, missing field',
      () => asked((it) => delete it['line_items']['0']['price_data']['currency']),
      /currency: missing/,
    ],
    ['request, wrong word', () => asked((it) => (it['mode'] = 'pay')), /mode: the word "pay" where Mode/],
    ['request, wrong kind', () => asked((it) => (it['expires_at'] = 'soon')), /expires_at: text where number/],
    ['answer, unknown field', () => answered((it) => (it['paid'] = true)), /answers\.paid: unknown field/],
    ['answer, missing field', () => answered((it) => delete it['amount_total']), /amount_total: missing/],
    ['answer, wrong word of an open enum', () => answered((it) => (it['status'] = 'done')), /status: the word "done"/],
    ['answer, wrong kind', () => answered((it) => (it['amount_total'] = '1000')), /amount_total: text where number/],
    ['answer, null', () => answered((it) => (it['livemode'] = null)), /livemode: null where boolean/],
    ['answer, a list', () => answered((it) => (it['metadata'] = [])), /metadata: a list/],
    [
      'answer, deep, unknown field',
      () => answered((it) => (secure(it)['liable'] = 1)),
      /three_d_secure\.liable: unknown/,
    ],
    [
      'answer, deep, missing field',
      () => answered((it) => delete secure(it)['version']),
      /three_d_secure\.version: missing/,
    ],
    ['answer, deep, wrong word', () => answered((it) => (secure(it)['result'] = 'yes')), /result: the word "yes"/],
    ['answer, deep, wrong kind', () => answered((it) => (secure(it)['version'] = 2)), /version: a number/],
    ['refusal, wrong word', () => refusal((it) => (it['type'] = 'error')), /error\.type: the word "error"/],
    ['refusal, unknown field', () => refusal((it) => (it['why'] = 'x')), /error\.why: unknown field/],
    ['refusal, missing field', () => refusal((it) => delete it['message']), /error\.message: missing/],
    ['refusal, wrong kind', () => refusal((it) => (it['message'] = 1)), /error\.message: a number/],
    ['event, unknown kind', () => told((it) => (it['type'] = 'payment_intent.done')), /type: the word/],
    ['event, unknown field', () => told((it) => (it['data']['object']['x'] = 1)), /data\.object\.x: unknown field/],
    [
      'event, missing field',
      () => told((it) => delete it['data']['object']['amount']),
      /data\.object\.amount: missing/,
    ],
    ['event, wrong word', () => told((it) => (it['data']['object']['status'] = 'paid')), /status: the word "paid"/],
    ['event, wrong kind', () => told((it) => (it['created'] = 'now')), /created: text where number/],
    [
      'event, another object',
      () => told((it) => (it['data']['object']['object'] = 'charge')),
      /object: the word "charge"/,
    ],
  ]
  for (const [name, check, reported] of spoilt) {
    const found = check()
    assert.equal(found.length, 1, `${name}: ${found.join('\n')}`)
    assert.match(found[0]!, reported, name)
  }
  assert.equal(contract.callOf('POST', '/v1/payment_methods'), null)

  function asked(how: (it: Json) => unknown) {
    return contract.asked(call, spoil(JSON.stringify(readForm(created.asked)), how))
  }
  function answered(how: (it: Json) => unknown) {
    return contract.answered('GET /v1/checkout/sessions/:id', 200, spoil(read.answered, how))
  }
  function secure(it: Json): Json {
    return it['payment_intent'].latest_charge.payment_method_details.card.three_d_secure
  }
  function refusal(how: (it: Json) => unknown) {
    return contract.answered(
      'GET /v1/checkout/sessions/:id',
      400,
      spoil(failed.answered, (it) => how(it['error'])),
    )
  }
  function told(how: (it: Json) => unknown) {
    return contract.told(spoil(event.asked, how))
  }
})
