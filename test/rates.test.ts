/** Prices are asked of exchanges that fail in every way, kept with what they rest on, and told while they are fresh. */
import assert from 'node:assert/strict'
import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, before, beforeEach, test } from 'node:test'
import { createAdaptorServer } from '@hono/node-server'
import { Hono } from 'hono'
import pg from 'pg'
import type { CryptoAsset } from '../contract/contract.ts'
import { printAmount, usd } from '../contract/money.ts'
import { openRates } from '../sandbox/rates/rates.ts'
import { createRates, priceAt } from '../server/payments/crypto/rates.ts'
import { houseNow, wireClock } from '../server/platform/clock.ts'
import { newId } from '../server/platform/ids.ts'
import { freshDatabase, type TestDatabase } from './database.ts'

let db: TestDatabase
let owner: pg.Client
let exchanges: Server
let url: string
let asked: { path: string; agent: string | undefined }[] = []
/** The wire's clock, moved by hand; the exchanges have the same one. */
let ahead = 0
const clock = { now: () => new Date(wireClock.now().getTime() + ahead * 1000) }
const ALL: CryptoAsset[] = ['BTC', 'LTC', 'ETH', 'USDT', 'USDC']

before(async () => {
  db = await freshDatabase()
  owner = new pg.Client({ connectionString: db.url })
  await owner.connect()
  const app = new Hono()
  app.use(async (c, next) => {
    asked.push({ path: c.req.path, agent: c.req.header('user-agent') })
    await next()
  })
  app.route('/rates', openRates({ clock: () => clock.now().getTime(), note: () => {} }).routes as never)
  exchanges = createAdaptorServer({ fetch: app.fetch }) as Server
  await new Promise<void>((listening) => exchanges.listen(0, '127.0.0.1', listening))
  url = `http://127.0.0.1:${(exchanges.address() as AddressInfo).port}/rates`
})
after(async () => {
  exchanges?.closeAllConnections()
  exchanges?.close()
  await owner?.end()
  await db?.close()
})
beforeEach(async () => {
  await owner.query('delete from crypto_rates')
  for (const source of ['kraken', 'coinbase', 'bitstamp']) await does(source, 'ok')
  await costs('BTC', '64000')
  await costs('USDT', '1.0001')
  asked = []
})

async function control(path: string, body: object): Promise<void> {
  const answer = await fetch(url + path, { method: 'POST', body: JSON.stringify(body) })
  assert.equal(answer.status, 200, await answer.text())
}
const does = (source: string, what: string) => control('/source', { source, does: what })
const costs = (asset: string, price: string) => control('/price', { asset, price })

function open(assets: CryptoAsset[] = ['BTC']) {
  const said: string[] = []
  const log = { warn: (about: { why: string }) => void said.push(about.why), info: () => {} }
  const rates = createRates({
    database: db.database,
    clock,
    log: log as never,
    settings: { assets, urls: { kraken: `${url}/kraken`, coinbase: `${url}/coinbase`, bitstamp: `${url}/bitstamp` } },
  })
  return { ...rates, said, round: () => rates.tick(new AbortController().signal) }
}
const pass = (seconds: number) => {
  ahead += seconds
}
async function told(rates: ReturnType<typeof open>, asset: CryptoAsset = 'BTC'): Promise<string> {
  const now = await rates.priceNow(asset)
  return now.ok ? `${printAmount(now.price)}${now.reused ? ' reused' : ''}` : now.detail
}
const NOT_AGREED = 'The exchanges that we ask do not agree on a present price of BTC, or do not answer.'

test('a round stores a price of each coin, with what every source said', async () => {
  const rates = open(ALL)
  await rates.round()
  assert.equal(await told(rates), '64000.00')
  assert.equal(await told(rates, 'LTC'), '80.00')
  assert.equal(await told(rates, 'USDT'), '1.00', 'never more than a dollar')
  assert.deepEqual(rates.said, [])
  const { rows } = await db.database.pool.query<{ asset: string; sources: number; samples: { source: string }[] }>(
    'select asset, sources, samples from crypto_rates order by asset',
  )
  assert.deepEqual(
    rows.map(({ asset, sources, samples }) => [asset, sources, samples.map(({ source }) => source).join(' ')]),
    [
      ['BTC', 3, 'kraken coinbase bitstamp'],
      ['ETH', 3, 'kraken coinbase bitstamp'],
      ['LTC', 3, 'kraken coinbase bitstamp'],
      ['USDC', 2, 'kraken bitstamp'],
      ['USDT', 3, 'kraken coinbase bitstamp'],
    ],
  )
  assert.equal(asked.length, 1 + 4 + 5)
  assert.ok(asked.every(({ agent }) => agent === 'MobileSMS'))
})

test('while the price is young nobody is asked again, and after a leap of house time somebody is', async () => {
  const rates = open()
  await rates.round()
  await rates.round()
  assert.equal(asked.length, 3)
  await owner.query("update crypto_rates set at = at - interval '1 hour'")
  await rates.round()
  assert.equal(asked.length, 6)
})

for (const what of ['down', 'error', 'html', 'stale', 'absurd', 'outlier', 'renamed']) {
  test(`40: a source that is ${what} neither stops the price nor has a part in it`, async () => {
    await does('coinbase', what)
    const rates = open()
    await rates.round()
    // The two that are left: 64000 and 0.03 % less.
    assert.equal(await told(rates), '63990.40')
    const { rows } = await db.database.pool.query('select sources, samples from crypto_rates')
    assert.equal(rows[0].sources, 2)
    const doubted = rows[0].samples.filter((one: { believed: boolean }) => !one.believed)
    assert.deepEqual(
      doubted.map(({ source }: { source: string }) => source),
      ['coinbase'],
    )
    assert.ok(doubted[0].why)
  })
}

for (const what of ['down', 'error', 'html', 'stale', 'absurd', 'renamed'] as const) {
  test(`40: Kraken and Bitstamp being ${what}, the last price is used for five minutes and then none`, async () => {
    const rates = open()
    await rates.round()
    await does('kraken', what)
    await does('bitstamp', what)
    pass(20)
    await rates.round()
    assert.equal(await told(rates), '64000.00')
    pass(100)
    await rates.round()
    assert.equal(await told(rates), '64000.00 reused')
    assert.deepEqual(rates.said, ['no price of BTC: 1 of 3 sources can be believed'], 'once, not with every round')
    pass(181)
    await rates.round()
    assert.equal(await told(rates), NOT_AGREED)
    await does('kraken', 'ok')
    await rates.round()
    assert.equal(await told(rates), '64009.60')
  })
}

test('one pair that Kraken does not list any more does not cost the others theirs', async () => {
  await does('kraken', 'unlisted')
  const rates = open(['BTC', 'LTC', 'ETH'])
  await rates.round()
  const { rows } = await db.database.pool.query<{ asset: string; sources: number }>(
    'select asset, sources from crypto_rates order by asset',
  )
  assert.deepEqual(
    rows.map(({ asset, sources }) => [asset, sources]),
    [
      ['BTC', 3],
      ['ETH', 3],
      ['LTC', 2],
    ],
  )
  assert.equal(asked.filter(({ path }) => path.includes('kraken')).length, 4)
})

test('a leap of more than 10 % waits for a second round', async () => {
  const rates = open()
  await rates.round()
  await costs('BTC', '72000')
  pass(20)
  await rates.round()
  assert.equal(await told(rates), '64000.00')
  pass(20)
  await rates.round()
  assert.equal(await told(rates), '72000.00')
})

test('a leap that was a slip is forgotten', async () => {
  const rates = open()
  await rates.round()
  await costs('BTC', '6400')
  pass(20)
  await rates.round()
  await costs('BTC', '64100')
  pass(20)
  await rates.round()
  assert.equal(await told(rates), '64100.00')
})

test('40: a dollar coin below 0.97 is not quoted, and its payments are valued by what it costs', async () => {
  const rates = open(['USDT'])
  await costs('USDT', '0.969')
  await rates.round()
  assert.match(await told(rates, 'USDT'), /^USDT costs \$0\.968\d+ at the moment, and below \$0\.97 we do not take it/)
  const at = await priceAt(db.database.pool, 'USDT', await houseNow(db.database.pool))
  assert.ok(at!.price < usd('0.97'))
})

test('what happened at a time has the price before it, five minutes old at most, else the first one after it', async () => {
  const base = await houseNow(db.database.pool)
  const at = (minutes: number) => new Date(base.getTime() + minutes * 60_000)
  for (const [minutes, price] of [
    [0, 100],
    [3, 101],
    [30, 102],
  ] as const) {
    await owner.query(`insert into crypto_rates (asset, price, sources, samples, at) values ('BTC', $1, 2, '[]', $2)`, [
      BigInt(price) * 1_000_000n,
      at(minutes),
    ])
  }
  const found = async (minutes: number, asset: CryptoAsset = 'BTC') => {
    const price = await priceAt(db.database.pool, asset, at(minutes))
    return price && printAmount(price.price)
  }
  assert.equal(await found(-1), '100.00', 'the first one after it')
  assert.equal(await found(0), '100.00')
  assert.equal(await found(2.9), '100.00')
  assert.equal(await found(3), '101.00')
  assert.equal(await found(8), '101.00', 'five minutes old')
  assert.equal(await found(8.1), '102.00', 'too old: the first one after it')
  assert.equal(await found(34), '102.00')
  assert.equal(await found(36), null, 'there is none yet: wait')
  assert.equal(await found(0, 'LTC'), null)
})

test('a price that nothing rests on is forgotten after 90 days, one that was promised is kept', async () => {
  const { rows } = await owner.query<{ id: string }>(
    `insert into crypto_rates (asset, price, sources, samples, at)
     select 'BTC', 100, 2, '[]', house_now() - make_interval(days => d) from unnest(array[89, 91, 92]) d returning id`,
  )
  const topupId = newId()
  await owner.query(
    `insert into topups (id, account_id, method, amount, created_at, expires_at) values ($1, 1, 'crypto', 10000000, now(), now())`,
    [topupId],
  )
  await owner.query(
    `with k as (insert into crypto_keys (family, descriptor, active, created_at) values ('btc', 'x', true, now()) returning id),
          a as (insert into crypto_addresses (key_id, index, family, script, address) select id, 0, 'btc', 'x', 'x' from k returning id)
     insert into crypto_quotes (topup_id, asset, chain, address_id, units, rate_id, price, confirmations_required)
     select $1, 'BTC', 'bitcoin', id, 1, $2, 100, 3 from a`,
    [topupId, rows[2]!.id],
  )
  await open().round()
  const left = await owner.query<{ id: string }>('select id from crypto_rates order by id')
  assert.deepEqual(left.rows.map(({ id }) => id).slice(0, 2), [rows[0]!.id, rows[2]!.id])
  assert.equal(left.rowCount, 3, 'and the new one')
  await owner.query('delete from crypto_quotes')
})
