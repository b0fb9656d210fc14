/**
 * R4 on Ethereum: what tokens and contracts do to a top-up, by the whole server over a real node. The numbers in the titles are the rows of
 * crypto.md, section 4.
 */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { Hex } from 'viem'
import type { CryptoTopup, CryptoTransaction } from '../../contract/contract.ts'
import { type Rig, startRig } from '../chains/anvil.ts'
import { until } from '../until.ts'
import { type Customer, startWorld, type World } from '../world.ts'

const USDT = '0xdac17f958d2ee523a2206206994597c13d831ec7'
const USDC = '0xa0b86991c6218b36c1d19d4a2e9eb0ce3606eb48'

let rig: Rig
let world: World
let splitter: Hex

before(async () => {
  rig = await startRig()
  // Keeps one part in a hundred of each transfer, as this token is able to.
  await rig.put('Feed', USDT)
  await rig.put('Plain', USDC)
  splitter = await rig.put('Splitter')
  for (const payer of rig.payers)
    for (const token of [USDT, USDC] as const)
      await rig.send({ from: payer, to: token, data: rig.data('Plain', 'mint', [payer, 10n ** 12n]) })
  await rig.mine(12)
  world = await startWorld({ crypto: true, env: { ETHEREUM_RPC_URLS: rig.url } })
  await ticks()
})
after(() => world.proveAndStop())

const ticks = () => world.server.parts.queue.runTicks()

async function mine(blocks = 1): Promise<void> {
  await rig.mine(blocks)
  await ticks()
}

async function quote(who: Customer, asset: string, amount = '10.00'): Promise<CryptoTopup> {
  return until(async () => {
    const started = await who.post<CryptoTopup>('/topups', { method: 'crypto', amount, asset })
    if (started.status === 503) return ticks().then(() => null)
    assert.equal(started.status, 201, JSON.stringify(started.body))
    return started.body
  })
}

const now = async (who: Customer, topup: CryptoTopup) => (await who.get<CryptoTopup>(`/topups/${topup.id}`)).body

/** In the smallest unit. */
function unitsOf(topup: CryptoTopup, decimals: number): bigint {
  const [whole = '0', fraction = ''] = topup.asset_amount.split('.')
  return BigInt(whole + fraction.padEnd(decimals, '0'))
}

const addressOf = (topup: CryptoTopup) => topup.address.toLowerCase() as Hex

function token(at: Hex, to: Hex, units: bigint, from = rig.payers[0]): Promise<Hex> {
  return rig.send({ from, to: at, data: rig.data('Plain', 'transfer', [to, units]) })
}

test('16: of a token that keeps a fee, what reached the address is credited', async () => {
  const ana = await world.customer()
  const topup = await quote(ana, 'USDT')
  const units = unitsOf(topup, 6)
  await token(USDT, addressOf(topup), units)
  await mine(3)
  const told = await now(ana, topup)
  assert.equal(told.payments.length, 1)
  assert.equal(
    told.payments[0]!.asset_amount.replace('.', '').padEnd(8, '0').slice(0, 7),
    String(units - units / 100n).slice(0, 7),
  )
  assert.equal(told.status, 'partially_credited')
  assert.equal((await ana.balance()).available, told.credited)
  assert.ok(Number(told.credited) >= 9.89 && Number(told.credited) <= 9.91, told.credited)
})

test('18: another token, and ether, sent to the address of a top-up by USDC are credited as what they are', async () => {
  const bea = await world.customer()
  const topup = await quote(bea, 'USDC')
  await token(USDT, addressOf(topup), 6_000_000n)
  await rig.send({ to: addressOf(topup), value: 10n ** 15n })
  await mine(3)
  const told = await now(bea, topup)
  assert.deepEqual(told.payments.map(({ asset }) => asset).sort(), ['ETH', 'USDT'])
  for (const { parts, state } of told.payments) {
    assert.equal(state, 'credited')
    assert.deepEqual(
      parts.map(({ basis }) => basis),
      ['other_asset'],
    )
  }
  assert.ok(told.labels.includes('other_asset'), told.labels.join())
  assert.equal((await bea.balance()).available, told.credited)
})

test('17, 19 and 20: a lying token, an unknown one and a failed transaction credit nothing; by its id it can be looked up', async () => {
  const cleo = await world.customer()
  const topup = await quote(cleo, 'USDT')
  const address = addressOf(topup)
  const [liar, unknown] = [await rig.put('Liar'), await rig.put('Plain')]
  const sent = [
    await rig.send({ to: liar, data: rig.data('Liar', 'transfer', [address, 10_000_000n]) }),
    await rig.send({ to: unknown, data: rig.data('Plain', 'mint', [address, 10_000_000n]) }),
    await rig.send({ to: splitter, value: 10n ** 15n, data: rig.data('Splitter', 'fail', [address]) }),
    // More than anybody has.
    await token(USDC, address, 10n ** 15n),
  ]
  await mine(4)
  const told = await now(cleo, topup)
  assert.deepEqual([told.status, told.payments], ['awaiting_payment', []])
  assert.equal((await cleo.balance()).available, '0.00')
  const where = []
  for (const txid of sent) {
    const { body } = await cleo.get<CryptoTransaction>(`/topups/${topup.id}/transaction?txid=${txid}`)
    where.push([body.where, body.failed])
  }
  assert.deepEqual(
    where.map(([, failed]) => failed),
    [false, false, true, true],
  )
  for (const [place] of where) assert.notEqual(place, 'not_found')
})

test('21: ether that a contract sends is credited, and what it takes back inside is not', async () => {
  const dan = await world.customer()
  const [paid, void_] = [await quote(dan, 'ETH'), await quote(dan, 'ETH')]
  const value = unitsOf(paid, 18)
  await rig.send({
    to: splitter,
    value: 2n * value,
    data: rig.data('Splitter', 'splitAndRevert', [addressOf(paid), addressOf(void_), value]),
  })
  await mine(3)
  const told = await now(dan, paid)
  assert.deepEqual([told.status, told.credited, told.payments.length], ['credited', '10.00', 1])
  assert.deepEqual((await now(dan, void_)).payments, [])
  assert.equal((await dan.balance()).available, '10.00')
})

test('39: one transaction that pays two top-ups is a payment to each', async () => {
  const eve = await world.customer()
  const [one, two] = [await quote(eve, 'USDC'), await quote(eve, 'USDC', '20.00')]
  const units = [unitsOf(one, 6), unitsOf(two, 6)]
  await token(USDC, splitter, units[0]! + units[1]!)
  await rig.send({
    to: splitter,
    data: rig.data('Splitter', 'spread', [USDC, [addressOf(one), addressOf(two)], units]),
  })
  await mine(3)
  assert.deepEqual([(await now(eve, one)).credited, (await now(eve, two)).credited], ['10.00', '20.00'])
  const ids = [await now(eve, one), await now(eve, two)].map(({ payments }) => payments[0]!.transaction_id)
  assert.equal(ids[0], ids[1])
  assert.equal((await eve.balance()).available, '30.00')
})

test('14 and 15: mined again with another number of its log, it is the same payment, and credited once', async () => {
  const fay = await world.customer()
  const topup = await quote(fay, 'USDC')
  const before = await rig.tip()
  await token(USDC, rig.payers[1], 1n, rig.payers[0])
  const other = await token(USDC, addressOf(topup), unitsOf(topup, 6), rig.payers[1])
  await mine()
  const indexOf = async () =>
    (await rig.call<{ logs: { logIndex: string }[] }>('eth_getTransactionReceipt', other)).logs[0]!.logIndex
  const [first, raw] = [await indexOf(), await rig.raw(other)]
  assert.equal((await now(fay, topup)).confirmations, 1)
  // Without the other one it is the first of its block; with it, the second. Whichever it was, turn it round.
  const rest = (await rig.tip()).transactions.find((txid) => txid !== other)!
  const restRaw = await rig.raw(rest)
  await rig.mine()
  await rig.reorg(
    2,
    first === '0x0'
      ? [
          [restRaw, 1],
          [raw, 1],
        ]
      : [
          [raw, 0],
          [restRaw, 1],
        ],
  )
  assert.equal((await rig.tip()).number, before.number + 2)
  await ticks()
  await mine(3)
  if (first !== '0x0') assert.notEqual(await indexOf(), first)
  const told = await now(fay, topup)
  assert.deepEqual([told.status, told.credited, told.payments.length], ['credited', '10.00', 1])
  assert.ok(told.payments[0]!.events.some(({ what }) => what === 'unmined'))
  assert.equal((await fay.balance()).available, '10.00')
})

test('31: a payment whose nonce another transaction used is replaced, and the top-up waits again', async () => {
  const gus = await world.customer()
  const topup = await quote(gus, 'ETH')
  const nonce = Number(await rig.call('eth_getTransactionCount', rig.payers[1], 'latest'))
  await rig.send({ from: rig.payers[1], to: addressOf(topup), value: unitsOf(topup, 18), nonce })
  await ticks()
  assert.deepEqual(
    (await now(gus, topup)).payments.map(({ state }) => state),
    ['seen'],
  )
  await rig.send({ from: rig.payers[1], to: rig.payers[0], value: 1n, nonce, fee: 10n ** 11n })
  await mine(3)
  const told = await now(gus, topup)
  assert.deepEqual([told.status, told.payments.map(({ state }) => state)], ['awaiting_payment', ['replaced']])
  assert.equal((await gus.balance()).available, '0.00')
})

for (const depth of [1, 2, 4])
  test(`1 to 4: ${depth} blocks are replaced: mined again it is credited once, vanished it is not, or not any more`, async () => {
    const hal = await world.customer()
    const [again, gone] = [await quote(hal, 'USDC'), await quote(hal, 'USDC', '20.00')]
    const kept = await token(USDC, addressOf(again), unitsOf(again, 6), rig.payers[0])
    await token(USDC, addressOf(gone), unitsOf(gone, 6), rig.payers[1])
    const raw = await rig.raw(kept)
    await mine(depth)
    const credited = depth >= 3
    assert.equal((await now(hal, again)).status, credited ? 'credited' : 'confirming')
    await rig.reorg(depth, [[raw, depth - 1]])
    await ticks()
    await mine(4)
    await mine()
    const told = await now(hal, again)
    assert.deepEqual([told.status, told.credited, told.payments.length], ['credited', '10.00', 1])
    const lost = await now(hal, gone)
    assert.deepEqual([lost.status, lost.credited], [credited ? 'reversed' : 'awaiting_payment', '0.00'])
    assert.equal((await hal.balance()).available, '10.00')
    // Of what was credited and is gone somebody is told.
    const alarms = world.alarms.splice(0)
    assert.equal(alarms.length > 0, credited, alarms.map(({ sentence }) => sentence).join())
  })
