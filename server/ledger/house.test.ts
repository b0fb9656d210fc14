/** The house's own movements, which no customer is part of. */
import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { usd } from '../../contract/money.ts'
import { openBooks } from '../../test/ledger/books.ts'
import { newId } from '../platform/ids.ts'
import { bookHouseEntry } from './house.ts'
import type { HouseEntry } from './ledger.ts'

const { db, ledger, close } = await openBooks()
after(close)

test('the house books its own movements once', async () => {
  const entry = {
    id: newId(),
    debit: 'card_fees',
    credit: 'card_clearing',
    amount: usd('0.59'),
    code: 'fee',
    reference: newId(),
  } as const
  const pool = db.database.pool
  // Whatever was booked before it, and after it.
  assert.equal(await bookHouseEntry(pool, { ...entry, id: newId(), reference: newId() }), 'ok')
  assert.equal(await bookHouseEntry(pool, entry), 'ok')
  assert.equal(await bookHouseEntry(pool, { ...entry, id: newId(), reference: newId() }), 'ok')
  assert.equal(await bookHouseEntry(pool, entry), 'exists')
  assert.equal(await bookHouseEntry(pool, { ...entry, amount: usd('0.60') }), 'exists_with_different_fields')
  const happenedAt = new Date('2026-01-02T03:04:05Z')
  const told = { ...entry, id: newId(), reference: newId(), happenedAt }
  assert.equal(await bookHouseEntry(pool, told), 'ok')
  const { rows } = await pool.query('select happened_at from house_entries where id = $1', [told.id])
  assert.deepEqual(rows, [{ happened_at: happenedAt }])
})

test('through the door, too; and an id that two facts share is a bug, not a refusal', async () => {
  const pool = db.database.pool
  const balance = () => ledger.platformBalance(pool, 'supplier_costs')
  const entry = { debit: 'supplier_costs', credit: 'bank', amount: usd('0.07'), code: 'supplier_cost' } as const
  const [first, back] = [0, 1].map(() => ({ ...entry, id: newId(), reference: newId() })) as [HouseEntry, HouseEntry]
  assert.equal(await balance(), 0n)
  assert.equal(await ledger.book(pool, first), 'ok')
  assert.equal(await ledger.book(pool, first), 'exists')
  await assert.rejects(ledger.book(pool, { ...first, amount: usd('0.08') }), /belongs to another movement/)
  assert.equal(await balance(), usd('0.07'))
  await ledger.book(pool, { ...back, debit: 'bank', credit: 'supplier_costs', amount: usd('0.02') })
  assert.equal(await balance(), usd('0.05'))
  await ledger.book(pool, { ...entry, id: newId(), reference: newId(), code: 'adjustment', amount: usd('0.10') })
  assert.equal(await balance(), usd('0.15'))
})
