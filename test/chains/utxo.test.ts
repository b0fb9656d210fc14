/**
 * What a bitcoin-type network promises through the port, on a real node and on the simulator alike: whatever is proven with the simulator
 * elsewhere is worth as much as this suite.
 */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { assets, networkOf } from '../../server/payments/crypto/assets.ts'
import { type Chain, NodeTrouble, type Transfer } from '../../server/payments/crypto/chain.ts'
import { createUtxoChain } from '../../server/payments/crypto/utxo.ts'
import { litecoindPath, startLitecoind } from './litecoind.ts'
import {
  addressOf,
  makeTx,
  mine,
  minerOf,
  mineWith,
  NodeRefusal,
  ownCoins,
  type PayerCoin,
  scriptOfKey,
  send,
  startSimulator,
  type TestNode,
} from './test-node.ts'

const SHOP = 500_000
const UNKNOWN = 'ab'.repeat(32)
const COINS = 26

const nodes: [string, () => Promise<TestNode>][] = [
  ['the simulator of bitcoin', () => startSimulator('bitcoin')],
  ['the simulator of litecoin', () => startSimulator('litecoin')],
]
if (litecoindPath !== null) nodes.push(['litecoind', startLitecoind])

for (const [name, start] of nodes) {
  describe(name, () => {
    let node: TestNode
    let chain: Chain
    let coins: PayerCoin[]
    let shops = SHOP

    before(async () => {
      node = await start()
      const network = networkOf(node.kind)
      chain = createUtxoChain({ network, assets, environment: 'test', urls: [node.url] })
      coins = await ownCoins(node, COINS)
    })
    after(() => node.stop())

    const fresh = () => coins.pop()!
    /** A script that nobody has paid yet. */
    const shop = () => scriptOfKey(++shops)
    const paidTo = (transfers: readonly Transfer[], script: string) => transfers.filter((one) => one.script === script)
    const tip = () => chain.tip()
    async function newest() {
      const read = await chain.block((await tip()).hash)
      assert.ok(read)
      return read
    }
    async function refuses(code: number, work: Promise<unknown>) {
      await assert.rejects(work, (error) => {
        assert.ok(error instanceof NodeRefusal, String(error))
        assert.equal(error.code, code, error.message)
        return true
      })
    }

    test('the network is known by its first block', async () => {
      assert.equal(await chain.identity(), await node.call('getblockhash', 0))
      const first = await chain.block(await chain.identity())
      assert.equal(first?.height, 0)
      assert.equal(first.parent, '00'.repeat(32))
    })

    test('a payment waits, then stands in a block, the same in both', async () => {
      const script = shop()
      const coin = fresh()
      const tx = makeTx([coin], [{ script, units: 12_345n }])
      await send(node, tx)
      const waiting = paidTo(await chain.pool(), script)
      const expected: Transfer = {
        txid: tx.txid,
        ordinal: '0',
        asset: node.kind === 'bitcoin' ? 'BTC' : 'LTC',
        script,
        units: 12_345n,
        coinbase: false,
        spends: [`${coin.txid}:${coin.index}`],
      }
      assert.deepEqual(waiting, [expected])
      assert.deepEqual(await chain.find(tx.txid), {
        where: 'pool',
        transfers: [expected, ...(await chain.pool()).filter((one) => one.txid === tx.txid && one.ordinal !== '0')],
      })
      const [hash] = await mine(node)
      const block = await newest()
      assert.equal(block.hash, hash)
      assert.deepEqual(paidTo(block.transfers, script), [expected])
      assert.equal(block.spent.get(`${coin.txid}:${coin.index}`), tx.txid)
      assert.deepEqual(paidTo(await chain.pool(), script), [])
    })

    test('each output is a payment of its own, to the unit', async () => {
      const amounts = [1n, 30_000_000n, 99_999_999n, 123_456_789n, 4_000_000_001n]
      const script = shop()
      await send(
        node,
        makeTx(
          [fresh()],
          amounts.map((units) => ({ script, units })),
        ),
      )
      await mine(node)
      const paid = paidTo((await newest()).transfers, script)
      assert.deepEqual(
        paid.map(({ units }) => units),
        amounts,
      )
      assert.deepEqual(
        paid.map(({ ordinal }) => ordinal),
        ['0', '1', '2', '3', '4'],
      )
      assert.deepEqual(await chain.balances(paid[0]!.asset, [script]), [amounts.reduce((sum, units) => sum + units)])
    })

    test('the scripts of all kinds of addresses are told as they are', async () => {
      const scripts = [
        `76a914${'11'.repeat(20)}88ac`,
        `a914${'22'.repeat(20)}87`,
        `0020${'33'.repeat(32)}`,
        `5120${'44'.repeat(32)}`,
        '51',
      ]
      await send(
        node,
        makeTx(
          [fresh()],
          scripts.map((script) => ({ script, units: 5_000n })),
        ),
      )
      await mine(node)
      const { transfers } = await newest()
      for (const script of scripts) assert.equal(paidTo(transfers, script).length, 1, script)
    })

    test('newly mined coins are told apart', async () => {
      await mine(node)
      const [reward, ...others] = (await newest()).transfers
      assert.deepEqual([reward?.coinbase, reward?.spends, others], [true, [], []])
    })

    test('blocks name the one before, at each height', async () => {
      const { height } = await tip()
      for (let at = height - 3; at <= height; at++) {
        const block = await chain.block((await chain.hashAt(at))!)
        assert.equal(block?.height, at)
        assert.equal(block.parent, await chain.hashAt(at - 1))
        const { time } = await node.call('getblockheader', block.hash)
        assert.equal(block.time.getTime(), time * 1000)
      }
      assert.equal(await chain.hashAt(height + 1), null)
    })

    test('what the node does not know is none, not trouble', async () => {
      assert.equal(await chain.block(UNKNOWN), null)
      assert.deepEqual(await chain.find(UNKNOWN), { where: 'nowhere' })
      for (const nonsense of ['', 'zz', `0x${UNKNOWN}`, `${UNKNOWN} `]) {
        assert.equal(await chain.block(nonsense), null)
        assert.deepEqual(await chain.find(nonsense), { where: 'nowhere' })
      }
    })

    test('a payment is replaced by one that pays the same, less or nothing', async () => {
      const [script, coin] = [shop(), fresh()]
      for (const [units, fee] of [
        [9_000n, 10_000n],
        [9_000n, 20_000n],
        [600n, 40_000n],
        [0n, 80_000n],
      ] as const) {
        const outputs = units > 0n ? [{ script, units }] : []
        await send(node, makeTx([coin], outputs, { fee }))
        const paid = paidTo(await chain.pool(), script)
        assert.deepEqual(
          paid.map((one) => one.units),
          units > 0n ? [units] : [],
        )
      }
      await mine(node)
      assert.deepEqual(paidTo((await newest()).transfers, script), [])
    })

    test('what does not pay more, or may not be replaced, is not', async () => {
      const [script, coin] = [shop(), fresh()]
      await send(node, makeTx([coin], [{ script, units: 900n }], { fee: 20_000n }))
      for (const fee of [10_000n, 20_000n, 20_100n])
        await refuses(-26, send(node, makeTx([coin], [{ script, units: 901n }], { fee })))
      const last = makeTx([coin], [{ script, units: 902n }], { fee: 60_000n, sequence: 0xffffffff })
      await send(node, last)
      assert.equal(await send(node, last), last.txid)
      await refuses(-26, send(node, makeTx([coin], [{ script, units: 903n }], { fee: 900_000n })))
      await mine(node)
      assert.deepEqual(
        paidTo((await newest()).transfers, script).map(({ units }) => units),
        [902n],
      )
      await refuses(-27, send(node, last))
    })

    test('what cannot be spent is refused', async () => {
      const coin = fresh()
      const outputs = [{ script: shop(), units: 1_000n }]
      await refuses(-25, send(node, makeTx([{ ...coin, txid: UNKNOWN }], outputs)))
      await refuses(-26, send(node, makeTx([coin], outputs, { fee: 0n })))
      await refuses(-22, send(node, { txid: '', hex: '0100' }))
      const [young] = await node.call('generatetoaddress', 1, addressOf(node, scriptOfKey(0)))
      const { tx } = await node.call('getblock', young, 1)
      await refuses(-26, send(node, makeTx([{ ...coin, txid: tx[0], units: 10_000_000n }], outputs)))
      await refuses(-25, node.call('generateblock', minerOf(node), [makeTx([{ ...coin, txid: UNKNOWN }], outputs).hex]))
      for (const [code, method, ...params] of [
        [-5, 'getblock', UNKNOWN, 2],
        [-5, 'getblockheader', UNKNOWN],
        [-8, 'getblock', 'xyz', 2],
        [-8, 'getblockhash', 1_000_000],
        [-8, 'getblockhash', -1],
        [-5, 'getmempoolentry', UNKNOWN],
        [-5, 'getrawtransaction', UNKNOWN, true],
        [-5, 'getrawtransaction', UNKNOWN, true, UNKNOWN],
        [-5, 'invalidateblock', UNKNOWN],
        [-5, 'generatetoaddress', 1, 'nobody'],
        [-32601, 'nosuchmethod'],
      ] as const)
        await refuses(code, node.call(method, ...params))
    })

    test('what spends a payment that waits goes with it', async () => {
      const [script, coin] = [shop(), fresh()]
      const parent = makeTx([coin], [{ script: shop(), units: 1_000n }])
      const child = makeTx([parent.change!], [{ script, units: 2_000n }])
      await refuses(-25, send(node, child))
      await send(node, parent)
      await send(node, child)
      assert.equal(paidTo(await chain.pool(), script).length, 1)
      await send(node, makeTx([coin], [], { fee: 100_000n }))
      assert.deepEqual(paidTo(await chain.pool(), script), [])
      assert.deepEqual(await chain.find(child.txid), { where: 'nowhere' })
    })

    test('a block that counts no more: the tip goes down, the payment waits again, and comes back', async () => {
      const script = shop()
      const tx = makeTx([fresh()], [{ script, units: 7_000n }])
      await send(node, tx)
      const [hash] = (await mine(node)) as [string]
      const before = await tip()
      assert.deepEqual(before, { hash, height: before.height })
      await node.call('invalidateblock', hash)
      assert.equal((await tip()).height, before.height - 1)
      assert.equal(await chain.hashAt(before.height), null)
      assert.equal(paidTo(await chain.pool(), script).length, 1)
      assert.equal((await chain.find(tx.txid)).where, 'pool')
      // Known still, though it counts no more.
      assert.deepEqual(
        paidTo((await chain.block(hash))!.transfers, script).map(({ txid }) => txid),
        [tx.txid],
      )
      const [again] = (await mine(node)) as [string]
      assert.notEqual(again, hash)
      const found = await chain.find(tx.txid)
      assert.ok(found.where === 'block')
      assert.deepEqual([found.hash, found.height, found.failed], [again, before.height, false])
      await node.call('reconsiderblock', hash)
      // Of two branches of the same length the one that came first counts.
      assert.equal((await tip()).hash, hash)
      await mine(node)
    })

    test('a reorganisation in which the coins were spent otherwise excludes the payment for ever', async () => {
      const [script, coin] = [shop(), fresh()]
      const paid = makeTx([coin], [{ script, units: 8_000n }])
      const rival = makeTx([coin], [{ script: shop(), units: 8_000n }], { fee: 30_000n })
      await send(node, paid)
      const [first] = (await mine(node, 4)) as [string]
      const { height } = await tip()
      await node.call('invalidateblock', first)
      const other = await mineWith(node, [rival])
      await mine(node, 4)
      assert.equal((await tip()).height, height + 1)
      const block = await chain.block(other)
      assert.equal(block?.spent.get(`${coin.txid}:${coin.index}`), rival.txid)
      assert.deepEqual(await chain.find(paid.txid), { where: 'nowhere' })
      assert.equal((await chain.find(rival.txid)).where, 'block')
      await refuses(-25, send(node, paid))
      // Forgiven, the shorter branch still does not count.
      await node.call('reconsiderblock', first)
      assert.equal(await chain.hashAt(block.height), other)
    })

    test('a transaction is found by its id: waiting, in a block, and while one of its outputs is unspent', async () => {
      const tx = makeTx(
        [fresh()],
        [
          { script: shop(), units: 5_000n },
          { script: shop(), units: 6_000n },
        ],
      )
      await send(node, tx)
      assert.equal((await chain.find(tx.txid)).where, 'pool')
      const [hash] = (await mine(node, 3)) as [string]
      const { height } = await tip()
      const found = await chain.find(tx.txid)
      assert.ok(found.where === 'block')
      assert.deepEqual([found.hash, found.height], [hash, height - 2])
      assert.deepEqual(
        found.transfers.slice(0, 2).map(({ units }) => units),
        [5_000n, 6_000n],
      )
      await send(node, makeTx([tx.change!], []))
      await mine(node)
      assert.equal((await chain.find(tx.txid)).where, 'block')
    })

    test('what our addresses hold is counted in the order of the question, spent coins not', async () => {
      const [one, none, two] = [shop(), shop(), shop()]
      const asset = node.kind === 'bitcoin' ? 'BTC' : 'LTC'
      await send(
        node,
        makeTx(
          [fresh()],
          [
            { script: one, units: 1_000n },
            { script: two, units: 2_000n },
          ],
        ),
      )
      await send(node, makeTx([fresh()], [{ script: two, units: 3_000n }]))
      assert.deepEqual(await chain.balances(asset, [one, two]), [0n, 0n])
      await mine(node)
      assert.deepEqual(await chain.balances(asset, [two, none, one, two]), [5_000n, 0n, 1_000n, 5_000n])
      assert.deepEqual(await chain.balances(asset, []), [])
      const coin = fresh()
      const own = scriptOfKey(COINS - 1)
      const [before] = (await chain.balances(asset, [own])) as [bigint]
      await send(node, makeTx([coin], [{ script: shop(), units: 1n }]))
      await mine(node)
      assert.deepEqual(await chain.balances(asset, [own]), [before])
    })

    test('a node of another network is not listened to', async () => {
      const network = networkOf(node.kind)
      const main = createUtxoChain({ network, assets, environment: 'main', urls: [node.url] })
      await assert.rejects(main.tip(), (error) => error instanceof NodeTrouble && error.word === 'wrong_chain')
    })
  })
}
