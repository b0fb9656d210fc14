import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Order } from '../../contract/contract.ts'
import { keepSlips } from './slips.ts'

const order = (id: string, created_at: string, status: Order['status'] = 'waiting') =>
  ({
    id,
    created_at,
    status,
    number: 1,
    received_at: status === 'received' ? created_at : null,
    ended_at: null,
    messages: [] as Order['messages'],
  }) as Order

test('slips stand newest first, and one that ended keeps its place', () => {
  const first = order('ord_1', '2026-11-22T14:00:00Z')
  const second = order('ord_2', '2026-11-22T14:01:00Z')
  const third = order('ord_3', '2026-11-22T14:02:00Z')
  const known = keepSlips([], [first, second])
  assert.deepEqual(
    keepSlips(known, [third, { ...first, status: 'received' }]).map(({ id, status }) => `${id} ${status}`),
    ['ord_3 waiting', 'ord_2 waiting', 'ord_1 received'],
  )
})

test('an older reading of an order takes nothing back', () => {
  const waiting = order('ord_1', '2026-11-22T14:00:00Z')
  const received = order('ord_1', '2026-11-22T14:00:00Z', 'received')
  assert.deepEqual(keepSlips([received], [waiting]), [received])
})
