/**
 * A node of a bitcoin-type network as tests use it: its RPC at a URL, which our chain reads, and a payer with coins. Two kinds stand behind
 * it: the real one (litecoind.ts), and the simulator, served over HTTP as the sandbox serves it.
 */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { hex } from '@scure/base'
import { Address, OutScript, p2wpkh, Transaction } from '@scure/btc-signer'
import { pubECDSA } from '@scure/btc-signer/utils.js'
import { type Coin, createCoin } from '../../sandbox/chains/coin.ts'

export type AddressSpace = { bech32: string; pubKeyHash: number; scriptHash: number; wif: number }
export const BITCOIN_SPACE: AddressSpace = { bech32: 'bcrt', pubKeyHash: 0x6f, scriptHash: 0xc4, wif: 0xef }
export const LITECOIN_SPACE: AddressSpace = { bech32: 'rltc', pubKeyHash: 0x6f, scriptHash: 0x3a, wif: 0xef }

// biome-ignore lint/suspicious/noExplicitAny: answers are of every shape, and tests look at what they know to be there.
export type CallNode = (method: string, ...parameters: unknown[]) => Promise<any>

export type TestNode = {
  name: string
  kind: 'bitcoin' | 'litecoin'
  url: string
  /** Throws `NodeRefusal` with the node's code. */
  call: CallNode
  space: AddressSpace
  stop: () => Promise<void>
}

export class NodeRefusal extends Error {
  readonly code: number
  constructor(code: number, message: string) {
    super(`${code}: ${message}`)
    this.code = code
  }
}

export function caller(url: string): CallNode {
  const place = new URL(url)
  const authorization = `Basic ${btoa(`${place.username}:${place.password}`)}`
  place.username = place.password = ''
  return async (method, ...params) => {
    const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method, params })
    const response = await fetch(place, { method: 'POST', headers: { authorization }, body })
    const { result, error } = (await response.json()) as { result: unknown; error?: { code: number; message: string } }
    if (error) throw new NodeRefusal(error.code, error.message)
    return result
  }
}

/** The simulator with its first block only; `coin` is its inside. */
export async function startSimulator(kind: 'bitcoin' | 'litecoin', mark?: string): Promise<TestNode & { coin: Coin }> {
  const coin = createCoin({ kind, firstBlocks: 0, ...(mark ? { mark } : {}) })
  const served = await serve((body) => coin.answer(body))
  const space = kind === 'bitcoin' ? BITCOIN_SPACE : LITECOIN_SPACE
  return { name: `simulator of ${kind}`, kind, space, coin, call: caller(served.url), ...served }
}

/** JSON-RPC over HTTP at a free port. */
export async function serve(answer: (body: unknown) => { status: number; body: unknown }) {
  const server = createServer((request, response) => {
    const parts: Buffer[] = []
    request.on('data', (part: Buffer) => parts.push(part))
    request.on('end', () => {
      const { status, body } = answer(JSON.parse(Buffer.concat(parts).toString()))
      response.writeHead(status, { 'content-type': 'application/json' })
      response.end(typeof body === 'string' ? body : JSON.stringify(body))
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}`,
    stop: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

export type PayerCoin = { txid: string; index: number; units: bigint; key: Uint8Array }
export type Payment = { script: string; units: bigint }
export type Made = { txid: string; hex: string }

const REPLACEABLE = 0xfffffffd
const FEE_UNITS = 10_000n

/** The n-th key of the tests; nobody owns anything with it. */
export function testKey(n: number): Uint8Array {
  const key = new Uint8Array(32).fill(1)
  new DataView(key.buffer).setUint32(0, n + 1)
  return key
}

export function scriptOfKey(n: number): string {
  return hex.encode(p2wpkh(pubECDSA(testKey(n))).script)
}

export function addressOf(node: { space: AddressSpace }, script: string): string {
  return Address(node.space).encode(OutScript.decode(hex.decode(script)))
}

/** From here on each mined block pays somebody else, or a node that has refused a block would find the very same one again. */
const MINERS_FROM = 1_000_000
const miners = new WeakMap<TestNode, number>()
export function minerOf(node: TestNode): string {
  const next = (miners.get(node) ?? MINERS_FROM) + 1
  miners.set(node, next)
  return addressOf(node, scriptOfKey(next))
}

/** Blocks with what waits, to nobody in particular. */
export async function mine(node: TestNode, blocks = 1): Promise<string[]> {
  return node.call('generatetoaddress', blocks, minerOf(node))
}

/** A block with these transactions and nothing else. */
export async function mineWith(node: TestNode, txs: readonly Made[]): Promise<string> {
  const { hash } = await node.call(
    'generateblock',
    minerOf(node),
    txs.map((tx) => tx.hex),
  )
  return hash
}

/** As many coins of 50 that can be spent at once; takes as many blocks and a hundred more, and two of those that ripen meanwhile. */
export async function ownCoins(node: TestNode, count: number): Promise<PayerCoin[]> {
  const coins: PayerCoin[] = []
  for (let n = 0; n < count; n++) {
    const [hash] = await node.call('generatetoaddress', 1, addressOf(node, scriptOfKey(n)))
    const { tx } = await node.call('getblock', hash, 2)
    coins.push({ txid: tx[0].txid, index: 0, units: BigInt(Math.round(tx[0].vout[0].value * 1e8)), key: testKey(n) })
  }
  await mine(node, 100)
  return coins
}

/** Spends the coins; what is left goes to the first coin's own key. Signed, not sent. */
export function makeTx(
  coins: readonly PayerCoin[],
  outputs: readonly Payment[],
  { fee = FEE_UNITS, sequence = REPLACEABLE }: { fee?: bigint; sequence?: number } = {},
): Made & { change: PayerCoin | null } {
  const tx = new Transaction({ allowUnknownOutputs: true })
  const scripts = coins.map(({ key }) => p2wpkh(pubECDSA(key)).script)
  for (const [n, { txid, index, units }] of coins.entries())
    tx.addInput({ txid, index, sequence, witnessUtxo: { script: scripts[n]!, amount: units } })
  for (const { script, units } of outputs) tx.addOutput({ script: hex.decode(script), amount: units })
  const change = total(coins) - total(outputs) - fee
  if (change > 0n) tx.addOutput({ script: scripts[0]!, amount: change })
  for (const [n, { key }] of coins.entries()) tx.signIdx(key, n)
  tx.finalize()
  const left = { txid: tx.id, index: outputs.length, units: change, key: coins[0]!.key }
  return { txid: tx.id, hex: tx.hex, change: change > 0n ? left : null }
}

export async function send(node: TestNode, tx: Made): Promise<string> {
  return node.call('sendrawtransaction', tx.hex, 0)
}

function total(of: readonly { units: bigint }[]): bigint {
  return of.reduce((sum, { units }) => sum + units, 0n)
}
