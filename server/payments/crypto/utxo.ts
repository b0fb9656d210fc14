/**
 * A bitcoin-type network behind the port, over the RPC of Bitcoin Core and its kin (Litecoin Core 0.21 to Bitcoin Core 28 and later).
 *
 * Of a block its header is asked in bytes and hashed here, and the list of its transactions must be the one that the header commits to;
 * so a node cannot answer another block than the one asked for, nor leave a payment out. What is read of an output is its script in
 * bytes and its amount, never an address in words: versions differ in how they tell those, and scripts are the same on every network.
 *
 * What a node needs: `-server` only. It may be pruned, unless it is so far behind that it cannot be followed. With `-txindex` it finds
 * every transaction by its id; without, those that wait, and mined ones while one of their first outputs is unspent.
 */
import { createHash } from 'node:crypto'
import type { CryptoAsset } from '../../../contract/contract.ts'
import { type WireClock, wireClock } from '../../platform/clock.ts'
import type { Asset, Environment, Network } from './assets.ts'
import { type Chain, type Found, NodeTrouble, type ReadBlock, type Tip, type Transfer } from './chain.ts'
import { agreeOn, createRpc, type Node, type Rpc, RpcError } from './rpc.ts'

/** More than any block can hold. */
const BLOCK_TRANSACTIONS_MAX = 50_000
const TRANSACTION_OUTPUTS_MAX = 50_000
/** The header of a new block is known a moment before the block is checked; a node that is further behind is catching up. */
const HEADERS_AHEAD_MAX = 1
/** How many of those that wait are kept in mind, the newest; and how many are read at one look. */
const POOL_TRANSACTIONS_MAX = 5_000
const POOL_READ_MAX = 500
/** A node that lists more is not listened to. */
const POOL_LISTED_MAX = 1_000_000
/** Without an index, a transaction is found by its unspent outputs: so many of its first ones are asked for. */
const FOUND_BY_OUTPUTS_MAX = 20
const BALANCES_MAX = 10_000
const BALANCE_COINS_MAX = 100_000
/** A node goes through all coins that exist for this: minutes on Bitcoin. */
const SCAN_TIMEOUT_MS = 280_000
/** Doubles hold each whole number of units up to here, and each number of coins with eight digits: 67 million of them. */
const COINS_MAX = 2 ** 26

/** Core's codes for what is not there. */
const NOT_FOUND = -5
const OUT_OF_RANGE = -8

export type UtxoSettings = {
  network: Network
  assets: readonly Asset[]
  environment: Environment
  urls: readonly string[]
  clock?: WireClock
  signal?: AbortSignal
  /** Instead of `urls`, in tests. */
  rpc?: Rpc
}

export function createUtxoChain(settings: UtxoSettings): Chain {
  const { network, environment, urls, clock = wireClock, signal } = settings
  const coin = settings.assets.find((one) => one.chain === network.name)
  if (!coin) throw new Error(`No asset of ours is on ${network.title}`)
  const asset = coin.code
  const expected = network.identity[environment]
  const rpc = settings.rpc ?? createRpc({ urls, check: isOurs, clock, ...(signal ? { signal } : {}) })
  const pool = createPool()
  /** Where no identity is prescribed, the first node that answers says what the others must be of. */
  let firstSeen: string | null = null

  async function isOurs(node: Node): Promise<void> {
    const said = await identity(node)
    firstSeen ??= said
    const must = expected ?? firstSeen
    if (said !== must)
      throw new NodeTrouble(
        'wrong_chain',
        `${node.name} is of another network than ${network.title}: its first block is ${said}, not ${must}`,
      )
  }

  async function identity(node: Node): Promise<string> {
    return hashOf(node, await asked(node, 'getblockhash', [0]))
  }

  async function tip(node: Node): Promise<Tip> {
    const { blocks, headers, bestblockhash, initialblockdownload } = record(
      node,
      await asked(node, 'getblockchaininfo', []),
    )
    const height = heightOf(node, blocks)
    const known = heightOf(node, headers)
    const hash = hashOf(node, bestblockhash)
    if (known > height + HEADERS_AHEAD_MAX)
      throw new NodeTrouble('behind', `${node.name} is catching up at block ${height} of ${known}`)
    // Who mines by himself mines when he likes.
    if (environment === 'test') return { hash, height }
    if (initialblockdownload === true) throw new NodeTrouble('behind', `${node.name} is catching up at block ${height}`)
    const { time } = readHeader(node, await asked(node, 'getblockheader', [hash, false]), hash)
    const seconds = Math.floor((clock.now().getTime() - time.getTime()) / 1000)
    if (seconds > network.tipSecondsMax)
      throw new NodeTrouble('behind', `${node.name} has no block since ${seconds} seconds: its newest is ${height}`)
    return { hash, height }
  }

  async function hashAt(node: Node, height: number): Promise<string | null> {
    const answer = await asked(node, 'getblockhash', [height], OUT_OF_RANGE)
    return answer === NOTHING ? null : hashOf(node, answer)
  }

  const agrees = (height: number, hash: string) =>
    agreeOn(rpc.nodes, hash, async (node) => {
      await isOurs(node)
      return hashAt(node, height)
    })

  async function block(node: Node, hash: string): Promise<ReadBlock | null> {
    const answer = await asked(node, 'getblock', [hash, 2], NOT_FOUND)
    if (answer === NOTHING) return null
    const { hash: said, height, time: saidTime, previousblockhash, tx } = record(node, answer)
    const { parent, merkleRoot, time } = readHeader(node, await asked(node, 'getblockheader', [hash, false]), hash)
    if (said !== hash || (previousblockhash ?? parent) !== parent || saidTime !== time.getTime() / 1000)
      throw broken(node, `answered another block than ${hash}`)
    const transactions = list(node, tx, BLOCK_TRANSACTIONS_MAX).map((one) => readTransaction(node, one))
    const txids = transactions.map(({ txid }) => txid)
    // The same one twice would leave the root as it is.
    if (new Set(txids).size !== txids.length || rootOf(txids) !== merkleRoot)
      throw broken(node, `gave block ${hash} other transactions than its header says`)
    const spent = new Map<string, string>()
    for (const { txid, spends } of transactions) for (const one of spends) spent.set(one, txid)
    return {
      hash,
      parent,
      height: heightOf(node, height),
      time,
      transfers: transactions.flatMap(({ transfers }) => transfers),
      spent,
    }
  }

  function readTransaction(node: Node, written: unknown): Transaction {
    const { txid, vin, vout } = record(node, written)
    const id = hashOf(node, txid)
    const inputs = list(node, vin, TRANSACTION_OUTPUTS_MAX).map((one) => record(node, one))
    const coinbase = inputs.some((input) => input['coinbase'] !== undefined)
    const spends = coinbase
      ? []
      : inputs.flatMap((input) =>
          // Hidden ones (MWEB) have no output that anybody could name.
          input['ismweb'] === true && input['txid'] === undefined
            ? []
            : `${hashOf(node, input['txid'])}:${heightOf(node, input['vout'])}`,
        )
    const transfers = list(node, vout, TRANSACTION_OUTPUTS_MAX).flatMap((one): Transfer[] => {
      const { n, value, scriptPubKey, ismweb } = record(node, one)
      if (scriptPubKey === undefined && ismweb === true) return []
      const { hex } = record(node, scriptPubKey)
      if (typeof hex !== 'string' || !/^([0-9a-f]{2})*$/.test(hex)) throw broken(node, 'answered no script')
      const units = unitsOf(node, value)
      const ordinal = String(heightOf(node, n))
      return units > 0n ? [{ txid: id, ordinal, asset, script: hex, units, coinbase, spends }] : []
    })
    return { txid: id, spends, transfers }
  }

  /** What waits, by and by: what was read is kept, and a bounded number of new ones is read each time, the newly arrived first. */
  function createPool() {
    let seen = new Set<string>()
    let backlog: string[] = []
    let kept = new Map<string, readonly Transfer[]>()
    let of: Node | null = null

    return async function look(node: Node): Promise<readonly Transfer[]> {
      const listed = list(node, await asked(node, 'getrawmempool', []), POOL_LISTED_MAX).map((one) => hashOf(node, one))
      // Another node has another pool, and has not heard of what this one was asked.
      const isKnown = of === node ? seen : new Set<string>()
      const waiting = new Set(listed)
      const arrived = listed.filter((txid) => !isKnown.has(txid) && !kept.has(txid))
      const wanted = [
        ...arrived,
        ...backlog.filter((txid) => waiting.has(txid) && !kept.has(txid) && isKnown.has(txid)),
      ]
      const now = wanted.slice(0, POOL_READ_MAX)
      const answers = await node.batch(now.map((txid) => ({ method: 'getrawtransaction', params: [txid, true] })))
      const still = new Map([...kept].filter(([txid]) => waiting.has(txid)))
      for (const [n, answer] of answers.entries()) {
        // Mined or replaced since it was listed.
        if (!answer.ok && answer.error.code === NOT_FOUND) continue
        if (!answer.ok) throw refused(node, answer.error)
        const { txid, transfers } = readTransaction(node, answer.result)
        if (txid !== now[n]) throw broken(node, 'answered another transaction')
        if (record(node, answer.result)['blockhash'] === undefined) still.set(txid, transfers)
      }
      kept = new Map([...still].slice(-POOL_TRANSACTIONS_MAX))
      backlog = wanted.slice(POOL_READ_MAX, POOL_READ_MAX + POOL_TRANSACTIONS_MAX)
      seen = waiting
      of = node
      return [...kept.values()].flat()
    }
  }

  async function find(node: Node, txid: string): Promise<Found> {
    const answer = await asked(node, 'getrawtransaction', [txid, true], NOT_FOUND)
    if (answer !== NOTHING) {
      const { blockhash } = record(node, answer)
      const { txid: said, transfers } = readTransaction(node, answer)
      if (said !== txid) throw broken(node, 'answered another transaction')
      if (blockhash === undefined) return { where: 'pool', transfers }
      return inBlock(node, txid, hashOf(node, blockhash))
    }
    const outputs = await node.batch(
      Array.from({ length: FOUND_BY_OUTPUTS_MAX }, (_, n) => ({ method: 'gettxout', params: [txid, n, false] })),
    )
    for (const output of outputs) {
      if (!output.ok) throw refused(node, output.error)
      if (output.result === null) continue
      const { bestblock, confirmations } = record(node, output.result)
      const best = await header(node, hashOf(node, bestblock))
      if (best === null) break
      const hash = await hashAt(node, best.height - heightOf(node, confirmations) + 1)
      // The branch changed between two answers; whoever asks again gets the new one.
      return hash === null ? { where: 'nowhere' } : inBlock(node, txid, hash)
    }
    return { where: 'nowhere' }
  }

  async function inBlock(node: Node, txid: string, hash: string): Promise<Found> {
    const answer = await asked(node, 'getrawtransaction', [txid, true, hash], NOT_FOUND)
    const place = await header(node, hash)
    // An index goes on telling blocks that count no more.
    if (answer === NOTHING || place === null || place.confirmations < 1) return { where: 'nowhere' }
    const { txid: said, transfers } = readTransaction(node, answer)
    if (said !== txid) throw broken(node, 'answered another transaction')
    return { where: 'block', hash, height: place.height, failed: false, transfers }
  }

  async function header(node: Node, hash: string): Promise<{ height: number; confirmations: number } | null> {
    const answer = await asked(node, 'getblockheader', [hash, true], NOT_FOUND)
    if (answer === NOTHING) return null
    const { height, confirmations } = record(node, answer)
    if (typeof confirmations !== 'number') throw broken(node, 'answered no confirmations')
    return { height: heightOf(node, height), confirmations }
  }

  async function balances(node: Node, scripts: readonly string[]): Promise<bigint[]> {
    const descriptors = [...new Set(scripts)].map((script) => ({ desc: `raw(${script})` }))
    const answer = await asked(node, 'scantxoutset', ['start', descriptors], OUT_OF_RANGE, SCAN_TIMEOUT_MS)
    if (answer === NOTHING) throw new NodeTrouble('unreachable', `${node.name} already counts coins for somebody else`)
    const { success, unspents } = record(node, answer)
    if (success !== true) throw broken(node, 'did not count all coins')
    const held = new Map<string, bigint>()
    for (const one of list(node, unspents, BALANCE_COINS_MAX)) {
      const { scriptPubKey, amount } = record(node, one)
      if (typeof scriptPubKey !== 'string') throw broken(node, 'answered no script')
      held.set(scriptPubKey, (held.get(scriptPubKey) ?? 0n) + unitsOf(node, amount))
    }
    return scripts.map((script) => held.get(script) ?? 0n)
  }

  return {
    name: network.name,
    identity: () => rpc.ask(identity),
    tip: () => rpc.ask(tip),
    hashAt: (height) => rpc.ask((node) => hashAt(node, height)),
    agrees,
    block: async (hash) => (isHash(hash) ? rpc.ask((node) => block(node, hash)) : null),
    pool: () => rpc.ask(pool),
    find: async (txid) => (isHash(txid) ? rpc.ask((node) => find(node, txid)) : { where: 'nowhere' }),
    balances: async (code: CryptoAsset, scripts) => {
      if (code !== asset) throw new Error(`${code} is not of ${network.title}`)
      if (scripts.length > BALANCES_MAX) throw new Error(`At most ${BALANCES_MAX} balances are asked for at once`)
      if (scripts.length === 0) return []
      return rpc.ask((node) => balances(node, scripts))
    },
  }
}

type Transaction = { txid: string; spends: readonly string[]; transfers: readonly Transfer[] }

const NOTHING = Symbol('nothing')

/** The answer; `NOTHING` where the node refuses with the code that says there is none. Each other refusal is trouble, and so is null. */
async function asked(
  node: Node,
  method: string,
  params: readonly unknown[],
  nothing?: number,
  timeoutMs?: number,
): Promise<unknown> {
  try {
    const answer = await node.call(method, params, timeoutMs === undefined ? {} : { timeoutMs })
    if (answer === null || answer === undefined) throw broken(node, `answered nothing to ${method}`)
    return answer
  } catch (error) {
    if (!(error instanceof RpcError)) throw error
    if (error.code === nothing) return NOTHING
    throw refused(node, error)
  }
}

/** Hashes the header, which says which block stands before it, what is in it, and when it was made. */
function readHeader(node: Node, written: unknown, hash: string): { parent: string; merkleRoot: string; time: Date } {
  if (typeof written !== 'string' || !/^[0-9a-f]{160}$/.test(written)) throw broken(node, 'answered no header')
  const bytes = Buffer.from(written, 'hex')
  if (turned(twice(bytes)) !== hash) throw broken(node, `answered a header that does not hash to ${hash}`)
  return {
    parent: turned(bytes.subarray(4, 36)),
    merkleRoot: turned(bytes.subarray(36, 68)),
    time: new Date(bytes.readUInt32LE(68) * 1000),
  }
}

function rootOf(txids: readonly string[]): string | null {
  let row = txids.map((txid) => turnedBytes(Buffer.from(txid, 'hex')))
  if (row.length === 0) return null
  while (row.length > 1)
    row = Array.from({ length: Math.ceil(row.length / 2) }, (_, n) =>
      twice(Buffer.concat([row[2 * n]!, row[2 * n + 1] ?? row[2 * n]!])),
    )
  return turned(row[0]!)
}

function twice(bytes: Uint8Array): Buffer<ArrayBufferLike> {
  return createHash('sha256').update(createHash('sha256').update(bytes).digest()).digest()
}

/** Hashes are shown the other way round. */
function turned(bytes: Uint8Array): string {
  return turnedBytes(bytes).toString('hex')
}

function turnedBytes(bytes: Uint8Array): Buffer<ArrayBufferLike> {
  return Buffer.from(bytes).reverse()
}

/** Amounts stand on the wire as numbers with up to eight digits after the point; each such number has one double, and gives its digits back. */
function unitsOf(node: Node, value: unknown): bigint {
  if (typeof value !== 'number' || !(value >= 0) || value >= COINS_MAX) throw broken(node, 'answered no amount')
  const digits = value.toFixed(8)
  if (Number(digits) !== value) throw broken(node, `answered an amount that is none: ${value}`)
  return BigInt(digits.replace('.', ''))
}

function isHash(text: unknown): text is string {
  return typeof text === 'string' && /^[0-9a-f]{64}$/.test(text)
}

function hashOf(node: Node, value: unknown): string {
  if (!isHash(value)) throw broken(node, 'answered no hash')
  return value
}

function heightOf(node: Node, value: unknown): number {
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0) throw broken(node, 'answered no number')
  return value
}

function record(node: Node, value: unknown): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw broken(node, 'answered half a thing')
  return value as Record<string, unknown>
}

function list(node: Node, value: unknown, itemsMax: number): readonly unknown[] {
  if (!Array.isArray(value)) throw broken(node, 'answered no list')
  if (value.length > itemsMax) throw broken(node, `answered a list of more than ${itemsMax}`)
  return value
}

function broken(node: Node, what: string): NodeTrouble {
  return new NodeTrouble('broken_answer', `${node.name} ${what}`)
}

function refused(node: Node, error: RpcError): NodeTrouble {
  return new NodeTrouble('refused', `${node.name} refuses (${error.code}): ${error.message}`)
}
