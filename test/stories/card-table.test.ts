/**
 * R2, row by row: every official test number of Stripe's and what this house makes of it (3-D Secure asked for, strict gate). Each row
 * says what the customer's credits, his page, the bank's books and ours show afterwards.
 */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { CardTopup, TopupReason } from '../../contract/contract.ts'
import { outcomeOf } from '../../web/topup/outcome.ts'
import { type CardWorld, sessionOf, startCardWorld } from '../card-world.ts'
import { until } from '../until.ts'

let world: CardWorld
before(async () => {
  world = await startCardWorld()
  await world.webhooks('off')
})
after(() => world?.stop())

const says = {
  credited: '$10.00 added. You have $10.00 to spend.',
  notVerified:
    'Your bank did not verify this card with 3-D Secure, so we took no money. Your bank may show $10.00 as pending for a few days; it disappears by itself.',
  checkFailed:
    'Your bank’s check did not answer. No money was taken. Your bank may show $10.00 as pending for a few days; it disappears by itself.',
  tryLater: 'Your bank’s check did not answer. No money was taken.',
  unconfirmed: 'You did not finish the confirmation. No money was taken.',
}
const declined = /^Your bank declined .* No money was taken\.$/

/** What is left of a row: what the customer has, what he reads, what the bank did. */
type Expected = {
  status: CardTopup['status']
  reason: TopupReason | null
  text: string | RegExp
  /** What the bank holds or has: the payment's own state there, and the cents that were taken. */
  bank: [status: string, taken: number]
}
const credited: Expected = { status: 'credited', reason: null, text: says.credited, bank: ['succeeded', 1_000] }
const letGo = (reason: TopupReason, text = says.notVerified): Expected => ({
  status: 'refused',
  reason,
  text,
  bank: ['canceled', 0],
})
const failed = (reason: TopupReason, text: string | RegExp): Expected => ({
  status: 'awaiting_payment',
  reason,
  text,
  bank: ['requires_payment_method', 0],
})
const bankRefuses = failed('declined', declined)

/** Who reads the row's words finds them in the table of test cards. */
const rows: [number: string, behaviour: string, press: 'complete' | 'fail' | 'close' | undefined, Expected][] = [
  ['4000000000003220', '3DS required, OK (IE)', 'complete', credited],
  ['4000000000003220', '3DS required; the customer fails it', 'fail', failed('verification_failed', says.unconfirmed)],
  ['4000008400000027', '3DS required, OK (US)', 'complete', credited],
  ['4000002760003184', 'always authenticate', 'complete', credited],
  ['4000002500003155', 'always for on-session', 'complete', credited],
  ['4000003800000446', 'on-session authenticates', 'complete', credited],
  ['4000000000003055', 'supported, not required: asked for, so a challenge', 'complete', credited],
  ['4000000032200000', 'frictionless, OK: no page', undefined, credited],
  ['4000582600000094', 'out-of-band, ordinary in a browser', 'complete', credited],
  ['4000582600000045', 'one-time code, ordinary in a browser', 'complete', credited],
  ['4000582600000102', 'single-select, ordinary in a browser', 'complete', credited],
  ['4000582600000110', 'multi-select, ordinary in a browser', 'complete', credited],
  ['4000008400001629', 'declined after authentication', 'complete', bankRefuses],
  ['4000008260003178', 'insufficient funds after authentication', 'complete', bankRefuses],
  ['4000008400001280', 'required, lookup error: declined without a challenge', undefined, bankRefuses],
  ['4000000000003097', 'supported, attempt errors', undefined, letGo('bank_unavailable', says.checkFailed)],
  ['4242424242424242', 'supported, not enrolled: no prompt', undefined, letGo('bank_does_not_verify')],
  ['378282246310005', '3DS not supported', undefined, letGo('card_without_3ds')],
  ['5555555555554444', 'any other test card', undefined, letGo('bank_does_not_verify')],
  ['2223003122003222', 'any other test card', undefined, letGo('bank_does_not_verify')],
  ['6011111111111117', 'any other test card', undefined, letGo('bank_does_not_verify')],
  ['3056930009020004', 'any other test card', undefined, letGo('bank_does_not_verify')],
  ['3566002020360505', 'any other test card', undefined, letGo('bank_does_not_verify')],
  ['6200000000000005', 'any other test card', undefined, letGo('bank_does_not_verify')],
  ['4000056655665556', 'any other test card, debit', undefined, letGo('bank_does_not_verify')],
  ['5105105105105100', 'any other test card, prepaid', undefined, letGo('bank_does_not_verify')],
  ['4000000000000002', 'declined: generic', undefined, bankRefuses],
  ['4000000000009995', 'declined: insufficient funds', undefined, bankRefuses],
  ['4000000000009987', 'declined: lost', undefined, bankRefuses],
  ['4000000000009979', 'declined: stolen', undefined, bankRefuses],
  ['4000000000000069', 'declined: expired', undefined, bankRefuses],
  ['4000000000000127', 'declined: CVC', undefined, bankRefuses],
  ['4000000000000119', 'declined: processing error', undefined, failed('bank_unavailable', says.tryLater)],
  ['4000000000006975', 'declined: velocity', undefined, bankRefuses],
  ['4000000000000341', 'declines after attach', undefined, bankRefuses],
  ['4100000000000019', 'Radar: always blocked', undefined, bankRefuses],
  ['4000000000004954', 'Radar: highest risk', undefined, bankRefuses],
  ['4000000000009235', 'Radar: elevated', undefined, letGo('bank_does_not_verify')],
  ['4000008405600003', 'Radar: adaptive 3DS', undefined, letGo('bank_does_not_verify')],
  ['4000000000000101', 'CVC check fails', undefined, letGo('bank_does_not_verify')],
  ['4000000000000036', 'postcode fails', undefined, letGo('bank_does_not_verify')],
  ['4000000000000077', 'balance at once', undefined, letGo('bank_does_not_verify')],
  ['4000003720000278', 'balance at once (IE)', undefined, letGo('bank_does_not_verify')],
  ['4000000000001208', 'captcha', 'complete', letGo('bank_does_not_verify')],
  ['4000000000003725', 'captcha', 'complete', letGo('bank_does_not_verify')],
  ['4000000000000259', 'disputed later: fraudulent', undefined, letGo('bank_does_not_verify')],
  ['4000000000002685', 'disputed later: product not received', undefined, letGo('bank_does_not_verify')],
  ['4000000000001976', 'inquiry later', undefined, letGo('bank_does_not_verify')],
  ['4000000000005423', 'early fraud warning later', undefined, letGo('bank_does_not_verify')],
  ['4000000404000079', 'several disputes later', undefined, letGo('bank_does_not_verify')],
  ['4000000404000038', 'Visa CE 3.0', undefined, letGo('bank_does_not_verify')],
  ['4000000404004816', 'prevention: RDR', undefined, letGo('bank_does_not_verify')],
  ['4000000404005649', 'prevention: CE3 block', undefined, letGo('bank_does_not_verify')],
  ['5105000300000018', 'prevention: Ethoca', undefined, letGo('bank_does_not_verify')],
  ['4000000000007726', 'refund pending later', undefined, letGo('bank_does_not_verify')],
  ['4000000000005126', 'refund fails later', undefined, letGo('bank_does_not_verify')],
]

let taken = 0
for (const [number, behaviour, press, expected] of rows) {
  test(`${number} ${behaviour}: ${expected.reason ?? expected.status}`, async () => {
    const ana = await world.customer()
    const topup = await ana.startsTopup('10.00')
    await world.pay(topup, number, press)
    const back = await (expected.status === 'awaiting_payment' ? ana.leaves(topup) : ana.comesBack(topup))
    taken += expected.bank[1]

    assert.deepEqual([back.status, back.reason], [expected.status, expected.reason])
    assert.equal(await ana.has(), `${expected.bank[1] > 0 ? '10.00' : '0.00'}, on its way 0.00`)
    const page = outcomeOf(back, {
      now: 0,
      available: expected.bank[1] > 0 ? '10.00' : '0.00',
      takesCrypto: false,
      timeOf: String,
    })
    if (typeof expected.text === 'string') assert.equal(page.says, expected.text)
    else assert.match(page.says, expected.text)
    // A decline is never called a want of 3-D Secure, nor the other way round.
    assert.equal(/3-D Secure/.test(page.says), expected.text === says.notVerified)
    const there = await world.stripe.readSession(sessionOf(topup))
    assert.ok(there.ok)
    const intent = there.value.payment_intent as { status: string; amount_received: number; amount_capturable: number }
    assert.deepEqual([intent.status, intent.amount_received, intent.amount_capturable], [...expected.bank, 0])
  })
}

test('4242424242424241 bad number: the payment page does not take it, and nothing happened', async () => {
  const ana = await world.customer()
  const topup = await ana.startsTopup('10.00')
  await assert.rejects(world.pay(topup, '4242424242424241'), /check digit/)
  const left = await ana.leaves(topup)
  assert.deepEqual([left.status, left.reason, left.trace[1]!.state], ['awaiting_payment', null, 'waiting'])
})

test('after all of them the bank’s books and ours agree, and the audit finds nothing', async () => {
  await world.booksAgree({ taken: `${taken / 100}.00`, payments: taken / 1_000 })
  await world.auditFindsNothing()
  assert.deepEqual(world.alarms, [])
})

/** Where the owner takes attempts too, these cards are paid with, and what they are made for happens. */
const later: [number: string, behaviour: string, expected: string][] = [
  ['4000000000000259', 'fraudulent', '0.00 to spend; dispute open, frozen 10.00'],
  ['4000000000002685', 'product not received', '0.00 to spend; dispute open, frozen 10.00'],
  ['4000000000001976', 'inquiry', '0.00 to spend; inquiry open, frozen 10.00'],
  ['4000000000005423', 'early fraud warning', '0.00 to spend; warning open, frozen 10.00'],
  ['4000000404000079', 'several disputes', '0.00 to spend; dispute open, frozen 5.00; dispute open, frozen 5.00'],
  ['4000000404000038', 'Visa CE 3.0', '0.00 to spend; dispute open, frozen 10.00'],
  ['4000000404004816', 'prevention: RDR, the money went back', '0.00 to spend; dispute closed, frozen 0.00'],
  ['4000000404005649', 'prevention: CE3 block, no money moved', '10.00 to spend; dispute closed, frozen 0.00'],
  ['5105000300000018', 'prevention: Ethoca, the money went back', '0.00 to spend; dispute closed, frozen 0.00'],
]

test('the cards that are disputed later, where the owner takes attempts: frozen, gone or kept, as the bank says', async () => {
  world.serve(world.room(world.stripe, { acceptAttempted: true }))
  await world.webhooks('on')
  const paid = []
  for (const [number, behaviour, expected] of later) {
    const ana = await world.customer()
    const topup = await ana.startsTopup('10.00')
    await world.pay(topup, number)
    assert.equal((await ana.comesBack(topup)).status, 'credited', behaviour)
    paid.push({ ana, topup, behaviour, expected })
  }
  for (const { ana, topup, behaviour, expected } of paid) {
    let told = ''
    await until(async () => {
      const { disputes } = await ana.looksAt(topup)
      const [available] = (await ana.has()).split(',')
      told = [
        `${available} to spend`,
        ...disputes.map(({ kind, status, frozen }) => `${kind} ${status}, frozen ${frozen}`),
      ].join('; ')
      return told === expected
    }).catch(() => assert.equal(told, expected, behaviour))
  }
  await world.auditFindsNothing()
})
