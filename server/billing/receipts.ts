/** Receipts: the facts that payments tells, and the same as a PDF. */

import type { Receipt, RefundReceipt } from '../../contract/contract.ts'
import { displayAmount } from '../../contract/money.ts'
import {
  cardWords,
  paidName,
  REFUND_DAYS,
  receiptLines,
  refundReceiptLines,
  whyRefundFailed,
} from '../../contract/receipts.ts'
import type { Payments } from '../payments/payments.ts'
import { printSlip, type Slip } from '../platform/pdf.ts'
import { timeIn } from '../platform/time-words.ts'

export type Receipts = ReturnType<typeof createReceipts>

/** Printing one takes a processor for 50 ms; whoever asks for the same again and again gets the one that was printed. */
const KEPT_MAX = 32

export function createReceipts(parts: {
  payments: Pick<Payments, 'receipt' | 'refundReceipt'>
  brandName: string
  publicUrl: string
}) {
  const { payments, brandName, publicUrl } = parts
  const kept = new Map<string, Promise<Buffer>>()

  function print(slip: Slip): Promise<Buffer> {
    const facts = JSON.stringify(slip)
    const printed = kept.get(facts) ?? printSlip(slip)
    kept.delete(facts)
    kept.set(facts, printed)
    printed.catch(() => kept.delete(facts))
    if (kept.size > KEPT_MAX) kept.delete(kept.keys().next().value!)
    return printed
  }

  function slip(of: { title: string; at: string; seller: Receipt['seller']; page: string }) {
    return {
      title: of.title,
      brand: brandName,
      author: of.seller.name,
      at: new Date(of.at),
      foot: [`Questions: ${of.seller.support_email}`, `On the web: ${of.page}`],
      whenBoxed: 'A box stands for a letter outside the Latin script. The page at the address above shows it.',
    }
  }

  function receiptSlip(receipt: Receipt): Slip {
    const page = `${publicUrl}/topups/${receipt.topup_id}/receipt`
    const { foot, ...more } = slip({
      title: `Receipt ${receipt.number}`,
      at: receipt.issued_at,
      seller: receipt.seller,
      page,
    })
    return {
      ...more,
      lead: `${displayAmount(receipt.credits)} of prepaid credits, paid.`,
      blocks: [
        { rows: receiptLines(receipt, timeIn(receipt.buyer.time_zone)) },
        {
          amounts: [
            { name: paidName(receipt), amount: displayAmount(receipt.amount) },
            { name: 'Prepaid credits added', amount: displayAmount(receipt.credits), total: true },
          ],
        },
        ...(receipt.tax_note === null ? [] : [receipt.tax_note]),
        `${receipt.terms} The refund policy of ${receipt.terms_version} applies: ${publicUrl}/refund-policy?version=${receipt.terms_version}`,
      ],
      foot,
    }
  }

  function refundSlip(receipt: RefundReceipt): Slip {
    const card = cardWords(receipt.card)
    const amount = displayAmount(receipt.amount)
    const { title, lead, note } = ((): { title: string; lead: string; note: string } => {
      switch (receipt.status) {
        case 'failed':
          return {
            title: `Refund that failed ${receipt.number}`,
            lead: `${amount} could not be returned to ${card}. It is in your credits again.`,
            note: whyRefundFailed(receipt.reason),
          }
        case 'requested':
          return {
            title: `Refund ${receipt.number}`,
            lead: `${amount} will be returned to ${card}.`,
            note: `It has been asked for. Once it is sent, banks take ${REFUND_DAYS} to show it.`,
          }
        case 'pending':
        case 'succeeded':
          return {
            title: `Refund receipt ${receipt.number}`,
            lead: `${amount} returned to ${card}.`,
            note: `Banks take ${REFUND_DAYS} to show it. It may stand there as a credit, or the payment may disappear from the statement.`,
          }
      }
    })()
    return {
      ...slip({
        title,
        at: receipt.requested_at,
        seller: receipt.seller,
        page: `${publicUrl}/topups/${receipt.topup_id}`,
      }),
      lead,
      blocks: [
        { rows: refundReceiptLines(receipt, timeIn(receipt.buyer.time_zone)) },
        {
          amounts: [
            { name: 'You had paid, in US dollars', amount: displayAmount(receipt.paid) },
            { name: receipt.status === 'failed' ? 'Not returned' : `Returned to ${card}`, amount, total: true },
          ],
        },
        note,
      ],
    }
  }

  return {
    /** Null: no such top-up of this customer. */
    receipt: payments.receipt,

    /** The same as a PDF. */
    async receiptPdf(accountId: bigint, topupId: string): Promise<Buffer | 'not_credited' | null> {
      const receipt = await payments.receipt(accountId, topupId)
      return receipt === null || receipt === 'not_credited' ? receipt : print(receiptSlip(receipt))
    },

    /** Null: no such refund of this customer. */
    async refundPdf(accountId: bigint, refundId: string): Promise<Buffer | null> {
      const receipt = await payments.refundReceipt(accountId, refundId)
      return receipt && print(refundSlip(receipt))
    },
  }
}
