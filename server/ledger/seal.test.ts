/**
 * Seals: nothing is passed over while everybody writes, nothing stops money, and one row of many that is tampered with is named, also
 * by somebody who rewrites every seal in the database.
 *
 *   SEAL_ROWS=1000000 npm test -- server/ledger/seal      a million rows instead of 20,000
 */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { appendFile, mkdir, mkdtemp, open, readFile, rm, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, mock, test } from 'node:test'
import pg from 'pg'
import { usd } from '../../contract/money.ts'
import { freshDatabase, type TestDatabase } from '../../test/database.ts'
import { until } from '../../test/until.ts'
import { pause } from '../platform/clock.ts'
import { newId } from '../platform/ids.ts'
import { type Log, openLog } from '../platform/log.ts'
import { auditLedger, type Difference } from './audit/audit.ts'
import { compareWithSeals, readSealFile } from './audit/seals.ts'
import { bookHouseEntry } from './house.ts'
import { createLedger, type Ledger } from './ledger.ts'
import { createSealer } from './seal.ts'

const ROWS = Number(process.env['SEAL_ROWS'] ?? 20_000)
const ROWS_PER_SEAL = ROWS / 20
const log = openLog({ level: 'silent' })

let db: TestDatabase
let owner: pg.Client
let ledger: Ledger
let folder: string

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'seals-'))
  db = await freshDatabase({ connectionsMax: 20 })
  owner = new pg.Client({ connectionString: db.url })
  await owner.connect()
  ledger = createLedger({ database: db.database, log })
})
after(async () => {
  await ledger.close()
  await owner.end()
  await db.close()
  await rm(folder, { recursive: true, force: true })
})

/** Books from scratch: what was sealed before belongs to another test. */
async function emptyBooks(): Promise<void> {
  await owner.query(`
    set session_replication_role = replica;
    truncate seals, transfers, house_entries, ledger_accounts, open_holds, platform_deltas, platform_sums;
    select setval('transfer_seq', 1, false);
    set session_replication_role = default;
    select ledger_open(a) from generate_series(1, 4) a`)
}

function sealer(file: string | null, seqsPerSeal = 7, said: Log = log) {
  return createSealer({ database: db.database, log: said, file, seqsPerSeal })
}

const gift = (accountId: bigint) =>
  ({
    id: newId(),
    kind: 'credit',
    accountId,
    code: 'gift',
    contra: 'goodwill',
    amount: usd('0.01'),
    reference: newId(),
  }) as const
const fee = () =>
  ({
    id: newId(),
    debit: 'card_fees',
    credit: 'card_clearing',
    amount: usd('0.01'),
    code: 'fee',
    reference: newId(),
  }) as const

/** Every row stands in exactly one seal, and the audit agrees. */
async function expectAllSealed(file: string | null): Promise<void> {
  const { rows } = await owner.query(`
    select (select sum(row_count) from seals)::int as sealed,
           ((select count(*) from transfers) + (select count(*) from house_entries))::int as written`)
  assert.equal(rows[0].sealed, rows[0].written)
  assert.deepEqual(await auditLedger(db.database.pool, 'ledger', file), [])
}

test('a seal is the same on every version and with every setting', async () => {
  await emptyBooks()
  const strange = new pg.Client({
    connectionString: db.url,
    options:
      '-c timezone=Asia/Kathmandu -c datestyle=German -c intervalstyle=iso_8601 -c extra_float_digits=-15 -c bytea_output=escape -c lc_numeric=C',
  })
  await strange.connect()
  const uuid = (n: number) => `00000000-0000-7000-8000-${String(n).padStart(12, '0')}`
  await strange.query(`
    insert into transfers (id, account_id, number, kind, code, contra, amount, returned, hold_id, reference,
                           available_after, held_after, frozen_after, owed_after, happened_at, recorded_at)
    values ('${uuid(1)}', 1, 1, 'hold', 1, 3, 1200000, 0, null, '${uuid(2)}', 8800000, 1200000, 0, 0,
            '2026-11-23 07:00:00.1+00', '2026-11-23 07:00:00.123456+00'),
           ('${uuid(3)}', 1, 2, 'capture', 1, 3, 1000000, 200000, '${uuid(1)}', '${uuid(2)}', 9000000, 0, 0, 0,
            '1969-12-31 23:59:59.5+00', '2026-11-23 07:00:00+00');
    insert into house_entries (id, debit, credit, amount, code, reference, happened_at, recorded_at)
    values ('${uuid(4)}', 8, 1, 9007199254740993, 61, '${uuid(5)}', '2026-03-29 02:30:00+00', '2026-03-29 02:30:00+00')`)
  const heads: string[] = []
  for (const client of [strange, owner]) {
    await client.query(`begin; select ledger_seal(2, '{}', 10); select ledger_seal(9, '{}', 10)`)
    const { rows } = await client.query(`select encode(head, 'hex') as head from seals order by first_seq desc limit 1`)
    heads.push(rows[0].head)
    assert.deepEqual(await sealDifferences(client), [])
    await client.query('rollback')
  }
  await strange.end()
  assert.deepEqual(heads, [HEAD, HEAD])
})
/** Written down once: with another one, the seals of every database that there is would no longer fit. */
const HEAD = '9d89024663edfc55b78da56c5beb57b9d214509c32c622b934a91a33c98c9748'

test('what was numbered early and committed late is not passed over', async () => {
  await emptyBooks()
  const seal = sealer(null)
  const slow = await db.database.connect()
  await slow.query('begin')
  await bookHouseEntry(slow, fee())
  await ledger.submit(gift(1n))
  const { rows } = await owner.query('select upto, writers from ledger_seal_horizon()')
  const ask = async () =>
    (await owner.query('select ledger_seal($1, $2, 10) as answer', [rows[0].upto, rows[0].writers])).rows[0].answer
  assert.equal(rows[0].upto, '2')
  assert.equal(await ask(), 'still_written')
  await ledger.submit(gift(2n)) // nobody waits
  const other = await db.database.connect()
  await other.query('begin')
  await bookHouseEntry(other, fee()) // who begins later is not waited for
  await slow.query('commit')
  slow.release()
  assert.equal(await ask(), 'sealed')
  assert.equal(await ask(), 'nothing')
  assert.deepEqual((await owner.query('select first_seq, last_seq, row_count from seals')).rows, [
    { first_seq: '1', last_seq: '2', row_count: 2 },
  ])
  await other.query('rollback')
  other.release()
  assert.equal(await seal(), 1)
  assert.deepEqual((await owner.query('select last_seq, row_count from seals where first_seq = 3')).rows, [
    { last_seq: '4', row_count: 1 },
  ])
  assert.equal(await seal(), 0)
  await expectAllSealed(null)
})

test('a run waits a moment for whoever is writing, and seals what he wrote', async () => {
  await emptyBooks()
  const slow = await db.database.connect()
  await slow.query('begin')
  await bookHouseEntry(slow, fee())
  const sealed = sealer(null)()
  await pause(300)
  await slow.query('commit')
  slow.release()
  assert.equal(await sealed, 1)
  await expectAllSealed(null)
})

test('who does not end is waited for five seconds in all, then left to the next run, which seals what he wrote', async () => {
  await emptyBooks()
  const slow = await db.database.connect()
  await slow.query('begin')
  await bookHouseEntry(slow, fee())
  const waits: number[] = []
  const wait = async (milliseconds: number) => void waits.push(milliseconds)
  assert.equal(await createSealer({ database: db.database, log, file: null, wait })(), 0)
  assert.deepEqual([waits.length, waits.reduce((sum, each) => sum + each, 0)], [250, 5000])
  const stopping = new AbortController()
  const stop = async () => stopping.abort()
  assert.equal(await createSealer({ database: db.database, log, file: null, wait: stop })(stopping.signal), 0)
  await slow.query('commit')
  slow.release()
  assert.equal(await sealer(null)(stopping.signal), 0, 'a server that stops begins nothing')
  assert.equal(await sealer(null)(), 1)
  await expectAllSealed(null)
})

test('fifty ranges are sealed in one run at most; the next one goes on, and the file has all', async () => {
  await emptyBooks()
  await db.database.transaction((tx) =>
    ledger.apply(
      tx,
      Array.from({ length: 52 }, () => gift(1n)),
    ),
  )
  const file = join(folder, 'fifty.log')
  const { said, words } = listening()
  const seal = sealer(file, 1, said)
  const lines = async () => (await readFile(file, 'utf8')).match(/\n/g)!.length
  for (const [sealed, inFile] of [
    [50, 50],
    [2, 52],
    [0, 52],
  ]) {
    assert.equal(await seal(), sealed)
    assert.equal(await lines(), inFile)
  }
  assert.deepEqual(words(), [])
  await expectAllSealed(file)
})

test('what the file is told is on the disk when the run is over, and a new file with its folder', async () => {
  await emptyBooks()
  const any = await open(import.meta.filename)
  const sync = mock.method(Object.getPrototypeOf(any), 'sync')
  try {
    const seal = sealer(join(folder, 'synced.log'))
    // On Windows a folder cannot be opened, nor need be.
    for (const syncs of [process.platform === 'win32' ? 1 : 2, 1]) {
      sync.mock.resetCalls()
      await ledger.submit(gift(1n))
      assert.equal(await seal(), 1)
      assert.equal(sync.mock.callCount(), syncs)
    }
  } finally {
    sync.mock.restore()
    await any.close()
  }
})

test('while another process is at it, neither the seals nor their file are touched', async () => {
  await emptyBooks()
  const file = join(folder, 'elsewhere.log')
  await ledger.submit(gift(1n))
  const other = await db.database.connect()
  try {
    await other.query('begin; select pg_advisory_xact_lock(7203012)')
    assert.equal(await sealer(file)(), 0)
    const { rows } = await owner.query(`select ledger_seal(1, '{}', 7) as answer`)
    assert.equal(rows[0].answer, 'elsewhere')
    await other.query('rollback; begin; select pg_advisory_xact_lock(7203013)')
    assert.equal(await sealer(file)(), 1)
    assert.equal(existsSync(file), false)
  } finally {
    await other.query('rollback')
    other.release()
  }
  assert.equal(await sealer(file)(), 0)
  await expectAllSealed(file)
})

test('of a ledger without a row nothing is sealed and no file begun, and its first row is not passed over', async () => {
  await emptyBooks()
  assert.equal((await owner.query('select upto from ledger_seal_horizon()')).rows[0].upto, '0')
  const file = join(folder, 'first.log')
  assert.equal(await sealer(file)(), 0)
  assert.equal(existsSync(file), false)
  await ledger.submit(gift(1n))
  assert.equal(await sealer(null)(), 1)
  await expectAllSealed(null)
})

test('a seal covers as many numbers as it may, and the last one what is left', async () => {
  await emptyBooks()
  for (let n = 0; n < 5; n++) await ledger.submit(gift(1n))
  const { said, words } = listening()
  assert.equal(await sealer(join(folder, 'three.log'), 2, said)(), 3)
  assert.deepEqual(words(), [], 'a new file for new seals is nothing to speak of')
  const { rows } = await owner.query('select first_seq, last_seq, row_count from seals order by first_seq')
  assert.deepEqual(
    rows.map((row) => [row.first_seq, row.last_seq, row.row_count]),
    [
      ['1', '2', 2],
      ['3', '4', 2],
      ['5', '5', 1],
    ],
  )
})

test('who reads the ledger, or writes elsewhere, is no writer that a seal waits for', async () => {
  const [reader, elsewhere] = [await db.database.connect(), await db.database.connect()]
  try {
    await reader.query('begin')
    await reader.query('select count(*) from transfers, house_entries')
    await elsewhere.query('begin')
    await elsewhere.query("insert into services (code, name) values ('elsewhere', 'Elsewhere')")
    assert.deepEqual((await owner.query('select writers from ledger_seal_horizon()')).rows, [{ writers: [] }])
    await elsewhere.query('savepoint writing')
    await bookHouseEntry(elsewhere, fee())
    const { rows } = await owner.query('select writers from ledger_seal_horizon()')
    assert.equal(rows[0].writers.length, 1)
  } finally {
    for (const client of [reader, elsewhere]) {
      await client.query('rollback')
      client.release()
    }
  }
})

test('while four connections write and take back, two processes seal every row once, and one file has it all', async () => {
  await emptyBooks()
  const file = join(folder, 'busy.log')
  const sealers = [sealer(file), sealer(file)]
  let writing = true
  const sealing = sealers.map(async (seal) => {
    while (writing) await seal()
  })
  await Promise.all(
    [1n, 2n, 3n, 4n].map(async (accountId) => {
      for (let n = 0; n < 40; n++) {
        await db.database
          .transaction(async (tx) => {
            await bookHouseEntry(tx, fee())
            await ledger.apply(tx, [gift(accountId), gift(accountId)])
            if (n % 4 === 0) throw new Error('taken back')
          })
          .catch((error: Error) => assert.equal(error.message, 'taken back'))
      }
    }),
  )
  writing = false
  await Promise.all(sealing)
  while ((await sealers[0]!()) > 0) {}
  await expectAllSealed(file)
  const lines = (await readFile(file, 'utf8')).trimEnd().split('\n')
  const { rows } = await owner.query('select count(*)::int as seals from seals')
  assert.equal(lines.length, rows[0].seals)
})

test('a file that cannot be written is said loudly and once, stops nothing, and is made up for', async () => {
  await emptyBooks()
  const file = join(folder, 'blocked.log')
  await mkdir(file)
  const { said, words } = listening()
  const seal = sealer(file, 7, said)
  await ledger.submit(gift(1n))
  assert.equal(await seal(), 1)
  await ledger.submit(gift(1n))
  assert.equal(await seal(), 1)
  assert.deepEqual(words(), ['Alarm: the file of seals is not written; what is sealed stands in the database only'])
  await rm(file, { recursive: true })
  assert.equal(await seal(), 0)
  assert.match(words().at(-1)!, /The file of seals is new/)
  await expectAllSealed(file)
  await rm(file)
  await mkdir(file)
  await seal()
  assert.deepEqual(words(), [words()[0], words()[1], words()[0]], 'what passed and comes again is said again')
})

test('where the file cannot be, that is said and nothing else', async () => {
  await emptyBooks()
  const { said, words } = listening()
  await writeFile(join(folder, 'no folder'), '')
  const seal = sealer(join(folder, 'no folder', 'seals.log'), 1, said)
  for (let n = 0; n < 2; n++) {
    await ledger.submit(gift(1n))
    assert.equal(await seal(), 1)
  }
  assert.deepEqual(words(), ['Alarm: the file of seals is not written; what is sealed stands in the database only'])
})

test('a file that is not of this database is said loudly, left alone, and found by the audit', async () => {
  await emptyBooks()
  const file = join(folder, 'other.log')
  const foreign = `1 1 1 ${'ab'.repeat(32)} AAAA\n`
  await writeFile(file, foreign)
  const { said, words } = listening()
  await ledger.submit(gift(1n))
  assert.equal(await sealer(file, 7, said)(), 1)
  assert.equal(words().length, 1)
  assert.equal(await readFile(file, 'utf8'), foreign)
  assert.equal((await auditLedger(db.database.pool, 'ledger', file)).length, 1)
  await writeFile(file, 'something else\n')
  assert.equal(await sealer(file, 7, said)(), 0)
  assert.equal(words().length, 2)
  assert.equal(await readFile(file, 'utf8'), 'something else\n')
  assert.equal((await auditLedger(db.database.pool, 'ledger', file)).length, 1)
})

test('a line that a crash tore off is written again, whole', async () => {
  await emptyBooks()
  const file = join(folder, 'torn.log')
  const { said, words } = listening()
  const seal = sealer(file, 7, said)
  for (const torn of [1, 30, 90]) {
    await ledger.submit(gift(1n))
    assert.equal(await seal(), 1)
    const text = await readFile(file)
    await truncate(file, text.length - torn)
    assert.deepEqual(await auditLedger(db.database.pool, 'ledger', file), [])
    await ledger.submit(gift(1n))
    assert.equal(await seal(), 1)
    await expectAllSealed(file)
  }
  assert.equal(
    (await readFile(file, 'utf8'))
      .trimEnd()
      .split('\n')
      .filter((line) => line.includes(' ')).length >= 6,
    true,
  )
  assert.deepEqual(words(), [])
})

test('the file is gone on with also where the crash came in its first line, or before it, or tore off more than a line', async () => {
  const begins: Record<string, (file: string) => Promise<void>> = {
    nothing: (file) => truncate(file, 0),
    'the beginning of a line': (file) => truncate(file, 40),
    'a line and much that is none': (file) => appendFile(file, '1 2 '.repeat(100_000)),
  }
  for (const [what, damage] of Object.entries(begins)) {
    await emptyBooks()
    const file = join(folder, `${what}.log`)
    const { said, words } = listening()
    const seal = sealer(file, 7, said)
    await ledger.submit(gift(1n))
    assert.equal(await seal(), 1)
    await damage(file)
    const before = await readFile(file, 'utf8')
    await ledger.submit(gift(1n))
    assert.equal(await seal(), 1)
    const text = await readFile(file, 'utf8')
    const lines = text.slice(before.length).split('\n')
    if (before !== '') assert.equal(lines.shift(), '', 'what is torn stays on a line of its own')
    assert.deepEqual(
      lines.map((line) => line.slice(0, 6)),
      what === 'a line and much that is none' ? ['2 2 1 ', ''] : ['1 1 1 ', '2 2 1 ', ''],
      what,
    )
    assert.deepEqual(words(), [], what)
  }
})

test('a range in which nothing came to stand has its line, too, and the file is gone on with behind it', async () => {
  await emptyBooks()
  const file = join(folder, 'hollow.log')
  const seal = sealer(file, 1)
  // A number that was drawn by somebody who then took everything back.
  await owner.query(`select nextval('transfer_seq')`)
  assert.equal(await seal(), 1)
  await ledger.submit(gift(1n))
  assert.equal(await seal(), 1)
  const lines = (await readFile(file, 'utf8')).split('\n')
  assert.deepEqual(
    lines.map((line) => line.slice(0, 6)),
    ['1 1 0 ', '2 2 1 ', ''],
  )
  await expectAllSealed(file)
})

test('killed at any moment, also between database and file, it goes on where it was', async () => {
  await emptyBooks()
  const file = join(folder, 'killed.log')
  const program = `
    const { createSealer } = await import(${JSON.stringify(join(import.meta.dirname, 'seal.ts'))})
    const { openDatabase } = await import(${JSON.stringify(join(import.meta.dirname, '../platform/db.ts'))})
    const { openLog } = await import(${JSON.stringify(join(import.meta.dirname, '../platform/log.ts'))})
    const database = openDatabase({ url: ${JSON.stringify(db.url)}, role: 'mobilesms_app', connectionsMax: 2, onIdleError() {} })
    const seal = createSealer({ database, log: openLog({ level: 'silent' }), file: ${JSON.stringify(file)}, seqsPerSeal: 2 })
    process.stdout.write('ready')
    for (;;) await seal()`
  for (let kill = 0; kill < 5; kill++) {
    const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const ended = new Promise((tell) => child.once('exit', tell))
    await new Promise((tell) => child.stdout.once('data', tell))
    for (let n = 0; n < 5 + kill; n++) await ledger.submit(gift(1n))
    child.kill('SIGKILL')
    await ended
  }
  // The connections of the dead give their locks back when the database notices.
  const seal = sealer(file, 2)
  await until(async () => {
    await seal()
    const { rows } = await owner.query(
      `select (select max(last_seq) from seals) = (select max(seq) from transfers) as sealed`,
    )
    const lines = (await readFile(file, 'utf8')).split('\n').length - 1
    const { rows: seals } = await owner.query('select count(*)::int as n from seals')
    return rows[0].sealed && lines >= seals[0].n
  })
  await expectAllSealed(file)
})

test('seals are inserted and nothing else, by whatever role', async () => {
  await emptyBooks()
  await ledger.submit(gift(1n))
  assert.equal(await sealer(null)(), 1)
  for (const verb of ['update seals set row_count = 2', 'delete from seals', 'truncate seals']) {
    await assert.rejects(owner.query(verb), /seals are never changed or deleted/)
    await assert.rejects(db.database.pool.query(verb), /permission denied/)
  }
  await assert.rejects(
    db.database.pool.query(`insert into seals values (2, 2, 0, sha256(''), '', now())`),
    /permission denied/,
  )
})

test('numbers are taken one by one, or the horizon would not hold', async () => {
  const { rows } = await owner.query(`select seqcache from pg_sequence where seqrelid = 'transfer_seq'::regclass`)
  assert.equal(rows[0].seqcache, '1')
})

test(`one row of ${ROWS} that was tampered with is named, also when every seal was rewritten`, async (t) => {
  await emptyBooks()
  await owner.query(
    `insert into transfers (id, account_id, number, kind, code, contra, amount, reference, available_after, held_after, frozen_after,
                            owed_after, happened_at, recorded_at)
     select gen_random_uuid(), a, n, 'credit', 41, 6, 1, gen_random_uuid(), n, 0, 0, 0, house_now(), house_now()
       from generate_series(1, 100) n, generate_series(1001, 1000 + $1 / 100) a order by n, a`,
    [ROWS],
  )
  await owner.query(`insert into ledger_accounts (id, credits, transfer_count, last_at)
                     select account_id, 100, 100, max(recorded_at) from transfers group by account_id`)
  await owner.query(`insert into platform_deltas values (6, 41, ${ROWS}, 0, ${ROWS})`)
  await owner.query(`vacuum analyze transfers`)
  const file = join(folder, 'many.log')
  const took: Record<string, string> = {}
  const seconds = async (what: string, work: () => Promise<unknown>) => {
    const begun = performance.now()
    await work()
    took[what] = `${((performance.now() - begun) / 1000).toFixed(1)} s`
  }
  await seconds('sealing', sealer(file, ROWS_PER_SEAL))
  await seconds('audit', () => expectAllSealed(file))

  const at = Math.floor(ROWS * 0.61)
  const { rows } = await owner.query('select id from transfers where seq = $1', [at])
  const id = rows[0].id as string
  const added = newId()
  const damages: Record<string, { does: string; names: Record<string, unknown> }> = {
    edited: {
      does: `update transfers set reference = gen_random_uuid() where seq = ${at}`,
      names: { what: 'changed', transfer: id, seq: String(at) },
    },
    deleted: {
      does: `delete from transfers where seq = ${at}`,
      names: { what: 'missing', after_seq: String(at - 1), before_seq: String(at + 1) },
    },
    reordered: {
      does: `update transfers set seq = ${2 * at + 1} - seq where seq in (${at}, ${at + 1})`,
      names: { what: 'changed', seq: String(at) },
    },
    inserted: {
      does: `insert into transfers select '${added}', seq, account_id, 101, kind, code, contra, amount, returned, hold_id, reference,
               available_after, held_after, frozen_after, owed_after, happened_at, recorded_at from transfers where seq = ${at}`,
      names: { what: 'added', transfer: added },
    },
    truncated: {
      does: `delete from transfers where seq >= ${at}`,
      names: { what: 'missing', after_seq: String(at - 1) },
    },
  }
  for (const [damage, { does, names }] of Object.entries(damages)) {
    await owner.query('begin')
    await owner.query(does)
    const found = await sealDifferences(owner, file)
    expectNamed(damage, found, 'every row is as it was when it was sealed', names)

    await owner.query('set local session_replication_role = replica; delete from seals')
    await owner.query(`do $$ declare upto bigint := (select max(seq) from transfers); begin
      while ledger_seal(upto, '{}', ${ROWS_PER_SEAL}) = 'sealed' loop end loop; end $$`)
    let rewritten: Difference[] = []
    await seconds(damage, async () => {
      rewritten = await sealDifferences(owner, file)
    })
    expectNamed(`${damage}, rewritten`, rewritten, 'the rows and their seals are those of the file outside', names)
    assert.equal(rewritten.length, 1)
    await owner.query('rollback')
  }
  t.diagnostic(
    `${ROWS} rows: ${Object.entries(took)
      .map((entry) => entry.join(' '))
      .join(', ')}`,
  )

  const lines = (await readFile(file, 'utf8')).split('\n')
  const without = join(folder, 'without.log')
  await writeFile(without, [...lines.slice(0, 5), ...lines.slice(6)].join('\n'))
  assert.deepEqual(
    (await auditLedger(db.database.pool, 'ledger', without)).map(({ row }) => row['what']),
    ['the file lacks seals'],
  )
})

function expectNamed(damage: string, found: Difference[], check: string, names: Record<string, unknown>): void {
  const first = found.find((difference) => difference.check === check)
  const row: Difference['row'] = first?.row ?? {}
  const said = Object.fromEntries(Object.keys(names).map((name) => [name, row[name]]))
  assert.deepEqual(said, names, `${damage}: ${JSON.stringify(found)}`)
}

/** What the audit says of seals, also from inside a transaction that is rolled back. */
async function sealDifferences(client: pg.Client, file: string | null = null): Promise<Difference[]> {
  return compareWithSeals(client, file === null ? null : await readSealFile(file))
}

function listening(): { said: Log; words: () => string[] } {
  const heard: string[] = []
  const say = (_: unknown, words: string) => void heard.push(words)
  return { said: { ...log, error: say, warn: say } as unknown as Log, words: () => heard }
}
