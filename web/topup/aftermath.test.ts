import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type CardTopup, type TopupDispute, type TopupRefund, topupRefundReasons } from '../../contract/contract.ts'
import { disputeWords, refundSteps, whyNotReturnable } from './aftermath.ts'

const visa = { brand: 'visa', last4: '3220' }
const dayOf = (at: string) => at.slice(0, 10)

const refund = (change: Partial<TopupRefund>): TopupRefund => ({
  id: 'ref_1',
  status: 'requested',
  amount: '8.80',
  origin: 'you',
  requested_at: '2026-11-22T14:00:00Z',
  ended_at: null,
  expected_by: '2026-12-04T14:00:00Z',
  reference: null,
  reason: null,
  asset: null,
  network: null,
  address: null,
  asset_amount: null,
  transaction_id: null,
  explorer_url: null,
  confirmations: null,
  confirmations_required: null,
  note: null,
  ...change,
})
const told = (change: Partial<TopupRefund>) =>
  refundSteps(refund(change), visa, dayOf).map(({ state, text }) => `${state}: ${text}`)

test('a refund: asked for, sent, shown by the bank', () => {
  assert.deepEqual(told({}), [
    'done: You asked for $8.80 back.',
    'waiting: Sending it to Visa 3220.',
    'to_come: Your bank shows it 5 to 10 business days after it was sent.',
  ])
  assert.equal(told({ status: 'pending' })[1], 'waiting: On its way to Visa 3220.')
  assert.deepEqual(told({ status: 'succeeded', ended_at: '2026-11-22T14:00:02Z' }), [
    'done: You asked for $8.80 back.',
    'done: Sent to Visa 3220.',
    'to_come: Your bank shows it by 2026-12-04.',
  ])
})

test('money is held while it is on its way, and leaves when it is sent; a refund that failed moves nothing in the end', () => {
  const money = (change: Partial<TopupRefund>) => refundSteps(refund(change), visa, dayOf).map((step) => step.money)
  assert.deepEqual(money({}), [{ amount: '8.80', ink: { name: 'held', word: 'held' } }, null, null])
  assert.deepEqual(money({ status: 'succeeded' }), [null, { amount: '-8.80' }, null])
  assert.equal(money({ status: 'failed', reason: 'card_closed' })[0], null)
})

test('a refund that failed says why, for every reason, and where the money is', () => {
  const sentences = topupRefundReasons.map((reason) => told({ status: 'failed', reason })[1]!)
  assert.equal(new Set(sentences).size, topupRefundReasons.length)
  for (const sentence of sentences) assert.match(sentence, /^cannot: It could not be returned\. .+\.$/)
  assert.equal(told({ status: 'failed', reason: 'declined' })[2], 'done: $8.80 is in your credits again.')
})

test('whoever had it made is named', () => {
  assert.equal(told({ origin: 'us' })[0], 'done: We are returning $8.80.')
  assert.equal(told({ origin: 'card_company' })[0], 'done: $8.80 was returned by the card company.')
})

const dispute = (change: Partial<TopupDispute>): TopupDispute => ({
  id: 'dsp_1',
  kind: 'dispute',
  status: 'open',
  amount: '10.00',
  frozen: '8.80',
  owed: '1.20',
  reason: 'the cardholder did not make this payment',
  opened_at: '2026-11-22T14:00:00Z',
  ended_at: null,
  cards_blocked: true,
  ...change,
})
const says = (change: Partial<TopupDispute>) => disputeWords(dispute(change), visa, dayOf)

test('an open dispute says what happened, what is frozen, what is owed, and what may still be done', () => {
  const { says: words, todo, tone } = says({})
  assert.equal(
    words,
    'The payment of $10.00 by Visa 3220 was disputed at the bank, which took the money back until it has decided. $8.80 of its credits is frozen until that is decided. Of it, $1.20 had been spent already: that is what you owe for now, and what comes in next pays it first.',
  )
  assert.match(todo!, /^You can spend what is available/)
  assert.equal(tone, 'held')
  assert.equal(
    says({}).steps[0]!.text,
    'The payment was disputed. The bank says: the cardholder did not make this payment.',
  )
})

test('an inquiry and a warning move no money, and say so', () => {
  const none = { frozen: '0.00', owed: '0.00' }
  assert.equal(
    says({ kind: 'inquiry', ...none }).says,
    'The bank asks about the payment of $10.00 by Visa 3220. No money has moved.',
  )
  assert.equal(says({ kind: 'inquiry', ...none }).steps[0]!.money, null)
  assert.match(says({ kind: 'warning', ...none }).says, /may not have been made by the cardholder\.$/)
  // Nobody has disputed anything there.
  assert.match(
    says({ kind: 'warning', ...none }).todo!,
    /If the payment was yours, tell your bank and write to our support\.$/,
  )
})

test('won, lost, closed: each says what became of the credits', () => {
  const ended = { ended_at: '2026-12-01T10:00:00Z', frozen: '0.00', owed: '0.00' }
  assert.match(says({ status: 'won', ...ended }).says, /stands\. Its credits are yours to spend again\.$/)
  assert.match(says({ status: 'closed', ...ended }).says, /Nothing is frozen because of it any more\.$/)
  const lost = says({ status: 'lost', ...ended, owed: '1.20' })
  assert.match(lost.says, /are gone\. \$1\.20 had been spent already and is owed;/)
  assert.equal(lost.tone, 'refused')
  assert.match(lost.todo!, /Cards are not taken for this account any more; our support/)
  assert.match(says({ status: 'lost', ...ended, cards_blocked: false }).todo!, /We take your cards again\.$/)
})

test('what cannot be returned says why, and is silent where nothing is left to return', () => {
  const topup = (change: Partial<CardTopup>) =>
    ({
      status: 'credited',
      amount: '10.00',
      returned: '0.00',
      returnable: '0.00',
      disputes: [],
      ...change,
    }) as CardTopup
  assert.equal(whyNotReturnable(topup({ returnable: '1.00' })), null)
  assert.equal(whyNotReturnable(topup({ returned: '10.00' })), null)
  assert.equal(whyNotReturnable(topup({ status: 'refused' })), null)
  assert.match(whyNotReturnable(topup({}))!, /it is spent, or held\.$/)
  // What stands at the dispute says it already.
  assert.equal(whyNotReturnable(topup({ disputes: [dispute({})] })), null)
  assert.match(says({}).todo!, /nothing of this top-up can be returned/)
})
