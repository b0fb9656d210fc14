/**
 * The cases of payments on bitcoin-type chains over a real node (litecoind, where it is there) and the simulator alike, through the whole
 * payments room. The scripts are those of every such network, so what reads Bitcoin is tried on it.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { litecoindPath, startLitecoind } from '../chains/litecoind.ts'
import { makeTx, mine, mineWith, ownCoins, send, startSimulator, type TestNode } from '../chains/test-node.ts'
import { type CryptoWorld, startCryptoWorld, unitsOf } from '../crypto-world.ts'

const nodes: [name: string, start: () => Promise<TestNode>][] = [
  ['simulator', () => startSimulator('bitcoin')],
  ...(litecoindPath === null ? [] : ([['litecoind', startLitecoind]] as [string, () => Promise<TestNode>][])),
]
if (litecoindPath === null) console.log('NOT RUN on a real bitcoin-type node: there is no litecoind here.')

for (const [name, start] of nodes) {
  test(`1, 2, 3, 4, 23, 31, 39: on ${name}`, async (t) => {
    const node = await start()
    const coins = await ownCoins(node, 8)
    const world: CryptoWorld = await startCryptoWorld({ nodes: { bitcoin: [node.url] } })
    /** The newest blocks never were; what they held waits again where it can. */
    const rewind = async (depth: number) => {
      const height = await node.call('getblockcount')
      await node.call('invalidateblock', await node.call('getblockhash', height - depth + 1))
    }
    const blocks = async (count: number) => {
      await mine(node, count)
      await world.follow()
    }
    const pay = async (script: string, units: bigint, coin = coins.shift()!) => {
      const tx = makeTx([coin], [{ script, units }])
      await send(node, tx)
      return { tx, coin }
    }
    try {
      await t.test('1: reorg of 1, mined again: counted again from the new height, credited once', async () => {
        const ana = await world.customer()
        const topup = await ana.starts()
        await pay(await world.scriptOf(topup), unitsOf(topup))
        await world.follow()
        assert.equal(await ana.sees(topup), 'confirming 0.00: seen 0/3 -')
        await blocks(1)
        await rewind(1)
        await world.follow()
        assert.match(await ana.sees(topup), /^confirming 0\.00 \[reorganised\]: unmined 0\/3 20\.00$/)
        await blocks(3)
        assert.equal(await ana.sees(topup), 'credited 20.00 [reorganised]: credited 3/3 20.00')
      })

      await t.test('2: reorg of 2, double-spent: conflicted, no credit, back to awaiting, and a letter', async () => {
        const ana = await world.customer()
        const topup = await ana.starts()
        const { coin } = await pay(await world.scriptOf(topup), unitsOf(topup))
        await blocks(2)
        await rewind(2)
        const other = makeTx([coin], [{ script: `0014${'ee'.repeat(20)}`, units: 10_000n }], { fee: 50_000n })
        await mineWith(node, [other])
        await blocks(3)
        assert.equal(await ana.sees(topup), 'awaiting_payment 0.00 [reorganised]: replaced 0/3 20.00')
        assert.deepEqual(ana.letters().length, 1)
      })

      await t.test('3: reorg of 4 below a credited payment, mined again: the credit is untouched', async () => {
        const ana = await world.customer()
        const topup = await ana.starts()
        await pay(await world.scriptOf(topup), unitsOf(topup))
        await blocks(4)
        await rewind(4)
        await blocks(5)
        assert.equal(await ana.sees(topup), 'credited 20.00 [reorganised]: credited 3/3 20.00')
        assert.equal(await ana.has(), '20.00')
      })

      await t.test('4: reorg of 4, double-spent below the credit: reversed, what was spent is owed', async () => {
        const ana = await world.customer()
        const topup = await ana.starts()
        const { coin } = await pay(await world.scriptOf(topup), unitsOf(topup))
        await blocks(4)
        await ana.spends('5.00')
        await rewind(4)
        const other = makeTx([coin], [{ script: `0014${'ee'.repeat(20)}`, units: 10_000n }], { fee: 50_000n })
        await mineWith(node, [other])
        await blocks(4)
        assert.equal(await ana.sees(topup), 'reversed 0.00 [reorganised]: reversed 0/3 20.00')
        assert.equal(await ana.has(), '0.00, owes 5.00')
        assert.match(world.alarms.splice(0).join(), /its credit was taken back/)
      })

      await t.test('23: 30 % under, in time: at the locked rate, label partial', async () => {
        const ana = await world.customer()
        const topup = await ana.starts()
        await pay(await world.scriptOf(topup), (unitsOf(topup) * 7n) / 10n)
        await blocks(3)
        assert.equal(await ana.sees(topup), 'partially_credited 14.00 [partial]: credited 3/3 14.00')
      })

      await t.test(
        '31: replaced by a higher fee that pays the same output: only what is in a block counts',
        async () => {
          const ana = await world.customer()
          const topup = await ana.starts()
          const script = await world.scriptOf(topup)
          const { coin } = await pay(script, unitsOf(topup))
          await world.follow()
          await send(node, makeTx([coin], [{ script, units: unitsOf(topup) }], { fee: 90_000n }))
          await world.follow()
          await blocks(3)
          assert.match(await ana.sees(topup), /^credited 20\.00: .*credited 3\/3 20\.00/)
          assert.equal(await ana.has(), '20.00')
        },
      )

      await t.test('39: one transaction, several outputs to two customers: one payment each', async () => {
        const [ana, bea] = [await world.customer(), await world.customer()]
        const [hers, theirs] = [await ana.starts(), await bea.starts()]
        const [a, b] = [await world.scriptOf(hers), await world.scriptOf(theirs)]
        const outputs = [
          { script: a, units: 10_000n },
          { script: b, units: 25_000n },
          { script: a, units: 15_000n },
        ]
        await send(node, makeTx([coins.shift()!], outputs))
        await blocks(3)
        assert.equal(await ana.sees(hers), 'credited 20.00 [multiple]: credited 3/3 8.00, credited 3/3 12.00')
        assert.equal(await bea.sees(theirs), 'credited 20.00: credited 3/3 20.00')
      })
      await world.booksAgree()
    } finally {
      await world.stop()
      await node.stop()
    }
  })
}
