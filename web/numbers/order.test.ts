import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Message, Order } from '../../contract/contract.ts'
import { furtherMessages, missingFor, stageOf, tellingMessage, veiled } from './order.ts'

test('what is short of a price contains what is owed, because that is paid first', () => {
  assert.equal(missingFor('1.20', { available: '1.20', owed: '0.00' }), null)
  assert.equal(missingFor('1.20', { available: '0.40', owed: '0.00' }), '0.80')
  assert.equal(missingFor('1.20', { available: '0.00', owed: '8.10' }), '9.30')
})

const message = (change: Partial<Message>): Message => ({
  id: 'msg_1',
  text: 'Your code is 482771',
  code: '482771',
  from: 'Telegram',
  received_at: '2026-11-22T14:02:41Z',
  late: false,
  ...change,
})

function order(change: Partial<Order>): Order {
  return {
    id: 'ord_1',
    number: 482771093,
    phone_number: '+447700900123',
    service: 'telegram',
    country: 'GB',
    price: '1.20',
    status: 'waiting',
    created_at: '2026-11-22T14:01:03Z',
    expires_at: '2026-11-22T14:21:03Z',
    cancel_from: '2026-11-22T14:03:03Z',
    ended_at: null,
    received_at: null,
    another_code_requested_at: null,
    messages: [],
    ...change,
  }
}

test('a waiting order can be cancelled from the instant it names, by the server’s clock', () => {
  const early = stageOf(order({}), Date.parse('2026-11-22T14:03:02Z'))
  assert.equal(early.is === 'waiting' && early.cancelFrom, '2026-11-22T14:03:03Z')
  const later = stageOf(order({}), Date.parse('2026-11-22T14:03:03Z'))
  assert.equal(later.is === 'waiting' && later.cancelFrom, null)
})

test('a text without a code leaves the order waiting and says so', () => {
  const stage = stageOf(order({ messages: [message({ code: null })] }), 0)
  assert.equal(stage.is === 'waiting' && stage.textsWithoutCode, true)
})

test('the order’s sentence stands under the code that was charged, else under the first late one', () => {
  const first = message({})
  const free = message({ received_at: '2026-11-22T14:09:00Z', code: '111222' })
  assert.equal(tellingMessage(order({ received_at: first.received_at, messages: [first, free] })), first)
  const late = message({ late: true })
  assert.equal(tellingMessage(order({ status: 'expired', messages: [message({ code: null }), late] })), late)
  assert.equal(tellingMessage(order({ messages: [message({ code: null })] })), null)
})

test('an open order with its code may wait for another; an ended one waits for nothing', () => {
  const asked = { received_at: '2026-11-22T14:02:41Z', another_code_requested_at: '2026-11-22T14:03:00Z' }
  const open = stageOf(order({ status: 'received', ...asked }), 0)
  assert.equal(open.is === 'received' && open.waitsForAnother, true)
  const ended = stageOf(order({ status: 'finished', ...asked }), 0)
  assert.equal(ended.is === 'received' && ended.waitsForAnother, false)
})

test('codes after the charged one are further ones, unless they came too late', () => {
  const [first, second, late] = [message({}), message({ code: '111222' }), message({ code: '333444', late: true })]
  const received = order({ received_at: first.received_at, messages: [first, message({ code: null }), second, late] })
  assert.deepEqual(furtherMessages(received), [second])
})

test('a trace shows the ends of a code only', () => {
  assert.equal(veiled('482771'), '48••71')
  assert.equal(veiled('4821'), '4••1')
  assert.equal(veiled('48'), '••')
})
