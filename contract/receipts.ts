/** How a receipt is put into words: the same on the page, in the mail and in the PDF. */
import { cardBrandName } from './cards.ts'
import type { CryptoPayment, Receipt, RefundReceipt, TopupRefundReason } from './contract.ts'
import { displayAmount } from './money.ts'

/** `mono`: a code or an id, of which each letter counts. */
export type ReceiptLine = { name: string; value: string; mono?: true }

type TimeWords = (instant: string) => string

export function receiptLines(receipt: Receipt, timeWords: TimeWords): ReceiptLine[] {
  return [
    { name: 'Receipt number', value: receipt.number, mono: true },
    { name: 'Paid and credited', value: timeWords(receipt.issued_at) },
    ...(receipt.payments.length > 0
      ? receipt.payments.flatMap((payment) => paymentLines(payment, timeWords))
      : [{ name: 'Paid by', value: cardWords(receipt.card) }]),
    ...optional('On your statement', receipt.statement_text, true),
    ...buyerLines(receipt.buyer),
    ...sellerLines(receipt.seller),
    { name: 'Top-up', value: receipt.topup_id, mono: true },
  ]
}

export function refundReceiptLines(receipt: RefundReceipt, timeWords: TimeWords): ReceiptLine[] {
  const failed = receipt.status === 'failed'
  return [
    { name: failed ? 'Number' : 'Receipt number', value: receipt.number, mono: true },
    { name: 'Asked for', value: timeWords(receipt.requested_at) },
    ...optional('Sent', receipt.sent_at && timeWords(receipt.sent_at)),
    ...optional('Failed', receipt.failed_at && timeWords(receipt.failed_at)),
    { name: failed ? 'Not returned to' : 'Returned to', value: cardWords(receipt.card) },
    ...optional('Reference', receipt.reference, true),
    { name: 'Of receipt', value: receipt.of_receipt, mono: true },
    ...buyerLines(receipt.buyer),
    ...sellerLines(receipt.seller),
    { name: 'Refund', value: receipt.refund_id, mono: true },
    { name: 'Top-up', value: receipt.topup_id, mono: true },
  ]
}

/** One payment on a chain: what came, at which rate, in which block, and what was credited for it. */
function paymentLines(payment: Receipt['payments'][number], timeWords: TimeWords): ReceiptLine[] {
  const rates = payment.parts.map(
    (part) =>
      `${part.asset_amount} ${payment.asset} at ${displayAmount(part.rate)}, ${basisWords(part.basis)}: ${displayAmount(part.value)}`,
  )
  return [
    {
      name: 'Paid by',
      value: `${payment.asset_amount} ${payment.asset}${payment.network === payment.asset ? '' : ` on ${payment.network}`}`,
    },
    { name: 'Transaction', value: payment.transaction_id, mono: true },
    ...optional('Block', payment.height === null ? null : String(payment.height), true),
    ...rates.map((value) => ({ name: 'Rate', value })),
    {
      name: 'Credited',
      value: `${displayAmount(payment.worth)} on ${timeWords(payment.credited_at)}`,
    },
    ...optional(
      'Taken back',
      payment.reversed_at && `${timeWords(payment.reversed_at)}: it is not on the chain any more`,
    ),
  ]
}

/** By which rate a part of a payment counts, for people. */
export function basisWords(basis: CryptoPayment['parts'][number]['basis']): string {
  switch (basis) {
    case 'locked':
      return 'the rate held for you'
    case 'late':
      return 'the rate of its block, as it came late'
    case 'surplus':
      return 'the rate of its block, as it is more than was asked for'
    case 'other_asset':
      return 'the rate of its block'
    case 'decided':
      return 'as our staff decided'
  }
}

/** The line above the credits: what was paid for them. */
export function paidName(receipt: Receipt): string {
  return receipt.payments.length > 0 ? 'Received, in US dollars' : 'Taken from your card, in US dollars'
}

/** `Visa 3220`. */
export function cardWords(card: Receipt['card']): string {
  return card ? `${cardBrandName(card.brand)} ${card.last4}`.trim() : 'Card'
}

function buyerLines(buyer: Receipt['buyer']): ReceiptLine[] {
  return [
    { name: 'Account', value: buyer.username },
    ...optional('Company', buyer.company),
    ...optional('Tax id', buyer.tax_id, true),
  ]
}

function sellerLines(seller: Receipt['seller']): ReceiptLine[] {
  return [
    { name: 'Sold by', value: `${seller.name}, ${seller.address}` },
    ...optional('Seller’s tax id', seller.tax_id, true),
  ]
}

function optional(name: string, value: string | null, mono?: true): ReceiptLine[] {
  return value === null ? [] : [{ name, value, ...(mono ? { mono } : {}) }]
}

/** What the refund policy says of the paid credits, for receipts. */
export const REFUND_TERMS =
  'Credits do not expire. What you have not spent of this top-up can be returned to the card that paid it.'
export const CRYPTO_REFUND_TERMS =
  'Credits do not expire. What you have not spent of this top-up can be returned in crypto, to an address that you name.'

/** When a bank shows what went back. Source: Stripe's documentation, "refunds". */
export const REFUND_DAYS = '5 to 10 business days'

/** Why a refund to the card failed, for people. */
export function whyRefundFailed(reason: TopupRefundReason | null): string {
  switch (reason) {
    case 'card_lost_or_stolen':
      return 'Your bank says that the card was reported lost or stolen.'
    case 'card_closed':
      return 'Your bank says that the card has expired or was closed.'
    case 'declined':
      return 'Your bank did not take it.'
    case 'disputed':
      return 'A dispute about this payment is open at your bank.'
    case 'already_returned':
      return 'The payment had been returned in another way.'
    case 'cancelled':
      return 'It was cancelled before it was sent.'
    case 'our_side':
      return 'It failed on our side.'
    case 'declined_by_us':
      return 'We decided against it.'
    case 'not_confirmed':
      return 'The transaction was never confirmed by the network.'
    case 'unknown':
    case null:
      return 'Your bank gave no reason.'
  }
}
