/** What is promised at the start of a top-up by crypto, once for each wish, and to nobody when it could not be kept. */
import assert from 'node:assert/strict'
import { after, before, beforeEach, test } from 'node:test'
import fc from 'fast-check'
import pg from 'pg'
import { micros, printAmount, usd } from '../../../contract/money.ts'
import { freshDatabase, type TestDatabase } from '../../../test/database.ts'
import { wireClock } from '../../platform/clock.ts'
import { type Asset, assetOf, assets, printUnits } from './assets.ts'
import { readKey } from './descriptor.ts'
import type { ChainState } from './health.ts'
import { createKeys } from './keys.ts'
import { createQuotes, type Quoted, unitsFor, uriOf } from './quotes.ts'
import type { PriceNow } from './rates.ts'
import { sandboxKeys } from './sandbox-keys.ts'

let db: TestDatabase
let owner: pg.Client
let rateId: bigint
let account = 100n
before(async () => {
  db = await freshDatabase({ connectionsMax: 16 })
  owner = new pg.Client({ connectionString: db.url })
  await owner.connect()
  const { rows } = await owner.query<{ id: string }>(
    `insert into crypto_rates (asset, price, sources, samples, at) values ('BTC', 64000000000, 3, '[]', house_now()) returning id`,
  )
  rateId = BigInt(rows[0]!.id)
  await keys().settle()
})
after(async () => {
  await owner?.end()
  await db?.close()
})
beforeEach(() => {
  account += 1n
})

function keys(given = true) {
  const read = readKey('btc', 'test', sandboxKeys.btc)
  assert.ok(read.ok)
  return createKeys({
    database: db.database,
    settings: { keys: given ? [{ family: 'btc', key: read.key.withOrigin }] : [] },
  })
}

function open(
  world: {
    price?: PriceNow
    chain?: Pick<ChainState, 'state' | 'detail'>
    suspended?: boolean
    withoutKey?: boolean
  } = {},
) {
  const quotes = createQuotes({
    database: db.database,
    clock: wireClock,
    keys: keys(!world.withoutKey),
    rates: { priceNow: async () => world.price ?? { ok: true, rateId, price: usd('64000'), reused: false } },
    chainState: async () => world.chain ?? { state: 'works', detail: '' },
    networks: ['bitcoin'],
    isSuspended: async () => world.suspended ?? false,
  })
  return {
    ...quotes,
    begin: (key: string | null = null, amount = '10.00') =>
      quotes.start({ accountId: account, asset: assetOf('BTC'), amount: usd(amount), idempotencyKey: key }),
  }
}

const topupOf = (quoted: Quoted) => {
  assert.ok(quoted.ok, quoted.ok ? '' : quoted.refused.detail)
  return quoted.topupId
}
/** What is written that a refusal must not leave: top-ups, promises, keys, addresses that are given out. */
async function written() {
  const { rows } = await owner.query(
    `select (select count(*) from topups) as topups, (select count(*) from crypto_quotes) as quotes,
            (select count(*) from idempotency_keys) as keys, (select count(*) from crypto_addresses) as addresses,
            (select sum(next_index) from crypto_keys) as next`,
  )
  return rows[0]
}

test('the promise holds its rate for 15 minutes and names the confirmations that are asked for today', async () => {
  const id = topupOf(await open().begin())
  const { rows } = await owner.query(
    `select t.amount, t.status, t.method, extract(epoch from t.expires_at - t.created_at)::int as seconds, q.asset, q.chain, q.units,
            q.rate_id, q.price, q.confirmations_required, a.topup_id = t.id as its_own
       from topups t join crypto_quotes q on q.topup_id = t.id join crypto_addresses a on a.id = q.address_id where t.id = $1`,
    [id],
  )
  assert.deepEqual(rows, [
    {
      amount: '10000000',
      status: 'awaiting_payment',
      method: 'crypto',
      seconds: 900,
      asset: 'BTC',
      chain: 'bitcoin',
      units: '15625',
      rate_id: String(rateId),
      price: '64000000000',
      confirmations_required: 3,
      its_own: true,
    },
  ])
})

test('the same wish, repeated and many times at once, is one top-up with one address', async () => {
  const before = await written()
  const all = await Promise.all(Array.from({ length: 12 }, () => open().begin('same')))
  assert.equal(new Set(all.map(topupOf)).size, 1)
  assert.equal(topupOf(await open().begin('same')), topupOf(all[0]!))
  const now = await written()
  assert.equal(now.next - before.next, 1)
  assert.equal(now.topups - before.topups, 1)
})

test('a wish that was promised is answered again, whatever the chain, the exchanges and the clock do meanwhile', async () => {
  const id = topupOf(await open().begin('kept'))
  await owner.query("update topups set expires_at = created_at, status = 'expired' where id = $1", [id])
  const later = open({
    chain: { state: 'halted', detail: 'Bitcoin: halted.' },
    price: { ok: false, refused: 'rate_unavailable', detail: 'None.' },
  })
  assert.equal(topupOf(await later.begin('kept')), id)
})

test('a key binds to the first success: what was refused before may be promised with it', async () => {
  const sick = await open({ chain: { state: 'behind', detail: 'Bitcoin: our node is 14 minutes behind.' } }).begin('k')
  assert.ok(!sick.ok)
  topupOf(await open().begin('k'))
  const other = await open().begin('k', '11.00')
  assert.ok(!other.ok)
  assert.equal(other.refused.code, 'idempotency_key_reused')
})

const refusals: [what: string, world: Parameters<typeof open>[0], code: string, says: RegExp][] = [
  ...(['behind', 'trouble', 'halted', 'not_known'] as const).map(
    (state): [string, Parameters<typeof open>[0], string, RegExp] => [
      `a chain that is ${state}`,
      { chain: { state, detail: 'Bitcoin: our node is 14 minutes behind.' } },
      'temporarily_unavailable',
      /^BTC cannot be taken at the moment\. Bitcoin: our node.*Choose another coin or a card.*nothing was begun\.$/,
    ],
  ),
  [
    'no rate',
    { price: { ok: false, refused: 'rate_unavailable', detail: 'They differ.' } },
    'temporarily_unavailable',
    /^There is no rate for BTC at the moment\. They differ\. Top-ups that were begun keep their rate/,
  ],
  ['a suspended account', { suspended: true }, 'account_suspended', /^This account is suspended, so no top-up can be/],
  [
    'keys that are being changed',
    { withoutKey: true },
    'temporarily_unavailable',
    /our addresses for it are being changed/,
  ],
]
for (const [what, world, code, says] of refusals) {
  test(`${what} means no new promise, and nothing is written`, async () => {
    const before = await written()
    const answer = await open(world).begin('refused')
    assert.ok(!answer.ok)
    assert.equal(answer.refused.code, code)
    assert.match(answer.refused.detail, says)
    assert.deepEqual(await written(), before)
  })
}

test('36: a customer has ten open promises at most, however many he asks for at once; one that is over makes room', async () => {
  const all = await Promise.all(Array.from({ length: 14 }, () => open().begin()))
  const begun = all.filter((one) => one.ok)
  assert.equal(begun.length, 10)
  for (const one of all) {
    if (one.ok) continue
    assert.equal(one.refused.code, 'too_many_open_topups')
    assert.deepEqual(one.refused.extra, { open: 10, max_open: 10 })
    assert.match(one.refused.detail, /You have 10 open top-ups by crypto, and may have 10\. Pay one of them, or wait/)
  }
  await owner.query('update topups set expires_at = created_at where id = $1', [topupOf(begun[0]!)])
  topupOf(await open().begin())
  assert.ok(!(await open().begin()).ok)
})

test('whoever sends exactly what is asked for is credited with all of it, and is asked for no grain more than that takes', () => {
  fc.assert(
    fc.property(
      fc.constantFrom<Asset>(...assets),
      fc.bigInt({ min: 5_000_000n, max: 1_000_000_000n }),
      fc.bigInt({ min: 1n, max: 10n ** 13n }),
      (asset, amount, price) => {
        const units = unitsFor(micros(amount), micros(price), asset)
        const whole = 10n ** BigInt(asset.decimals)
        const grain = 10n ** BigInt(asset.decimals - asset.quoteDecimals)
        assert.ok((units * price) / whole >= amount)
        assert.ok((units - grain) * price < amount * whole)
        assert.equal(units % grain, 0n)
      },
    ),
  )
})

test('wallets of Bitcoin and Litecoin read address and amount, those of Ethereum the address alone', () => {
  assert.equal(uriOf(assetOf('BTC'), 'bc1qx', 12_345n), 'bitcoin:bc1qx?amount=0.00012345')
  assert.equal(uriOf(assetOf('LTC'), 'ltc1qx', 100_000_000n), 'litecoin:ltc1qx?amount=1')
  assert.equal(uriOf(assetOf('ETH'), '0xabc', 1n), '0xabc')
  assert.equal(uriOf(assetOf('USDT'), '0xabc', 5_000_000n), '0xabc')
  assert.equal(printUnits(12_345n, 8), '0.00012345')
  assert.equal(printAmount(usd('64000')), '64000.00')
})
