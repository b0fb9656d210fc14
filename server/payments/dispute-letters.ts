/** The letters about disputes and warnings: what happened, what it did to the credits, what can be done. */
import type pg from 'pg'
import { cardBrandName } from '../../contract/cards.ts'
import { displayAmount, micros, printAmount, type Usd } from '../../contract/money.ts'
import type { AccountBalance, Ledger } from '../ledger/ledger.ts'
import { printId } from '../platform/ids.ts'
import type { Letter } from '../platform/letter.ts'
import type { Log } from '../platform/log.ts'
import type { Outbox } from '../platform/mail.ts'
import { type DisputeRow, reasonInWords, type WarningRow } from './dispute.ts'
import type { TopupRow } from './topup.ts'

type Reader = { address: string; username: string; time_zone: string }

export type DisputeLetters = ReturnType<typeof createDisputeLetters>

/**
 * Written in the transaction of what they tell, once for each turn that a dispute takes. Money comes first: a letter that cannot be
 * written is reported and left out, and what it would have told is done all the same.
 */
export function createDisputeLetters(settings: { mail: Outbox; ledger: Ledger; log: Log; publicUrl: string }) {
  const { mail, ledger, log, publicUrl } = settings

  async function send(
    tx: pg.PoolClient,
    topup: TopupRow,
    once: string,
    write: (of: {
      balance: AccountBalance
      payment: string
      rows: { name: string; value: string }[]
    }) => Omit<Letter, 'why'>,
  ): Promise<void> {
    await tx.query('savepoint letter')
    try {
      const { rows } = await tx.query<Reader>(
        'select mail_address_of(id) as address, username, time_zone from accounts where id = $1',
        [topup.accountId],
      )
      const reader = rows[0]
      if (reader) {
        const balance = (await ledger.balance(tx, topup.accountId))!
        const letter = write({ balance, payment: paymentOf(topup, reader.time_zone), rows: rowsOf(topup, reader) })
        await mail.send(tx, {
          to: reader.address,
          letter: {
            ...letter,
            why: `You get this mail because it is about the money of your account ${reader.username}.`,
          },
          accountId: topup.accountId,
          once,
        })
      }
      await tx.query('release savepoint letter')
    } catch (error) {
      await tx.query('rollback to savepoint letter')
      log.error({ err: error, topup: topup.id }, 'A letter about a dispute could not be written; what it tells is done')
    }
  }

  const button = (topup: TopupRow) => ({
    button: 'Open the top-up',
    href: `${publicUrl}/topups/${printId('top', topup.id)}`,
  })

  return {
    /** `reopened`: it had been over. */
    dispute(
      tx: pg.PoolClient,
      topup: TopupRow,
      dispute: DisputeRow,
      { reopened }: { reopened: boolean },
    ): Promise<void> {
      const once = `dispute:${dispute.id}:${dispute.stripeStatus === 'prevented' ? 'prevented' : dispute.state}:${dispute.kind}:${dispute.round}`
      return send(tx, topup, once, ({ balance, payment, rows }) => {
        const words =
          dispute.state === 'frozen'
            ? openedWords(dispute, payment, balance, reopened)
            : dispute.state === 'taken'
              ? takenWords(dispute, payment, balance)
              : releasedWords(dispute, payment, balance)
        return { subject: words.subject, blocks: [...words.paragraphs, { rows }, button(topup)] }
      })
    },

    warning(
      tx: pg.PoolClient,
      topup: TopupRow,
      warning: WarningRow,
      what: 'opened' | 'closed' | 'released',
    ): Promise<void> {
      return send(tx, topup, `warning:${warning.id}:${what}:${warning.round}`, ({ balance, payment, rows }) => {
        const words = warningWords(warning, payment, balance, what)
        return { subject: words.subject, blocks: [...words.paragraphs, { rows }, button(topup)] }
      })
    },
  }
}

type Words = { subject: string; paragraphs: string[] }

function openedWords(dispute: DisputeRow, payment: string, balance: AccountBalance, reopened: boolean): Words {
  const { amount, covered, kind } = dispute
  const disputed = shown(amount)
  const says = `The bank says: ${reasonInWords(dispute.reason)}.`
  const began =
    kind === 'inquiry'
      ? `Your bank asks about ${payment}. ${says} No money has moved; the bank may still take back ${disputed}.`
      : reopened
        ? `The dispute about ${payment} is open again, about ${disputed}. ${says}`
        : `Your bank disputes ${disputed} of ${payment}. ${says}`
  const frozen =
    covered === 0n
      ? 'Nothing of your credits is frozen, because nothing of this payment is left.'
      : `Until the bank has decided, ${shown(covered)} of your credits is frozen: it cannot be spent, and is not gone.`
  return {
    subject:
      kind === 'inquiry'
        ? `Your bank asks about ${disputed}`
        : reopened
          ? `A dispute about ${disputed} is open again`
          : `Your bank disputes ${disputed}`,
    paragraphs: [
      began,
      frozen + spentBefore(dispute),
      `${mayDo(balance)} Until it is decided, no card is taken for a top-up, and nothing of this one can be returned to the card.`,
      'If you know nothing of it, or it is a mistake, tell your bank: it can take it back, and then everything is yours again. We send the bank what shows that the payment was in order.',
    ],
  }
}

function takenWords(dispute: DisputeRow, payment: string, balance: AccountBalance): Words {
  const { amount, covered } = dispute
  const prevented = dispute.stripeStatus === 'prevented'
  const taken = prevented
    ? `Your bank paid ${shown(amount)} of ${payment} back to the card, with our money.`
    : `The dispute is over: your bank took back ${shown(amount)} of ${payment}.`
  const gone =
    covered === 0n
      ? 'Nothing of your credits is gone for it, because nothing of this payment was left.'
      : `${shown(covered)} of your credits is gone for it.`
  return {
    subject: prevented ? `Your bank paid back ${shown(amount)}` : `Your bank took back ${shown(amount)}`,
    paragraphs: [
      `${taken} The bank says: ${reasonInWords(dispute.reason)}.`,
      gone + (balance.owed > 0n ? owedWords(balance.owed) : ''),
      prevented ? mayDo(balance) : `${mayDo(balance)} We take no more cards for top-ups of this account.`,
      prevented
        ? 'If you had not asked your bank for it, ask it now: it may know more than we do.'
        : 'If you think that this is wrong, or want to pay what is missing, write to us at the address below: a person reads it.',
    ],
  }
}

function releasedWords(dispute: DisputeRow, payment: string, balance: AccountBalance): Words {
  const { kind, stripeStatus } = dispute
  const over =
    stripeStatus === 'prevented'
      ? `Your bank was about to dispute ${payment}, and has let it be.`
      : kind === 'inquiry'
        ? `Your bank asked about ${payment}, and has closed its question.`
        : `The dispute about ${payment} is over, and the bank has decided that the payment was in order.`
  return {
    subject:
      kind === 'inquiry' ? 'Your bank has closed its question' : 'The dispute is over: your credits are yours again',
    paragraphs: [
      `${over} Nothing is frozen for it any more.`,
      balance.owed > 0n ? owedWords(balance.owed).trim() : `You have ${shown(balance.available)} to spend.`,
      'There is nothing to do.',
    ],
  }
}

function warningWords(
  warning: WarningRow,
  payment: string,
  balance: AccountBalance,
  what: 'opened' | 'closed' | 'released',
): Words {
  if (what !== 'opened') {
    return {
      subject: 'Your credits are yours again',
      paragraphs: [
        `A bank had told us that ${payment} may not have been made by the cardholder. ${what === 'released' ? 'We looked at it' : 'That is settled'}, and nothing is frozen for it any more.`,
        `You have ${shown(balance.available)} to spend. There is nothing to do.`,
      ],
    }
  }
  return {
    subject: 'A bank has a question about your top-up',
    paragraphs: [
      `The bank of the card tells us that ${payment} may not have been made by the cardholder.`,
      warning.frozen === 0n
        ? 'Nothing is frozen: none of this payment is left to be kept.'
        : `Until we have looked at it, ${shown(warning.frozen)} that you had not spent is frozen: it cannot be spent, and is not gone. You owe nothing.`,
      `${mayDo(balance)} Until then no card is taken for a top-up.`,
      'If the card is yours and you made this payment, tell your bank so, and write to us at the address below.',
    ],
  }
}

/** What of the frozen credits had been spent before. */
function spentBefore({ shortfall }: DisputeRow): string {
  if (shortfall === 0n) return ''
  return ` Of it, ${shown(shortfall)} had been spent already: that is what you owe for now. What comes in pays it first, and until then no number can be ordered. If the bank decides that the payment was in order, you owe nothing for it.`
}

function owedWords(owed: Usd): string {
  return ` You owe ${shown(owed)}, because it had been spent already. What comes in pays it first, and until then no number can be ordered.`
}

/** What goes on as ever. */
function mayDo({ available, owed }: AccountBalance): string {
  if (owed > 0n) return 'You can sign in and read everything: your orders, their codes, the Billing History.'
  if (available === 0n) return 'You can sign in and read everything, and codes of open orders still arrive.'
  return `You can sign in and read everything, and spend the ${shown(available)} that is available.`
}

function paymentOf(topup: TopupRow, timeZone: string): string {
  const day = new Intl.DateTimeFormat('en-GB', { timeZone, day: 'numeric', month: 'short', year: 'numeric' })
  return `your top-up of ${shown(topup.amount)} by ${cardOf(topup)} of ${day.format(topup.creditedAt ?? topup.createdAt)}`
}

function rowsOf(topup: TopupRow, reader: Reader) {
  return [
    { name: 'Top-up', value: printId('top', topup.id) },
    { name: 'Card', value: cardOf(topup) },
    { name: 'Account', value: reader.username },
  ]
}

function cardOf(topup: TopupRow): string {
  return topup.card ? `${cardBrandName(topup.card.brand)} ${topup.card.last4}` : 'card'
}

function shown(amount: Usd): string {
  return displayAmount(printAmount(micros(amount)))
}
