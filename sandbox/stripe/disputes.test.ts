import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import Stripe from 'stripe'
import { asked, startWorld, until, type World } from '../testing.ts'

let world: World
before(async () => {
  world = await startWorld()
})
after(() => world.stop())

async function captured(card = '4000000032200000', amount = 1_000): Promise<string> {
  const session = await world.stripe.checkout.sessions.create(asked(amount))
  const { body } = await world.control('/stripe/pay', { session: session.id, card })
  const intent = await world.stripe.paymentIntents.capture(body['payment_intent'] as string)
  return intent.latest_charge as string
}

async function disputed(kind = 'dispute', more: Record<string, unknown> = {}) {
  const charge = await captured()
  const { status, body } = await world.control('/stripe/disputes', { payment: charge, kind, ...more })
  assert.equal(status, 200, JSON.stringify(body))
  return { charge, id: body['id'] as string }
}

const decide = async (id: string, outcome: string) =>
  (await world.control(`/stripe/disputes/${id}`, { outcome })).status

async function refusal(work: Promise<unknown>) {
  try {
    await work
  } catch (error) {
    if (error instanceof Stripe.errors.StripeError) return error
    throw error
  }
  throw new Error('It was not refused')
}

const told = (id: string, count: number) =>
  until(() => {
    const events = world.receiver.events().filter((event) => (event.data.object as { id: string }).id === id)
    return events.length >= count && events.map((event) => event.type)
  })

/** Where a dispute stands and what it has moved: amount and fee of each movement. */
async function standing(id: string): Promise<string> {
  const dispute = await world.stripe.disputes.retrieve(id)
  const moved = dispute.balance_transactions.map((each) => `${each.amount}${each.fee ? ` fee ${each.fee}` : ''}`)
  return [dispute.status, ...moved].join(', ')
}

test('a dispute takes the money and a fee, and leaves nothing to refund', async () => {
  const { charge, id } = await disputed('dispute', { reason: 'product_not_received' })
  assert.equal(await standing(id), 'needs_response, -1000 fee 1500')
  assert.equal((await world.stripe.charges.retrieve(charge)).disputed, true)
  assert.equal((await refusal(world.stripe.refunds.create({ charge }))).code, 'charge_disputed')
  assert.deepEqual(await told(id, 2), ['charge.dispute.created', 'charge.dispute.funds_withdrawn'])
  const [booked] = (await world.stripe.balanceTransactions.list({ source: id, expand: ['data.source'] })).data
  assert.deepEqual([booked?.type, booked?.reporting_category, booked?.net], ['adjustment', 'dispute', -2_500])
  assert.equal((booked?.source as Stripe.Dispute | undefined)?.reason, 'product_not_received')
  const listed = await world.stripe.disputes.list({ charge })
  assert.deepEqual(
    listed.data.map((each) => each.id),
    [id],
  )
})

/** What the bank decides, one after the other, and where the dispute then stands. */
const paths: [string, string, string[], string][] = [
  ['won: the money comes back, the fee does not', 'dispute', ['win'], 'won, -1000 fee 1500, 1000'],
  ['lost', 'dispute', ['lose'], 'lost, -1000 fee 1500'],
  ['won, and taken up again', 'dispute', ['win', 'appeal'], 'appeal_needs_response, -1000 fee 1500, 1000, -1000'],
  ['won again', 'dispute', ['win', 'appeal', 'win'], 'won, -1000 fee 1500, 1000, -1000, 1000'],
  ['lost in the end', 'dispute', ['win', 'appeal', 'lose'], 'lost, -1000 fee 1500, 1000, -1000'],
  ['lost, and won in the end', 'dispute', ['lose', 'appeal', 'win'], 'won, -1000 fee 1500, 1000'],
  ['came to nothing', 'dispute', ['prevent'], 'prevented, -1000 fee 1500, 1000'],
  ['settled by paying', 'dispute', ['prevent_refunded'], 'prevented, -1000 fee 1500'],
  ['an inquiry moves nothing', 'inquiry', [], 'warning_needs_response'],
  ['an inquiry is closed', 'inquiry', ['win'], 'warning_closed'],
  ['an inquiry becomes a dispute', 'inquiry', ['escalate'], 'needs_response, -1000 fee 1500'],
  ['an inquiry is settled by paying', 'inquiry', ['prevent_refunded'], 'prevented, -1000'],
  ['prevented, no money', 'prevented', [], 'prevented'],
  ['prevented by paying at once, without a fee', 'prevented_refunded', [], 'prevented, -1000'],
]
for (const [name, kind, outcomes, expected] of paths) {
  test(name, async () => {
    const { charge, id } = await disputed(kind)
    for (const outcome of outcomes) assert.equal(await decide(id, outcome), 200, outcome)
    assert.equal(await standing(id), expected)
    const dispute = await world.stripe.disputes.retrieve(id)
    const refundable = await world.stripe.refunds.create({ charge }).then(
      () => true,
      () => false,
    )
    assert.equal(dispute.is_charge_refundable, refundable)
  })
}

test('what is closed stays closed; what cannot be is refused', async () => {
  const { charge, id } = await disputed()
  assert.equal(await decide(id, 'escalate'), 409)
  assert.equal(await decide(id, 'appeal'), 409)
  assert.equal(await decide(charge, 'lose'), 200)
  assert.equal(await decide(id, 'win'), 409)
  assert.match((await refusal(world.stripe.disputes.close(id))).message, /already closed/)
  assert.equal((await world.control('/stripe/disputes', { payment: charge })).status, 409)
  const reserved = await world.stripe.checkout.sessions.create(asked())
  await world.control('/stripe/pay', { session: reserved.id, card: '4000000032200000' })
  assert.equal((await world.control('/stripe/disputes', { payment: reserved.id })).status, 409)
  assert.equal((await world.control('/stripe/disputes', { payment: charge, reason: 'mood' })).body['field'], 'reason')
  assert.equal((await world.control('/stripe/disputes/du_none', { outcome: 'win' })).status, 404)
})

test('part of a payment is disputed, and another part; never more than was taken', async () => {
  const { charge, id } = await disputed('dispute', { amount: 300 })
  assert.equal(await standing(id), 'needs_response, -300 fee 1500')
  assert.equal((await world.control('/stripe/disputes', { payment: charge, amount: 701 })).status, 409)
  const rest = await world.control('/stripe/disputes', { payment: charge })
  assert.equal(rest.body['amount'], 700)
})

test('evidence is kept, submitted once, and decides by its text', async () => {
  for (const [kind, text, status] of [
    ['dispute', 'winning_evidence', 'won'],
    ['dispute', 'losing_evidence', 'lost'],
    ['inquiry', 'winning_evidence', 'warning_closed'],
    ['inquiry', 'escalate_inquiry_evidence', 'needs_response'],
  ] as const) {
    const { id } = await disputed(kind)
    const staged = await world.stripe.disputes.update(id, { evidence: { product_description: 'SMS' }, submit: false })
    assert.equal(staged.evidence_details.has_evidence, true)
    assert.equal(staged.evidence_details.submission_count, 0)
    const sent = await world.stripe.disputes.update(id, { evidence: { uncategorized_text: text } })
    assert.equal(sent.status, kind === 'inquiry' ? 'warning_under_review' : 'under_review')
    assert.equal(sent.evidence.product_description, 'SMS')
    assert.match(
      (await refusal(world.stripe.disputes.update(id, { evidence: { receipt: 'x' } }))).message,
      /submitted already/,
    )
    world.pass(1_000)
    assert.equal((await world.stripe.disputes.retrieve(id)).status, status, text)
  }
  const { id } = await disputed()
  await world.stripe.disputes.update(id, {
    evidence: { uncategorized_text: 'We did send it.' },
    metadata: { ours: '1' },
  })
  world.pass(86_400_000)
  const open = await world.stripe.disputes.retrieve(id)
  assert.equal(open.status, 'under_review')
  assert.deepEqual(open.metadata, { ours: '1' })
})

test('the shop gives in, or says nothing for a fortnight: lost', async () => {
  const { id } = await disputed()
  assert.equal((await world.stripe.disputes.close(id)).status, 'lost')
  const own = await startWorld()
  const session = await own.stripe.checkout.sessions.create(asked())
  const { body } = await own.control('/stripe/pay', { session: session.id, card: '4000000032200000' })
  await own.stripe.paymentIntents.capture(body['payment_intent'] as string)
  const silent = await own.control('/stripe/disputes', { payment: session.id })
  own.pass(15 * 86_400_000)
  assert.equal((await own.stripe.disputes.retrieve(silent.body['id'] as string)).status, 'lost')
  await own.stop()
})

test('an inquiry ends when everything was given back', async () => {
  const { charge, id } = await disputed('inquiry')
  await world.stripe.refunds.create({ charge, amount: 400 })
  assert.equal(await standing(id), 'warning_needs_response')
  await world.stripe.refunds.create({ charge })
  assert.equal(await standing(id), 'warning_closed')
})

test('a refund that waits fails when its charge is disputed', async () => {
  const charge = await captured('4000000000007726')
  const refund = await world.stripe.refunds.create({ charge, amount: 600 })
  await world.control('/stripe/disputes', { payment: charge })
  const failed = await world.stripe.refunds.retrieve(refund.id)
  assert.deepEqual([failed.status, failed.failure_reason], ['failed', 'charge_for_pending_refund_disputed'])
})

/** The cards that raise something by themselves, a moment after the capture. */
const cards: [string, string][] = [
  ['4000000000000259', 'needs_response fraudulent 1000'],
  ['4000000000002685', 'needs_response product_not_received 1000'],
  ['4000000000001976', 'warning_needs_response fraudulent 1000'],
  ['4000000404000079', 'needs_response fraudulent 500, needs_response fraudulent 500'],
  ['4000000404000038', 'needs_response fraudulent 1000'],
  ['4000000404004816', 'prevented fraudulent 1000'],
  ['4000000404005649', 'prevented fraudulent 1000'],
  ['5105000300000018', 'prevented fraudulent 1000'],
  ['4000000032200000', ''],
]
for (const [card, expected] of cards) {
  test(`card ${card}: ${expected || 'disputes nothing'}`, async () => {
    const charge = await captured(card)
    world.pass(1_000)
    const raised = await world.stripe.disputes.list({ charge })
    assert.equal(raised.data.map((each) => `${each.status} ${each.reason} ${each.amount}`).join(', '), expected)
  })
}

test('a card whose payment was given back within the second still disputes what it had said', async () => {
  const charge = await captured('4000000000000259')
  await world.stripe.refunds.create({ charge })
  world.pass(1_000)
  assert.equal((await world.stripe.disputes.list({ charge })).data.length, 1)
})

test('a warning asks for action until a dispute comes or everything was given back', async () => {
  const first = await captured('4000000000005423')
  world.pass(1_000)
  const [warning] = (await world.stripe.radar.earlyFraudWarnings.list({ charge: first })).data
  assert.equal(warning?.actionable, true)
  await world.stripe.refunds.create({ charge: first })
  assert.equal((await world.stripe.radar.earlyFraudWarnings.retrieve(warning!.id)).actionable, false)

  const second = await captured()
  const { body } = await world.control('/stripe/warnings', { payment: second, fraud_type: 'made_with_stolen_card' })
  assert.equal(body['fraud_type'], 'made_with_stolen_card')
  await world.control('/stripe/disputes', { payment: second })
  assert.deepEqual(await told(body['id'] as string, 2), [
    'radar.early_fraud_warning.created',
    'radar.early_fraud_warning.updated',
  ])
  const late = await world.control('/stripe/warnings', { payment: second })
  assert.equal(late.body['actionable'], false)
})

test('the balance is what was taken, less what went back, less what is disputed, less all fees', async () => {
  const own = await startWorld()
  const charges: string[] = []
  for (const amount of [1_000, 2_000, 3_000]) {
    const session = await own.stripe.checkout.sessions.create(asked(amount))
    const { body } = await own.control('/stripe/pay', { session: session.id, card: '4000000032200000' })
    charges.push((await own.stripe.paymentIntents.capture(body['payment_intent'] as string)).latest_charge as string)
  }
  await own.stripe.refunds.create({ charge: charges[0]!, amount: 400 })
  await own.control('/stripe/disputes', { payment: charges[1] })
  await own.control('/stripe/disputes', { payment: charges[2], kind: 'inquiry' })
  own.pass(1_000)
  const { totals } = (await own.read('/stripe/books')) as { totals: Record<string, number> }
  const fees = 59 + 88 + 117 + 1_500
  assert.deepEqual(
    [totals['captured'], totals['refunded'], totals['withdrawn'], totals['fees'], totals['balance']],
    [6_000, 400, 2_000, fees, 6_000 - 400 - 2_000 - fees],
  )
  await own.stop()
})
