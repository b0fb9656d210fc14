/** What an operator reads, of books whose sums are known. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import pg from 'pg'
import { usd } from '../../contract/money.ts'
import { freshDatabase, type TestDatabase } from '../../test/database.ts'
import { newId } from '../platform/ids.ts'
import { openLog } from '../platform/log.ts'
import { ledgerFigures } from './figures.ts'
import { bookHouseEntry } from './house.ts'
import { type Command, createLedger, type Ledger } from './ledger.ts'

let db: TestDatabase
let owner: pg.Client
let ledger: Ledger

before(async () => {
  db = await freshDatabase()
  owner = new pg.Client({ connectionString: db.url })
  await owner.connect()
  ledger = createLedger({ database: db.database, log: openLog({ level: 'silent' }) })
})
after(async () => {
  await ledger.close()
  await owner.end()
  await db.close()
})

/** Every figure as its rows, the numbers as numbers; each has a value. */
async function read(): Promise<Record<string, unknown>> {
  const figures: Record<string, unknown> = {}
  for (const { name, labels = [], sql } of ledgerFigures) {
    const { rows } = await db.database.pool.query(sql)
    for (const row of rows) assert.notEqual(row.value, null, name)
    figures[name] =
      labels.length === 0
        ? rows.map((row) => Number(row.value))
        : Object.fromEntries(rows.map((row) => [labels.map((label) => row[label]).join(' '), Number(row.value)]))
  }
  return figures
}

test('of an empty ledger there is nothing to read, and nothing that is missing', async () => {
  assert.deepEqual(await read(), {
    platform_total_usd: {},
    customers_total_usd: {},
    ledger_difference_usd: [0],
    open_holds: {},
    overdue_holds: [0],
    platform_deltas_rows: [0],
    unsealed_seqs: [0],
  })
})

test('the figures are those of the books', async () => {
  await ledger.open(db.database.pool, 1n)
  await ledger.open(db.database.pool, 2n)
  const { rows } = await owner.query(
    `select house_now() - interval '110 seconds' as just, house_now() - interval '130 seconds' as overdue`,
  )
  const base = (accountId: bigint) => ({ id: newId(), accountId, reference: newId() })
  const hold = (accountId: bigint, code: 'order' | 'topup_refund' | 'dispute', amount: string, expiresAt: Date) => ({
    ...base(accountId),
    kind: code === 'dispute' ? ('clawback_hold' as const) : ('hold' as const),
    code,
    contra: 'revenue' as const,
    amount: usd(amount),
    expiresAt,
    onExpiry: 'alarm' as const,
  })
  const taken = hold(1n, 'order', '1.50', rows[0].just)
  const commands: Command[] = [
    { ...base(1n), kind: 'credit', code: 'topup_card', contra: 'card_clearing', amount: usd('10.00') },
    { ...base(2n), kind: 'credit', code: 'gift', contra: 'goodwill', amount: usd('2.00') },
    taken,
    { ...base(1n), kind: 'capture', code: 'order', contra: 'revenue', holdId: taken.id },
    hold(1n, 'order', '0.25', rows[0].just),
    hold(1n, 'order', '0.50', rows[0].overdue),
    hold(2n, 'topup_refund', '1.00', rows[0].overdue),
    hold(2n, 'dispute', '3.00', new Date('2100-01-01')),
    hold(1n, 'dispute', '8.00', new Date('2100-01-01')),
  ]
  for (const command of commands) assert.equal((await ledger.submit(command)).result, 'ok')
  const fee = { debit: 'card_fees', credit: 'card_clearing', amount: usd('0.75'), code: 'fee' } as const
  assert.equal(await bookHouseEntry(db.database.pool, { ...fee, id: newId(), reference: newId() }), 'ok')

  const seen = await read()
  assert.deepEqual(seen, {
    platform_total_usd: {
      'card_clearing topup_card': -10,
      'goodwill gift': -2,
      'revenue order': 1.5,
      'card_fees fee': -0.75,
      'card_clearing fee': 0.75,
    },
    // The second one owns 2.00, has 1.00 held and 3.00 frozen: he owes 2.00, which count as his. The first one owes 0.25.
    customers_total_usd: { owned: 12.75, held: 1.75, frozen: 11, owed: 2.25 },
    ledger_difference_usd: [0],
    open_holds: { order: 2, topup_refund: 1, dispute: 2 },
    overdue_holds: [2],
    platform_deltas_rows: [5],
    unsealed_seqs: [10],
  })

  assert.equal(await ledger.seal(), 1)
  assert.deepEqual((await read())['unsealed_seqs'], [0])
  assert.equal(await ledger.compact(), 5)
  assert.deepEqual({ ...(await read()), unsealed_seqs: [10], platform_deltas_rows: [5] }, seen)

  await owner.query(`update platform_sums set credits = credits + 500000 where platform = 3`)
  assert.deepEqual((await read())['ledger_difference_usd'], [0.5])

  // It is the last seal that says how far it is.
  assert.equal((await ledger.submit({ ...commands[1]!, id: newId() })).result, 'ok')
  assert.deepEqual((await read())['unsealed_seqs'], [1])
  assert.equal(await ledger.seal(), 1)
  assert.deepEqual((await read())['unsealed_seqs'], [0])
})
