/**
 * A random network for the follower's rules: a tree of blocks whose best branch moves as it likes, also backwards, and transactions that
 * exclude each other, are replaced, forgotten and mined again. Every block is one that could be: it spends nothing twice on its branch.
 */
import type { Chance } from '../random.ts'
import { createScriptedChain, type ScriptedChain, type ScriptedTx } from '../scripted-chain.ts'

export type ForkWorld = ReturnType<typeof createForkWorld>

/** Below what is paid attention to in the pool, dust, ordinary payments, and far too much. Unit: satoshi. */
const UNITS = [100n, 600n, 5_000n, 9_950n, 10_000n, 10_500n, 12_345n, 40_000n]
const DEPTH_MAX = 6
const TXS_KEPT = 40

export function createForkWorld(chance: Chance, scripts: readonly string[]) {
  const scripted: ScriptedChain = createScriptedChain()
  /** What may still be mined, or mined again. */
  const txs: ScriptedTx[] = []
  let coins = 0
  let made = 0

  for (let n = 0; n < 3; n++) scripted.mine()

  function newTx(): ScriptedTx {
    const txid = `${(++made).toString(16).padStart(8, '0')}`.padEnd(64, 'a')
    const other = txs.length > 0 && chance.happens(0.4) ? chance.oneOf(txs) : null
    // The same coin as another one: only one of them can stand.
    const spends = other ? [chance.oneOf(other.spends)] : [`coin:${++coins}`]
    if (chance.happens(0.3)) spends.push(`coin:${++coins}`)
    const pays = Array.from({ length: chance.whole(1, 3) }, () => ({
      script: chance.happens(0.8)
        ? chance.oneOf(other && chance.happens(0.5) ? scriptsOf(other) : scripts)
        : 'ff'.repeat(22),
      units: chance.oneOf(UNITS),
    }))
    const tx = { txid, spends, pays }
    txs.push(tx)
    if (txs.length > TXS_KEPT) txs.shift()
    return tx
  }

  const scriptsOf = (tx: ScriptedTx) => tx.pays.map(({ script }) => script)

  /** What is spent on a branch, and which transactions stand on it. */
  function branchOf(hash: string): { spent: Set<string>; txids: Set<string> } {
    const spent = new Set<string>()
    const txids = new Set<string>()
    for (let at = scripted.blocks.get(hash); at; at = scripted.blocks.get(at.parent)) {
      for (const tx of at.txs) {
        txids.add(tx.txid)
        for (const one of tx.spends) spent.add(one)
      }
    }
    return { spent, txids }
  }

  function fitting(hash: string, wanted: readonly ScriptedTx[]): ScriptedTx[] {
    const { spent, txids } = branchOf(hash)
    return wanted.filter((tx) => {
      if (txids.has(tx.txid) || tx.spends.some((one) => spent.has(one))) return false
      txids.add(tx.txid)
      for (const one of tx.spends) spent.add(one)
      return true
    })
  }

  const some = (from: readonly ScriptedTx[], most: number) =>
    Array.from({ length: chance.whole(0, most) }, () => chance.oneOf(from)).filter((tx) => tx !== undefined)

  /** As a node does: what the best branch spends does not wait any more. */
  function tidyPool(): void {
    const { spent, txids } = branchOf(scripted.tip.hash)
    scripted.wait(scripted.pool.filter((tx) => !txids.has(tx.txid) && !tx.spends.some((one) => spent.has(one))))
  }

  function mineOn(hash: string, quietly: boolean): string {
    const block = scripted.mine(fitting(hash, some([...scripted.pool, ...txs], 4)), { on: hash, quietly })
    return block.hash
  }

  const acts: Record<string, () => void> = {
    /** A transaction comes to wait; what waited and spends the same is replaced. */
    send() {
      const tx = chance.happens(0.7) ? newTx() : (some(txs, 1)[0] ?? newTx())
      const spends = new Set(tx.spends)
      scripted.wait([
        ...scripted.pool.filter((one) => one.txid !== tx.txid && !one.spends.some((coin) => spends.has(coin))),
        tx,
      ])
    },
    forget() {
      if (scripted.pool.length > 0) scripted.wait(scripted.pool.filter((tx) => tx !== scripted.pool[0]))
    },
    mine() {
      for (let n = chance.whole(1, 3); n > 0; n--) mineOn(scripted.tip.hash, false)
    },
    /** Another branch grows, from somewhere near the newest block, and wins, or not yet. */
    fork() {
      const depth = Math.min(chance.whole(1, DEPTH_MAX), scripted.best.length - 1)
      let on = scripted.below(depth)
      for (let n = chance.whole(1, depth + 2); n > 0; n--) on = mineOn(on, true)
      if (chance.happens(0.7)) scripted.choose(on)
    },
    /** As an operator's command or another node may: the newest block is an older one. */
    shrink() {
      scripted.choose(scripted.below(Math.min(chance.whole(1, 3), scripted.best.length - 1)))
    },
    /** A branch of before is the best one again. */
    goBack() {
      const near = [...scripted.blocks.values()].filter(
        ({ height }) => height > scripted.tip.height - DEPTH_MAX && height > 0,
      )
      if (near.length > 0) scripted.choose(chance.oneOf(near).hash)
    },
  }

  return {
    scripted,
    /** Does something to the network; answers what. */
    act(): string {
      const name = chance.oneOf([
        'send',
        'send',
        'send',
        'forget',
        'mine',
        'mine',
        'mine',
        'fork',
        'fork',
        'shrink',
        'goBack',
      ])
      acts[name]!()
      tidyPool()
      return name
    },
  }
}
