import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type CardTopup, type TopupReason, topupReasons } from '../../contract/contract.ts'
import { outcomeOf } from './outcome.ts'

const answeredAt = '2026-11-22T14:02:09Z'
const context = {
  now: Date.parse('2026-11-22T14:02:11Z'),
  available: '10.00',
  takesCrypto: false,
  timeOf: () => '14:02:09',
}

function topup(change: Partial<CardTopup>): CardTopup {
  return {
    id: 'top_1',
    method: 'card',
    status: 'awaiting_payment',
    amount: '10.00',
    checkout_url: null,
    created_at: '2026-11-22T14:00:00Z',
    expires_at: '2026-11-22T14:31:00Z',
    credited_at: null,
    reason: null,
    bank_may_show_pending: false,
    card: null,
    trace: [{ step: 'bank_answered', state: 'done', at: answeredAt }],
    labels: [],
    returned: '0.00',
    returnable: '0.00',
    disputed: '0.00',
    refunds: [],
    disputes: [],
    receipt: false,
    ...change,
  }
}

const refused = (reason: TopupReason | null, bank_may_show_pending = false) =>
  outcomeOf(topup({ status: reason === 'expired' ? 'expired' : 'refused', reason, bank_may_show_pending }), context)

test('credited: what was added, and what can be spent', () => {
  const outcome = outcomeOf(topup({ status: 'credited' }), context)
  assert.equal(outcome.says, '$10.00 added. You have $10.00 to spend.')
  assert.equal(outcome.next, 'order_number')
})

test('settling: the bank’s yes, and after ten seconds that it takes too long', () => {
  const confirming = topup({ status: 'confirming' })
  assert.equal(outcomeOf(confirming, context).says, 'Your bank said yes at 14:02:09. Adding your credits.')
  assert.equal(
    outcomeOf(confirming, { ...context, now: Date.parse(answeredAt) + 10_001 }).says,
    'Your bank said yes at 14:02:09. Adding your credits. This takes longer than it should. You need not do anything; we check every minute.',
  )
})

test('a payment that was left open can be gone on with; without its page it starts again', () => {
  assert.equal(outcomeOf(topup({ checkout_url: 'http://127.0.0.1/c' }), context).next, 'go_on_paying')
  assert.equal(outcomeOf(topup({}), context).next, 'start_again')
})

test('a card was declined and its payment page is still open: go on there, or pay with crypto', () => {
  const open = topup({ reason: 'declined', checkout_url: 'http://127.0.0.1/c' })
  const outcome = outcomeOf(open, { ...context, takesCrypto: true })
  assert.deepEqual([outcome.next, outcome.crypto], ['go_on_paying', 'second'])
  assert.equal(outcomeOf(open, context).crypto, null)
  assert.equal(outcomeOf(topup({}), { ...context, takesCrypto: true }).crypto, undefined, 'nothing was tried yet')
})

test('no 3-D Secure: one text for the three reasons, with the pending sentence only where the bank may show it', () => {
  for (const reason of ['bank_does_not_verify', 'not_verified', 'card_without_3ds'] as const) {
    const sentence = 'Your bank did not verify this card with 3-D Secure, so we took no money.'
    assert.equal(refused(reason).says, sentence)
    assert.equal(
      refused(reason, true).says,
      `${sentence} Your bank may show $10.00 as pending for a few days; it disappears by itself.`,
    )
    assert.equal(refused(reason).next, 'another_card')
  }
})

test('failed or closed, declined, unreachable, wallet, expired: each says its own', () => {
  assert.equal(refused('verification_failed').says, 'You did not finish the confirmation. No money was taken.')
  assert.equal(refused('abandoned').says, refused('verification_failed').says)
  assert.match(refused('declined').says, /^Your bank declined the payment\./)
  assert.match(refused('bank_unavailable').says, /check did not answer/)
  assert.match(
    refused('wallet_without_3ds').says,
    /^Wallet payments skip the confirmation; type the card number instead\./,
  )
  assert.equal(refused('expired').says, 'You left before paying. Nothing happened.')
  assert.equal(refused('expired').next, 'start_again')
})

test('a payment that the bank let go before it was taken is not told as one that was left', () => {
  const outcome = outcomeOf(topup({ status: 'refused', reason: 'expired', bank_may_show_pending: true }), context)
  assert.match(
    outcome.says,
    /^Your bank had said yes and let the payment go before we took it\. No money was taken\. Your bank may/,
  )
  assert.equal(outcome.next, 'start_again')
})

test('every reason says where the money is and offers what to do', () => {
  for (const reason of [...topupReasons, null]) {
    const { says, next } = refused(reason)
    assert.match(says, /took no money|No money was taken|Nothing happened/)
    assert.notEqual(next, 'none')
  }
})

test('a card that does not do leads to crypto, where some coin is taken; a wallet and a page that was left do not', () => {
  const withCrypto = (reason: TopupReason) =>
    outcomeOf(topup({ status: reason === 'expired' ? 'expired' : 'refused', reason }), {
      ...context,
      takesCrypto: true,
    })
  assert.equal(
    withCrypto('card_without_3ds').hint,
    'Try a card that asks you to confirm in your banking app, or pay $10.00 with crypto.',
  )
  const offered = topupReasons.map((reason) => [reason, withCrypto(reason).crypto ?? null])
  assert.deepEqual(Object.fromEntries(offered), {
    bank_does_not_verify: 'first',
    not_verified: 'first',
    card_without_3ds: 'first',
    verification_failed: 'second',
    abandoned: 'second',
    declined: 'second',
    bank_unavailable: 'second',
    wallet_without_3ds: null,
    expired: null,
  })
  for (const reason of topupReasons) assert.equal(refused(reason).crypto ?? null, null)
})
