/**
 * The letters of this room: what became of a customer's money, each written in the transaction of its fact, once. Money comes first: a
 * letter that cannot be written is reported and left out, and the fact stands.
 */
import type pg from 'pg'
import type { RefundReceipt } from '../../contract/contract.ts'
import { displayAmount, printAmount, usd } from '../../contract/money.ts'
import { cardWords, REFUND_DAYS, receiptLines, refundReceiptLines, whyRefundFailed } from '../../contract/receipts.ts'
import type { Ledger } from '../ledger/ledger.ts'
import { printId } from '../platform/ids.ts'
import type { Block, Letter } from '../platform/letter.ts'
import type { Log } from '../platform/log.ts'
import type { Outbox } from '../platform/mail.ts'
import { dayIn, timeIn } from '../platform/time-words.ts'
import { receiptOf, refundReceiptOf, type SellerSettings } from './receipt.ts'
import type { RefundRow } from './refund.ts'
import type { TopupRow } from './topup.ts'

export type Letters = ReturnType<typeof createLetters>

type Reader = { address: string; username: string; time_zone: string }

/** How long banks go on showing an amount that was let go. Unit: days. Source: Stripe's documentation, "authorisation holds". */
const SHOWN_DAYS = 7

export function createLetters(settings: {
  mail: Outbox
  ledger: Ledger
  log: Log
  publicUrl: string
  seller: SellerSettings
  /** Whether the house takes coins, too; who was refused a card is told. */
  takesCrypto: boolean
}) {
  const { mail, ledger, log, publicUrl } = settings

  /** `written`: null where this fact has no letter. */
  async function write(
    tx: pg.PoolClient,
    of: { accountId: bigint; once: string; failed: string },
    written: (reader: Reader) => Promise<Letter | null>,
  ): Promise<void> {
    await tx.query('savepoint letter')
    try {
      const { rows } = await tx.query<Reader>('select address, username, time_zone from receipt_reader($1)', [
        of.accountId,
      ])
      const reader = rows[0]
      const letter = reader && (await written(reader))
      if (letter) await mail.send(tx, { to: reader.address, letter, accountId: of.accountId, once: of.once })
    } catch (error) {
      await tx.query('rollback to savepoint letter')
      log.error({ err: error, about: of.once }, of.failed)
    }
  }

  return {
    /** The receipt of a top-up that was just credited. */
    receipt(tx: pg.PoolClient, topup: TopupRow): Promise<void> {
      const of = {
        accountId: topup.accountId,
        once: `receipt:${printId('top', topup.id)}`,
        failed: 'A receipt could not be written; its top-up is credited all the same',
      }
      return write(tx, of, async (reader) => {
        const receipt = await receiptOf(tx, topup, settings.seller)
        const { available } = (await ledger.balance(tx, topup.accountId))!
        const added = displayAmount(receipt.credits)
        return {
          subject: `Receipt: ${added} added`,
          blocks: [
            `${added} added. You have ${displayAmount(printAmount(available))} to spend.`,
            { rows: receiptLines(receipt, timeIn(reader.time_zone)) },
            {
              rows: [
                { name: 'Taken from your card, in US dollars', amount: topup.amount },
                { name: 'Prepaid credits added', amount: topup.amount, total: true },
              ],
            },
            { button: 'Open the receipt', href: `${publicUrl}/topups/${receipt.topup_id}/receipt` },
            ...(receipt.tax_note === null ? [] : [receipt.tax_note]),
            `${receipt.terms} The refund policy of ${receipt.terms_version} applies: ${publicUrl}/refund-policy?version=${receipt.terms_version}`,
            'Credits are deducted only when a code arrives for a number you ordered.',
          ],
          why: `You get this receipt because credits were bought for the account ${reader.username}.`,
          canSwitchOff: true,
        }
      })
    },

    /** The bank has said yes, we did not take the money, and now it has been let go. */
    released(tx: pg.PoolClient, topup: TopupRow): Promise<void> {
      const of = {
        accountId: topup.accountId,
        once: `released:${printId('top', topup.id)}`,
        failed: 'The notice of a payment that was let go could not be written',
      }
      return write(tx, of, async (reader) => {
        const amount = displayAmount(printAmount(topup.amount))
        const card = topup.card ? cardWords(topup.card) : 'your card'
        const { rows } = await tx.query<{ now: Date }>('select house_now() as now')
        const { now } = rows[0]!
        const gone = new Date(now.getTime() + SHOWN_DAYS * 86_400_000)
        return {
          subject: `No money was taken: ${amount}`,
          blocks: [
            `We took nothing from ${card}. ${whyReleased(topup)}`,
            `Your bank may still show ${amount} as pending. We told it on ${timeIn(reader.time_zone)(now.toISOString())} that we do not want the money; most banks stop showing it within a few days, and by ${dayIn(reader.time_zone, gone)} it should be gone. You need not do anything.`,
            { rows: [{ name: 'Top-up', value: printId('top', topup.id) }] },
            { button: 'Open the top-up', href: `${publicUrl}/topups/${printId('top', topup.id)}` },
            settings.takesCrypto
              ? `Try a card that asks you to confirm in your banking app, or pay ${amount} with crypto.`
              : 'Try a card that asks you to confirm in your banking app.',
          ],
          why: `You get this notice because a card was used for the account ${reader.username}.`,
          canSwitchOff: true,
        }
      })
    },

    /**
     * What became of a refund to the card, as its row says now: that the money is on its way, or that the refund failed. Call it in the
     * transaction of every change of its status; whatever was written is not written again.
     */
    refund(tx: pg.PoolClient, { refund, topup }: { refund: RefundRow; topup: TopupRow }): Promise<void> {
      const failed = refund.status === 'failed'
      const of = {
        accountId: refund.accountId,
        once: `refund:${printId('ref', refund.id)}:${failed ? 'failed' : 'sent'}`,
        failed: 'The letter of a refund could not be written; the refund stands',
      }
      return write(tx, of, async (reader) => {
        if (refund.status === 'requested') return null
        const receipt = await refundReceiptOf(tx, { refund, topup }, settings.seller)
        const { available } = (await ledger.balance(tx, refund.accountId))!
        const amount = displayAmount(receipt.amount)
        const lines: Block = { rows: refundReceiptLines(receipt, timeIn(reader.time_zone)) }
        const amounts: Block = {
          rows: [
            { name: 'You had paid', amount: usd(receipt.paid) },
            { name: `Returned to ${cardWords(receipt.card)}`, amount: refund.amount, total: true },
          ],
        }
        const letter = {
          why: `You get this because of a top-up of the account ${reader.username}.`,
          canSwitchOff: true,
        }
        if (failed)
          return {
            ...letter,
            subject: `Refund of ${amount} failed: the money is back in your credits`,
            blocks: [
              `${amount} could not be returned to ${cardWords(receipt.card)}. ${whyRefundFailed(refund.reason)} The money is yours again: you have ${displayAmount(printAmount(available))} to spend.`,
              lines,
              { button: 'Open the top-up', href: `${publicUrl}/topups/${receipt.topup_id}` },
              `You can spend it, or write to ${receipt.seller.support_email} for another way to return it.`,
            ],
          }
        return {
          ...letter,
          subject: `Refund: ${amount} is on its way to ${cardWords(receipt.card)}`,
          blocks: [
            `${amount} is on its way back to ${cardWords(receipt.card)}. ${whenShown(receipt, reader.time_zone)}`,
            lines,
            amounts,
            {
              button: 'Open the refund receipt',
              href: `${publicUrl}/api/v1/receipts/refunds/${receipt.refund_id}.pdf`,
            },
            receipt.reference === null
              ? 'Your bank may show it as a credit, or make the payment disappear from the statement.'
              : `Should your bank not find it, give it the reference ${receipt.reference}.`,
          ],
        }
      })
    },
  }
}

function whenShown(receipt: RefundReceipt, timeZone: string): string {
  const by = receipt.expected_by === null ? '' : `, by ${dayIn(timeZone, new Date(receipt.expected_by))}`
  return `Banks take ${REFUND_DAYS} to show it${by}.`
}

/** As coarse as on the page: a thief learns nothing from it. */
function whyReleased({ reason }: TopupRow): string {
  switch (reason) {
    case 'wallet_without_3ds':
      return 'The wallet paid without asking you to confirm (3-D Secure), and we accept confirmed payments only.'
    case 'expired':
      return 'Your bank had said yes, and let the payment go before it was taken.'
    case 'verification_failed':
    case 'abandoned':
      return 'The confirmation was not finished.'
    case 'bank_unavailable':
      return 'Your bank’s check did not answer.'
    default:
      return 'Your bank had said yes without asking you to confirm (3-D Secure), and we accept confirmed payments only.'
  }
}
