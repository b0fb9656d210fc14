/** What nodes of several versions say, recorded, and what none may say: on real nodes and the simulator see test/chains/utxo.test.ts. */
import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { serve, startSimulator } from '../../../test/chains/test-node.ts'
import { assets, type Environment, networkOf } from './assets.ts'
import { NodeTrouble } from './chain.ts'
import { createRpc, type Node, type Rpc, RpcError } from './rpc.ts'
import { createUtxoChain } from './utxo.ts'

type Answers = Record<string, (params: readonly unknown[]) => unknown>

const GENESIS = networkOf('bitcoin').identity.main!
const HASH = 'd162b306e6d66b76b5f3eabe78689e9d47930cfb9703f510ab833f1bc8030253'
const HEADER =
  '00000020f916c456fc51df627885d7d674ed02dc88a225adb3f02ad13eb4938ff3270853d8ad722ea5d1b77e29ed4efddfc7bd428e92291960bc615144485ee17d9041145c6b046bffff7f2001000000'
const SCRIPT = '0014a3c6b1ee4a49d9f2af3b3802974744fba924164a'
const ADDRESS = 'rltc1q50rtrmj2f8vl9tem8qpfw36ylw5jg9j2nmv4xs'
const UNKNOWN = 'ab'.repeat(32)
/** Of the block's header, in seconds. */
const MINED = 1_795_451_740

/** As Litecoin Core 0.21 wrote it. */
function recorded() {
  return {
    ...{ hash: HASH, confirmations: 105, height: 1, version: 536870912, versionHex: '20000000', nTx: 1 },
    merkleroot: '1441907de15e48445161bc601929928e42bdc7dffd4eed297eb7d1a52e72add8',
    ...{ time: MINED, mediantime: MINED, nonce: 1, bits: '207fffff' },
    previousblockhash: '530827f38f93b43ed12af0b3ad25a288dc02ed74d6d7857862df51fc56c416f9',
    tx: [
      {
        txid: '1441907de15e48445161bc601929928e42bdc7dffd4eed297eb7d1a52e72add8',
        hash: '8e1a67c429d788f40fe6526c5518b514635c939c60d6b76dbec9c12c6cabc29d',
        vin: [{ ismweb: false, coinbase: '510101', sequence: 4294967295 }] as object[],
        vout: [
          {
            ...{ ismweb: false, value: 50, n: 0 },
            scriptPubKey: { hex: SCRIPT, reqSigs: 1, type: 'witness_v0_keyhash', addresses: [ADDRESS] },
          },
          { ismweb: false, value: 0, n: 1, scriptPubKey: { hex: '6a24aa21a9ed', type: 'nulldata' } },
        ] as Record<string, unknown>[],
      },
    ] as Record<string, unknown>[],
  }
}
type Recorded = ReturnType<typeof recorded>

function nodeOf(answers: Answers, name = 'http://node'): Node {
  const answer = (method: string, params: readonly unknown[] = []) => {
    const found = answers[method]
    if (!found) throw new RpcError(-32601, 'Method not found')
    return found(params)
  }
  return {
    name,
    call: async (method, params) => answer(method, params),
    batch: async (calls) =>
      calls.map(({ method, params }) => {
        try {
          return { ok: true, result: answer(method, params) }
        } catch (error) {
          if (!(error instanceof RpcError)) throw error
          return { ok: false, error }
        }
      }),
  }
}

function chainOf(
  answers: Answers | Node[],
  { environment = 'test', now = MINED }: { environment?: Environment; now?: number } = {},
) {
  const nodes = Array.isArray(answers) ? answers : [nodeOf(answers)]
  const rpc: Rpc = { nodes, ask: (work) => work(nodes[0]!) }
  const network = networkOf('bitcoin')
  const clock = { now: () => new Date(now * 1000) }
  return createUtxoChain({ network, assets, environment, urls: [], rpc, clock })
}

const refuse =
  (code: number, message = '') =>
  () => {
    throw new RpcError(code, message)
  }
const trouble =
  (word: NodeTrouble['word'], message = /./) =>
  (error: unknown) => {
    assert.ok(error instanceof NodeTrouble, String(error))
    assert.equal(error.word, word, error.message)
    assert.match(error.message, message)
    return true
  }
const giving = (block: unknown, header: unknown = HEADER): Answers => ({
  getblock: () => block,
  getblockheader: () => header,
})

const versions: [name: string, change: (block: Recorded) => void][] = [
  ['Core 0.21 and Litecoin: addresses in a list', () => {}],
  [
    'Core from 22 on: one address, and a descriptor',
    ({ tx }) => {
      const output = (tx[0]!['vout'] as Record<string, unknown>[])[0]!
      output['scriptPubKey'] = { hex: SCRIPT, desc: `addr(${ADDRESS})#x`, address: ADDRESS, type: 'witness_v0_keyhash' }
      delete output['ismweb']
    },
  ],
  [
    'Litecoin with hidden outputs, which have no script',
    ({ tx }) => {
      ;(tx[0]!['vout'] as object[]).push({ ismweb: true, output_id: UNKNOWN })
      ;(tx[0]!['vin'] as object[]).push({ ismweb: true, output_id: UNKNOWN })
    },
  ],
]
for (const [name, change] of versions) {
  test(`a block is read as it was recorded: ${name}`, async () => {
    const block = recorded()
    change(block)
    const read = await chainOf(giving(block)).block(HASH)
    assert.deepEqual([read?.hash, read?.height, read?.parent], [HASH, 1, block.previousblockhash])
    assert.equal(read?.time.getTime(), MINED * 1000)
    assert.deepEqual(read?.transfers, [
      {
        ...{ txid: block.tx[0]!['txid'], ordinal: '0', asset: 'BTC', script: SCRIPT, units: 5_000_000_000n },
        ...{ coinbase: true, spends: [] },
      },
    ])
  })
}

test('amounts are read to the unit, whatever a double makes of them', async () => {
  for (const [written, units] of [
    ['0.00000001', 1n],
    ['0.1', 10_000_000n],
    ['0.29', 29_000_000n],
    ['20999999.9769', 2_099_999_997_690_000n],
    ['12345678.90123457', 1_234_567_890_123_457n],
    ['67108863.99999999', 6_710_886_399_999_999n],
  ] as const) {
    const block = recorded()
    ;(block.tx[0]!['vout'] as Record<string, unknown>[])[0]!['value'] = JSON.parse(written)
    assert.equal((await chainOf(giving(block)).block(HASH))?.transfers[0]?.units, units, written)
  }
})

/** With something else in its first output. */
function paying(block: Recorded, change: object): Recorded {
  Object.assign((block.tx[0]!['vout'] as object[])[0]!, change)
  return block
}

const lies: [what: string, lie: (block: Recorded) => unknown][] = [
  ['nothing at all', () => null],
  ['half a thing', () => 'block'],
  ['another block', (block) => ({ ...block, hash: UNKNOWN })],
  ['another parent', (block) => ({ ...block, previousblockhash: UNKNOWN })],
  ['another time', (block) => ({ ...block, time: MINED + 1 })],
  ['no height', (block) => ({ ...block, height: '1' })],
  ['no transactions', (block) => ({ ...block, tx: undefined })],
  ['an empty list of them', (block) => ({ ...block, tx: [] })],
  ['a transaction more', (block) => ({ ...block, tx: [...block.tx, { ...block.tx[0], txid: UNKNOWN }] })],
  ['a transaction twice, which leaves the root as it is', (block) => ({ ...block, tx: [block.tx[0], block.tx[0]] })],
  ['ids instead of transactions', (block) => ({ ...block, tx: block.tx.map((tx) => tx['txid']) })],
  ['an output without a script', (block) => paying(block, { scriptPubKey: undefined })],
  ['a script that is none', (block) => paying(block, { scriptPubKey: { hex: 'xyz' } })],
  ...[-1, '50', Number.NaN, 0.123456789, 1e9, null].map((value): [string, (block: Recorded) => unknown] => [
    `an amount of ${value}`,
    (block) => paying(block, { value }),
  ]),
]
for (const [what, lie] of lies) {
  test(`a node that answers ${what} is not believed`, async () => {
    await assert.rejects(chainOf(giving(lie(recorded()))).block(HASH), trouble('broken_answer'))
  })
}

test('a header that does not hash to its block is not believed, and neither is none', async () => {
  for (const header of [HEADER.replace('5c6b', '5c6c'), HEADER.slice(2), '', null, recorded()])
    await assert.rejects(chainOf(giving(recorded(), header)).block(HASH), trouble('broken_answer'))
})

test('a block that the node does not know is none; one that it has thrown away, or will not give, is trouble', async () => {
  assert.equal(await chainOf({ getblock: refuse(-5, 'Block not found') }).block(HASH), null)
  for (const code of [-1, -32603, -32601])
    await assert.rejects(
      chainOf({ getblock: refuse(code, 'Block not available (pruned data)') }).block(HASH),
      trouble('refused', /pruned data/),
    )
})

const info = (more: object = {}) => ({
  blocks: 1,
  headers: 1,
  bestblockhash: HASH,
  initialblockdownload: false,
  ...more,
})

test('a node that is catching up is behind: by headers, by its own word, or by the age of its newest block', async () => {
  const tipOf = (said: object, more: Parameters<typeof chainOf>[1] = {}) =>
    chainOf({ getblockchaininfo: () => said, getblockheader: () => HEADER }, more).tip()
  const tip = { hash: HASH, height: 1 }
  assert.deepEqual(await tipOf(info()), tip)
  assert.deepEqual(await tipOf(info({ headers: 2 })), tip)
  await assert.rejects(tipOf(info({ headers: 3 })), trouble('behind', /at block 1 of 3/))
  // Who mines by himself mines when he likes.
  assert.deepEqual(await tipOf(info({ initialblockdownload: true }), { now: MINED + 1e8 }), tip)
  const main = { environment: 'main' as const }
  await assert.rejects(tipOf(info({ initialblockdownload: true }), main), trouble('behind'))
  assert.deepEqual(await tipOf(info(), { ...main, now: MINED + 90 * 60 }), tip)
  await assert.rejects(tipOf(info(), { ...main, now: MINED + 90 * 60 + 1 }), trouble('behind', /no block since 5401/))
  for (const said of [null, {}, info({ blocks: -1 }), info({ bestblockhash: 'x' })])
    await assert.rejects(tipOf(said as object), trouble('broken_answer'))
})

test('another endpoint must have the same block at the same height', async () => {
  const at = (hash: unknown, name: string) =>
    nodeOf({ getblockhash: ([height]) => (height === 0 ? GENESIS : typeof hash === 'function' ? hash() : hash) }, name)
  const asked = (...hashes: unknown[]) => chainOf(hashes.map((hash, n) => at(hash, `http://node${n}`))).agrees(7, HASH)
  assert.equal(await asked(HASH), 'alone')
  assert.equal(await asked(HASH, HASH), 'agrees')
  assert.equal(await asked(HASH, UNKNOWN), 'disagrees')
  assert.equal(await asked(HASH, HASH, UNKNOWN), 'disagrees')
  assert.equal(await asked(HASH, refuse(-8, 'Block height out of range')), 'not_known')
  assert.equal(await asked(HASH, refuse(-1, 'away')), 'not_known')
  assert.equal(await asked(HASH, null), 'not_known')
})

test('who counts the coins for somebody else, or not to the end, has counted nothing', async () => {
  const held = (scantxoutset: () => unknown) => chainOf({ scantxoutset }).balances('BTC', [SCRIPT])
  const coin = { txid: UNKNOWN, vout: 0, scriptPubKey: SCRIPT, amount: 0.3, height: 1 }
  assert.deepEqual(await held(() => ({ success: true, unspents: [coin, coin] })), [60_000_000n])
  await assert.rejects(held(refuse(-8, 'Scan already in progress')), trouble('unreachable'))
  for (const said of [null, { success: false, unspents: [] }, { success: true }, { success: true, unspents: [{}] }])
    await assert.rejects(
      held(() => said),
      trouble('broken_answer'),
    )
  await assert.rejects(chainOf({}).balances('LTC', [SCRIPT]), /LTC is not of Bitcoin/)
})

test('of what waits a bounded number is read at once, the newly arrived first, and each only once', async () => {
  const idOf = (n: number) => n.toString(16).padStart(64, '0')
  let waiting = Array.from({ length: 1_200 }, (_, n) => idOf(n))
  const read: string[] = []
  const chain = chainOf({
    getrawmempool: () => waiting,
    getrawtransaction: ([txid]) => {
      read.push(String(txid))
      if (!waiting.includes(String(txid))) throw new RpcError(-5, 'No such mempool transaction')
      const vout = [{ value: 0.5, n: 0, scriptPubKey: { hex: SCRIPT } }]
      return { txid, vin: [{ txid: UNKNOWN, vout: Number.parseInt(String(txid), 16) }], vout }
    },
  })
  assert.equal((await chain.pool()).length, 500)
  waiting = [...waiting, idOf(5_000)]
  assert.equal((await chain.pool()).length, 1_000)
  assert.equal(read[500], idOf(5_000))
  assert.equal((await chain.pool()).length, 1_201)
  assert.equal((await chain.pool()).length, 1_201)
  assert.equal(read.length, 1_201)
  assert.equal(new Set(read).size, 1_201)
  waiting = waiting.slice(600)
  assert.equal((await chain.pool()).length, 601)
  waiting = [idOf(9_000)]
  assert.deepEqual(
    (await chain.pool()).map(({ txid }) => txid),
    waiting,
  )
})

test('a lying node is passed over for the next, and both together are trouble', async () => {
  const { coin, url: honest, stop } = await startSimulator('bitcoin')
  coin.mine(5)
  const opened = [{ stop }]
  after(() => Promise.all(opened.map((one) => one.stop())))
  const open = async (answer: Parameters<typeof serve>[0]) => {
    const served = await serve(answer)
    opened.push(served)
    return served.url
  }
  const wrong: Parameters<typeof serve>[0][] = [
    () => ({ status: 200, body: '<html>Welcome</html>' }),
    () => ({ status: 429, body: 'slow down' }),
    () => ({ status: 500, body: '' }),
    (body) => {
      const answer = coin.answer(body)
      return { ...answer, body: JSON.stringify(answer.body).slice(0, -40) }
    },
    (body) => {
      const { method } = body as { method: string }
      const answer = coin.answer(body)
      const earlier = coin.rpc('getblock', [coin.rpc('getblockhash', [2]), 2])
      return method === 'getblock' ? { ...answer, body: { ...(answer.body as object), result: earlier } } : answer
    },
  ]
  const hash = String(coin.rpc('getbestblockhash'))
  for (const answer of wrong) {
    const liar = await open(answer)
    const chainAt = (urls: string[]) =>
      createUtxoChain({
        ...{ network: networkOf('bitcoin'), assets, environment: 'test', urls },
        rpc: createRpc({ urls, roundPauseMs: 1 }),
      })
    assert.equal((await chainAt([liar, honest]).block(hash))?.hash, hash)
    await assert.rejects(chainAt([liar]).block(hash), NodeTrouble)
  }
})
