/** The letters of this room. */
import type pg from 'pg'
import { cardBrandName } from '../../contract/cards.ts'
import { displayAmount, printAmount, type Usd } from '../../contract/money.ts'
import type { Ledger } from '../ledger/ledger.ts'
import { printId } from '../platform/ids.ts'
import type { Letter } from '../platform/letter.ts'
import type { Log } from '../platform/log.ts'
import type { Outbox } from '../platform/mail.ts'
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
