/**
 * Settle: find out at the card company what became of a top-up, and act on it. Called by the return page, by webhooks and by the
 * sweeper, at once, twice, late; it may die anywhere.
 *
 * One *look* at a top-up is made at a time. A look is claimed, then asks and acts (outside any transaction), and records each thing
 * that it learns or decides before it acts on it:
 *
 *   claim ─ read the session ─┬─ authorised: judge (gate.ts) ─┬─ decided to take    ─ capture ─ credit
 *                             │                               └─ decided to refuse  ─ cancel
 *                             ├─ taken ────────────────────────────────────────────────────── credit
 *                             ├─ open, and its time is over: expire it, read again
 *                             └─ ended
 *
 * A look that died is taken over when its claim runs out. The successor reads first and repeats calls with the same keys, so
 * whatever happened is found, and what happens twice happens once. What a look wants to write after it was taken over is refused by
 * its number. Decisions stand: once taking is decided nobody lets go, and the other way round, whatever the settings say later.
 */
import type pg from 'pg'
import type { TopupReason } from '../../../contract/contract.ts'
import { MICROS_PER_CENT } from '../../../contract/money.ts'
import type { Ledger } from '../../ledger/ledger.ts'
import type { Announce } from '../../platform/announce.ts'
import type { Database, Queryable } from '../../platform/db.ts'
import { derivedId } from '../../platform/ids.ts'
import type { Log } from '../../platform/log.ts'
import type { Letters } from '../letters.ts'
import { isEnded, readRow, TOPUP_COLUMNS, type TopupRow } from '../topup.ts'
import { judge } from './gate.ts'
import {
  createLooks,
  type Found,
  NEXT_LOOK_AFTER_ALARM_SECONDS,
  NEXT_TRY_SECONDS,
  over,
  type Next as Step,
  waitOneMore,
} from './looks.ts'
import { type CardCompany, KEY_REFUSED, type PaymentIntent, referenceOf, type Session } from './stripe.ts'

/** Who wants to know. The customer who is back from the payment page has left it, and an unfinished confirmation with it. */
export type Asker = 'start' | 'return' | 'event' | 'sweeper'

export type Settled = Found<TopupRow>

/** In SQL what `isEnded` says: the sweeper has nothing to look for, however the last look came to its end. */
const ENDED = `(status = 'credited' or (status in ('refused', 'expired') and not release_due))`

type Next = Step<TopupRow>

export function createSettle(settings: {
  database: Database
  ledger: Ledger
  announce: Announce
  log: Log
  card: CardCompany
  livemode: boolean
  acceptAttempted: boolean
  /** Written in the transaction of what they tell. They never throw for a reason of their own. */
  letters: Pick<Letters, 'receipt' | 'released'>
  /** Notes the cards that were tried; true: no more shall be tried on this payment page. */
  watch: (topup: TopupRow, intent: PaymentIntent | null) => Promise<{ close: boolean }>
}) {
  const { ledger, announce, card } = settings
  const looks = createLooks({
    ...settings,
    table: 'topups',
    columns: TOPUP_COLUMNS,
    readRow,
    ended: ENDED,
    changed: (row) => announce.publish({ what: 'topup', accountId: row.accountId, id: row.id }),
  })
  // Lock order within a record: the top-up's row, what is unique outside, the ledger's account.
  const { record } = looks

  /**
   * Looks, or waits for a look that began after this call did; at most `waitMs`, then tells what is known. Null: no such top-up.
   * A look of one's own is not cut short by `waitMs`.
   */
  function settle(topupId: string, asker: Asker, waitMs: number): Promise<Settled | null> {
    return looks.look(topupId, {
      waitMs,
      enough: (row) =>
        (isEnded(row) && !mayReopen(row, asker)) ||
        (asker === 'start' && row.handedOut) ||
        // Before there is a payment page nothing can have happened; opening one is the work of `start` and of the sweeper.
        (row.sessionId === null && (asker === 'return' || asker === 'event')),
      step: (mine) => (mine.sessionId === null ? open(mine, asker) : advance(mine, asker)),
    })
  }

  /** Makes the call that was written down, and records the payment page before anybody hears of it. */
  async function open(mine: TopupRow, asker: Asker): Promise<Next> {
    if (isEnded(mine)) return over()
    if (asker !== 'start' && !mine.abandoned) return waitOneMore()
    const answer = await card.createSession(mine.id, mine.sessionCall)
    if (!answer.ok && answer.why === 'unknown') return unknown(mine, 'create_session', answer)
    if (!answer.ok) {
      // No page was opened, and none can be by this call: its time may have run out while Stripe was away.
      const alarm = mine.abandoned ? 'info' : 'error'
      settings.log[alarm]({ topup: mine.id, stripe: answer.message }, 'Stripe refused to open a payment page')
      await record(mine, (tx) => end(tx, mine, 'expired', null))
      return over()
    }
    const session = answer.value
    return {
      row: await record(mine, async (tx) => {
        await enter(tx, 'stripe:session', session.id, mine)
        await tx.query(`update topups set session_id = $2, checkout_url = $3, handed_out = $4 where id = $1`, [
          mine.id,
          session.id,
          session.url,
          asker === 'start',
        ])
      }),
    }
  }

  async function advance(mine: TopupRow, asker: Asker): Promise<Next> {
    if (asker === 'start') {
      if (mine.handedOut || mine.status !== 'awaiting_payment') return waitOneMore()
      return {
        row: await record(mine, (tx) => tx.query('update topups set handed_out = true where id = $1', [mine.id])),
      }
    }
    const answer = await card.readSession(mine.sessionId!)
    if (!answer.ok) {
      if (answer.why === 'refused') {
        alarm(mine, 'Stripe does not know the payment page of a top-up', { stripe: answer.message })
        return { ending: { nextSeconds: NEXT_LOOK_AFTER_ALARM_SECONDS, error: answer.message } }
      }
      return unknown(mine, 'read_session', answer)
    }
    return act(mine, asker, answer.value)
  }

  async function act(mine: TopupRow, asker: Asker, session: Session): Promise<Next> {
    const intent = typeof session.payment_intent === 'string' ? null : session.payment_intent
    const mustClose = await watch(mine, intent)
    if (intent?.status === 'succeeded') return taken(mine, session, intent)
    if (intent?.status === 'requires_capture') return authorised(mine, session, intent)
    if (session.status === 'expired' || intent?.status === 'canceled') return ended(mine, session, intent)
    return stillOpen(mine, asker, session, intent, mustClose)
  }

  /** Which cards were tried, for the limits; settling does not wait for what they cannot find out. */
  async function watch(mine: TopupRow, intent: PaymentIntent | null): Promise<boolean> {
    try {
      return (await settings.watch(mine, intent)).close
    } catch (error) {
      settings.log.error({ err: error, topup: mine.id }, 'The cards that were tried could not be noted')
      return false
    }
  }

  async function authorised(mine: TopupRow, session: Session, intent: PaymentIntent): Promise<Next> {
    if (mine.status === 'confirming') return capture(mine, session, intent)
    if (mine.releaseDue) return cancel(mine, intent)

    const wrong = differences(mine, session, intent)
    const verdict = judge(cardOf(intent), settings)
    if (wrong.length === 0 && verdict.take) {
      const row = await record(mine, async (tx) => {
        await enter(tx, 'stripe:payment_intent', intent.id, mine)
        await evidence(tx, mine, intent)
        await tx.query(
          `update topups set status = 'confirming', reason = null, bank_may_show_pending = false, ended_at = null where id = $1`,
          [mine.id],
        )
      })
      announce.publish({ what: 'balance', accountId: mine.accountId })
      return capture(row, session, intent)
    }

    if (wrong.length > 0) {
      alarm(mine, 'An authorised payment is not the one that was asked for; it is let go', { differs: wrong })
    } else if (!verdict.take && verdict.unheardOf) {
      alarm(mine, 'The bank verified a card in a way that this version does not know; the payment is let go', {
        payment_intent: intent.id,
      })
    }
    const reason = wrong.length > 0 || verdict.take ? 'not_verified' : verdict.reason
    const row = await record(mine, async (tx) => {
      await enter(tx, 'stripe:payment_intent', intent.id, mine)
      await evidence(tx, mine, intent)
      await end(tx, mine, 'refused', reason)
      await tx.query('update topups set release_due = true, bank_may_show_pending = true where id = $1', [mine.id])
    })
    return cancel(row, intent)
  }

  async function capture(mine: TopupRow, session: Session, intent: PaymentIntent): Promise<Next> {
    const answer = await card.capture(mine.id, intent.id)
    if (answer.ok) {
      if (answer.value.status === 'succeeded') return taken(mine, session, answer.value)
      return unknown(mine, 'capture', { code: 'not_succeeded', message: `It is ${answer.value.status}` })
    }
    if (answer.why === 'unknown') return unknown(mine, 'capture', answer)
    // It may have been taken before, or the authorisation lapsed: what is true now stands in the payment itself.
    return readAgain(mine, 'capture', intent, answer)
  }

  async function cancel(mine: TopupRow, intent: PaymentIntent): Promise<Next> {
    const answer = await card.cancel(mine.id, intent.id)
    if (!answer.ok && answer.why === 'unknown') return unknown(mine, 'cancel', answer)
    if (!answer.ok) return readAgain(mine, 'cancel', intent, answer)
    await record(mine, (tx) => released(tx, mine))
    return over()
  }

  /** The bank has been told for certain that we do not want the money. */
  async function released(tx: pg.PoolClient, mine: TopupRow): Promise<void> {
    await tx.query('update topups set release_due = false where id = $1', [mine.id])
    await settings.letters.released(tx, (await find(tx, mine.id))!)
  }

  /** The money is ours, so it becomes credit: here and nowhere else. */
  async function taken(mine: TopupRow, session: Session, intent: PaymentIntent): Promise<Next> {
    const charge = chargeOf(intent)
    const wrong = differences(mine, session, intent)
    if (intent.amount_received !== centsOf(mine)) wrong.push('amount_received')
    if (!charge) wrong.push('latest_charge')
    if (wrong.length > 0 || !charge) {
      alarm(mine, 'A payment was taken that is not the one that was asked for; somebody must decide', {
        differs: wrong,
        payment_intent: intent.id,
      })
      return { ending: { nextSeconds: NEXT_LOOK_AFTER_ALARM_SECONDS, error: `differs: ${wrong.join(', ')}` } }
    }
    if (mine.status !== 'confirming' && !judge(cardOf(intent), settings).take) {
      // Not by us: somebody took it at the card company itself. What was paid is owed to the customer all the same.
      alarm(mine, 'A payment without 3-D Secure was taken by another hand than ours; it is credited', {
        payment_intent: intent.id,
      })
    }
    await record(mine, async (tx) => {
      await enter(tx, 'stripe:payment_intent', intent.id, mine)
      await enter(tx, 'stripe:charge', charge.id, mine)
      await evidence(tx, mine, intent)
      await tx.query(
        `update topups
            set status = 'credited',
                reason = null,
                release_due = false,
                bank_may_show_pending = false,
                ended_at = null,
                taken_at = house_now(),
                credited_at = house_now()
          where id = $1`,
        [mine.id],
      )
      const [outcome] = await ledger.apply(tx, [
        {
          id: derivedId(mine.id, 'credit'),
          kind: 'credit',
          accountId: mine.accountId,
          code: 'topup_card',
          contra: 'card_clearing',
          amount: mine.amount,
          reference: mine.id,
        },
      ])
      if (!outcome!.done) throw new Error(`The ledger refuses the credit of top-up ${mine.id}: ${outcome!.result}`)
      await settings.letters.receipt(tx, (await find(tx, mine.id))!)
    })
    announce.publish({ what: 'balance', accountId: mine.accountId })
    return over()
  }

  async function ended(mine: TopupRow, session: Session, intent: PaymentIntent | null): Promise<Next> {
    if (mine.releaseDue) {
      await record(mine, (tx) => released(tx, mine))
      return over()
    }
    if (isEnded(mine)) return over()
    await record(mine, async (tx) => {
      if (intent) await evidence(tx, mine, intent)
      if (session.status === 'expired') {
        const reason = failureOf(intent) ?? mine.reason ?? (intent ? 'abandoned' : null)
        await end(tx, mine, reason ? 'refused' : 'expired', reason)
      } else {
        // Authorised once, and let go by the bank or at the card company before we could take it.
        await end(tx, mine, 'refused', 'expired')
        await tx.query('update topups set bank_may_show_pending = true where id = $1', [mine.id])
        await settings.letters.released(tx, (await find(tx, mine.id))!)
      }
    })
    if (mine.status === 'confirming') announce.publish({ what: 'balance', accountId: mine.accountId })
    return over()
  }

  async function stillOpen(
    mine: TopupRow,
    asker: Asker,
    session: Session,
    intent: PaymentIntent | null,
    mustClose: boolean,
  ): Promise<Next> {
    const left = asker === 'return' && intent?.status === 'requires_action'
    const reason = failureOf(intent) ?? (left ? 'abandoned' : mine.reason)
    const asked = intent !== null && mine.bankAskedAt === null
    const closed = session.status !== 'open' && mine.checkoutUrl !== null
    if (mine.status === 'awaiting_payment' && (reason !== mine.reason || asked || closed)) {
      mine = await record(mine, async (tx) => {
        if (intent) await noteAsked(tx, mine, intent)
        await tx.query(
          'update topups set reason = $2, checkout_url = case when $3 then null else checkout_url end where id = $1',
          [mine.id, reason, closed],
        )
      })
    }
    if (session.status !== 'open' || !(mine.overdue || mine.abandoned || mustClose)) return waitOneMore()
    const answer = await card.expireSession(mine.id, session.id)
    if (answer.ok) return ended(mine, { ...session, status: answer.value.status }, intent)
    if (answer.why === 'unknown') return unknown(mine, 'expire_session', answer)
    return readAgain(mine, 'expire_session', intent, answer)
  }

  async function readAgain(
    mine: TopupRow,
    call: string,
    intent: PaymentIntent | null,
    answer: { code: string; message: string },
  ): Promise<Next> {
    settings.log.warn(
      { topup: mine.id, payment_intent: intent?.id, call, stripe: answer.message, stripe_code: answer.code },
      'Stripe refused a call; its own word on the payment decides',
    )
    return { row: mine }
  }

  function unknown(mine: TopupRow, call: string, answer: { code: string; message: string }): Next {
    const level = answer.code === KEY_REFUSED ? 'error' : 'warn'
    settings.log[level](
      { topup: mine.id, call, stripe: answer.message, stripe_code: answer.code },
      'The outcome of a call to Stripe is not known; it will be repeated',
    )
    return { ending: { nextSeconds: NEXT_TRY_SECONDS, error: `${call}: ${answer.message}` } }
  }

  /** For an operator: something that needs a person's eyes. */
  function alarm(mine: TopupRow, sentence: string, more: object): void {
    settings.log.error({ alarm: true, topup: mine.id, account: String(mine.accountId), ...more }, `Alarm: ${sentence}`)
  }

  /** What of the session and its payment is not what this top-up asked for. */
  function differences(mine: TopupRow, session: Session, intent: PaymentIntent): string[] {
    const reference = referenceOf(mine.id)
    const checks: [string, boolean][] = [
      ['session.client_reference_id', session.client_reference_id === reference],
      ['session.livemode', session.livemode === settings.livemode],
      ['payment_intent.metadata', intent.metadata['topup_id'] === reference],
      // Calls of earlier versions wrote none.
      ['payment_intent.installation', intent.metadata['installation'] === mine.sessionCall.metadata?.['installation']],
      ['payment_intent.amount', intent.amount === centsOf(mine)],
      ['payment_intent.currency', intent.currency === 'usd'],
      ['payment_intent.livemode', intent.livemode === settings.livemode],
    ]
    return checks.flatMap(([name, holds]) => (holds ? [] : [name]))
  }

  return {
    settle,
    /** Looks at what is due, and at what is open and over. */
    sweep: (signal?: AbortSignal) =>
      looks.sweep(
        (id) => settle(id, 'sweeper', 0),
        signal,
        `(status = 'awaiting_payment' and handed_out and expires_at <= house_now())`,
      ),
    /** Waits for the looks under way, `waitMs` at most; what is left is taken over by whoever comes next. */
    close: looks.close,
  }
}

/** Money that arrives after the end is credited all the same, so who comes with news is listened to. */
function mayReopen(row: TopupRow, asker: Asker): boolean {
  if (row.status === 'credited') return false
  return asker === 'event' || (asker === 'return' && row.status === 'expired')
}

/** By card; one by crypto is nobody's here. */
export async function find(db: Queryable, topupId: string): Promise<TopupRow | null> {
  const { rows } = await db.query(`select ${TOPUP_COLUMNS} from topups where id = $1 and method = 'card'`, [topupId])
  return rows[0] ? readRow(rows[0]) : null
}

/** Each outside object belongs to one top-up, whatever happens: the directory's key says so. */
export async function enter(
  tx: Queryable,
  source: string,
  externalId: string,
  mine: Pick<TopupRow, 'id' | 'accountId'>,
): Promise<void> {
  await tx.query(
    `insert into directory (source, external_id, account_id, subject) values ($1, $2, $3, $4) on conflict do nothing`,
    [source, externalId, mine.accountId, mine.id],
  )
  const { rows } = await tx.query<{ subject: string }>(
    'select subject from directory where source = $1 and external_id = $2',
    [source, externalId],
  )
  if (rows[0]!.subject !== mine.id) {
    throw new Error(`${source} ${externalId} belongs to top-up ${rows[0]!.subject}, and ${mine.id} claims it`)
  }
}

async function end(
  tx: Queryable,
  mine: TopupRow,
  status: 'refused' | 'expired',
  reason: TopupReason | null,
): Promise<void> {
  await tx.query('update topups set status = $2, reason = $3, ended_at = house_now() where id = $1', [
    mine.id,
    status,
    reason,
  ])
}

// An outside time in house time: as long ago as it is by the clock on the wall, and never out of the trace's order.
const houseTimeOf = (parameter: string, after: string) =>
  `greatest(${after}, least(house_now(), house_now() - (now() - to_timestamp(${parameter}))))`

async function noteAsked(tx: Queryable, mine: TopupRow, intent: PaymentIntent): Promise<void> {
  await tx.query(
    `update topups
        set payment_intent_id = coalesce(payment_intent_id, $2),
            bank_asked_at = coalesce(bank_asked_at, ${houseTimeOf('$3', 'created_at')})
      where id = $1`,
    [mine.id, intent.id, intent.created],
  )
}

/** The card, how it was verified, and when the bank answered: for the page, and for a dispute. */
async function evidence(tx: Queryable, mine: TopupRow, intent: PaymentIntent): Promise<void> {
  await noteAsked(tx, mine, intent)
  const charge = chargeOf(intent)
  if (!charge) return
  const details = cardOf(intent)
  const secure = details?.three_d_secure ?? null
  await tx.query(
    `update topups
        set charge_id = $2,
            bank_answered_at = ${houseTimeOf('$3', 'bank_asked_at')},
            card_brand = $4,
            card_last4 = $5,
            three_d_secure = $6
      where id = $1`,
    [
      mine.id,
      charge.id,
      charge.created,
      details ? (details.brand ?? 'unknown') : null,
      details ? (details.last4 ?? '') : null,
      details &&
        JSON.stringify({
          result: secure?.result ?? null,
          result_reason: secure?.result_reason ?? null,
          authentication_flow: secure?.authentication_flow ?? null,
          electronic_commerce_indicator: secure?.electronic_commerce_indicator ?? null,
          exemption_indicator: secure?.exemption_indicator ?? null,
          transaction_id: secure?.transaction_id ?? null,
          version: secure?.version ?? null,
          network_electronic_commerce_indicator: details.electronic_commerce_indicator ?? null,
          wallet: details.wallet?.type ?? null,
        }),
    ],
  )
}

function chargeOf(intent: PaymentIntent) {
  return typeof intent.latest_charge === 'string' ? null : intent.latest_charge
}

function cardOf(intent: PaymentIntent) {
  return chargeOf(intent)?.payment_method_details?.card ?? null
}

function centsOf(mine: TopupRow): number {
  return Number(mine.amount / MICROS_PER_CENT)
}

/** Why the last attempt failed, as coarsely as a customer may know it: a thief learns nothing from it. Null: none failed. */
function failureOf(intent: PaymentIntent | null): TopupReason | null {
  const error = intent?.last_payment_error
  if (!error) return null
  switch (error.code) {
    case 'payment_intent_authentication_failure':
      return 'verification_failed'
    case 'payment_intent_payment_attempt_expired':
      return 'abandoned'
    case 'processing_error':
      return 'bank_unavailable'
    default:
      return 'declined'
  }
}
