/** The facts of receipts, told alike to the mail, the page and the PDF. */
import type { CryptoTopup, Receipt, RefundReceipt } from '../../contract/contract.ts'
import { printAmount } from '../../contract/money.ts'
import { policies } from '../../contract/policies.ts'
import { CRYPTO_REFUND_TERMS, REFUND_TERMS } from '../../contract/receipts.ts'
import type { Queryable, Row } from '../platform/db.ts'
import { printId } from '../platform/ids.ts'
import { printRefund, type RefundRow } from './refund.ts'
import type { TopupRow } from './topup.ts'

/** What the operator's settings say on receipts. */
export type SellerSettings = {
  seller: { name: string; address: string; taxId: string | null; supportEmail: string }
  receipt: { taxNote: string | null; statementText: string | null }
}

/** What of the statement's text is ours to send with a payment: what stands after the asterisk. */
export function statementSuffix(statementText: string): string {
  return statementText.slice(statementText.indexOf('* ') + 2)
}

/** `topup` is credited. */
export async function receiptOf(db: Queryable, topup: TopupRow, settings: SellerSettings): Promise<Receipt> {
  const credited = topup.creditedAt!
  return {
    number: numberOf('', topup.id, credited),
    topup_id: printId('top', topup.id),
    issued_at: credited.toISOString(),
    seller: sellerOf(settings),
    buyer: await buyerOf(db, topup.accountId),
    card: topup.card,
    payments: [],
    statement_text: statementOf(topup, settings),
    currency: 'USD',
    amount: printAmount(topup.amount),
    credits: printAmount(topup.amount),
    tax_note: settings.receipt.taxNote,
    terms: REFUND_TERMS,
    terms_version: refundPolicyOf(credited),
  }
}

/** Of a top-up by crypto that is credited: what arrived, each payment by itself. */
export async function cryptoReceiptOf(
  db: Queryable,
  { topup, topupId, accountId }: { topup: CryptoTopup; topupId: string; accountId: bigint },
  settings: SellerSettings,
): Promise<Receipt> {
  const credited = new Date(topup.credited_at!)
  return {
    number: numberOf('', topupId, credited),
    topup_id: topup.id,
    issued_at: topup.credited_at!,
    seller: sellerOf(settings),
    buyer: await buyerOf(db, accountId),
    card: null,
    payments: topup.payments.flatMap((payment) =>
      payment.credited_at === null
        ? []
        : [
            {
              asset: payment.asset,
              network: payment.network,
              asset_amount: payment.asset_amount,
              transaction_id: payment.transaction_id,
              height: payment.height,
              parts: payment.parts,
              worth: payment.worth!,
              credited_at: payment.credited_at,
              reversed_at: payment.reversed_at,
            },
          ],
    ),
    statement_text: null,
    currency: 'USD',
    amount: topup.credited,
    credits: topup.credited,
    tax_note: settings.receipt.taxNote,
    terms: CRYPTO_REFUND_TERMS,
    terms_version: refundPolicyOf(credited),
  }
}

export async function refundReceiptOf(
  db: Queryable,
  { refund, topup }: { refund: RefundRow; topup: TopupRow },
  settings: SellerSettings,
): Promise<RefundReceipt> {
  const told = printRefund(refund)
  const failed = refund.status === 'failed'
  return {
    number: numberOf('R', refund.id, refund.requestedAt),
    refund_id: told.id,
    topup_id: printId('top', topup.id),
    of_receipt: numberOf('', topup.id, topup.creditedAt!),
    status: told.status,
    reason: told.reason,
    requested_at: told.requested_at,
    sent_at: refund.succeededAt?.toISOString() ?? null,
    failed_at: failed ? told.ended_at : null,
    expected_by: told.expected_by,
    seller: sellerOf(settings),
    buyer: await buyerOf(db, topup.accountId),
    card: topup.card,
    reference: refund.reference,
    currency: 'USD',
    amount: told.amount,
    paid: printAmount(topup.amount),
  }
}

/** Derived from what it is of, so that it never changes: the day (UTC), and what no other id ends with. */
function numberOf(kind: '' | 'R', id: string, day: Date): string {
  return `${kind}${day.toISOString().slice(0, 10).replaceAll('-', '')}-${id.slice(-12).toUpperCase()}`
}

function sellerOf({ seller }: SellerSettings): Receipt['seller'] {
  return { name: seller.name, address: seller.address, tax_id: seller.taxId, support_email: seller.supportEmail }
}

async function buyerOf(db: Queryable, accountId: bigint): Promise<Receipt['buyer']> {
  const { rows } = await db.query<Pick<Row<'accounts'>, 'username' | 'company' | 'tax_id' | 'time_zone'>>(
    'select username, company, tax_id, time_zone from accounts where id = $1',
    [accountId],
  )
  return rows[0]!
}

/** Only where this very payment was sent with it: what an earlier one was sent with, today's setting does not know. */
function statementOf(topup: TopupRow, { receipt }: SellerSettings): string | null {
  const text = receipt.statementText
  const sent = topup.sessionCall.payment_intent_data?.statement_descriptor_suffix
  return text !== null && sent === statementSuffix(text) ? text : null
}

function refundPolicyOf(bought: Date): string {
  const day = bought.toISOString().slice(0, 10)
  const { versions } = policies.find(({ name }) => name === 'refunds')!
  return (versions.find(({ version }) => version <= day) ?? versions.at(-1)!).version
}
