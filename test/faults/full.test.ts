/**
 * A disk that is full, to the last byte, under a PostgreSQL of its own: first where the tables lie, then where its log goes on, so that
 * PostgreSQL dies of it and cannot come back; and a database that is read-only. Nobody is told an untruth, what can be read is read, and
 * when there is room again everything goes on without anybody starting anything.
 */
import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { after, before, test } from 'node:test'
import pg from 'pg'
import type { Order, Status } from '../../contract/contract.ts'
import type { Problem } from '../../contract/refusals.ts'
import { newId, readId } from '../../server/platform/ids.ts'
import { until } from '../until.ts'
import { type Customer, signSms, startWorld, type World } from '../world.ts'
import { type Cluster, startCluster } from './cluster.ts'
import { fillTheShop } from './stock.ts'

/** A cluster with a database or two needs half of it. */
const DISK_BYTES = 320_000_000
const NUMBERS = 2_000
/** Some rows still find room in pages that are there. */
const ORDERS_UNTIL_FULL_MAX = 400
const CROWD = 200
const AT_ONCE = 20
/** Each fills the rest of a part of the log, so that the next one must begin; some are ready. */
const PARTS_OF_LOG_MAX = 40
/** What a crowd that is refused for a while may write into the log. Each request alone would be one line or more. */
const LINES_MAX = 100

let cluster: Cluster
let world: World
let ana: Customer
let owner: pg.Client
/** What was asked under which key, and which order it became, by what was told. */
const told = new Map<string, string | null>()

before(async () => {
  cluster = await startCluster({ diskBytes: DISK_BYTES })
  // The database of this test is on its own cluster.
  process.env['TEST_DATABASE_URL'] = cluster.url
  world = await startWorld({
    asProcess: true,
    env: { ORDER_OPEN_MAX: '5000', ORDER_CANCEL_AFTER_SECONDS: '0', LOG_LEVEL: 'warn' },
  })
  await fillTheShop(world, NUMBERS)
  ana = await world.customer({ name: 'ana', credit: '5000.00' })
  owner = await connect()
})
after(async () => {
  await owner?.end().catch(() => {})
  await world?.stop()
  await cluster?.stop()
})

test('no room for the tables: 503 and nothing half done, and all is well by itself when there is some', async (t) => {
  const order = await mustOrder()
  const browser = await world.signIn(ana)
  await cluster.fillDisk()
  try {
    let refused = 0
    for (let n = 0; refused < 3; n++) {
      assert.ok(n < ORDERS_UNTIL_FULL_MAX, 'the disk is not full')
      if ((await place()) === null) refused++
    }
    const { code, severity } = await owner.query('create table more_room as select generate_series(1, 10000)').then(
      () => assert.fail('there is room'),
      (error: pg.DatabaseError) => error,
    )
    assert.deepEqual([code, severity], ['53100', 'ERROR'])

    assert.deepEqual(await readiness(), {
      status: 503,
      missing: ['The database refuses changes: its disk is full, or fails.'],
    })
    assert.equal((await fetch(`${world.server.url}/healthz`)).status, 200)
    const { body } = await world.stranger().get<Status>('/status')
    assert.equal(body.parts.find(({ part }) => part === 'pages')!.state, 'trouble')
    // What can be read is read, by a session that was not used for a while, too.
    await owner.query("update auth.sessions set last_used_at = now() - interval '2 minutes'").catch(() => {})
    for (const path of ['/me', '/balance', '/orders', '/billing/history', '/services'])
      assert.equal((await browser.get(path)).status, 200, path)
    // Whatever else is written finds room by chance, or is refused as it should be.
    for (const answer of [await ana.post('/topups', { method: 'card', amount: '10.00' }), await cancel(order)])
      if (answer.status >= 300) expectUnavailable(answer)
    const sms = await deliver(order)
    if (sms.status !== 200) expectUnavailable(sms)

    const before = world.server.said().length
    await crowd()
    const lines = world.server.said().slice(before).split('\n').length
    t.diagnostic(`${CROWD} orders asked for while the disk is full: ${lines} lines of log`)
    assert.ok(lines < LINES_MAX, world.server.said().slice(before, before + 4_000))
  } finally {
    await cluster.emptyDisk()
  }
  await until(async () => (await place()) !== null)
  await until(async () => (await readiness()).status === 200)
  await whatWasToldIsTrue()
})

test('no room for the log: PostgreSQL dies and comes back when there is some, and the server goes on', async (t) => {
  await owner.query('checkpoint')
  await cluster.fillDisk()
  let word: Partial<pg.DatabaseError> | undefined
  let over = false
  // Customers who are on their way when it dies, and after.
  const ordering = Promise.all(
    Array.from({ length: AT_ONCE }, async () => {
      while (!over) await place()
    }),
  )
  try {
    for (let part = 0; word === undefined; part++) {
      assert.ok(part < PARTS_OF_LOG_MAX, 'the log still has room')
      await owner
        .query("select pg_logical_emit_message(true, 'a', 'b'); select pg_switch_wal()")
        .catch((error: pg.DatabaseError) => {
          word = error
        })
    }
    // It tried to come back, and could not.
    await until(async () =>
      connect().then(
        (client) => client.end().then(() => false),
        (error: Error & { code?: string }) => error.code === 'ECONNREFUSED',
      ),
    )
    t.diagnostic(`its last word to us: ${word.severity ?? ''} ${word.code ?? ''} ${word.message}`)
    const { status, missing } = await readiness()
    assert.equal(status, 503)
    // Of the last ten seconds it also knows why.
    assert.match(missing!.join(), /^The database (does not answer|refuses changes: its disk is full, or fails)\.$/)
    assert.equal((await fetch(`${world.server.url}/healthz`)).status, 200)
  } finally {
    over = true
    await ordering
    await cluster.emptyDisk()
  }
  await until(async () => (await readiness()).status === 200)
  assert.notEqual(await place(), null)
  assert.equal(cluster.lost(), '')
  owner = await connect()
  await whatWasToldIsTrue()
})

test('a database that is read-only: 503 for whoever would change something, and all is well by itself afterwards', async (t) => {
  const browser = await world.signIn(ana)
  const order = await mustOrder()
  await readOnly('on')
  try {
    assert.equal(await place(), null)
    expectUnavailable(await ana.post('/topups', { method: 'card', amount: '10.00' }))
    expectUnavailable(await cancel(order))
    expectUnavailable(await deliver(order))
    expectUnavailable(
      await world.stranger().post('/api/auth/sign-in/username', { username: 'ana', password: ana.password }),
    )
    assert.deepEqual(await readiness(), { status: 503, missing: ['The database takes no changes: it is read-only.'] })
    for (const path of ['/me', '/balance', '/orders', '/billing/history', '/services'])
      assert.equal((await browser.get(path)).status, 200, path)
    const before = world.server.said().length
    await crowd()
    const lines = world.server.said().slice(before).split('\n').length
    t.diagnostic(`${CROWD} orders asked for while it is read-only: ${lines} lines of log`)
    assert.ok(lines < LINES_MAX, world.server.said().slice(before, before + 4_000))
  } finally {
    await readOnly('off')
  }
  await until(async () => (await place()) !== null)
  await until(async () => (await readiness()).status === 200)
  assert.equal((await deliver(order)).status, 200)
  await whatWasToldIsTrue()
})

test('a log on a full disk loses lines, and no request', async () => {
  assert.ok(
    existsSync('/dev/full'),
    'This machine has no /dev/full, on which every write fails as on a full disk: test on Linux.',
  )
  const quiet = await startWorld({ asProcess: true, logTo: '/dev/full' })
  try {
    const bea = await quiet.customer({ credit: '5.00' })
    const order = await bea.order()
    assert.equal((await bea.orderNow(order.id)).status, 'waiting')
    assert.equal((await bea.post('/nothing')).status, 404)
  } finally {
    await quiet.stop()
  }
})

/** The order, or null: it was refused for the moment. The same key again later. */
async function place(key = newId()): Promise<Order | null> {
  const { status, body, headers } = await ana.post<Order | Problem>(
    '/orders',
    { service: 'telegram', country: 'GB' },
    { 'idempotency-key': key },
  )
  if (status !== 201) expectUnavailable({ status, body, headers })
  told.set(key, status === 201 ? (body as Order).id : null)
  return status === 201 ? (body as Order) : null
}

async function mustOrder(): Promise<Order> {
  const order = await place()
  assert.ok(order)
  return order
}

function cancel(order: Order) {
  return ana.post(`/orders/${order.id}/cancel`)
}

async function deliver(order: Order) {
  const body = JSON.stringify({ id: newId(), to: order.phone_number, from: 'Telegram', text: 'Your code is 123456' })
  return world.stranger().post('/webhooks/sms/generic', body, { 'x-signature': signSms(body) })
}

/** All of them are refused, and slowly enough for a person to read the log. */
async function crowd(): Promise<void> {
  for (let asked = 0; asked < CROWD; asked += AT_ONCE) {
    const orders = await Promise.all(Array.from({ length: AT_ONCE }, () => place()))
    assert.ok(orders.every((order) => order === null))
  }
}

function expectUnavailable({ status, body, headers }: { status: number; body: object; headers: Headers }): void {
  assert.equal(status, 503, JSON.stringify(body))
  assert.equal((body as Problem).code, 'temporarily_unavailable')
  assert.match(headers.get('retry-after') ?? '', /^([1-9]|[12]\d|30)$/)
}

async function readiness(): Promise<{ status: number; missing: string[] | undefined }> {
  const answer = await fetch(`${world.server.url}/readyz`)
  const { missing } = (await answer.json()) as { missing?: string[] }
  return { status: answer.status, missing }
}

/** An order that was acknowledged is there under its key; one that was refused was not, or, repeated under its key, is exactly one. */
async function whatWasToldIsTrue(): Promise<void> {
  const refused = [...told].flatMap(([key, id]) => (id === null ? [key] : []))
  for (let at = 0; at < refused.length; at += AT_ONCE)
    assert.ok(
      (await Promise.all(refused.slice(at, at + AT_ONCE).map((key) => place(key)))).every((order) => order !== null),
    )
  const { rows } = await world.db.database.pool.query<{ key: string; id: string }>(
    'select k.key, o.id from orders o left join idempotency_keys k on k.subject = o.id',
  )
  assert.deepEqual(
    new Map(rows.map(({ key, id }) => [key, id])),
    new Map([...told].map(([key, id]) => [key, readId('ord', id!)])),
  )
  assert.equal(rows.length, told.size)
  await world.audit()
}

async function readOnly(value: 'on' | 'off'): Promise<void> {
  await owner.query('set default_transaction_read_only = off')
  await owner.query(`alter system set default_transaction_read_only = ${value}`)
  await owner.query('select pg_reload_conf()')
  await until(async () => {
    const { rows } = await world.db.database.pool.query('show default_transaction_read_only')
    return rows[0].default_transaction_read_only === value
  })
}

async function connect(): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: world.db.url })
  client.on('error', () => {})
  await client.connect()
  return client
}
