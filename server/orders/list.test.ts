/** The list of a customer who has 100,000 orders: each filter finds the right ones, by a walk along an index. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import pg from 'pg'
import { freshDatabase, type TestDatabase } from '../../test/database.ts'
import { createLedger, type Ledger } from '../ledger/ledger.ts'
import { createAnnounce } from '../platform/announce.ts'
import { readId } from '../platform/ids.ts'
import { openLog } from '../platform/log.ts'
import { createOrders, type OrderFilter, type Orders } from './orders.ts'

const ORDERS = 100_000
const OPEN = 12
const BUSY = 7n
const OTHER = 8n
const HOUR_MS = 3_600_000
/** One an hour, back from here. */
const LAST = Date.parse('2026-11-23T12:00:00Z')

const log = openLog({ level: 'silent' })
let db: TestDatabase
let owner: pg.Client
let ledger: Ledger
let orders: Orders

before(async () => {
  db = await freshDatabase()
  owner = new pg.Client({ connectionString: db.url })
  await owner.connect()
  ledger = createLedger({ database: db.database, log })
  orders = createOrders({
    database: db.database,
    ledger,
    announce: createAnnounce(),
    log,
    settings: { lifetimeSeconds: 1200, cancelAfterSeconds: 0, restSeconds: 0, openMax: 20 },
  })
  await owner.query(`
    insert into services (code, name) select s, s from unnest(array['telegram', 'google', 'signal']) s;
    insert into countries (code, name, dial_code) values ('GB', 'United Kingdom', '+44'), ('DE', 'Germany', '+49');
    insert into numbers (phone_number, country) select '+4477' || lpad(n::text, 8, '0'), 'GB' from generate_series(1, 1000) n;`)
  // Nearly all for Telegram; every hundredth in Germany; one for Signal, the oldest of all.
  await owner.query(
    `insert into orders (id, number, account_id, service, country, number_id, phone_number, price, status, hold_id,
                         given_at, cancel_from, expires_at, received_at, ended_at)
     select gen_random_uuid(), 100000000000 + n, case when n % 10 = 9 then $3::bigint else $2 end,
            case when n = $1 then 'signal' when n % 5 = 0 then 'google' else 'telegram' end,
            case when n % 100 = 0 then 'DE' else 'GB' end, 1 + n % 1000, '+4477' || lpad((1 + n % 1000)::text, 8, '0'), 1200000,
            s.status, gen_random_uuid(), g.at, g.at, g.at + interval '20 minutes',
            case when s.status in ('received', 'finished') then g.at end,
            case when s.status in ('finished', 'cancelled', 'expired') then g.at end
       from generate_series(1, $1::int) n
       cross join lateral (select $4::timestamptz - make_interval(hours => n) as at) g
       cross join lateral (select case when n <= $5 then 'waiting' when n % 3 = 0 then 'cancelled' else 'finished' end as status) s`,
    [Math.ceil((ORDERS * 10) / 9), BUSY, OTHER, new Date(LAST), OPEN],
  )
  await owner.query('vacuum analyze orders')
})
after(async () => {
  await orders.close()
  await ledger.close()
  await owner.end()
  await db.close()
})

async function list(filter: Partial<OrderFilter>) {
  const found = await orders.list(BUSY, { limit: 50, before: null, ...filter })
  assert.ok(typeof found !== 'string')
  return found
}

const at = (hoursBack: number) => new Date(LAST - hoursBack * HOUR_MS)

test('all filters, alone and together, with how long each takes', async (t) => {
  const measured: [
    what: string,
    filter: Partial<OrderFilter>,
    fits: (order: Awaited<ReturnType<typeof list>>[0]) => boolean,
  ][] = [
    ['none', {}, () => true],
    ['open', { status: 'open' }, (order) => order.status === 'waiting'],
    ['received (none)', { status: 'received' }, () => false],
    ['ended', { status: 'ended' }, (order) => order.ended_at !== null],
    ['cancelled', { status: 'cancelled' }, (order) => order.status === 'cancelled'],
    ['google', { service: 'google' }, (order) => order.service === 'google'],
    ['signal (one, the oldest)', { service: 'signal' }, (order) => order.service === 'signal'],
    ['Germany', { country: 'DE' }, (order) => order.country === 'DE'],
    ['a day, years ago', { from: at(90_000), to: at(89_000) }, () => true],
    ['signal, finished, Germany (none)', { service: 'signal', status: 'finished', country: 'DE' }, () => false],
    ['digits of a phone number', { digits: '7700000123' }, (order) => order.phone_number === '+447700000123'],
    ['digits that nobody has', { digits: '99999999' }, () => false],
  ]
  for (const [what, filter, fits] of measured) {
    await list(filter)
    const begun = performance.now()
    const found = await list(filter)
    t.diagnostic(`${what}: ${found.length} found in ${(performance.now() - begun).toFixed(1)} ms`)
    assert.ok(found.every(fits), what)
    const times = found.map((order) => order.created_at)
    assert.deepEqual(times, [...times].sort().reverse(), `${what}: newest first`)
  }
  assert.equal((await list({ status: 'open' })).length, OPEN - 1, 'one of the twelve newest is somebody else’s')
  assert.equal((await list({ service: 'signal' })).length, 1)
})

test('pages leave nothing out and show nothing twice', async () => {
  const filter = { country: 'DE', from: at(20_000) }
  const seen: string[] = []
  let before: string | null = null
  for (;;) {
    const page = await list({ ...filter, limit: 40, before })
    seen.push(...page.map((order) => order.id))
    if (page.length < 40) break
    before = readId('ord', page.at(-1)!.id)
  }
  assert.equal(seen.length, 200)
  assert.equal(new Set(seen).size, 200)
})

test('a day is that of the customer’s time zone, from its first to its last instant', async () => {
  const days = await list({
    from: { day: '2026-11-20', zone: 'Asia/Kolkata' },
    to: { day: '2026-11-20', zone: 'Asia/Kolkata' },
  })
  const times = days.map((order) => order.created_at)
  // 00:00 there is 18:30 in UTC; every tenth order is somebody else's.
  const hours = Array.from({ length: ORDERS }, (_, n) => n + 1).filter((n) => n % 10 !== 9)
  const expected = hours
    .map((n) => at(n).toISOString())
    .filter((time) => time >= '2026-11-19T18:30:00.000Z' && time < '2026-11-20T18:30:00.000Z')
  assert.deepEqual(times, expected)
  const instants = await list({ from: new Date(times.at(-1)!), to: new Date(times[0]!) })
  assert.deepEqual(
    instants.map((order) => order.created_at),
    times.slice(1),
    'from is included, to is not',
  )
})

test('no list of a customer looks through the orders of the others, nor through rows that do not fit', async () => {
  // As the server's connections plan: without looking at the values.
  await owner.query('set plan_cache_mode = force_generic_plan')
  const planOf = async (conditions: string, values: string) => {
    await owner.query(`prepare listed as select id from orders where account_id = $1 and ${conditions}
                        order by given_at desc, id desc limit 51`)
    const { rows } = await owner.query<{ 'QUERY PLAN': string }>(`explain execute listed(${values})`)
    await owner.query('deallocate listed')
    return rows.map((row) => row['QUERY PLAN']).join('\n')
  }
  assert.match(
    await planOf(
      `status in ('finished', 'cancelled', 'expired') and (position($2 in number::text) > 0 or position($2 in phone_number) > 0)`,
      `${BUSY}, '123'`,
    ),
    /Index Only Scan Backward using orders_of_account /,
  )
  assert.match(await planOf(`status in ('waiting', 'received')`, String(BUSY)), /using orders_open_of_account /)
})
