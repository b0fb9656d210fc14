/** The benchmark stands on what the ledger would have written; and what is measured is the ledger and its rival, on the same tables. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import pg from 'pg'
import { auditLedger } from '../../server/ledger/audit/audit.ts'
import { freshDatabase } from '../../test/database.ts'
import { measure, type Teller } from './callers.ts'
import { fill, longPastOf, longPastTransfers } from './data.ts'
import { naiveTable, openNaive } from './naive.ts'
import { openOurs } from './ours.ts'

const SIZE = { accounts: 200, transfers: 3_000 }

test('the accounts and their past pass the audit; the ledger and plain code both work on them, and no acknowledgement is missing', async () => {
  const db = await freshDatabase()
  const owner = new pg.Client({ connectionString: db.url })
  await owner.connect()
  const count = async () => Number((await owner.query('select count(*) from transfers')).rows[0].count)
  try {
    await fill(owner, SIZE, () => {})
    assert.deepEqual(await auditLedger(db.database.pool, 'ledger'), [])
    const { rows } = await owner.query('select transfer_count from ledger_accounts where id = $1', [longPastOf(SIZE)])
    assert.equal(Number(rows[0].transfer_count), longPastTransfers(SIZE))

    let before = await count()
    const ours = openOurs(db.url)
    const done = await work(ours.teller)
    await ours.close()
    assert.equal((await count()) - before, done)
    assert.deepEqual(await auditLedger(db.database.pool, 'ledger'), [])

    await owner.query(naiveTable)
    for (const platformRows of [false, true]) {
      before = await count()
      const naive = openNaive(db.url, platformRows)
      const plain = await work(naive.teller)
      await naive.close()
      assert.equal((await count()) - before, plain)
    }
  } finally {
    await owner.end()
    await db.close()
  }
})

/** A moment of twenty callers. Answers how many commands were acknowledged. */
async function work(teller: Teller): Promise<number> {
  const times = { warmSeconds: 0.1, seconds: 1, begin: () => {} }
  const { commands, acknowledged } = await measure({ teller, callers: 20, accounts: SIZE.accounts, seed: 1, ...times })
  assert.ok(commands > 0)
  return acknowledged
}
