/**
 * A bitcoin-type network in a box: Bitcoin or Litecoin, a node of it that speaks Core's RPC, and somebody with coins who pays. Its
 * transactions are real (signed, in the network's bytes), its headers hash to their blocks' hashes; only work and signatures are not
 * checked. What happened is in the sandbox's books before it is answered, so a restart goes on where it stood; without books it lives in
 * memory, for tests.
 *
 *     const bitcoin = createCoin({ kind: 'bitcoin', clock, books })
 *     bitcoin.answer(body)                      // → { status, body }: an HTTP POST of JSON-RPC, alone or in a batch
 *     bitcoin.pay('bcrt1…', 12_345n)            // → { txid }, waiting in the pool
 *     bitcoin.replace(txid, { units: 0n })      // fee raised; the amount as it was, another, or nothing
 *     bitcoin.mine(3)                           // → { hashes, height }
 *     bitcoin.reorg(2, { drop: true })          // → { hashes, height, dropped }
 *
 * What cannot be done throws `Refused` with a sentence. Addresses are those of the test networks: bcrt1… and rltc1….
 */
import { sha256 } from '@noble/hashes/sha2.js'
import { hex } from '@scure/base'
import { p2wpkh, Transaction } from '@scure/btc-signer'
import { pubECDSA } from '@scure/btc-signer/utils.js'
import type { Books } from '../books.ts'
import { readTx, type Tx } from './bytes.ts'
import { type AddressSpace, type Kind, openCore } from './core.ts'
import { type Block, COINBASE_MATURITY_BLOCKS, type Keeper, plantTree, Refused } from './tree.ts'

export { type Block, Refused } from './tree.ts'

export const MINED_BLOCKS_MAX = 2_000
export const REORG_BLOCKS_MAX = 250
/** At the start, so that there are fifty old coins to pay with. */
const FIRST_BLOCKS = 150
const FIRST_BLOCKS_SECONDS_APART = 60
const FEE_UNITS_PER_BYTE = 20n
const REPLACEABLE = 0xfffffffd
/** A payment with more coins than these is refused: nobody here needs so much. */
const INPUTS_MAX = 100
/** Left over and less than this, it is the miner's. */
const CHANGE_UNITS_MIN = 546n
const BATCH_CALLS_MAX = 1_000

const FIRST_TX_END = 'ffffffff0100f2052a0100000043'
/** Of the test networks, as all nodes know them. */
const kinds: Record<Kind, { space: AddressSpace; genesis: { header: string; tx: string } }> = {
  bitcoin: {
    space: { bech32: 'bcrt', pubKeyHash: 0x6f, scriptHash: 0xc4, wif: 0xef },
    genesis: {
      header:
        '0100000000000000000000000000000000000000000000000000000000000000000000003ba3edfd7a7b12b27ac72c3e67768f617fc81bc3888a51323a9fb8aa4b1e5e4adae5494dffff7f2002000000',
      tx: `01000000010000000000000000000000000000000000000000000000000000000000000000ffffffff4d04ffff001d0104455468652054696d65732030332f4a616e2f32303039204368616e63656c6c6f72206f6e206272696e6b206f66207365636f6e64206261696c6f757420666f722062616e6b73${FIRST_TX_END}4104678afdb0fe5548271967f1a67130b7105cd6a828e03909a67962e0ea1f61deb649f6bc3f4cef38c4f35504e51ec112de5c384df7ba0b8d578a4c702b6bf11d5fac00000000`,
    },
  },
  litecoin: {
    space: { bech32: 'rltc', pubKeyHash: 0x6f, scriptHash: 0x3a, wif: 0xef },
    genesis: {
      header:
        '010000000000000000000000000000000000000000000000000000000000000000000000d9ced4ed1130f7b7faad9be25323ffafa33232a17c3edf6cfd97bee6bafbdd97dae5494dffff7f2000000000',
      tx: `01000000010000000000000000000000000000000000000000000000000000000000000000ffffffff4804ffff001d0104404e592054696d65732030352f4f63742f32303131205374657665204a6f62732c204170706c65e280997320566973696f6e6172792c2044696573206174203536${FIRST_TX_END}41040184710fa689ad5023690c80f3a49c8f13f8d45b8c857fbcbc8bc4a8e4d3eb4b10f4d4604fa08dce601aaf0f470216fe1b51850b4acf21b179c45070ac7b03a9ac00000000`,
    },
  },
}

export type Coin = ReturnType<typeof createCoin>

/** `clock`: milliseconds. `firstBlocks`: how many are mined at the very first start. `mark`: tells the blocks of two nodes apart. */
export function createCoin(options: {
  kind: Kind
  clock?: () => number
  books?: Books
  firstBlocks?: number
  mark?: string
}) {
  const { kind, clock = Date.now, books, firstBlocks = FIRST_BLOCKS, mark = 'sandbox' } = options
  const { space, genesis } = kinds[kind]
  const shelf = books ? openShelf(books, kind) : undefined
  const tree = plantTree({ genesis, clock, mark, ...(shelf ? { keeper: shelf } : {}) })
  const core = openCore({ tree, kind, space })
  // Play money: whoever reads this may spend it too.
  const key = sha256(new TextEncoder().encode(`MobileSMS sandbox: the payer of ${kind}, ${mark}`))
  const payer = p2wpkh(pubECDSA(key), space)
  const payerScript = hex.encode(payer.script)

  const kept = shelf?.read()
  if (kept && kept.blocks.length > 0) tree.restore(kept)
  else
    whole(() => {
      const since = Math.floor(clock() / 1_000) - firstBlocks * FIRST_BLOCKS_SECONDS_APART
      for (let n = 1; n <= firstBlocks; n++) tree.mine(payerScript, since + n * FIRST_BLOCKS_SECONDS_APART)
    })

  function whole<Result>(work: () => Result): Result {
    return books ? books.transaction(work) : work()
  }

  /** The payer's coins that nobody spends yet: mined ones, then change that waits. */
  function* spendable(): Generator<{ txid: string; index: number; units: bigint }> {
    const next = tree.tip().height + 1
    for (const [key, coin] of tree.coins()) {
      if (coin.script !== payerScript || tree.claimedBy(key)) continue
      if (coin.coinbase && next - coin.height < COINBASE_MATURITY_BLOCKS) continue
      const [txid = '', index] = key.split(':')
      yield { txid, index: Number(index), units: coin.units }
    }
    for (const { tx } of tree.allWaiting())
      for (const [index, { units, script }] of tx.outputs.entries())
        if (script === payerScript && !tree.claimedBy(`${tx.txid}:${index}`)) yield { txid: tx.txid, index, units }
  }

  type Spent = { txid: string; index: number; units: bigint }
  type Paid = { script: string; units: bigint }

  /** Signed; what is left of the coins goes back to the payer. */
  function signed(inputs: readonly Spent[], outputs: readonly Paid[], fee: bigint): Tx {
    const change = total(inputs) - total(outputs) - fee
    const tx = new Transaction()
    for (const { txid, index, units } of inputs)
      tx.addInput({ txid, index, sequence: REPLACEABLE, witnessUtxo: { script: payer.script, amount: units } })
    for (const { script, units } of outputs) tx.addOutput({ script: hex.decode(script), amount: units })
    if (change >= CHANGE_UNITS_MIN) tx.addOutput({ script: payer.script, amount: change })
    tx.sign(key)
    tx.finalize()
    return readTx(tx.hex)
  }

  function feeFor(inputs: number, outputs: number): bigint {
    return FEE_UNITS_PER_BYTE * BigInt(11 + 69 * inputs + 43 * outputs)
  }

  function pay(address: string, units: bigint): { txid: string } {
    if (units <= 0n) throw new Refused(-3, 'The amount is more than nothing')
    const script = core.scriptOf(address)
    const inputs: Spent[] = []
    for (const coin of spendable()) {
      if (total(inputs) >= units + feeFor(inputs.length, 2) || inputs.length >= INPUTS_MAX) break
      inputs.push(coin)
    }
    const fee = feeFor(inputs.length, 2)
    if (total(inputs) < units + fee)
      throw new Refused(-6, 'The payer has not that many coins: mine some blocks for him')
    return whole(() => {
      const tx = signed(inputs, [{ script, units }], fee)
      tree.send(tx)
      return { txid: tx.txid }
    })
  }

  /** Where an output that a transaction spends came from. Whatever was sent is in a block or waits. */
  function outputOf(txid: string, index: number): Paid | undefined {
    const pooled = tree.waiting(txid)?.tx
    if (pooled) return pooled.outputs[index]
    for (const block of tree.blocks()) {
      const tx = block.txs.find((one) => one.txid === txid)
      if (tx) return tx.outputs[index]
    }
    return undefined
  }

  function spentOf(tx: Tx): Spent[] | null {
    const spent = tx.inputs.map(({ txid, index }) => ({ txid, index, output: outputOf(txid, index) }))
    if (spent.some(({ output }) => output?.script !== payerScript)) return null
    return spent.map(({ txid, index, output }) => ({ txid, index, units: output!.units }))
  }

  return {
    kind,
    /** The rules and the blocks themselves, for tests that build their own branches. */
    tree,
    payerAddress: payer.address!,
    scriptOf: core.scriptOf,
    addressOf: core.addressOf,
    height: () => tree.tip().height,
    isWaiting: (txid: string) => tree.waiting(txid) !== undefined,

    /** One call of Core's RPC; throws `Refused` with its code. */
    rpc: (method: string, parameters: readonly unknown[] = []): unknown => whole(() => core.call(method, parameters)),

    /** A body of JSON-RPC, one call or a batch, as Core's HTTP server answers it. */
    answer(body: unknown): { status: number; body: unknown } {
      if (Array.isArray(body) && body.length <= BATCH_CALLS_MAX)
        return { status: 200, body: body.map((each) => answerOne(each).body) }
      return answerOne(body)
    },

    /** Pays with coins of its own; the transaction waits to be mined. Refuses addresses of other networks and amounts of nothing. */
    pay,

    /** Sends a payment that waits once more, with a higher fee. `units`: what its first output gets now; 0: nothing at all. */
    replace(txid: string, { units }: { units?: bigint } = {}): { txid: string } {
      const old = tree.waiting(txid)
      const inputs = old && spentOf(old.tx)
      if (!inputs) throw new Refused(-5, 'That payment does not wait, or is not of this payer')
      const [first] = old.tx.outputs as [Paid]
      const amount = units ?? first.units
      const outputs = amount > 0n ? [{ script: first.script, units: amount }] : []
      return whole(() => {
        const tx = signed(inputs, outputs, old.fee * 2n + feeFor(inputs.length, 2))
        tree.send(tx)
        return { txid: tx.txid }
      })
    },

    /** Blocks with what waits, one after the other; the reward is the payer's. */
    mine(count = 1): { hashes: string[]; height: number } {
      if (!Number.isInteger(count) || count < 1 || count > MINED_BLOCKS_MAX)
        throw new Refused(-8, `The number of blocks is from 1 to ${MINED_BLOCKS_MAX}`)
      return whole(() => {
        const hashes = Array.from({ length: count }, () => tree.mine(payerScript).hash)
        return { hashes, height: tree.tip().height }
      })
    },

    /**
     * The last `depth` blocks count no more: a branch that is one longer takes their place, and has nothing in it. What stood in them waits
     * again, to be mined by the next block. `drop`: the payer spent the same coins otherwise in the new branch, so that his payments can
     * never come back. `forget`: they are gone without a trace, though nothing excludes them.
     */
    reorg(
      depth: number,
      { drop = false, forget = false }: { drop?: boolean; forget?: boolean } = {},
    ): { hashes: string[]; height: number; dropped: string[] } {
      const most = Math.min(REORG_BLOCKS_MAX, tree.tip().height)
      if (!Number.isInteger(depth) || depth < 1 || depth > most)
        throw new Refused(-8, `The number of blocks is from 1 to ${most}`)
      return whole(() => {
        const from = tree.tip().height - depth
        const gone = Array.from({ length: depth }, (_, n) =>
          tree.at(from + 1 + n)!.txs.filter((tx) => !tx.coinbase),
        ).flat()
        const goneIds = new Set(gone.map((tx) => tx.txid))
        const rivals = drop ? gone.flatMap((tx) => rivalOf(tx, goneIds) ?? []) : []
        const hashes: string[] = []
        let parent = tree.at(from)!.hash
        for (let n = 0; n <= depth; n++) {
          parent = tree.mineOn(parent, payerScript, n === 0 ? rivals : []).hash
          hashes.push(parent)
        }
        if (forget) for (const txid of goneIds) tree.evict(txid)
        const dropped = [...goneIds].filter((txid) => !tree.waiting(txid))
        return { hashes, height: tree.tip().height, dropped }
      })
    },
  }

  /** Spends the same coins and pays nobody else; null where it cannot: they are not the payer's, or go with the transaction before. */
  function rivalOf(tx: Tx, gone: ReadonlySet<string>): Tx | null {
    if (tx.inputs.some((input) => gone.has(input.txid))) return null
    const inputs = spentOf(tx)
    return inputs && signed(inputs, [], feeFor(inputs.length, 1))
  }

  function answerOne(asked: unknown): { status: number; body: unknown } {
    const {
      id = null,
      method,
      params = [],
    } = ((typeof asked === 'object' && asked) || {}) as {
      id?: unknown
      method?: unknown
      params?: unknown
    }
    try {
      if (typeof method !== 'string' || !Array.isArray(params)) throw new Refused(-32600, 'Invalid Request object')
      return { status: 200, body: { result: whole(() => core.call(method, params)), error: null, id } }
    } catch (error) {
      if (!(error instanceof Refused)) throw error
      const { code, message } = error
      const status = code === -32601 ? 404 : code === -32600 ? 400 : 500
      return { status, body: { result: null, error: { code, message }, id } }
    }
  }
}

/** The networks' blocks and what waits, in the sandbox's books. */
function openShelf(books: Books, kind: Kind) {
  books.define(`
    create table if not exists coin_blocks (
      kind text not null, hash text not null, parent text not null, height integer not null, header text not null,
      time integer not null, txs text not null, place integer not null, invalid integer not null,
      primary key (kind, hash)) without rowid;
    create table if not exists coin_waiting (
      kind text not null, txid text not null, hex text not null, time integer not null, height integer not null,
      place integer not null, primary key (kind, txid)) without rowid`)

  const keeper: Keeper = {
    blockAdded(block) {
      books.run(
        'insert into coin_blocks values (?, ?, ?, ?, ?, ?, ?, ?, ?)',
        kind,
        block.hash,
        block.parent,
        block.height,
        block.header,
        block.time,
        JSON.stringify(block.txs.map((tx) => tx.hex)),
        block.order,
        Number(block.invalid),
      )
    },
    blockMarked(block) {
      books.run(
        'update coin_blocks set invalid = ? where kind = ? and hash = ?',
        Number(block.invalid),
        kind,
        block.hash,
      )
    },
    waitingChanged(waiting) {
      books.transaction(() => {
        books.run('delete from coin_waiting where kind = ?', kind)
        for (const [place, { tx, time, height }] of waiting.entries())
          books.run('insert into coin_waiting values (?, ?, ?, ?, ?, ?)', kind, tx.txid, tx.hex, time, height, place)
      })
    },
  }

  type BlockRow = Omit<Block, 'txs' | 'order' | 'invalid'> & { txs: string; place: number; invalid: number }
  return {
    ...keeper,
    read() {
      const rows = books.all<BlockRow>('select * from coin_blocks where kind = ? order by place', kind)
      const waiting = books.all<{ hex: string; time: number; height: number }>(
        'select hex, time, height from coin_waiting where kind = ? order by place',
        kind,
      )
      return {
        blocks: rows.map(({ hash, parent, height, header, time, txs, place, invalid }) => ({
          ...{ hash, parent, height, header, time, order: place, invalid: invalid === 1 },
          txs: (JSON.parse(txs) as string[]).map(readTx),
        })),
        waiting: waiting.map(({ hex, time, height }) => ({ tx: readTx(hex), time, height })),
      }
    },
  }
}

function total(of: readonly { units: bigint }[]): bigint {
  return of.reduce((sum, { units }) => sum + units, 0n)
}
