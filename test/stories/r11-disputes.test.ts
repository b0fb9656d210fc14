/**
 * R11. A dispute at the bank freezes the disputed credits, not the customer's reading access; won, they return; lost, they are gone and
 * the reason is shown. R12. What a customer owes is shown as owed, and what comes in pays it first.
 */
import assert from 'node:assert/strict'
import { after, afterEach, before, test } from 'node:test'
import type { CardsTaken, CardTopup, DisputeEvidence, HistoryRow, Page, StaffDispute } from '../../contract/contract.ts'
import type { Problem } from '../../contract/refusals.ts'
import { readId } from '../../server/platform/ids.ts'
import { until } from '../until.ts'
import { startWorld, type World } from '../world.ts'

const VISA = '4000000000003220'

let world: World
before(async () => {
  world = await startWorld()
})
after(async () => {
  await world.audit()
  assert.deepEqual(world.alarms, [])
  await world.stop()
})
afterEach(() => world.control('/stripe/webhooks', { mode: 'on' }))

type Customer = Awaited<ReturnType<World['customer']>>

async function whoPaid(
  amount = '10.00',
  who?: Customer,
): Promise<{ ana: Customer; topup: CardTopup; session: string }> {
  const ana = who ?? (await world.customer())
  const topup = await ana.startTopup(amount)
  await world.pay(topup, VISA, 'complete')
  const session = new URL(topup.checkout_url!).pathname.split('/').at(-1)!
  const credited = await ana.post<CardTopup>(`/topups/${topup.id}/return`, {})
  assert.equal(credited.body.status, 'credited')
  return { ana, topup, session }
}

const disputes = (session: string, more: object = {}) =>
  world.control('/stripe/disputes', { payment: session, ...more })
const decides = (id: unknown, outcome: string) => world.control(`/stripe/disputes/${id}`, { outcome })
const warns = (session: string) => world.control('/stripe/warnings', { payment: session })

const shownOf = async (ana: Customer) => {
  const { available, held, frozen, owed } = await ana.balance()
  return { available, held, frozen, owed }
}
const settled = (ana: Customer, figures: Partial<Awaited<ReturnType<typeof shownOf>>>) =>
  until(async () => {
    const wanted = { available: '0.00', held: '0.00', frozen: '0.00', owed: '0.00', ...figures }
    return JSON.stringify(await shownOf(ana)) === JSON.stringify(wanted)
  })
const topupOf = async (ana: Customer, topup: CardTopup) => (await ana.get<CardTopup>(`/topups/${topup.id}`)).body
const lastRow = async (ana: Customer): Promise<HistoryRow> => (await ana.history())[0]!
const mailTo = (ana: Customer, subject: RegExp) => world.mail(`${ana.name}@sandbox.example`, subject)
const staff = () => world.signIn({ name: 'staff', password: 'staff-password' })
const approver = () => world.signIn({ name: 'approver', password: 'approver-password' })

test('a dispute freezes what is disputed and nothing else: everything can be read, the rest can be spent, no card is taken; won, all returns', async () => {
  const { ana, topup, session } = await whoPaid()
  const dispute = await disputes(session, { amount: 400 })
  await settled(ana, { available: '6.00', frozen: '4.00' })

  const [told] = (await topupOf(ana, topup)).disputes
  assert.deepEqual(
    { ...told, id: undefined, opened_at: undefined },
    {
      id: undefined,
      kind: 'dispute',
      status: 'open',
      amount: '4.00',
      frozen: '4.00',
      owed: '0.00',
      reason: 'the cardholder did not make this payment',
      opened_at: undefined,
      ended_at: null,
      cards_blocked: true,
    },
  )
  assert.equal(
    (await lastRow(ana)).text,
    'Frozen, your bank disputes this payment: top-up of $10.00 by Visa ending in 3220',
  )
  assert.equal((await ana.order()).status, 'waiting')
  const refused = await ana.post<Problem>('/topups', { method: 'card', amount: '5.00' })
  assert.deepEqual([refused.status, refused.body.code], [409, 'cards_blocked_by_dispute'])
  assert.match(
    refused.body.detail,
    /Your bank disputes a payment .* Nothing was charged\. What is available can be spent/,
  )
  assert.deepEqual((await ana.get<CardsTaken>('/cards')).body, {
    taken: false,
    detail: 'Your bank disputes a payment to us, so no card is taken until it has decided.',
  })
  const browser = await world.signIn(ana)
  const back = await browser.post<Problem>(`/topups/${topup.id}/refunds`, { amount: '1.00' })
  assert.equal(back.body.code, 'refund_blocked_by_dispute')
  const letter = await mailTo(ana, /Your bank disputes \$4\.00/)
  assert.match(letter.text, /\$4\.00 of your credits is frozen: it cannot be spent, and is not gone/)
  assert.match(letter.text, /spend the \$6\.00 that is available/)

  await decides(dispute['id'], 'win')
  await until(async () => (await ana.balance()).frozen === '0.00')
  assert.equal((await topupOf(ana, topup)).disputes[0]!.status, 'won')
  assert.equal(
    (await lastRow(ana)).text,
    'Yours again, the bank decided that the payment was in order: top-up of $10.00 by Visa ending in 3220',
  )
  assert.deepEqual((await ana.get<CardsTaken>('/cards')).body, { taken: true, detail: null })
  assert.equal((await ana.post('/topups', { method: 'card', amount: '5.00' })).status, 201)
  assert.match((await mailTo(ana, /The dispute is over/)).text, /Nothing is frozen for it any more/)
})

test('disputed after it was spent: owed is said as owed, orders wait, and what was lost stays owed (F17)', async () => {
  const { ana, topup, session } = await whoPaid('5.00')
  for (const _ of [1, 2]) {
    const order = await ana.order()
    await world.sms({ to: order.phone_number, from: 'Telegram', text: 'Telegram code 48213' })
    await until(async () => (await ana.orderNow(order.id)).status === 'received')
  }
  const { available } = await ana.balance()
  const spent = (5 - Number(available)).toFixed(2)
  const dispute = await disputes(session)
  await settled(ana, { frozen: '5.00', owed: spent })
  assert.match((await lastRow(ana)).text, new RegExp(`; \\$${spent} of it had been spent, so you owe it$`))
  assert.equal((await topupOf(ana, topup)).disputes[0]!.owed, spent)
  assert.equal(
    (await ana.post<Problem>('/orders', { service: 'telegram', country: 'GB' })).body.code,
    'insufficient_credits',
  )
  assert.match(
    (await mailTo(ana, /Your bank disputes \$5\.00/)).text,
    new RegExp(`\\$${spent} had been spent already: that is what you owe for now`),
  )

  await decides(dispute['id'], 'lose')
  await settled(ana, { owed: spent })
  const row = await lastRow(ana)
  assert.deepEqual(
    [row.type, row.amount, row.text],
    ['dispute', '-5.00', `Taken back by your bank: top-up of $5.00 by Visa ending in 3220; you owe $${spent}`],
  )
  assert.match(
    (await mailTo(ana, /Your bank took back \$5\.00/)).text,
    new RegExp(`You owe \\$${spent}, because it had been spent already`),
  )
  assert.equal(
    (await ana.post<Problem>('/topups', { method: 'card', amount: '5.00' })).body.code,
    'cards_blocked_by_dispute',
  )
  // Staff take cards again, say why, and stand for it; it is nobody else's to do.
  const listedNow = await listed(topup.id)
  assert.deepEqual([listedNow.cards_blocked, listedNow.cards_taken_again], [true, null])
  const lift = `/staff/disputes/${listedNow.id}/take-cards`
  const why = 'The customer paid by bank transfer.'
  assert.equal((await (await world.signIn(ana)).post<Problem>(lift, { why })).status, 403)
  const one = await staff()
  assert.deepEqual((await one.post<Problem>(lift, { why: ' ' })).body.field, 'why')
  const lifted = await Promise.all([one.post<StaffDispute>(lift, { why }), one.post<StaffDispute>(lift, { why })])
  for (const { status, body } of lifted)
    assert.deepEqual(
      [status, body.cards_blocked, body.cards_taken_again?.by, body.cards_taken_again?.why],
      [200, false, 'staff', why],
    )
  assert.equal((await topupOf(ana, topup)).disputes[0]!.cards_blocked, false)
  assert.equal((await ana.post('/topups', { method: 'card', amount: '5.00' })).status, 201)
  // One that is lost later blocks again, and is lifted by itself.
  const later = await whoPaid('6.00', ana)
  await decides((await disputes(later.session))['id'], 'lose')
  await until(async () => (await topupOf(ana, later.topup)).disputes[0]?.status === 'lost')
  assert.equal(
    (await ana.post<Problem>('/topups', { method: 'card', amount: '5.00' })).body.code,
    'cards_blocked_by_dispute',
  )
  const second = await one.post<StaffDispute>(`/staff/disputes/${(await listed(later.topup.id)).id}/take-cards`, {
    why,
  })
  assert.equal(second.body.cards_blocked, false)

  // What comes in pays it first, and its row says so.
  await world.giveCredit(ana.accountId, 5_000_000n as never)
  assert.match((await lastRow(ana)).text, new RegExp(`\\$${spent} of it paid what you owed`))
  await settled(ana, { available })
})

test('an inquiry freezes too, and its end gives back; it may become a dispute, and a dispute may be taken up once more', async () => {
  const { ana, session } = await whoPaid()
  const dispute = await disputes(session, { kind: 'inquiry' })
  await settled(ana, { frozen: '10.00' })
  assert.match((await lastRow(ana)).text, /^Frozen, your bank asks about this payment: /)
  assert.match((await mailTo(ana, /Your bank asks about \$10\.00/)).text, /No money has moved/)
  await decides(dispute['id'], 'escalate')
  await mailTo(ana, /Your bank disputes \$10\.00/)
  await decides(dispute['id'], 'win')
  await settled(ana, { available: '10.00' })
  await decides(dispute['id'], 'appeal')
  await settled(ana, { frozen: '10.00' })
  await mailTo(ana, /A dispute about \$10\.00 is open again/)
  await decides(dispute['id'], 'lose')
  await settled(ana, {})
})

test('the bank pays back at once (RDR): the credits go, and cards are taken as before', async () => {
  const { ana, session } = await whoPaid()
  await disputes(session, { kind: 'prevented_refunded' })
  await settled(ana, {})
  assert.match((await lastRow(ana)).text, /^Your bank paid this back to the card: /)
  assert.equal((await ana.post('/topups', { method: 'card', amount: '5.00' })).status, 201)
})

test('with webhooks off the sweeper alone finds the dispute and its end', async () => {
  const { ana, session } = await whoPaid()
  await world.control('/stripe/webhooks', { mode: 'off' })
  const pool = world.server.parts.database.pool
  const anHourLater = async () => {
    await pool.query(`update card_lists set next_read_at = '-infinity'`)
    await pool.query('update disputes set next_look_at = now() where next_look_at is not null')
    await world.server.parts.payments.sweep()
  }
  const dispute = await disputes(session)
  await anHourLater()
  await settled(ana, { frozen: '10.00' })
  await decides(dispute['id'], 'lose')
  await anHourLater()
  await settled(ana, {})
})

test('a dispute beside a refund that is on its way: the bank stops the refund, and never is more gone than was paid', async () => {
  const { ana, topup, session } = await whoPaid()
  await world.control('/stripe/refunds/next', { payment: session, outcome: 'pends', after_seconds: 3600 })
  const browser = await world.signIn(ana)
  assert.equal((await browser.post(`/topups/${topup.id}/refunds`, { amount: '6.00' })).status, 201)
  const dispute = await disputes(session)
  await until(async () => (await topupOf(ana, topup)).refunds[0]!.status === 'failed')
  await until(async () => {
    await world.server.parts.payments.sweep()
    return (await ana.balance()).frozen === '10.00'
  })
  assert.deepEqual(await shownOf(ana), { available: '0.00', held: '0.00', frozen: '10.00', owed: '0.00' })
  await decides(dispute['id'], 'lose')
  await settled(ana, {})
})

test('a dispute after everything went back costs the customer nothing', async () => {
  const { ana, topup, session } = await whoPaid()
  const browser = await world.signIn(ana)
  assert.equal((await browser.post(`/topups/${topup.id}/refunds`, {})).status, 201)
  await settled(ana, {})
  const dispute = await disputes(session)
  await until(async () => (await topupOf(ana, topup)).disputes.length === 1)
  await decides(dispute['id'], 'lose')
  await until(async () => (await topupOf(ana, topup)).disputes[0]!.status === 'lost')
  assert.deepEqual(await shownOf(ana), { available: '0.00', held: '0.00', frozen: '0.00', owed: '0.00' })
})

const listed = async (id: string): Promise<StaffDispute> => {
  const { body } = await (await staff()).get<Page<StaffDispute>>('/staff/disputes')
  return body.items.find((item) => item.topup_id === id)!
}

test('a warning of fraud keeps what is unspent; who asks to send it back cannot agree to it; two people can', async () => {
  const { ana, topup, session } = await whoPaid()
  await ana.order()
  const before = await ana.balance()
  await warns(session)
  await until(async () => (await ana.balance()).frozen !== '0.00')
  assert.deepEqual(await shownOf(ana), {
    ...(await shownOf(ana)),
    available: '0.00',
    frozen: before.available,
    owed: '0.00',
  })
  assert.match((await mailTo(ana, /A bank has a question about your top-up/)).text, /You owe nothing/)
  assert.equal(
    (await ana.post<Problem>('/topups', { method: 'card', amount: '5.00' })).body.code,
    'cards_blocked_by_dispute',
  )

  const warning = await listed(topup.id)
  assert.deepEqual([warning.kind, warning.status, warning.warning!.status], ['warning', 'open', 'open'])
  const [one, two] = [await staff(), await approver()]
  const refund = `/staff/warnings/${warning.id}/refund`
  const asked = await one.post<StaffDispute>(refund, { why: 'The card was reported stolen.' })
  assert.deepEqual(
    [asked.status, asked.body.warning!.status, asked.body.warning!.asked_by],
    [200, 'refund_asked', 'staff'],
  )
  const alone = await one.post<Problem>(refund)
  assert.deepEqual([alone.status, alone.body.code], [403, 'second_person_needed'])
  assert.equal((await ana.balance()).frozen, before.available, 'nothing has moved')
  // Pressed by two windows at once: once.
  const agreed = await Promise.all([two.post<StaffDispute>(refund), two.post<StaffDispute>(refund)])
  assert.deepEqual(
    agreed.map(({ status }) => status),
    [200, 200],
  )
  await until(async () => (await topupOf(ana, topup)).refunds[0]?.status === 'succeeded')
  const { refunds } = await topupOf(ana, topup)
  assert.deepEqual([refunds.length, refunds[0]!.amount, refunds[0]!.origin], [1, before.available, 'us'])
  assert.deepEqual(await shownOf(ana), { available: '0.00', held: before.held, frozen: '0.00', owed: '0.00' })
  await world.server.parts.database.pool.query(
    'update fraud_warnings set next_look_at = now() where next_look_at is not null',
  )
  await world.server.parts.payments.sweep()
  assert.equal((await listed(topup.id)).warning!.status, 'refunded')
  const late = await two.post<Problem>(`/staff/warnings/${warning.id}/release`)
  assert.equal(late.body.code, 'already_decided')
})

test('the approver who asks cannot agree either, and no customer decides', async () => {
  const { ana, topup, session } = await whoPaid()
  await warns(session)
  await until(async () => (await ana.balance()).frozen !== '0.00')
  const { id } = await listed(topup.id)
  const two = await approver()
  assert.equal((await two.post(`/staff/warnings/${id}/refund`)).status, 200)
  assert.equal((await two.post<Problem>(`/staff/warnings/${id}/refund`)).body.code, 'second_person_needed')
  assert.equal((await (await staff()).post<Problem>(`/staff/warnings/${id}/refund`)).body.code, 'second_person_needed')
  assert.equal((await (await world.signIn(ana)).post<Problem>(`/staff/warnings/${id}/release`)).body.code, 'forbidden')
  assert.equal((await two.post<Problem>(`/staff/warnings/${id.slice(0, -4)}0000/release`)).body.code, 'not_found')
  // Found in order after all: everything returns, and the customer hears of it.
  const released = await (await staff()).post<StaffDispute>(`/staff/warnings/${id}/release`, {
    why: 'The bank was mistaken.',
  })
  assert.equal(released.body.warning!.status, 'released')
  await settled(ana, { available: '10.00' })
  assert.match((await lastRow(ana)).text, /^Yours again, we have looked at what a bank warned of: /)
  await mailTo(ana, /Your credits are yours again/)
})

test('sent back in the dashboard while a warning keeps it: the rest stays frozen, and nobody owes what is only frozen', async () => {
  const { ana, topup, session } = await whoPaid()
  await warns(session)
  await settled(ana, { frozen: '10.00' })
  await world.control('/stripe/refunds', { payment: session, amount: 400 })
  await settled(ana, { frozen: '6.00' })
  assert.ok((await ana.history()).every(({ text }) => !text.includes('owe')))
  await world.control('/stripe/refunds', { payment: session })
  await settled(ana, {})
  await until(async () => (await listed(topup.id)).warning!.status === 'closed')
})

test('disputed after somebody asked to send it back: the dispute takes the place of the warning, and the same credits are frozen once', async () => {
  const { ana, topup, session } = await whoPaid()
  await warns(session)
  await settled(ana, { frozen: '10.00' })
  const { id } = await listed(topup.id)
  assert.equal((await (await staff()).post(`/staff/warnings/${id}/refund`)).status, 200)
  // Only the dispute is heard of.
  await world.control('/stripe/webhooks', { mode: 'off' })
  const dispute = await disputes(session)
  await world.server.parts.payments.learnDispute(readId('top', topup.id)!, dispute['id'] as string)
  assert.deepEqual(await shownOf(ana), { available: '0.00', held: '0.00', frozen: '10.00', owed: '0.00' })
  await world.control('/stripe/webhooks', { mode: 'on' })
  assert.equal((await (await approver()).post<Problem>(`/staff/warnings/${id}/refund`)).body.code, 'already_decided')
  await decides(dispute['id'], 'win')
  await settled(ana, { available: '10.00' })
})

test('sent back in the dashboard between the asking and the agreeing: nothing is left to agree to, and it says so', async () => {
  const { ana, topup, session } = await whoPaid()
  await ana.order()
  const before = await ana.balance()
  await warns(session)
  await until(async () => (await ana.balance()).frozen === before.available)
  const { id } = await listed(topup.id)
  assert.equal((await (await staff()).post(`/staff/warnings/${id}/refund`)).status, 200)
  await world.control('/stripe/refunds', { payment: session, amount: Number(before.available.replace('.', '')) })
  await until(async () => (await ana.balance()).frozen === '0.00')
  const agreed = await (await approver()).post<Problem>(`/staff/warnings/${id}/refund`)
  assert.deepEqual([agreed.status, agreed.body.code], [409, 'nothing_to_return'])
  assert.equal((await (await staff()).post(`/staff/warnings/${id}/release`)).status, 200)
})

test('the evidence is there from the first day: receipt, address, browser, 3-D Secure, what was agreed, what was delivered', async () => {
  const { ana, topup, session } = await whoPaid()
  const order = await ana.order()
  await world.sms({ to: order.phone_number, from: 'Telegram', text: 'Telegram code 48213, do not tell' })
  await until(async () => (await ana.orderNow(order.id)).status === 'received')
  await disputes(session)
  const found = await until(() => listed(topup.id))
  assert.ok(found.evidence_due_by, 'until when the bank waits')
  assert.deepEqual([found.username, found.frozen, found.reason], [ana.name, '10.00', 'fraudulent'])
  const { status, body } = await (await staff()).get<DisputeEvidence>(`/staff/disputes/${found.id}/evidence`)
  assert.equal(status, 200)
  const { evidence } = body
  assert.equal(evidence.customer_email_address, `${ana.name}@sandbox.example`)
  assert.match(evidence.customer_purchase_ip!, /^(127\.0\.0\.1|::1)$/)
  assert.match(evidence.receipt!, new RegExp(`Receipt for \\$10\\.00[\\s\\S]*Visa 3220[\\s\\S]*${topup.id}`))
  assert.match(
    evidence.access_activity_log!,
    new RegExp(`order ${order.number}, a number for Telegram, United Kingdom: a code delivered at`),
  )
  assert.match(
    evidence.uncategorized_text!,
    /authenticated this payment by 3-D Secure .*\n3-D Secure transaction: [0-9a-f-]{36}, version 2\.2\.0, ECI 05/,
  )
  assert.ok(!JSON.stringify(body).includes('48213'), 'what a message said is nobody else’s business')
  assert.equal(body.rows.orders.length, 1)
  assert.equal((await (await staff()).get<Problem>('/staff/disputes/dsp_nothing/evidence')).body.code, 'not_found')
  assert.equal((await (await world.signIn(ana)).get<Problem>('/staff/disputes')).body.code, 'forbidden')
})
