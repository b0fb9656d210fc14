/**
 * The simulator against a real node: the same random sequence of payments, replacements, double-spends, blocks, refused and forgiven blocks
 * on both, and after each step the same answers of the port. What differs by nature, ids and hashes, is told by names that both share.
 *
 * `npm run faults -- --chains N --seed S` runs N steps; the tests run a few.
 */
import assert from 'node:assert/strict'
import { appendFileSync } from 'node:fs'
import { test } from 'node:test'
import { assets, networkOf } from '../../server/payments/crypto/assets.ts'
import type { Chain, Transfer } from '../../server/payments/crypto/chain.ts'
import { createUtxoChain } from '../../server/payments/crypto/utxo.ts'
import { litecoindPath, startLitecoind } from '../chains/litecoind.ts'
import {
  type Made,
  makeTx,
  minerOf,
  mineWith,
  NodeRefusal,
  ownCoins,
  type PayerCoin,
  scriptOfKey,
  send,
  startSimulator,
  type TestNode,
} from '../chains/test-node.ts'
import { chance, SEED } from '../random.ts'

const STEPS = Number(process.env['FAULTS_CHAINS'] ?? 60)
const REPORT = process.env['FAULTS_REPORT']
const COINS = 30
const SHOPS = 4
const SHOP = 700_000
/** A block that is refused may have so many above it; Core brings back what stood in ten. */
const DEPTH_MAX = 12
const LOOKED_BACK_BLOCKS = 3
const FEES = [10_000n, 20_000n, 40_000n, 80_000n, 160_000n, 320_000n]
const FINAL = 0xffffffff
const PROGRESS_STEPS = 20

type Sent = Made & { coins: readonly PayerCoin[]; change: PayerCoin | null }
/** One of the two, with the same things in the same order as in the other. */
type World = {
  node: TestNode
  chain: Chain
  coins: PayerCoin[]
  txs: Sent[]
  blocks: string[]
  names: Map<string, string>
}

async function openWorld(node: TestNode): Promise<World> {
  const chain = createUtxoChain({ network: networkOf(node.kind), assets, environment: 'test', urls: [node.url] })
  const coins = await ownCoins(node, COINS)
  const names = new Map<string, string>()
  const { height } = await chain.tip()
  for (let at = 0; at <= height; at++) {
    const hash = (await chain.hashAt(at))!
    names.set(hash, `start ${at}`)
    const { tx } = await node.call('getblock', hash, 1)
    names.set(tx[0], `reward of start ${at}`)
  }
  return { node, chain, coins, txs: [], blocks: [], names }
}

/** What came of it: the node's word for yes, or the code of its no. */
async function outcome(work: Promise<unknown>): Promise<string> {
  try {
    await work
    return 'yes'
  } catch (error) {
    if (!(error instanceof NodeRefusal)) throw error
    return `no ${error.code}`
  }
}

async function nameBlocks(world: World, hashes: readonly string[]): Promise<void> {
  for (const hash of hashes) {
    const name = `block ${world.blocks.push(hash)}`
    world.names.set(hash, name)
    const { tx } = await world.node.call('getblock', hash, 1)
    world.names.set(tx[0], `reward of ${name}`)
  }
}

/** What to do, in words that mean the same on both. */
type Step =
  | { do: 'pay'; coin: number; ofChange: boolean; outputs: [shop: number, units: bigint][]; fee: bigint; last: boolean }
  | {
      do: 'replace'
      tx: number
      outputs: [shop: number, units: bigint][]
      fee: bigint
      last: boolean
      more: number | null
    }
  | { do: 'double-spend'; tx: number; fee: bigint }
  | { do: 'send again'; tx: number }
  | { do: 'mine'; blocks: number }
  | { do: 'refuse'; depth: number; thenMine: number }
  | { do: 'forgive'; block: number }

/** `waiting`: which of its transactions no block has. */
function choose(dice: ReturnType<typeof chance>, world: World, waiting: readonly number[]): Step {
  const outputs = (): [number, bigint][] =>
    Array.from({ length: dice.whole(0, 3) }, () => [dice.whole(1, SHOPS), BigInt(dice.whole(1, 100_000_000))])
  const fee = dice.oneOf(FEES)
  const last = dice.happens(0.15)
  // Mostly what was made lately: what lies deep under blocks is refused by all.
  const lately = (count: number) => dice.whole(dice.happens(0.75) ? Math.max(0, count - 4) : 0, count - 1)
  const tx = waiting.length > 0 && dice.happens(0.6) ? dice.oneOf(waiting) : lately(world.txs.length)
  const roll = dice.next()
  if (world.txs.length === 0 || roll < 0.32) {
    const ofChange = world.txs.length > 0 && dice.happens(0.4)
    const used = new Set(world.txs.flatMap(({ coins }) => coins))
    const unused = world.coins.flatMap((one, n) => (used.has(one) ? [] : n))
    const coin = ofChange
      ? lately(world.txs.length)
      : unused.length > 0 && dice.happens(0.8)
        ? dice.oneOf(unused)
        : dice.whole(0, world.coins.length - 1)
    return { do: 'pay', coin, ofChange, outputs: outputs(), fee, last }
  }
  if (roll < 0.56)
    return {
      do: 'replace',
      tx,
      outputs: outputs(),
      fee,
      last,
      more: dice.happens(0.2) ? dice.whole(0, COINS - 1) : null,
    }
  if (roll < 0.66) return { do: 'double-spend', tx, fee }
  if (roll < 0.7) return { do: 'send again', tx }
  if (roll < 0.84 || world.blocks.length < 3) return { do: 'mine', blocks: dice.whole(1, 3) }
  if (roll < 0.95) {
    const depth = dice.happens(0.1) ? DEPTH_MAX : dice.whole(1, 5)
    return { do: 'refuse', depth, thenMine: dice.happens(0.7) ? dice.whole(0, depth + 1) : 0 }
  }
  return { do: 'forgive', block: dice.whole(0, world.blocks.length - 1) }
}

/** Answers what came of it, in words that mean the same on both. */
async function take(world: World, step: Step): Promise<string> {
  const { node, txs, coins } = world
  const payments = (outputs: readonly [number, bigint][]) =>
    outputs.map(([shop, units]) => ({ script: scriptOfKey(SHOP + shop), units }))
  const options = (fee: bigint, last: boolean) => ({ fee, ...(last ? { sequence: FINAL } : {}) })
  const make = (spent: readonly PayerCoin[], outputs: readonly [number, bigint][], fee: bigint, last: boolean) => {
    const tx = { ...makeTx(spent, payments(outputs), options(fee, last)), coins: spent }
    world.names.set(tx.txid, `tx ${txs.push(tx)}`)
    return tx
  }
  switch (step.do) {
    case 'pay': {
      const coin = step.ofChange ? txs[step.coin]!.change : coins[step.coin]!
      return coin && canPay([coin], step)
        ? outcome(send(node, make([coin], step.outputs, step.fee, step.last)))
        : 'nothing'
    }
    case 'replace': {
      const more = step.more === null ? [] : [coins[step.more]!]
      const spent = [...new Set([...txs[step.tx]!.coins, ...more])]
      return canPay(spent, step) ? outcome(send(node, make(spent, step.outputs, step.fee, step.last))) : 'nothing'
    }
    case 'double-spend': {
      const spent = txs[step.tx]!.coins
      if (!canPay(spent, { outputs: [], fee: step.fee })) return 'nothing'
      const rival = make(spent, [], step.fee, false)
      return outcome(mineWith(node, [rival]).then((hash) => nameBlocks(world, [hash])))
    }
    case 'send again':
      return outcome(send(node, txs[step.tx]!))
    case 'mine':
      await nameBlocks(world, await node.call('generatetoaddress', step.blocks, minerOf(node)))
      return 'yes'
    case 'refuse': {
      const { height } = await world.chain.tip()
      await node.call('invalidateblock', await node.call('getblockhash', height - step.depth + 1))
      if (step.thenMine > 0) await nameBlocks(world, await node.call('generatetoaddress', step.thenMine, minerOf(node)))
      return 'yes'
    }
    case 'forgive':
      await node.call('reconsiderblock', world.blocks[step.block]!)
      return 'yes'
  }
}

function canPay(coins: readonly PayerCoin[], step: { outputs: readonly [number, bigint][]; fee: bigint }): boolean {
  const held = coins.reduce((sum, { units }) => sum + units, 0n)
  // Something is always left, so that the transaction has an output and is as long as it must be.
  return held > step.outputs.reduce((sum, [, units]) => sum + units, step.fee) + 1_000n
}

/** Everything that the port says, with names for what only one of the two knows. */
async function told({ chain, names, txs }: World, dice: ReturnType<typeof chance>) {
  const name = (id: string) => names.get(id) ?? `unknown ${id}`
  const spend = (key: string) => key.replace(/^\w+/, name)
  const transfer = (one: Transfer) =>
    [name(one.txid), one.ordinal, one.script, one.units, one.coinbase, ...one.spends.map(spend)].join(' ')
  const sorted = (transfers: readonly Transfer[]) => transfers.map(transfer).sort()
  const tip = await chain.tip()
  const blocks = []
  for (let height = tip.height; height > tip.height - LOOKED_BACK_BLOCKS; height--) {
    const block = await chain.block((await chain.hashAt(height))!)
    assert.ok(block)
    blocks.push({
      ...{ hash: name(block.hash), parent: name(block.parent), height: block.height, paid: sorted(block.transfers) },
      spent: [...block.spent].map(([key, by]) => `${spend(key)} by ${name(by)}`).sort(),
    })
  }
  const found: Record<string, unknown> = {}
  for (let n = 0; n < 3 && txs.length > 0; n++) {
    const tx = dice.oneOf(txs)
    const one = await chain.find(tx.txid)
    found[name(tx.txid)] =
      one.where === 'nowhere'
        ? one
        : { ...one, ...('hash' in one ? { hash: name(one.hash) } : {}), transfers: sorted(one.transfers) }
  }
  const shops = Array.from({ length: SHOPS }, (_, n) => scriptOfKey(SHOP + 1 + n))
  return {
    tip: { hash: name(tip.hash), height: tip.height },
    above: await chain.hashAt(tip.height + 1),
    blocks,
    pool: sorted(await chain.pool()),
    found,
    held: await chain.balances('LTC', shops),
  }
}

function report(line: object): void {
  if (REPORT) appendFileSync(REPORT, `${JSON.stringify(line)}\n`)
}

if (litecoindPath !== null)
  test(`the simulator and a real node say the same after each of ${STEPS} random steps, seed ${SEED}`, async (t) => {
    t.diagnostic(`seed ${SEED}: npm run faults -- --chains ${STEPS} --seed ${SEED}`)
    const real = await openWorld(await startLitecoind())
    const ours = await openWorld(await startSimulator('litecoin'))
    const counts: Record<string, number> = {}
    const spentMs = { litecoind: 0, simulator: 0 }
    const timed = async <Result>(who: keyof typeof spentMs, work: () => Promise<Result>) => {
      const since = performance.now()
      const result = await work()
      spentMs[who] += performance.now() - since
      return result
    }
    try {
      const dice = chance(SEED)
      for (let n = 1; n <= STEPS; n++) {
        const pool = new Set<string>(await real.node.call('getrawmempool'))
        const waiting = real.txs.flatMap(({ txid }, at) => (pool.has(txid) ? [at] : []))
        const step = choose(dice, real, waiting)
        const looks = dice.whole(0, 1_000_000)
        const words = JSON.stringify(step, (_, value) => (typeof value === 'bigint' ? String(value) : value))
        const message = `seed ${SEED}, step ${n}: ${words}`
        const said = await timed('litecoind', async () => [await take(real, step), await told(real, chance(looks))])
        const same = await timed('simulator', async () => [await take(ours, step), await told(ours, chance(looks))])
        assert.deepEqual(same, said, message)
        const kind = `${step.do}: ${String(said[0])}`
        counts[kind] = (counts[kind] ?? 0) + 1
        if (n % PROGRESS_STEPS === 0) report({ progress: { done: n, of: STEPS } })
      }
    } finally {
      await Promise.all([real.node.stop(), ours.node.stop()])
    }
    const perStep = {
      litecoindStepMs: Math.round(spentMs.litecoind / STEPS),
      simulatorStepMs: Math.round(spentMs.simulator / STEPS),
    }
    t.diagnostic(JSON.stringify({ ...perStep, ...counts }))
    report({ progress: { done: STEPS, of: STEPS }, figures: [{ kind: 'chains', steps: STEPS, counts, ...perStep }] })
  })
