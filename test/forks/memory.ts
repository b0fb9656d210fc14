/** The follower's rules with nothing around them: tables and ledger are maps, a turn is a loop. For a hundred thousand steps in seconds. */
import { type Usd, usd } from '../../contract/money.ts'
import { assetOf, networkOf } from '../../server/payments/crypto/assets.ts'
import {
  applied,
  type Change,
  ChangedMeanwhile,
  type Hit,
  keyOf,
  nextStep,
  type Payment,
  pooled,
  type Question,
  type Standing,
  undone,
  WINDOW_BLOCKS,
} from '../../server/payments/crypto/branch.ts'
import { NodeTrouble, type ReadBlock, type Transfer } from '../../server/payments/crypto/chain.ts'
import { dueOf } from '../../server/payments/crypto/life.ts'
import { valuePayment } from '../../server/payments/crypto/value.ts'
import type { ScriptedChain } from '../scripted-chain.ts'
import type { Seen } from './model.ts'

const RESTARTS_MAX = 5
const DECISIONS_MAX = 8
const asset = assetOf('BTC')
const network = networkOf('bitcoin')
/** At this price ten thousand satoshi are six dollars and some, and nothing comes to whole cents. */
export const PRICE = usd('62345.678901')

type Decided = {
  value: Usd | null
  worth: Usd | null
  round: number
  creditedAt: Date | null
  reversedAt: Date | null
}

/** `interrupted`: asked before each question and each commit; throws when the process is to die there. */
export function createMemoryFollower(scripted: ScriptedChain, watched: ReadonlyMap<string, string>) {
  const blocks = new Map<number, { hash: string; height: number }>()
  const payments = new Map<string, Payment>()
  const decided = new Map<string, Decided>()
  const events = new Map<string, Change['events'][number][]>()
  const ledger = { credits: 0n, reversals: 0n, rounding: 0n }
  let tip: Standing | null = null
  let ids = 0
  const makeId = () => `payment ${++ids}`

  function answerTo(question: Question): unknown {
    const { script, blocks: all, best } = scripted
    script.before?.(++scripted.said.calls, question.ask === 'ours' ? 'tip' : question.ask)
    switch (question.ask) {
      case 'tip':
        return { hash: best.at(-1)!, height: best.length - 1 }
      case 'hashAt':
        return best[question.height] ?? null
      case 'block':
        return all.get(question.hash) ?? null
      case 'ours': {
        const newest = [...blocks.values()].sort((a, b) => b.height - a.height).slice(0, WINDOW_BLOCKS)
        return newest
      }
    }
  }

  function keep(changes: readonly Change[]): void {
    for (const { payment, events: told } of changes) {
      payments.set(keyOf(payment), payment)
      events.set(keyOf(payment), [...(events.get(keyOf(payment)) ?? []), ...told])
    }
  }

  const hitsOf = (transfers: readonly Transfer[]): Hit[] =>
    transfers.flatMap((transfer) => {
      const addressId = watched.get(transfer.script)
      return addressId === undefined ? [] : [{ transfer, addressId, unused: false }]
    })

  function known(hits: readonly Hit[], spent: ReadonlyMap<string, string>): Payment[] {
    const keys = new Set(hits.map(({ transfer }) => keyOf(transfer)))
    return [...payments.values()].filter(
      (payment) =>
        keys.has(keyOf(payment)) ||
        (payment.block === null && payment.replacedHeight === null && payment.spends.some((one) => spent.has(one))),
    )
  }

  function apply(block: ReadBlock): void {
    const hits = hitsOf(block.transfers)
    const { hash, height, time } = block
    keep(applied({ hash, height, time }, hits, known(hits, block.spent), block.spent, makeId))
    blocks.set(height, { hash, height })
    blocks.delete(height - WINDOW_BLOCKS)
    tip = { hash, height }
  }

  function takeBack(to: Standing): void {
    keep(undone(to.height, tip!, [...payments.values()]))
    for (const height of blocks.keys()) if (height > to.height) blocks.delete(height)
    blocks.set(to.height, { hash: to.hash, height: to.height })
    tip = { hash: to.hash, height: to.height }
  }

  /** True: everything was read. */
  function read(stepsMax: number): boolean {
    let restarts = 0
    for (let step = 0; step < stepsMax; step++) {
      const theirs = answerTo({ ask: 'tip' }) as Standing
      if (tip === null) {
        const first = scripted.blocks.get(scripted.best[Math.max(0, theirs.height - 12)]!)!
        apply(first)
        continue
      }
      if (theirs.hash === tip.hash) return true
      try {
        const rules = nextStep(tip, theirs)
        let question = rules.next()
        while (!question.done) question = rules.next(answerTo(question.value))
        const next = question.value
        if (next.does === 'halt') throw new Error(`Halted: ${next.why}`)
        if (next.does === 'apply') apply(next.block)
        else takeBack(next.to)
        restarts = 0
      } catch (error) {
        if (!(error instanceof ChangedMeanwhile)) throw error
        if (++restarts > RESTARTS_MAX) return false
      }
    }
    return false
  }

  function lookAtPool(now: Date): void {
    const transfers = scripted.pool.flatMap(({ txid, pays, spends }) =>
      pays.map(
        (one, place): Transfer => ({ txid, ordinal: String(place), asset: 'BTC', coinbase: false, spends, ...one }),
      ),
    )
    const hits = hitsOf(transfers).filter(({ transfer }) => transfer.units >= asset.floorUnits)
    const pool = {
      hits,
      spent: new Map(scripted.pool.flatMap(({ txid, spends }) => spends.map((one): [string, string] => [one, txid]))),
      txids: new Set(scripted.pool.map(({ txid }) => txid)),
    }
    const waiting = [...payments.values()].filter((payment) => payment.pooled)
    const gone = new Set(waiting.map(({ txid }) => txid).filter((txid) => !pool.txids.has(txid)))
    const all = new Map([...waiting, ...known(hits, pool.spent)].map((payment) => [keyOf(payment), payment]))
    keep(pooled(pool, [...all.values()], gone, now, makeId).changes)
  }

  /** What is due by now is valued, credited, taken back; by the rules of life.ts and value.ts. */
  function decide(now: Date): void {
    if (tip === null) return
    for (const payment of payments.values()) {
      for (let decision = 0; decision < DECISIONS_MAX; decision++) {
        const key = keyOf(payment)
        const it = decided.get(key) ?? { value: null, worth: null, round: 0, creditedAt: null, reversedAt: null }
        const due = dueOf(standingOf(payment, it), tip.height)
        if (due === null || due === 'tell_gone') break
        if (due === 'value') {
          const quote = { asset: 'BTC', units: 1n, price: PRICE, amount: usd('5.00'), expiresAt: new Date(0) }
          const { value, worth } = valuePayment(
            { asset: 'BTC', units: payment.units, inTime: false },
            { quote, lockedBefore: 0n, price: PRICE, decimals: asset.decimals, floorUnits: asset.floorUnits },
          )!
          decided.set(key, { ...it, value, worth })
        } else if (due === 'credit') {
          decided.set(key, { ...it, round: it.round + 1, creditedAt: now, reversedAt: null })
          ledger.credits += it.worth!
          ledger.rounding += it.worth! - it.value!
        } else {
          decided.set(key, { ...it, reversedAt: now })
          ledger.reversals += it.worth!
          ledger.rounding -= it.worth! - it.value!
        }
      }
    }
  }

  function standingOf(payment: Payment, it: Decided) {
    return {
      chain: network.name,
      accountId: 1n,
      coinbase: payment.coinbase,
      confirmationsRequired: asset.confirmations,
      pooled: payment.pooled,
      height: payment.block?.height ?? null,
      unminedAtHeight: payment.unminedAtHeight,
      replacedBy: payment.replacedBy,
      replacedHeight: payment.replacedHeight,
      review: payment.review,
      goneToldAt: null,
      leftAt: null,
      ...it,
    }
  }

  return {
    ledger,
    /** A turn that may end early. True: everything was read, the pool as well. */
    turn(now: Date, stepsMax = Number.POSITIVE_INFINITY): boolean {
      try {
        if (!read(stepsMax)) return false
        lookAtPool(now)
        return true
      } catch (error) {
        if (!(error instanceof NodeTrouble)) throw error
        return false
      } finally {
        decide(now)
      }
    },
    seen(): Seen {
      return {
        tip: tip!,
        blocks: [...blocks.values()].sort((a, b) => a.height - b.height),
        payments: [...payments.values()].map((payment) => {
          const it = decided.get(keyOf(payment))
          return {
            ...payment,
            events: events.get(keyOf(payment)) ?? [],
            value: it?.value ?? null,
            worth: it?.worth ?? null,
            isCredited: it !== undefined && it.creditedAt !== null && it.reversedAt === null,
            confirmationsRequired: asset.confirmations,
          }
        }),
        booked: { credited: ledger.credits - ledger.reversals, rounding: ledger.rounding },
      }
    },
  }
}
