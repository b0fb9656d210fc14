/**
 * PORT: a network, as the follower sees it. Two things stand behind it: bitcoin-type nodes by Core's RPC (utxo.ts), and EVM nodes by
 * JSON-RPC (evm.ts). Nothing here knows a customer.
 *
 * Every call either answers what the node said, whole, or throws `NodeTrouble`; a guess is never an answer.
 */
import type { CryptoAsset } from '../../../contract/contract.ts'

/** The node does not answer, or answers what cannot be believed. Worth asking again; `word` is stored and counted. */
export class NodeTrouble extends Error {
  readonly word: 'unreachable' | 'refused' | 'broken_answer' | 'behind' | 'wrong_chain' | 'disagreement' | 'no_trace'
  constructor(word: NodeTrouble['word'], message: string, options?: ErrorOptions) {
    super(message, options)
    this.word = word
  }
}

/** What one output, log or inner call pays to one script. */
export type Transfer = {
  /** Lower-case hexadecimal; of EVM with 0x. */
  txid: string
  /** Unique within the transaction and the same when it is mined again: the output's number; of EVM the transaction itself (`tx`), the path of a call inside it (`call:0/2`), the log's place in its own receipt (`log:1`). */
  ordinal: string
  asset: CryptoAsset
  /** Of UTXO the output's script; of EVM the 20 bytes of the address. Lower-case hexadecimal without 0x. */
  script: string
  /** In the asset's smallest unit; more than 0. */
  units: bigint
  coinbase: boolean
  /** What its transaction spends: `txid:n`; of EVM `sender:nonce`. Another transaction that spends one of these excludes it. */
  spends: readonly string[]
}

export type ReadBlock = {
  hash: string
  parent: string
  height: number
  /** As its header says. */
  time: Date
  /** Everything that pays anybody, in the order of the block. */
  transfers: readonly Transfer[]
  /** What the block's transactions spend, by which of them. */
  spent: ReadonlyMap<string, string>
}

export type Tip = { hash: string; height: number }

/** What is known of a transaction by its id: for the customer who asks where his payment is. */
export type Found =
  | { where: 'nowhere' }
  | { where: 'pool'; transfers: readonly Transfer[] }
  | {
      where: 'block'
      hash: string
      height: number
      /** The network took back what it did: it pays nobody. */
      failed: boolean
      transfers: readonly Transfer[]
      /** Of EVM: tokens that we do not take, as their contracts tell it, which need not be true. For people to look at, never to credit. */
      unknown?: readonly { contract: string; script: string; units: bigint }[]
    }

export type Chain = {
  name: string
  /** The hash of the first block, or the chain id: what the node says, to be held against what it must be. */
  identity: () => Promise<string>
  /** The newest block of the node's best chain. Throws `behind` while the node itself says that it is catching up. */
  tip: () => Promise<Tip>
  /** Which block the node has at this height of its best chain; null: none. Heights may go down. */
  hashAt: (height: number) => Promise<string | null>
  /**
   * Whether our other endpoints have this block at this height too, asked before money is credited. `alone`: there is no other one.
   * `not_known`: none of the others says (away, or not that far yet): wait and ask again. One that has another block there: `disagrees`.
   */
  agrees: (height: number, hash: string) => Promise<'agrees' | 'disagrees' | 'alone' | 'not_known'>
  /** A whole block; null: the node does not know it any more. */
  block: (hash: string) => Promise<ReadBlock | null>
  /** What waits to be mined; for display only. May be cut off: what is missing is no statement. */
  pool: () => Promise<readonly Transfer[]>
  find: (txid: string) => Promise<Found>
  /** What our addresses hold, by the node's own word; asked in bounded lists, for reconciliation. In the order of the question. */
  balances: (asset: CryptoAsset, scripts: readonly string[]) => Promise<bigint[]>
}
