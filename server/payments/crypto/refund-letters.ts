/** The letters about money that goes back by a chain: each step of it, once. */
import type pg from 'pg'
import { displayAmount, printAmount } from '../../../contract/money.ts'
import type { Ledger } from '../../ledger/ledger.ts'
import { printId } from '../../platform/ids.ts'
import type { Letter } from '../../platform/letter.ts'
import type { Log } from '../../platform/log.ts'
import type { Outbox } from '../../platform/mail.ts'
import { timeIn } from '../../platform/time-words.ts'
import { assetOf, networkOf, printUnits } from './assets.ts'
import type { CryptoRefundRow } from './refund-row.ts'

export type CryptoRefundLetters = ReturnType<typeof createCryptoRefundLetters>

type Reader = { address: string; username: string; time_zone: string }

/** Money comes first: a letter that cannot be written is reported and left out, and what it would have told is done all the same. */
export function createCryptoRefundLetters(settings: {
  mail: Outbox
  ledger: Ledger
  log: Log
  publicUrl: string
  supportEmail: string
}) {
  const { mail, ledger, log, publicUrl } = settings

  return {
    /** As its row says now. Call it in the transaction of every change of its status; whatever was written is not written again. */
    async refund(tx: pg.PoolClient, refund: CryptoRefundRow): Promise<void> {
      await tx.query('savepoint letter')
      try {
        const { rows } = await tx.query<Reader>('select address, username, time_zone from receipt_reader($1)', [
          refund.accountId,
        ])
        const reader = rows[0]
        if (reader)
          await mail.send(tx, {
            to: reader.address,
            letter: {
              ...(await words(tx, refund, reader)),
              why: `You get this because of a top-up of the account ${reader.username}.`,
              canSwitchOff: true,
            },
            accountId: refund.accountId,
            // A refund is paid anew where its first transaction vanished; that is told, too.
            once: `refund:${printId('ref', refund.id)}:${refund.status}:${refund.transactionId ?? ''}`,
          })
        await tx.query('release savepoint letter')
      } catch (error) {
        await tx.query('rollback to savepoint letter')
        log.error({ err: error, refund: refund.id }, 'The letter of a refund could not be written; the refund stands')
      }
    },
  }

  async function words(
    tx: pg.PoolClient,
    refund: CryptoRefundRow,
    reader: Reader,
  ): Promise<Pick<Letter, 'subject' | 'blocks'>> {
    const amount = displayAmount(printAmount(refund.amount))
    const network = networkOf(refund.chain).title
    const time = timeIn(reader.time_zone)
    const coins =
      refund.units === null ? null : `${printUnits(refund.units, assetOf(refund.asset).decimals)} ${refund.asset}`
    const lines = [
      { name: 'Asked for', value: time(refund.requestedAt.toISOString()) },
      { name: 'To the address', value: refund.address, mono: true as const },
      { name: 'Network', value: network },
      ...(coins === null ? [] : [{ name: 'Sent', value: coins }]),
      ...(refund.transactionId === null
        ? []
        : [{ name: 'Transaction', value: refund.transactionId, mono: true as const }]),
      { name: 'Refund', value: printId('ref', refund.id), mono: true as const },
      { name: 'Top-up', value: printId('top', refund.topupId), mono: true as const },
    ]
    const rest = [
      { rows: lines },
      { button: 'Open the top-up', href: `${publicUrl}/topups/${printId('top', refund.topupId)}` },
    ]
    switch (refund.status) {
      case 'requested':
        return {
          subject: `You asked for ${amount} back`,
          blocks: [
            `You asked for ${amount} of a top-up back, in ${refund.asset} on ${network}. ${amount} is held from now on. A person looks at it, usually within a day, and then it is paid.`,
            ...rest,
            `Was that not you? Write to ${settings.supportEmail} at once: nothing has been paid yet.`,
          ],
        }
      case 'approved':
        return {
          subject: `${amount} will be sent back to you`,
          blocks: [
            `We agreed to send ${amount} back, in ${refund.asset} on ${network}. How much ${refund.asset} that is, the rate decides when it is paid; the network’s fee is ours.`,
            ...rest,
          ],
        }
      case 'sent':
        return {
          subject: `${coins} is on its way to you`,
          blocks: [
            `We sent ${coins} on ${network}: ${amount} at the rate when it was paid. Your wallet shows it when the network has confirmed it; after ${refund.confirmationsRequired} blocks it is final for us, too.`,
            ...rest,
          ],
        }
      case 'succeeded':
        return {
          subject: `${amount} was sent back to you`,
          blocks: [`${coins} arrived at your address on ${network}, and ${amount} left your credits for it.`, ...rest],
        }
      case 'declined':
      case 'failed': {
        const { available } = (await ledger.balance(tx, refund.accountId))!
        return {
          subject: `${amount} was not sent back: the money is in your credits`,
          blocks: [
            refund.status === 'declined'
              ? `We did not send ${amount} back.${refund.note === null ? '' : ` ${refund.note}`}`
              : `The transaction by which we sent ${amount} was never confirmed by the network.${refund.note === null ? '' : ` ${refund.note}`}`,
            `The money is yours to spend: you have ${displayAmount(printAmount(available))}. You can ask for it again.`,
            ...rest,
            `Questions: ${settings.supportEmail}.`,
          ],
        }
      }
    }
  }
}
