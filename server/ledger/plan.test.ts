/** How PostgreSQL looks for the holds of a list: one at a time by its key, whatever it believes about the table. */
import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import pg from 'pg'
import { base, hold, openBooks } from '../../test/ledger/books.ts'
import { newId } from '../platform/ids.ts'
import type { Command } from './ledger.ts'

const { db, customer, results, close } = await openBooks()
after(close)

const CUSTOMERS = 60
const HOLDS = 600

for (const [list, perCustomer] of [
  ['one command of each customer', 1],
  ['two of each', 2],
] as const) {
  test(`with ${list}, holds are read by their keys alone, also when the plan was made while none was open`, async () => {
    const customers = await Promise.all(Array.from({ length: CUSTOMERS }, () => customer('100.00')))
    const owner = new pg.Client({ connectionString: db.url })
    await owner.connect()
    // What the database's own housekeeping finds in a quiet night: it empties the file, and notes that there is nothing.
    await owner.query('vacuum (analyze) open_holds')
    await owner.end()

    await db.database.transaction(async (tx) => {
      const holds = Array.from({ length: HOLDS }, (_, n) => ({ accountId: customers[n % CUSTOMERS]!, holdId: newId() }))
      const commands = holds.map(({ accountId, holdId }) => hold(accountId, '1.00', holdId))
      while (commands.length > 0) {
        const part = commands.splice(0, CUSTOMERS * perCustomer)
        assert.deepEqual(new Set(await results(tx, part)), new Set(['ok']))
      }
      const end = (some: typeof holds, how: { kind: 'capture' | 'void'; code: 'order' | 'order_cancelled' }) =>
        some.map(({ accountId, holdId }): Command => ({ ...base(accountId), ...how, contra: 'revenue', holdId }))
      const captures = end(holds.slice(0, CUSTOMERS * perCustomer), { kind: 'capture', code: 'order' })
      const read = async () => {
        const { rows } = await tx.query(
          `select idx_tup_fetch + seq_tup_read as count from pg_stat_xact_user_tables where relname = 'open_holds'`,
        )
        return Number(rows[0].count)
      }
      const before = await read()
      assert.deepEqual(new Set(await results(tx, captures)), new Set(['ok']))
      // Each is read to be judged, and to be deleted.
      assert.equal((await read()) - before, 2 * captures.length)
      const voids = end(holds.slice(captures.length), { kind: 'void', code: 'order_cancelled' })
      assert.deepEqual(new Set(await results(tx, voids)), new Set(['ok']))
    })
  })
}
