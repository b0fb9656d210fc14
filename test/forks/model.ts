/**
 * What must be true of the follower's tables whenever it has read everything, told by nothing but the network's best branch: no rule of
 * the follower is used here.
 */
import assert from 'node:assert/strict'
import {
  keyOf,
  type Payment,
  type PaymentEvent,
  type Standing,
  WINDOW_BLOCKS,
} from '../../server/payments/crypto/branch.ts'
import type { Transfer } from '../../server/payments/crypto/chain.ts'
import type { ScriptedChain } from '../scripted-chain.ts'

export type Seen = {
  tip: Standing
  blocks: Standing[]
  payments: (Payment & {
    events: { what: string; height: number | null; hash?: string | null }[]
    value: bigint | null
    worth: bigint | null
    /** The ledger was told, and nothing was taken back. */
    isCredited: boolean
    confirmationsRequired: number
  })[]
  /** What the ledger says that payments brought, less what was reversed; and what of that is rounding. */
  booked: { credited: bigint; rounding: bigint }
}

/** What a reorganisation takes from the newest blocks that are kept comes back as the branch grows. */
const SHORTER_BY_BLOCKS_MAX = 50
/** A payment that is gone stays credited until the branch has grown by so many blocks without it. */
const PATIENCE_BLOCKS = 3

/** `firstHeight`: the block with which it began. `watched`: scripts of ours. */
export function expectTruth(
  scripted: ScriptedChain,
  seen: Seen,
  about: { firstHeight: number; watched: ReadonlySet<string>; floorUnits: bigint },
): void {
  const { best } = scripted
  assert.equal(seen.tip.hash, best.at(-1))
  for (const block of seen.blocks)
    if (block.hash !== best[block.height]) assert.fail(`Block ${block.height} is not of the best branch`)
  const newest = seen.blocks.slice(-(WINDOW_BLOCKS - SHORTER_BY_BLOCKS_MAX))
  for (const [place, { height }] of newest.entries())
    if (height !== seen.tip.height - newest.length + 1 + place) assert.fail(`A gap at ${height}`)

  const mined = new Map<string, { height: number; hash: string; time: Date; transfer: Transfer }>()
  /** By what is spent: the block that spends it, the lowest first. */
  const spentAt = new Map<string, { height: number; txid: string }>()
  for (const [height, hash] of best.entries()) {
    const { transfers, spent, time } = scripted.blocks.get(hash)!
    for (const transfer of transfers) mined.set(keyOf(transfer), { height, hash, time, transfer })
    for (const [one, txid] of spent) if (!spentAt.has(one)) spentAt.set(one, { height, txid })
  }
  const waits = new Set(scripted.pool.map(({ txid }) => txid))

  const known = new Map(seen.payments.map((payment) => [keyOf(payment), payment]))
  assert.equal(known.size, seen.payments.length, 'A payment is there twice')
  for (const [key, { height, transfer }] of mined)
    if (height >= about.firstHeight && about.watched.has(transfer.script))
      assert.ok(known.has(key), `${key} was overlooked`)
  for (const { txid, pays } of scripted.pool)
    for (const [place, { script, units }] of pays.entries())
      if (about.watched.has(script) && units >= about.floorUnits)
        assert.ok(known.has(`${txid} ${place} BTC`), `${txid} waits, and was overlooked`)

  let credited = 0n
  let rounding = 0n
  for (const payment of seen.payments) {
    const key = keyOf(payment)
    const at = mined.get(key) ?? null
    assert.deepEqual(
      payment.block && [payment.block.height, payment.block.hash],
      at && [at.height, at.hash],
      `${key} stands elsewhere`,
    )
    if (at) assert.equal(payment.units, at.transfer.units)
    expectEvents(payment)
    const conflicts = at ? [] : payment.spends.flatMap((one) => spentAt.get(one) ?? [])
    assert.equal(
      payment.replacedHeight,
      conflicts.length === 0 ? null : Math.min(...conflicts.map(({ height }) => height)),
      `${key} is excluded elsewhere`,
    )
    if (payment.replacedHeight !== null)
      assert.ok(conflicts.some(({ height, txid }) => height === payment.replacedHeight && txid === payment.replacedBy))
    // Whoever waits was always seen to wait, unless it is too little to be shown.
    if (!at && (payment.units >= about.floorUnits || !waits.has(payment.txid)))
      assert.equal(
        payment.pooled,
        waits.has(payment.txid),
        `${key} ${waits.has(payment.txid) ? 'waits' : 'does not wait'}`,
      )
    if (at) assert.ok(payment.firstSeenAt <= at.time, 'First seen later than its block')

    const confirmations = at ? seen.tip.height - at.height + 1 : 0
    const worth = payment.worth ?? 0n
    if (at) assert.ok(payment.value !== null && worth >= payment.value * (worth === 0n ? 0n : 1n))
    if (confirmations >= payment.confirmationsRequired && worth > 0n)
      assert.ok(payment.isCredited, `${key} is deep and not credited`)
    if (payment.isCredited && !at) {
      assert.equal(payment.replacedHeight, null, `${key} is credited, and excluded`)
      assert.ok(
        payment.unminedAtHeight !== null && seen.tip.height < payment.unminedAtHeight + PATIENCE_BLOCKS,
        `${key} is credited, and gone for long`,
      )
    }
    if (payment.isCredited) {
      credited += worth
      rounding += worth - payment.value!
    }
  }
  assert.deepEqual(seen.booked, { credited, rounding }, 'The books are not what the payments say')
}

/** How it stands follows from what was told of it: nothing changes without its event. */
function expectEvents(payment: Seen['payments'][number]): void {
  let told = 'nowhere'
  for (const { what, height } of payment.events as PaymentEvent[]) {
    if (what === 'mined') told = `block ${height}`
    else if (what === 'conflicted') told = `excluded ${height}`
    else if (what === 'seen') told = 'pool'
    else if (what === 'replaced' || what === 'dropped') told = 'nowhere'
    // Its block was taken back, or that of what excluded it; it may wait in the pool meanwhile.
    else if (what === 'unmined') told = 'nowhere'
  }
  const stands = payment.block
    ? `block ${payment.block.height}`
    : payment.replacedHeight !== null
      ? `excluded ${payment.replacedHeight}`
      : payment.pooled
        ? 'pool'
        : 'nowhere'
  assert.equal(stands, told, `${keyOf(payment)} changed without an event`)
}
