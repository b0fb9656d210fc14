/** Rows of crypto.md, section 4, on a real EVM node. The numbers in the titles are theirs. */
import assert from 'node:assert/strict'
import { before, describe, test } from 'node:test'
import type { Hex } from 'viem'
import { type Hand, newAddress, type Rig, startHand, startRig } from '../../../test/chains/anvil.ts'
import { type Asset, assetOf, assets, networkOf } from './assets.ts'
import { NodeTrouble, type ReadBlock, type Transfer } from './chain.ts'
import { createEvmChain, type EvmChain } from './evm.ts'
import { createRpc } from './rpc.ts'

const ethereum = networkOf('ethereum')
const USDT = assetOf('USDT').contract as Hex
const USDC = assetOf('USDC').contract as Hex
const FINNEY = 10n ** 15n

let rig: Rig
let chain: EvmChain
before(async () => {
  rig = await startRig()
  await rig.put('Plain', USDT)
  await rig.put('Plain', USDC)
  for (const payer of rig.payers)
    for (const token of [USDT, USDC])
      await rig.send({ from: payer, to: token, data: rig.data('Plain', 'mint', [payer, 10n ** 12n]) })
  await rig.mine(5)
  chain = open([rig.url])
})

function open(urls: string[], more: { assets?: readonly Asset[]; environment?: 'main' | 'test' } = {}): EvmChain {
  const rpc = createRpc({ urls, roundPauseMs: 1 })
  return createEvmChain({ network: ethereum, assets, environment: 'test', urls, rpc, ...more })
}

async function newest(of = chain): Promise<ReadBlock> {
  const block = await of.block((await of.tip()).hash)
  assert.ok(block)
  return block
}

/** What a block pays to an address, in few words. */
function paid(block: { transfers: readonly Transfer[] } | null, script: string): [string, string, bigint][] {
  return block!.transfers
    .filter((one) => one.script === script)
    .map(({ asset, ordinal, units }) => [asset, ordinal, units])
}

function token(to: Hex, units: bigint, at: Hex = USDT, from?: Hex): Promise<Hex> {
  return rig.send({ to: at, data: rig.data('Plain', 'transfer', [to, units]), ...(from ? { from } : {}) })
}

const trouble = (word: NodeTrouble['word']) => (error: unknown) => error instanceof NodeTrouble && error.word === word

describe('what arrives', () => {
  test('ether and tokens that are sent to an address are payments to it, with what their transactions use up', async () => {
    const { address, script } = newAddress()
    const before = await newest()
    const ether = await rig.send({ to: address, value: 5n * FINNEY })
    const tether = await token(address, 5_000_001n, USDT, rig.payers[1])
    await rig.mine()
    const block = await newest()
    assert.equal(block.parent, before.hash)
    assert.equal(block.height, before.height + 1)
    assert.ok(Math.abs(block.time.getTime() - Date.now()) < 60_000)
    assert.deepEqual(paid(block, script).sort(), [
      ['ETH', 'tx', 5n * FINNEY],
      ['USDT', 'log:0', 5_000_001n],
    ])
    for (const [txid, sender] of [
      [ether, rig.payers[0]],
      [tether, rig.payers[1]],
    ] as const) {
      const [spent] = block.transfers.find((one) => one.txid === txid)!.spends
      assert.ok(spent!.startsWith(`${sender}:`))
      assert.equal(block.spent.get(spent!), txid)
    }
  })

  test('18: a token and ether to one address are each credited as what they are', async () => {
    const { address, script } = newAddress()
    await token(address, 7n, USDC)
    await rig.send({ to: address, value: 1n })
    await rig.mine()
    assert.deepEqual(paid(await newest(), script).sort(), [
      ['ETH', 'tx', 1n],
      ['USDC', 'log:0', 7n],
    ])
  })

  test('39: one transaction with three transfers is three payments, two of them to the same address', async () => {
    const [a, b] = [newAddress(), newAddress()]
    const splitter = await rig.put('Splitter')
    await token(splitter, 10n)
    await rig.send({
      to: splitter,
      data: rig.data('Splitter', 'spread', [USDT, [a.address, b.address, a.address], [1n, 2n, 3n]]),
    })
    await rig.mine()
    const block = await newest()
    assert.deepEqual(paid(block, a.script), [
      ['USDT', 'log:0', 1n],
      ['USDT', 'log:2', 3n],
    ])
    assert.deepEqual(paid(block, b.script), [['USDT', 'log:1', 2n]])
  })

  test('16: of a token that keeps a fee, what its log says reached our address is what was paid', async () => {
    const feed = await rig.put('Feed')
    await rig.send({ to: feed, data: rig.data('Feed', 'mint', [rig.payers[0], 1_000n]) })
    const { address, script } = newAddress()
    await rig.send({ to: feed, data: rig.data('Feed', 'transfer', [address, 500n]) })
    await rig.mine()
    const listed = open([rig.url], { assets: [assetOf('ETH'), { ...assetOf('USDT'), contract: feed }] })
    assert.deepEqual(paid(await newest(listed), script), [['USDT', 'log:0', 495n]])
    assert.deepEqual(await listed.balances('USDT', [script]), [495n])
  })

  test('17 and 19: a token that is not on the list pays nothing, whatever it calls itself; by its transaction it can be looked up', async () => {
    const { address, script } = newAddress()
    const [liar, other] = [await rig.put('Liar'), await rig.put('Plain')]
    const lie = await rig.send({ to: liar, data: rig.data('Liar', 'transfer', [address, 999n]) })
    const unknown = await rig.send({ to: other, data: rig.data('Plain', 'mint', [address, 5n]) })
    await rig.mine()
    assert.deepEqual(paid(await newest(), script), [])
    for (const [txid, contract, units] of [
      [lie, liar, 999n],
      [unknown, other, 5n],
    ] as const) {
      const found = await chain.find(txid)
      assert.ok(found.where === 'block')
      assert.deepEqual(found.transfers, [])
      assert.deepEqual(
        found.unknown?.map((one) => ({ ...one, contract: one.contract.toLowerCase() })),
        [{ contract, script, units }],
      )
    }
  })

  test('20: a transaction that failed pays nothing, though it carried value or said transfer; its nonce is used up', async () => {
    const { address, script } = newAddress()
    const splitter = await rig.put('Splitter')
    const value = await rig.send({ to: splitter, value: FINNEY, data: rig.data('Splitter', 'fail', [address]) })
    const words = await token(address, 10n ** 18n)
    await rig.mine()
    const block = await newest()
    assert.deepEqual(paid(block, script), [])
    for (const txid of [value, words]) {
      assert.ok([...block.spent.values()].includes(txid))
      const found = await chain.find(txid)
      assert.ok(found.where === 'block' && found.failed && found.transfers.length === 0)
    }
    assert.deepEqual(await chain.balances('ETH', [script]), [0n])
  })

  test('21: ether that a contract sends is paid; what is taken back inside, and what is only repeated, is not', async () => {
    const [a, b, c, gone] = [newAddress(), newAddress(), newAddress(), newAddress()]
    const splitter = await rig.put('Splitter')
    const split = await rig.send({
      to: splitter,
      value: 3n * FINNEY,
      data: rig.data('Splitter', 'split', [
        [a.address, b.address],
        [FINNEY, 2n * FINNEY],
      ]),
    })
    await rig.send({
      to: splitter,
      value: 2n * FINNEY,
      data: rig.data('Splitter', 'splitAndRevert', [a.address, gone.address, FINNEY]),
    })
    await rig.send({ to: splitter, data: rig.data('Splitter', 'endTo', [c.address]) })
    await rig.mine()
    const block = await newest()
    assert.deepEqual(paid(block, a.script), [
      ['ETH', 'call:0', FINNEY],
      ['ETH', 'call:0', FINNEY],
    ])
    assert.deepEqual(paid(block, b.script), [['ETH', 'call:1', 2n * FINNEY]])
    assert.deepEqual(paid(block, gone.script), [])
    assert.deepEqual(paid(block, c.script), [['ETH', 'call:0', FINNEY]])
    const scripts = [a, b, c, gone].map((one) => one.script)
    assert.deepEqual(await chain.balances('ETH', scripts), [2n * FINNEY, 2n * FINNEY, FINNEY, 0n])
    const found = await chain.find(split)
    assert.ok(found.where === 'block')
    assert.deepEqual(paid(found, b.script), [['ETH', 'call:1', 2n * FINNEY]])
  })

  test('nothing is paid by a transfer of nothing, or to oneself', async () => {
    const [payer] = rig.payers
    const { address, script } = newAddress()
    await token(address, 0n)
    await token(payer, 5n)
    await rig.send({ to: payer, value: 5n })
    await rig.mine()
    const block = await newest()
    assert.deepEqual(paid(block, script), [])
    assert.deepEqual(paid(block, payer.slice(2)), [])
  })

  test('balances come in the order of the question, more than fit into one batch', async () => {
    const many = Array.from({ length: 230 }, () => newAddress())
    await rig.send({ to: many[7]!.address, value: 7n })
    await token(many[201]!.address, 201n)
    await rig.mine()
    const scripts = many.map(({ script }) => script)
    assert.deepEqual(
      await chain.balances('ETH', scripts),
      many.map((_, at) => (at === 7 ? 7n : 0n)),
    )
    assert.deepEqual(
      await chain.balances('USDT', scripts),
      many.map((_, at) => (at === 201 ? 201n : 0n)),
    )
    assert.deepEqual(await chain.balances('ETH', []), [])
  })
})

describe('what waits', () => {
  test('a payment is seen before it is mined, under the key that it keeps', async () => {
    const { address, script } = newAddress()
    const ether = await rig.send({ to: address, value: 9n })
    await token(address, 8n)
    const waiting = (await chain.pool()).filter((one) => one.script === script)
    assert.equal(waiting.length, 2)
    assert.deepEqual(await chain.find(ether), { where: 'pool', transfers: waiting.filter((one) => one.txid === ether) })
    await rig.mine()
    const mined = (await newest()).transfers.filter((one) => one.script === script)
    assert.deepEqual(mined, waiting)
    assert.deepEqual(await chain.pool(), [])
  })

  test('31: a transaction that is replaced is gone, and its block says which one used its nonce', async () => {
    const { address, script } = newAddress()
    const first = await rig.send({ to: address, value: 10n })
    const [seen] = (await chain.pool()).filter((one) => one.script === script)
    const nonce = Number(seen!.spends[0]!.split(':')[1])
    const second = await rig.send({ to: rig.payers[1], value: 1n, nonce, fee: 10n ** 11n })
    assert.deepEqual(await chain.find(first), { where: 'nowhere' })
    await rig.mine()
    const block = await newest()
    assert.deepEqual(paid(block, script), [])
    assert.equal(block.spent.get(seen!.spends[0]!), second)
  })

  test('what is no id of a transaction is nowhere', async () => {
    for (const txid of ['', 'x', `0x${'ab'.repeat(32)}`, `${'ab'.repeat(32)}`])
      assert.deepEqual(await chain.find(txid), { where: 'nowhere' })
  })
})

describe('what the chain takes back', () => {
  for (const depth of [1, 2, 4])
    for (const again of [false, true])
      test(`6: ${depth} blocks are replaced at the same heights, and a payment ${again ? 'is mined again' : 'vanishes'}`, async () => {
        const { address, script } = newAddress()
        const common = await newest()
        const txid = await rig.send({ to: address, value: 5n })
        const raw = await rig.raw(txid)
        await rig.mine(depth)
        const old = await chain.tip()
        const oldHashes = await Promise.all(
          Array.from({ length: depth }, (_, at) => chain.hashAt(common.height + 1 + at)),
        )
        await rig.reorg(depth, again ? [[raw, depth - 1]] : [])
        const now = await chain.tip()
        assert.equal(now.height, old.height)
        assert.notEqual(now.hash, old.hash)
        let parent = common.hash
        for (let at = 0; at < depth; at++) {
          const height = common.height + 1 + at
          const hash = await chain.hashAt(height)
          assert.notEqual(hash, oldHashes[at])
          const block = await chain.block(hash!)
          assert.equal(block!.parent, parent)
          assert.deepEqual(paid(block, script), again && at === depth - 1 ? [['ETH', 'tx', 5n]] : [])
          parent = hash!
        }
        assert.equal(await chain.hashAt(common.height), common.hash)
        for (const hash of oldHashes) assert.equal(await chain.block(hash!), null)
        const found = await chain.find(txid)
        assert.equal(found.where, again ? 'block' : 'nowhere')
      })

  test('6: the chain may become shorter', async () => {
    const before = await chain.tip()
    await rig.mine(3)
    await rig.call('anvil_rollback', 3)
    assert.deepEqual(await chain.tip(), before)
    assert.equal(await chain.hashAt(before.height + 1), null)
  })

  test('14 and 15: mined again behind another one, with another number of its log, it is the same payment', async () => {
    const [a, b] = [newAddress(), newAddress()]
    const first = await token(a.address, 1n, USDT, rig.payers[0])
    const second = await token(b.address, 2n, USDT, rig.payers[1])
    await rig.mine()
    const logs = async () =>
      (await rig.call<{ transactionHash: Hex; logIndex: Hex }[]>('eth_getLogs', { blockHash: (await rig.tip()).hash }))
        .sort((one, other) => one.transactionHash.localeCompare(other.transactionHash))
        .map((log) => log.logIndex)
    const key = (block: ReadBlock) =>
      block.transfers
        .map(({ txid, ordinal, asset, script, units }) => [txid, ordinal, asset, script, units].join(' '))
        .sort()
    const [before, numbers] = [await newest(), await logs()]
    assert.deepEqual(await newest(), before)
    const order = before.transfers.map((one) => one.txid)
    const raws = await Promise.all([first, second].map(async (txid) => [txid, await rig.raw(txid)] as const))
    const turned = [...raws].sort(([one], [other]) => order.indexOf(other) - order.indexOf(one))
    // The one that came second alone, and the other one block later: its log is the first of its block now.
    await rig.mine()
    await rig.reorg(2, [
      [turned[0]![1], 0],
      [turned[1]![1], 1],
    ])
    const after = [await chain.hashAt(before.height), await chain.hashAt(before.height + 1)]
    const again = await Promise.all(after.map(async (hash) => (await chain.block(hash!))!))
    assert.deepEqual(again.flatMap(key).sort(), key(before))
    const moved = await Promise.all(
      after.map(async (hash) => (await rig.call<{ logIndex: Hex }[]>('eth_getLogs', { blockHash: hash }))[0]!.logIndex),
    )
    assert.deepEqual(numbers.toSorted(), ['0x0', '0x1'])
    assert.deepEqual(moved, ['0x0', '0x0'])
  })
})

describe('what is not believed', () => {
  const through = async (hand: Hand, more: Parameters<typeof open>[1] = {}) => {
    const door = await startHand(rig)
    door.hand = hand
    return { door, chain: open([door.url], more) }
  }
  const only =
    (name: string, lie: Hand): Hand =>
    async (call) =>
      call.method === name ? lie(call) : 'truth'
  const changed =
    // biome-ignore lint/suspicious/noExplicitAny: whatever the node says, to be spoiled
      (name: string, change: (truth: any) => unknown): Hand =>
      async ({ method, truth }) =>
        method === name ? { result: change(structuredClone(await truth())) } : 'truth'

  let full: Hex
  let ours: ReturnType<typeof newAddress>
  before(async () => {
    ours = newAddress()
    await token(ours.address, 5n)
    await rig.send({ to: ours.address, value: 5n, from: rig.payers[1] })
    full = (await rig.mine()) as Hex
  })

  test('10: a node of another chain', async () => {
    const { chain: other } = await through(
      async ({ method }) => (method === 'eth_chainId' ? { result: '0x38' } : 'truth'),
      {},
    )
    assert.equal(await other.identity(), '56')
    const door = await startHand(rig)
    door.hand = only('eth_chainId', async () => ({ result: '0x38' }))
    const main = createEvmChain({ network: ethereum, assets, environment: 'main', urls: [door.url] })
    await assert.rejects(main.tip(), (error) => trouble('wrong_chain')(error) && /chain 56/.test(String(error)))
    assert.equal(await chain.identity(), '1')
  })

  test('the decimals of each token are asked of its contract, and another number is named in a sentence', async () => {
    assert.deepEqual(await chain.checkTokens(), [])
    const eighteen = await rig.put('Eighteen')
    const wrong = open([rig.url], {
      assets: [
        { ...assetOf('USDT'), contract: eighteen },
        { ...assetOf('USDC'), contract: ours.address },
      ],
    })
    const [decimals, absent] = await wrong.checkTokens()
    assert.match(decimals!, /^USDT: the contract at 0x\w{40} counts with 18 decimals, not with 6$/)
    assert.match(absent!, /^USDC: there is no contract at 0x\w{40} on Ethereum$/)
    // Nothing is read of such a node, also when it answers only after the start.
    const later = createEvmChain({
      network: ethereum,
      assets: [{ ...assetOf('USDT'), contract: eighteen }],
      environment: 'test',
      urls: [rig.url],
    })
    await assert.rejects(
      later.block(full),
      (error) => trouble('wrong_chain')(error) && /18 decimals/.test(String(error)),
    )
    const away = open(['http://127.0.0.1:9'])
    await assert.rejects(away.checkTokens(), trouble('unreachable'))
  })

  const lies: [string, Hand][] = [
    [
      'another block than was asked for',
      changed('eth_getBlockByHash', (block) => ({ ...block, hash: `0x${'12'.repeat(32)}` })),
    ],
    [
      'a header that does not hash to its hash',
      changed('eth_getBlockByHash', (block) => ({ ...block, timestamp: '0x1' })),
    ],
    [
      'a transaction of another block',
      changed('eth_getBlockByHash', (block) => {
        block.transactions[0].blockHash = `0x${'12'.repeat(32)}`
        return block
      }),
    ],
    [
      'a transaction twice',
      changed('eth_getBlockByHash', (block) => ({
        ...block,
        transactions: [block.transactions[0], ...block.transactions],
      })),
    ],
    ['a block without its height', changed('eth_getBlockByHash', (block) => ({ ...block, number: null }))],
    ['a part of the receipts', changed('eth_getBlockReceipts', (receipts) => receipts.slice(1))],
    ['no receipts', changed('eth_getBlockReceipts', () => null)],
    ['receipts in another order', changed('eth_getBlockReceipts', (receipts) => receipts.reverse())],
    [
      'receipts without a status',
      changed('eth_getBlockReceipts', (receipts) => {
        delete receipts[0].status
        return receipts
      }),
    ],
    ['logs: null', changed('eth_getLogs', () => null)],
    ['logs: none', changed('eth_getLogs', () => [])],
    [
      'logs that were removed',
      changed('eth_getLogs', (logs) => logs.map((log: object) => ({ ...log, removed: true }))),
    ],
    [
      'logs of another block',
      changed('eth_getLogs', (logs) => logs.map((log: object) => ({ ...log, blockHash: `0x${'12'.repeat(32)}` }))),
    ],
    [
      'logs that nobody asked for',
      changed('eth_getLogs', (logs) => logs.map((log: object) => ({ ...log, address: ours.address }))),
    ],
    [
      'an error instead of logs',
      only('eth_getLogs', async () => ({ error: { code: -32000, message: 'query returned more than 10000 results' } })),
    ],
    ['a part of the traces', changed('debug_traceBlockByHash', (traces) => traces.slice(1))],
    ['the trace of another transaction', changed('debug_traceBlockByHash', (traces) => traces.reverse())],
    [
      'a trace that timed out',
      changed('debug_traceBlockByHash', ([{ txHash }, ...rest]) => [{ txHash, error: 'execution timeout' }, ...rest]),
    ],
    [
      'an error instead of traces',
      only('debug_traceBlockByHash', async () => ({
        error: { code: -32000, message: 'execution aborted (timeout = 5s)' },
      })),
    ],
    ['half a text', only('eth_getLogs', async () => ({ status: 200, text: '{"jsonrpc":"2.0","id":1,"resu' }))],
  ]
  for (const [what, hand] of lies)
    test(`10 and 11: ${what} is trouble, and no part of the block is answered`, async () => {
      const { chain: liar } = await through(hand)
      await assert.rejects(liar.block(full), trouble('broken_answer'))
    })

  test('11: too many questions, an error of the server: it is asked again, and the block is whole in the end', async () => {
    for (const status of [429, 500, 503]) {
      let times = 0
      const { chain: busy } = await through(async () => (times++ < 2 ? { status, text: 'busy' } : 'truth'))
      assert.deepEqual(await busy.block(full), await chain.block(full))
      const { chain: down } = await through(async () => ({ status, text: 'busy' }))
      await assert.rejects(down.block(full), trouble('unreachable'))
    }
  })

  test('11: a node that answers a part of a batch is trouble; one without receipts by block is asked for each', async () => {
    const without = only('eth_getBlockReceipts', async () => ({ error: { code: -32601, message: 'Method not found' } }))
    const { chain: older, door } = await through(without)
    assert.deepEqual(await older.block(full), await chain.block(full))
    assert.ok(door.asked.includes('eth_getTransactionReceipt'))
    const { chain: partial } = await through(async (call) =>
      call.method === 'eth_getTransactionReceipt' ? { status: 200, text: '[]' } : without(call),
    )
    await assert.rejects(partial.block(full), trouble('broken_answer'))
  })

  test('14: a log that the node tells twice is one', async () => {
    const { chain: doubled } = await through(changed('eth_getLogs', (logs) => [...logs, ...logs]))
    assert.deepEqual(await doubled.block(full), await chain.block(full))
  })

  test('7: a reorganisation between two questions gives no block, or the old one whole, and never a part of each', async () => {
    for (const between of ['eth_getBlockReceipts', 'eth_getLogs', 'debug_traceBlockByHash']) {
      const { address, script } = newAddress()
      await token(address, 5n)
      await rig.send({ to: address, value: 5n, from: rig.payers[1] })
      const hash = await rig.mine()
      let done = false
      const { chain: raced } = await through(async ({ method }) => {
        if (method === between && !done) {
          done = true
          await rig.reorg(1)
        }
        return 'truth'
      })
      const read = await raced.block(hash).catch((error: unknown) => error)
      if (read instanceof Error) assert.ok(trouble('broken_answer')(read), String(read))
      else if (read !== null) assert.equal(paid(read as ReadBlock, script).length, 2)
      assert.ok(done)
      assert.equal(await chain.block(hash), null)
    }
  })

  test('9: a node that catches up is behind, with how far it is; on the real network also one without a young block', async () => {
    const { chain: late } = await through(
      only('eth_syncing', async () => ({
        result: { startingBlock: '0x0', currentBlock: '0x64', highestBlock: '0xc8' },
      })),
    )
    await assert.rejects(late.tip(), (error) => trouble('behind')(error) && /at block 100 of 200/.test(String(error)))
    const now = new Date(Date.now() + 10 * 60_000)
    const old = createEvmChain({
      network: ethereum,
      assets,
      environment: 'main',
      urls: [rig.url],
      clock: { now: () => now },
    })
    await assert.rejects(old.tip(), trouble('behind'))
    assert.equal((await chain.tip()).hash, await chain.hashAt((await chain.tip()).height))
  })

  test('21: without traces what transactions pay themselves is read, and the node says that it does not trace', async () => {
    const { address, script } = newAddress()
    const splitter = await rig.put('Splitter')
    const txid = await rig.send({
      to: splitter,
      value: FINNEY,
      data: rig.data('Splitter', 'split', [[address], [FINNEY]]),
    })
    await rig.send({ to: address, value: 5n, from: rig.payers[1] })
    await rig.mine()
    const refuse: Hand = async ({ method }) =>
      method.startsWith('debug_')
        ? { error: { code: -32601, message: 'the method debug_traceBlockByHash does not exist/is not available' } }
        : 'truth'
    const { chain: blind, door } = await through(refuse)
    assert.equal(await blind.traces(), false)
    assert.deepEqual(paid(await newest(blind), script), [['ETH', 'tx', 5n]])
    assert.deepEqual(paid((await blind.find(txid)) as never, script), [])
    // Found out once.
    assert.equal(door.asked.filter((method) => method.startsWith('debug_')).length, 1)
    // What is missing shows here, and is for a person.
    assert.deepEqual(await blind.balances('ETH', [script]), [FINNEY + 5n])
    assert.equal(await chain.traces(), true)
  })

  test('21: a node that has thrown away the state to trace by is trouble with its own word, and what to do about it', async () => {
    for (const message of ['required historical state unavailable (reexec=128)', 'missing trie node 1234']) {
      const { chain: forgetful } = await through(
        only('debug_traceBlockByHash', async () => ({ error: { code: -32000, message } })),
      )
      await assert.rejects(
        forgetful.block(full),
        (error) => trouble('no_trace')(error) && /add a node that keeps it/.test(String(error)),
      )
    }
  })

  test('21: a node that stops tracing, or one beside a node that traces, is trouble, not a smaller answer', async () => {
    const refuse: Hand = async ({ method }) =>
      method.startsWith('debug_') ? { error: { code: -32601, message: 'Method not found' } } : 'truth'
    const { chain: fickle, door } = await through(async () => 'truth')
    await fickle.block(full)
    door.hand = refuse
    await assert.rejects(fickle.block(full), trouble('no_trace'))

    const poor = await startHand(rig)
    poor.hand = refuse
    const rich = await startHand(rig)
    const both = open([rich.url, poor.url])
    await both.block(full)
    rich.hand = async () => ({ status: 503, text: '' })
    await assert.rejects(both.block(full), (error) => error instanceof NodeTrouble)
  })

  test('10: another endpoint agrees, disagrees, or does not say', async () => {
    const { hash, height } = await chain.tip()
    assert.equal(await chain.agrees(height, hash), 'alone')
    const door = await startHand(rig)
    const two = open([rig.url, door.url])
    assert.equal(await two.agrees(height, hash), 'agrees')
    door.hand = changed('eth_getBlockByNumber', (block) => ({ ...block, hash: `0x${'12'.repeat(32)}` }))
    assert.equal(await two.agrees(height, hash), 'disagrees')
    door.hand = only('eth_getBlockByNumber', async () => ({ result: null }))
    assert.equal(await two.agrees(height, hash), 'not_known')
    door.hand = async () => ({ status: 500, text: '' })
    assert.equal(await two.agrees(height, hash), 'not_known')
  })
})
