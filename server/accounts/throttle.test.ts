import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { freshDatabase, type TestDatabase } from '../../test/database.ts'
import { type Database, openDatabase } from '../platform/db.ts'
import { type Count, createThrottle, networkOf } from './throttle.ts'

let db: TestDatabase
let auth: Database
let others: Database
before(async () => {
  db = await freshDatabase()
  const open = () => openDatabase({ url: db.url, role: 'mobilesms_auth', connectionsMax: 4, onIdleError: () => {} })
  auth = open()
  others = open()
})
after(async () => {
  await auth.close()
  await others.close()
  await db.close()
})

const count = (subject: string, attemptsMax: number, windowSeconds = 60): Count => [
  [subject],
  { attemptsMax, windowSeconds },
]
const doors = () => createThrottle({ db: auth.pool })

test('so many attempts a window, then none until it ends, which is said in seconds', async () => {
  const counts = [count('a', 3)]
  for (let i = 0; i < 3; i++) assert.equal(await doors().take(counts), 0)
  const wait = await doors().take(counts)
  assert.ok(wait >= 1 && wait <= 60, String(wait))
  assert.equal(await doors().take([count('b', 3)]), 0, 'another one is another matter')
  await auth.pool.query(`update throttles set ends_at = now()`)
  assert.equal(await doors().take(counts), 0)
})

test('what succeeds does not count', async () => {
  const counts = [count('c', 1), count('d', 1, 900)]
  for (let i = 0; i < 5; i++) {
    assert.equal(await doors().take(counts), 0)
    await doors().forgive(counts)
  }
})

test('two processes count together, and a hundred at once get no more than there are', async () => {
  const counts = [count('e', 10), count('f', 1000)]
  const [here, there] = [doors(), createThrottle({ db: others.pool })]
  const waits = await Promise.all(Array.from({ length: 100 }, (_, i) => (i % 2 ? here : there).take(counts)))
  assert.equal(waits.filter((wait) => wait === 0).length, 10)
})

test('who takes and who forgives, at once and in many names, never wait for each other', async () => {
  const throttles = [doors(), createThrottle({ db: others.pool })]
  await Promise.all(
    Array.from({ length: 400 }, async (_, i) => {
      // The same two networks and accounts, each pair of them.
      const counts = [
        count(`network ${i % 2}`, 1000),
        count(`both ${i % 4}`, 1000),
        count(`account ${(i >> 1) % 2}`, 1000),
      ]
      const throttle = throttles[i % throttles.length]!
      assert.equal(await throttle.take(counts), 0)
      await throttle.forgive(counts)
    }),
  )
  for (let i = 0; i < 1000; i++) assert.equal(await doors().take([count('account 0', 1000)]), 0)
  assert.ok((await doors().take([count('account 0', 1000)])) > 0, 'all that was taken was given back, and no more')
})

test("whoever is held back by his network does not fill the account's", async () => {
  for (let i = 0; i < 20; i++) await doors().take([count('one stranger', 2), count('his victim', 5)])
  let passed = 0
  for (let i = 0; i < 5; i++)
    passed += (await doors().take([count(`elsewhere ${i}`, 2), count('his victim', 5)])) === 0 ? 1 : 0
  assert.equal(passed, 3)
})

test('one network of IPv6 counts as one address, however it is written; IPv4 by itself, also inside IPv6', () => {
  const networks: [string, string][] = [
    ['2001:db8:0:1:a::1', '2001:db8:0:1'],
    ['2001:db8:0:1::2', '2001:db8:0:1'],
    ['2001:0DB8:0000:0001:ffff:ffff:ffff:ffff', '2001:db8:0:1'],
    ['2001:db8:0:2::1', '2001:db8:0:2'],
    ['fe80::1%eth0', 'fe80:0:0:0'],
    ['::1', '0:0:0:0'],
    ['192.0.2.1', '192.0.2.1'],
    ['::ffff:192.0.2.1', '192.0.2.1'],
  ]
  for (const [address, network] of networks) assert.equal(networkOf(address), network, address)
})

test('a flood takes no more rows than the table may have; what ends first is forgotten first', async () => {
  await auth.pool.query('delete from throttles')
  await auth.pool.query(
    `insert into throttles (key, attempts, ends_at)
     select decode(lpad(to_hex(i), 32, '0'), 'hex'), 1, now() + make_interval(secs => i - 20) from generate_series(1, 100) i`,
  )
  const forget = async () =>
    (await auth.pool.query<{ forgotten: number }>('select auth.throttles_forget(50, 1000) as forgotten')).rows[0]!
      .forgotten
  assert.equal(await forget(), 50)
  const { rows } = await auth.pool.query('select count(*)::int as rows, min(ends_at) > now() as live from throttles')
  assert.deepEqual(rows, [{ rows: 50, live: true }])
  assert.equal(await forget(), 0)
})
