/**
 * A network in memory, for stories in which the test says what happens on it: which payments wait, what is mined, what is taken back, what
 * excludes what. It has no rules of its own; what rules a network has is tried on real nodes (test/stories/crypto-nodes.test.ts).
 */
import { createHash } from 'node:crypto'
import type { CryptoAsset } from '../contract/contract.ts'
import type { ChainName } from '../server/payments/crypto/assets.ts'
import { type Chain, NodeTrouble, type ReadBlock, type Transfer } from '../server/payments/crypto/chain.ts'

type Transaction = { txid: string; spends: readonly string[]; transfers: Transfer[] }
type Block = { hash: string; parent: string; height: number; time: Date; transactions: Transaction[] }
type Pays = { script: string; units: bigint; asset?: CryptoAsset }

export type MemoryChain = ReturnType<typeof createMemoryChain>

export function createMemoryChain(name: ChainName, coin: CryptoAsset) {
  const evm = name === 'ethereum'
  let made = 0
  const unique = (what: string) => createHash('sha256').update(`${name} ${what} ${++made}`).digest('hex')
  const hashOf = (what: string) => `${evm ? '0x' : ''}${unique(what)}`
  const blocks: Block[] = []
  const pool = new Map<string, Transaction>()
  let asleep: NodeTrouble | null = null
  for (let height = 0; height < 20; height++) push([], new Date())

  function push(transactions: Transaction[], time: Date): void {
    const parent = blocks.at(-1)?.hash ?? '0'.repeat(64)
    blocks.push({ hash: hashOf('block'), parent, height: blocks.length, time, transactions })
    const spent = new Set(transactions.flatMap(({ spends }) => spends))
    for (const waiting of [...pool.values()])
      if (waiting.spends.some((one) => spent.has(one))) pool.delete(waiting.txid)
  }

  function transaction(
    pays: readonly Pays[],
    { spends = [unique('coin')], coinbase = false }: { spends?: readonly string[]; coinbase?: boolean } = {},
  ): Transaction {
    const txid = hashOf('transaction')
    return {
      txid,
      spends,
      transfers: pays.map(({ script, units, asset = coin }, place) => ({
        txid,
        ordinal: asset === coin ? (evm ? 'call:0' : String(place)) : `log:${place}`,
        asset,
        script,
        units,
        coinbase,
        spends,
      })),
    }
  }

  function answer<T>(value: T): Promise<T> {
    return asleep ? Promise.reject(asleep) : Promise.resolve(value)
  }

  const chain: Chain = {
    name,
    identity: () => answer('a network of a test'),
    tip: () => answer({ hash: blocks.at(-1)!.hash, height: blocks.length - 1 }),
    hashAt: (height) => answer(blocks[height]?.hash ?? null),
    agrees: () => answer('alone' as const),
    block: (hash) => {
      const block = blocks.find((one) => one.hash === hash)
      if (!block) return answer(null)
      const read: ReadBlock = {
        hash,
        parent: block.parent,
        height: block.height,
        time: block.time,
        transfers: block.transactions.flatMap(({ transfers }) => transfers),
        spent: new Map(block.transactions.flatMap(({ txid, spends }) => spends.map((one) => [one, txid] as const))),
      }
      return answer(read)
    },
    pool: () => answer([...pool.values()].flatMap(({ transfers }) => transfers)),
    find: (txid) => {
      const waiting = pool.get(txid)
      if (waiting) return answer({ where: 'pool', transfers: waiting.transfers } as const)
      for (const { hash, height, transactions } of blocks) {
        const there = transactions.find((one) => one.txid === txid)
        if (there) return answer({ where: 'block', hash, height, failed: false, transfers: there.transfers } as const)
      }
      return answer({ where: 'nowhere' } as const)
    },
    balances: (asset, scripts) =>
      answer(
        scripts.map((script) =>
          paid()
            .filter((one) => one.script === script && one.asset === asset)
            .reduce((sum, { units }) => sum + units, 0n),
        ),
      ),
  }

  /** Everything that the best chain pays to anybody. */
  function paid(): Transfer[] {
    return blocks.flatMap(({ transactions }) => transactions.flatMap(({ transfers }) => transfers))
  }

  return {
    chain,
    paid,
    height: () => blocks.length - 1,
    /** Sends coins: into the pool. `spends`: which coins, so that another transaction can exclude it. */
    pay(pays: Pays | readonly Pays[], how: { spends?: readonly string[]; coinbase?: boolean } = {}): string {
      const made = transaction([pays].flat() as Pays[], how)
      pool.set(made.txid, made)
      return made.txid
    },
    spendsOf(txid: string): readonly string[] {
      const of = pool.get(txid) ?? blocks.flatMap(({ transactions }) => transactions).find((one) => one.txid === txid)
      return of!.spends
    },
    /** Another transaction spends the same: the pool has it instead. Pays what is said, or nothing of ours. */
    replace(txid: string, pays: readonly Pays[] = [{ script: 'ff', units: 1n }]): string {
      const other = transaction(pays, { spends: this.spendsOf(txid) })
      pool.delete(txid)
      pool.set(other.txid, other)
      return other.txid
    },
    /** The pool forgets it. */
    evict(txid: string): void {
      pool.delete(txid)
    },
    /** Blocks with what waits in the pool, or with these of them, in this order; the first has them all. `time`: of their headers. */
    mine(count = 1, { only, time = new Date() }: { only?: readonly string[]; time?: Date } = {}): void {
      const chosen = (only ?? [...pool.keys()]).map((txid) => pool.get(txid)!)
      for (const { txid } of chosen) pool.delete(txid)
      push(chosen, time)
      for (let more = 1; more < count; more++) push([], time)
    },
    /** The newest blocks never were. What they held waits again, or is gone with them. */
    rewind(depth: number, { drop = false }: { drop?: boolean } = {}): void {
      const gone = blocks.splice(blocks.length - depth)
      if (drop) return
      for (const one of gone.flatMap(({ transactions }) => transactions)) pool.set(one.txid, one)
    },
    /** What was excluded waits again, under the id that it had. */
    mineAgain({ txid, spends, pays }: { txid: string; spends: readonly string[]; pays: Pays }): void {
      const again = transaction([pays], { spends })
      const transfers = again.transfers.map((transfer) => ({ ...transfer, txid }))
      pool.set(txid, { txid, spends, transfers })
    },
    /** The node does not answer any more, or answers again. */
    sleeps(is = true): void {
      asleep = is ? new NodeTrouble('unreachable', 'The node of this test is down') : null
    },
  }
}
