import assert from 'node:assert/strict'
import { test } from 'node:test'
import { asked, startWorld } from '../testing.ts'

test('a payout takes along everything that is available, and its movements can be listed by it', async () => {
  const world = await startWorld()
  for (const card of ['4000000000000077', '4000000000000077', '4000000032200000']) {
    const session = await world.stripe.checkout.sessions.create(asked())
    const { body } = await world.control('/stripe/pay', { session: session.id, card })
    await world.stripe.paymentIntents.capture(body['payment_intent'] as string)
    if (card.endsWith('0077')) continue
    assert.equal(
      (await world.stripe.refunds.create({ payment_intent: body['payment_intent'] as string })).amount,
      1_000,
    )
  }
  world.pass(1_000)
  // Two charges at once, and a refund of one that is available only in two days.
  const paid = await world.control('/stripe/payouts', {})
  assert.equal(paid.body['amount'], 2 * 941 - 1_000)
  const payout = paid.body['id'] as string
  const along = await world.stripe.balanceTransactions.list({ payout })
  assert.deepEqual(along.data.map((each) => each.type).sort(), ['charge', 'charge', 'payout', 'refund'])
  assert.equal(
    along.data.reduce((sum, each) => sum + each.net, 0),
    0,
  )
  assert.equal((await world.stripe.payouts.retrieve(payout)).status, 'paid')
  assert.equal((await world.control('/stripe/payouts', {})).status, 409)
  world.pass(2 * 86_400_000)
  assert.equal((await world.control('/stripe/payouts', {})).body['amount'], 941)
  const { totals } = (await world.read('/stripe/books')) as { totals: Record<string, number> }
  assert.deepEqual([totals['balance'], totals['paid_out']], [0, 941 * 3 - 1_000])
  assert.equal((await world.stripe.payouts.list()).data.length, 2)
  await world.stop()
})
