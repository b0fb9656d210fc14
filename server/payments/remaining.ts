/**
 * What is left of a top-up, and what of that can be paid back. Every decision about money that goes back is made behind `lockTopup`,
 * so that what leaves a top-up, by whatever way, never exceeds what it credited.
 */
import type pg from 'pg'
import { MICROS_PER_CENT, micros, type Usd } from '../../contract/money.ts'
import type { Queryable } from '../platform/db.ts'

/** Sent back or on its way, of the top-up `t` of the query. A refund that failed took nothing. */
const RETURNED = `(coalesce((select sum(r.booked) from topup_refunds r where r.topup_id = t.id and r.status <> 'failed'), 0)
  + coalesce((select sum(c.amount) from crypto_refunds c where c.topup_id = t.id and c.status not in ('declined', 'failed')), 0))`
/** What banks took or froze of the top-up `t` of the query. */
const DISPUTED = `coalesce((select sum(d.covered) from disputes d where d.topup_id = t.id), 0)`
/** Whether a bank is deciding about the top-up `t` of the query, or took it back: nothing is sent back beside that. */
const BEFORE_A_BANK = `(exists (select from disputes d where d.topup_id = t.id and (d.state = 'frozen' or d.stripe_status = 'lost'))
  or exists (select from fraud_warnings w where w.topup_id = t.id and w.closed_at is null))`

/** Whether a chain took back the block of a payment that the top-up `t` of the query is credited with: it comes again, or is taken back. */
const OFF_ITS_CHAIN = `exists (select from crypto_payments p where p.topup_id = t.id and p.credited_at is not null and p.reversed_at is null and p.height is null)`

/** What warnings of fraud keep of what is left of the top-up `t` of the query. */
const KEPT = `coalesce((select sum(w.frozen) from fraud_warnings w where w.topup_id = t.id), 0)`

const LEFT = `greatest(0, t.credited - ${RETURNED} - ${DISPUTED})`

/**
 * Who decides about money of this top-up, that comes or goes back, is alone until his transaction ends. Lock it before the ledger's
 * account. It leaves the key alone, so that a payment of it can be written down meanwhile.
 */
export async function lockTopup(tx: pg.PoolClient, topupId: string): Promise<void> {
  await tx.query('select from topups where id = $1 for no key update', [topupId])
}

/** What it credited, less what was sent back or is on its way, less what banks took or froze. Never below zero. */
export async function remainingOf(tx: Queryable, topupId: string): Promise<Usd> {
  const { rows } = await tx.query<{ left: string }>(`select ${LEFT} as left from topups t where t.id = $1`, [topupId])
  return micros(rows[0]?.left ?? 0n)
}

/**
 * Why nothing more of this top-up is sent out of the house, although it is held for that: a chain took back the block of a payment of it
 * (`off_its_chain`), or took back credits, so that more is on its way back than it is credited with (`uncovered`). Null: nothing.
 */
export async function whyKept(tx: Queryable, topupId: string): Promise<'off_its_chain' | 'uncovered' | null> {
  const { rows } = await tx.query<{ off_its_chain: boolean; uncovered: boolean }>(
    `select ${OFF_ITS_CHAIN} as off_its_chain, t.credited < ${RETURNED} + ${DISPUTED} as uncovered from topups t where t.id = $1`,
    [topupId],
  )
  if (rows[0]?.off_its_chain) return 'off_its_chain'
  return rows[0]?.uncovered ? 'uncovered' : null
}

/** Top-ups of which a bank wants more than it has, although there is something left by now. */
export async function uncoveredTopups(db: Queryable, topupsMax: number): Promise<string[]> {
  const { rows } = await db.query<{ id: string }>(
    `select t.id
       from topups t
      where t.id in (select d.topup_id from disputes d where d.state <> 'released' and d.covered < d.amount)
        and ${LEFT} > 0
      limit $1`,
    [topupsMax],
  )
  return rows.map(({ id }) => id)
}

/**
 * How the money of a top-up stands. What it credited = what is left + `returned` + `disputed`, unless more of it went back than a chain
 * left of it. `kept`: of what is left, frozen by warnings.
 */
export type Standing = {
  id: string
  left: Usd
  kept: Usd
  returned: Usd
  disputed: Usd
  beforeABank: boolean
  /** A payment of it is in no block at the moment: nothing is sent back until that is settled. */
  offItsChain: boolean
}

/** An account's credited top-ups, newest first, as far back as `oldestId`. */
export async function standingsOf(db: Queryable, accountId: bigint, oldestId: string): Promise<Standing[]> {
  const { rows } = await db.query<{
    id: string
    left: string
    kept: string
    returned: string
    disputed: string
    before_a_bank: boolean
    off_its_chain: boolean
  }>(
    `select t.id, ${LEFT} as left, ${KEPT} as kept, ${RETURNED} as returned, ${DISPUTED} as disputed, ${BEFORE_A_BANK} as before_a_bank,
            ${OFF_ITS_CHAIN} as off_its_chain
       from topups t
      where t.account_id = $1
        and t.id >= $2
        and t.credited > 0
      order by t.id desc`,
    [accountId, oldestId],
  )
  return rows.map((row) => ({
    id: row.id,
    left: micros(row.left),
    kept: micros(row.kept),
    returned: micros(row.returned),
    disputed: micros(row.disputed),
    beforeABank: row.before_a_bank,
    offItsChain: row.off_its_chain,
  }))
}

/**
 * What can be paid back of each top-up, by id: min(what is left of it, available − unspent gifts − payable back of newer top-ups),
 * not below zero, in whole cents.
 *
 * Spending takes gifts first, then the oldest top-up; so what is unspent is the newest. Gifts are not asked for: everything available
 * beyond what is left of all top-ups counts as unspent gifts. That is exact for gifts that came before all spending. One that comes
 * after a top-up was spent from would count as that top-up's credit and could be sent back; nothing in the house gives any yet, and
 * whoever builds it has to tell this function what of it is unspent. So the newest top-up may have what is available, as far as it is
 * left of it, and each older one the rest. What a warning keeps of a top-up is not available any more, so it does not count against
 * the older ones either.
 *
 * `newestFirst`: no top-up newer than the oldest of them may be missing; older ones do not matter.
 */
export function returnables(
  available: Usd,
  newestFirst: readonly { id: string; left: Usd; kept?: Usd }[],
): Map<string, Usd> {
  const payable = new Map<string, Usd>()
  let unspent = available > 0n ? available : 0n
  for (const { id, left, kept = 0n } of newestFirst) {
    const free = left > kept ? left - kept : 0n
    const most = free < unspent ? free : unspent
    const whole = micros(most - (most % MICROS_PER_CENT))
    payable.set(id, whole)
    unspent -= whole
  }
  return payable
}
