/**
 * Cardholders who want their money back from their bank: inquiries, disputes, appeals, and those that were prevented. While a real
 * dispute lasts the money is gone; the bank's fee for it never comes back.
 */
import type Stripe from 'stripe'
import { DAY, SECOND, seconds } from '../clock.ts'
import { randomLetters } from '../ids.ts'
import { book, reachBalance } from './balance.ts'
import type { Bank } from './bank.ts'
import type { DisputePlan, DisputeReason } from './cards.ts'
import { type Cause, write } from './events.ts'
import { change, extraOf, keepExtra, mergedMetadata, ofSession, put, rewrite, sessionOf } from './records.ts'
import { endRefund, refundsOf, refused } from './refund-outcome.ts'
import { overtakeWarnings } from './warnings.ts'

const DISPUTE_FEE_CENTS = 1_500
/** How long the shop has for an answer. */
const ANSWER_SECONDS = (14 * DAY) / SECOND
/** How long the bank thinks about evidence that says what to decide. */
const VERDICT_AFTER_SECONDS = 1

/** Stripe's own words for tests: what `evidence.uncategorized_text` makes the bank decide. */
const verdicts = {
  winning_evidence: 'win',
  losing_evidence: 'lose',
  escalate_inquiry_evidence: 'escalate',
} as const
type Verdict = (typeof verdicts)[keyof typeof verdicts]
type DisputeExtra = { verdict: Verdict | null }

export const evidenceFields = [
  'access_activity_log',
  'billing_address',
  'cancellation_policy',
  'cancellation_policy_disclosure',
  'cancellation_rebuttal',
  'customer_communication',
  'customer_email_address',
  'customer_name',
  'customer_purchase_ip',
  'customer_signature',
  'duplicate_charge_documentation',
  'duplicate_charge_explanation',
  'duplicate_charge_id',
  'product_description',
  'receipt',
  'refund_policy',
  'refund_policy_disclosure',
  'refund_refusal_explanation',
  'service_date',
  'service_documentation',
  'shipping_address',
  'shipping_carrier',
  'shipping_date',
  'shipping_documentation',
  'shipping_tracking_number',
  'uncategorized_file',
  'uncategorized_text',
] as const

type Asked = Omit<DisputePlan, 'share'> & { amount?: number | undefined }

/** The cardholder goes to the bank. `amount`: cents, the whole charge where it is not said. */
export function openDispute(bank: Bank, charge: Stripe.Charge, asked: Asked): Stripe.Dispute {
  const { books } = bank
  return books.transaction(() => {
    const session = sessionOf(books, charge.id)!
    if (!charge.captured) throw refused(`Charge ${charge.id} was never captured; there is nothing to dispute.`)
    const left = disputable(bank, charge)
    const amount = asked.amount ?? left
    if (amount < 1 || amount > left)
      throw refused('Not more can be disputed than was taken and is not disputed yet.', { param: 'amount' })
    reachBalance(bank, charge)
    const { kind, reason } = asked
    const now = seconds(bank.clock)
    const prevented = kind === 'prevented' || kind === 'prevented_refunded'
    const card = charge.payment_method_details?.card
    const code = networkReason(card?.brand ?? 'visa', reason)
    const dispute: Stripe.Dispute = {
      id: `du_1${randomLetters(23)}`,
      object: 'dispute',
      amount,
      balance_transactions: [],
      charge: charge.id,
      created: now,
      currency: charge.currency,
      enhanced_eligibility_types: asked.compellingEvidence ? ['visa_compelling_evidence_3'] : [],
      evidence: {
        ...(Object.fromEntries(evidenceFields.map((field) => [field, null])) as Record<
          (typeof evidenceFields)[number],
          null
        >),
        enhanced_evidence: {},
      },
      evidence_details: {
        due_by: prevented ? 0 : now + ANSWER_SECONDS,
        enhanced_eligibility: asked.compellingEvidence
          ? {
              visa_compelling_evidence_3: {
                required_actions: ['missing_prior_undisputed_transactions'],
                status: 'requires_action',
              },
            }
          : {},
        has_evidence: false,
        past_due: false,
        submission_count: 0,
        submission_method: 'not_submitted',
      },
      intended_submission_method: null,
      is_charge_refundable: kind === 'inquiry' || kind === 'prevented',
      livemode: false,
      metadata: {},
      network_reason_code: code,
      payment_intent: charge.payment_intent,
      payment_method_details: {
        card: {
          brand: card?.brand ?? 'unknown',
          case_type: caseTypes[kind],
          network: card?.network ?? 'unknown',
          network_reason_code: code,
        },
        type: 'card',
      },
      reason,
      status: prevented ? 'prevented' : kind === 'inquiry' ? 'warning_needs_response' : 'needs_response',
    }
    const extra: DisputeExtra = { verdict: null }
    put(books, dispute, { session, extra, dueAt: prevented ? null : now + ANSWER_SECONDS })
    charge.disputed = true
    rewrite(books, charge)
    write(bank, session, 'charge.dispute.created', dispute, null)
    if (kind === 'dispute') withdraw(bank, dispute, DISPUTE_FEE_CENTS)
    if (kind === 'prevented_refunded') withdraw(bank, dispute, 0)
    if (prevented) write(bank, session, 'charge.dispute.closed', dispute, null)
    overtakeWarnings(bank, charge)
    for (const refund of refundsOf(bank, charge)) {
      if (refund.status === 'pending') endRefund(bank, refund, 'failed', 'charge_for_pending_refund_disputed')
    }
    return dispute
  })
}

export const disputeOutcomes = [
  'win',
  'lose',
  /** An inquiry becomes a dispute. */
  'escalate',
  /** A closed one is taken up once more. */
  'appeal',
  /** It comes to nothing; withdrawn money comes back. */
  'prevent',
  /** It is settled by giving the money back. */
  'prevent_refunded',
] as const
export type DisputeOutcome = (typeof disputeOutcomes)[number]

/** The bank decides. An inquiry that is won or lost is closed: no money had moved. */
export function decideDispute(bank: Bank, dispute: Stripe.Dispute, outcome: DisputeOutcome, cause: Cause = null): void {
  bank.books.transaction(() => {
    const stage = stageOf(dispute)
    if (outcome === 'appeal') {
      if (dispute.status !== 'won' && dispute.status !== 'lost')
        throw refused(`Only a dispute that was won or lost can be appealed; this one is ${dispute.status}.`)
      const won = dispute.status === 'won'
      dispute.evidence_details.due_by = seconds(bank.clock) + ANSWER_SECONDS
      stand(bank, dispute, 'appeal_needs_response', cause)
      if (won) withdraw(bank, dispute, 0)
      return
    }
    if (stage === 'closed') throw refused(closedWords)
    switch (outcome) {
      case 'win':
        if (stage === 'inquiry') return stand(bank, dispute, 'warning_closed', cause)
        return stand(bank, dispute, 'won', cause)
      case 'lose':
        return stand(bank, dispute, stage === 'inquiry' ? 'warning_closed' : 'lost', cause)
      case 'escalate':
        if (stage !== 'inquiry') throw refused('Only an inquiry becomes a dispute.')
        dispute.payment_method_details!.card!.case_type = 'chargeback'
        dispute.evidence_details = {
          ...dispute.evidence_details,
          due_by: seconds(bank.clock) + ANSWER_SECONDS,
          submission_count: 0,
          submission_method: 'not_submitted',
        }
        stand(bank, dispute, 'needs_response', cause)
        withdraw(bank, dispute, DISPUTE_FEE_CENTS)
        return
      case 'prevent':
        return stand(bank, dispute, 'prevented', cause)
      case 'prevent_refunded':
        if (stage === 'inquiry') withdraw(bank, dispute, 0)
        return stand(bank, dispute, 'prevented', cause, { keepMoney: true })
    }
  })
}

/** The shop answers. `submit`: to the bank at once, which is what Stripe does unless told otherwise. */
export function answerDispute(
  bank: Bank,
  dispute: Stripe.Dispute,
  asked: {
    evidence?: (Partial<Record<(typeof evidenceFields)[number], string | null>> & { appeal?: Appeal }) | undefined
    metadata?: Record<string, string> | undefined
    submit?: boolean | undefined
  },
  cause: Cause,
): Stripe.Dispute {
  const { books } = bank
  return books.transaction(() => {
    if (asked.metadata) dispute.metadata = mergedMetadata(dispute.metadata, asked.metadata)
    if (asked.evidence || asked.submit) {
      if (stageOf(dispute) === 'closed') throw refused(closedWords)
      if (dispute.status.endsWith('under_review')) throw refused('The evidence for this dispute was submitted already.')
    }
    if (asked.evidence) {
      const { appeal, ...fields } = asked.evidence
      Object.assign(dispute.evidence, fields)
      if (appeal) dispute.evidence.appeal = { card: { reason_for_filing: appeal.card?.reason_for_filing ?? '' } }
      const { enhanced_evidence: _, ...rest } = dispute.evidence
      dispute.evidence_details.has_evidence = Object.values(rest).some((each) => each !== null)
    }
    const submitted = (asked.evidence !== undefined && asked.submit !== false) || asked.submit === true
    if (!submitted) {
      rewrite(books, dispute)
      write(bank, sessionOf(books, dispute.id)!, 'charge.dispute.updated', dispute, cause)
      return dispute
    }
    const details = dispute.evidence_details
    details.submission_count += 1
    details.submission_method = 'manual'
    dispute.intended_submission_method = 'manual'
    const text = dispute.evidence.uncategorized_text ?? ''
    const verdict = Object.hasOwn(verdicts, text) ? verdicts[text as keyof typeof verdicts] : null
    const stage = stageOf(dispute)
    stand(
      bank,
      dispute,
      stage === 'inquiry' ? 'warning_under_review' : stage === 'appeal' ? 'appeal_under_review' : 'under_review',
      cause,
      verdict === 'escalate' && stage !== 'inquiry' ? {} : { verdict },
    )
    return dispute
  })
}
type Appeal = { card?: { reason_for_filing?: string | null } }

/** The shop gives in. */
export function acceptDispute(bank: Bank, dispute: Stripe.Dispute, cause: Cause): Stripe.Dispute {
  if (stageOf(dispute) === 'closed') throw refused(closedWords)
  decideDispute(bank, dispute, 'lose', cause)
  return dispute
}

/** What was due: the bank has made up its mind, or nobody answered in time. */
export function advanceDispute(bank: Bank, dispute: Stripe.Dispute): void {
  const { verdict } = extraOf<DisputeExtra>(bank.books, dispute.id)
  decideDispute(bank, dispute, verdict ?? 'lose')
}

/** A dispute that took the money, or may still take it, leaves nothing to refund. */
export function isRefundable(bank: Bank, charge: Stripe.Charge): boolean {
  return disputesOf(bank, charge).every((each) => each.is_charge_refundable)
}

/** Everything was given back: the bank has nothing more to ask. */
export function closeInquiries(bank: Bank, charge: Stripe.Charge): void {
  for (const dispute of disputesOf(bank, charge)) {
    if (stageOf(dispute) === 'inquiry') decideDispute(bank, dispute, 'win')
  }
}

/** Cents of a charge that no open dispute, and none that took the money, is about. */
export function disputable(bank: Bank, charge: Stripe.Charge): number {
  const disputed = disputesOf(bank, charge)
    .filter((each) => stageOf(each) !== 'closed' || !isFreeOfCost(each))
    .reduce((sum, each) => sum + each.amount, 0)
  return charge.amount_captured - disputed
}

export function disputesOf(bank: Bank, charge: Stripe.Charge): Stripe.Dispute[] {
  return ofSession(bank.books, 'dispute', sessionOf(bank.books, charge.id)!).filter((each) => each.charge === charge.id)
}

const closedWords = 'This dispute is already closed'

const caseTypes = {
  dispute: 'chargeback',
  inquiry: 'inquiry',
  prevented: 'block',
  prevented_refunded: 'resolution',
} as const

export function stageOf(dispute: Stripe.Dispute): 'inquiry' | 'dispute' | 'appeal' | 'closed' {
  switch (dispute.status) {
    case 'warning_needs_response':
    case 'warning_under_review':
      return 'inquiry'
    case 'needs_response':
    case 'under_review':
      return 'dispute'
    case 'appeal_needs_response':
    case 'appeal_under_review':
      return 'appeal'
    default:
      return 'closed'
  }
}

/** A new status, told; withdrawn money comes back where the shop has won. */
function stand(
  bank: Bank,
  dispute: Stripe.Dispute,
  status: Stripe.Dispute.Status,
  cause: Cause,
  more: { verdict?: Verdict | null; keepMoney?: boolean } = {},
): void {
  const { books } = bank
  const session = sessionOf(books, dispute.id)!
  const before = dispute.status
  dispute.status = status
  const closed = stageOf(dispute) === 'closed'
  const returns = (status === 'won' || status === 'prevented') && !more.keepMoney && !isFreeOfCost(dispute)
  const { verdict = null } = more
  const extra: DisputeExtra = { verdict }
  keepExtra(books, dispute.id, extra)
  const waits = status.endsWith('needs_response') ? dispute.evidence_details.due_by : null
  change(books, dispute, verdict ? seconds(bank.clock) + VERDICT_AFTER_SECONDS : waits)
  if (returns) reinstate(bank, dispute)
  dispute.is_charge_refundable =
    stageOf(dispute) === 'inquiry' ||
    status === 'won' ||
    status === 'warning_closed' ||
    (status === 'prevented' && isFreeOfCost(dispute))
  rewrite(books, dispute)
  write(bank, session, closed ? 'charge.dispute.closed' : 'charge.dispute.updated', dispute, cause, { status: before })
}

function withdraw(bank: Bank, dispute: Stripe.Dispute, fee: number): void {
  const session = sessionOf(bank.books, dispute.id)!
  dispute.balance_transactions.push(
    book(bank, session, {
      amount: -dispute.amount,
      ...(fee > 0 && { fee: { amount: fee, description: 'Dispute fee' } }),
      type: 'adjustment',
      category: 'dispute',
      description: `Chargeback withdrawal for ${dispute.charge}`,
      source: dispute.id,
    }),
  )
  dispute.is_charge_refundable = false
  rewrite(bank.books, dispute)
  write(bank, session, 'charge.dispute.funds_withdrawn', dispute, null)
}

function reinstate(bank: Bank, dispute: Stripe.Dispute): void {
  const session = sessionOf(bank.books, dispute.id)!
  dispute.balance_transactions.push(
    book(bank, session, {
      amount: dispute.amount,
      type: 'adjustment',
      category: 'dispute_reversal',
      description: `Chargeback reversal for ${dispute.charge}`,
      source: dispute.id,
    }),
  )
  rewrite(bank.books, dispute)
  write(bank, session, 'charge.dispute.funds_reinstated', dispute, null)
}

/** No money is away because of it: none was withdrawn, or it came back. */
function isFreeOfCost(dispute: Stripe.Dispute): boolean {
  return dispute.balance_transactions.reduce((sum, each) => sum + each.amount, 0) === 0
}

function networkReason(brand: string, reason: DisputeReason): string {
  const visa: Partial<Record<DisputeReason, string>> = {
    fraudulent: '10.4',
    product_not_received: '13.1',
    subscription_canceled: '13.2',
    product_unacceptable: '13.3',
    credit_not_processed: '13.6',
    duplicate: '12.6.1',
  }
  if (brand === 'mastercard') return reason === 'fraudulent' ? '4837' : '4853'
  return visa[reason] ?? '13.5'
}
