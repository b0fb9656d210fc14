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
   * Replaces the newest blocks by other ones, one more than they were, with nothing of theirs in them. What they held waits for a block
   * again; with `drop` its sender spent the same otherwise in the new branch, so that it can never come back; with `forget` it is gone
   * without a trace. `transactions`: how many of them.
   */
  reorg: (wish: {
    depth: number
    drop: boolean
    forget: boolean
  }) => Promise<{ ok: true; height: number; hash: string; transactions: number } | Refused>
  /** A body of JSON-RPC, single or a batch, as the server's own client sends it. */
  rpc: (body: string) => Promise<{ status: number; body: string }>
  view: () => NodeView
  stop: () => Promise<void>
}
