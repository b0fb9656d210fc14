import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { openBooks } from '../books.ts'
import { headerHash, readHeader } from './bytes.ts'
import { type Coin, createCoin, Refused } from './coin.ts'

const SHOP = {
  bitcoin: 'bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080',
  litecoin: 'rltc1qw508d6qejxtdg4y5r3zarvary0c5xw7k693xs3',
}

/** What the shop's address holds, by the node's own word. In units. */
function holds(coin: Coin, address = SHOP[coin.kind]): number {
  const { total_amount } = coin.rpc('scantxoutset', ['start', [`addr(${address})`]]) as { total_amount: number }
  return Math.round(total_amount * 1e8)
}

function refusal(code: number, message: RegExp) {
  return (error: unknown) => error instanceof Refused && error.code === code && message.test(error.message)
}

for (const kind of ['bitcoin', 'litecoin'] as const) {
  test(`${kind}: a payment waits, is mined, and is held`, () => {
    const coin = createCoin({ kind })
    const { txid } = coin.pay(SHOP[kind], 12_345n)
    assert.ok(coin.isWaiting(txid))
    assert.equal(holds(coin), 0)
    const { height } = coin.mine(3)
    assert.ok(!coin.isWaiting(txid))
    assert.equal(holds(coin), 12_345)
    assert.equal(coin.rpc('getblockcount'), height)
  })

  test(`${kind}: every header hashes to its block, and names the one before`, () => {
    const coin = createCoin({ kind, firstBlocks: 20 })
    let parent = coin.rpc('getblockhash', [0])
    for (let height = 1; height <= 20; height++) {
      const hash = coin.rpc('getblockhash', [height])
      const header = coin.rpc('getblockheader', [hash, false]) as string
      assert.equal(headerHash(header), hash)
      assert.equal(readHeader(header).parent, parent)
      parent = hash
    }
  })
}

test('the first blocks are those of the real test networks', () => {
  assert.equal(
    createCoin({ kind: 'bitcoin', firstBlocks: 0 }).rpc('getblockhash', [0]),
    '0f9188f13cb7b2c71f2a335e3a4fc328bf5beb436012afca590b1a11466e2206',
  )
  assert.equal(
    createCoin({ kind: 'litecoin', firstBlocks: 0 }).rpc('getblockhash', [0]),
    '530827f38f93b43ed12af0b3ad25a288dc02ed74d6d7857862df51fc56c416f9',
  )
})

test('after a reorganisation the payment waits again, and the next block has it', () => {
  const coin = createCoin({ kind: 'bitcoin' })
  const { txid } = coin.pay(SHOP.bitcoin, 700n)
  const before = coin.mine(2)
  const after = coin.reorg(2)
  assert.equal(after.height, before.height + 1)
  assert.deepEqual(after.dropped, [])
  assert.ok(coin.isWaiting(txid))
  assert.equal(holds(coin), 0)
  const stale = coin.rpc('getblock', [before.hashes[0]]) as { confirmations: number }
  assert.equal(stale.confirmations, -1)
  coin.mine(1)
  assert.equal(holds(coin), 700)
})

test('a payment that is dropped was spent otherwise and cannot come back', () => {
  const coin = createCoin({ kind: 'bitcoin' })
  const { txid } = coin.pay(SHOP.bitcoin, 700n)
  const raw = coin.rpc('getrawtransaction', [txid])
  coin.mine(4)
  assert.deepEqual(coin.reorg(4, { drop: true }).dropped, [txid])
  coin.mine(3)
  assert.equal(holds(coin), 0)
  assert.throws(() => coin.rpc('sendrawtransaction', [raw]), refusal(-25, /missingorspent/))
})

test('a payment that is forgotten can be sent again', () => {
  const coin = createCoin({ kind: 'bitcoin' })
  const { txid } = coin.pay(SHOP.bitcoin, 700n)
  const raw = coin.rpc('getrawtransaction', [txid])
  coin.mine(2)
  assert.deepEqual(coin.reorg(2, { forget: true }).dropped, [txid])
  coin.mine(1)
  assert.equal(holds(coin), 0)
  coin.rpc('sendrawtransaction', [raw])
  coin.mine(1)
  assert.equal(holds(coin), 700)
})

test('what waits is replaced by what pays more: the same, less, or nothing to the shop', () => {
  const coin = createCoin({ kind: 'bitcoin' })
  const first = coin.pay(SHOP.bitcoin, 10_000n)
  const same = coin.replace(first.txid)
  const less = coin.replace(same.txid, { units: 600n })
  assert.deepEqual(coin.rpc('getrawmempool'), [less.txid])
  assert.throws(() => coin.replace(first.txid), refusal(-5, /does not wait/))
  coin.mine(1)
  assert.equal(holds(coin), 600)
  const other = coin.pay(SHOP.bitcoin, 10_000n)
  coin.replace(other.txid, { units: 0n })
  coin.mine(1)
  assert.equal(holds(coin), 600)
})

test('many payments wait at once', () => {
  const coin = createCoin({ kind: 'litecoin' })
  for (let n = 0; n < 120; n++) coin.pay(SHOP.litecoin, 1_000n)
  coin.mine(1)
  assert.equal(holds(coin), 120_000)
})

test('a payment may need several coins, and is refused when there are not enough', () => {
  const coin = createCoin({ kind: 'bitcoin' })
  coin.pay(SHOP.bitcoin, 12_000_000_000n)
  coin.mine(1)
  assert.equal(holds(coin), 12_000_000_000)
  assert.throws(() => coin.pay(SHOP.bitcoin, 10n ** 15n), refusal(-6, /mine some blocks/))
})

test('what cannot be paid or mined is refused in words', () => {
  const coin = createCoin({ kind: 'bitcoin', firstBlocks: 5 })
  assert.throws(() => coin.pay(SHOP.litecoin, 1n), refusal(-5, /Invalid address/))
  assert.throws(() => coin.pay('nonsense', 1n), refusal(-5, /Invalid address/))
  assert.throws(() => coin.pay(SHOP.bitcoin, 0n), refusal(-3, /more than nothing/))
  assert.throws(() => coin.pay(SHOP.bitcoin, 1n), refusal(-6, /mine some blocks/))
  for (const count of [0, -1, 1.5, 100_000]) assert.throws(() => coin.mine(count), refusal(-8, /number of blocks/))
  for (const depth of [0, 6, Number.NaN]) assert.throws(() => coin.reorg(depth), refusal(-8, /from 1 to 5/))
})

test('a restart goes on where it stood: blocks, branches, what is refused and what waits', () => {
  const folder = mkdtempSync(join(tmpdir(), 'coin-'))
  const look = (coin: Coin) =>
    JSON.stringify([
      coin.rpc('getblockchaininfo'),
      coin.rpc('getchaintips'),
      coin.rpc('getrawmempool', [true]),
      holds(coin),
    ])
  try {
    let books = openBooks(join(folder, 'books.sqlite'))
    const coin = createCoin({ kind: 'bitcoin', books })
    const litecoin = createCoin({ kind: 'litecoin', books })
    coin.pay(SHOP.bitcoin, 1_000n)
    coin.mine(3)
    coin.reorg(2)
    coin.pay(SHOP.bitcoin, 2_000n)
    coin.rpc('invalidateblock', [coin.rpc('getbestblockhash')])
    const waits = coin.pay(SHOP.bitcoin, 3_000n)
    coin.replace(waits.txid)
    litecoin.mine(1)
    const before = [look(coin), look(litecoin)]
    books.close()
    books = openBooks(join(folder, 'books.sqlite'))
    const again = createCoin({ kind: 'bitcoin', books })
    assert.deepEqual([look(again), look(createCoin({ kind: 'litecoin', books }))], before)
    again.mine(1)
    assert.equal(holds(again), 6_000)
    books.close()
  } finally {
    rmSync(folder, { recursive: true })
  }
})

test('a block of another node is taken, and the longer branch counts', () => {
  const one = createCoin({ kind: 'bitcoin', firstBlocks: 3, mark: 'one' })
  const other = createCoin({ kind: 'bitcoin', firstBlocks: 5, mark: 'other' })
  assert.notEqual(one.rpc('getblockhash', [1]), other.rpc('getblockhash', [1]))
  for (let height = 1; height <= 5; height++) one.tree.take(other.tree.at(height)!)
  assert.equal(one.rpc('getbestblockhash'), other.rpc('getbestblockhash'))
})

test('a batch is answered whole, and what is refused says so as Core does', () => {
  const coin = createCoin({ kind: 'bitcoin', firstBlocks: 2 })
  assert.deepEqual(coin.answer({ id: 7, method: 'getblockcount' }), {
    status: 200,
    body: { result: 2, error: null, id: 7 },
  })
  const unknown = { result: null, error: { code: -5, message: 'Block not found' }, id: 8 }
  const asked = { id: 8, method: 'getblock', params: ['00'.repeat(32)] }
  assert.deepEqual(coin.answer(asked), { status: 500, body: unknown })
  assert.deepEqual(coin.answer([asked, { id: 9, method: 'getblockcount' }]), {
    status: 200,
    body: [unknown, { result: 2, error: null, id: 9 }],
  })
  assert.equal(coin.answer({ id: 1, method: 'nothing' }).status, 404)
  for (const body of [null, 7, 'text', {}, { method: 7 }]) assert.equal(coin.answer(body).status, 400)
})
