/** What is told in memory never holds back an address of ours, whoever made it and whenever. */
import assert from 'node:assert/strict'
import { after, before, beforeEach, test } from 'node:test'
import fc from 'fast-check'
import pg from 'pg'
import { freshDatabase, type TestDatabase } from '../../../test/database.ts'
import { until } from '../../../test/until.ts'
import { newId } from '../../platform/ids.ts'
import { readKey } from './descriptor.ts'
import { createKeys } from './keys.ts'
import { sandboxKeys } from './sandbox-keys.ts'
import { createMarks, createWatched, markOf } from './watched.ts'

const OTHER_KEY =
  'tpubDC5FSnBiZDMmhiuCmWAYsLwgLYrrT9rAqvTySfuCCrgsWz8wxMXUS9Tb9iVMvcRbvFcAHGkMD5Kx8koh4GquNGNTfohfk7pgjhaPCdXpoba'

let db: TestDatabase
let owner: pg.Client
before(async () => {
  db = await freshDatabase()
  owner = new pg.Client({ connectionString: db.url })
  await owner.connect()
})
after(async () => {
  await owner?.end()
  await db?.close()
})
beforeEach(async () => {
  await owner.query('truncate crypto_keys, crypto_addresses cascade')
  for (const family of ['btc', 'ltc'])
    await owner.query(
      `insert into crypto_keys (family, descriptor, active, created_at) values ($1, $1 || ' key', true, now())`,
      [family],
    )
})

const scriptOf = (n: number) => `0014${n.toString(16).padStart(40, '0')}`

/** The addresses from one number up to another, made at once. */
async function make(family: string, from: number, to = from): Promise<void> {
  await owner.query(
    `insert into crypto_addresses (key_id, index, family, script, address)
     select id, n, family, decode('0014' || lpad(to_hex(n), 40, '0'), 'hex'), 'address ' || n
       from crypto_keys, generate_series($2::int, $3) n where family = $1`,
    [family, from, to],
  )
}

const asked = (watched: ReturnType<typeof createWatched>, ...numbers: number[]) =>
  watched.among(db.database.pool, numbers.map(scriptOf))

test('of a block what may be ours passes, once, and nothing that is ours is missing', async () => {
  const watched = createWatched('btc')
  assert.deepEqual(await asked(watched, 1, 2), [])
  await make('btc', 0, 9)
  await make('ltc', 20)
  assert.deepEqual(await asked(watched, 3, 10, 3, 20, 9), [scriptOf(3), scriptOf(9)])
})

test('what another process made a moment ago is known, and of each coin its own', async () => {
  const [bitcoin, litecoin] = [createWatched('btc'), createWatched('ltc')]
  for (let n = 0; n < 5; n++) {
    await make('btc', 2 * n)
    await make('ltc', 2 * n + 1)
    assert.deepEqual(await asked(bitcoin, 2 * n, 2 * n + 1), [scriptOf(2 * n)])
    assert.deepEqual(await asked(litecoin, 2 * n, 2 * n + 1), [scriptOf(2 * n + 1)])
  }
})

test('a hundred thousand, and the one after them', async () => {
  const watched = createWatched('btc')
  await make('btc', 1, 100_000)
  const own = [1, 49_999, 50_000, 50_001, 100_000]
  assert.deepEqual(await asked(watched, ...own), own.map(scriptOf))
  await make('btc', 100_001)
  assert.deepEqual(await asked(watched, 100_001), [scriptOf(100_001)])
  const strangers = Array.from({ length: 8_000 }, (_, n) => 200_000 + n)
  assert.ok((await asked(watched, ...strangers)).length < 10, 'hardly any passes for nothing')
})

test('books that were put back to an earlier day are read anew', async () => {
  const watched = createWatched('btc')
  await make('btc', 0, 9)
  await asked(watched, 1)
  // Restored to when there were five, and five others were made since, under the same ids.
  const { rows } = await owner.query<{ id: string }>('delete from crypto_addresses where index >= 5 returning id')
  await make('btc', 15, 18)
  await owner.query(
    `insert into crypto_addresses (id, key_id, index, family, script, address) overriding system value
     select $1, id, 19, 'btc', decode('${scriptOf(19)}', 'hex'), 'address 19' from crypto_keys where family = 'btc'`,
    [rows.at(-1)!.id],
  )
  assert.deepEqual(await asked(watched, 4, 15, 19), [4, 15, 19].map(scriptOf))
  await owner.query('delete from crypto_addresses where index >= 3')
  await make('btc', 30)
  assert.deepEqual(await asked(watched, 2, 30), [2, 30].map(scriptOf))
})

test('addresses of one coin come into being one after the other, also while its key is changed', async () => {
  await owner.query('truncate crypto_keys, crypto_addresses cascade')
  const keysOf = (text: string) => {
    const read = readKey('btc', 'test', text)
    assert.ok(read.ok, JSON.stringify(read))
    return createKeys({ database: db.database, settings: { keys: [{ family: 'btc', key: read.key.withOrigin }] } })
  }
  const [before, next] = [keysOf(sandboxKeys.btc), keysOf(OTHER_KEY)]
  await before.settle()
  const watched = createWatched('btc')
  const tx = await db.database.connect()
  try {
    await tx.query('begin')
    const topupId = newId()
    await tx.query(
      `insert into topups (id, account_id, method, amount, created_at, expires_at)
       values ($1, 1, 'crypto', 10000000, house_now(), house_now() + interval '15 minutes')`,
      [topupId],
    )
    await before.give(tx, { family: 'btc', accountId: 1n, topupId })
    const other = next.settle()
    await until(async () => {
      const { rows } = await owner.query(
        "select from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()",
      )
      return rows.length > 0
    })
    await watched.among(db.database.pool, [])
    await tx.query('commit')
    await other
  } finally {
    tx.release()
  }
  const { rows } = await owner.query<{ script: string }>(
    `select encode(script, 'hex') as script from crypto_addresses order by id`,
  )
  const scripts = rows.map(({ script }) => script)
  assert.equal(scripts.length, 41)
  assert.deepEqual(await watched.among(db.database.pool, scripts), scripts)
})

test('a set of marks is a set: what was added is there, and hardly anything else', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 2 ** 32 - 1 }), { maxLength: 3_000 }), (list) => {
      const marks = createMarks()
      const really = new Set<number>()
      for (const one of list) {
        assert.equal(marks.has(one), really.has(one) || (one < 2 && (really.has(0) || really.has(1))))
        marks.add(one)
        really.add(one)
      }
      for (const one of list) assert.ok(marks.has(one))
    }),
    { numRuns: 50 },
  )
})

test('scripts that differ in one character have different marks', () => {
  const marks = new Set(Array.from({ length: 100_000 }, (_, n) => markOf(scriptOf(n))))
  assert.ok(marks.size > 99_990)
})
