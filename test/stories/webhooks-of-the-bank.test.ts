/**
 * The bank's webhooks: only what is signed is stored, each event once, and what it says is never believed: the bank is asked.
 */
import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { after, afterEach, before, test } from 'node:test'
import Stripe from 'stripe'
import type { CardTopup } from '../../contract/contract.ts'
import type { Problem } from '../../contract/refusals.ts'
import { readId } from '../../server/platform/ids.ts'
import { type CardCompany, type CardWorld, cards, sessionOf, startCardWorld } from '../card-world.ts'
import { until } from '../until.ts'

let world: CardWorld
before(async () => {
  world = await startCardWorld()
  await world.webhooks('off')
})
after(() => world?.stop())
afterEach(() => assert.deepEqual(world.alarms, []))

const now = () => Math.floor(Date.now() / 1000)
let events = 0

function event(object: object, more: object = {}): { id: string; body: string } {
  const id = `evt_test_${++events}`
  const whole = {
    id,
    object: 'event',
    api_version: '2026-10-28.endive',
    created: now(),
    livemode: false,
    type: 'checkout.session.completed',
    data: { object: { object: 'checkout.session', ...object } },
    ...more,
  }
  return { id, body: JSON.stringify(whole, null, 2) }
}

function sign(body: string, { timestamp = now(), secret = 'whsec_sandbox' } = {}): string {
  return Stripe.webhooks.generateTestHeaderString({ payload: body, secret, timestamp })
}

async function send(body: string, signature?: string): Promise<{ status: number; body: Problem }> {
  const answer = await fetch(`${world.serverUrl}/webhooks/stripe`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...(signature ? { 'stripe-signature': signature } : {}) },
    body,
  })
  return { status: answer.status, body: (await answer.json()) as Problem }
}

async function stored(id?: string) {
  const { rows } = await world.db.database.pool.query(
    `select external_id, subject, outcome, handled_at is not null as handled from inbox where source = 'stripe' and ($1::text is null or external_id = $1)`,
    [id ?? null],
  )
  return rows as { external_id: string; subject: string; outcome: string | null; handled: boolean }[]
}

async function standing(id: string): Promise<string> {
  const { rows } = await world.db.database.pool.query(
    `select case when handled_at is not null then 'handled' when set_aside_at is not null then 'set_aside' else 'waiting' end as status, outcome
       from inbox where source = 'stripe' and external_id = $1`,
    [id],
  )
  return `${rows[0].status} ${rows[0].outcome}`
}

async function jobs(): Promise<number> {
  const { rows } = await world.db.database.pool.query(
    `select count(*)::int as count from pgboss.job where name = 'payments_settle'`,
  )
  return rows[0].count
}

test('what is not signed by the bank, now, over exactly these bytes, is refused and not stored', async () => {
  const { body } = event({ id: 'cs_1' })
  const [before, sent] = [await stored(), await jobs()]
  const good = sign(body)
  const mac = (content: string, secret = 'whsec_sandbox') => createHmac('sha256', secret).update(content).digest('hex')
  for (const [name, bytes, signature] of [
    ['no signature', body, undefined],
    ['empty', body, ''],
    ['not a signature', body, 'v1=abc'],
    ['another secret', body, sign(body, { secret: 'whsec_other' })],
    ['an empty secret', body, `t=${now()},v1=${mac(`${now()}.${body}`, '')}`],
    ['too old', body, sign(body, { timestamp: now() - 302 })],
    ['too far ahead', body, sign(body, { timestamp: now() + 400 })],
    ['no time', body, `v1=${mac(body)}`],
    ['two times', body, `t=${now()},${sign(body, { timestamp: now() - 4000 })}`],
    ['another scheme', body, good.replace('v1=', 'v0=')],
    ['a changed byte', body.replace('cs_1', 'cs_2'), good],
    ['a byte more', `${body} `, good],
    ['the time changed', body, good.replace(/t=\d+/, `t=${now() + 1}`)],
    ['endless', body, `${good},${'v1=00,'.repeat(2_000)}`],
  ] as const) {
    const answer = await send(bytes, signature)
    assert.equal(answer.status, 400, name)
    assert.equal(answer.body.code, 'invalid_signature', name)
    assert.ok(!JSON.stringify(answer.body).includes('at '), name)
  }
  assert.deepEqual(await stored(), before)
  assert.equal(await jobs(), sent)
})

test('299 seconds old or ahead is taken, by each of the secrets', async () => {
  for (const more of [{ timestamp: now() - 299 }, { timestamp: now() + 298 }, { secret: 'whsec_rotated_out' }]) {
    const { id, body } = event({ id: 'cs_1' })
    assert.equal((await send(body, sign(body, more))).status, 200)
    assert.equal((await stored(id)).length, 1)
  }
  const { body } = event({ id: 'cs_1' })
  const both = `${sign(body, { secret: 'whsec_unknown' })},${sign(body).split(',')[1]}`
  assert.equal((await send(body, both)).status, 200)
})

for (const megabytes of [1, 5]) {
  test(`${megabytes} MB are refused, signed or not`, async () => {
    const before = await stored()
    const { body } = event({ id: 'cs_1', padding: 'x'.repeat(megabytes * 1024 * 1024) })
    for (const signature of [sign(body), undefined]) {
      const answer = await send(body, signature)
      assert.equal(answer.status, 413)
      assert.equal(answer.body.code, 'too_large')
    }
    assert.deepEqual(await stored(), before)
  })
}

test('without a secret there is no endpoint', async () => {
  for (const webhookSecrets of [[], [''], [' ']]) {
    world.serve(world.room(undefined, { webhookSecrets }))
    const { body } = event({ id: 'cs_1' })
    const forged = `t=${now()},v1=${createHmac('sha256', webhookSecrets[0] ?? '')
      .update(`${now()}.${body}`)
      .digest('hex')}`
    assert.equal((await send(body, forged)).status, 404)
  }
  world.serve(world.payments)
})

test('the same event ten times at once is stored once and sends one job', async () => {
  const ana = await world.customer()
  const topup = await ana.startsTopup('10.00')
  const before = await jobs()
  const { id, body } = event({ id: sessionOf(topup), object: 'checkout.session' })
  const answers = await Promise.all(Array.from({ length: 10 }, () => send(body, sign(body))))
  assert.deepEqual(new Set(answers.map(({ status }) => status)), new Set([200]))
  assert.deepEqual(answers.map(({ body: told }) => told.status as unknown as string).sort(), [
    'accepted',
    ...Array(9).fill('duplicate'),
  ])
  assert.equal((await stored(id)).length, 1)
  assert.equal(await jobs(), before + 1)
})

test('an event that says "paid" about an unpaid session moves nothing', async () => {
  const ana = await world.customer()
  const topup = await ana.startsTopup('10.00')
  const lie = {
    id: sessionOf(topup),
    object: 'checkout.session',
    status: 'complete',
    payment_status: 'paid',
    amount_total: 1_000_000,
    client_reference_id: topup.id,
    metadata: { topup_id: topup.id },
    payment_intent: { id: 'pi_1', status: 'succeeded', amount_received: 1_000_000 },
  }
  const { id, body } = event(lie)
  assert.equal((await send(body, sign(body))).status, 200)
  await until(async () => (await stored(id))[0]?.handled)
  assert.equal((await ana.looksAt(topup)).status, 'awaiting_payment')
  assert.equal(await ana.has(), '0.00, on its way 0.00')
})

for (const [name, objectOf] of [
  ['our id on the object', (topup: CardTopup) => ({ id: 'cs_other', metadata: { topup_id: topup.id } })],
  ['our id as the reference', (topup: CardTopup) => ({ id: 'cs_other', metadata: {}, client_reference_id: topup.id })],
  ['the session in our directory', (topup: CardTopup) => ({ id: sessionOf(topup), object: 'checkout.session' })],
] as const) {
  test(`an event leads to its top-up by ${name}`, async () => {
    const ana = await world.customer()
    const topup = await ana.startsTopup('10.00')
    await world.pay(topup, cards.frictionless)
    const { id, body } = event(objectOf(topup))
    assert.equal((await send(body, sign(body))).status, 200)
    await until(async () => (await ana.looksAt(topup)).status === 'credited')
    // The credit comes first, the mark on the event a moment later.
    await until(async () => (await stored(id))[0]?.handled)
    assert.deepEqual(await stored(id), [
      { external_id: id, subject: objectOf(topup).id, outcome: 'credited', handled: true },
    ])
  })
}

const MARK = 'top_00000000000000000000000000000000'
for (const [name, object, more, expected] of [
  ['a payment page without a mark', { id: 'cs_1' }, {}, 'handled not_ours'],
  ['a mark that is none', { id: 'cs_1', metadata: { topup_id: "'; drop table topups; --" } }, {}, 'handled not_ours'],
  ['fields of another kind', { id: 'cs_1', metadata: null, client_reference_id: 7 }, {}, 'handled not_ours'],
  ['an old version of the API', { id: 'cs_1' }, { api_version: '2019-01-01' }, 'handled not_ours'],
  ['a payout', { id: 'po_1', object: 'payout' }, { type: 'payout.paid' }, 'handled not_ours'],
  ['the balance, which has no id', { object: 'balance' }, { type: 'balance.available' }, 'handled not_ours'],
  ['a type that nobody has heard of', { id: 'x_1', object: 'wish' }, { type: 'wish.granted' }, 'handled not_ours'],
  [
    'a thin event',
    {},
    { object: 'v2.core.event', type: 'v2.wish', data: undefined, related_object: { id: 'x', type: 'wish' } },
    'handled not_ours',
  ],
  [
    "another installation's payment",
    { id: 'cs_1', metadata: { topup_id: MARK, installation: '00000000-0000-4000-8000-000000000000' } },
    {},
    'handled other_installation',
  ],
  ['a mark of ours that is not known', { id: 'cs_1', client_reference_id: MARK }, {}, 'waiting unknown_object'],
  [
    'a refund of a payment that is not known',
    { id: 're_1', object: 'refund', payment_intent: 'pi_unknown', charge: { id: 'ch_unknown' } },
    { type: 'refund.created' },
    'waiting unknown_object',
  ],
] as const) {
  test(`${name}: ${expected}, and nothing is asked of the bank`, async () => {
    const before = await jobs()
    const { id, body } = event(object, more)
    assert.equal((await send(body, sign(body))).status, 200)
    assert.equal(await standing(id), expected)
    assert.equal(await jobs(), before)
  })
}

for (const [name, object, more] of [
  ['nothing in it', {}, { data: null }],
  ['an object without an id', { id: undefined }, {}],
  ['an object whose id is a number', { id: 7 }, {}],
  ['an object of another kind', { id: 'cs_1', object: 'checkout.sessions.session' }, {}],
  ['a list', { id: 'cs_1' }, { data: { object: [] } }],
] as const) {
  test(`a known kind of event with ${name} is set aside, and somebody is called`, async () => {
    const before = await jobs()
    const { id, body } = event(object, more)
    assert.equal((await send(body, sign(body))).status, 200)
    assert.equal(await standing(id), 'set_aside null')
    assert.equal(await jobs(), before)
    assert.equal(world.alarms.splice(0).length, 1)
    // Once.
    assert.equal((await send(body, sign(body))).status, 200)
    assert.deepEqual(world.alarms, [])
  })
}

test('what is signed and has no id is set aside; what is no object at all is refused, and sent again by the bank', async () => {
  const before = await jobs()
  for (const body of ['{}', '{"id":7}', '{"id":"evt 1"}', '{"id":"evt_\\u0000"}']) {
    assert.equal((await send(body, sign(body))).status, 200, body)
    assert.equal(world.alarms.splice(0).length, 1, body)
  }
  for (const body of ['', 'null', '[]', '7', 'nonsense', '"evt_1"', '{"id":"evt_1"']) {
    const answer = await send(body, body ? sign(body) : 't=1,v1=00')
    assert.equal(answer.status, 400, body)
  }
  assert.equal(await jobs(), before)
})

test('an event of real money does not enter a house of test money', async () => {
  const ana = await world.customer()
  const topup = await ana.startsTopup('10.00')
  const { id, body } = event({ id: sessionOf(topup), metadata: { topup_id: topup.id } }, { livemode: true })
  const before = await jobs()
  assert.equal((await send(body, sign(body))).status, 200)
  assert.equal((await stored(id))[0]!.outcome, 'wrong_mode')
  assert.equal(await jobs(), before)
  assert.equal(world.alarms.splice(0).length, 1)
})

test('a webhook of which no job can be sent is not stored and not answered 2xx, so the bank sends it again', async () => {
  const ana = await world.customer()
  const { id, body } = event({ id: sessionOf(await ana.startsTopup('10.00')) })
  const dying = world.room(world.stripe, {
    takesJobs: {
      async send() {
        throw new Error('killed')
      },
    },
  })
  await assert.rejects(dying.event({ body: Buffer.from(body), signature: sign(body) }), /killed/)
  assert.deepEqual(await stored(id), [])
  assert.equal((await send(body, sign(body))).body.status as unknown, 'accepted')
})

test('a webhook that no job dealt with is dealt with by the sweeper', async () => {
  const ana = await world.customer()
  const topup = await ana.startsTopup('10.00')
  await world.pay(topup, cards.frictionless)
  await world.db.database.pool.query(`select from inbox_store('{stripe}', '{evt_left}', $1, $2)`, [
    [sessionOf(topup)],
    [event({ id: sessionOf(topup) }).body],
  ])
  await world.houseTimePasses(121)
  await world.payments.sweep()
  assert.equal((await ana.looksAt(topup)).status, 'credited')
  assert.equal((await stored('evt_left'))[0]!.outcome, 'credited')
})

test('a job that could find nothing out is tried again', async () => {
  const ana = await world.customer()
  const topup = await ana.startsTopup('10.00')
  await world.pay(topup, cards.frictionless)
  await world.control('/stripe/answers', { drop_next: 'retrieve', count: 3 })
  const { id, body } = event({ id: sessionOf(topup) })
  await send(body, sign(body))
  // Its pause before the next attempt is cut short.
  await until(
    async () => (await world.db.asOwner(`update pgboss.job set start_after = now() where state = 'retry'`)).rowCount,
  )
  await until(async () => (await ana.looksAt(topup)).status === 'credited')
  await until(async () => (await stored(id))[0]!.handled)
})

// A webhook says that the payment is authorised; what the bank says of the card, when it is asked, decides.
for (const [said, shown, reason, calls] of [
  ['attempt_acknowledged', { result: 'attempt_acknowledged' }, 'bank_does_not_verify', 0],
  ['exempted', { result: 'exempted' }, 'not_verified', 0],
  ['authenticated, and exempted', { exemption_indicator: 'low_risk' }, 'not_verified', 0],
  ['authenticated, with an exemption of tomorrow', { exemption_indicator: 'on_tuesdays' }, 'not_verified', 1],
  ['failed', { result: 'failed' }, 'verification_failed', 0],
  ['not_supported', { result: 'not_supported' }, 'card_without_3ds', 0],
  ['processing_error', { result: 'processing_error' }, 'bank_unavailable', 0],
  ['data_share_only', { result: 'data_share_only' }, 'not_verified', 0],
  ['a result that does not exist yet', { result: 'authenticated_by_dream' }, 'not_verified', 1],
  ['no result', { result: null }, 'not_verified', 1],
  ['nothing', null, 'card_without_3ds', 0],
  ['nothing, of a wallet', null, 'wallet_without_3ds', 0],
] as const) {
  test(`the bank says ${said} of 3-D Secure: nothing is taken, the hold is let go, and it is said why`, async () => {
    const ana = await world.customer()
    const topup = await ana.startsTopup('10.00')
    await world.pay(topup, cards.frictionless)
    const card: CardCompany = {
      ...world.stripe,
      capture: async () => assert.fail('It must not be taken'),
      async readSession(id) {
        const answer = await world.stripe.readSession(id)
        assert.ok(answer.ok)
        const intent = answer.value.payment_intent as Stripe.PaymentIntent
        const details = (intent.latest_charge as Stripe.Charge).payment_method_details!.card!
        if (said === 'nothing, of a wallet') details.wallet = { type: 'apple_pay', apple_pay: {}, dynamic_last4: null }
        if (shown === null) details.three_d_secure = null
        else Object.assign(details.three_d_secure!, shown)
        return answer
      },
    }
    const room = world.room(card, { takesJobs: { send: async () => {} } })
    const { id, body } = event({ id: sessionOf(topup) })
    assert.equal(await room.event({ body: Buffer.from(body), signature: sign(body) }), 'accepted')
    const { rows } = await world.db.database.pool.query<{ id: string }>('select id from inbox where external_id = $1', [
      id,
    ])
    await room.settleJob({ topupId: readId('top', topup.id)!, inboxId: rows[0]!.id })
    const seen = await ana.looksAt(topup)
    assert.deepEqual([seen.status, seen.reason, seen.bank_may_show_pending], ['refused', reason, true])
    assert.equal(await ana.has(), '0.00, on its way 0.00')
    const held = await world.stripe.readSession(sessionOf(topup))
    assert.ok(held.ok)
    assert.equal((held.value.payment_intent as Stripe.PaymentIntent).status, 'canceled')
    assert.equal(world.alarms.splice(0).length, calls)
  })
}
