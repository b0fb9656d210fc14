/**
 * The sandbox's Ethereum: anvil, with the tokens at the addresses that they have in the world, somebody rich who pays, and nobody who mines
 * by himself. It starts when it is first asked for anything. The chain is written down after each press, so that a restart goes on where it
 * stopped, also after `kill -9`.
 */
import { mkdirSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { keccak_256 } from '@noble/hashes/sha3.js'
import { bytesToHex, utf8ToBytes } from '@noble/hashes/utils.js'
import type { Books } from '../books.ts'
import { type Anvil, anvilProgram, startAnvil } from './anvil.ts'
import { contractOf } from './contracts.ts'
import type { NodeView, Refused, SandboxNode } from './node.ts'

const CHAIN_ID = 1
/** Of whoever pays in the sandbox; no deposit address comes from it. Its words are public. */
const MNEMONIC = 'letter advice cage absurd amount doctor acoustic avoid letter advice cage above'
/** Before anything is paid: so that nothing that is taken back takes the tokens with it. */
const FIRST_BLOCKS = 12
const TOKEN_GAS = '0x30d40'
/** A thousand million ether. */
const RICH = '0x33b2e3c9fd0803ce8000000'
/** A million million dollars, of six decimals. */
const RICH_TOKENS = '0xde0b6b3a7640000'
const PROXY_MILLISECONDS_MAX = 60_000
const CALLS_MAX = 200
/** So many are still there after a restart. */
const WAITING_MAX = 500
/**
 * Up to this height the chain is written down with the state after each of its blocks: what it takes grows with the square of the height,
 * to seconds a press. Above it a restart forgets those states: what was mined before it can then not be taken back any more, and its
 * traces come from the books.
 */
const WITH_STATES_HEIGHT_MAX = 200
const TRACES_MAX = 2_000
/** What a node lets everybody ask: it reads. Nothing else passes, so that a chain is changed at the desk only. */
const READING =
  /^(eth_(accounts|blobBaseFee|blockNumber|call|chainId|estimateGas|feeHistory|gasPrice|get\w+|maxPriorityFeePerGas|syncing)|debug_(getRaw\w+|trace\w+)|net_version|web3_clientVersion)$/

/** Where they stand in the world. Source: the issuers' own lists. */
const tokens: Record<string, string> = {
  USDT: '0xdac17f958d2ee523a2206206994597c13d831ec7',
  USDC: '0xa0b86991c6218b36c1d19d4a2e9eb0ce3606eb48',
}

type Block = { number: string; hash: string; transactions: unknown[] }

export function openEthereum(world: { dataDir: string; books: Books; log: (sentence: string) => void }): SandboxNode {
  const { books } = world
  books.define(`
    create table if not exists ethereum_traces (
      seq integer primary key,
      block text not null,
      txid text not null unique,
      trace text not null
    )`)
  const file = join(world.dataDir, 'sandbox-ethereum.json')
  let starting: Promise<Anvil> | null = null
  let view: NodeView = { state: 'starting', detail: null, height: null, waiting: 0 }
  let stopping = false
  /** One press after the other: what two did at once could not be told. */
  let last: Promise<unknown> = Promise.resolve()

  function away(detail: string): void {
    view = { state: 'away', detail, height: null, waiting: 0 }
  }

  /** The node, started with the first call. */
  function node(): Promise<Anvil> {
    starting ??= start()
    return starting
  }

  async function start(): Promise<Anvil> {
    if (anvilProgram() === null) throw absent()
    mkdirSync(world.dataDir, { recursive: true, mode: 0o700 })
    const anvil = await startAnvil({ chainId: CHAIN_ID, mnemonic: MNEMONIC, from: file })
    void anvil.ended.then((how) => {
      if (stopping) return
      away(`The Ethereum node stopped by itself (${how}). Start the sandbox again.`)
      world.log(`anvil stopped by itself: ${how}`)
      starting = Promise.reject(new Error(view.detail!))
      starting.catch(() => {})
    })
    if ((await anvil.call<string>('eth_blockNumber')) === '0x0') await begin(anvil)
    // A chain that was written down has its blocks only.
    else for (const raw of readWaiting()) await anvil.call('eth_sendRawTransaction', raw).catch(() => {})
    await look(anvil)
    return anvil
  }

  async function begin(anvil: Anvil): Promise<void> {
    const from = await payer(anvil)
    await anvil.call('anvil_setBalance', from, RICH)
    for (const at of Object.values(tokens)) {
      await anvil.call('anvil_setCode', at, contractOf('Plain').runtime)
      await anvil.call('anvil_dealERC20', from, at, RICH_TOKENS)
    }
    await anvil.call('anvil_mine', hex(FIRST_BLOCKS))
    await keep(anvil)
  }

  async function payer(anvil: Anvil): Promise<string> {
    const [first] = await anvil.call<string[]>('eth_accounts')
    return first!
  }

  /** Whole or not at all: a file that was cut off would be the end of the chain. */
  async function keep(anvil: Anvil): Promise<void> {
    const height = Number(await anvil.call<string>('eth_blockNumber'))
    const state = await anvil.call<string>('anvil_dumpState', height <= WITH_STATES_HEIGHT_MAX)
    const beside = `${file}.new`
    writeFileSync(beside, gunzipSync(Buffer.from(state.slice(2), 'hex')), { mode: 0o600, flush: true })
    renameSync(beside, file)
    const { transactions } = await anvil.call<{ transactions: { hash: string }[] }>(
      'eth_getBlockByNumber',
      'pending',
      true,
    )
    const waiting: string[] = []
    for (const { hash } of transactions.slice(0, WAITING_MAX))
      waiting.push(await anvil.call<string>('eth_getRawTransactionByHash', hash))
    books.set('ethereum_waiting', JSON.stringify(waiting))
  }

  async function keepTraces(anvil: Anvil, { hash, transactions }: Block): Promise<void> {
    if (transactions.length === 0) return
    const traces = await anvil.call<{ txHash: string }[]>('debug_traceBlockByHash', hash, { tracer: 'callTracer' })
    books.transaction(() => {
      for (const one of traces)
        books.run(
          'insert or replace into ethereum_traces (block, txid, trace) values (?, ?, ?)',
          hash,
          one.txHash,
          JSON.stringify(one),
        )
      books.run('delete from ethereum_traces where seq <= (select max(seq) from ethereum_traces) - ?', TRACES_MAX)
    })
  }

  /** The answer to a trace whose state a restart forgot; null: to something else, or not known. */
  function keptTrace(asked: unknown): unknown {
    const { method, params } = asked as { method?: unknown; params?: unknown }
    const [id, options] = Array.isArray(params) ? params : []
    if (typeof id !== 'string' || (options as { tracer?: unknown } | undefined)?.tracer !== 'callTracer') return null
    const key = method === 'debug_traceTransaction' ? 'txid' : method === 'debug_traceBlockByHash' ? 'block' : null
    if (key === null) return null
    const rows = books.all<{ trace: string }>(`select trace from ethereum_traces where ${key} = ? order by seq`, id)
    const traces = rows.map(({ trace }) => JSON.parse(trace) as { result: unknown })
    if (traces.length === 0) return null
    return key === 'txid' ? traces[0]!.result : traces
  }

  function readWaiting(): string[] {
    return JSON.parse(books.setting('ethereum_waiting') ?? '[]') as string[]
  }

  async function look(anvil: Anvil): Promise<Block> {
    const block = await anvil.call<Block>('eth_getBlockByNumber', 'latest', false)
    const { pending } = await anvil.call<{ pending: string }>('txpool_status')
    view = { state: 'works', detail: null, height: Number(block.number), waiting: Number(pending) }
    return block
  }

  function press<Result>(work: (anvil: Anvil) => Promise<Result>): Promise<Result | Refused> {
    const done = last.then(async () => {
      try {
        const anvil = await node()
        const result = await work(anvil)
        await keep(anvil)
        await look(anvil)
        return result
      } catch (error) {
        if (!stopping) world.log(sentenceOf(error))
        return { ok: false as const, detail: view.detail ?? sentenceOf(error) }
      }
    })
    last = done.catch(() => {})
    return done
  }

  function absent(): Error {
    return new Error(`There is no Ethereum node for ${process.platform} on ${process.arch}. The other networks work.`)
  }

  if (anvilProgram() === null) away(absent().message)

  return {
    assets: [{ code: 'ETH', decimals: 18 }, ...Object.keys(tokens).map((code) => ({ code, decimals: 6 }))],

    async pay({ address, units, asset }) {
      if (!isAddress(address))
        return { ok: false, field: 'address', detail: 'address is 0x and 40 digits, with the checksum of its letters.' }
      return press(async (anvil) => {
        const from = await payer(anvil)
        const contract = tokens[asset]
        const call = contract
          ? {
              from,
              to: contract,
              gas: TOKEN_GAS,
              data: `0xa9059cbb${word(address.slice(2))}${word(units.toString(16))}`,
            }
          : { from, to: address, value: hex(units) }
        return { ok: true as const, txid: await anvil.call<string>('eth_sendTransaction', call) }
      })
    },

    mine: (blocks) =>
      press(async (anvil) => {
        const before = await look(anvil)
        await anvil.call('anvil_mine', hex(blocks))
        const first = await anvil.call<Block>('eth_getBlockByNumber', hex(Number(before.number) + 1), false)
        await keepTraces(anvil, first)
        const { number, hash } = await look(anvil)
        return { ok: true as const, height: Number(number), hash, transactions: first.transactions.length }
      }),

    reorg: ({ depth, drop, forget }) =>
      press(async (anvil) => {
        const height = Number((await look(anvil)).number)
        if (depth > height - FIRST_BLOCKS) {
          const most = height - FIRST_BLOCKS
          const detail =
            most < 1 ? 'There is no block yet that can be taken back: mine one.' : `depth is at most ${most}.`
          return { ok: false as const, field: 'depth' as const, detail }
        }
        const taken: { raw: string; nonce: string }[] = []
        for (let at = height - depth + 1; at <= height; at++) {
          const block = await anvil.call<{ transactions: { hash: string; nonce: string }[] }>(
            'eth_getBlockByNumber',
            hex(at),
            true,
          )
          for (const { hash, nonce } of block.transactions)
            taken.push({ raw: await anvil.call<string>('eth_getRawTransactionByHash', hash), nonce })
        }
        try {
          await anvil.call('anvil_reorg', depth, [])
        } catch (error) {
          if (!/data unavailable/i.test(sentenceOf(error))) throw error
          const detail = `Only what was mined since the sandbox started can be taken back, above block ${WITH_STATES_HEIGHT_MAX}.`
          return { ok: false as const, field: 'depth' as const, detail }
        }
        if (drop) {
          // All of them were the payer's: whoever uses the same nonce in the new branch excludes them.
          const from = await payer(anvil)
          for (const { nonce } of taken)
            await anvil.call('eth_sendTransaction', { from, to: from, value: '0x0', nonce })
        }
        // The branch that wins is longer than the one that loses.
        await anvil.call('evm_mine')
        // Back to where they waited; anvil forgets them.
        if (!drop && !forget) for (const { raw } of taken) await anvil.call('eth_sendRawTransaction', raw)
        const { number, hash } = await look(anvil)
        return { ok: true as const, height: Number(number), hash, transactions: taken.length }
      }),

    async rpc(body) {
      let asked: unknown
      try {
        asked = JSON.parse(body)
      } catch {
        return refusal(400, -32700, 'Send JSON')
      }
      const calls = Array.isArray(asked) ? asked : [asked]
      if (calls.length === 0 || calls.length > CALLS_MAX) return refusal(400, -32600, `Send 1 to ${CALLS_MAX} calls`)
      const foreign = calls.find((call) => !READING.test(String((call as { method?: unknown } | null)?.method)))
      if (foreign) {
        const { id = null, method } = (foreign ?? {}) as { id?: unknown; method?: unknown }
        return refusal(
          200,
          -32601,
          `Method not found at this door, which only reads: ${String(method).slice(0, 60)}`,
          id,
        )
      }
      let anvil: Anvil
      try {
        anvil = await node()
      } catch (error) {
        return refusal(503, -32005, sentenceOf(error), (asked as { id?: unknown }).id ?? null)
      }
      try {
        const answered = await fetch(anvil.url, {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body,
          signal: AbortSignal.timeout(PROXY_MILLISECONDS_MAX),
        })
        const text = await answered.text()
        const failed = !Array.isArray(asked) && hasFailed(JSON.parse(text))
        const kept = failed ? keptTrace(asked) : null
        if (kept === null) return { status: answered.status, body: text }
        const { id } = asked as { id: unknown }
        return { status: 200, body: JSON.stringify({ jsonrpc: '2.0', id, result: kept }) }
      } catch {
        return refusal(503, -32005, view.detail ?? 'The Ethereum node does not answer', null)
      }
    },

    view: () => {
      // Whoever looks at it wants it to be there.
      if (!stopping && starting === null && view.state === 'starting') void press(async () => {})
      return view
    },

    async stop() {
      stopping = true
      await last
      const anvil = await starting?.catch(() => null)
      await anvil?.stop()
    },
  }
}

/** The whole call, or, of a block's traces, one of them. */
function hasFailed({ error, result }: { error?: unknown; result?: unknown }): boolean {
  const isFailed = (one: unknown) => typeof one === 'object' && one !== null && 'error' in one && !('result' in one)
  return error !== undefined || (Array.isArray(result) && result.some(isFailed))
}

function refusal(status: number, code: number, message: string, id: unknown = null): { status: number; body: string } {
  return { status, body: JSON.stringify({ jsonrpc: '2.0', id, error: { code, message } }) }
}

/** As wallets take it: in one case throughout, or with the right checksum (EIP-55). */
function isAddress(written: string): boolean {
  const digits = /^0x([0-9a-fA-F]{40})$/.exec(written)?.[1]
  if (digits === undefined) return false
  if (digits === digits.toLowerCase() || digits === digits.toUpperCase()) return true
  const check = bytesToHex(keccak_256(utf8ToBytes(digits.toLowerCase())))
  return [...digits.toLowerCase()].every(
    (digit, at) => (Number.parseInt(check[at]!, 16) >= 8 ? digit.toUpperCase() : digit) === digits[at],
  )
}

function hex(value: number | bigint): string {
  return `0x${value.toString(16)}`
}

function word(digits: string): string {
  return digits.toLowerCase().padStart(64, '0')
}

function sentenceOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
