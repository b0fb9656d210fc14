/**
 * An EVM network behind the port, over plain JSON-RPC. Everything of a block is asked by its hash, so a reorganisation between two calls is
 * noticed and never mixes two branches, not even at the same height. A block is answered whole or not at all.
 *
 * What pays: the value of a transaction (`tx`), the value of calls inside it (`call:0/2`, by trace), and Transfer logs of the contracts on
 * our list (`log:1`, the place in its own receipt: the number that nodes give a log counts over the whole block, and changes when the
 * transaction is mined again). What a transaction of status 0 says was taken back; it still uses its nonce.
 */

import { keccak_256 } from '@noble/hashes/sha3.js'
import { bytesToHex, utf8ToBytes } from '@noble/hashes/utils.js'
import type { CryptoAsset } from '../../../contract/contract.ts'
import { type WireClock, wireClock } from '../../platform/clock.ts'
import { evmAddress } from './address.ts'
import type { Asset, Environment, Network } from './assets.ts'
import { type Chain, type Found, NodeTrouble, type ReadBlock, type Tip, type Transfer } from './chain.ts'
import { headerHash } from './evm-header.ts'
import { agreeOn, type Call, createRpc, type Node, type Rpc, RpcError } from './rpc.ts'

/** More than any network puts into a block today; a longer list is no block. */
const BLOCK_TRANSACTIONS_MAX = 20_000
const POOL_TRANSACTIONS_MAX = 5_000
/** Of one transaction, by the machine itself: 1024. A deeper answer is none of its traces. */
const CALL_DEPTH_MAX = 1_024
const BALANCES_MAX = 10_000

const TRANSFER = `0x${bytesToHex(keccak_256(utf8ToBytes('Transfer(address,address,uint256)')))}`
const CALL_DECIMALS = '0x313ce567'
const CALL_BALANCE_OF = '0x70a08231'
const CALL_TRANSFER = '0xa9059cbb'
const TRACER = { tracer: 'callTracer' }
/** These run in the caller's name or move nothing: the value that a trace repeats beside them is not paid. */
const MOVES_NO_VALUE = new Set(['DELEGATECALL', 'STATICCALL', 'CALLCODE'])

export type EvmChain = Chain & {
  /**
   * Asks each node once for the decimals of each token, of its contract: a wrong entry in the list would credit a millionfold. Sentences
   * for the operator, which stop the start; none: all is as we were told. Throws `NodeTrouble` while no node answers; who answers later
   * is asked then, before he is believed, and is of the wrong chain when they differ.
   */
  checkTokens: () => Promise<string[]>
  /**
   * Whether any node traces, so that ether sent by a contract is seen; each is asked once. Without, only what transactions pay
   * themselves is seen; the rest shows in `balances`, unexplained, and a person must look.
   */
  traces: () => Promise<boolean>
}

export type EvmSettings = {
  network: Network
  /** Those of this network; of tokens nothing else is believed. */
  assets: readonly Asset[]
  environment: Environment
  urls: readonly string[]
  clock?: WireClock
  signal?: AbortSignal
  /** Instead of `urls`, in tests. */
  rpc?: Rpc
}

export function createEvmChain(settings: EvmSettings): EvmChain {
  const { network, environment, urls, clock = wireClock, signal } = settings
  const own = settings.assets.find((one) => one.chain === network.name && one.contract === null)?.code ?? null
  const tokens = new Map<string, Asset>()
  for (const asset of settings.assets)
    if (asset.chain === network.name && asset.contract !== null) tokens.set(asset.contract.toLowerCase(), asset)
  const expected = network.identity[environment]
  const rpc = settings.rpc ?? createRpc({ urls, check: isOurs, clock, ...(signal ? { signal } : {}) })
  /** By node, what it was found to offer; a node is asked again only after a restart. */
  const tracing = new Map<Node, boolean>()
  const receiptsByBlock = new Map<Node, boolean>()

  /** Before a node is believed, and again after trouble with it: of the right chain, and its tokens count as ours do. */
  async function isOurs(node: Node): Promise<void> {
    const said = await chainId(node)
    if (expected !== null && said !== expected)
      throw new NodeTrouble(
        'wrong_chain',
        `${node.name} is of chain ${said}, not of ${network.title}, which is chain ${expected}`,
      )
    const [wrong] = await checkTokens(node)
    if (wrong !== undefined) throw new NodeTrouble('wrong_chain', `${node.name}: ${wrong}`)
  }

  async function block(node: Node, hash: string): Promise<ReadBlock | null> {
    const answer = await asked(node, 'eth_getBlockByHash', [hash, true])
    if (answer === null) return null
    const header = record(node, answer)
    if (hashOf(node, header['hash']) !== hash || (headerHash(header) ?? hash) !== hash)
      throw broken(node, `answered another block than ${hash}`)
    const listed = list(node, header['transactions'], BLOCK_TRANSACTIONS_MAX)
    const transactions = listed.map((one) => readTransaction(node, one))
    for (const { blockHash } of transactions)
      if (blockHash !== hash) throw broken(node, `gave block ${hash} a transaction of another`)
    if (new Set(transactions.map(({ txid }) => txid)).size !== transactions.length)
      throw broken(node, `gave block ${hash} a transaction twice`)

    const [receipts, seen, traces] = await Promise.all([
      receiptsOf(node, hash, transactions),
      logsOf(node, hash),
      tracesOf(node, hash, transactions),
    ])
    // Two roads to the same logs: one of them is sometimes an index that lags behind.
    const told = receipts.flatMap(({ transfers }) => transfers.filter((log) => tokens.has(log.contract)))
    const same = told.length === seen.size && told.every((log) => seen.has(log.place))
    if (!same)
      throw broken(
        node,
        `has ${seen.size} transfers of tokens in the logs of ${hash}, and ${told.length} in its receipts`,
      )

    return {
      hash,
      parent: hashOf(node, header['parentHash']),
      height: heightOf(node, header['number']),
      time: new Date(heightOf(node, header['timestamp']) * 1000),
      transfers: transactions.flatMap((one, at) => transfersOf(one, receipts[at]!, traces?.[at] ?? null)),
      spent: new Map(transactions.map((one) => [one.spends, one.txid])),
    }
  }

  /** What one transaction pays, in the order in which it is paid: itself, its inner calls, its logs. */
  function transfersOf(one: Transaction, receipt: Receipt, frame: Frame | null): Transfer[] {
    if (!receipt.worked) return []
    const transfers: Transfer[] = []
    const pay = (ordinal: string, asset: CryptoAsset, to: string, units: bigint) =>
      transfers.push({
        txid: one.txid,
        ordinal,
        asset,
        script: to.slice(2),
        units,
        coinbase: false,
        spends: [one.spends],
      })
    if (own !== null) {
      if (one.to !== null && one.to !== one.from && one.value > 0n) pay('tx', own, one.to, one.value)
      for (const call of frame ? paidInside(frame) : []) pay(call.ordinal, own, call.to, call.value)
    }
    for (const { contract, from, to, units, ordinal } of receipt.transfers) {
      const token = tokens.get(contract)
      // Nobody is richer for what he sent to himself, and a transfer of nothing is only there to be copied from by mistake.
      if (token && units > 0n && from !== to) pay(ordinal, token.code, to, units)
    }
    return transfers
  }

  async function receiptsOf(node: Node, hash: string, transactions: readonly Transaction[]): Promise<Receipt[]> {
    if (transactions.length === 0) return []
    const answer = await offered(receiptsByBlock, node, 'eth_getBlockReceipts', [hash])
    const listed =
      answer === NOT_OFFERED
        ? await batch(
            node,
            transactions.map(({ txid }) => ({ method: 'eth_getTransactionReceipt', params: [txid] })),
          )
        : list(node, answer, BLOCK_TRANSACTIONS_MAX)
    if (listed.length !== transactions.length) throw broken(node, `has not the receipts of all of block ${hash}`)
    return transactions.map(({ txid }, at) => readReceipt(node, listed[at], txid, hash))
  }

  /** Which transfers of our tokens the node's logs have, as `transaction:number of the log`. */
  async function logsOf(node: Node, hash: string): Promise<Set<string>> {
    const places = new Set<string>()
    if (tokens.size === 0) return places
    const filter = { blockHash: hash, address: [...tokens.keys()], topics: [TRANSFER] }
    for (const one of list(node, await asked(node, 'eth_getLogs', [filter]), Number.POSITIVE_INFINITY)) {
      const log = readLog(node, one, hash)
      if (log.topics[0] !== TRANSFER || !tokens.has(log.contract))
        throw broken(node, 'answered logs that nobody asked for')
      // The same one twice is one.
      if (isTransfer(log)) places.add(log.place)
    }
    return places
  }

  async function tracesOf(node: Node, hash: string, transactions: readonly Transaction[]): Promise<Frame[] | null> {
    if (own === null || transactions.length === 0) return null
    const answer = await offered(tracing, node, 'debug_traceBlockByHash', [hash, TRACER])
    if (answer === NOT_OFFERED) return withoutTraces(node)
    const listed = list(node, answer, BLOCK_TRANSACTIONS_MAX)
    if (listed.length !== transactions.length) throw broken(node, `has not the traces of all of block ${hash}`)
    return listed.map((one, at) => {
      const { txHash, result, error } = record(node, one)
      const { txid } = transactions[at]!
      if (txHash !== undefined && hashOf(node, txHash) !== txid)
        throw broken(node, 'answered the trace of another transaction')
      if (result === undefined || error !== undefined)
        throw broken(node, `could not trace ${txid}: ${String(error).slice(0, 80)}`)
      return readFrame(node, result, 0)
    })
  }

  /** Where another node traces, this one is not good enough: half of the payments would be missed by chance. */
  function withoutTraces(node: Node): null {
    if ([...tracing.values()].includes(true))
      throw new NodeTrouble('no_trace', `${node.name} does not trace transactions, as another node of ours does`)
    return null
  }

  async function find(node: Node, txid: string): Promise<Found> {
    const answer = await asked(node, 'eth_getTransactionByHash', [txid])
    if (answer === null) return { where: 'nowhere' }
    const one = readTransaction(node, answer)
    if (one.txid !== txid) throw broken(node, 'answered another transaction')
    if (one.blockHash === null) return { where: 'pool', transfers: announced(one) }
    const written = await asked(node, 'eth_getTransactionReceipt', [txid])
    if (written === null) throw broken(node, `has ${txid} in a block, and no receipt of it`)
    const receipt = readReceipt(node, written, txid, one.blockHash)
    let frame: Frame | null = null
    if (own !== null && receipt.worked) {
      const trace = await offered(tracing, node, 'debug_traceTransaction', [txid, TRACER])
      frame = trace === NOT_OFFERED ? withoutTraces(node) : readFrame(node, trace, 0)
    }
    return {
      where: 'block',
      hash: one.blockHash,
      height: heightOf(node, record(node, written)['blockNumber']),
      failed: !receipt.worked,
      transfers: transfersOf(one, receipt, frame),
      unknown: receipt.worked
        ? receipt.transfers
            .filter((log) => !tokens.has(log.contract) && log.units > 0n)
            .map(({ contract, to, units }) => ({ contract: evmAddress(contract.slice(2)), script: to.slice(2), units }))
        : [],
    }
  }

  /** What a transaction that waits would pay if it went well: the ordinary ways only. */
  function announced(one: Transaction): Transfer[] {
    const token = one.to === null ? undefined : tokens.get(one.to)
    if (!token) return transfersOf(one, { worked: true, transfers: [] }, null)
    const called = /^0x([0-9a-f]{8})0{24}([0-9a-f]{40})([0-9a-f]{64})$/.exec(one.input)
    if (!called || `0x${called[1]}` !== CALL_TRANSFER) return []
    const log = {
      contract: one.to!,
      from: one.from,
      to: `0x${called[2]}`,
      units: BigInt(`0x${called[3]}`),
      ordinal: 'log:0',
      place: '',
    }
    return transfersOf(one, { worked: true, transfers: [log] }, null)
  }

  async function pool(node: Node): Promise<Transfer[]> {
    const tip = await newest(node)
    let answer: unknown
    try {
      answer = await node.call('eth_getBlockByNumber', ['pending', true])
    } catch (error) {
      // It does not tell what it would mine next: nothing is known of what waits.
      if (error instanceof RpcError) return []
      throw error
    }
    if (answer === null) return []
    const { number, parentHash, transactions } = record(node, answer)
    // Some answer their newest block instead; what is in it does not wait.
    if (number === null || heightOf(node, number) !== tip.height + 1 || parentHash !== tip.hash) return []
    return list(node, transactions, BLOCK_TRANSACTIONS_MAX)
      .slice(0, POOL_TRANSACTIONS_MAX)
      .flatMap((one) => announced(readTransaction(node, one)))
  }

  async function newest(node: Node): Promise<Tip & { time: Date }> {
    const header = record(node, await asked(node, 'eth_getBlockByNumber', ['latest', false]))
    return {
      hash: hashOf(node, header['hash']),
      height: heightOf(node, header['number']),
      time: new Date(heightOf(node, header['timestamp']) * 1000),
    }
  }

  async function tip(node: Node): Promise<Tip> {
    const syncing = await asked(node, 'eth_syncing', [])
    if (syncing !== false) {
      const { currentBlock, highestBlock } = record(node, syncing)
      const at = typeof currentBlock === 'string' ? ` at block ${heightOf(node, currentBlock)}` : ''
      const of = typeof highestBlock === 'string' ? ` of ${heightOf(node, highestBlock)}` : ''
      throw new NodeTrouble('behind', `${node.name} is catching up${at}${of}`)
    }
    const { hash, height, time } = await newest(node)
    const seconds = Math.floor((clock.now().getTime() - time.getTime()) / 1000)
    // Who mines by himself mines when he likes.
    if (environment !== 'test' && seconds > network.tipSecondsMax)
      throw new NodeTrouble('behind', `${node.name} has no block since ${seconds} seconds: its newest is ${height}`)
    return { hash, height }
  }

  async function hashAt(node: Node, height: number): Promise<string | null> {
    const answer = await asked(node, 'eth_getBlockByNumber', [`0x${height.toString(16)}`, false])
    if (answer === null) return null
    const { hash, number } = record(node, answer)
    if (heightOf(node, number) !== height) throw broken(node, `answered another block than number ${height}`)
    return hashOf(node, hash)
  }

  const agrees = (height: number, hash: string) =>
    agreeOn(rpc.nodes, hash, async (node) => {
      await isOurs(node)
      return hashAt(node, height)
    })

  async function balances(node: Node, asset: Asset, scripts: readonly string[]): Promise<bigint[]> {
    // All at one moment, however many batches it takes.
    const { hash } = await newest(node)
    const at = { blockHash: hash }
    const answers = await batch(
      node,
      scripts.map((script) =>
        asset.contract === null
          ? { method: 'eth_getBalance', params: [`0x${script}`, at] }
          : {
              method: 'eth_call',
              params: [{ to: asset.contract, data: CALL_BALANCE_OF + script.padStart(64, '0') }, at],
            },
      ),
    )
    return answers.map((answer) => {
      if (answer === '0x') throw broken(node, `has no contract of ${asset.code} at ${asset.contract}`)
      return quantity(node, answer)
    })
  }

  async function checkTokens(node: Node): Promise<string[]> {
    const wrong: string[] = []
    for (const { code, contract, decimals } of tokens.values()) {
      const at = evmAddress(contract!.slice(2))
      let answer: unknown
      try {
        answer = await node.call('eth_call', [{ to: contract, data: CALL_DECIMALS }, 'latest'])
      } catch (error) {
        if (!(error instanceof RpcError)) throw error
        answer = error.message
      }
      if (answer === '0x') wrong.push(`${code}: there is no contract at ${at} on ${network.title}`)
      else if (typeof answer !== 'string' || !/^0x[0-9a-f]{64}$/i.test(answer))
        wrong.push(`${code}: the contract at ${at} does not say its decimals (${String(answer).slice(0, 80)})`)
      else if (BigInt(answer) !== BigInt(decimals))
        wrong.push(`${code}: the contract at ${at} counts with ${BigInt(answer)} decimals, not with ${decimals}`)
    }
    return wrong
  }

  /** What each node answers that answers; throws what the first one did when none does. */
  async function ofEachNode<T>(ask: (node: Node) => Promise<T>): Promise<T[]> {
    const said = await Promise.allSettled(rpc.nodes.map(ask))
    const answered = said.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []))
    if (answered.length === 0) throw (said[0] as PromiseRejectedResult).reason
    return answered
  }

  async function traces(node: Node): Promise<boolean> {
    const { hash } = await newest(node)
    return (await offered(tracing, node, 'debug_traceBlockByHash', [hash, TRACER])) !== NOT_OFFERED
  }

  return {
    name: network.name,
    identity: () => rpc.ask(chainId),
    tip: () => rpc.ask(tip),
    hashAt: (height) => rpc.ask((node) => hashAt(node, height)),
    agrees,
    block: (hash) => rpc.ask((node) => block(node, hash)),
    pool: () => rpc.ask(pool),
    find: async (txid) => (/^0x[0-9a-f]{64}$/.test(txid) ? rpc.ask((node) => find(node, txid)) : { where: 'nowhere' }),
    balances: async (code, scripts) => {
      const asset = settings.assets.find((one) => one.code === code && one.chain === network.name)
      if (!asset) throw new Error(`${code} is not of ${network.title}`)
      if (scripts.length > BALANCES_MAX) throw new Error(`At most ${BALANCES_MAX} balances are asked for at once`)
      if (scripts.length === 0) return []
      return rpc.ask((node) => balances(node, asset, scripts))
    },
    checkTokens: async () => [...new Set((await ofEachNode(checkTokens)).flat())],
    traces: async () => (await ofEachNode(traces)).includes(true),
  }
}

type Transaction = {
  txid: string
  blockHash: string | null
  from: string
  /** Null: it makes a contract. */
  to: string | null
  value: bigint
  input: string
  /** What it uses up: `sender:nonce`. */
  spends: string
}

type Receipt = {
  /** False: everything that it did was taken back. */
  worked: boolean
  /** Of any contract; only those on the list are believed. */
  transfers: readonly TokenTransfer[]
}
type TokenTransfer = { contract: string; from: string; to: string; units: bigint; ordinal: string; place: string }

type Log = { contract: string; topics: readonly string[]; data: string; number: number; place: string }

type Frame = { type: string; to: string | null; from: string; value: bigint; failed: boolean; calls: readonly Frame[] }

/** Value that calls inside a transaction move. What a caller takes back, it takes back with all that was called from there. */
function paidInside(frame: Frame): { ordinal: string; to: string; value: bigint }[] {
  const paid: { ordinal: string; to: string; value: bigint }[] = []
  const walk = (inner: readonly Frame[], path: string) =>
    inner.forEach(({ type, to, from, value, failed, calls }, at) => {
      if (failed) return
      const place = path === '' ? String(at) : `${path}/${at}`
      if (value > 0n && to !== null && to !== from && !MOVES_NO_VALUE.has(type))
        paid.push({ ordinal: `call:${place}`, to, value })
      walk(calls, place)
    })
  if (!frame.failed) walk(frame.calls, '')
  return paid
}

function readTransaction(node: Node, written: unknown): Transaction {
  const { hash, blockHash, from, to, value, input, nonce } = record(node, written)
  const sender = addressOf(node, from)
  return {
    txid: hashOf(node, hash),
    blockHash: blockHash === null || blockHash === undefined ? null : hashOf(node, blockHash),
    from: sender,
    to: to === null || to === undefined ? null : addressOf(node, to),
    value: quantity(node, value),
    input: typeof input === 'string' ? input.toLowerCase() : '0x',
    spends: `${sender}:${quantity(node, nonce)}`,
  }
}

function readReceipt(node: Node, written: unknown, txid: string, block: string): Receipt {
  const { transactionHash, blockHash, status, logs } = record(node, written)
  if (hashOf(node, transactionHash) !== txid || hashOf(node, blockHash) !== block)
    throw broken(node, `answered a receipt of something else than ${txid} in ${block}`)
  if (status !== '0x1' && status !== '0x0') throw broken(node, `does not say whether ${txid} went well`)
  const listed = list(node, logs, Number.POSITIVE_INFINITY)
    .map((one) => readLog(node, one, block))
    .sort((a, b) => a.number - b.number)
  if (new Set(listed.map(({ place }) => place)).size !== listed.length) throw broken(node, `gave ${txid} a log twice`)
  return {
    worked: status === '0x1',
    transfers: listed.flatMap((log, at) =>
      isTransfer(log)
        ? [
            {
              contract: log.contract,
              from: `0x${log.topics[1]!.slice(26)}`,
              to: `0x${log.topics[2]!.slice(26)}`,
              units: BigInt(log.data),
              ordinal: `log:${at}`,
              place: log.place,
            },
          ]
        : [],
    ),
  }
}

function readLog(node: Node, written: unknown, block: string): Log {
  const { address, topics, data, blockHash, transactionHash, logIndex, removed } = record(node, written)
  if (removed === true || hashOf(node, blockHash) !== block)
    throw broken(node, `answered a log that is not of block ${block}`)
  const number = heightOf(node, logIndex)
  return {
    contract: addressOf(node, address),
    topics: list(node, topics, 4).map((topic) => hashOf(node, topic)),
    data: typeof data === 'string' ? data.toLowerCase() : '',
    number,
    place: `${hashOf(node, transactionHash)}:${number}`,
  }
}

/** Of a sum, from one to another; the same word also tells of things that are one of a kind, with a fourth topic. */
function isTransfer({ topics, data }: Log): boolean {
  return topics.length === 3 && topics[0] === TRANSFER && /^0x[0-9a-f]{64}$/.test(data)
}

function readFrame(node: Node, written: unknown, depth: number): Frame {
  const { type, to, from, value, error, calls } = record(node, written)
  if (depth > CALL_DEPTH_MAX || typeof type !== 'string') throw broken(node, 'answered a trace that is none')
  return {
    type,
    to: typeof to === 'string' ? addressOf(node, to) : null,
    from: addressOf(node, from),
    value: value === undefined || value === null ? 0n : quantity(node, value),
    failed: error !== undefined && error !== null,
    calls:
      calls === undefined || calls === null
        ? []
        : list(node, calls, Number.POSITIVE_INFINITY).map((one) => readFrame(node, one, depth + 1)),
  }
}

const NOT_OFFERED = Symbol('not offered')

/** A call that not every node knows. What it did offer once it must go on offering: that it is gone is trouble, not a smaller answer. */
async function offered(
  known: Map<Node, boolean>,
  node: Node,
  method: string,
  params: readonly unknown[],
): Promise<unknown> {
  if (known.get(node) === false) return NOT_OFFERED
  try {
    const answer = await node.call(method, params)
    if (answer === null) throw broken(node, `answered null to ${method}`)
    known.set(node, true)
    return answer
  } catch (error) {
    if (!(error instanceof RpcError)) throw error
    if (isForgotten(error))
      throw new NodeTrouble(
        'no_trace',
        `${node.name} has thrown away the state that ${method} needs (${error.message}): add a node that keeps it to its URLs`,
      )
    if (!isUnknownMethod(error)) throw broken(node, `refused ${method}: ${error.message}`)
    if (known.get(node) === true)
      throw new NodeTrouble(
        method.startsWith('debug') ? 'no_trace' : 'refused',
        `${node.name} does not offer ${method} any more`,
      )
    known.set(node, false)
    return NOT_OFFERED
  }
}

/** JSON-RPC's own code; providers that sell it apart say it in words. */
function isUnknownMethod({ code, message }: RpcError): boolean {
  return (
    code === -32601 ||
    /method.{0,60}(not (found|supported|available|enabled|allowed|whitelisted)|does not exist|unsupported|disabled)/i.test(
      message,
    )
  )
}

/** Nodes keep the state of their newest blocks only, a hundred or so; what we missed for longer, an archive node can trace. */
function isForgotten({ message }: RpcError): boolean {
  return /state.{0,40}(unavailable|not available|is pruned|pruned)|missing trie node|distance to target block exceeds/i.test(
    message,
  )
}

async function asked(node: Node, method: string, params: readonly unknown[]): Promise<unknown> {
  try {
    return await node.call(method, params)
  } catch (error) {
    if (error instanceof RpcError) throw refusal(node, method, error)
    throw error
  }
}

async function batch(node: Node, calls: readonly Call[]): Promise<unknown[]> {
  return (await node.batch(calls)).map((answer, at) => {
    if (!answer.ok) throw refusal(node, calls[at]!.method, answer.error)
    return answer.result
  })
}

function refusal(node: Node, method: string, error: RpcError): NodeTrouble {
  const word = isUnknownMethod(error) ? 'refused' : 'broken_answer'
  return new NodeTrouble(word, `${node.name} refused ${method}: ${error.message}`, { cause: error })
}

async function chainId(node: Node): Promise<string> {
  return quantity(node, await asked(node, 'eth_chainId', [])).toString()
}

function broken(node: Node, what: string): NodeTrouble {
  return new NodeTrouble('broken_answer', `${node.name} ${what}`)
}

function record(node: Node, value: unknown): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw broken(node, 'answered something else than was asked')
  return value as Record<string, unknown>
}

function list(node: Node, value: unknown, max: number): unknown[] {
  if (!Array.isArray(value) || value.length > max) throw broken(node, 'answered no list where one was asked for')
  return value
}

function hashOf(node: Node, value: unknown): string {
  if (typeof value !== 'string' || !/^0x[0-9a-f]{64}$/i.test(value))
    throw broken(node, 'answered no hash where one was asked for')
  return value.toLowerCase()
}

function addressOf(node: Node, value: unknown): string {
  if (typeof value !== 'string' || !/^0x[0-9a-f]{40}$/i.test(value))
    throw broken(node, 'answered no address where one was asked for')
  return value.toLowerCase()
}

function quantity(node: Node, value: unknown): bigint {
  if (typeof value !== 'string' || !/^0x[0-9a-f]{1,64}$/i.test(value))
    throw broken(node, 'answered no number where one was asked for')
  return BigInt(value)
}

function heightOf(node: Node, value: unknown): number {
  const height = Number(quantity(node, value))
  if (!Number.isSafeInteger(height)) throw broken(node, 'answered a number that cannot be')
  return height
}
