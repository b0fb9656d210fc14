/** A refund to the card as it is stored, and as it is told. */
import type { TopupRefund, TopupRefundReason } from '../../contract/contract.ts'
import { micros, printAmount, type Usd } from '../../contract/money.ts'
import type { Queryable } from '../platform/db.ts'
import { printId } from '../platform/ids.ts'

/** A row of `topup_refunds`; what each column means stands in the migration. House time, where a comment there does not say otherwise. */
export type RefundRow = {
  id: string
  topupId: string
  accountId: bigint
  amount: Usd
  origin: TopupRefund['origin']
  status: TopupRefund['status']
  reason: TopupRefundReason | null
  booked: Usd
  externalId: string | null
  reference: string | null
  requestedAt: Date
  succeededAt: Date | null
  endedAt: Date | null
}

/** Reads rows; add `where …`. */
export const REFUND_COLUMNS = `
  id, topup_id, account_id, amount, origin, status, reason, booked, external_id, reference, requested_at, succeeded_at, ended_at`

// biome-ignore lint/suspicious/noExplicitAny: what the driver hands out, given its types here
export function readRefundRow(row: any): RefundRow {
  return {
    id: row.id,
    topupId: row.topup_id,
    accountId: BigInt(row.account_id),
    amount: micros(row.amount),
    origin: row.origin,
    status: row.status,
    reason: row.reason,
    booked: micros(row.booked),
    externalId: row.external_id,
    reference: row.reference,
    requestedAt: row.requested_at,
    succeededAt: row.succeeded_at,
    endedAt: row.ended_at,
  }
}

/** The refunds of these top-ups, oldest first; a top-up has few. */
export async function refundsOf(db: Queryable, topupIds: readonly string[]): Promise<RefundRow[]> {
  const { rows } = await db.query(`select ${REFUND_COLUMNS} from topup_refunds where topup_id = any ($1) order by id`, [
    topupIds,
  ])
  return rows.map(readRefundRow)
}

export function printRefund(row: RefundRow): TopupRefund {
  const failed = row.status === 'failed'
  return {
    id: printId('ref', row.id),
    status: row.status,
    amount: printAmount(row.amount),
    origin: row.origin,
    requested_at: row.requestedAt.toISOString(),
    ended_at: row.endedAt?.toISOString() ?? null,
    expected_by: failed ? null : expectedBy(row.succeededAt ?? row.requestedAt).toISOString(),
    reference: row.reference,
    reason: row.reason,
  }
}

/** Banks take 5 to 10 business days to show a refund: the end of that. Saturdays and Sundays (UTC) do not count; holidays are not known. */
const BUSINESS_DAYS = 10
const DAY_MS = 86_400_000

export function expectedBy(sent: Date): Date {
  let day = sent.getTime()
  for (let left = BUSINESS_DAYS; left > 0; ) {
    day += DAY_MS
    const weekday = new Date(day).getUTCDay()
    if (weekday !== 0 && weekday !== 6) left--
  }
  return new Date(day)
}
