/**
 * What the blocks of a network say about payments to us: which blocks are to be undone, and how a block, its undoing, or the pool
 * changes what is known of a payment. Pure: nothing here reads or writes anything, so the same rules run over random trees of blocks.
 *
 * Nothing here knows what a payment is worth, or whether it was credited. Every change of how a payment stands is told with its event.
 */
import type { CryptoAsset } from '../../../contract/contract.ts'
import { NodeTrouble, type ReadBlock, type Transfer } from './chain.ts'

/**
 * So many of the newest blocks are kept without a gap: a deeper reorganisation is nothing that a program decides.
 * Source: crypto.md, case 5.
 */
export const WINDOW_BLOCKS = 200

export type Standing = { height: number; hash: string }
export type BlockOfPayment = Standing & { time: Date }

/** Where it stands on the best chain that we know. */
export type Payment = {
  id: string
  txid: string
  ordinal: string
  asset: CryptoAsset
  addressId: string
  units: bigint
  coinbase: boolean
  spends: readonly string[]
  firstSeenAt: Date
  /** Waits in the node's pool. */
  pooled: boolean
  block: BlockOfPayment | null
  /** How high our branch was when its block was taken back; null: it never was, or is mined again. */
  unminedAtHeight: number | null
  /** The transaction that spent the same. */
  replacedBy: string | null
  /** The block in which that one stands; null: none, so nothing is decided by it. */
  replacedHeight: number | null
  /** Why a person must look; null: nobody must. */
  review: string | null
}

export type PaymentEvent = {
  what: 'seen' | 'mined' | 'unmined' | 'replaced' | 'dropped' | 'conflicted' | 'review'
  height: number | null
  hash: string | null
  detail: Record<string, string>
}

/** What became of one payment; `before` null: nothing was known of it. */
export type Change = { before: Payment | null; payment: Payment; events: PaymentEvent[] }

/** A transfer to one of our addresses. */
export type Hit = { transfer: Transfer; addressId: string /** Nobody has been given the address. */; unused: boolean }

export function keyOf(payment: Pick<Payment, 'txid' | 'ordinal' | 'asset'>): string {
  return `${payment.txid} ${payment.ordinal} ${payment.asset}`
}

// ── Which blocks ─────────────────────────────────────────────────────────────────────────────────────────────────────

/** What must be asked to know what comes next: the node, or our own table. */
export type Question =
  | { ask: 'tip' }
  | { ask: 'hashAt'; height: number }
  | { ask: 'block'; hash: string }
  /** Our newest blocks, newest first, as many as are kept. Answered with a list. */
  | { ask: 'ours' }

export type Step =
  | { does: 'apply'; block: ReadBlock }
  /** Blocks above it are taken back. */
  | { does: 'undo'; to: Standing }
  | { does: 'halt'; why: string }

/** The node changed its mind between two questions: nothing may be written of the answers. */
export class ChangedMeanwhile extends Error {}

/**
 * What is to be done next with our branch, whose newest block is `tip`, when the node's is `theirs`, another one. Yields what it wants
 * to know, one after the other. Hashes are compared at every step; heights alone say nothing.
 *
 * @throws ChangedMeanwhile the answers are not of one branch
 */
export function* nextStep(tip: Standing, theirs: Standing): Generator<Question, Step, unknown> {
  if (theirs.height > tip.height) {
    const next = yield* blockAt(tip.height + 1)
    if (next.parent === tip.hash) return { does: 'apply', block: next }
  }
  const blocks = (yield { ask: 'ours' }) as readonly Standing[]
  for (const [place, block] of blocks.entries()) {
    if (place > 0 && block.height !== blocks[place - 1]!.height - 1) return tooDeep(tip)
    if (block.height > theirs.height) continue
    if (((yield { ask: 'hashAt', height: block.height }) as string | null) !== block.hash) continue
    if (block.hash === tip.hash) throw new ChangedMeanwhile('Our newest block is of the best branch after all')
    // That the answers are of one branch is seen by what comes next on it.
    if (theirs.height > block.height) {
      const next = yield* blockAt(block.height + 1)
      if (next.parent !== block.hash) throw new ChangedMeanwhile('Another branch became the best one')
    } else if (((yield { ask: 'tip' }) as Standing).hash !== block.hash)
      throw new ChangedMeanwhile('The newest block is another one by now')
    return { does: 'undo', to: block }
  }
  return tooDeep(tip)
}

function* blockAt(height: number): Generator<Question, ReadBlock, unknown> {
  const hash = (yield { ask: 'hashAt', height }) as string | null
  if (hash === null) throw new ChangedMeanwhile(`No block ${height} any more`)
  const block = (yield { ask: 'block', hash }) as ReadBlock | null
  if (block === null) throw new ChangedMeanwhile(`No block ${hash} any more`)
  if (block.hash !== hash || block.height !== height)
    throw new NodeTrouble('broken_answer', `Asked for block ${height} ${hash}, got ${block.height} ${block.hash}`)
  return block
}

function tooDeep(tip: Standing): Step {
  return {
    does: 'halt',
    why: `The node's chain has none of the newest blocks that we know, at most ${WINDOW_BLOCKS}, up to ${tip.height}`,
  }
}

// ── What becomes of payments ─────────────────────────────────────────────────────────────────────────────────────────

/**
 * A block comes to stand on top of ours. `known`: every payment that it pays again, and every one in no block that it excludes.
 * `spent`: what its transactions spend, by which of them.
 */
export function applied(
  block: BlockOfPayment,
  hits: readonly Hit[],
  known: readonly Payment[],
  spent: ReadonlyMap<string, string>,
  makeId: () => string,
): Change[] {
  const byKey = new Map(known.map((payment) => [keyOf(payment), payment]))
  const paid = new Set(hits.map(({ transfer }) => keyOf(transfer)))
  const changes: Change[] = []
  for (const hit of hits) {
    const before = byKey.get(keyOf(hit.transfer)) ?? null
    if (before?.block?.hash === block.hash) continue
    const first = before ?? newPayment(hit, block.time, known, makeId)
    const payment: Payment = {
      ...first,
      // A token's log, or a call, may pay another amount when its transaction runs again in another block.
      units: hit.transfer.units,
      firstSeenAt: earlier(first.firstSeenAt, block.time),
      pooled: false,
      block,
      unminedAtHeight: null,
      replacedBy: null,
      replacedHeight: null,
    }
    const events: PaymentEvent[] = [
      { what: 'mined', height: block.height, hash: block.hash, detail: amountChanged(before, payment) },
    ]
    if (before === null && payment.review !== null) events.push(reviewed(payment.review))
    changes.push({ before, payment, events })
  }
  for (const before of known) {
    if (paid.has(keyOf(before)) || before.block !== null || before.replacedHeight !== null) continue
    // By itself: its transaction is in the block and failed there, so it pays nobody any more.
    const by = firstOf(before.spends, spent)
    if (by === null) continue
    changes.push({
      before,
      payment: { ...before, pooled: false, replacedBy: by, replacedHeight: block.height },
      events: [{ what: 'conflicted', height: block.height, hash: block.hash, detail: { by } }],
    })
  }
  return changes
}

/** Our blocks above `to` are taken back. `known`: every payment that stands in one of them, or was excluded by one. */
export function undone(to: number, from: Standing, known: readonly Payment[]): Change[] {
  return known.flatMap((before): Change[] => {
    if (before.block !== null && before.block.height > to) {
      const { height, hash } = before.block
      return [
        {
          before,
          payment: { ...before, block: null, unminedAtHeight: from.height },
          events: [{ what: 'unmined', height, hash, detail: {} }],
        },
      ]
    }
    if (before.replacedHeight !== null && before.replacedHeight > to) {
      return [
        {
          before,
          payment: { ...before, replacedBy: null, replacedHeight: null },
          // What excluded it is gone with its block: it may be mined after all.
          events: [
            {
              what: 'unmined',
              height: before.replacedHeight,
              hash: null,
              detail: { excluded_by: before.replacedBy ?? '' },
            },
          ],
        },
      ]
    }
    return []
  })
}

/**
 * What waits in the pool; for display only, nothing is ever credited by it. `known`: each payment in no block that is in the pool or was.
 * `gone`: transactions that the node was asked about by their ids and does not know.
 */
export function pooled(
  pool: { hits: readonly Hit[]; spent: ReadonlyMap<string, string>; txids: ReadonlySet<string> },
  known: readonly Payment[],
  gone: ReadonlySet<string>,
  now: Date,
  makeId: () => string,
): {
  changes: Change[] /** Of these it must be asked whether they are still there: the list may be cut off. */
  ask: Payment[]
} {
  const byKey = new Map(known.map((payment) => [keyOf(payment), payment]))
  const changes: Change[] = []
  const ask: Payment[] = []
  for (const hit of pool.hits) {
    const before = byKey.get(keyOf(hit.transfer)) ?? null
    if (before && (before.block !== null || before.pooled || before.replacedHeight !== null)) continue
    const first = before ?? newPayment(hit, now, known, makeId)
    const payment: Payment = { ...first, pooled: true, replacedBy: null }
    const events: PaymentEvent[] = [{ what: 'seen', height: null, hash: null, detail: {} }]
    if (before === null && payment.review !== null) events.push(reviewed(payment.review))
    changes.push({ before, payment, events })
  }
  for (const before of known) {
    if (!before.pooled || pool.txids.has(before.txid)) continue
    const by = firstOf(before.spends, pool.spent)
    if (by !== null)
      changes.push({
        before,
        payment: { ...before, pooled: false, replacedBy: by },
        events: [{ what: 'replaced', height: null, hash: null, detail: { by } }],
      })
    else if (gone.has(before.txid))
      changes.push({
        before,
        payment: { ...before, pooled: false },
        events: [{ what: 'dropped', height: null, hash: null, detail: {} }],
      })
    else ask.push(before)
  }
  return { changes, ask }
}

function newPayment(hit: Hit, at: Date, known: readonly Payment[], makeId: () => string): Payment {
  const { transfer, addressId } = hit
  // Who raises the fee sends another transaction that spends the same: he paid when he first did.
  const spends = new Set(transfer.spends)
  const firstSeenAt = known
    .filter((other) => other.addressId === addressId && other.asset === transfer.asset && other.block === null)
    .filter((other) => other.spends.some((one) => spends.has(one)))
    .reduce((least, other) => earlier(least, other.firstSeenAt), at)
  return {
    id: makeId(),
    txid: transfer.txid,
    ordinal: transfer.ordinal,
    asset: transfer.asset,
    addressId,
    units: transfer.units,
    coinbase: transfer.coinbase,
    spends: transfer.spends,
    firstSeenAt,
    pooled: false,
    block: null,
    unminedAtHeight: null,
    replacedBy: null,
    replacedHeight: null,
    review: hit.unused ? 'unused_address' : null,
  }
}

/** Which transaction spends one of these; null: none. */
function firstOf(spends: readonly string[], spent: ReadonlyMap<string, string>): string | null {
  for (const one of spends) {
    const by = spent.get(one)
    if (by !== undefined) return by
  }
  return null
}

function amountChanged(before: Payment | null, payment: Payment): Record<string, string> {
  return before && before.units !== payment.units ? { units_before: before.units.toString() } : {}
}

function reviewed(why: string): PaymentEvent {
  return { what: 'review', height: null, hash: null, detail: { why } }
}

function earlier(a: Date, b: Date): Date {
  return b.getTime() < a.getTime() ? b : a
}
