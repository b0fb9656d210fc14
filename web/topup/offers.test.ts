import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { CryptoAsset, CryptoOffer, CryptoPayment, CryptoTopup } from '../../contract/contract.ts'
import { aboutMinutes, comingOf, feeHint, isCryptoOnItsWay, progressWords } from './offers.ts'

function offer(asset: CryptoAsset, title: string, typical_fee: string | null, offered = true): CryptoOffer {
  return {
    asset,
    title,
    network: title.toLowerCase(),
    network_title: title,
    offered,
    state: 'works',
    detail: '',
    minimum: '5.00',
    typical_fee,
    minutes_to_confirm: 30,
    confirmations: 3,
    do_not_use: [],
  }
}
const bitcoin = offer('BTC', 'Bitcoin', '1.90')
const litecoin = offer('LTC', 'Litecoin', '0.01')

test('a fee above a fifth of the amount is said, with what is cheaper', () => {
  assert.deepEqual(feeHint(bitcoin, '5.00', [bitcoin, litecoin]), {
    says: 'Sending Bitcoin costs about $1.90, more than a fifth of $5.00. Litecoin costs about $0.01.',
    instead: 'LTC',
  })
  assert.equal(feeHint(bitcoin, '9.50', [bitcoin, litecoin]), null)
  assert.equal(feeHint(offer('BTC', 'Bitcoin', null), '5.00', [litecoin]), null)
  assert.equal(feeHint(bitcoin, '5.00', [bitcoin, offer('LTC', 'Litecoin', '0.01', false)])!.instead, null)
})

function topup(states: Partial<CryptoPayment>[], status: CryptoTopup['status'] = 'confirming'): CryptoTopup {
  const payments = states.map((state) => ({ confirmations: 0, confirmations_required: 3, worth: null, ...state }))
  return { status, amount: '10.00', confirmations_required: 3, payments } as CryptoTopup
}

test('how far a payment is, in a line, and in which lists it stands', () => {
  for (const [state, confirmations, words] of [
    ['seen', 0, 'seen, 0/3 confirmations'],
    ['confirming', 1, '1/3 confirmations'],
    ['confirming', 2, '2/3 confirmations'],
    ['confirmed', 3, '3/3 confirmations, adding your credits'],
    ['unmined', 0, 'the chain took its block back, 0/3 again'],
    ['credited', 5, null],
    ['dropped', 0, null],
  ] as const) {
    const one = topup([{ state, confirmations }])
    assert.equal(progressWords(one), words)
    assert.equal(isCryptoOnItsWay(one), words !== null)
  }
  assert.ok(isCryptoOnItsWay(topup([], 'awaiting_payment')))
  assert.ok(!isCryptoOnItsWay(topup([], 'expired')))
  assert.equal(
    progressWords(topup([{ state: 'confirming', confirmations: 2 }, { state: 'seen' }])),
    'seen, 0/3 confirmations',
  )
})

test('what is on its way in dollars: as the blocks say, and before the first block as was asked for', () => {
  assert.equal(comingOf(topup([{ state: 'seen' }])), '10.00')
  assert.equal(
    comingOf(
      topup([
        { state: 'confirming', worth: '7.02' },
        { state: 'credited', worth: '3.00' },
      ]),
    ),
    '7.02',
  )
})

test('times of networks in words', () => {
  assert.deepEqual([0.6, 1.2, 30].map(aboutMinutes), ['less than a minute', 'about 1 minute', 'about 30 minutes'])
})
