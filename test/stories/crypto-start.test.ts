/**
 * A top-up by crypto begins, told from outside: what to send, where, at which rate and until when; and what the operator is told of the
 * addresses.
 */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { CryptoOffers, CryptoTopup } from '../../contract/contract.ts'
import type { Problem } from '../../contract/refusals.ts'
import { walletByHand } from '../../server/wallet.ts'
import { until } from '../until.ts'
import { type Customer, startWorld, type World } from '../world.ts'

let world: World
let ana: Customer
before(async () => {
  world = await startWorld({ crypto: true })
  ana = await world.customer({ name: 'ana' })
})
after(() => world?.proveAndStop())

const offers = async () => (await ana.get<CryptoOffers>('/crypto')).body
const offer = async (asset: string) => (await offers()).assets.find((one) => one.asset === asset)!
/** When the networks are read and the exchanges have answered. */
async function begin(asset: string, more: object = {}): Promise<CryptoTopup> {
  await until(async () => (await offer(asset)).offered)
  const begun = await ana.post<CryptoTopup>('/topups', { method: 'crypto', asset, amount: '10.00', ...more })
  assert.equal(begun.status, 201, JSON.stringify(begun.body))
  return begun.body
}

/** What a command of the operator's prints, and what it says beside. */
async function command(...args: string[]): Promise<{ said: string[]; noted: string[] }> {
  const [said, noted]: [string[], string[]] = [[], []]
  const env = {
    DATABASE_URL: world.db.url,
    BITCOIN_RPC_URLS: `${world.sandbox.url}/chains/btc/rpc`,
    LITECOIN_RPC_URLS: `${world.sandbox.url}/chains/ltc/rpc`,
    ETHEREUM_RPC_URLS: `${world.sandbox.url}/chains/eth/rpc`,
  }
  await walletByHand(args, env, { say: (line) => said.push(line), note: (line) => noted.push(line) })
  return { said, noted }
}

test('each coin is offered with its network, how that is doing, its usual fee, and where not to send it', async () => {
  await until(async () => (await offers()).assets.every(({ offered }) => offered))
  const { assets, kept } = await offers()
  assert.deepEqual(
    assets.map(({ asset, network_title, state, minimum, confirmations, minutes_to_confirm, typical_fee }) => [
      asset,
      network_title,
      state,
      minimum,
      confirmations,
      minutes_to_confirm,
      typical_fee,
    ]),
    [
      ['BTC', 'Bitcoin', 'works', '5.00', 3, 30, '0.91'],
      ['LTC', 'Litecoin', 'works', '5.00', 3, 8, '0.01'],
      ['ETH', 'Ethereum', 'works', '5.00', 3, 1, '0.14'],
      ['USDT', 'Ethereum', 'works', '5.00', 3, 1, '0.42'],
      ['USDC', 'Ethereum', 'works', '5.00', 3, 1, '0.42'],
    ],
  )
  assert.ok((await offer('USDT')).do_not_use.includes('Tron (TRC-20)'))
  assert.match(kept, /^We keep the address that we gave you/)
})

test('the amount is exact, the address is fresh, and the rate is the one that the exchanges agree on', async () => {
  const btc = await begin('BTC')
  assert.equal(btc.rate, '64000.00')
  assert.equal(btc.asset_amount, '0.00015625')
  assert.equal(btc.uri, `bitcoin:${btc.address}?amount=0.00015625`)
  assert.equal(Date.parse(btc.expires_at) - Date.parse(btc.created_at), 15 * 60_000)
  assert.notEqual((await begin('BTC')).address, btc.address)
  const usdt = await begin('USDT')
  assert.deepEqual([usdt.rate, usdt.asset_amount, usdt.uri], ['1.00', '10', usdt.address])
})

test('what a program names of rate, amount, address or time is not listened to', async () => {
  const forged = {
    rate: '1.00',
    price: 1,
    asset_amount: '0.00000001',
    units: '1',
    address: 'bcrt1qforged',
    expires_at: '2099-01-01T00:00:00Z',
    confirmations_required: 0,
    network: 'Tron',
    status: 'credited',
    account_id: 1,
  }
  const begun = await begin('BTC', forged)
  assert.deepEqual(
    [begun.rate, begun.asset_amount, begun.network, begun.status, begun.confirmations_required],
    ['64000.00', '0.00015625', 'Bitcoin', 'awaiting_payment', 3],
  )
  assert.match(begun.address, /^bcrt1q[a-z0-9]{38}$/)
  assert.equal(Date.parse(begun.expires_at) - Date.parse(begun.created_at), 15 * 60_000)
})

test('without two exchanges that agree, the last rate serves for five minutes; what was promised keeps its rate', async () => {
  const promised = await begin('LTC')
  for (const source of ['kraken', 'coinbase']) await world.control('/rates/source', { source, does: 'html' })
  assert.equal((await begin('LTC')).rate, promised.rate)
  const { rowCount } = await ownerQuery("update crypto_rates set fetched_at = fetched_at - interval '6 minutes'")
  assert.ok(rowCount)
  const refused = await ana.post<Problem>('/topups', { method: 'crypto', asset: 'LTC', amount: '10.00' })
  assert.deepEqual([refused.status, refused.body.code, refused.body.field], [503, 'temporarily_unavailable', 'asset'])
  assert.match(refused.body.detail, /^There is no rate for LTC at the moment\. The exchanges that we ask do not agree/)
  assert.ok(refused.headers.get('retry-after'))
  const { body } = await ana.get<CryptoTopup>(`/topups/${promised.id}`)
  assert.deepEqual(
    [body.rate, body.asset_amount, body.address],
    [promised.rate, promised.asset_amount, promised.address],
  )
  for (const source of ['kraken', 'coinbase']) await world.control('/rates/source', { source, does: 'ok' })
  await until(async () => {
    await world.server.parts.queue.runTicks()
    return (await ana.post('/topups', { method: 'crypto', asset: 'LTC', amount: '10.00' })).status === 201
  })
})

test('an address that somebody changed in the database is shown to nobody, and whoever runs this is called', async () => {
  const quoted = await begin('ETH')
  await ownerQuery(
    "update crypto_addresses set address = '0x52908400098527886E0F7030069857D2E4169EE7' where address = $1",
    [quoted.address],
  )
  const answer = await ana.get<Problem>(`/topups/${quoted.id}`)
  assert.equal(answer.status, 500)
  assert.doesNotMatch(JSON.stringify(answer.body), /0x/)
  await ownerQuery(
    "update crypto_addresses set address = $1 where address = '0x52908400098527886E0F7030069857D2E4169EE7'",
    [quoted.address],
  )
  assert.equal((await ana.get<CryptoTopup>(`/topups/${quoted.id}`)).body.address, quoted.address)
  assert.ok(world.alarms.length > 0)
  world.alarms.splice(0)
})

test('the operator is shown the first addresses, how far his wallet must look, and what lies where', async () => {
  const { said: first } = await command('keys')
  assert.match(
    first.join('\n'),
    /BITCOIN_KEY: native SegWit addresses\n {2}0 {2}bcrt1q6rz28mcfaxtmd6v789l9rrlrusdprr9pz3cppk\n/,
  )
  assert.match(first.at(-1)!, /^Compare them with the first receiving addresses of your wallet/)

  const paid = await begin('BTC')
  await world.control('/chains/btc/pay', { address: paid.address, amount: paid.asset_amount })
  const token = await begin('USDC')
  await world.control('/chains/eth/pay', { address: token.address, amount: token.asset_amount, asset: 'USDC' })
  for (const chain of ['btc', 'eth']) await world.control(`/chains/${chain}/mine`, { blocks: 1 })
  for (const topup of [paid, token])
    await until(async () => {
      await world.server.parts.queue.runTicks()
      return (await ana.get<CryptoTopup>(`/topups/${topup.id}`)).body.payments[0]?.state === 'confirming'
    })
  const { said } = await command('addresses')
  const bitcoin = said.slice(0, 5).join('\n')
  assert.match(
    bitcoin,
    /^Key \d+, Bitcoin, since [\d-]+: in use\n {2}wpkh\(tpub\w+\/0\/\*\)#[a-z0-9]{8}\n {2}given out: 4, the/,
  )
  assert.match(bitcoin, /watched: to index 23\n {2}paid to: 1, the highest with index 3/)
  assert.match(said[5]!, /longest gap before a payment: 3, which every wallet sees/)

  const { said: csv, noted } = await command('sweep')
  assert.equal(csv[0], 'address,index,asset,balance')
  assert.deepEqual(
    csv.slice(1).sort(),
    [`${paid.address},3,BTC,0.00015625`, csv.find((line) => line.includes('USDC'))].sort(),
  )
  assert.match(
    csv.find((line) => line.includes('USDC'))!,
    new RegExp(`^${token.address},\\d+,USDC,${token.asset_amount}$`),
  )
  assert.deepEqual(noted, [])
})

test('a command of the operator that cannot be understood does nothing, and says what would be right', async () => {
  for (const args of [
    [],
    ['key'],
    ['keys', 'more'],
    ['keys', '--all'],
    ['sweep', '--key', 'x'],
    ['sweep', '--to', 'me'],
  ])
    await assert.rejects(command(...args), /npm run crypto -- /, args.join(' '))
  await assert.rejects(command('sweep', '--key', '999'), /There is no key 999: npm run crypto -- addresses shows/)
})

async function ownerQuery(sql: string, values: unknown[] = []) {
  const { default: pg } = await import('pg')
  const owner = new pg.Client({ connectionString: world.db.url })
  await owner.connect()
  try {
    return await owner.query(sql, values)
  } finally {
    await owner.end()
  }
}
