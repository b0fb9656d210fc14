/**
 * R2. Cards must be 3-D Secure *authenticated*. Any other outcome takes no money and says why; where an authorisation was made, the
 * page says that the bank may show it as pending for a few days.
 */
import assert from 'node:assert/strict'
import { after, before, beforeEach, test } from 'node:test'
import { type CardWorld, cards, sessionOf, startCardWorld } from '../card-world.ts'

let world: CardWorld
before(async () => {
  world = await startCardWorld()
  await world.webhooks('off')
})
after(() => world?.stop())

let taken = 0
beforeEach(() => assert.deepEqual(world.alarms, []))

async function expectBooks(): Promise<void> {
  await world.booksAgree({ taken: `${taken * 10}.00`, payments: taken })
}

for (const [card, flow] of [
  [cards.confirms, 'challenge'],
  [cards.frictionless, 'frictionless'],
] as const) {
  test(`a card that the bank authenticated is taken and credited (${flow})`, async () => {
    const ana = await world.customer()
    const topup = await ana.startsTopup('10.00')
    assert.equal(await world.pay(topup, card, 'complete'), 'authorized')
    taken++

    const back = await ana.comesBack(topup)
    assert.equal(back.status, 'credited')
    assert.equal(back.reason, null)
    assert.equal(back.checkout_url, null)
    assert.equal(back.bank_may_show_pending, false)
    assert.deepEqual(back.card, { brand: 'visa', last4: card.slice(-4) })
    assert.ok(back.credited_at)
    assert.deepEqual(
      back.trace.map(({ step, state }) => `${step} ${state}`),
      ['started done', 'bank_asked done', 'bank_answered done', 'taken done', 'credited done'],
    )
    const times = back.trace.map(({ at }) => at!)
    assert.deepEqual(times, [...times].sort())
    assert.equal(await ana.has(), '10.00, on its way 0.00')
    await expectBooks()

    // What a dispute will ask for.
    const { three_d_secure, charge_id } = await world.row(topup)
    const evidence = three_d_secure as Record<string, unknown>
    assert.equal(evidence['result'], 'authenticated')
    assert.equal(evidence['authentication_flow'], flow)
    assert.ok(evidence['transaction_id'])
    assert.ok(evidence['version'])
    assert.match(charge_id as string, /^ch_/)
  })
}

for (const [name, card, reason] of [
  ['is not enrolled', cards.notEnrolled, 'bank_does_not_verify'],
  ['cannot do 3-D Secure', cards.without3ds, 'card_without_3ds'],
  ['belongs to a bank whose check did not answer', cards.attemptErrs, 'bank_unavailable'],
] as const) {
  test(`a card that ${name} is authorised by the bank and let go by us`, async () => {
    const ana = await world.customer()
    const topup = await ana.startsTopup('10.00')
    assert.equal(await world.pay(topup, card), 'authorized')

    const back = await ana.comesBack(topup)
    assert.equal(back.status, 'refused')
    assert.equal(back.reason, reason)
    assert.equal(back.bank_may_show_pending, true)
    assert.equal(back.checkout_url, null)
    assert.equal(back.card!.last4, card.slice(-4))
    assert.deepEqual(
      back.trace.map(({ step, state }) => `${step} ${state}`),
      card === cards.without3ds
        ? [
            'started done',
            'bank_asked cannot_happen',
            'bank_answered cannot_happen',
            'taken cannot_happen',
            'credited cannot_happen',
          ]
        : ['started done', 'bank_asked done', 'bank_answered done', 'taken cannot_happen', 'credited cannot_happen'],
    )
    assert.equal(await ana.has(), '0.00, on its way 0.00')
    // Nothing taken, and nothing reserved any more.
    await expectBooks()
    assert.equal((await world.row(topup))['release_due'], false)
    assert.equal((await world.row(topup))['next_look_at'], null)
    // Coming back again changes nothing.
    assert.deepEqual(await ana.comesBack(topup), back)
  })
}

for (const [name, card, challenge, reason] of [
  ['its bank declines', cards.declined, undefined, 'declined'],
  ['has too little on it', cards.insufficientFunds, undefined, 'declined'],
  ['its bank declines after the confirmation', cards.declinedAfterwards, 'complete', 'declined'],
  ['could not be processed', cards.processingError, undefined, 'bank_unavailable'],
  ['was not confirmed', cards.confirms, 'fail', 'verification_failed'],
  ['was left at its confirmation', cards.confirms, 'close', 'abandoned'],
] as const) {
  test(`a card that ${name} costs nothing; the same page takes another one`, async () => {
    const ana = await world.customer()
    const topup = await ana.startsTopup('10.00')
    await world.pay(topup, card, challenge)

    const left = await ana.leaves(topup)
    assert.equal(left.status, 'awaiting_payment')
    assert.equal(left.reason, reason)
    assert.equal(left.bank_may_show_pending, false)
    assert.equal(left.checkout_url, topup.checkout_url)
    assert.equal(left.trace[1]!.state, 'done')
    assert.equal(await ana.has(), '0.00, on its way 0.00')
    await expectBooks()

    assert.equal(await world.pay(topup, cards.confirms, 'complete'), 'authorized')
    taken++
    const back = await ana.comesBack(topup)
    assert.equal(back.status, 'credited')
    assert.equal(back.reason, null)
    await expectBooks()
  })

  test(`a card that ${name}, and nothing after it: refused when its time is over`, async () => {
    const ana = await world.customer()
    const topup = await ana.startsTopup('10.00')
    await world.pay(topup, card, challenge)
    await world.houseTimePasses(45 * 60)
    await world.payments.sweep()

    const over = await ana.looksAt(topup)
    assert.equal(over.status, 'refused')
    assert.equal(over.reason, reason)
    assert.equal(over.checkout_url, null)
    assert.equal(over.bank_may_show_pending, false)
    assert.deepEqual(
      over.trace.slice(3).map(({ state }) => state),
      ['cannot_happen', 'cannot_happen'],
    )
    assert.equal(await world.pay(topup, cards.confirms, 'complete'), 'expired')
    await expectBooks()
  })
}

test('who leaves before paying finds the page open, and after 45 minutes closed: expired, without a reason', async () => {
  const ana = await world.customer()
  const topup = await ana.startsTopup('10.00')
  assert.deepEqual(await ana.leaves(topup), topup)
  await world.houseTimePasses(45 * 60 - 60)
  await world.payments.sweep()
  assert.equal((await ana.looksAt(topup)).status, 'awaiting_payment')
  await world.houseTimePasses(60)
  await world.payments.sweep()
  const over = await ana.looksAt(topup)
  assert.equal(over.status, 'expired')
  assert.equal(over.reason, null)
  assert.equal(over.checkout_url, null)
  assert.equal(over.trace[1]!.state, 'cannot_happen')
  assert.equal(await world.pay(topup, cards.confirms, 'complete'), 'expired')
  await expectBooks()
})

test('who pays in the last moment is credited, not expired', async () => {
  const ana = await world.customer()
  const topup = await ana.startsTopup('10.00')
  await world.pay(topup, cards.confirms, 'complete')
  taken++
  await world.houseTimePasses(3 * 86_400)
  await world.payments.sweep()
  assert.equal((await ana.looksAt(topup)).status, 'credited')
  await expectBooks()
})

test('an expired top-up that was paid after all is credited', async () => {
  const ana = await world.customer()
  const topup = await ana.startsTopup('10.00')
  await world.db.database.pool.query(
    `update topups set status = 'expired', ended_at = house_now(), next_look_at = null where session_id = $1`,
    [sessionOf(topup)],
  )
  await world.pay(topup, cards.confirms, 'complete')
  taken++
  assert.equal((await ana.comesBack(topup)).status, 'credited')
  await expectBooks()
})

test('when letting go fails, the refusal stands, and the sweeper lets go later', async () => {
  const ana = await world.customer()
  const topup = await ana.startsTopup('10.00')
  await world.pay(topup, cards.notEnrolled)
  const unwilling = world.room({
    ...world.stripe,
    cancel: async () => ({ ok: false, why: 'unknown', code: 'test', message: 'no answer' }),
  })
  world.serve(unwilling)
  const back = await ana.comesBack(topup)
  world.serve(world.payments)
  assert.equal(back.status, 'refused')
  assert.equal(back.bank_may_show_pending, true)
  await world.booksAgree({ taken: `${taken * 10}.00`, payments: taken, reserved: '10.00' })
  assert.equal((await world.row(topup))['release_due'], true)
  await world.aMinuteLater()
  await world.payments.sweep()
  await expectBooks()
  assert.equal((await ana.looksAt(topup)).reason, 'bank_does_not_verify')
})

test('a decision to let go stands when the owner changes his mind, and so does a decision to take', async () => {
  const ana = await world.customer()
  const noAnswer = async () => ({ ok: false, why: 'unknown', code: 'test', message: 'no answer' }) as const
  const strict = world.room({ ...world.stripe, cancel: noAnswer })
  const lenient = world.room({ ...world.stripe, capture: noAnswer }, { acceptAttempted: true })

  const letGo = await ana.startsTopup('10.00')
  await world.pay(letGo, cards.notEnrolled)
  world.serve(strict)
  assert.equal((await ana.comesBack(letGo)).status, 'refused')

  const take = await ana.startsTopup('10.00')
  await world.pay(take, cards.notEnrolled)
  world.serve(lenient)
  assert.equal((await ana.comesBack(take)).status, 'confirming')
  assert.equal(await ana.has(), '0.00, on its way 10.00')

  await world.aMinuteLater()
  await world.room(world.stripe, { acceptAttempted: true }).sweep()
  await world.aMinuteLater()
  world.serve(world.payments)
  await world.payments.sweep()
  taken++
  assert.equal((await ana.looksAt(letGo)).status, 'refused')
  assert.equal((await ana.looksAt(take)).status, 'credited')
  await expectBooks()
})

test('what was authorised is not what was asked for: let go, not verified, and somebody is called', async () => {
  const ana = await world.customer()
  for (const [name, differing] of [
    ['amount', { amount: 500 }],
    ['currency', { currency: 'eur' }],
    ['metadata', { metadata: { topup_id: 'top_00000000000000000000000000000000' } }],
    ['metadata', { metadata: {} }],
    ['livemode', { livemode: true }],
  ] as const) {
    const topup = await ana.startsTopup('10.00')
    await world.pay(topup, cards.confirms, 'complete')
    const lying = world.room({
      ...world.stripe,
      async readSession(id) {
        const answer = await world.stripe.readSession(id)
        if (answer.ok) Object.assign(answer.value.payment_intent as object, differing)
        return answer
      },
    })
    world.serve(lying)
    const back = await ana.comesBack(topup)
    world.serve(world.payments)
    assert.equal(back.status, 'refused', name)
    assert.equal(back.reason, 'not_verified', name)
    assert.equal(back.bank_may_show_pending, true, name)
    assert.equal(world.alarms.splice(0).length, 1, name)
  }
  await expectBooks()
})

test('what was taken is not what was asked for: nothing is credited, and somebody is called', async () => {
  const ana = await world.customer()
  const topup = await ana.startsTopup('10.00')
  await world.pay(topup, cards.confirms, 'complete')
  const lying = world.room({
    ...world.stripe,
    async capture(topupId, intentId) {
      const answer = await world.stripe.capture(topupId, intentId)
      if (answer.ok) answer.value.amount_received = 999
      return answer
    },
  })
  world.serve(lying)
  assert.equal((await ana.comesBack(topup)).status, 'confirming')
  world.serve(world.payments)
  assert.equal(world.alarms.splice(0).length, 1)
  assert.equal(await ana.has(), '0.00, on its way 10.00')
  // And the truth, when it is told, is credited.
  taken++
  assert.equal((await ana.comesBack(topup)).status, 'credited')
  await expectBooks()
})

test('a payment that another hand took at the card company is credited, and somebody is called', async () => {
  const ana = await world.customer()
  const topup = await ana.startsTopup('10.00')
  await world.pay(topup, cards.notEnrolled)
  const session = await world.stripe.readSession(sessionOf(topup))
  assert.ok(session.ok)
  const intent = session.value.payment_intent as { id: string }
  assert.ok((await world.stripe.capture('00000000-0000-0000-0000-000000000000', intent.id)).ok)
  taken++
  assert.equal((await ana.comesBack(topup)).status, 'credited')
  assert.equal(world.alarms.splice(0).length, 1)
  await expectBooks()
})

test('an authorisation that another hand let go is no credit', async () => {
  const ana = await world.customer()
  const topup = await ana.startsTopup('10.00')
  await world.pay(topup, cards.confirms, 'complete')
  const session = await world.stripe.readSession(sessionOf(topup))
  assert.ok(session.ok)
  const intent = session.value.payment_intent as { id: string }
  assert.ok((await world.stripe.cancel('00000000-0000-0000-0000-000000000000', intent.id)).ok)
  const back = await ana.comesBack(topup)
  assert.equal(back.status, 'refused')
  assert.equal(back.reason, 'expired')
  assert.equal(back.bank_may_show_pending, true)
  await expectBooks()
})
