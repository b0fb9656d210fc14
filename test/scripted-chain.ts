/**
 * A network in memory: a tree of blocks, of which one branch is the best, and a pool. What it says, and when it changes its mind, is
 * written by the test. Blocks carry what the port carries; nothing is checked, so that it can also lie.
 */
import { createHash } from 'node:crypto'
import type { CryptoAsset } from '../contract/contract.ts'
import { type Chain, NodeTrouble, type ReadBlock, type Tip, type Transfer } from '../server/payments/crypto/chain.ts'

export type ScriptedTx = {
  txid: string
  /** `ordinal` by their place. */
  pays: readonly { script: string; units: bigint; asset?: CryptoAsset; ordinal?: string; coinbase?: boolean }[]
  spends: readonly string[]
}
type Node = ReadBlock & { txs: readonly ScriptedTx[] }

/** The first part of a header's time. */
const BEGAN = new Date('2026-01-01T00:00:00Z').getTime()
const BLOCK_MS = 600_000

export type ScriptedChain = ReturnType<typeof createScriptedChain>

export function createScriptedChain(
  settings: { name?: string; asset?: CryptoAsset; identity?: string; now?: () => number } = {},
) {
  const { name = 'bitcoin', asset = 'BTC', identity = 'first' } = settings
  const blocks = new Map<string, Node>()
  /** Of the best branch, by height. */
  const best: string[] = []
  let pool: ScriptedTx[] = []
  let made = 0
  const said = { calls: 0 }
  const script = {
    identity,
    /** Called before each answer, with its number: changes the chain's mind, or throws `NodeTrouble`. */
    before: null as null | ((call: number, what: keyof Chain) => void),
    /** No transaction that waits is in the list, although it is there. */
    cutPool: false,
    /** What a second node says; there is none. */
    agrees: (_height: number, _hash: string): Awaited<ReturnType<Chain['agrees']>> => 'alone',
    /** What the node says of itself, whatever is true. */
    tip: null as null | Tip,
  }
  const genesis = makeBlock(null, [])
  choose(genesis.hash)

  function makeBlock(parent: Node | null, txs: readonly ScriptedTx[], time?: Date): Node {
    const height = parent === null ? 0 : parent.height + 1
    const hash = createHash('sha256')
      .update(`${name} ${++made} ${parent?.hash ?? ''}`)
      .digest('hex')
    const block: Node = {
      hash,
      parent: parent?.hash ?? '0'.repeat(64),
      height,
      time: time ?? new Date(settings.now?.() ?? BEGAN + height * BLOCK_MS),
      txs,
      transfers: txs.flatMap(transfersOf),
      spent: new Map(txs.flatMap(({ txid, spends }) => spends.map((one): [string, string] => [one, txid]))),
    }
    blocks.set(hash, block)
    return block
  }

  function transfersOf(tx: ScriptedTx): Transfer[] {
    return tx.pays.map((one, place) => ({
      txid: tx.txid,
      ordinal: one.ordinal ?? String(place),
      asset: one.asset ?? asset,
      script: one.script,
      units: one.units,
      coinbase: one.coinbase ?? false,
      spends: tx.spends,
    }))
  }

  function choose(hash: string): void {
    const fresh: string[] = []
    let at = blocks.get(hash)
    for (; at && best[at.height] !== at.hash; at = blocks.get(at.parent)) fresh.push(at.hash)
    best.length = at ? at.height + 1 : 0
    best.push(...fresh.reverse())
  }

  async function asked<T>(what: keyof Chain, answer: () => T): Promise<T> {
    said.calls++
    script.before?.(said.calls, what)
    return answer()
  }

  const chain: Chain = {
    name,
    identity: () => asked('identity', () => script.identity),
    tip: () => asked('tip', () => script.tip ?? { hash: best.at(-1)!, height: best.length - 1 }),
    hashAt: (height) => asked('hashAt', () => best[height] ?? null),
    agrees: (height, hash) => asked('agrees', () => script.agrees(height, hash)),
    block: (hash) => asked('block', () => blocks.get(hash) ?? null),
    pool: () => asked('pool', () => (script.cutPool ? [] : pool.flatMap(transfersOf))),
    find: (txid) =>
      asked('find', () => {
        const waiting = pool.find((tx) => tx.txid === txid)
        if (waiting) return { where: 'pool' as const, transfers: transfersOf(waiting) }
        for (const hash of best) {
          const { height, txs } = blocks.get(hash)!
          const tx = txs.find((one) => one.txid === txid)
          if (tx) return { where: 'block' as const, hash, height, failed: false, transfers: transfersOf(tx) }
        }
        return { where: 'nowhere' as const }
      }),
    balances: () => {
      throw new NodeTrouble('refused', 'Nobody asks a scripted chain for balances')
    },
  }

  return {
    chain,
    script,
    said,
    blocks,
    get best(): readonly string[] {
      return best
    },
    get tip(): Node {
      return blocks.get(best.at(-1)!)!
    },
    get pool(): readonly ScriptedTx[] {
      return pool
    },
    wait(txs: readonly ScriptedTx[]): void {
      pool = [...txs]
    },
    /** A block on top of `on` (the best one), which becomes the best; unless `quietly`. */
    mine(txs: readonly ScriptedTx[] = [], how: { on?: string; time?: Date; quietly?: boolean } = {}): Node {
      const block = makeBlock(blocks.get(how.on ?? best.at(-1)!)!, txs, how.time)
      if (!how.quietly) {
        choose(block.hash)
        const mined = new Set(txs.map(({ txid }) => txid))
        pool = pool.filter((tx) => !mined.has(tx.txid))
      }
      return block
    },
    choose,
    /** The block so many below the newest of the best branch. */
    below: (depth: number): string => best[best.length - 1 - depth]!,
    /** The top `depth` blocks are replaced by as many others, and one more; `txs` by the place of the new block. */
    reorganise(depth: number, txs: readonly (readonly ScriptedTx[])[] = [], length = depth + 1): void {
      let on = best[best.length - 1 - depth]!
      for (let n = 0; n < length; n++) on = makeBlock(blocks.get(on)!, txs[n] ?? []).hash
      choose(on)
    },
  }
}
