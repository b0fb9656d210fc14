import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  endpoints,
  numbersAddress,
  parseSearch,
  readBillingSearch,
  readNextSearch,
  readNumbersSearch,
  readTopUpSearch,
  stringifySearch,
} from './paths.ts'

test('an amount in an address stays the words that it was', () => {
  assert.deepEqual(readTopUpSearch(parseSearch('?amount=10.00')), { amount: '10.00' })
  assert.equal(stringifySearch({ amount: '10.00' }), '?amount=10.00')
})

test('an address holds what is set, and nothing of what a stranger adds', () => {
  assert.deepEqual(readBillingSearch(parseSearch('?type=hold&from=2026-11-22&holds=shown&x=1')), {
    type: 'hold',
    from: '2026-11-22',
  })
  assert.equal(stringifySearch({ type: undefined, holds: 'hidden' }), '?holds=hidden')
})

test('what is not a day of the calendar is not a filter', () => {
  assert.deepEqual(readBillingSearch(parseSearch('?from=2026-02-30&to=22.11.2026')), {})
})

test('ids are written as one part of an address', () => {
  assert.equal(endpoints.order('../me'), '/api/v1/orders/..%2Fme')
})

test('where to go after signing in is a place of these pages', () => {
  const next = numbersAddress('Telegram United Kingdom')
  assert.deepEqual(readNextSearch({ next }), { next })
  assert.deepEqual(readNumbersSearch(parseSearch(next.slice(next.indexOf('?')))), { q: 'Telegram United Kingdom' })
  assert.deepEqual(readNextSearch({ next: '/' }), { next: '/' })
})

for (const next of [
  'https://evil.example/',
  '//evil.example',
  '/\\evil.example',
  '/\t/evil.example',
  '/.//evil.example',
  'javascript:alert(1)',
  'numbers',
  '',
]) {
  test(`another site is not where to go after signing in: ${JSON.stringify(next)}`, () => {
    assert.deepEqual(readNextSearch({ next }), {})
  })
}
