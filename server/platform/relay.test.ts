import assert from 'node:assert/strict'
import { getActiveResourcesInfo } from 'node:process'
import { after, before, test } from 'node:test'
import pg from 'pg'
import { freshDatabase, type TestDatabase } from '../../test/database.ts'
import { until } from '../../test/until.ts'
import { type Announcement, createAnnounce, keyOf, type Origin } from './announce.ts'
import { newId } from './ids.ts'
import { openLog } from './log.ts'
import { openRelay } from './relay.ts'

let db: TestDatabase
before(async () => {
  db = await freshDatabase()
})
after(() => db.close())

/** One of several processes: what its pages were told. */
async function process() {
  const announce = createAnnounce()
  const told: { key: string; origin: Origin }[] = []
  announce.subscribe((announcement, origin) => told.push({ key: keyOf(announcement), origin }))
  const relay = await openRelay({ url: db.url, announce, log: openLog({ level: 'silent' }) })
  return {
    announce,
    relay,
    told,
    hears: (key: string) => until(async () => told.some((each) => each.key === key)),
  }
}

/** As an administrator, a failover or a network does. */
async function cutAllConnections(): Promise<void> {
  const { rows } = await db.database.pool.query<{ pids: number[] }>(
    "select array_agg(pid) as pids from pg_stat_activity where application_name = 'mobilesms_relay' and datname = current_database()",
  )
  const owner = new pg.Client({ connectionString: db.url })
  await owner.connect()
  await owner.query('select pg_terminate_backend(pid) from unnest($1::int[]) pid', [rows[0]!.pids])
  await owner.end()
}

test('what one process announces is told in every other one, and in its own at once and once', async () => {
  const [here, there, third] = [await process(), await process(), await process()]
  const order: Announcement = { what: 'order', accountId: 12n, id: newId() }
  here.announce.publish(order)
  assert.deepEqual(here.told, [{ key: keyOf(order), origin: 'here' }])
  here.announce.publish({ what: 'balance', accountId: 9_223_372_036_854_775_807n })
  here.announce.publish({ what: 'topup', accountId: 12n, id: newId() })
  for (const other of [there, third]) {
    await until(async () => other.told.length === 3)
    assert.deepEqual(
      other.told,
      here.told.map(({ key }) => ({ key, origin: 'elsewhere' })),
    )
  }
  // What is told after it would come after it.
  there.announce.publish({ what: 'everything' })
  await here.hears('everything')
  assert.equal(here.told.length, 4)
  for (const one of [here, there, third]) await one.relay.close()
})

test('more than one payload holds arrives whole, and the same thing said often is told once', async () => {
  const [here, there] = [await process(), await process()]
  const ids = Array.from({ length: 1_500 }, () => newId())
  for (const id of ids) here.announce.publish({ what: 'order', accountId: 7n, id })
  for (let i = 0; i < 1_000; i++) here.announce.publish({ what: 'balance', accountId: 7n })
  await until(async () => there.told.length >= ids.length + 1)
  assert.deepEqual(
    new Set(there.told.map(({ key }) => key)),
    new Set(['balance 7', ...ids.map((id) => `order 7 ${id}`)]),
  )
  assert.equal(there.told.length, ids.length + 1)
  await Promise.all([here.relay.close(), there.relay.close()])
})

test('ten thousand announcements at once take no memory: the others are told to read everything', async () => {
  const [here, there] = [await process(), await process()]
  let most = 0
  for (let i = 0; i < 10_000; i++) {
    here.announce.publish({ what: 'order', accountId: 7n, id: newId() })
    most = Math.max(most, here.relay.waiting())
  }
  assert.ok(most <= 2_001, `${most} waited to be told`)
  await there.hears('everything')
  await until(async () => here.relay.waiting() === 0)
  await Promise.all([here.relay.close(), there.relay.close()])
})

test('a connection that is cut comes back: its pages read everything anew, and what was announced meanwhile is told', async () => {
  const [here, there] = [await process(), await process()]
  await cutAllConnections()
  await Promise.all([here, there].map(({ relay }) => until(async () => !relay.isOpen())))
  const id = newId()
  here.announce.publish({ what: 'order', accountId: 3n, id })
  // Nobody is there to hear it for the moment: memory stays bounded then, too.
  for (let i = 0; i < 10_000; i++) there.announce.publish({ what: 'order', accountId: 4n, id: newId() })
  assert.ok(there.relay.waiting() <= 2_001)
  for (const one of [here, there]) await one.hears('everything')
  await until(async () => here.relay.isOpen() && there.relay.isOpen() && here.relay.waiting() === 0)

  const next = newId()
  here.announce.publish({ what: 'order', accountId: 3n, id: next })
  await there.hears(`order 3 ${next}`)
  await Promise.all([here.relay.close(), there.relay.close()])
})

test('what was announced before the end is told before the end', async () => {
  const [here, there] = [await process(), await process()]
  const id = newId()
  here.announce.publish({ what: 'topup', accountId: 5n, id })
  await here.relay.close()
  await there.hears(`topup 5 ${id}`)
  await there.relay.close()
})

test('what another version announces, and anything else on the channel, is passed over', async () => {
  const there = await process()
  for (const payload of [
    '',
    'order',
    'order x y',
    'balance -1',
    'ticket 12 x',
    '{"what":"order"}',
    'order 12 ',
    '\n\n',
  ])
    await db.database.pool.query('select pg_notify($1, $2)', ['mobilesms_announcements', payload])
  await db.database.pool.query('select pg_notify($1, $2)', ['mobilesms_announcements', 'balance 5'])
  await there.hears('balance 5')
  assert.equal(there.told.length, 1)
  await there.relay.close()
})

test('what has ended leaves no timer behind', async () => {
  const timers = () => getActiveResourcesInfo().filter((what) => what === 'Timeout').length
  const before = timers()
  const one = await process()
  one.announce.publish({ what: 'balance', accountId: 5n })
  await one.relay.close()
  assert.equal(Math.max(timers(), before), before)
})
