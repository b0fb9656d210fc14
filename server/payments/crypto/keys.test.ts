/** Addresses are given out once each, watched for ever, and never shown when they are not what their key gives. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import pg from 'pg'
import { freshDatabase, type TestDatabase } from '../../../test/database.ts'
import { newId } from '../../platform/ids.ts'
import { addressOf } from './address.ts'
import type { Family } from './assets.ts'
import { keyOf, readKey } from './descriptor.ts'
import { AddressTampered, createKeys, KeysDoNotFit, WATCHED_AHEAD } from './keys.ts'
import { sandboxKeys } from './sandbox-keys.ts'

const BIP49 =
  'upub5EFU65HtV5TeiSHmZZm7FUffBGy8UKeqp7vw43jYbvZPpoVsgU93oac7Wk3u6moKegAEWtGNF8DehrnHtv21XXEMYRUocHqguyjknFHYfgY'

let db: TestDatabase
let owner: pg.Client
before(async () => {
  db = await freshDatabase({ connectionsMax: 16 })
  owner = new pg.Client({ connectionString: db.url })
  await owner.connect()
})
after(async () => {
  await owner?.end()
  await db?.close()
})

const setting = (family: Family, text: string = sandboxKeys[family]) => {
  const read = readKey(family, 'test', text)
  assert.ok(read.ok)
  return { family, key: read.key.withOrigin }
}
const keysWith = (...keys: ReturnType<typeof setting>[]) => createKeys({ database: db.database, settings: { keys } })

/** Gives the next address to a new top-up; with `fail`, what was begun is rolled back. */
async function give(keys: ReturnType<typeof keysWith>, family: Family, fail = false) {
  return db.database.transaction(async (tx) => {
    const topupId = newId()
    await tx.query(
      `insert into topups (id, account_id, method, amount, created_at, expires_at)
       values ($1, 1, 'crypto', 10000000, house_now(), house_now() + interval '15 minutes')`,
      [topupId],
    )
    const given = await keys.give(tx, { family, accountId: 1n, topupId })
    if (fail) throw new Error('rolled back on purpose')
    return given
  })
}

async function rows(family: Family) {
  const found = await db.database.pool.query<{ index: number; address: string; given: boolean; descriptor: string }>(
    `select a.index, a.address, a.account_id is not null as given, k.descriptor
       from crypto_addresses a join crypto_keys k on k.id = a.key_id
      where a.family = $1 order by k.id, a.index`,
    [family],
  )
  return found.rows
}

test('35: 50 top-ups at once get 50 addresses, none twice and none left out, though some of them fail', async () => {
  const keys = keysWith(setting('btc'))
  await keys.settle()
  const tried = await Promise.allSettled(Array.from({ length: 60 }, (_, at) => give(keys, 'btc', at % 6 === 5)))
  const given = tried.flatMap((one) => (one.status === 'fulfilled' ? [one.value!] : []))
  assert.equal(given.length, 50)
  assert.equal(new Set(given.map(({ address }) => address)).size, 50)
  const all = await rows('btc')
  assert.deepEqual(
    all.filter((row) => row.given).map(({ index }) => index),
    Array.from({ length: 50 }, (_, index) => index),
  )
  const key = keyOf('btc', setting('btc').key)
  for (const { index, address } of all) assert.equal(address, addressOf(key, index).address)
})

test('20 addresses beyond the last one are watched, whatever was given out', async () => {
  const all = await rows('btc')
  assert.deepEqual(
    all.map(({ index }) => index),
    Array.from({ length: 50 + WATCHED_AHEAD }, (_, index) => index),
  )
})

test('starts at once, and again, change nothing', async () => {
  const before = await rows('btc')
  await Promise.all(Array.from({ length: 5 }, () => keysWith(setting('btc')).settle()))
  assert.deepEqual(await rows('btc'), before)
})

test('an address is shown as its key gives it, and not at all when somebody changed the row', async () => {
  const keys = keysWith(setting('btc'))
  const given = (await give(keys, 'btc'))!
  assert.equal(await keys.rederived(given.addressId), given.address)
  const foreign = addressOf(keyOf('btc', setting('btc', BIP49).key), 7)
  for (const [column, value] of [
    ['address', foreign.address],
    ['script', Buffer.from(foreign.script)],
    ['index', 100_000],
  ] as const) {
    const was = (await owner.query(`select ${column} as value from crypto_addresses where id = $1`, [given.addressId]))
      .rows[0].value
    await owner.query(`update crypto_addresses set ${column} = $2 where id = $1`, [given.addressId, value])
    await assert.rejects(keys.rederived(given.addressId), AddressTampered, column)
    await assert.rejects(keysWith(setting('btc')).rederived(given.addressId), AddressTampered, column)
    await owner.query(`update crypto_addresses set ${column} = $2 where id = $1`, [given.addressId, was])
  }
  assert.equal(await keys.rederived(given.addressId), given.address)
})

test('an address that was put in the place of the next one is given to nobody', async () => {
  const keys = keysWith(setting('btc'))
  const { rows: next } = await owner.query<{ id: string; address: string }>(
    `select a.id, a.address from crypto_addresses a join crypto_keys k on k.id = a.key_id and k.next_index = a.index where k.active and k.family = 'btc'`,
  )
  const foreign = addressOf(keyOf('btc', setting('btc', BIP49).key), 8)
  await owner.query('update crypto_addresses set address = $2 where id = $1', [next[0]!.id, foreign.address])
  await assert.rejects(give(keys, 'btc'), AddressTampered)
  await owner.query('update crypto_addresses set address = $2 where id = $1', [next[0]!.id, next[0]!.address])
  assert.equal((await give(keys, 'btc'))!.address, next[0]!.address)
})

test('37: another key gives the next addresses, those of the old one stay watched, and going back goes on', async () => {
  const [old, fresh] = [keysWith(setting('btc')), keysWith(setting('btc', BIP49))]
  const before = await rows('btc')
  const last = (await give(old, 'btc'))!
  await fresh.settle()
  assert.equal(await give(old, 'btc'), null, 'a process with the old settings gives nothing out')
  const first = (await give(fresh, 'btc'))!
  assert.match(first.address, /^2/)
  assert.equal(await fresh.rederived(last.addressId), last.address)
  const both = await rows('btc')
  for (const row of before) assert.ok(both.some(({ address }) => address === row.address))
  await old.settle()
  const back = (await give(old, 'btc'))!
  const indexOf = (address: string) => both.find((row) => row.address === address)!.index
  assert.equal(indexOf(back.address), indexOf(last.address) + 1)
})

test("a key that gave out one coin's addresses is refused for another", async () => {
  const ltc = createKeys({
    database: db.database,
    settings: { keys: [{ family: 'ltc', key: setting('btc', sandboxKeys.btc).key }] },
  })
  await assert.rejects(ltc.settle(), (error: Error) => {
    assert.ok(error instanceof KeysDoNotFit)
    assert.match(
      error.message,
      /gave out addresses of btc before: each coin needs an account of its own\. Set another one/,
    )
    return true
  })
  assert.deepEqual(await rows('ltc'), [])
})

test('36: 1,000 top-ups that nobody paid are all watched', async () => {
  const keys = keysWith(setting('evm'))
  await keys.settle()
  for (let at = 0; at < 1_000; at += 50) await Promise.all(Array.from({ length: 50 }, () => give(keys, 'evm')))
  const all = await rows('evm')
  assert.equal(all.length, 1_000 + WATCHED_AHEAD)
  assert.equal(all.filter((row) => row.given).length, 1_000)
  assert.equal(new Set(all.map(({ address }) => address)).size, all.length)
})
