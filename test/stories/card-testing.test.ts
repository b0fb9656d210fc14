/**
 * R2, against card testing. Whoever has a list of stolen cards learns from each authorisation which of them work, so he gets few of
 * them: payment pages are counted by customer and by network, cards and declines by customer, and when too many of all attempts are
 * declined, cards are paused for everybody. What is under way is settled and credited as ever.
 */
import assert from 'node:assert/strict'
import { after, afterEach, before, test } from 'node:test'
import type { CardTopup, StaffCards } from '../../contract/contract.ts'
import { looksLikeCard } from '../../sandbox/stripe/cards.ts'
import { CARD_LIMITS, type CardLimits } from '../../server/payments/card/limits.ts'
import { readId } from '../../server/platform/ids.ts'
import { outcomeOf } from '../../web/topup/outcome.ts'
import { type CardWorld, cards, startCardWorld } from '../card-world.ts'

const HOUR = 3_600
const DAY = 24 * HOUR

let world: CardWorld
before(async () => {
  world = await startCardWorld()
  await world.webhooks('off')
})
after(() => world?.stop())
// What one story tried is not the next one's.
afterEach(() => world.houseTimePasses(2 * DAY))

function strict(limits: Partial<CardLimits> = CARD_LIMITS): void {
  world.serve(world.room(world.stripe, { cardLimits: limits }))
}

/** What a refusal left behind: nothing. */
async function traces(accountId: bigint): Promise<unknown> {
  const { rows } = await world.db.database.pool.query(
    `select (select count(*)::int from topups where account_id = $1) as topups,
            (select count(*)::int from idempotency_keys where account_id = $1) as keys`,
    [accountId],
  )
  return { ...rows[0], pages: (await world.bankBooks()).sessions.length }
}

type Ana = Awaited<ReturnType<CardWorld['customer']>>

async function isRefused(ana: Ana, code: string, status: number, headers: Record<string, string> = {}) {
  const before = await traces(ana.accountId)
  const asked = { method: 'card', amount: '10.00' }
  const { status: answered, body } = await ana.refused('/topups', asked, { 'idempotency-key': 'refused', ...headers })
  assert.deepEqual({ status: answered, code: body.code }, { status, code })
  assert.match(body.detail, /[Nn]othing was charged/)
  assert.deepEqual(await traces(ana.accountId), before)
  return body
}

test('an e-mail address that nobody proved opens no payment page', async () => {
  strict()
  const ana = await world.customer()
  world.unproven.add(ana.accountId)
  await isRefused(ana, 'email_not_proven', 403)
  world.unproven.delete(ana.accountId)
  await ana.startsTopup()
})

test('five payment pages an hour; the sixth is refused and says when, and a repetition of one that exists never is', async () => {
  strict({ sessionsPerHourMax: 5 })
  const ana = await world.customer()
  const first = await ana.startsTopup('10.00', { 'idempotency-key': 'first' })
  for (let i = 0; i < 4; i++) await ana.startsTopup()
  const { opens_at } = await isRefused(ana, 'card_limit_reached', 429)
  assert.deepEqual(await ana.startsTopup('10.00', { 'idempotency-key': 'first' }), first)

  const wait = Math.ceil((Date.parse(String(opens_at)) - Date.parse(first.created_at)) / 1000)
  assert.equal(wait, HOUR, 'the first of them is an hour old then')
  await world.houseTimePasses(HOUR)
  await ana.startsTopup('10.00', { 'idempotency-key': 'refused' })
})

test('whoever may have one payment page, or one open top-up, reads of one', async () => {
  const ana = await world.customer()
  strict({ sessionsPerHourMax: 1 })
  await ana.startsTopup()
  assert.match((await isRefused(ana, 'card_limit_reached', 429)).detail, /^You began 1 top-up within the last hour\./)
  strict({ openTopupsMax: 1 })
  const { detail } = await isRefused(ana, 'too_many_open_topups', 409)
  assert.match(detail, /^You have 1 open top-up, and may have 1\. Pay on its page, or wait until it closes;/)
})

test('ten at once are counted as ten', async () => {
  strict({ sessionsPerHourMax: 5 })
  const ana = await world.customer()
  const asked = Array.from({ length: 10 }, () => ana.call('/topups', { method: 'card', amount: '10.00' }))
  const answers = (await Promise.allSettled(asked)).map((each) => each.status === 'fulfilled' && each.value.status)
  let opened = answers.filter((status) => status === 201).length
  assert.ok(opened <= 5, answers.join())
  // Who waited too long for the others, on a machine that does other things too, asks again.
  for (; opened < 5; opened++) await ana.startsTopup()
  await isRefused(ana, 'card_limit_reached', 429)
})

test('ten payment pages an hour from one network, however many customers; a whole /64 of IPv6 is one network', async () => {
  strict({ sessionsPerNetworkPerHourMax: 10 })
  const networks = [
    { inside: () => '203.0.113.7', outside: '203.0.113.8' },
    { inside: (i: number) => `2001:db8:1:2::${i}`, outside: '2001:db8:1:3::1' },
  ]
  for (const { inside, outside } of networks) {
    for (let i = 0; i < 10; i++) {
      const ana = await world.customer()
      await ana.startsTopup('10.00', { 'x-address': inside(i) })
    }
    const bob = await world.customer()
    await isRefused(bob, 'card_limit_reached', 429, { 'x-address': inside(10) })
    await bob.startsTopup('10.00', { 'x-address': outside })
  }
})

test('no more than three top-ups are open at once; one that is over makes room', async () => {
  strict({ openTopupsMax: 3 })
  const ana = await world.customer()
  const open = [await ana.startsTopup(), await ana.startsTopup(), await ana.startsTopup()]
  const { open: told } = await isRefused(ana, 'too_many_open_topups', 409)
  assert.equal(told, 3)
  await world.pay(open[0]!, cards.confirms)
  await ana.comesBack(open[0]!)
  await ana.startsTopup()
})

test('three cards that fail close the payment page, and open no other one until tomorrow', async () => {
  strict()
  const ana = await world.customer()
  const topup = await ana.startsTopup()
  const other = await ana.startsTopup()
  const [first, second, third] = [cards.declined, cards.insufficientFunds, '4000000000009987']
  for (const [place, card] of [first, second, third].entries()) {
    assert.equal(await world.pay(topup, card), 'declined')
    assert.equal((await ana.leaves(topup)).status, place < 2 ? 'awaiting_payment' : 'refused')
  }
  assert.equal(await world.pay(topup, cards.confirms), 'expired')
  const { opens_at } = await isRefused(ana, 'card_limit_reached', 429)
  assert.ok(Date.parse(String(opens_at)) - Date.parse(topup.created_at) <= DAY * 1000 + 60_000)
  // The page that stood open beside it is closed with the next look.
  await ana.leaves(other)
  assert.equal(await world.pay(other, cards.confirms), 'expired')
  await world.houseTimePasses(DAY)
  await ana.startsTopup()
})

test('all cards that were tried count, also those that nobody was told of in between', async () => {
  strict()
  const ana = await world.customer()
  const topup = await ana.startsTopup()
  for (const card of [cards.declined, cards.insufficientFunds, '4000000000009987']) await world.pay(topup, card)
  assert.equal((await ana.leaves(topup)).status, 'refused')
  await isRefused(ana, 'card_limit_reached', 429)
})

test('a card that could be reserved without 3-D Secure is a card that was tried', async () => {
  strict()
  const ana = await world.customer()
  for (const card of [cards.notEnrolled, cards.without3ds, '5555555555554444']) {
    const topup = await ana.startsTopup()
    assert.equal(await world.pay(topup, card), 'authorized')
    assert.equal((await ana.comesBack(topup)).status, 'refused')
  }
  await isRefused(ana, 'card_limit_reached', 429)
})

test('one card that is declined five times is enough for a day; a confirmation that fails counts as well', async () => {
  strict()
  const ana = await world.customer()
  const topup = await ana.startsTopup()
  for (let i = 0; i < 3; i++) await world.pay(topup, cards.insufficientFunds)
  for (let i = 0; i < 2; i++) {
    assert.equal((await ana.leaves(topup)).status, 'awaiting_payment')
    await world.pay(topup, cards.confirms, 'fail')
  }
  assert.equal((await ana.leaves(topup)).status, 'refused')
  await isRefused(ana, 'card_limit_reached', 429)
})

test('a card that four customers try is nobody’s', async () => {
  strict({ customersPerCardPerDayMax: 3 })
  for (let i = 0; i < 4; i++) {
    const ana = await world.customer()
    const topup = await ana.startsTopup()
    await world.pay(topup, cards.declined)
    await ana.leaves(topup)
    if (i === 3) await isRefused(ana, 'card_limit_reached', 429)
    else await ana.startsTopup()
  }
})

test('whoever pays is no suspect: three cards of his own, each of them taken, and the next top-up opens', async () => {
  strict({ ...CARD_LIMITS, sessionsPerHourMax: 10 })
  const ana = await world.customer()
  for (const card of [cards.confirms, cards.frictionless, '4000008400000027', cards.confirms]) {
    const topup = await ana.startsTopup()
    await world.pay(topup, card)
    assert.equal((await ana.comesBack(topup)).status, 'credited')
  }
  await ana.startsTopup()
})

test('too many declines of all attempts pause cards for everybody; what is under way is credited; they open by themselves', async () => {
  strict({ breakerAttemptsMin: 10, breakerDeclinesPercentMax: 40 })
  const bob = await world.customer()
  const underWay = await bob.startsTopup()
  await world.pay(underWay, cards.confirms)
  for (let i = 0; i < 10; i++) {
    const ana = await world.customer()
    const topup = await ana.startsTopup()
    await world.pay(topup, i < 5 ? cards.confirms : cards.declined)
    await ana.leaves(topup)
    if (i < 9) assert.equal((await staffSees()).state, 'open', `after ${i + 1}`)
  }
  const paused = await staffSees()
  assert.equal(paused.state, 'paused')
  assert.deepEqual([paused.pauses[0]!.attempts, paused.pauses[0]!.declines, paused.pauses[0]!.begun_by], [10, 5, null])
  assert.match(world.alarms.splice(0).join(), /paused for everybody/)

  const { opens_at } = await isRefused(bob, 'cards_paused', 503)
  assert.equal(opens_at, paused.opens_at)
  assert.equal((await bob.comesBack(underWay)).status, 'credited')
  await world.houseTimePasses(1_800)
  await bob.startsTopup()
  assert.equal((await staffSees()).state, 'open')
})

test('staff open cards again, and pause them; what was declined before does not pause them a second time', async () => {
  strict({ breakerAttemptsMin: 4, breakerDeclinesPercentMax: 40 })
  const ana = await world.customer()
  const topup = await ana.startsTopup()
  for (let i = 0; i < 4; i++) await world.pay(topup, cards.declined)
  await ana.leaves(topup)
  await isRefused(ana, 'cards_paused', 503)
  assert.equal((await ana.call<StaffCards>('/staff/cards', { paused: false })).body.state, 'open')
  await ana.startsTopup()
  await world.pay(topup, cards.declined)
  await ana.leaves(topup)
  assert.equal((await staffSees()).state, 'open')
  assert.equal(world.alarms.splice(0).length, 1)

  for (let twice = 0; twice < 2; twice++) await ana.call('/staff/cards', { paused: true })
  await isRefused(ana, 'cards_paused', 503)
  for (let twice = 0; twice < 2; twice++) await ana.call('/staff/cards', { paused: false })
  await ana.startsTopup()
})

async function staffSees(): Promise<StaffCards> {
  return (await (await world.customer()).call<StaffCards>('/staff/cards')).body
}

test('a list of a thousand cards, tried by as many customers as it takes, gets ten authorisations at most', async () => {
  const room = world.room(world.stripe, { cardLimits: CARD_LIMITS })
  world.serve(room)
  const asked = async () => ((await world.control('/stripe/books'))['totals'] as { charges: number }).charges
  const before = await asked()
  const list = thousandCards()
  for (let customers = 0; customers < 20; customers++) {
    const bot = await world.customer()
    for (;;) {
      const { status, body } = await bot.call(
        '/topups',
        { method: 'card', amount: '5.00' },
        { 'x-address': '203.0.113.9' },
      )
      if (status !== 201) break
      for (let outcome = 'declined'; outcome === 'declined'; ) {
        outcome = await world.pay(body, list.pop()!)
        // The bank's word has reached us by then: a robot, too, needs a moment for the next card.
        await room.settle(readId('top', body.id)!)
      }
    }
  }
  const tried = (await asked()) - before
  assert.ok(tried > 0 && tried <= 10, `${tried} cards were tried`)
  assert.match(world.alarms.splice(0).join(), /paused for everybody/)
})

/** Numbers with right check digits, that no bank knows. */
function thousandCards(): string[] {
  const found: string[] = []
  for (let number = 4_539_000_000_000_000n; found.length < 1_000; number += 7n)
    if (looksLikeCard(String(number))) found.push(String(number))
  return found
}

/** S14. Whatever the bank says, the customer hears the same: who holds a stolen card learns nothing of it. */
test('a decline is told coarsely: the same words, the same fields, whether the card is empty, lost, stolen or suspected', async () => {
  strict({})
  const told = new Map<string, string[]>()
  const inner = /lost|stolen|fraud|pick.?up|risk|insufficient|velocity|generic|do.not.honor|expired|cvc|code is/i
  for (const [says, card] of [
    ['generic_decline', cards.declined],
    ['insufficient_funds', cards.insufficientFunds],
    ['lost_card', '4000000000009987'],
    ['stolen_card', '4000000000009979'],
    ['card_velocity_exceeded', '4000000000006975'],
    ['expired_card', '4000000000000069'],
    ['incorrect_cvc', '4000000000000127'],
    ['fraudulent, blocked by Radar', '4100000000000019'],
    ['fraudulent, highest risk', '4000000000004954'],
    ['processing_error', cards.processingError],
  ] as const) {
    const ana = await world.customer()
    const topup = await ana.startsTopup()
    assert.equal(await world.pay(topup, card), 'declined')
    const left = await ana.leaves(topup)
    const words = JSON.stringify(sameForAll(left))
    assert.doesNotMatch(words, inner, says)
    const page = outcomeOf(left, { now: 0, available: '0.00', takesCrypto: false, timeOf: String })
    assert.doesNotMatch(JSON.stringify(page), inner, says)
    const key = `${left.reason}: ${page.says}`
    told.set(key, [...(told.get(key) ?? []), says])
  }
  assert.deepEqual(
    [...told].map(([words, codes]) => `${words.split(':')[0]} ← ${codes.length}`),
    ['declined ← 9', 'bank_unavailable ← 1'],
  )
})

/** Of a top-up, what is neither its own id, nor a time, nor where its page is. */
function sameForAll(topup: CardTopup): object {
  const { id: _, checkout_url: __, created_at: ___, expires_at: ____, card: _____, ...rest } = topup
  return { ...rest, trace: topup.trace.map(({ step, state }) => `${step} ${state}`) }
}

test('the books agree: what was refused, closed or paused cost nobody anything', async () => {
  const { rows } = await world.db.database.pool.query<{ credited: number }>(
    `select count(*)::int as credited from topups where status = 'credited'`,
  )
  const [{ credited }] = rows as [{ credited: number }]
  const { totals } = await world.bankBooks()
  assert.equal(totals.captured_charges, credited)
  assert.equal(totals.capturable, 0, 'nothing stays reserved')
  assert.deepEqual(world.alarms, [])
})
