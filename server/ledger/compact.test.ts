/** Summing up what batches did to the platform's accounts: at no moment does a total change. */
import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import pg from 'pg'
import { micros, usd } from '../../contract/money.ts'
import { freshDatabase } from '../../test/database.ts'
import { openBooks } from '../../test/ledger/books.ts'
import type { Database } from '../platform/db.ts'
import { newId } from '../platform/ids.ts'
import { openLog } from '../platform/log.ts'
import { auditLedger } from './audit/audit.ts'
import { bookHouseEntry } from './house.ts'
import { createLedger } from './ledger.ts'

const { db, ledger, close } = await openBooks()
after(close)

test('summing up the deltas changes no total, in no snapshot, with everybody writing beside it', async () => {
  const own = await freshDatabase()
  const owner = new pg.Client({ connectionString: own.url })
  await owner.connect()
  const writer = createLedger({ database: own.database, log: openLog({ level: 'silent' }) })
  try {
    for (let account = 1n; account <= 20n; account++) await writer.open(own.database.pool, account)
    // What was counted before it is read is in every total that is read after it.
    let written = 0n
    let over = false
    const writing = Array.from({ length: 8 }, async (_, n) => {
      for (let i = 0; i < 60; i++) {
        const accountId = BigInt(((n * 7 + i) % 20) + 1)
        const reference = newId()
        const credit = {
          id: newId(),
          kind: 'credit',
          accountId,
          code: 'gift',
          contra: 'goodwill',
          amount: micros(1_000_000n),
          reference,
        } as const
        assert.ok((await writer.submit(credit)).done)
        written += 1_000_000n
        if (i % 3 === 0)
          assert.equal(
            await bookHouseEntry(own.database.pool, {
              id: newId(),
              debit: 'card_fees',
              credit: 'card_clearing',
              amount: micros(10_000n),
              code: 'fee',
              reference,
            }),
            'ok',
          )
      }
    })
    const compacting = [1, 2, 3].map(async () => {
      let rows = 0
      while (!over) {
        const { rows: answer } = await own.database.pool.query('select ledger_compact($1) as taken', [7])
        rows += answer[0].taken
      }
      return rows
    })
    const looking = (async () => {
      let looks = 0
      while (!over) {
        const before = written
        const { rows } = await owner.query(
          `select (select coalesce(sum(debits - credits), 0) from platform_totals where platform = 6)::text as given,
                  (select sum(credits) from ledger_accounts)::text as owned,
                  (select coalesce(sum(credits - debits), 0) from platform_totals where platform in (1, 8))::text as house`,
        )
        assert.equal(rows[0].given, rows[0].owned)
        assert.equal(rows[0].house, '0')
        assert.ok(BigInt(rows[0].given) >= before)
        looks++
      }
      return looks
    })()
    await Promise.all(writing).finally(() => {
      over = true
    })
    const looks = await looking
    const summed = (await Promise.all(compacting)).reduce((a, b) => a + b, 0)
    assert.ok(summed > 0 && looks > 0)
    await writer.compact()
    const { rows } = await owner.query(
      `select (select count(*)::int from platform_deltas) as deltas, (select count(*)::int from platform_sums) as sums,
              (select sum(entries)::int from platform_totals) as entries`,
    )
    assert.deepEqual(rows, [{ deltas: 0, sums: 3, entries: 8 * 60 + 2 * 8 * 20 }])
    assert.equal(await writer.compact(), 0, 'a second time there is nothing to do')
    assert.deepEqual(await auditLedger(own.database.pool, 'ledger'), [])
  } finally {
    await writer.close()
    await owner.end()
    await own.close()
  }
})

test('one run sums up all deltas, also more than go into one transaction', async () => {
  const own = await freshDatabase()
  const owner = new pg.Client({ connectionString: own.url })
  await owner.connect()
  const compacting = createLedger({ database: own.database, log: openLog({ level: 'silent' }) })
  try {
    await owner.query('insert into platform_deltas select 1, 30, 1, 0, 1 from generate_series(1, 5003)')
    assert.deepEqual((await owner.query('select ledger_compact(2) as taken')).rows, [{ taken: 2 }])
    assert.equal(await compacting.compact(), 5001)
    const { rows } = await owner.query('select debits, credits, entries from platform_sums')
    assert.deepEqual(rows, [{ debits: '5003', credits: '0', entries: '5003' }])
  } finally {
    await compacting.close()
    await owner.end()
    await own.close()
  }
})

test('what never ends is summed up for fifty transactions, until little is left, and not at all while the server stops', async () => {
  const of = (rowsThereAre: number, transactions: number) => {
    let [left, asked] = [rowsThereAre, 0]
    const pool = {
      async query(_: string, [rows]: [number]) {
        if (++asked > transactions) throw new Error('asked once more')
        const taken = Math.min(rows, left)
        left -= taken
        return { rows: [{ taken }] }
      },
    }
    return createLedger({ database: { pool } as unknown as Database, log: openLog({ level: 'silent' }) })
  }
  assert.equal(await of(Infinity, 50).compact(), 50 * 5000)
  assert.equal(await of(9999, 2).compact(), 9999)
  assert.equal(await of(Infinity, 0).compact(AbortSignal.abort()), 0)
})

test('a compaction that dies half-way has changed nothing', async () => {
  const fee = {
    id: newId(),
    debit: 'card_fees',
    credit: 'card_clearing',
    amount: usd('0.59'),
    code: 'fee',
    reference: newId(),
  } as const
  assert.equal(await bookHouseEntry(db.database.pool, fee), 'ok')
  const before = await totals()
  const client = await db.database.connect()
  try {
    await client.query('begin')
    const { rows } = await client.query('select ledger_compact(1000) as taken')
    assert.ok(rows[0].taken > 0)
    assert.equal(await ledger.compact(), 0, 'one at a time: the second leaves it to the first')
    assert.deepEqual(await totals(), before)
  } finally {
    client.release(true)
  }
  await ledger.compact()
  assert.deepEqual(await totals(), before)
  assert.deepEqual(await auditLedger(db.database.pool, 'ledger'), [])
})

async function totals(): Promise<unknown[]> {
  const { rows } = await db.database.pool.query('select * from platform_totals order by platform, code')
  return rows
}
