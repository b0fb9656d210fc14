/** What a bank says against a top-up: what its status means for the credits, how it is stored, and how it is told. */
import type Stripe from 'stripe'
import type { TopupDispute } from '../../contract/contract.ts'
import { micros, printAmount, type Usd } from '../../contract/money.ts'
import type { Queryable } from '../platform/db.ts'
import { printId } from '../platform/ids.ts'

/** What is to become of the disputed credits: kept until the bank has decided, given back, or gone. */
export type DisputeState = 'frozen' | 'released' | 'taken'

/** What the verdict reads of Stripe's dispute. */
export type DisputeEvidence = {
  status: Stripe.Dispute.Status
  balance_transactions: readonly Pick<Stripe.BalanceTransaction, 'amount'>[]
  payment_method_details?: { card?: Pick<Stripe.Dispute.PaymentMethodDetails.Card, 'case_type'> }
}

/**
 * The table: what a dispute's present status means for the credits. A pure function; `unheardOf`: a status that this version does not
 * know. Then the credits stay frozen, which loses nobody anything, and somebody has to look.
 */
export function standingOf(dispute: DisputeEvidence): {
  state: DisputeState
  kind: 'inquiry' | 'dispute'
  unheardOf: boolean
} {
  switch (dispute.status) {
    // No money has moved yet, but the bank may take it tomorrow; what is spent until then would be the house's loss.
    case 'warning_needs_response':
    case 'warning_under_review':
      return { state: 'frozen', kind: 'inquiry', unheardOf: false }
    case 'warning_closed':
      return { state: 'released', kind: 'inquiry', unheardOf: false }
    case 'needs_response':
    case 'under_review':
    case 'appeal_needs_response':
    case 'appeal_under_review':
      return { state: 'frozen', kind: 'dispute', unheardOf: false }
    case 'won':
      return { state: 'released', kind: 'dispute', unheardOf: false }
    case 'lost':
      return { state: 'taken', kind: 'dispute', unheardOf: false }
    case 'prevented':
      return { state: wasRefundedByTheBank(dispute) ? 'taken' : 'released', kind: 'dispute', unheardOf: false }
    default:
      return { state: 'frozen', kind: 'dispute', unheardOf: true }
  }
}

/**
 * A dispute is prevented in one of two ways: the bank was convinced (nothing moves), or paid its customer back at once with our money
 * (Visa's Rapid Dispute Resolution, which Stripe calls a `resolution`). Where the word is a new one, the money tells: what Stripe took
 * from us for this dispute, and did not put back.
 */
function wasRefundedByTheBank({ balance_transactions, payment_method_details }: DisputeEvidence): boolean {
  const caseType = payment_method_details?.card?.case_type
  if (caseType === 'resolution') return true
  return caseType !== 'block' && balance_transactions.reduce((sum, { amount }) => sum + amount, 0) < 0
}

export type DisputeRow = {
  id: string
  externalId: string
  topupId: string
  accountId: bigint
  kind: 'inquiry' | 'dispute'
  stripeStatus: string
  amount: Usd
  reason: string
  evidenceDueBy: Date | null
  state: DisputeState
  covered: Usd
  shortfall: Usd
  round: number
  holdId: string | null
  openedAt: Date
  closedAt: Date | null
  look: number
}

/** Reads rows; add `where …`. */
export const DISPUTE_COLUMNS = `
  id, external_id, topup_id, account_id, kind, stripe_status, amount, reason, evidence_due_by, state, covered, shortfall, round, hold_id,
  opened_at, closed_at, look`

// biome-ignore lint/suspicious/noExplicitAny: what the driver hands out, given its types here
export function readDisputeRow(row: any): DisputeRow {
  return {
    id: row.id,
    externalId: row.external_id,
    topupId: row.topup_id,
    accountId: BigInt(row.account_id),
    kind: row.kind,
    stripeStatus: row.stripe_status,
    amount: micros(row.amount),
    reason: row.reason,
    evidenceDueBy: row.evidence_due_by,
    state: row.state,
    covered: micros(row.covered),
    shortfall: micros(row.shortfall),
    round: row.round,
    holdId: row.hold_id,
    openedAt: row.opened_at,
    closedAt: row.closed_at,
    look: row.look,
  }
}

export type WarningStatus = 'open' | 'refund_asked' | 'refunding' | 'refunded' | 'released' | 'closed'

export type WarningRow = {
  id: string
  externalId: string
  topupId: string
  accountId: bigint
  fraudType: string
  actionable: boolean
  status: WarningStatus
  frozen: Usd
  round: number
  holdId: string | null
  askedBy: bigint | null
  askedAt: Date | null
  decidedBy: bigint | null
  decidedAt: Date | null
  why: string | null
  refundId: string | null
  openedAt: Date
  closedAt: Date | null
  look: number
}

export const WARNING_COLUMNS = `
  id, external_id, topup_id, account_id, fraud_type, actionable, status, frozen, round, hold_id, asked_by, asked_at, decided_by,
  decided_at, why, refund_id, opened_at, closed_at, look`

// biome-ignore lint/suspicious/noExplicitAny: what the driver hands out, given its types here
export function readWarningRow(row: any): WarningRow {
  return {
    id: row.id,
    externalId: row.external_id,
    topupId: row.topup_id,
    accountId: BigInt(row.account_id),
    fraudType: row.fraud_type,
    actionable: row.actionable,
    status: row.status,
    frozen: micros(row.frozen),
    round: row.round,
    holdId: row.hold_id,
    askedBy: row.asked_by === null ? null : BigInt(row.asked_by),
    askedAt: row.asked_at,
    decidedBy: row.decided_by === null ? null : BigInt(row.decided_by),
    decidedAt: row.decided_at,
    why: row.why,
    refundId: row.refund_id,
    openedAt: row.opened_at,
    closedAt: row.closed_at,
    look: row.look,
  }
}

/**
 * In SQL: what is still owed for dispute `d` of the account `l`. What came in since paid for the oldest first, so what is owed now is owed
 * for the youngest, and never more for all of them together than the account owes.
 */
export const OWED_FOR_DISPUTE = `
  case d.state
    when 'released' then 0
    else greatest(0, least(d.shortfall,
                           l.owed - (select coalesce(sum(y.shortfall), 0)
                                       from disputes y
                                      where y.account_id = d.account_id
                                        and y.state <> 'released'
                                        and (y.opened_at, y.id) > (d.opened_at, d.id))))
  end`

/** In SQL: whether the customer's cards are blocked because dispute `d` is lost, and nobody of staff takes them again. */
const LOST_AND_BLOCKED = `
  (d.stripe_status = 'lost'
   and not exists (select from card_block_lifts b where b.dispute_id = d.id and b.round = d.round))`
export const DISPUTE_BLOCKS_CARDS = `(d.state = 'frozen' or ${LOST_AND_BLOCKED})`

/** What is told of the disputes and warnings of these top-ups, by top-up, oldest first; a top-up has few. */
export async function disputesOf(db: Queryable, topupIds: readonly string[]): Promise<Map<string, TopupDispute[]>> {
  const { rows } = await db.query<{
    id: string
    topup_id: string
    kind: TopupDispute['kind']
    status: string
    amount: string
    frozen: string
    owed: string
    reason: string
    opened_at: Date
    closed_at: Date | null
    cards_blocked: boolean
  }>(
    `select d.id, d.topup_id, d.kind, d.stripe_status as status, d.amount, d.reason, d.opened_at, d.closed_at,
            case d.state when 'frozen' then d.covered else 0 end as frozen,
            ${OWED_FOR_DISPUTE} as owed,
            ${DISPUTE_BLOCKS_CARDS} as cards_blocked
       from disputes d
       join ledger_accounts l on l.id = d.account_id
      where d.topup_id = any ($1)
      union all
     select w.id, w.topup_id, 'warning', w.status, t.amount, 'warning', w.opened_at, w.closed_at, w.frozen, 0, w.closed_at is null
       from fraud_warnings w
       join topups t on t.id = w.topup_id
      where w.topup_id = any ($1)
      order by opened_at, id`,
    [topupIds],
  )
  const told = new Map<string, TopupDispute[]>()
  for (const row of rows) {
    const dispute: TopupDispute = {
      id: printId('dsp', row.id),
      kind: row.kind,
      status: statusInWords(row.kind, row.status),
      amount: printAmount(micros(row.amount)),
      frozen: printAmount(micros(row.frozen)),
      owed: printAmount(micros(row.owed)),
      reason: reasonInWords(row.reason),
      opened_at: row.opened_at.toISOString(),
      ended_at: row.closed_at?.toISOString() ?? null,
      cards_blocked: row.cards_blocked,
    }
    told.set(row.topup_id, [...(told.get(row.topup_id) ?? []), dispute])
  }
  return told
}

/** Stripe's words, and those of our own warnings, as people are told. */
export function statusInWords(kind: TopupDispute['kind'], status: string): TopupDispute['status'] {
  if (kind === 'warning') {
    if (status === 'open') return 'open'
    return status === 'refund_asked' || status === 'refunding' ? 'under_review' : 'closed'
  }
  switch (status) {
    case 'won':
    case 'lost':
      return status
    case 'warning_closed':
    case 'prevented':
      return 'closed'
    case 'under_review':
    case 'warning_under_review':
    case 'appeal_under_review':
      return 'under_review'
    default:
      return 'open'
  }
}

/** Why, as a bank's word says it; it follows "The bank says: ". */
export function reasonInWords(reason: string): string {
  switch (reason) {
    case 'fraudulent':
      return 'the cardholder did not make this payment'
    case 'unrecognized':
      return 'the cardholder does not recognise this payment'
    case 'duplicate':
      return 'the payment was made twice'
    case 'product_not_received':
      return 'what was paid for did not arrive'
    case 'product_unacceptable':
      return 'what was paid for is not as it was described'
    case 'subscription_canceled':
      return 'the cardholder had cancelled'
    case 'credit_not_processed':
      return 'a refund that was promised did not come'
    case 'warning':
      return 'the cardholder may not have made this payment'
    default:
      return 'no reason that we may pass on'
  }
}

/** Why a customer's cards are not taken at the moment. */
export type CardsBlocked = { why: 'dispute' | 'inquiry' | 'warning' | 'lost'; topupId: string }

/** A bank is deciding about a payment of this customer's, or took one back. The gravest reason; null: none. */
export async function cardsBlockedBy(db: Queryable, accountId: bigint): Promise<CardsBlocked | null> {
  const { rows } = await db.query<{ why: CardsBlocked['why']; topup_id: string }>(
    `select why, topup_id
       from (select case when d.state = 'frozen' then d.kind else 'lost' end as why, d.topup_id
               from disputes d
              where d.account_id = $1
                and ${DISPUTE_BLOCKS_CARDS}
              union all
             select 'warning', topup_id from fraud_warnings where account_id = $1 and closed_at is null) found
      order by array_position(array['lost', 'dispute', 'inquiry', 'warning'], why)
      limit 1`,
    [accountId],
  )
  const row = rows[0]
  return row ? { why: row.why, topupId: row.topup_id } : null
}
