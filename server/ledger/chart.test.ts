/** The numbers of the chart stand in rows that are never changed: written down here once more, so that none gets a second meaning. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { causeOf, causes, platformAccountOf, platformAccounts } from './chart.ts'

test('the number of a platform account, or of a cause, is never another one', () => {
  assert.deepEqual(platformAccounts, {
    card_clearing: 1,
    crypto_clearing: 2,
    revenue: 3,
    refunds: 4,
    disputes: 5,
    goodwill: 6,
    bank: 7,
    card_fees: 8,
    supplier_costs: 9,
    rounding: 10,
  })
  assert.deepEqual(causes, {
    order: 1,
    topup_refund: 2,
    dispute: 3,
    order_cancelled: 20,
    order_expired: 21,
    hold_overdue: 22,
    topup_card: 30,
    topup_crypto: 31,
    order_refund: 40,
    gift: 41,
    adjustment: 42,
    reversal: 43,
    payout: 60,
    fee: 61,
    supplier_cost: 62,
    conversion_residue: 63,
  })
})

test('a cause, or a platform account, is read back from its number; a number without a meaning is a bug', () => {
  for (const [word, number] of Object.entries(causes)) assert.equal(causeOf(number), word)
  assert.throws(() => causeOf(4), /no cause 4/)
  for (const [word, number] of Object.entries(platformAccounts)) assert.equal(platformAccountOf(number), word)
  assert.throws(() => platformAccountOf(11), /no platform account 11/)
})
