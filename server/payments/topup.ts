/** A top-up as it is stored, and as it is told. */
import type { CardTopup, Topup, TopupReason } from '../../contract/contract.ts'
import { micros, printAmount, type Usd } from '../../contract/money.ts'
import { printId } from '../platform/ids.ts'
import type { SessionCall } from './card/stripe.ts'

/** Top-ups by card are never `partially_credited` or `reversed`. */
export type TopupStatus = 'awaiting_payment' | 'confirming' | 'credited' | 'refused' | 'expired'

/** A row of `topups`; what each column means stands in the migration. House time, where a comment there does not say otherwise. */
export type TopupRow = {
  id: string
  accountId: bigint
  amount: Usd
  status: TopupStatus
  reason: TopupReason | null
  sessionCall: SessionCall
  sessionId: string | null
  checkoutUrl: string | null
  handedOut: boolean
  paymentIntentId: string | null
  card: { brand: string; last4: string } | null
  releaseDue: boolean
  bankMayShowPending: boolean
  createdAt: Date
  expiresAt: Date
  bankAskedAt: Date | null
  bankAnsweredAt: Date | null
  takenAt: Date | null
  creditedAt: Date | null
  look: number
  lookDone: number
  claimed: boolean
  lastError: string | null
  /** Nobody was given the address of its payment page for so long that nobody will be. */
  abandoned: boolean
  /** Its time is over. */
  overdue: boolean
}

/** After this long without having handed out the address, the sweeper closes what the call may have opened. Unit: seconds. */
export const ABANDONED_AFTER_SECONDS = 600

/** Reads rows; add `where …`. */
export const TOPUP_COLUMNS = `
  id, account_id, amount, status, reason, session_call, session_id, checkout_url, handed_out, payment_intent_id, card_brand, card_last4,
  release_due, bank_may_show_pending, created_at, expires_at, bank_asked_at, bank_answered_at, taken_at, credited_at, look, look_done,
  coalesce(claimed_until > now(), false) as claimed, last_error,
  not handed_out and asked_at < now() - make_interval(secs => ${ABANDONED_AFTER_SECONDS}) as abandoned,
  expires_at <= house_now() as overdue`

// biome-ignore lint/suspicious/noExplicitAny: what the driver hands out, given its types here
export function readRow(row: any): TopupRow {
  return {
    id: row.id,
    accountId: BigInt(row.account_id),
    amount: micros(row.amount),
    status: row.status,
    reason: row.reason,
    sessionCall: row.session_call,
    sessionId: row.session_id,
    checkoutUrl: row.checkout_url,
    handedOut: row.handed_out,
    paymentIntentId: row.payment_intent_id,
    card: row.card_brand === null ? null : { brand: row.card_brand, last4: row.card_last4 },
    releaseDue: row.release_due,
    bankMayShowPending: row.bank_may_show_pending,
    createdAt: row.created_at,
    expiresAt: row.expires_at,
    bankAskedAt: row.bank_asked_at,
    bankAnsweredAt: row.bank_answered_at,
    takenAt: row.taken_at,
    creditedAt: row.credited_at,
    look: row.look,
    lookDone: row.look_done,
    claimed: row.claimed,
    lastError: row.last_error,
    abandoned: row.abandoned,
    overdue: row.overdue,
  }
}

/** Nothing is left to find out: no look can change it, unless the outside tells us something new. */
export function isEnded(row: TopupRow): boolean {
  return row.status === 'credited' || ((row.status === 'refused' || row.status === 'expired') && !row.releaseDue)
}

/** What else is told of a top-up: what went back of it, what can go back, what a bank says against it. */
export type Aftermath = Pick<Topup, 'returned' | 'returnable' | 'disputed' | 'refunds' | 'disputes'>

export function printTopup(row: TopupRow, aftermath: Aftermath): CardTopup {
  return {
    id: printId('top', row.id),
    method: 'card',
    status: row.status,
    amount: printAmount(row.amount),
    checkout_url: row.status === 'awaiting_payment' ? row.checkoutUrl : null,
    created_at: row.createdAt.toISOString(),
    expires_at: row.expiresAt.toISOString(),
    credited_at: row.creditedAt?.toISOString() ?? null,
    reason: row.reason,
    bank_may_show_pending: row.bankMayShowPending,
    card: row.card,
    trace: traceOf(row),
    labels: [
      ...(aftermath.refunds.some((refund) => refund.status !== 'failed') ? (['refunded'] as const) : []),
      ...(aftermath.disputes.length > 0 ? (['disputed'] as const) : []),
    ],
    ...aftermath,
    receipt: row.status === 'credited',
  }
}

/** What has a time is done; the first that has none is waited for, unless the top-up has ended: then it cannot happen any more. */
function traceOf(row: TopupRow): CardTopup['trace'] {
  const times: [CardTopup['trace'][number]['step'], Date | null][] = [
    ['started', row.createdAt],
    ['bank_asked', row.bankAskedAt],
    ['bank_answered', row.bankAnsweredAt],
    ['taken', row.takenAt],
    ['credited', row.creditedAt],
  ]
  const ended = row.status === 'refused' || row.status === 'expired'
  // The bank authorised such a payment without being asked to confirm it: that is why it was refused.
  const unasked = row.reason === 'card_without_3ds' || row.reason === 'wallet_without_3ds'
  let waiting = false
  return times.map(([step, time]) => {
    if (unasked && (step === 'bank_asked' || step === 'bank_answered'))
      return { step, state: 'cannot_happen', at: null }
    const at = time?.toISOString() ?? null
    if (at !== null) return { step, state: 'done', at }
    if (ended) return { step, state: 'cannot_happen', at }
    if (waiting) return { step, state: 'to_come', at }
    waiting = true
    return { step, state: 'waiting', at }
  })
}
