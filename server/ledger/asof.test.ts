/** The ledger as it was: whatever instant one asks for, the answer is what was true then. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { usd } from '../../contract/money.ts'
import { freshDatabase, type TestDatabase } from '../../test/database.ts'
import { drawStream } from '../../test/ledger/stream.ts'
import { chance, SEED } from '../../test/random.ts'
import { advanceHouseClock, houseNow } from '../platform/clock.ts'
import { newId } from '../platform/ids.ts'
import { openLog } from '../platform/log.ts'
import { createLedger, type Ledger } from './ledger.ts'

const STREAMS = 4
const COMMANDS_PER_STREAM = 120
const ACCOUNTS = [1n, 2n, 3n, 4n]

let db: TestDatabase
let ledger: Ledger

before(async () => {
  db = await freshDatabase()
  ledger = createLedger({ database: db.database, log: openLog({ level: 'silent' }) })
})
after(async () => {
  await ledger.close()
  await db.close()
})

/** What the ledger says now, not asking for the past. */
async function present(accountId: bigint) {
  const { pool } = db.database
  const { available, held, frozen, owed } = (await ledger.balance(pool, accountId))!
  const { rows } = await pool.query('select hold_id from open_holds where account_id = $1 order by hold_id', [
    accountId,
  ])
  const history = await ledger.history(pool, accountId, { limit: 1000 })
  return { available, held, frozen, owed, open: rows.map((row) => row.hold_id), history: history.map(({ id }) => id) }
}

async function past(accountId: bigint, instant: Date) {
  const { pool } = db.database
  const { number, openHolds, ...figures } = (await ledger.asOf(pool, accountId, instant))!
  const history = await ledger.history(pool, accountId, { limit: 1000, before: number + 1n })
  return { ...figures, open: openHolds.map(({ holdId }) => holdId).sort(), history: history.map(({ id }) => id) }
}

test('whatever happened, an account as of an instant is what it was then', async (t) => {
  const { pool } = db.database
  let compared = 0
  for (let stream = 0; stream < STREAMS; stream++) {
    const accounts = ACCOUNTS.map((account) => account + BigInt(10 * stream))
    for (const account of accounts) await ledger.open(pool, account)
    const luck = chance(SEED + stream)
    const steps = drawStream(SEED + stream, { accounts, strangers: [99n], commands: COMMANDS_PER_STREAM, alone: true })
    const seen: { instant: Date; was: Awaited<ReturnType<typeof present>>[] }[] = []
    for (const step of steps) {
      if (step.does !== 'apply') continue
      // Nonsense may be refused by an exception; then it did not happen.
      for (const list of step.lists) await ledger.submitGroup(list).catch(() => {})
      const was = await Promise.all(accounts.map(present))
      await advanceHouseClock(pool, luck.whole(1, 1000))
      seen.push({ instant: await houseNow(pool), was })
    }
    for (const { instant, was } of seen) {
      const told = await Promise.all(accounts.map((account) => past(account, instant)))
      assert.deepEqual(told, was, `SEED=${SEED} stream ${stream}, as of ${instant.toISOString()}`)
      compared += accounts.length
    }
    // At the very instant of each row, and just before it.
    const { rows } = await pool.query(
      `select account_id, number, recorded_at, recorded_at - interval '1 millisecond' as before, available_after, held_after, frozen_after, owed_after,
              not exists (select from transfers n where n.account_id = t.account_id and n.number > t.number
                                                    and n.recorded_at < t.recorded_at + interval '2 milliseconds') as alone
         from transfers t where account_id = any ($1)`,
      [accounts],
    )
    const { rows: early } = await pool.query(
      `select t.id from transfers t, ledger_as_of(t.account_id, t.recorded_at) p where t.account_id = any ($1) and p.number < t.number`,
      [accounts],
    )
    assert.deepEqual(early, [], 'at its very moment a row is there')
    for (const row of rows.filter(({ alone }) => alone)) {
      const account = BigInt(row.account_id)
      const told = (await ledger.asOf(pool, account, new Date(row.recorded_at.getTime() + 1)))!
      assert.deepEqual(
        [told.number, told.available, told.held, told.frozen, told.owed],
        [row.number, row.available_after, row.held_after, row.frozen_after, row.owed_after].map(BigInt),
      )
      assert.ok((await ledger.asOf(pool, account, row.before))!.number < told.number)
      compared++
    }
  }
  t.diagnostic(`${compared} accounts compared`)
})

test('before anything there was nothing, and of an account that does not exist nothing is told', async () => {
  const { pool } = db.database
  await ledger.open(pool, 500n)
  const nothing = { available: 0n, held: 0n, frozen: 0n, owed: 0n, openHolds: [], number: 0n }
  assert.deepEqual(await ledger.asOf(pool, 500n, await houseNow(pool)), nothing)
  const before = new Date((await houseNow(pool)).getTime() - 1000)
  const gift = { kind: 'credit', code: 'gift', contra: 'goodwill', amount: usd('1.00') } as const
  // It happened long ago, and was recorded now.
  const happenedAt = new Date('2020-01-01T00:00:00Z')
  await ledger.submit({ ...gift, id: newId(), accountId: 500n, reference: newId(), happenedAt })
  assert.deepEqual(await ledger.asOf(pool, 500n, before), nothing)
  assert.deepEqual(await ledger.asOf(pool, 500n, new Date('2021-01-01T00:00:00Z')), nothing)
  await advanceHouseClock(pool, 1)
  assert.equal((await ledger.asOf(pool, 500n, await houseNow(pool)))!.available, usd('1.00'))
  assert.equal(await ledger.asOf(pool, 501n, new Date()), null)
  const held = { kind: 'hold', code: 'order', contra: 'revenue', amount: usd('0.10'), onExpiry: 'void' } as const
  const ids = [newId(), newId(), newId()]
  for (const id of ids)
    await ledger.submit({ ...held, id, accountId: 500n, reference: newId(), expiresAt: new Date('2100-01-01') })
  await advanceHouseClock(pool, 1)
  const { openHolds } = (await ledger.asOf(pool, 500n, await houseNow(pool)))!
  assert.deepEqual(
    openHolds.map(({ holdId }) => holdId),
    ids.toReversed(),
    'newest first',
  )
})
