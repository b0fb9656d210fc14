/**
 * The letters about payments on chains: what arrived, what it became, what a chain took back. Each in the transaction of its fact, once.
 * Money comes first: a letter that cannot be written is reported and left out, and the fact stands.
 */
import type pg from 'pg'
import { displayAmount, micros, printAmount, type Usd } from '../../../contract/money.ts'
import { basisWords } from '../../../contract/receipts.ts'
import type { AccountBalance, Ledger } from '../../ledger/ledger.ts'
import { printId } from '../../platform/ids.ts'
import type { Block, Letter } from '../../platform/letter.ts'
import type { Log } from '../../platform/log.ts'
import type { Outbox } from '../../platform/mail.ts'
import { dayIn } from '../../platform/time-words.ts'
import { assetOf, networkOf, printUnits } from './assets.ts'
import type { CreditLetters } from './credits.ts'
import { type Payment, requiredOf } from './life.ts'

type Reader = { address: string; username: string; time_zone: string }

/** Whom a receipt may be sent to, unless he does not want any; and whom what happened to his money is told anyhow. */
const RECEIPT_READER = 'select address, username, time_zone from receipt_reader($1)'
const ANY_READER = 'select mail_address_of(id) as address, username, time_zone from accounts where id = $1'

export function createCryptoLetters(settings: {
  mail: Outbox
  ledger: Ledger
  log: Log
  publicUrl: string
}): CreditLetters {
  const { mail, ledger, log, publicUrl } = settings

  async function write(
    tx: pg.PoolClient,
    payment: Payment,
    of: { once: string; reader: string },
    words: (reader: Reader, balance: AccountBalance) => Omit<Letter, 'why'>,
  ): Promise<void> {
    await tx.query('savepoint letter')
    try {
      const { rows } = await tx.query<Reader>(of.reader, [payment.accountId])
      const reader = rows[0]
      const balance = reader?.address ? await ledger.balance(tx, payment.accountId!) : null
      if (reader && balance) {
        await mail.send(tx, {
          to: reader.address,
          letter: {
            ...words(reader, balance),
            why: `You get this mail because a payment arrived for a top-up of the account ${reader.username}.`,
          },
          accountId: payment.accountId!,
          once: `${of.once}:${payment.id}:${payment.round}`,
        })
      }
      await tx.query('release savepoint letter')
    } catch (error) {
      await tx.query('rollback to savepoint letter')
      log.error(
        { err: error, payment: payment.id },
        'A letter about a payment on a chain could not be written; what it tells is done',
      )
    }
  }

  const topupButton = (payment: Payment): Block => ({
    button: 'Open the top-up',
    href: `${publicUrl}/topups/${printId('top', payment.topupId!)}`,
  })

  return {
    credited(tx, payment) {
      return write(tx, payment, { once: 'crypto-credited', reader: RECEIPT_READER }, (_, balance) => {
        const worth = shown(payment.worth!)
        const again = payment.round > 1
        const owed = balance.owed > 0n ? ` You still owe ${shown(balance.owed)}.` : ''
        return {
          subject: again ? `Credited again: ${worth}` : `Receipt: ${worth} added`,
          blocks: [
            `${again ? `Your payment is on the chain again, so its ${worth} are yours again.` : `${worth} added.`} You have ${shown(balance.available)} to spend.${owed}`,
            { rows: rowsOf(payment) },
            { rows: amountsOf(payment) },
            {
              button: 'Open the receipt',
              href: `${publicUrl}/topups/${printId('top', payment.topupId!)}/receipt`,
            },
            'Credits are deducted only when a code arrives for a number you ordered.',
          ],
          canSwitchOff: true,
        }
      })
    },

    reversed(tx, payment) {
      return write(tx, payment, { once: 'crypto-reversed', reader: ANY_READER }, (_, balance) => {
        const worth = shown(payment.worth!)
        const network = networkOf(payment.chain).title
        const because =
          payment.replacedHeight !== null
            ? 'Another transaction that spends the same coins stands there instead.'
            : 'The network exchanged its newest blocks, and your payment is in none of them.'
        const now =
          balance.owed > 0n
            ? `You had spent some of it, so you owe ${shown(balance.owed)}; the next credit pays it first.`
            : `You have ${shown(balance.available)} to spend.`
        return {
          subject: `Taken back: ${worth}, your payment is gone from the chain`,
          blocks: [
            `Your payment of ${coins(payment)} was credited, and is not on the ${network} chain any more. ${because} We took the ${worth} back. ${now}`,
            { rows: rowsOf(payment) },
            topupButton(payment),
            `${whatNow(payment)} Should the payment be confirmed after all, it is credited again by itself.`,
          ],
        }
      })
    },

    late(tx, payment) {
      return write(tx, payment, { once: 'crypto-late', reader: ANY_READER }, () => {
        const worth = shown(payment.worth!)
        const required = requiredOf(payment)
        return {
          subject: `Your payment came after its rate had ended: it will be ${worth}`,
          blocks: [
            `${coins(payment)} arrived after the rate that we had held for you ran out. Nothing is lost: it counts at the rate of its block, and is credited as ${worth} after ${required} confirmations.`,
            { rows: rowsOf(payment) },
            { rows: amountsOf(payment) },
            topupButton(payment),
          ],
        }
      })
    },

    gone(tx, payment) {
      return write(tx, payment, { once: 'crypto-gone', reader: ANY_READER }, (reader) => {
        const network = networkOf(payment.chain).title
        const because =
          payment.replacedHeight !== null
            ? 'Another transaction that spends the same coins was confirmed instead.'
            : 'The network exchanged its newest blocks, and your payment is in none of them.'
        return {
          subject: `Not credited: a payment of ${coins(payment)} is gone from the chain`,
          blocks: [
            `Your payment of ${coins(payment)}, first seen on ${dayIn(reader.time_zone, payment.firstSeenAt)}, had not been confirmed often enough, and is not on the ${network} chain any more. ${because} Nothing was credited for it, and nothing was taken from your credits.`,
            { rows: rowsOf(payment) },
            topupButton(payment),
            `${whatNow(payment)} Whatever arrives there is credited.`,
          ],
        }
      })
    },
  }
}

/** Coins that went elsewhere cannot be sent again. */
function whatNow({ replacedHeight }: Payment): string {
  return replacedHeight === null
    ? 'Look into your wallet: if it shows the coins as unspent, send them again to the same address.'
    : 'Your wallet shows where the coins went; you can pay anew, to the same address.'
}

function coins(payment: Payment): string {
  return `${printUnits(payment.units, assetOf(payment.asset).decimals)} ${payment.asset}`
}

function rowsOf(payment: Payment): { name: string; value: string }[] {
  return [
    { name: 'Received', value: coins(payment) },
    { name: 'Network', value: networkOf(payment.chain).title },
    { name: 'Transaction', value: payment.txid },
    ...(payment.height === null ? [] : [{ name: 'Block', value: String(payment.height) }]),
    { name: 'Top-up', value: printId('top', payment.topupId!) },
  ]
}

function amountsOf(payment: Payment): ({ name: string; amount: Usd } & { total?: boolean })[] {
  const { decimals } = assetOf(payment.asset)
  const parts = (payment.parts ?? []).map((part) => ({
    name: `${printUnits(part.units, decimals)} ${payment.asset} at ${shown(part.price)}, ${basisWords(part.basis)}`,
    amount: part.value,
  }))
  const residue = payment.worth! - payment.value!
  return [
    ...parts,
    ...(residue > 0n ? [{ name: 'Rounded up to the cent', amount: micros(residue) }] : []),
    { name: 'Prepaid credits', amount: payment.worth!, total: true },
  ]
}

function shown(amount: Usd): string {
  return displayAmount(printAmount(amount))
}
