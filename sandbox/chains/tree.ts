/**
 * What a bitcoin-type node knows: the tree of blocks, the coins that are unspent on its best branch, and the pool of what waits. It keeps
 * Core's rules of existence (a coin is there, once, and old enough), of replacement (BIP125) and of choice between branches (the longest,
 * of two the one that came first). It does not look at scripts, signatures and work: whoever sends it a transaction is believed to own
 * the coins. As Core with `-acceptnonstdtxn` it takes what is legal but unusual, such as outputs of one unit.
 */
import { coinbaseTx, headerHash, merkleRoot, readHeader, readTx, type Tx, writeHeader } from './bytes.ts'

export type Block = {
  hash: string
  parent: string
  height: number
  header: string
  time: number
  txs: readonly Tx[]
  /** Which came first; of two branches of the same length that one counts. */
  order: number
  /** Refused by hand (`invalidateblock`), or found to be against the rules. */
  invalid: boolean
}
export type Coin = { units: bigint; script: string; height: number; coinbase: boolean }
export type Waiting = { tx: Tx; fee: bigint; time: number; height: number }

/** The node's own code and words for what it does not take. */
export class Refused extends Error {
  readonly code: number
  constructor(code: number, message: string) {
    super(message)
    this.code = code
  }
}

/** Told of what must be kept over a restart. */
export type Keeper = {
  blockAdded: (block: Block) => void
  blockMarked: (block: Block) => void
  waitingChanged: (waiting: readonly Waiting[]) => void
}

export const COINBASE_MATURITY_BLOCKS = 100
const HALVING_BLOCKS = 150
const SUBSIDY_UNITS = 5_000_000_000n
/** What Core asks of a transaction, and of a replacement beyond what it replaces. */
const RELAY_UNITS_PER_KILOBYTE = 1_000n
/** An input that signals with less may be replaced (BIP125). */
const FINAL_SEQUENCE = 0xfffffffe
const REPLACED_MAX = 100
/** Of transactions that wait and spend each other, in both directions, each one counted with itself. */
const FAMILY_MAX = 25
/** Core brings back what stood in so many blocks that it is told to refuse; what lay deeper is gone. */
const BROUGHT_BACK_BLOCKS_MAX = 10
const MEDIAN_BLOCKS = 11
const BITS = 0x207fffff
const VERSION = 0x20000000
/** Without signatures; less could be taken for a part of the tree of hashes. */
const BARE_BYTES_MIN = 82

export type Tree = ReturnType<typeof plantTree>

/**
 * `genesis`: header and only transaction of the first block, in hexadecimal. `clock`: milliseconds. `mark` stands in the blocks that are
 * mined here: two nodes that mine the same at the same time must not find the same block.
 */
export function plantTree(start: {
  genesis: { header: string; tx: string }
  clock: () => number
  mark: string
  keeper?: Keeper
}) {
  const { clock, keeper, mark } = start
  const blocks = new Map<string, Block>()
  const active: Block[] = []
  const coins = new Map<string, Coin>()
  /** By transaction: which coins it spent, to give them back. */
  const spentBy = new Map<string, [key: string, coin: Coin][]>()
  const waiting = new Map<string, Waiting>()
  /** What may become the best branch's last block: not worse than the one that is. */
  const candidates = new Set<Block>()
  /** Which waiting transaction spends a coin. */
  const claimed = new Map<string, string>()
  let lastOrder = 0
  let pulledHeaders = 0

  const first: Block = {
    hash: headerHash(start.genesis.header),
    parent: '00'.repeat(32),
    height: 0,
    header: start.genesis.header,
    time: readHeader(start.genesis.header).time,
    txs: [readTx(start.genesis.tx)],
    order: 0,
    invalid: false,
  }
  blocks.set(first.hash, first)
  // Its coin cannot be spent: it stands in no node's list of coins.
  active.push(first)

  const tip = () => active.at(-1)!
  const isActive = (block: Block) => active[block.height] === block
  const parentOf = (block: Block) => blocks.get(block.parent)!

  function subsidy(height: number): bigint {
    return SUBSIDY_UNITS >> BigInt(Math.floor(height / HALVING_BLOCKS))
  }

  /** What a coin's transaction is paid with; throws what Core says when it cannot be. */
  function feeOf(tx: Tx, height: number, coinOf: (key: string) => Coin | undefined): bigint {
    let paid = 0n
    const seen = new Set<string>()
    for (const input of tx.inputs) {
      const key = coinKey(input)
      const coin = coinOf(key)
      if (!coin || seen.has(key)) throw new Refused(-25, 'bad-txns-inputs-missingorspent')
      seen.add(key)
      const depth = height - coin.height
      if (coin.coinbase && depth < COINBASE_MATURITY_BLOCKS)
        throw new Refused(-26, `bad-txns-premature-spend-of-coinbase, tried to spend coinbase at depth ${depth}`)
      paid += coin.units
    }
    const fee = paid - sum(tx)
    if (fee < 0n) throw new Refused(-26, 'bad-txns-in-belowout')
    return fee
  }

  function connect(block: Block): void {
    let fees = 0n
    const done: Tx[] = []
    try {
      for (const tx of block.txs) {
        if (!tx.coinbase) {
          fees += feeOf(tx, block.height, (key) => coins.get(key))
          spentBy.set(
            tx.txid,
            tx.inputs.map((input) => [coinKey(input), coins.get(coinKey(input))!]),
          )
          for (const input of tx.inputs) coins.delete(coinKey(input))
        }
        for (const [n, { units, script }] of tx.outputs.entries())
          if (!isUnspendable(script))
            coins.set(`${tx.txid}:${n}`, { units, script, height: block.height, coinbase: tx.coinbase })
        done.push(tx)
      }
      if (sum(block.txs[0]!) > subsidy(block.height) + fees) throw new Refused(-25, 'bad-cb-amount')
    } catch (error) {
      for (const tx of done.reverse()) undo(tx)
      throw error
    }
    active.push(block)
  }

  function undo(tx: Tx): void {
    for (const n of tx.outputs.keys()) coins.delete(`${tx.txid}:${n}`)
    for (const [key, coin] of spentBy.get(tx.txid) ?? []) coins.set(key, coin)
    spentBy.delete(tx.txid)
  }

  function disconnect(): Block {
    const block = active.pop()!
    for (const tx of [...block.txs].reverse()) undo(tx)
    return block
  }

  /** A coin of the best branch, or of what waits. */
  function coinInSight(key: string): Coin | undefined {
    const coin = coins.get(key)
    if (coin) return coin
    const [txid = '', index] = key.split(':')
    const output = waiting.get(txid)?.tx.outputs[Number(index)]
    return output && { ...output, height: tip().height + 1, coinbase: false }
  }

  function wait(tx: Tx, fee: bigint, since?: { time: number; height: number }): void {
    const { time, height } = since ?? { time: Math.floor(clock() / 1_000), height: tip().height }
    waiting.set(tx.txid, { tx, fee, time, height })
    for (const input of tx.inputs) claimed.set(coinKey(input), tx.txid)
  }

  function forgetOne(txid: string): void {
    const gone = waiting.get(txid)
    if (!gone) return
    waiting.delete(txid)
    for (const input of gone.tx.inputs) if (claimed.get(coinKey(input)) === txid) claimed.delete(coinKey(input))
  }

  /** With everything that spends what it pays. */
  function forget(txid: string, outputs: number): void {
    for (let n = 0; n < outputs; n++) {
      const child = claimed.get(`${txid}:${n}`)
      if (child) forget(child, waiting.get(child)!.tx.outputs.length)
    }
    forgetOne(txid)
  }

  /** The transactions that spend, over any number of steps, what this one pays; it among them. */
  function withDescendants(txid: string, found = new Set<string>()): Set<string> {
    found.add(txid)
    for (const n of waiting.get(txid)!.tx.outputs.keys()) {
      const child = claimed.get(`${txid}:${n}`)
      if (child && !found.has(child)) withDescendants(child, found)
    }
    return found
  }

  /** What it spends that waits itself, over any number of steps. */
  function eldersOf(tx: Tx, found = new Set<string>()): Set<string> {
    for (const { txid } of tx.inputs) {
      const parent = waiting.get(txid)?.tx
      if (!parent || found.has(txid)) continue
      found.add(txid)
      eldersOf(parent, found)
    }
    return found
  }

  /** What it replaces; throws Core's refusal. `isBack`: it stood in a block, so its fee is not asked for. */
  function judge(tx: Tx, isBack = false): { fee: bigint; replaces: Set<string> } {
    if (tx.coinbase) throw new Refused(-26, 'coinbase')
    if ((tx.weight - tx.bytes) / 3 < BARE_BYTES_MIN) throw new Refused(-26, 'tx-size-small')
    if (waiting.has(tx.txid)) throw new Refused(-27, 'txn-already-in-mempool')
    const direct = new Set(tx.inputs.flatMap((input) => claimed.get(coinKey(input)) ?? []))
    for (const txid of direct)
      if (waiting.get(txid)!.tx.inputs.every((input) => input.sequence >= FINAL_SEQUENCE))
        throw new Refused(-26, 'txn-mempool-conflict')
    const fee = feeOf(tx, tip().height + 1, coinInSight)
    const least = (BigInt(tx.vbytes) * RELAY_UNITS_PER_KILOBYTE) / 1_000n
    if (!isBack && fee < least) throw new Refused(-26, `min relay fee not met, ${fee} < ${least}`)

    const replaces = new Set<string>()
    for (const txid of direct) withDescendants(txid, replaces)
    const elders = eldersOf(tx)
    const isCrowded = (txid: string) =>
      [...withDescendants(txid)].filter((one) => !replaces.has(one)).length >= FAMILY_MAX
    if (elders.size + 1 > FAMILY_MAX || [...elders].some(isCrowded)) throw new Refused(-26, 'too-long-mempool-chain')
    if (replaces.size === 0) return { fee, replaces }
    for (const input of tx.inputs)
      if (replaces.has(input.txid)) throw new Refused(-26, 'bad-txns-spends-conflicting-tx')
    if (replaces.size > REPLACED_MAX) throw new Refused(-26, 'too many potential replacements')
    const before = new Set([...direct].flatMap((txid) => waiting.get(txid)!.tx.inputs.map((input) => input.txid)))
    for (const txid of direct) {
      const old = waiting.get(txid)!
      if (fee * BigInt(old.tx.vbytes) <= old.fee * BigInt(tx.vbytes)) throw insufficient(tx, 'its rate is not higher')
    }
    for (const input of tx.inputs)
      if (waiting.has(input.txid) && !before.has(input.txid)) throw new Refused(-26, 'replacement-adds-unconfirmed')
    const oldFees = [...replaces].reduce((total, txid) => total + waiting.get(txid)!.fee, 0n)
    if (fee < oldFees) throw insufficient(tx, `less fees than conflicting txs; ${fee} < ${oldFees}`)
    if (fee - oldFees < least)
      throw insufficient(tx, `not enough additional fees to relay; ${fee - oldFees} < ${least}`)
    return { fee, replaces }
  }

  function accept(tx: Tx, isBack = false): void {
    const { fee, replaces } = judge(tx, isBack)
    for (const txid of replaces) forgetOne(txid)
    wait(tx, fee)
  }

  /** What stood in blocks that count no more waits again, the earliest first, unless it no longer can. */
  function bringBack(gone: readonly Block[], areKept: boolean): void {
    for (const block of [...gone].sort((a, b) => a.height - b.height))
      for (const tx of block.txs) {
        try {
          if (tx.coinbase || !areKept) throw new Refused(-26, 'coinbase')
          accept(tx, true)
        } catch (error) {
          if (!(error instanceof Refused)) throw error
          if (error.code !== -27) forget(tx.txid, tx.outputs.length)
        }
      }
    for (const { tx } of [...waiting.values()]) {
      if (!waiting.has(tx.txid)) continue
      try {
        feeOf(tx, tip().height + 1, coinInSight)
      } catch {
        forget(tx.txid, tx.outputs.length)
      }
    }
  }

  function setRefused(block: Block, invalid: boolean): void {
    if (block.invalid === invalid) return
    block.invalid = invalid
    keeper?.blockMarked(block)
  }

  /**
   * The longest branch that may count; of several the one whose last block came first. What stands on a refused block is marked when it is
   * met here, not before: so does Core, and a block that is forgiven later brings back only what stands on it.
   */
  function bestCandidate(): Block {
    for (;;) {
      let best = tip()
      for (const block of candidates) if (isBetter(block, best)) best = block
      const branch: Block[] = []
      let each = best
      while (!isActive(each) && !each.invalid) {
        branch.push(each)
        each = parentOf(each)
      }
      if (isActive(each)) return best
      for (const block of branch) {
        setRefused(block, true)
        candidates.delete(block)
      }
      candidates.delete(each)
    }
  }

  /** Moves to the branch that counts. */
  function activate(): void {
    const gone: Block[] = []
    for (;;) {
      const best = bestCandidate()
      if (best === tip()) break
      const branch: Block[] = []
      for (let each = best; !isActive(each); each = parentOf(each)) branch.unshift(each)
      while (tip().hash !== branch[0]!.parent) gone.push(disconnect())
      for (const block of branch) {
        try {
          connect(block)
        } catch (error) {
          if (!(error instanceof Refused)) throw error
          setRefused(block, true)
          break
        }
        for (const tx of block.txs) {
          forgetOne(tx.txid)
          for (const input of tx.inputs) {
            const rival = claimed.get(coinKey(input))
            if (rival) forget(rival, waiting.get(rival)!.tx.outputs.length)
          }
        }
      }
    }
    for (const block of candidates) if (isBetter(tip(), block)) candidates.delete(block)
    const still = gone.filter((block) => !isActive(block))
    if (still.length > 0) {
      const mined = new Set(active.slice(still.at(-1)!.height).flatMap((block) => block.txs.map((tx) => tx.txid)))
      bringBack(
        still.map((block) => ({ ...block, txs: block.txs.filter((tx) => !mined.has(tx.txid)) })),
        true,
      )
    }
    keeper?.waitingChanged([...waiting.values()])
  }

  function isBetter(one: Block, other: Block): boolean {
    return one.height > other.height || (one.height === other.height && one.order < other.order)
  }

  function medianTime(block: Block): number {
    const times: number[] = []
    for (let each: Block | undefined = block; each && times.length < MEDIAN_BLOCKS; each = blocks.get(each.parent))
      times.push(each.time)
    times.sort((a, b) => a - b)
    return times[Math.floor(times.length / 2)]!
  }

  function assemble(parent: Block, made: { script: string; txs: readonly Tx[]; fees: bigint; time?: number }): Block {
    const height = parent.height + 1
    const order = ++lastOrder
    const units = subsidy(height) + made.fees
    const txs = [coinbaseTx({ height, extra: order, mark, script: made.script, units, txs: made.txs }), ...made.txs]
    const time = Math.max(medianTime(parent) + 1, made.time ?? Math.floor(clock() / 1_000))
    const root = merkleRoot(txs.map((tx) => tx.txid))
    const header = writeHeader({ version: VERSION, parent: parent.hash, merkleRoot: root, time, bits: BITS, nonce: 0 })
    return { hash: headerHash(header), parent: parent.hash, height, header, time, txs, order, invalid: false }
  }

  function add(block: Block): void {
    blocks.set(block.hash, block)
    keeper?.blockAdded(block)
    if (!isBetter(tip(), block)) candidates.add(block)
    activate()
  }

  /** The best paid first, none before what it spends. */
  function inMiningOrder(): Waiting[] {
    const ordered: Waiting[] = []
    const placed = new Set<string>()
    const place = (one: Waiting) => {
      if (placed.has(one.tx.txid)) return
      placed.add(one.tx.txid)
      for (const input of one.tx.inputs) {
        const parent = waiting.get(input.txid)
        if (parent) place(parent)
      }
      ordered.push(one)
    }
    const rate = (one: Waiting) => Number(one.fee) / one.tx.vbytes
    for (const one of [...waiting.values()].sort((a, b) => rate(b) - rate(a))) place(one)
    return ordered
  }

  function need(hash: string): Block {
    const block = blocks.get(hash)
    if (!block) throw new Refused(-5, 'Block not found')
    return block
  }

  return {
    tip,
    block: (hash: string) => blocks.get(hash),
    at: (height: number) => active[height],
    blocks: () => blocks.values(),
    isActive,
    medianTime,
    coin: (key: string) => coins.get(key),
    coins: () => coins.entries(),
    waiting: (txid: string) => waiting.get(txid),
    allWaiting: () => [...waiting.values()],
    claimedBy: (key: string) => claimed.get(key),
    isReplaceable: (tx: Tx) => tx.inputs.some((input) => input.sequence < FINAL_SEQUENCE),
    /** The height of the newest header it has heard of: of a node that lags behind more than its blocks. */
    headers: () => Math.max(tip().height, pulledHeaders),
    hearOfHeaders(height: number) {
      pulledHeaders = height
    },

    judge,
    /** Takes a transaction into the pool; throws Core's refusal. */
    send(tx: Tx): void {
      accept(tx)
      keeper?.waitingChanged([...waiting.values()])
    },
    /** As if nobody had ever sent it, nor what spends it. */
    evict(txid: string): void {
      const one = waiting.get(txid)
      if (one) forget(txid, one.tx.outputs.length)
      keeper?.waitingChanged([...waiting.values()])
    },

    /** A block on the best branch with what waits, best paid first. `time`: seconds, when it shall not be now. */
    mine(script: string, time?: number): Block {
      const chosen = inMiningOrder()
      const fees = chosen.reduce((total, one) => total + one.fee, 0n)
      const block = assemble(tip(), { script, txs: chosen.map((one) => one.tx), fees, ...(time ? { time } : {}) })
      add(block)
      return block
    },

    /**
     * A block with exactly these transactions on any block that is known; its branch counts when it is the longest. On the best branch
     * it is refused when it breaks a rule; elsewhere that is found out when it would count.
     */
    mineOn(parentHash: string, script: string, txs: readonly Tx[]): Block {
      const parent = need(parentHash)
      const block = assemble(parent, { script, txs, fees: 0n })
      if (parent === tip()) {
        try {
          connect(block)
        } catch (error) {
          if (!(error instanceof Refused)) throw error
          throw new Refused(-25, `TestBlockValidity failed: ${error.message}`)
        }
        disconnect()
      }
      add(block)
      return block
    },

    /** A block that another node has made; its parent must be known. Twice is once. */
    take(other: Block): void {
      if (blocks.has(other.hash)) return
      need(other.parent)
      add({ ...other, order: ++lastOrder, invalid: false })
    },

    invalidate(hash: string): void {
      const block = need(hash)
      if (block === first) throw new Refused(-20, 'The first block cannot be refused')
      let count = 0
      while (isActive(block)) {
        const gone = disconnect()
        setRefused(gone, true)
        candidates.delete(gone)
        bringBack([gone], ++count <= BROUGHT_BACK_BLOCKS_MAX)
      }
      setRefused(block, true)
      candidates.delete(block)
      for (const each of blocks.values()) if (!each.invalid && !isBetter(tip(), each)) candidates.add(each)
      activate()
    },

    /** Forgives it, what it stands on and what stands on it; of these only what stands on it may become the best branch now. */
    reconsider(hash: string): void {
      const block = need(hash)
      const forgiven = new Set([block.hash])
      for (const each of [block, ...[...blocks.values()].sort((a, b) => a.height - b.height)]) {
        if (each !== block && !forgiven.has(each.parent)) continue
        forgiven.add(each.hash)
        if (each.invalid && isBetter(each, tip())) candidates.add(each)
        setRefused(each, false)
      }
      for (let each: Block | undefined = block; each; each = blocks.get(each.parent)) setRefused(each, false)
      activate()
    },

    /** What was kept, in the order in which it came; nothing is told to the keeper. */
    restore(kept: { blocks: readonly Block[]; waiting: readonly Omit<Waiting, 'fee'>[] }): void {
      for (const block of kept.blocks) {
        blocks.set(block.hash, block)
        lastOrder = Math.max(lastOrder, block.order)
      }
      for (const block of blocks.values()) if (!block.invalid) candidates.add(block)
      const best = bestCandidate()
      const branch: Block[] = []
      for (let each = best; each !== first; each = parentOf(each)) branch.unshift(each)
      for (const block of branch) connect(block)
      for (const block of candidates) if (isBetter(best, block)) candidates.delete(block)
      for (const one of kept.waiting) wait(one.tx, judge(one.tx, true).fee, one)
    },
  }
}

export function coinKey({ txid, index }: { txid: string; index: number }): string {
  return `${txid}:${index}`
}

function isUnspendable(script: string): boolean {
  return script.startsWith('6a')
}

function sum(tx: Tx): bigint {
  return tx.outputs.reduce((total, { units }) => total + units, 0n)
}

function insufficient(tx: Tx, why: string): Refused {
  return new Refused(-26, `insufficient fee, rejecting replacement ${tx.txid}, ${why}`)
}
