/** The letters of this room. */
import type pg from 'pg'
import { cardBrandName } from '../../contract/cards.ts'
import { displayAmount, printAmount, type Usd } from '../../contract/money.ts'
import type { Ledger } from '../ledger/ledger.ts'
import { printId } from '../platform/ids.ts'
import type { Letter } from '../platform/letter.ts'
import type { Log } from '../platform/log.ts'
import type { Outbox } from '../platform/mail.ts'
import type { RefundRow } from './refund.ts'
import type { TopupRow } from './topup.ts'

type Reader = { address: string; username: string; time_zone: string; company: string | null; tax_id: string | null }

/**
 * Writes the receipt of a top-up that was just credited, in the transaction of its credit, once. Money comes first: a receipt that
 * cannot be written is reported and left out, and the credit stands.
 */
export function createReceipts(settings: { mail: Outbox; ledger: Ledger; log: Log; publicUrl: string }) {
  const { mail, ledger, log } = settings

  async function write(tx: pg.PoolClient, topup: TopupRow): Promise<void> {
    const { rows } = await tx.query<Reader>('select * from receipt_reader($1)', [topup.accountId])
    const reader = rows[0]
    if (!reader) return
    const balance = await ledger.balance(tx, topup.accountId)
    await mail.send(tx, {
      to: reader.address,
      letter: receipt({ topup, reader, available: balance!.available, publicUrl: settings.publicUrl }),
      accountId: topup.accountId,
      once: `receipt:${printId('top', topup.id)}`,
    })
  }

  return async (tx: pg.PoolClient, topup: TopupRow): Promise<void> => {
    await tx.query('savepoint receipt')
    try {
      await write(tx, topup)
    } catch (error) {
      await tx.query('rollback to savepoint receipt')
      log.error({ err: error, topup: topup.id }, 'A receipt could not be written; its top-up is credited all the same')
    }
  }
}

/**
 * Tells the customer of a refund that has just been sent, or that came back, in the transaction that says so, once each. Money comes
 * first here, too.
 */
export function createRefundLetters(settings: { mail: Outbox; log: Log; publicUrl: string }) {
  const { mail, log } = settings

  async function write(tx: pg.PoolClient, of: { refund: RefundRow; topup: TopupRow }): Promise<void> {
    const { rows } = await tx.query<Reader>('select * from receipt_reader($1)', [of.refund.accountId])
    const reader = rows[0]
    if (!reader) return
    await mail.send(tx, {
      to: reader.address,
      letter: refundLetter({ ...of, reader, publicUrl: settings.publicUrl }),
      accountId: of.refund.accountId,
      once: `refund:${printId('ref', of.refund.id)}:${of.refund.status}`,
    })
  }

  return async (tx: pg.PoolClient, of: { refund: RefundRow; topup: TopupRow }): Promise<void> => {
    await tx.query('savepoint letter')
    try {
      await write(tx, of)
    } catch (error) {
      await tx.query('rollback to savepoint letter')
      log.error(
        { err: error, refund: of.refund.id },
        'A letter about a refund could not be written; the refund goes on',
      )
    }
  }
}

function refundLetter(of: { refund: RefundRow; topup: TopupRow; reader: Reader; publicUrl: string }): Letter {
  const { refund, topup, reader } = of
  const amount = displayAmount(printAmount(refund.amount))
  const card = topup.card ? `${cardBrandName(topup.card.brand)} ${topup.card.last4}` : 'Card'
  const failed = refund.status === 'failed'
  const optional = (name: string, value: string | null) => (value === null ? [] : [{ name, value }])
  return {
    subject: failed ? `${amount} could not be sent back` : `${amount} sent back to your card`,
    blocks: [
      failed
        ? `${amount} could not be sent back to your card. The money is on your balance again, and you can spend it or try again.`
        : `${amount} is on its way to your card. Banks take 5 to 10 business days to show it.`,
      {
        rows: [
          { name: failed ? 'Not sent to' : 'Sent to', value: card },
          { name: failed ? 'Failed' : 'Sent', value: timeIn(reader.time_zone, refund.endedAt!) },
          { name: 'Return', value: printId('ref', refund.id) },
          { name: 'Top-up', value: printId('top', topup.id) },
          ...optional('Reference for your bank', refund.reference),
          { name: 'Account', value: reader.username },
        ],
      },
      { button: 'Open the Billing History', href: `${of.publicUrl}/billing` },
    ],
    why: `You get this mail because credits of the account ${reader.username} were returned.`,
    canSwitchOff: true,
  }
}

function receipt(of: { topup: TopupRow; reader: Reader; available: Usd; publicUrl: string }): Letter {
  const { topup, reader } = of
  const added = displayAmount(printAmount(topup.amount))
  const optional = (name: string, value: string | null) => (value === null ? [] : [{ name, value }])
  return {
    subject: `Receipt: ${added} added`,
    blocks: [
      `${added} added. You have ${displayAmount(printAmount(of.available))} to spend.`,
      {
        rows: [
          { name: 'Paid by', value: topup.card ? `${cardBrandName(topup.card.brand)} ${topup.card.last4}` : 'Card' },
          { name: 'Credited', value: timeIn(reader.time_zone, topup.creditedAt!) },
          { name: 'Top-up', value: printId('top', topup.id) },
          { name: 'Account', value: reader.username },
          ...optional('Company', reader.company),
          ...optional('Tax id', reader.tax_id),
        ],
      },
      {
        rows: [
          { name: 'Taken from your card', amount: topup.amount },
          { name: 'Prepaid credits added', amount: topup.amount, total: true },
        ],
      },
      { button: 'Open the Billing History', href: `${of.publicUrl}/billing` },
      'Credits do not expire. They are deducted only when a code arrives for a number you ordered.',
    ],
    why: `You get this receipt because credits were bought for the account ${reader.username}.`,
    canSwitchOff: true,
  }
}

/** `23 Nov 2026, 14:02:09 (Europe/Berlin)`. */
function timeIn(timeZone: string, time: Date): string {
  const date = new Intl.DateTimeFormat('en-GB', {
    timeZone,
    day: 'numeric',
    month: 'short',
    year: 'numeric',
    hour: '2-digit',
    minute: '2-digit',
    second: '2-digit',
    hourCycle: 'h23',
  })
  return `${date.format(time)} (${timeZone})`
}
