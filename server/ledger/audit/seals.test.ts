/**
 * What the audit says of seals, word for word, of books so small that every place of a range is tried: the first, the last, all of it,
 * a range in which no row was ever committed. Each damage is done alone, in a transaction that is rolled back, and once more with every
 * seal in the database rewritten after it: then it is the file that names the very same row.
 */
import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import pg from 'pg'
import { usd } from '../../../contract/money.ts'
import { freshDatabase, type TestDatabase } from '../../../test/database.ts'
import { newId } from '../../platform/ids.ts'
import { openLog } from '../../platform/log.ts'
import { bookHouseEntry } from '../house.ts'
import { createLedger } from '../ledger.ts'
import { createSealer } from '../seal.ts'
import type { Difference } from './audit.ts'
import { compareWithSeals, readSealFile, sealChecks } from './seals.ts'

const SEQS_PER_SEAL = 3
const [ROWS, CHAIN, FILE] = sealChecks as [string, string, string]

let db: TestDatabase
let owner: pg.Client
let folder: string
let file: string
/** Of the row with this seq. */
const idOf = new Map<number, string>()

/** Eight ranges: 1–3, 4–6 with the house's movement 4, 7–9 of which nothing was committed, … 22–24 of which 24 was not. */
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'audit-of-seals-'))
  file = join(folder, 'seals.log')
  db = await freshDatabase()
  owner = new pg.Client({ connectionString: db.url })
  await owner.connect()
  const log = openLog({ level: 'silent' })
  const ledger = createLedger({ database: db.database, log })
  await ledger.open(owner, 1n)
  for (let seq = 1; seq <= 24; seq++) {
    const id = newId()
    const movement = { id, amount: usd('0.01'), reference: newId() }
    if ([7, 8, 9, 24].includes(seq)) await owner.query(`select nextval('transfer_seq')`)
    else if (seq === 4)
      await bookHouseEntry(owner, { ...movement, debit: 'card_fees', credit: 'card_clearing', code: 'fee' })
    else await ledger.submit({ ...movement, kind: 'credit', accountId: 1n, code: 'gift', contra: 'goodwill' })
    idOf.set(seq, id)
  }
  const seal = createSealer({ database: db.database, log, file, seqsPerSeal: SEQS_PER_SEAL })
  assert.equal(await seal(), 8)
  await ledger.close()
})
after(async () => {
  await owner.end()
  await db.close()
  await rm(folder, { recursive: true })
})

/** What is found of this damage; `rewritten`: by somebody who makes all seals in the database anew. */
async function found(does: string, rewritten = false): Promise<Difference[]> {
  await owner.query('begin; set local session_replication_role = replica')
  try {
    await owner.query(does)
    if (rewritten)
      await owner.query(`
        delete from seals;
        do $$ begin while ledger_seal(24, '{}', ${SEQS_PER_SEAL}) = 'sealed' loop end loop; end $$`)
    return await compareWithSeals(owner, await readSealFile(file))
  } finally {
    await owner.query('rollback')
  }
}

const change = (seq: number) => `update transfers set reference = gen_random_uuid() where seq = ${seq};`
const remove = (from: number, to = from) =>
  `delete from transfers where seq between ${from} and ${to}; delete from house_entries where seq between ${from} and ${to};`
const ADDED = newId()
const add = (seq: number) =>
  `insert into transfers select '${ADDED}', ${seq}, account_id, 99, kind, code, contra, amount, returned, hold_id, reference, available_after,
     held_after, frozen_after, owed_after, happened_at, recorded_at from transfers where seq = 1;`
const counted = (rows_sealed: number, rows_found: number) => ({ rows_sealed, rows_found })
const transfer = (seq: number, id = idOf.get(seq)) => ({ transfer: id, seq: String(seq) })
const between = (after: number, before: number) => ({ after_seq: String(after), before_seq: String(before) })

test('books that nobody touched are those that were sealed, and a range without a row is one of them', async () => {
  assert.deepEqual(await found(''), [])
  assert.deepEqual(await found('', true), [])
  assert.match(await readFile(file, 'utf8'), /^7 9 0 [0-9a-f]{64} -$/m)
})

test('the row that was tampered with is named, wherever it stands in its range, also when all seals were rewritten', async () => {
  const damages: Record<string, [does: string, names: Record<string, unknown>]> = {
    'a row is changed': [change(5), { what: 'changed', ...transfer(5), ...counted(3, 3) }],
    'a movement of the house is changed': [
      'update house_entries set amount = amount + 1',
      { what: 'changed', 'house entry': idOf.get(4), seq: '4', ...counted(3, 3) },
    ],
    'two rows are changed': [change(2) + change(3), { what: 'changed', ...transfer(2), ...counted(3, 3) }],
    'the very first row is gone': [remove(1), { what: 'missing', ...between(0, 2), ...counted(3, 2) }],
    'the first row of a range is gone': [remove(4), { what: 'missing', ...between(3, 5), ...counted(3, 2) }],
    'a row in the middle is gone': [remove(5), { what: 'missing', ...between(4, 6), ...counted(3, 2) }],
    'the last row of a range is gone': [remove(6), { what: 'missing', ...between(5, 7), ...counted(3, 2) }],
    'a whole range is gone': [remove(4, 6), { what: 'missing', ...between(3, 7), ...counted(3, 0) }],
    'all rows from one on are gone': [remove(5, 24), { what: 'missing', ...between(4, 7), ...counted(3, 1) }],
    'a row is added beside another': [add(5), { what: 'added', ...transfer(5, ADDED), ...counted(3, 4) }],
    'a row stands there twice': [
      `alter table transfers drop constraint transfers_pkey; drop index transfers_history;
       insert into transfers select * from transfers where seq = 5`,
      { what: 'added', ...transfer(5), ...counted(3, 4) },
    ],
    'a row is added after all of its range': [add(24), { what: 'added', ...transfer(24, ADDED), ...counted(2, 3) }],
    'a row is added where there was none': [add(8), { what: 'added', ...transfer(8, ADDED), ...counted(0, 1) }],
    'one row is gone, and another one is added after it': [
      remove(22) + add(24),
      { what: 'missing', ...between(21, 23), ...counted(2, 2) },
    ],
    'one row is gone, and another one is added before it': [
      remove(6) + add(4),
      { what: 'added', ...transfer(4, ADDED), ...counted(3, 3) },
    ],
    'one row stands in the place of another': [
      remove(5) + add(5),
      { what: 'changed', ...transfer(5, ADDED), ...counted(3, 3) },
    ],
    'the first row is gone, and all others are changed': [
      remove(4) + change(5) + change(6),
      { what: 'changed', ...transfer(5), ...counted(3, 2) },
    ],
    'a row is added, and the others are changed': [
      change(22) + change(23) + add(24),
      { what: 'changed', ...transfer(22), ...counted(2, 3) },
    ],
  }
  for (const [damage, [does, row]] of Object.entries(damages)) {
    assert.deepEqual((await found(does))[0], { check: ROWS, row }, damage)
    assert.deepEqual(await found(does, true), [{ check: FILE, row: { ...row, file } }], `${damage}, rewritten`)
  }
})

test('a seal that was changed or deleted is named, when its rows are as they were', async () => {
  const changed = (what: string, from: number) => ({
    what,
    rows_from_seq: String(from),
    rows_to_seq: String(from + 2),
  })
  const gone = (seq: number) => `delete from seals where first_seq = ${seq}`
  assert.deepEqual(await found(`update seals set head = sha256('') where first_seq = 4`), [
    { check: ROWS, row: changed('the seal itself is changed', 4) },
    { check: ROWS, row: changed('the seal itself is changed', 7) },
    { check: FILE, row: { ...changed('the seal in the database is changed', 4), file } },
  ])
  assert.deepEqual(await found(gone(7)), [
    { check: CHAIN, row: { seal: '10', should_begin_at: '7' } },
    { check: ROWS, row: changed('the seal itself is changed', 10) },
    { check: FILE, row: { ...changed('the seal in the database is changed', 7), file } },
  ])
  assert.deepEqual(await found(gone(22)), [
    { check: FILE, row: { ...changed('the seal is gone from the database', 22), file } },
  ])
  assert.deepEqual((await found(gone(1))).slice(0, 2), [
    { check: CHAIN, row: { seal: '4', should_begin_at: '1' } },
    { check: ROWS, row: { what: 'added', rows_before_the_first_seal: 3 } },
  ])
})

test('where everything was tampered with, five rows are named', async () => {
  const rows = (await found('update transfers set reference = gen_random_uuid()'))
    .filter(({ check }) => check === ROWS)
    .map(({ row }) => row['seq'])
  assert.deepEqual(rows, ['1', '5', '10', '13', '16'])
})

test('a line of the file that is no seal is shown, and a seal that the file lacks is named', async () => {
  const lines = (await readFile(file, 'utf8')).trimEnd().split('\n')
  const [one, two] = [lines[0]!, lines[1]!]
  const other = join(folder, 'other.log')
  const said = async (...text: string[]) => {
    await writeFile(other, text.map((line) => `${line}\n`).join(''))
    return (await compareWithSeals(owner, await readSealFile(other))).map(({ check, row: { file: of, ...row } }) => {
      assert.deepEqual([check, of], [FILE, other])
      return row
    })
  }
  const noSeal = (line: string) => [{ what: 'the file has a line that is no seal', line }]
  const lacks = (should: number, goes: number) => [
    { what: 'the file lacks seals', should_go_on_at_seq: String(should), goes_on_at_seq: String(goes) },
  ]
  // A line under way, and the beginning of one that was written again: as crashes leave them.
  assert.deepEqual(await said(one, two.slice(0, 20)), [])
  assert.deepEqual(await said(one, two.slice(0, 20), two.slice(0, 60), two), [])
  assert.deepEqual(await said(one, 'here', 'there', ...lines.slice(1)), noSeal('here'))
  assert.deepEqual(await said(one, two.slice(0, 20), 'there', two, 'nowhere', lines[2]!), noSeal('there'))
  assert.deepEqual(await said('here', 'there'), noSeal('here'))
  assert.deepEqual(await said('long '.repeat(30)), noSeal('long '.repeat(20)))
  assert.deepEqual(await said(one, 'long '.repeat(30), two), noSeal('long '.repeat(20)))
  assert.deepEqual(await said(one, ...lines.slice(2)), lacks(4, 7))
  assert.deepEqual(await said(two), lacks(1, 4))
})
