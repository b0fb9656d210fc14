import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  type CryptoPayment,
  type CryptoTopup,
  type CryptoTransaction,
  cryptoPaymentEventWords,
  cryptoPaymentStates,
  type TopupRefund,
  topupLabels,
} from '../../contract/contract.ts'
import {
  addressLead,
  cryptoOutcome,
  cryptoRefundSteps,
  deskAddress,
  labelWords,
  onlyWords,
  partWords,
  paymentSteps,
  scannedText,
  sumBelow,
  transactionWords,
  waitingSteps,
  walletLink,
} from './crypto.ts'

const at = '2026-11-23T14:02:00Z'
const expires_at = '2026-11-23T14:15:00Z'
const held = Date.parse('2026-11-23T14:03:00Z')
const over = Date.parse('2026-11-24T14:03:00Z')
const address = 'bc1qcr8te4kr609gcawutmrza0j4xv80jy8z306fyu'

function topup(change: Partial<CryptoTopup> = {}): CryptoTopup {
  return {
    id: 'top_1',
    method: 'crypto',
    status: 'awaiting_payment',
    amount: '10.00',
    created_at: '2026-11-23T14:00:00Z',
    expires_at,
    credited_at: null,
    reason: null,
    labels: [],
    returned: '0.00',
    returnable: '0.00',
    disputed: '0.00',
    refunds: [],
    disputes: [],
    receipt: false,
    asset: 'BTC',
    network: 'Bitcoin',
    address,
    asset_amount: '0.00012345',
    asset_amount_left: null,
    uri: `bitcoin:${address}?amount=0.00012345`,
    rate: '81004.00',
    confirmations: 0,
    confirmations_required: 3,
    credited: '0.00',
    payments: [],
    ...change,
  }
}

function payment(change: Partial<CryptoPayment> = {}): CryptoPayment {
  return {
    id: 'pay_1',
    asset: 'BTC',
    network: 'Bitcoin',
    asset_amount: '0.00012345',
    transaction_id: 'ab'.repeat(32),
    state: 'seen',
    confirmations: 0,
    confirmations_required: 3,
    height: null,
    seen_at: at,
    block_at: null,
    parts: [],
    worth: null,
    credited_at: null,
    reversed_at: null,
    explorer_url: null,
    events: [{ what: 'seen', at, height: null }],
    blocks: [],
    ...change,
  }
}

const event = (what: CryptoPayment['events'][number]['what'], height: number | null = null) => ({ what, at, height })
const context = {
  now: held,
  available: '10.00',
  owed: '0.00',
  minutesEach: 10,
  timeOf: (at: string) => at.slice(11, 16),
}
const told = (change: Partial<CryptoTopup>, more: Partial<typeof context> = {}) =>
  cryptoOutcome(topup(change), { ...context, ...more })
const mined = (height: number, confirmations: number) =>
  ({ state: 'confirming', height, block_at: at, confirmations, worth: '10.00' }) as const
const added = { state: 'credited', height: 100, confirmations: 3, worth: '10.00', credited_at: at } as const

test('before anything came: what will happen, and when the rate is over, that nothing is lost', () => {
  assert.match(told({}).says, /^Waiting for your payment\. .* after 3 confirmations\. You can close this page\.$/)
  assert.equal(told({}).next, 'pay')
  const late = told({ status: 'expired' }, { now: over })
  assert.equal(
    late.says,
    'The rate ended at 14:15. If you have already sent it, do nothing: we credit what arrives, at the rate of the block that carries it.',
  )
  assert.equal(late.next, 'start_again')
  // The clock decides, not the word that was read a while ago.
  assert.equal(told({ status: 'awaiting_payment' }, { now: over }).says, late.says)
})

test('a payment on its way: how far, how long, and that nobody need wait', () => {
  assert.equal(
    told({ payments: [payment()] }).says,
    'We see your payment. 0 of 3 confirmations; about 30 minutes to go. You can close this page.',
  )
  assert.equal(
    told({ payments: [payment(mined(100, 1))] }).says,
    'We see your payment. 1 of 3 confirmations; about 20 minutes to go. You can close this page.',
  )
  assert.equal(
    told({ payments: [payment(mined(100, 2))] }, { minutesEach: 0.2 }).says,
    'We see your payment. 2 of 3 confirmations; less than a minute to go. You can close this page.',
  )
  assert.equal(
    told({ payments: [payment({ ...mined(100, 3), state: 'confirmed' })] }).says,
    '3 of 3 confirmations. Adding your credits.',
  )
  assert.match(
    told({ payments: [payment(mined(100, 2)), payment({ id: 'pay_2' })] }).says,
    /^We see 2 payments\. The last is at 0 of 3/,
  )
})

test('credited: what was added and what can be spent; less than asked for: the rest, or leave it', () => {
  const whole: Partial<CryptoTopup> = { status: 'credited', credited: '10.00', payments: [payment(added)] }
  assert.equal(told(whole).says, '$10.00 added. You have $10.00 to spend.')
  assert.equal(told(whole).next, 'order_number')
  const part: Partial<CryptoTopup> = {
    status: 'partially_credited',
    credited: '7.02',
    asset_amount_left: '0.00003',
    payments: [payment({ ...added, worth: '7.02' })],
  }
  assert.equal(
    told(part).says,
    '$7.02 of $10.00 arrived and was credited. Send the rest to the same address before 14:15, or leave it.',
  )
  assert.equal(told(part).next, 'pay')
  assert.match(told({ ...part, asset_amount_left: null }, { now: over }).says, /^\$7\.02 of \$10\.00 arrived/)
})

test('a block that was taken back: at 0 again, nothing is lost, and what was credited stays for now', () => {
  const sentence = 'The chain took back the block with your payment. It is at 0 of 3 again; your coins are not lost.'
  assert.equal(told({ payments: [payment({ state: 'unmined', worth: '10.00' })] }).says, sentence)
  const stands = told({ payments: [payment({ ...added, state: 'unmined' })] })
  assert.equal(stands.says, sentence)
  assert.match(stands.hint!, /^The \$10\.00 stay added for now/)
})

test('a credit that was taken back says why, and what is owed', () => {
  const gone = payment({ ...added, state: 'reversed', reversed_at: at })
  assert.equal(
    told({ status: 'reversed', payments: [gone] }, { owed: '7.00' }).says,
    '$10.00 were added and have been taken back: the chain took back its block, and the payment did not come again. You owe $7.00, because so much of it had been spent; what comes in next pays that first.',
  )
  assert.doesNotMatch(told({ status: 'reversed', payments: [gone] }).says, /owe/)
  assert.match(
    told({ status: 'reversed', payments: [{ ...gone, events: [event('conflicted')] }] }).says,
    /spends the same coins/,
  )
})

test('every state of a payment has a sentence that says where the money is, and steps', () => {
  for (const state of cryptoPaymentStates) {
    const one = payment({ state, height: state === 'confirming' ? 100 : null, worth: '10.00' })
    const { says } = told({ status: state === 'credited' ? 'credited' : 'confirming', payments: [one] })
    assert.match(says, /[.]$/, state)
    assert.ok(paymentSteps(one).length > 0, state)
    const keys = paymentSteps(one).map(({ key }) => key)
    assert.equal(new Set(keys).size, keys.length, `${state}: ${keys}`)
  }
})

test('every event is a step, but for what changes nothing for its customer', () => {
  const silent = new Set(['valued', 'final'])
  for (const what of cryptoPaymentEventWords) {
    const bare = paymentSteps(payment({ state: 'replaced', events: [] }))
    const steps = paymentSteps(payment({ state: 'replaced', events: [event(what, 100)] }))
    assert.equal(steps.length > bare.length, !silent.has(what), what)
  }
})

test('every label is explained, or stands in a place of its own', () => {
  const explained = topupLabels.filter((label) => labelWords(label, topup(), context.timeOf) !== null)
  assert.deepEqual(explained, ['partial', 'over', 'late', 'multiple', 'other_asset', 'reorganised'])
})

const texts = (one: CryptoPayment) =>
  paymentSteps(one).map(({ state, text, struck }) => `${state}: ${struck ? `(${text})` : text}`)

test('the steps of a payment: seen, each confirmation with its block, credited', () => {
  const blocks = [
    { height: 812345, at },
    { height: 812346, at },
  ]
  const one = payment({ ...mined(812345, 2), blocks, events: [event('seen'), event('mined', 812345), event('valued')] })
  assert.deepEqual(texts(one), [
    'done: Seen on the Bitcoin network: 0.00012345 BTC.',
    'done: 1 of 3 confirmations, block 812,345.',
    'done: 2 of 3 confirmations, block 812,346.',
    'waiting: 3 of 3 confirmations.',
    'to_come: Credits are added.',
  ])
  assert.deepEqual(
    paymentSteps(one).map(({ at }) => at !== null),
    [true, true, true, false, false],
  )
  const steps = paymentSteps(payment({ ...added, events: [event('seen'), event('mined', 100), event('credited')] }))
  assert.deepEqual(steps.at(-1)!.money, { amount: '10.00' })
  assert.ok(steps.every(({ state }) => state === 'done'))
})

test('a step that was taken back stays, struck through, and the new one follows', () => {
  const story = [event('seen'), event('mined', 100), event('unmined', 100)]
  assert.deepEqual(texts(payment({ state: 'unmined', events: story })), [
    'done: Seen on the Bitcoin network: 0.00012345 BTC.',
    'done: (In block 100.)',
    'overdue: The chain took back the block with your payment. It is at 0 of 3 again; your coins are not lost.',
    'waiting: 1 of 3 confirmations.',
    'to_come: 2 of 3 confirmations.',
    'to_come: 3 of 3 confirmations.',
    'to_come: Credits are added.',
  ])
  assert.equal(
    texts(payment({ state: 'unmined', events: [...story, event('seen')] }))[3],
    'done: It waits for a block again.',
  )
  assert.deepEqual(texts(payment({ ...mined(101, 1), events: [...story, event('mined', 101)] })).slice(3), [
    'done: 1 of 3 confirmations, block 101.',
    'waiting: 2 of 3 confirmations.',
    'to_come: 3 of 3 confirmations.',
    'to_come: Credits are added.',
  ])
})

test('a credit that was taken back stays, struck through, with what each did to the money', () => {
  const story = [event('seen'), event('mined', 100), event('credited'), event('unmined', 100), event('reversed')]
  const gone = paymentSteps(payment({ ...added, state: 'reversed', reversed_at: at, events: story }))
  const credit = gone.find(({ text }) => text === 'Credits added.')!
  assert.equal(credit.struck, true)
  assert.deepEqual(gone.at(-1)!.money, { amount: '-10.00' })
  // Mined again while the credit stands: nothing is counted a second time.
  const again = [...story.slice(0, 4), event('mined', 102)]
  assert.deepEqual(texts(payment({ ...added, height: 102, events: again })).slice(-1), [
    'done: In block 102 now. The credits stay.',
  ])
})

test('newly mined coins, which count after a hundred blocks, do not have a hundred steps', () => {
  const one = payment({ ...mined(100, 40), confirmations_required: 100, events: [event('mined', 100)] })
  assert.ok(texts(one).length < 8)
})

test('the parts are added up where they do not say it themselves', () => {
  const part = (value: string) => ({ asset_amount: '1', rate: '1.00', basis: 'locked' as const, value })
  assert.equal(sumBelow({ state: 'credited', parts: [part('7.00')], worth: '7.00' }), null)
  assert.equal(sumBelow({ state: 'credited', parts: [part('10.097454')], worth: '10.10' }), '10.10')
  assert.equal(sumBelow({ state: 'confirming', parts: [part('11.00'), part('4.00')], worth: '15.00' }), '15.00')
  assert.equal(sumBelow({ state: 'dust', parts: [part('0.20')], worth: '0.00' }), null)
  assert.equal(sumBelow({ state: 'seen', parts: [], worth: null }), null)
})

test('which rate a part counts at, and why', () => {
  const part = { asset_amount: '0.0001', rate: '81004.00', value: '8.10' }
  for (const [basis, why] of [
    ['locked', 'the rate that was held until 14:15'],
    ['late', 'the rate of its block: it came after 14:15'],
    ['surplus', 'the rate of its block: more than was asked for'],
    ['other_asset', 'the rate of its block: another coin than was asked for'],
    ['decided', 'as we decided when we looked at it'],
  ] as const)
    assert.equal(
      partWords(payment({ parts: [{ ...part, basis }] }), '14:15')[0]!.text,
      `0.0001 BTC at $81,004.00 a coin, ${why}`,
    )
})

test('a transaction that is asked for: seen, in a block, to another address, not on this network, failed; each says what to do', () => {
  const asked = (change: Partial<CryptoTransaction>) =>
    transactionWords(
      { transaction_id: 'ab', where: 'seen', height: null, confirmations: 0, failed: false, ...change },
      { network: 'Ethereum', others: ['Tron', 'BNB'], needed: 3 },
    )
  assert.match(asked({}).says, /^We see it\./)
  assert.equal(
    asked({ where: 'block', height: 812345, confirmations: 9 }).says,
    'It is in block 812,345 and pays this top-up: 3 of 3 confirmations.',
  )
  assert.match(asked({ where: 'other_address', height: 1 }).says, /pays another address/)
  assert.match(asked({ where: 'not_found' }).hint, /another one \(Tron, BNB\).*“sent on another network”/)
  assert.match(asked({ where: 'other_address', height: 1, failed: true }).says, /failed there: it paid nobody/)
  for (const where of ['seen', 'block', 'other_address', 'not_found'] as const) assert.ok(asked({ where }).hint)
})

test('what a camera reads: coin and amount where wallets read them rightly, of a token the plain address', () => {
  assert.equal(scannedText(topup()), `bitcoin:${address}?amount=0.00012345`)
  assert.equal(scannedText(topup({ asset_amount_left: '0.00003' })), `bitcoin:${address}?amount=0.00003`)
  const token = topup({ asset: 'USDT', address: '0xAb', uri: '0xAb' })
  assert.equal(scannedText(token), '0xAb')
  assert.equal(walletLink(token), null)
  assert.equal(scannedText(topup({ address: '0xAb', uri: 'ethereum:0xAb?value=1' })), '0xAb')
  assert.equal(walletLink(topup({ uri: 'javascript:alert(1)' })), null)
})

test('addresses begin with what they all share, and networks that must not be used are named', () => {
  assert.equal(addressLead(address), 'bc1')
  assert.equal(addressLead(`bcrt1${address.slice(3)}`), 'bcrt1')
  assert.equal(addressLead('0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266'), '0x')
  assert.equal(addressLead('LbYALvN1a2pjWYd1L4W9BzXJXcTyX8sVw8'), '')
  assert.equal(onlyWords('Ethereum', ['Tron', 'BNB', 'Polygon']), 'Ethereum only. Not Tron, BNB, Polygon.')
  assert.equal(onlyWords('Bitcoin', []), 'Bitcoin only. Not any other network.')
})

test('the desk of a sandbox gets the payment filled in', () => {
  assert.equal(
    deskAddress('http://127.0.0.1:3001', topup()),
    `http://127.0.0.1:3001/?address=${address}&amount=0.00012345&asset=BTC#chains`,
  )
})

test('waiting: each step that is to come stands there from the beginning', () => {
  assert.deepEqual(
    waitingSteps(topup()).map(({ state }) => state),
    ['done', 'waiting', 'to_come', 'to_come', 'to_come', 'to_come', 'to_come'],
  )
})

test('money that goes back by a chain: asked for, agreed to, sent, confirmed; or why not, and that it is here again', () => {
  const refund: TopupRefund = {
    id: 'ref_1',
    status: 'requested',
    amount: '7.00',
    origin: 'you',
    requested_at: at,
    ended_at: null,
    expected_by: null,
    reference: null,
    reason: null,
    asset: 'BTC',
    network: 'Bitcoin',
    address,
    asset_amount: null,
    transaction_id: null,
    explorer_url: null,
    confirmations: null,
    confirmations_required: 3,
    note: null,
  }
  const steps = (change: Partial<TopupRefund>) =>
    cryptoRefundSteps({ ...refund, ...change }).map(({ state, text }) => `${state}: ${text}`)
  const sent = { status: 'pending', transaction_id: 'ab', asset_amount: '0.00008', confirmations: 1 } as const
  assert.deepEqual(steps({}), [
    'done: You asked for $7.00 back.',
    'waiting: A person looks at it, usually within a day.',
    'to_come: It is sent, at the rate of that moment.',
    'to_come: Confirmed by the network.',
  ])
  assert.deepEqual(steps(sent).slice(1), [
    'done: We agreed to it.',
    'done: Sent: 0.00008 BTC on Bitcoin.',
    'waiting: 1 of 3 confirmations.',
  ])
  assert.deepEqual(cryptoRefundSteps({ ...refund, ...sent, status: 'succeeded', ended_at: at }).at(-1)!.money, {
    amount: '-7.00',
  })
  assert.deepEqual(steps({ status: 'failed', reason: 'declined_by_us', note: 'The address is not yours.' }).slice(1), [
    'cannot: It could not be returned. We decided against it. The address is not yours.',
    'done: $7.00 is in your credits again.',
  ])
})
