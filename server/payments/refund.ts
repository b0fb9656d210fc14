/** A refund to the card as it is stored, and as it is told. */
import type { TopupRefund, TopupRefundReason } from '../../contract/contract.ts'
import { micros, printAmount, type Usd } from '../../contract/money.ts'
import type { Queryable } from '../platform/db.ts'
import { printId } from '../platform/ids.ts'
import type { RefundCall } from './card/stripe.ts'

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
  refundCall: RefundCall | null
  externalId: string | null
  externalStatus: string | null
  reference: string | null
  requestedAt: Date
  succeededAt: Date | null
  endedAt: Date | null
  look: number
  lookDone: number
  claimed: boolean
  lastError: string | null
  /** By wire time. */
  askedSecondsAgo: number
}

/** Reads rows; add `where …`. */
export const REFUND_COLUMNS = `
  id, topup_id, account_id, amount, origin, status, reason, booked, refund_call, external_id, external_status, reference, requested_at,
  succeeded_at, ended_at, look, look_done, coalesce(claimed_until > now(), false) as claimed, last_error,
  extract(epoch from now() - asked_at)::float8 as asked_seconds_ago`

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
    refundCall: row.refund_call,
    externalId: row.external_id,
    externalStatus: row.external_status,
    reference: row.reference,
    requestedAt: row.requested_at,
    succeededAt: row.succeeded_at,
    endedAt: row.ended_at,
    look: row.look,
    lookDone: row.look_done,
    claimed: row.claimed,
    lastError: row.last_error,
    askedSecondsAgo: row.asked_seconds_ago,
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
    ...TO_A_CARD,
  }
}

/** What only a refund by a chain has. */
const TO_A_CARD = {
  asset: null,
  network: null,
  address: null,
  asset_amount: null,
  transaction_id: null,
  explorer_url: null,
  confirmations: null,
  confirmations_required: null,
  note: null,
} as const

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
