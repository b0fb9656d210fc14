/**
 * R9. What is unspent of a top-up can be returned to the card it came from, whole or in part: never more than was paid, never twice. The
 * money is held while it is on its way and is back on the balance when it does not arrive. What somebody sends back at the card
 * company itself is booked, too.
 */
import assert from 'node:assert/strict'
import { after, afterEach, before, beforeEach, test } from 'node:test'
import type { CardTopup, TopupRefund } from '../../contract/contract.ts'
import { MICROS_PER_CENT, micros, printAmount, usd } from '../../contract/money.ts'
import { readId } from '../../server/platform/ids.ts'
import { type CardCompany, type CardWorld, cards, sessionOf, startCardWorld } from '../card-world.ts'
import { until } from '../until.ts'

let world: CardWorld
before(async () => {
  world = await startCardWorld()
  await world.webhooks('off')
})
after(async () => {
  await world?.auditFindsNothing()
  await world?.stop()
})

beforeEach(() => assert.deepEqual(world.alarms, []))
afterEach(async () => {
  world.serve(world.payments)
  await world.refundsAgree()
})

type Customer = Awaited<ReturnType<CardWorld['customer']>>

async function topsUp(ana: Customer, amount = '10.00'): Promise<CardTopup> {
  const topup = await ana.startsTopup(amount)
  assert.equal(await world.pay(topup, cards.frictionless), 'authorized')
  return { ...(await ana.comesBack(topup)), checkout_url: topup.checkout_url }
}

async function whoPaid(amount = '10.00'): Promise<{ ana: Customer; topup: CardTopup }> {
  const ana = await world.customer()
  return { ana, topup: await topsUp(ana, amount) }
}

/** What becomes of the payment's next refund at the bank. */
const next = (topup: CardTopup, outcome: string, more: object = {}) =>
  world.control('/stripe/refunds/next', { payment: sessionOf(topup), outcome, ...more })

/** Somebody presses "Refund" at the card company. */
async function fromTheDashboard(topup: CardTopup, cents?: number): Promise<string> {
  const refund = await world.control('/stripe/refunds', {
    payment: sessionOf(topup),
    ...(cents ? { amount: cents } : {}),
  })
  return refund['id'] as string
}

const idOf = (topup: CardTopup) => readId('top', topup.id)!

async function bankRefunds(topup: CardTopup) {
  const { payment_intent_id: intent } = await world.row(topup)
  return (await world.bankBooks()).refunds.filter((refund) => refund.payment_intent === intent)
}

async function refundRow(refund: TopupRefund): Promise<Record<string, unknown>> {
  const { rows } = await world.db.database.pool.query('select * from topup_refunds where id = $1', [
    readId('ref', refund.id),
  ])
  return rows[0]
}

async function bankEnds(refund: TopupRefund, status: string, more: object = {}): Promise<void> {
  await world.control(`/stripe/refunds/${(await refundRow(refund))['external_id']}`, { status, ...more })
}

/** Who waits for a lock with a statement like this. */
async function waiting(statement: string): Promise<unknown> {
  const rows = await world.asOwner(
    `select pid from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock' and query like $1`,
    [`%${statement}%`],
  )
  return rows[0]?.['pid']
}

/** Days have passed, by the clock on the wall. */
async function daysPass(days: number): Promise<void> {
  await world.db.database.pool.query(
    `update topup_refunds set asked_at = asked_at - make_interval(days => $1), next_look_at = next_look_at - make_interval(days => $1)`,
    [days],
  )
}

const told = (topup: CardTopup) => `${topup.returned} returned, ${topup.returnable} returnable`

test('nothing spent: all of it goes back to the card, and the top-up says so', async () => {
  const { ana, topup } = await whoPaid()
  assert.equal(told(topup), '0.00 returned, 10.00 returnable')
  world.announced.length = 0
  const refund = await ana.sendsBack(topup)

  assert.equal(refund.status, 'succeeded')
  assert.equal(refund.amount, '10.00')
  assert.equal(refund.origin, 'you')
  assert.equal(refund.reason, null)
  assert.ok(refund.ended_at)
  assert.ok(refund.expected_by! > refund.ended_at)
  assert.equal(await ana.balance(), '0.00, held 0.00')
  const after = await ana.looksAt(topup)
  assert.equal(told(after), '10.00 returned, 0.00 returnable')
  assert.equal(after.status, 'credited')
  assert.deepEqual(after.refunds, [refund])
  assert.ok(world.announced.some((each) => each.what === 'topup' && each.id === idOf(topup)))
  assert.ok(world.announced.some((each) => each.what === 'balance' && each.accountId === ana.accountId))
  const [atTheBank] = await bankRefunds(topup)
  assert.deepEqual(atTheBank!.metadata, { refund_id: refund.id, topup_id: topup.id })
})

test('a part of it: the rest can still be returned, to the cent', async () => {
  const { ana, topup } = await whoPaid()
  await ana.sendsBack(topup, '2.50')
  assert.equal(told(await ana.looksAt(topup)), '2.50 returned, 7.50 returnable')
  await ana.sendsBack(topup, '0.01')
  assert.equal(told(await ana.looksAt(topup)), '2.51 returned, 7.49 returnable')
  await ana.sendsBack(topup)
  const after = await ana.looksAt(topup)
  assert.equal(told(after), '10.00 returned, 0.00 returnable')
  assert.deepEqual(
    after.refunds.map(({ amount, status }) => `${amount} ${status}`),
    ['2.50 succeeded', '0.01 succeeded', '7.49 succeeded'],
  )
  assert.equal(await ana.balance(), '0.00, held 0.00')
})

test('what was spent does not come back; the newest top-up is what is unspent; gifts are never paid out', async () => {
  const { ana, topup: first } = await whoPaid('10.00')
  const second = await topsUp(ana, '20.00')
  await ana.isGiven('5.00')
  const all = async () => [told(await ana.looksAt(second)), told(await ana.looksAt(first))]
  assert.deepEqual(await all(), ['0.00 returned, 20.00 returnable', '0.00 returned, 10.00 returnable'])
  // Of the gift.
  await ana.spends('4.00')
  assert.deepEqual(await all(), ['0.00 returned, 20.00 returnable', '0.00 returned, 10.00 returnable'])
  // The last dollar of the gift, and 3.00 of the older top-up.
  await ana.spends('4.00')
  assert.deepEqual(await all(), ['0.00 returned, 20.00 returnable', '0.00 returned, 7.00 returnable'])
  await ana.sendsBack(second, '15.00')
  assert.deepEqual(await all(), ['15.00 returned, 5.00 returnable', '0.00 returned, 7.00 returnable'])
  await ana.sendsBack(first)
  assert.deepEqual(await all(), ['15.00 returned, 5.00 returnable', '7.00 returned, 0.00 returnable'])
  assert.equal(await ana.balance(), '5.00, held 0.00')
  // The page of all of them tells the same.
  const { body } = await ana.call<{ items: CardTopup[] }>('/topups')
  assert.deepEqual(body.items.map(told), await all())
})

test('a gift stays when everything else went back', async () => {
  const { ana, topup } = await whoPaid()
  await ana.isGiven('5.00')
  await ana.sendsBack(topup)
  assert.equal(await ana.balance(), '5.00, held 0.00')
  assert.equal((await ana.refused(`/topups/${topup.id}/refunds`, {})).body.code, 'nothing_to_return')
})

test('each refusal says why, and moves nothing', async () => {
  const { ana, topup } = await whoPaid()
  await ana.spends('4.00')
  const refused = async (asked: unknown, of = topup) => (await ana.refused(`/topups/${of.id}/refunds`, asked)).body
  for (const amount of ['0', '0.00', '-1.00', '1.005', '1e2', 5, null, '', 'ten', {}])
    assert.equal((await refused({ amount })).code, 'invalid_amount', String(amount))

  const above = await refused({ amount: '6.01' })
  assert.equal(above.code, 'amount_above_returnable')
  assert.equal(above['returnable'], '6.00')
  assert.match(above.detail, /\$6\.01 .* \$6\.00 can be returned now/)

  const unpaid = await ana.startsTopup()
  assert.equal((await refused({}, unpaid)).code, 'not_credited')
  assert.equal((await refused({}, { ...topup, id: `top_${'0'.repeat(32)}` })).code, 'not_found')
  const ben = await world.customer()
  assert.equal((await ben.refused(`/topups/${topup.id}/refunds`, {})).body.code, 'not_found')

  await ana.spends('6.00')
  const spent = await refused({})
  assert.equal(spent.code, 'nothing_to_return')
  assert.match(spent.detail, /are spent/)
  assert.equal(await ana.balance(), '0.00, held 0.00')
  assert.deepEqual(await bankRefunds(topup), [])
})

test('a suspended account: nothing goes back, and the credits stay', async () => {
  const { ana, topup } = await whoPaid()
  const suspend = (suspended: boolean) =>
    world.asOwner('update ledger_accounts set suspended = $2 where id = $1', [ana.accountId, suspended])
  await suspend(true)
  assert.equal((await ana.refused(`/topups/${topup.id}/refunds`, {})).body.code, 'account_suspended')
  await suspend(false)
  assert.deepEqual((await ana.looksAt(topup)).refunds, [])
  assert.equal(await ana.balance(), '10.00, held 0.00')
})

test('twenty parts, and no more', async () => {
  const { ana, topup } = await whoPaid()
  for (let i = 0; i < 20; i++) await ana.sendsBack(topup, '0.10')
  const { body } = await ana.refused(`/topups/${topup.id}/refunds`, { amount: '0.10' })
  assert.equal(body.code, 'too_many_returns')
  assert.equal(await ana.balance(), '8.00, held 0.00')
})

test('pending at the bank: held, and taken when it has arrived', async () => {
  const { ana, topup } = await whoPaid()
  await next(topup, 'pends')
  const refund = await ana.sendsBack(topup, '6.00')
  assert.equal(refund.status, 'pending')
  assert.equal(refund.ended_at, null)
  assert.ok(refund.expected_by)
  assert.equal(await ana.balance(), '4.00, held 6.00')
  assert.equal(told(await ana.looksAt(topup)), '6.00 returned, 4.00 returnable')
  await bankEnds(refund, 'succeeded')
  await world.aMinuteLater()
  await world.payments.sweep()
  const [ended] = (await ana.looksAt(topup)).refunds
  assert.equal(ended!.status, 'succeeded')
  assert.equal(await ana.balance(), '4.00, held 0.00')
})

for (const [failure, reason] of [
  ['expired_or_canceled_card', 'card_closed'],
  ['lost_or_stolen_card', 'card_lost_or_stolen'],
  ['declined', 'declined'],
  ['unknown', 'unknown'],
] as const) {
  test(`the bank cannot take it (${failure}): on the balance again, and it says why`, async () => {
    const { ana, topup } = await whoPaid()
    await next(topup, 'pends_then_fails', { failure_reason: failure })
    const refund = await ana.sendsBack(topup, '6.00')
    await bankEnds(refund, 'failed', { failure_reason: failure })
    await world.aMinuteLater()
    await world.payments.sweep()
    const after = await ana.looksAt(topup)
    assert.equal(after.refunds[0]!.status, 'failed')
    assert.equal(after.refunds[0]!.reason, reason)
    assert.equal(after.refunds[0]!.expected_by, null)
    assert.equal(told(after), '0.00 returned, 10.00 returnable')
    assert.equal(await ana.balance(), '10.00, held 0.00')
    // And it can be tried again.
    assert.equal((await ana.sendsBack(topup)).status, 'succeeded')
  })
}

test('cancelled at the bank while it was pending: on the balance again', async () => {
  const { ana, topup } = await whoPaid()
  await next(topup, 'pends')
  const refund = await ana.sendsBack(topup)
  await bankEnds(refund, 'canceled')
  assert.equal(
    await world.payments.learnRefund(idOf(topup), (await refundRow(refund))['external_id'] as string),
    'done',
  )
  const [ended] = (await ana.looksAt(topup)).refunds
  assert.equal(ended!.status, 'failed')
  assert.equal(ended!.reason, 'cancelled')
  assert.equal(await ana.balance(), '10.00, held 0.00')
})

test('it had arrived, and a week later the bank sends it back: credited, however late the sweeper learns of it', async () => {
  const { ana, topup } = await whoPaid()
  const refund = await ana.sendsBack(topup, '6.00')
  assert.equal(refund.status, 'succeeded')
  await bankEnds(refund, 'failed', { failure_reason: 'expired_or_canceled_card' })
  await daysPass(7)
  await world.payments.sweep()
  const [ended] = (await ana.looksAt(topup)).refunds
  assert.equal(ended!.status, 'failed')
  assert.equal(ended!.reason, 'card_closed')
  assert.equal(await ana.balance(), '10.00, held 0.00')
  // Nothing happens twice.
  const { external_id } = await refundRow(refund)
  await Promise.all([1, 2, 3].map(() => world.payments.learnRefund(idOf(topup), external_id as string)))
  assert.equal(await ana.balance(), '10.00, held 0.00')
  assert.equal(told(await ana.looksAt(topup)), '0.00 returned, 10.00 returnable')
})

test('what has arrived is asked about ever more rarely, and after five weeks not at all', async () => {
  const { ana, topup } = await whoPaid()
  const refund = await ana.sendsBack(topup)
  await daysPass(20)
  await world.payments.sweep()
  const due = async () => (await refundRow(refund))['next_look_at'] as Date | null
  assert.ok((await due())!.getTime() > Date.now() + 3_600_000 * 23)
  await daysPass(16)
  await world.payments.sweep()
  assert.equal(await due(), null)
})

test('the reference for the bank is told as soon as there is one', async () => {
  const { ana, topup } = await whoPaid()
  await ana.sendsBack(topup)
  await until(async () => {
    await world.aMinuteLater()
    await world.payments.sweep()
    return (await ana.looksAt(topup)).refunds[0]!.reference !== null
  })
})

for (const [outcome, reason, says] of [
  ['balance_insufficient', 'our_side', 'Alarm: Stripe refuses to send money back to a card'],
  ['fails', 'card_closed', null],
] as const) {
  test(`the card company does not send it (${outcome}): failed at once, nothing is held`, async () => {
    const { ana, topup } = await whoPaid()
    await next(topup, outcome)
    const refund = await ana.sendsBack(topup)
    // What fails right after it had succeeded is learned of by the next look.
    await world.aMinuteLater()
    await world.payments.sweep()
    const [ended] = (await ana.looksAt(topup)).refunds
    assert.equal(ended!.id, refund.id)
    assert.equal(ended!.status, 'failed')
    assert.equal(ended!.reason, reason)
    assert.equal(await ana.balance(), '10.00, held 0.00')
    assert.deepEqual(world.alarms.splice(0), says ? [says] : [])
  })
}

test('a refund that waits for somebody is pending, and somebody is called, once', async () => {
  const { ana, topup } = await whoPaid()
  for (const [status, amount] of [
    ['requires_action', '1.01'],
    ['unheard_of', '1.02'],
  ] as const) {
    await next(topup, 'pends')
    const says = (answer: Awaited<ReturnType<CardCompany['readRefund']>>) => {
      if (answer.ok && printAmount(micros(BigInt(answer.value.amount) * MICROS_PER_CENT)) === amount)
        answer.value.status = status
      return answer
    }
    const part = world.room({
      ...world.stripe,
      createRefund: async (call) => says(await world.stripe.createRefund(call)),
      readRefund: async (id) => says(await world.stripe.readRefund(id)),
    })
    world.serve(part)
    const refund = await ana.sendsBack(topup, amount)
    assert.equal(refund.status, 'pending')
    await world.aMinuteLater()
    await part.sweep()
    assert.deepEqual(world.alarms.splice(0), [
      'Alarm: A refund does not go on by itself; look at it at the card company',
    ])
    world.serve(world.payments)
    await bankEnds(refund, 'succeeded')
    await world.aMinuteLater()
    await world.payments.sweep()
  }
  assert.equal(await ana.balance(), '7.97, held 0.00')
})

test('a key that was used before answers with the same refund; for another amount it is refused', async () => {
  const { ana, topup } = await whoPaid()
  const key = { 'idempotency-key': 'one-press' }
  const first = await ana.sendsBack(topup, '3.00', key)
  assert.deepEqual(await ana.sendsBack(topup, '3.00', key), first)
  const other = await ana.refused(`/topups/${topup.id}/refunds`, { amount: '4.00' }, key)
  assert.equal(other.body.code, 'idempotency_key_reused')
  const elsewhere = await ana.refused('/topups', { method: 'card', amount: '10.00' }, key)
  assert.equal(elsewhere.body.code, 'idempotency_key_reused')
  assert.equal(await ana.balance(), '7.00, held 0.00')
  assert.equal((await bankRefunds(topup)).length, 1)
})

test('a key is bound by a success only: what was refused may be asked again with it', async () => {
  const { ana, topup } = await whoPaid()
  const key = { 'idempotency-key': 'patient' }
  assert.equal((await ana.refused(`/topups/${topup.id}/refunds`, { amount: '11.00' }, key)).status, 409)
  assert.equal((await ana.sendsBack(topup, '10.00', key)).status, 'succeeded')
})

test('pressed twenty times at once with one key, in two processes: one refund', async () => {
  const { ana, topup } = await whoPaid()
  const calls = counted()
  const rooms = [world.room(calls.card), world.room(calls.card)]
  const asked = { accountId: ana.accountId, topupId: idOf(topup), amount: '4.00', idempotencyKey: 'twenty' }
  const answers = await Promise.all(Array.from({ length: 20 }, (_, i) => rooms[i % 2]!.sendBack(asked)))
  const ids = new Set(answers.map((answer) => answer?.ok && answer.refund.id))
  assert.equal(ids.size, 1)
  assert.equal(calls.made['createRefund'], 1)
  assert.equal((await bankRefunds(topup)).length, 1)
  assert.equal(await ana.balance(), '6.00, held 0.00')
})

test('pressed twenty times at once without a key: never more than there is', async () => {
  const { ana, topup } = await whoPaid()
  const rooms = [world.room(), world.room()]
  const asked = { accountId: ana.accountId, topupId: idOf(topup), amount: '4.00', idempotencyKey: null }
  const answers = await Promise.all(Array.from({ length: 20 }, (_, i) => rooms[i % 2]!.sendBack(asked)))
  assert.equal(answers.filter((answer) => answer?.ok).length, 2)
  for (const answer of answers) if (answer && !answer.ok) assert.equal(answer.refused.code, 'amount_above_returnable')
  assert.equal(await ana.balance(), '2.00, held 0.00')
})

test('two top-ups sent back at once, while the credit is being spent: together no more than is unspent', async () => {
  for (let round = 0; round < 5; round++) {
    const { ana, topup: first } = await whoPaid('10.00')
    const second = await topsUp(ana, '10.00')
    await ana.isGiven('3.00')
    const spend = async () => {
      for (let i = 0; i < 6; i++) await ana.spends('1.00').catch(() => null)
    }
    await Promise.all([
      spend(),
      ana.call(`/topups/${first.id}/refunds`, {}),
      ana.call(`/topups/${second.id}/refunds`, {}),
      ana.call(`/topups/${second.id}/refunds`, { amount: '5.00' }),
    ])
    const { balance } = ana
    assert.doesNotMatch(await balance(), /owed/)
    // Whatever the order: gifts were spent, not sent back.
    const [one, two] = [await ana.looksAt(first), await ana.looksAt(second)]
    assert.ok(Number(one.returned) + Number(two.returned) <= 20)
  }
})

test('the older credit is spent between the look and the hold: what is there would do, but it is the newer top-up', async () => {
  const { ana, topup: first } = await whoPaid()
  await topsUp(ana)
  const order = await world.db.database.pool.connect()
  await order.query('begin')
  const spending = { id: crypto.randomUUID(), accountId: ana.accountId, reference: crypto.randomUUID() }
  await world.ledger.apply(order, [
    { ...spending, kind: 'debit', code: 'adjustment', contra: 'goodwill', amount: usd('4.00') },
  ])
  const asking = ana.refused(`/topups/${first.id}/refunds`, { amount: '10.00' })
  await until(() => waiting('ledger_apply'))
  await order.query('commit')
  order.release()
  const { body } = await asking
  assert.deepEqual([body.code, body['returnable']], ['amount_above_returnable', '6.00'])
  assert.equal(await ana.balance(), '16.00, held 0.00')
})

test('the credit is spent between the look and the hold: refused with the figure of now', async () => {
  const { ana, topup } = await whoPaid()
  // Everybody sees 10.00; the account is then locked by an order that takes 4.00.
  const { pool } = world.db.database
  const order = await pool.connect()
  await order.query('begin')
  const spending = { id: crypto.randomUUID(), accountId: ana.accountId, reference: crypto.randomUUID() }
  await world.ledger.apply(order, [
    { ...spending, kind: 'debit', code: 'adjustment', contra: 'goodwill', amount: usd('4.00') },
  ])
  const asking = ana.refused(`/topups/${topup.id}/refunds`, { amount: '10.00' })
  await until(() => waiting('ledger_apply'))
  await order.query('commit')
  order.release()
  const { body } = await asking
  assert.equal(body.code, 'amount_above_returnable')
  assert.equal(body['returnable'], '6.00')
  assert.equal(await ana.balance(), '6.00, held 0.00')
  assert.deepEqual((await ana.looksAt(topup)).refunds, [])
})

for (const dropped of ['create_refund', 'retrieve'] as const) {
  test(`an answer lost at ${dropped} is asked for again: one refund`, async () => {
    const { ana, topup } = await whoPaid()
    await next(topup, 'pends')
    await world.control('/stripe/answers', { drop_next: dropped, count: 1 })
    const refund = await ana.sendsBack(topup)
    await bankEnds(refund, 'succeeded')
    await world.aMinuteLater()
    await world.payments.sweep()
    await world.control('/stripe/answers', { drop_next: null })
    assert.equal((await ana.looksAt(topup)).refunds[0]!.status, 'succeeded')
    assert.equal((await bankRefunds(topup)).length, 1)
  })
}

test('the bank sent it and no answer came through at all: requested and held, then sent; pressing again waits for the same', async () => {
  const { ana, topup } = await whoPaid()
  const key = { 'idempotency-key': 'no-answer' }
  await world.control('/stripe/answers', { drop_next: 'create_refund', count: 3 })
  const refund = await ana.sendsBack(topup, '6.00', key)
  assert.equal(refund.status, 'requested')
  assert.equal(refund.ended_at, null)
  assert.equal(await ana.balance(), '4.00, held 6.00')
  assert.equal(told(await ana.looksAt(topup)), '6.00 returned, 4.00 returnable')
  const again = await ana.sendsBack(topup, '6.00', key)
  assert.equal(again.id, refund.id)
  assert.equal(again.status, 'succeeded')
  assert.equal(await ana.balance(), '4.00, held 0.00')
  assert.equal((await bankRefunds(topup)).length, 1)
})

test('the card company takes its time: the customer hears after ten seconds that it is requested, and the top-up says the rest', async () => {
  const { ana, topup } = await whoPaid()
  const gate = door()
  const slow = world.room({
    ...world.stripe,
    async createRefund(call) {
      await gate.opened
      return world.stripe.createRefund(call)
    },
  })
  world.serve(slow)
  const refund = await ana.sendsBack(topup, '6.00')
  assert.equal(refund.status, 'requested')
  assert.equal(await ana.balance(), '4.00, held 6.00')
  gate.open()
  await until(async () => (await ana.looksAt(topup)).refunds[0]!.status === 'succeeded')
  assert.equal(await ana.balance(), '4.00, held 0.00')
})

test('500 unknown outcomes in a row: one refund', async () => {
  const { ana, topup } = await whoPaid()
  let calls = 0
  const deaf = world.room({
    ...world.stripe,
    async createRefund(call) {
      if (++calls === 1) await world.stripe.createRefund(call)
      return { ok: false, why: 'unknown', code: 'test', message: 'no answer' }
    },
  })
  const asked = { accountId: ana.accountId, topupId: idOf(topup), amount: undefined, idempotencyKey: 'impatient' }
  while (calls < 500) {
    const answer = await deaf.sendBack(asked)
    assert.equal(answer?.ok && answer.refund.status, 'requested')
  }
  await world.db.database.pool.query('update topup_refunds set next_look_at = now() where external_id is null')
  await world.payments.sweep()
  assert.equal((await ana.looksAt(topup)).refunds[0]!.status, 'succeeded')
  assert.equal((await bankRefunds(topup)).length, 1)
  assert.equal(await ana.balance(), '0.00, held 0.00')
})

for (const made of [true, false]) {
  test(`nobody could ask for three days (the call ${made ? 'had come through' : 'never came through'}): the key is forgotten, and it is one refund`, async () => {
    const { ana, topup } = await whoPaid()
    const deaf = world.room({
      ...world.stripe,
      async createRefund(call) {
        if (made) await world.stripe.createRefund(call)
        return { ok: false, why: 'unknown', code: 'test', message: 'no answer' }
      },
    })
    world.serve(deaf)
    assert.equal((await ana.sendsBack(topup, '6.00')).status, 'requested')
    await daysPass(3)
    let asked = 0
    const forgetful = world.room({
      ...world.stripe,
      createRefund(call) {
        asked++
        return world.stripe.createRefund({ ...call, idempotencyKey: `${call.idempotencyKey}:forgotten` })
      },
    })
    await forgetful.sweep()
    assert.equal(asked, made ? 0 : 1)
    assert.equal((await ana.looksAt(topup)).refunds[0]!.status, 'succeeded')
    assert.equal((await bankRefunds(topup)).length, 1)
    assert.equal(await ana.balance(), '4.00, held 0.00')
  })
}

// Where a process can die: between what it has written and its next word with the bank, and the other way round.
for (const [step, dying] of [
  ['before the call', (card: CardCompany) => ({ ...card, createRefund: die })],
  [
    'after the call, before it is written',
    (card: CardCompany) => ({ ...card, createRefund: then(card.createRefund, die) }),
  ],
  ['before asking how it stands', (card: CardCompany) => ({ ...card, readRefund: die })],
  ['after asking how it stands', (card: CardCompany) => ({ ...card, readRefund: then(card.readRefund, die) })],
] as const) {
  for (const end of ['succeeded', 'failed'] as const) {
    test(`killed ${step}, and it ${end}: another process finishes it, once`, async () => {
      const { ana, topup } = await whoPaid()
      await next(topup, 'pends')
      const doomed = world.room(dying(world.stripe), { dies: true })
      const asked = { accountId: ana.accountId, topupId: idOf(topup), amount: '6.00', idempotencyKey: 'kill' }
      await atMost(doomed.sendBack(asked))
      assert.equal(await ana.balance(), '4.00, held 6.00')
      await world.aMinuteLater()
      await atMost(doomed.sweep())

      await world.claimsRunOut()
      await world.aMinuteLater()
      await world.payments.sweep()
      const [refund] = (await ana.looksAt(topup)).refunds
      assert.equal(refund!.status, 'pending')
      await bankEnds(refund!, end)
      await world.aMinuteLater()
      await Promise.all([world.payments.sweep(), world.room().sweep()])
      assert.equal((await ana.looksAt(topup)).refunds[0]!.status, end)
      assert.equal(await ana.balance(), end === 'succeeded' ? '4.00, held 0.00' : '10.00, held 0.00')
      assert.equal((await bankRefunds(topup)).length, 1)
      const repeated = await world.payments.sendBack(asked)
      assert.equal(repeated?.ok && repeated.refund.id, refund!.id)
    })
  }
}

test('killed before anything was written: nothing is held, nothing was sent', async () => {
  const { ana, topup } = await whoPaid()
  const { pool } = world.db.database
  const order = await pool.connect()
  await order.query('begin')
  await order.query('select from topups where id = $1 for update', [idOf(topup)])
  const dying = assert.rejects(
    world.payments.sendBack({
      accountId: ana.accountId,
      topupId: idOf(topup),
      amount: '6.00',
      idempotencyKey: null,
    }),
  )
  const pid = await until(() => waiting('topups%for no key update'))
  await world.asOwner('select pg_terminate_backend($1)', [pid])
  await dying
  await order.query('rollback')
  order.release()
  assert.equal(await ana.balance(), '10.00, held 0.00')
  assert.deepEqual((await ana.looksAt(topup)).refunds, [])
})

test('a look that was taken over writes nothing any more', async () => {
  const { ana, topup } = await whoPaid()
  await next(topup, 'pends')
  const refund = await ana.sendsBack(topup, '6.00')
  const gate = door()
  const slow = world.room(
    {
      ...world.stripe,
      async readRefund(id) {
        const before = await world.stripe.readRefund(id)
        gate.reached()
        await gate.opened
        return before
      },
    },
    { dies: true },
  )
  await world.aMinuteLater()
  const late = slow.sweep()
  await gate.standing
  await bankEnds(refund, 'failed', { failure_reason: 'declined' })
  await world.claimsRunOut()
  await world.aMinuteLater()
  await world.payments.sweep()
  assert.equal((await ana.looksAt(topup)).refunds[0]!.status, 'failed')
  gate.open()
  await late
  assert.equal((await ana.looksAt(topup)).refunds[0]!.status, 'failed')
  assert.equal(await ana.balance(), '10.00, held 0.00')
})

test('sent back at the card company: booked as it is, told twice and at once it is booked once', async () => {
  const { ana, topup } = await whoPaid()
  const id = await fromTheDashboard(topup, 400)
  const learned = await Promise.all([1, 2, 3, 4].map(() => world.payments.learnRefund(idOf(topup), id)))
  assert.deepEqual(new Set(learned), new Set(['done']))
  const after = await ana.looksAt(topup)
  assert.equal(told(after), '4.00 returned, 6.00 returnable')
  assert.equal(after.refunds[0]!.origin, 'card_company')
  assert.equal(after.refunds[0]!.status, 'succeeded')
  assert.equal(await ana.balance(), '6.00, held 0.00')
  assert.equal((await ana.refused(`/topups/${topup.id}/refunds`, { amount: '6.01' })).body['returnable'], '6.00')
})

test('sent back at the card company after it was spent: what is not there is owed, and what comes in pays it', async () => {
  const { ana, topup } = await whoPaid()
  await ana.spends('7.00')
  await world.payments.learnRefund(idOf(topup), await fromTheDashboard(topup))
  assert.equal(await ana.balance(), '0.00, held 0.00, owed 7.00')
  const second = await topsUp(ana)
  assert.equal(await ana.balance(), '3.00, held 0.00')
  assert.equal(told(await ana.looksAt(second)), '0.00 returned, 3.00 returnable')
})

test('sent back at the card company, and the bank sends it back later: credited again, once', async () => {
  const { ana, topup } = await whoPaid()
  const id = await fromTheDashboard(topup)
  await world.payments.learnRefund(idOf(topup), id)
  assert.equal(await ana.balance(), '0.00, held 0.00')
  await world.control(`/stripe/refunds/${id}`, { status: 'failed', failure_reason: 'lost_or_stolen_card' })
  await Promise.all([1, 2, 3].map(() => world.payments.learnRefund(idOf(topup), id)))
  const after = await ana.looksAt(topup)
  assert.equal(after.refunds[0]!.status, 'failed')
  assert.equal(after.refunds[0]!.reason, 'card_lost_or_stolen')
  assert.equal(told(after), '0.00 returned, 10.00 returnable')
  assert.equal(await ana.balance(), '10.00, held 0.00')
})

test('learned of only after it had failed: told, and nothing is taken', async () => {
  const { ana, topup } = await whoPaid()
  const id = await fromTheDashboard(topup)
  await world.control(`/stripe/refunds/${id}`, { status: 'failed' })
  assert.equal(await world.payments.learnRefund(idOf(topup), id), 'done')
  assert.equal((await ana.looksAt(topup)).refunds[0]!.status, 'failed')
  assert.equal(await ana.balance(), '10.00, held 0.00')
})

test('all of it was sent back at the card company, unheard of: ours is refused there, fails, and theirs is booked', async () => {
  const { ana, topup } = await whoPaid()
  await fromTheDashboard(topup)
  const refund = await ana.sendsBack(topup)
  assert.equal(refund.status, 'failed')
  assert.equal(refund.reason, 'already_returned')
  await world.aMinuteLater()
  await world.payments.sweep()
  const after = await ana.looksAt(topup)
  assert.deepEqual(
    after.refunds.map(({ origin, status }) => `${origin} ${status}`),
    ['you failed', 'card_company succeeded'],
  )
  assert.equal(told(after), '10.00 returned, 0.00 returnable')
  assert.equal(await ana.balance(), '0.00, held 0.00')
})

test('ours waits for an answer while all of it is sent back there: booked as far as it is left, and the rest when ours has failed', async () => {
  const { ana, topup } = await whoPaid()
  const deaf = world.room({
    ...world.stripe,
    createRefund: async () => ({ ok: false, why: 'unknown', code: 'test', message: 'no answer' }),
  })
  world.serve(deaf)
  await ana.sendsBack(topup, '6.00')
  world.serve(world.payments)
  await world.payments.learnRefund(idOf(topup), await fromTheDashboard(topup))
  assert.equal(await ana.balance(), '0.00, held 6.00')
  assert.deepEqual(world.alarms.splice(0), ['Alarm: More was sent back at the card company than is left of the top-up'])
  await world.aMinuteLater()
  await world.payments.sweep()
  const after = await ana.looksAt(topup)
  assert.deepEqual(
    after.refunds.map(({ origin, status, amount }) => `${origin} ${status} ${amount}`),
    ['you failed 6.00', 'card_company succeeded 10.00'],
  )
  assert.equal(told(after), '10.00 returned, 0.00 returnable')
  assert.equal(await ana.balance(), '0.00, held 0.00')
})

test('an inquiry is answered by sending the money back at the card company: frozen, then gone, once', async () => {
  const { ana, topup } = await whoPaid()
  const inquiry = await world.control('/stripe/disputes', { payment: sessionOf(topup), kind: 'inquiry' })
  await world.payments.learnDispute(idOf(topup), inquiry['id'] as string)
  assert.equal((await ana.refused(`/topups/${topup.id}/refunds`, {})).body.code, 'refund_blocked_by_dispute')
  await world.payments.learnRefund(idOf(topup), await fromTheDashboard(topup))
  // The bank has it frozen, so there is nothing to take yet.
  assert.deepEqual(world.alarms.splice(0), ['Alarm: More was sent back at the card company than is left of the top-up'])
  // That it all went back ends the inquiry.
  await world.payments.learnDispute(idOf(topup), inquiry['id'] as string)
  assert.equal(await ana.balance(), '0.00, held 0.00')
  assert.equal(told(await ana.looksAt(topup)), '10.00 returned, 0.00 returnable')
})

test('an inquiry ends unheard of, months after the money was sent back at the card company: the sweeper alone takes what comes free', async () => {
  const { ana, topup } = await whoPaid()
  const inquiry = await world.control('/stripe/disputes', { payment: sessionOf(topup), kind: 'inquiry' })
  await world.payments.learnDispute(idOf(topup), inquiry['id'] as string)
  await world.payments.learnRefund(idOf(topup), await fromTheDashboard(topup))
  assert.equal(world.alarms.splice(0).length, 1)
  await daysPass(40)
  await world.db.database.pool.query('update disputes set next_look_at = now() where topup_id = $1', [idOf(topup)])
  await world.payments.sweep()
  assert.equal(told(await ana.looksAt(topup)), '10.00 returned, 0.00 returnable')
  assert.equal(await ana.balance(), '0.00, held 0.00')
})

test('a warning about a newer top-up keeps that one, and what is unspent of an older one can go back all the same', async () => {
  const { ana, topup: first } = await whoPaid('10.00')
  const second = await topsUp(ana, '20.00')
  await ana.spends('4.00')
  const warning = await world.control('/stripe/warnings', { payment: sessionOf(second) })
  assert.equal(await world.payments.learnWarning(idOf(second), warning['id'] as string), 'done')
  assert.equal(told(await ana.looksAt(second)), '0.00 returned, 0.00 returnable')
  assert.equal(told(await ana.looksAt(first)), '0.00 returned, 6.00 returnable')
  await ana.sendsBack(first)
  assert.equal(await ana.balance(), '0.00, held 0.00')
})

test('ours is on its way when the bank disputes the payment: it fails, and what it gave back is frozen', async () => {
  const { ana, topup } = await whoPaid()
  await next(topup, 'pends')
  const refund = await ana.sendsBack(topup, '6.00')
  const dispute = await world.control('/stripe/disputes', { payment: sessionOf(topup) })
  await world.payments.learnDispute(idOf(topup), dispute['id'] as string)
  // The bank wants all of it, and has what is left beside the refund.
  assert.equal(await ana.balance(), '0.00, held 6.00')
  assert.equal((await ana.looksAt(topup)).disputed, '4.00')
  await world.payments.learnRefund(idOf(topup), (await refundRow(refund))['external_id'] as string)
  assert.equal((await ana.looksAt(topup)).refunds[0]!.reason, 'disputed')
  await world.payments.sweep()
  assert.equal((await ana.looksAt(topup)).disputed, '10.00')
  assert.equal(await ana.balance(), '0.00, held 0.00')
})

test('a refund is learned of under its own top-up only', async () => {
  const { topup } = await whoPaid()
  const { ana: ben, topup: other } = await whoPaid()
  const id = await fromTheDashboard(topup, 100)
  assert.equal(await world.payments.learnRefund(idOf(other), id), 'not_ours')
  assert.equal(await world.payments.learnRefund(idOf(other), 're_nobody'), 'not_ours')
  assert.equal(await world.payments.learnRefund(idOf(topup), id), 'done')
  assert.equal(await world.payments.learnRefund(idOf(other), id), 'not_ours')
  assert.equal(await ben.balance(), '10.00, held 0.00')
})

test('what cannot be read is asked again: nothing is decided meanwhile', async () => {
  const { ana, topup } = await whoPaid()
  const id = await fromTheDashboard(topup, 100)
  const deaf = world.room({
    ...world.stripe,
    readRefund: async () => ({ ok: false, why: 'unknown', code: 'test', message: 'no answer' }),
  })
  await assert.rejects(deaf.learnRefund(idOf(topup), id))
  assert.equal(await ana.balance(), '10.00, held 0.00')
  await world.payments.learnRefund(idOf(topup), id)
  assert.equal(await ana.balance(), '9.00, held 0.00')
})

test('taken and sent back before we had credited it: the credit comes first, then what takes it back', async () => {
  const ana = await world.customer()
  const topup = await ana.startsTopup()
  await world.pay(topup, cards.frictionless)
  const session = await world.stripe.readSession(sessionOf(topup))
  assert.ok(session.ok)
  const { id: intent } = session.value.payment_intent as { id: string }
  assert.ok((await world.stripe.capture('00000000-0000-0000-0000-000000000000', intent)).ok)
  const id = await fromTheDashboard(topup)
  assert.equal(await world.payments.learnRefund(idOf(topup), id), 'done')
  const after = await ana.looksAt(topup)
  assert.equal(after.status, 'credited')
  assert.equal(told(after), '10.00 returned, 0.00 returnable')
  assert.equal(await ana.balance(), '0.00, held 0.00')
})

test('a refund that is not what was asked for: nothing moves, and somebody is called', async () => {
  const { ana, topup } = await whoPaid()
  const lying = world.room({
    ...world.stripe,
    async createRefund(call) {
      const answer = await world.stripe.createRefund(call)
      if (answer.ok) answer.value.amount = 1
      return answer
    },
  })
  world.serve(lying)
  const refund = await ana.sendsBack(topup, '6.00')
  assert.equal(refund.status, 'requested')
  assert.equal(await ana.balance(), '4.00, held 6.00')
  assert.deepEqual(world.alarms.splice(0), ['Alarm: A refund is not the one that was asked for; somebody must decide'])
  // And the truth, when it is told, is followed.
  await world.db.database.pool.query('update topup_refunds set next_look_at = now() where external_id is null')
  await world.payments.sweep()
  assert.equal((await ana.looksAt(topup)).refunds[0]!.status, 'succeeded')
  assert.equal(await ana.balance(), '4.00, held 0.00')
})

test('with webhooks on, what was sent back there and what becomes of ours is known without anybody asking', async () => {
  await world.webhooks('double')
  const { ana, topup } = await whoPaid()
  await next(topup, 'pends')
  const refund = await ana.sendsBack(topup, '6.00')
  assert.equal(refund.status, 'pending')
  await bankEnds(refund, 'succeeded')
  await fromTheDashboard(topup, 300)
  await until(async () => {
    const { refunds } = await ana.looksAt(topup)
    return refunds.length === 2 && refunds.every(({ status }) => status === 'succeeded')
  })
  await until(async () => {
    const { rows } = await world.db.database.pool.query('select from inbox where handled_at is null')
    return rows.length === 0
  })
  await world.webhooks('off')
  assert.equal(await ana.balance(), '1.00, held 0.00')
})

function counted() {
  const made: Record<string, number> = {}
  const card = Object.fromEntries(
    Object.entries(world.stripe).map(([name, call]) => [
      name,
      (...args: unknown[]) => {
        made[name] = (made[name] ?? 0) + 1
        return (call as (...args: unknown[]) => unknown)(...args)
      },
    ]),
  ) as CardCompany
  return { card, made }
}

/** A process that dies in the middle of a call: it never comes to the next line. */
const die = () => new Promise<never>(() => {})
const then =
  <Args extends unknown[], T>(call: (...args: Args) => Promise<unknown>, next: () => Promise<T>) =>
  async (...args: Args): Promise<T> => {
    await call(...args)
    return next()
  }

const DEATH_MS = 400
const atMost = (work: Promise<unknown>) => Promise.race([work, new Promise((resolve) => setTimeout(resolve, DEATH_MS))])

/** Where somebody stands still until the story goes on. */
function door() {
  let reached!: () => void
  let open!: () => void
  const standing = new Promise<void>((resolve) => {
    reached = resolve
  })
  const opened = new Promise<void>((resolve) => {
    open = resolve
  })
  return { reached, open, standing, opened }
}
