/** Bitcoin and Litecoin as the desk and the doors see them: the networks in a box, opened when they are first asked for anything. */
import type { Books } from '../books.ts'
import type { Clock } from '../clock.ts'
import { type Coin, createCoin, MINED_BLOCKS_MAX, REORG_BLOCKS_MAX, Refused as Said } from './coin.ts'
import type { NodeView, Refused, SandboxNode } from './node.ts'

const DECIMALS = 8

export function openCoinNode(world: {
  kind: 'bitcoin' | 'litecoin'
  code: string
  books: Books
  clock: Clock
}): SandboxNode {
  const { kind, code, books, clock } = world
  let opened: Coin | undefined
  const coin = () => {
    opened ??= createCoin({ kind, clock, books })
    return opened
  }

  async function press<Result>(
    field: Refused['field'],
    work: (of: Coin) => Result,
  ): Promise<(Result & { ok: true }) | Refused> {
    try {
      return { ok: true, ...work(coin()) }
    } catch (error) {
      if (!(error instanceof Said)) throw error
      return { ok: false, detail: `${error.message}.`, ...(field ? { field } : {}) }
    }
  }

  return {
    assets: [{ code, decimals: DECIMALS }],
    pay: ({ address, units }) =>
      press('address', (of) => {
        of.scriptOf(address)
        return of.pay(address, units)
      }),
    mine: (blocks) =>
      press('blocks', (of) => {
        const waiting = waitingIn(of)
        const { hashes, height } = of.mine(Math.min(blocks, MINED_BLOCKS_MAX))
        return { height, hash: hashes.at(-1)!, transactions: waiting - waitingIn(of) }
      }),
    reorg: ({ depth, drop, forget }) =>
      press('depth', (of) => {
        const before = waitingIn(of)
        const { hashes, height, dropped } = of.reorg(Math.min(depth, REORG_BLOCKS_MAX + 1), { drop, forget })
        const transactions = drop || forget ? dropped.length : waitingIn(of) - before
        return { height, hash: hashes.at(-1)!, transactions }
      }),
    async rpc(body) {
      let asked: unknown
      try {
        asked = JSON.parse(body)
      } catch {
        return {
          status: 500,
          body: JSON.stringify({ result: null, error: { code: -32700, message: 'Parse error' }, id: null }),
        }
      }
      const answer = coin().answer(asked)
      return { status: answer.status, body: JSON.stringify(answer.body) }
    },
    view: (): NodeView => {
      const of = coin()
      return { state: 'works', detail: null, height: of.height(), waiting: waitingIn(of) }
    },
    async stop() {},
  }
}

function waitingIn(coin: Coin): number {
  return coin.tree.allWaiting().length
}
