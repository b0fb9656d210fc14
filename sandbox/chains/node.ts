/** What the desk's controls and the RPC doors need of a network of the sandbox, whichever it is. */

export type Refused = { ok: false; field?: 'address' | 'amount' | 'blocks' | 'depth'; detail: string }

export type NodeView = {
  state: 'works' | 'starting' | 'away'
  /** Why it is away, as a sentence. */
  detail: string | null
  height: number | null
  /** Transactions that no block has yet. */
  waiting: number
}

/** Blocks come one after the other when somebody asks for them, and never by themselves. */
export type SandboxNode = {
  assets: readonly { code: string; decimals: number }[]
  /** Sends to an address from somebody who has enough; it waits for a block. Units: the smallest of the asset. */
  pay: (wish: { address: string; units: bigint; asset: string }) => Promise<{ ok: true; txid: string } | Refused>
  mine: (blocks: number) => Promise<{ ok: true; height: number; hash: string; transactions: number } | Refused>
  /**
   * Replaces the newest blocks by as many, or more, other ones. What they held waits again for a block; or, dropped, is as if it had
   * never been sent. `transactions`: how many of them.
   */
  reorg: (wish: {
    depth: number
    drop: boolean
  }) => Promise<{ ok: true; height: number; hash: string; transactions: number } | Refused>
  /** A body of JSON-RPC, single or a batch, as the server's own client sends it. */
  rpc: (body: string) => Promise<{ status: number; body: string }>
  view: () => NodeView
  stop: () => Promise<void>
}
