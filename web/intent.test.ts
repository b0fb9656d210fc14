import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Refusal } from './api.ts'
import { IntentKeys } from './intent.ts'

const refusal = (code: Refusal['code']): Refusal => ({ code, title: '', detail: '', field: null, requestId: null })

function keys() {
  let made = 0
  return new IntentKeys(() => `key ${++made}`)
}

test('a press after a lost answer repeats the first request', () => {
  const intents = keys()
  const intent = { service: 'telegram', country: 'GB' }
  assert.equal(intents.keyFor(intent), 'key 1')
  for (const code of ['unreachable', 'internal_error', 'temporarily_unavailable'] as const) {
    intents.answered(intent, refusal(code))
    assert.equal(intents.keyFor({ ...intent }), 'key 1')
  }
})

test('after an answer the next press is another request', () => {
  const intents = keys()
  assert.equal(intents.keyFor('10.00'), 'key 1')
  intents.answered('10.00', null)
  assert.equal(intents.keyFor('10.00'), 'key 2')
  intents.answered('10.00', refusal('amount_below_minimum'))
  assert.equal(intents.keyFor('10.00'), 'key 3')
})

test('another intent has another key', () => {
  const intents = keys()
  assert.notEqual(intents.keyFor('10.00'), intents.keyFor('25.00'))
})
