/**
 * What happens to a card payment when things come twice, late, in another order, or not at all: the table of edge cases, row by row, in
 * its words. Each row says what the customer's credits, his page, the bank's books and the audit show. Rows that need a house of
 * their own are stories of their own: no process for days (webhooks-that-do-not-come), a secret that is rotated (there, too), an answer
 * that is cut and a process that dies between call and record (r3-at-once), an older backup (restore-and-reconcile), a key of the other
 * mode (server/config.test.ts).
 */
import assert from 'node:assert/strict'
import { after, afterEach, before, test } from 'node:test'
import type { CardTopup } from '../../contract/contract.ts'
import { MICROS_PER_CENT, micros, printAmount } from '../../contract/money.ts'
import { readId } from '../../server/platform/ids.ts'
import { outcomeOf } from '../../web/topup/outcome.ts'
import { type CardWorld, cards, sessionOf, startCardWorld } from '../card-world.ts'
import { until } from '../until.ts'

let world: CardWorld
before(async () => {
  world = await startCardWorld()
})
after(() => world?.stop())
afterEach(async () => {
  world.serve(world.payments)
  await world.webhooks('on')
  await quiet()
  await world.auditFindsNothing()
  await world.refundsAgree()
  assert.deepEqual(world.alarms.splice(0), [])
})

type Customer = Awaited<ReturnType<CardWorld['customer']>>

/** Every webhook has come, and every job that it caused is done. */
const quiet = () =>
  until(async () => {
    const { waiting } = await world.control('/stripe/webhooks')
    const { rows } = await world.db.database.pool.query('select from inbox where handled_at is null limit 1')
    return waiting === 0 && rows.length === 0
  })

const text = async (ana: Customer, topup: CardTopup) =>
  outcomeOf(await ana.looksAt(topup), { now: 0, available: null, takesCrypto: false, timeOf: String }).says

/** Figures of a customer, and what the bank took of his payments, in one line. */
async function standing(ana: Customer): Promise<string> {
  const { available, frozen, held, owed } = (await world.ledger.balance(world.db.database.pool, ana.accountId))!
  const parts = { available, held, frozen, owed }
  const told = Object.entries(parts).flatMap(([name, figure]) =>
    figure === 0n ? [] : [`${name} ${printAmount(figure)}`],
  )
  return told.join(', ') || 'nothing'
}
const comesTo = async (ana: Customer, expected: string) => {
  let told = ''
  await until(async () => {
    told = await standing(ana)
    return told === expected
  }).catch(() => assert.equal(told, expected))
}

/** What the bank took of this payment, in dollars, and how it calls its state. */
async function atTheBank(topup: CardTopup): Promise<string> {
  const read = await world.stripe.readSession(sessionOf(topup))
  assert.ok(read.ok)
  const intent = read.value.payment_intent as { status: string; amount_received: number } | null
  if (!intent) return read.value.status ?? 'none'
  return `${intent.status} ${printAmount(micros(BigInt(intent.amount_received) * MICROS_PER_CENT))}`
}

async function whoPaid(amount = '10.00'): Promise<{ ana: Customer; topup: CardTopup }> {
  const ana = await world.customer()
  const topup = await ana.startsTopup(amount)
  await world.pay(topup, cards.frictionless)
  assert.equal((await ana.comesBack(topup)).status, 'credited')
  return { ana, topup }
}

async function creditsOf(topup: CardTopup): Promise<number> {
  const { rows } = await world.db.database.pool.query<{ count: number }>(
    `select count(*)::int as count from transfers where code = 30 and kind = 'credit' and reference = $1`,
    [readId('top', topup.id)],
  )
  return rows[0]!.count
}

const disputes = async (topup: CardTopup, more: object = {}) =>
  (await world.control('/stripe/disputes', { payment: sessionOf(topup), ...more }))['id'] as string
const decides = (id: string, outcome: string) => world.control(`/stripe/disputes/${id}`, { outcome })
const dashboardRefunds = (topup: CardTopup, cents?: number) =>
  world.control('/stripe/refunds', { payment: sessionOf(topup), ...(cents ? { amount: cents } : {}) })
const refunds = async (ana: Customer, topup: CardTopup, amount?: string) =>
  ana.call<{ id: string; code?: string }>(`/topups/${topup.id}/refunds`, amount ? { amount } : {})

test('duplicate webhook: the second is ignored, and a 2nd credit is impossible', async () => {
  await world.webhooks('double')
  const ana = await world.customer()
  const topup = await ana.startsTopup('10.00')
  await world.pay(topup, cards.frictionless)
  await comesTo(ana, 'available 10.00')
  await quiet()
  assert.equal(await creditsOf(topup), 1)
  assert.equal(await atTheBank(topup), 'succeeded 10.00')
})

test('webhook before redirect: credited by the webhook, and the return page finds it and shows the balance', async () => {
  const ana = await world.customer()
  const topup = await ana.startsTopup('10.00')
  await world.pay(topup, cards.frictionless)
  await comesTo(ana, 'available 10.00')
  assert.equal((await ana.comesBack(topup)).status, 'credited')
  assert.equal(await text(ana, topup), '$10.00 added.')
  assert.equal(await creditsOf(topup), 1)
})

for (const order of ['happened', 'reversed', 'shuffled']) {
  test(`redirect before webhook (${order}): the return credits now, and the webhooks later change nothing`, async () => {
    await world.webhooks('withheld')
    const { ana, topup } = await whoPaid()
    await world.control('/stripe/webhooks/release', { order })
    await world.webhooks('on')
    await quiet()
    assert.equal(await standing(ana), 'available 10.00')
    assert.equal(await creditsOf(topup), 1)
  })
}

test('both at once: one credits, the other waits and reads the same', async () => {
  const ana = await world.customer()
  const topup = await ana.startsTopup('10.00')
  await Promise.all([world.pay(topup, cards.frictionless), ...Array.from({ length: 5 }, () => ana.comesBack(topup))])
  assert.equal((await ana.comesBack(topup)).status, 'credited')
  await quiet()
  assert.equal(await creditsOf(topup), 1)
})

test('3DS abandoned, tab closed: no entry; the customer starts anew at once; when its time is over it is refused', async () => {
  const ana = await world.customer()
  const topup = await ana.startsTopup('10.00')
  await world.pay(topup, cards.confirms, 'close')
  assert.equal((await ana.leaves(topup)).reason, 'abandoned')
  assert.equal(await text(ana, topup), 'You did not finish the confirmation. No money was taken.')
  assert.equal(await atTheBank(topup), 'requires_action 0.00')
  const anew = await ana.startsTopup('10.00')
  await world.pay(anew, cards.confirms)
  assert.equal((await ana.comesBack(anew)).status, 'credited')
  await world.houseTimePasses(45 * 60)
  await world.payments.sweep()
  assert.equal((await ana.looksAt(topup)).status, 'refused')
  assert.equal(await standing(ana), 'available 10.00')
})

test('3DS failed: no entry, and the same page takes another card', async () => {
  const ana = await world.customer()
  const topup = await ana.startsTopup('10.00')
  await world.pay(topup, cards.confirms, 'fail')
  assert.equal((await ana.leaves(topup)).reason, 'verification_failed')
  assert.equal(await standing(ana), 'nothing')
  await world.pay(topup, cards.confirms)
  assert.equal((await ana.comesBack(topup)).status, 'credited')
})

test('unauthenticated but authorized: no entry, the payment is cancelled, and another page takes another card', async () => {
  const ana = await world.customer()
  const topup = await ana.startsTopup('10.00')
  await world.pay(topup, cards.notEnrolled)
  assert.equal((await ana.comesBack(topup)).status, 'refused')
  assert.match(
    await text(ana, topup),
    /did not verify this card with 3-D Secure, so we took no money.*disappears by itself/,
  )
  assert.equal(await atTheBank(topup), 'canceled 0.00')
  assert.equal(await standing(ana), 'nothing')
  await ana.startsTopup('10.00')
})

test('authenticated but declined: the bank refused after the verification, and it is no want of 3-D Secure', async () => {
  const ana = await world.customer()
  const topup = await ana.startsTopup('10.00')
  await world.pay(topup, cards.declinedAfterwards)
  await ana.leaves(topup)
  const says = await text(ana, topup)
  assert.match(says, /^Your bank declined the payment\. .*No money was taken\.$/)
  assert.doesNotMatch(says, /3-D Secure/)
  assert.equal(await standing(ana), 'nothing')
})

test('captured twice: the same key answers the same, another key is told that it is done; one credit', async () => {
  const ana = await world.customer()
  await world.webhooks('off')
  const topup = await ana.startsTopup('10.00')
  await world.pay(topup, cards.frictionless)
  const intent = await intentOf(topup)
  const id = readId('top', topup.id)!
  const [first, again] = [await world.stripe.capture(id, intent), await world.stripe.capture(id, intent)]
  assert.deepEqual([first.ok, again.ok], [true, true])
  const other = await world.stripe.capture(crypto.randomUUID(), intent)
  assert.equal(other.ok || other.code, 'payment_intent_unexpected_state')
  assert.equal((await ana.comesBack(topup)).status, 'credited')
  assert.equal(await creditsOf(topup), 1)
})

async function intentOf(topup: CardTopup): Promise<string> {
  const read = await world.stripe.readSession(sessionOf(topup))
  assert.ok(read.ok)
  return (read.value.payment_intent as { id: string }).id
}

test('cancel races capture: what the bank took first is followed, and nothing is credited on a cancelled payment', async () => {
  await world.webhooks('off')
  for (let i = 0; i < 4; i++) {
    const ana = await world.customer()
    const topup = await ana.startsTopup('10.00')
    await world.pay(topup, cards.frictionless)
    const intent = await intentOf(topup)
    const cancel = () => world.stripe.cancel(crypto.randomUUID(), intent)
    const back = () => ana.comesBack(topup)
    await Promise.all(i % 2 === 0 ? [cancel(), back()] : [back(), cancel()])
    await world.aMinuteLater()
    await world.payments.sweep()
    const taken = (await atTheBank(topup)) === 'succeeded 10.00'
    assert.equal(await standing(ana), taken ? 'available 10.00' : 'nothing')
    assert.equal((await ana.looksAt(topup)).status, taken ? 'credited' : 'refused')
  }
})

test('partial refund: exactly the refunded amount leaves; several together never more than the payment', async () => {
  const { ana, topup } = await whoPaid()
  assert.equal((await refunds(ana, topup, '4.00')).status, 201)
  assert.equal((await refunds(ana, topup, '3.50')).status, 201)
  assert.equal(await standing(ana), 'available 2.50')
  assert.equal((await refunds(ana, topup, '2.51')).body.code, 'amount_above_returnable')
  assert.equal((await refunds(ana, topup)).status, 201)
  assert.equal(await standing(ana), 'nothing')
})

for (const [outcome, expected] of [
  ['succeeded', 'available 6.00'],
  ['failed', 'available 10.00'],
] as const) {
  test(`refund pending: held at the request, ${outcome === 'failed' ? 'given back' : 'gone'} when it has ${outcome}`, async () => {
    const { ana, topup } = await whoPaid()
    await world.control('/stripe/refunds/next', { payment: sessionOf(topup), outcome: 'pends', after_seconds: 86_400 })
    await refunds(ana, topup, '4.00')
    assert.equal(await standing(ana), 'available 6.00, held 4.00')
    const [refund] = (await world.bankBooks()).refunds.filter(({ status }) => status === 'pending')
    await world.control(`/stripe/refunds/${refund!.id}`, { status: outcome })
    await comesTo(ana, expected)
  })
}

test('refund after credits were spent: ours only what is unspent; from the dashboard all of it, and what is not there is owed', async () => {
  const { ana, topup } = await whoPaid()
  await ana.spends('7.00')
  assert.equal((await refunds(ana, topup, '3.01')).body.code, 'amount_above_returnable')
  await dashboardRefunds(topup)
  await comesTo(ana, 'owed 7.00')
  assert.equal((await refunds(ana, topup)).body.code, 'nothing_to_return')
})

test('dispute opened: what is there is frozen, the rest owed; no new card top-up, no refund of ours', async () => {
  const { ana, topup } = await whoPaid()
  await ana.spends('4.00')
  await disputes(topup)
  await comesTo(ana, 'frozen 10.00, owed 4.00')
  assert.equal(
    (await ana.refused('/topups', { method: 'card', amount: '10.00' })).body.code,
    'cards_blocked_by_dispute',
  )
  assert.equal((await refunds(ana, topup)).body.code, 'refund_blocked_by_dispute')
})

test('dispute partly: only its amount is frozen', async () => {
  const { ana, topup } = await whoPaid()
  await disputes(topup, { amount: 400 })
  await comesTo(ana, 'available 6.00, frozen 4.00')
})

for (const [name, kind, outcome] of [
  ['dispute won', 'dispute', 'win'],
  ['inquiry closed (warning_closed)', 'inquiry', 'win'],
  ['dispute prevented without money', 'dispute', 'prevent'],
] as const) {
  test(`${name}: what was frozen is available again`, async () => {
    const { ana, topup } = await whoPaid()
    const id = await disputes(topup, { kind })
    await comesTo(ana, 'frozen 10.00')
    await decides(id, outcome)
    await comesTo(ana, 'available 10.00')
  })
}

test('prevented by RDR, refunded: as a refund, what was frozen is gone', async () => {
  const { ana, topup } = await whoPaid()
  const id = await disputes(topup)
  await comesTo(ana, 'frozen 10.00')
  await decides(id, 'prevent_refunded')
  await comesTo(ana, 'nothing')
})

test('dispute lost: what was frozen is gone, the shortfall stays owed, the account stays restricted', async () => {
  const { ana, topup } = await whoPaid()
  await ana.spends('4.00')
  const id = await disputes(topup)
  await comesTo(ana, 'frozen 10.00, owed 4.00')
  await decides(id, 'lose')
  await comesTo(ana, 'owed 4.00')
  assert.equal(
    (await ana.refused('/topups', { method: 'card', amount: '10.00' })).body.code,
    'cards_blocked_by_dispute',
  )
})

test('won, later appeal: frozen again, and what was spent meanwhile is owed', async () => {
  const { ana, topup } = await whoPaid()
  const id = await disputes(topup)
  await comesTo(ana, 'frozen 10.00')
  await decides(id, 'win')
  await comesTo(ana, 'available 10.00')
  await ana.spends('3.00')
  await decides(id, 'appeal')
  await comesTo(ana, 'frozen 10.00, owed 3.00')
})

test('dispute after full refund: no double debit; the loss is the house’s', async () => {
  const { ana, topup } = await whoPaid()
  await dashboardRefunds(topup)
  await comesTo(ana, 'nothing')
  const id = await disputes(topup)
  await until(async () => (await ana.looksAt(topup)).disputes.length === 1)
  assert.equal(await standing(ana), 'nothing')
  await decides(id, 'lose')
  await until(async () => (await ana.looksAt(topup)).disputes[0]!.status === 'lost')
  assert.equal(await standing(ana), 'nothing')
})

test('early fraud warning, actionable: the remainder is frozen, and nobody owes anything for it', async () => {
  const { ana, topup } = await whoPaid()
  await ana.spends('4.00')
  await world.control('/stripe/warnings', { payment: sessionOf(topup) })
  await comesTo(ana, 'frozen 6.00')
})

for (const [row, differing] of [
  ['currency mismatch', { currency: 'eur' }],
  ['amount tampering', { amount: 500 }],
  ['payment of another customer or install', { metadata: { topup_id: 'top_00000000000000000000000000000000' } }],
  ['wrong livemode', { livemode: true }],
] as const) {
  test(`${row}: not captured, cancelled, alarm; never a credit`, async () => {
    await world.webhooks('off')
    const ana = await world.customer()
    const topup = await ana.startsTopup('10.00')
    await world.pay(topup, cards.frictionless)
    world.serve(
      world.room({
        ...world.stripe,
        async readSession(id) {
          const answer = await world.stripe.readSession(id)
          if (answer.ok) Object.assign(answer.value.payment_intent as object, differing)
          return answer
        },
      }),
    )
    assert.equal((await ana.comesBack(topup)).reason, 'not_verified')
    assert.equal(world.alarms.splice(0).length, 1)
    assert.equal(await standing(ana), 'nothing')
    assert.equal(await atTheBank(topup), 'canceled 0.00')
  })
}

test('customer pays the same page twice: impossible; two top-ups are two credits, and one can go back', async () => {
  const { ana, topup } = await whoPaid()
  assert.equal(await world.pay(topup, cards.frictionless), 'already_complete')
  const second = await ana.startsTopup('10.00')
  await world.pay(second, cards.frictionless)
  assert.equal((await ana.comesBack(second)).status, 'credited')
  assert.equal(await standing(ana), 'available 20.00')
  assert.equal((await refunds(ana, second)).status, 201)
  assert.equal(await standing(ana), 'available 10.00')
})

test('payment arrives after our expiry: the money was taken, so it is credited', async () => {
  await world.webhooks('off')
  const ana = await world.customer()
  const topup = await ana.startsTopup('10.00')
  await world.db.database.pool.query(
    `update topups set status = 'expired', ended_at = house_now(), next_look_at = null where session_id = $1`,
    [sessionOf(topup)],
  )
  await world.pay(topup, cards.frictionless)
  assert.equal((await ana.comesBack(topup)).status, 'credited')
  assert.equal(await atTheBank(topup), 'succeeded 10.00')
})

test('app down 2 days: the webhooks that were kept back are worked off, and the sweep finds the rest', async () => {
  await world.webhooks('withheld')
  const ana = await world.customer()
  const [told, untold] = [await ana.startsTopup('10.00'), await ana.startsTopup('20.00')]
  await world.pay(told, cards.frictionless)
  await world.houseTimePasses(2 * 86_400)
  await world.control('/stripe/webhooks/release', {})
  await comesTo(ana, 'available 10.00')
  await world.webhooks('off')
  await world.aMinuteLater()
  await world.payments.sweep()
  assert.equal((await ana.looksAt(untold)).status, 'expired')
  assert.equal(await creditsOf(told), 1)
})

test('out-of-order dispute, closed before created: its present state is applied, and the news that was late changes nothing', async () => {
  const { ana, topup } = await whoPaid()
  await quiet()
  await world.webhooks('withheld')
  await decides(await disputes(topup), 'lose')
  await world.control('/stripe/webhooks/release', { order: 'reversed' })
  await comesTo(ana, 'nothing')
  await quiet()
  const [dispute] = (await ana.looksAt(topup)).disputes
  assert.deepEqual([dispute!.status, dispute!.frozen], ['lost', '0.00'])
  assert.equal(await standing(ana), 'nothing')
})
