/**
 * The auditor is only worth what it finds. Each damage (audit-world.ts) is done alone, in a transaction that is rolled back, and the
 * audit must name what was done, by the checks that are about it.
 */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import pg from 'pg'
import { auditLedger, findOverdue } from '../server/ledger/audit/audit.ts'
import { createLedger } from '../server/ledger/ledger.ts'
import { pause } from '../server/platform/clock.ts'
import { openLog } from '../server/platform/log.ts'
import { type AuditWorld, openAuditWorld } from './audit-world.ts'

const AUDIT = join(import.meta.dirname, '../server/ledger/audit/audit.ts')
const log = openLog({ level: 'silent' })
let world: AuditWorld

before(async () => {
  world = await openAuditWorld()
})
after(() => world.close())

/** Of a program: the database, and what was read and compiled before. */
const environment = () => ({
  DATABASE_URL: world.db.url,
  NODE_COMPILE_CACHE: process.env['NODE_COMPILE_CACHE'] ?? '',
})

function run(args: string[], env: Record<string, string> = {}): Promise<{ code: number | null; said: string }> {
  return new Promise((resolve) => {
    const program = spawn(process.execPath, [AUDIT, ...args], { env: { ...environment(), ...env } })
    let said = ''
    for (const stream of [program.stdout, program.stderr]) stream.on('data', (text) => (said += text))
    program.on('close', (code) => resolve({ code, said }))
  })
}

test('books that nobody touched differ nowhere, and nothing is overdue', async () => {
  assert.deepEqual(await auditLedger(world.db.database.pool), [])
  assert.deepEqual(await findOverdue(world.db.database.pool), [])
})

test('each damage is found, by the checks that are about it', async () => {
  for (const [damage, { does, found, names = {} }] of Object.entries(world.damages)) {
    const differences = await world.inside(does, (connect) => auditLedger({ connect }))
    assert.deepEqual([...new Set(differences.map(({ check }) => check))], found, damage)
    for (const [named, says] of Object.entries(names))
      assert.partialDeepStrictEqual(differences.find(({ check }) => check === named)!.row, says, damage)
  }
  assert.deepEqual(await auditLedger(world.db.database.pool), [])
})

test('what looks strange and is right differs nowhere, nor do books in which nothing happened yet', async () => {
  for (const [what, sql] of Object.entries(world.right))
    assert.deepEqual(await world.inside(sql, (connect) => auditLedger({ connect })), [], what)
  const nothing = 'truncate ledger_accounts, transfers, house_entries, open_holds, platform_deltas, platform_sums'
  assert.deepEqual(await world.inside(nothing, (connect) => auditLedger({ connect }, 'ledger')), [])
})

test('what should have happened long ago is overdue, and no difference', async () => {
  for (const [delay, sql] of Object.entries(world.delays)) {
    const [overdue, differences] = await world.inside(sql, async (connect) => [
      await findOverdue({ connect }),
      await auditLedger({ connect }),
    ])
    assert.deepEqual([overdue!.length, differences], [1, []], delay)
  }
})

test('what is a little late is not overdue', async () => {
  for (const [what, sql] of Object.entries(world.inTime))
    assert.deepEqual(await world.inside(sql, (connect) => findOverdue({ connect })), [], what)
})

test('an audit takes as long as it must, whatever the limit of its connection, which is left as it was', async () => {
  const pool = new pg.Pool({ connectionString: world.db.url, max: 1, statement_timeout: 1000 })
  await world.owner.query('begin; lock table transfers in access exclusive mode')
  const audit = auditLedger(pool)
  audit.catch(() => {})
  await pause(1500)
  await world.owner.query('rollback')
  assert.deepEqual(await audit, [])
  const { rows } = await pool.query(
    `select current_setting('statement_timeout') as timeout, current_setting('transaction_read_only') as read_only`,
  )
  assert.deepEqual(rows, [{ timeout: '1s', read_only: 'off' }])
  await pool.end()
})

test('the program says which of the two it found by what it exits with', async () => {
  const right = await run([])
  assert.equal(right.code, 0)
  assert.doesNotMatch(right.said, /should have happened/)
  await world.owner.query(`update orders set expires_at = expires_at - interval '1 hour' where id = '${world.waiting}'`)
  const overdue = await run([])
  assert.equal(overdue.code, 3)
  assert.match(overdue.said, /OVERDUE: an order ends when its time is over/)
  assert.match(overdue.said, /Nothing differs/)
  assert.match(overdue.said, /1 things should have happened/)
  await world.owner.query('insert into platform_deltas values (3, 1, 0, 1, 1)')
  const wrong = await run([])
  assert.equal(wrong.code, 1)
  assert.match(wrong.said, /DIFFERS/)
  await world.owner.query(`update orders set expires_at = expires_at + interval '1 hour' where id = '${world.waiting}'`)
  await world.owner.query('insert into platform_deltas values (3, 1, 0, -1, -1)')
  // What migrates may read all; it is asked before the server's own.
  assert.equal((await run([], { MIGRATION_DATABASE_URL: world.db.url, DATABASE_URL: 'nowhere' })).code, 0)
  const nowhere = await run([], { DATABASE_URL: '' })
  assert.equal(nowhere.code, 2)
  assert.match(nowhere.said, /Set DATABASE_URL/)
})

test('the first row that differs is named first, not one that only follows from it', async () => {
  const { rows } = await world.owner.query('select id, number from transfers where account_id = 1 order by number')
  await world.owner.query('begin')
  try {
    await world.owner.query(
      `update transfers set amount = amount + 1, available_after = available_after + 1 where number = 1`,
    )
    const found = await auditLedger({ connect: world.insideTheTransaction })
    const follows = found.filter(({ check }) => check === 'each row says what was there after it')
    assert.equal(follows[0]!.row['transfer'], rows[1].id)
    assert.deepEqual(
      follows.map(({ row }) => Number(row['number'])),
      [2, 3, 4, 5, 6],
    )
  } finally {
    await world.owner.query('rollback')
  }
})

test('seals that were rewritten in the database are found by the file outside, which the program is told', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'audit-'))
  const file = join(folder, 'seals.log')
  const sealing = createLedger({ database: world.db.database, log, sealFile: file })
  await sealing.seal()
  const { rows } = await world.owner.query(
    `select id, happened_at::text as happened from transfers order by seq limit 1`,
  )
  const rewrite = (happened: string) => `
    set session_replication_role = replica;
    update transfers set happened_at = '${happened}' where id = '${rows[0].id}';
    delete from seals;
    set session_replication_role = default;
    select ledger_seal((select last_value from transfer_seq), '{}', 10000)`
  try {
    const right = await run([], { SEAL_FILE: file })
    assert.equal(right.code, 0, right.said)
    assert.match(right.said, /Seals compared with .*log\.$/m)

    await world.owner.query(rewrite('2001-01-01'))
    const unseen = await run([])
    assert.equal(unseen.code, 0)
    assert.match(unseen.said, /No file of seals is named .*: whether they were rewritten is not known/)
    const gone = await run([], { SEAL_FILE: `${file}.not` })
    assert.equal(gone.code, 0)
    assert.match(gone.said, /There is no file of seals at .*: whether they were rewritten is not known/)
    const seen = await run(['--seals', file])
    assert.equal(seen.code, 1)
    assert.match(seen.said, /DIFFERS: the rows and their seals are those of the file outside/)
    assert.match(seen.said, new RegExp(`"what":"changed","transfer":"${rows[0].id}"`))

    await writeFile(`${file}.empty`, '')
    assert.match((await run(['--seals', `${file}.empty`])).said, /lacks the last 1\./)
    const nowhere = await run(['--seals', `${file}.not`])
    assert.equal(nowhere.code, 2)
    assert.match(nowhere.said, /could not run/)
    await world.owner.query(rewrite(rows[0].happened))
    assert.equal((await run(['--seals', file])).code, 0)
  } finally {
    await sealing.close()
    await rm(folder, { recursive: true })
  }
})
