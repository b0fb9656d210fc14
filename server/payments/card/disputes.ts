/**
 * Disputes and warnings of fraud: ask the card company what is true now, and bring our row, the credits and the customer's knowledge
 * there in one transaction. Called by events, by the sweeper and by staff, in any order, at once, twice.
 *
 *   bank is deciding ── frozen ─┬─ decided for us ─────────────── released (all of it is available again)
 *                       ▲       └─ decided against us ─────────── taken (gone; what had been spent stays owed)
 *                       └────────── reopened, or an appeal: the next round
 *
 * Only the present status counts, never the way to it: events come late, twice and out of order, and some never. A look is numbered.
 * It notes the number, asks the card company, and writes only if nobody has written since; otherwise it asks again. So what is
 * written is never older than what is there, and nobody waits for anybody who died.
 *
 * What all disputes of a top-up cover together, with what went back of it, never exceeds what it credited: they are brought to their
 * state together, behind the lock of the top-up.
 */
import type pg from 'pg'
import { MICROS_PER_CENT, micros, type Usd } from '../../../contract/money.ts'
import type { Command, Ledger } from '../../ledger/ledger.ts'
import type { Announce } from '../../platform/announce.ts'
import type { Refused } from '../../platform/answer.ts'
import type { Database, Queryable } from '../../platform/db.ts'
import { derivedId, newId } from '../../platform/ids.ts'
import type { Log } from '../../platform/log.ts'
import {
  DISPUTE_COLUMNS,
  type DisputeRow,
  type DisputeState,
  readDisputeRow,
  readWarningRow,
  standingOf,
  WARNING_COLUMNS,
  type WarningRow,
} from '../dispute.ts'
import type { DisputeLetters } from '../dispute-letters.ts'
import { lockTopup, remainingOf, uncoveredTopups } from '../remaining.ts'
import type { TopupRow } from '../topup.ts'
import { type Claim, type Covered, cover, type FreezeOutcome } from './cover.ts'
import type { Refunds } from './refunds.ts'
import { find } from './settle.ts'
import {
  type Answer,
  type CardCompany,
  type Dispute,
  type FraudWarning,
  KEY_REFUSED,
  type Listed,
  type ListPage,
} from './stripe.ts'

export type Disputes = ReturnType<typeof createDisputes>

/** How often a look asks anew because somebody else wrote meanwhile. */
const READS_MAX = 5
/** Source: an open dispute changes by the day; an event usually tells before. */
const NEXT_LOOK_OPEN_SECONDS = 3_600
/** A closed one may be reopened (an appeal, a second presentment), and an event about it may be lost. */
const NEXT_LOOK_CLOSED_SECONDS = 86_400
/** Source: the longest time that networks give for arbitration, with some to spare. After that nothing changes any more. */
const REOPENED_WITHIN_DAYS = 180
/** After a call whose outcome is not known. */
const NEXT_TRY_SECONDS = 60
/** What the card company does not tell any more is asked for each minute, and told to a person at once and then so often. */
const ALARM_AGAIN_SECONDS = 3_600
/** A bank decides within 120 days; who still decides then is asked about. The deadline moves on with every look until then. */
const FREEZE_DAYS = 180
const SWEEP_ROWS_MAX = 100
const SWEEP_AT_ONCE = 4
const LIST_EVERY_SECONDS = 3_600
/** What is created while a list is being read is in the next one, whatever the clocks say. */
const LIST_OVERLAP_SECONDS = 3_600
/** Source: the card company's own limit. */
const LIST_PAGE_ITEMS = 100
const LIST_PAGES_MAX = 50
const LAST_ERROR_CHARACTERS_MAX = 500

/** What a look came to. `overtaken`: somebody else wrote since it began, so it must ask again. */
type Recorded = 'done' | 'not_ours' | 'overtaken'
type Table = 'disputes' | 'fraud_warnings'

export function createDisputes(settings: {
  database: Database
  ledger: Ledger
  announce: Announce
  log: Log
  card: CardCompany
  livemode: boolean
  letters: DisputeLetters
  /** Sends back what two members of staff agreed to send back, and books what went back meanwhile (refunds.ts). */
  refunds: Pick<Refunds, 'intendForFraud' | 'goOn' | 'bookFurther'>
}) {
  const { database, ledger, announce, log, card, letters } = settings

  /**
   * Brings what we know of a dispute to its present state. `not_ours`: Stripe knows no such dispute, or it is about another payment.
   * Throws when the outcome is not known; a repetition is safe.
   */
  function learn(topupId: string, externalId: string): Promise<'done' | 'not_ours'> {
    return look('disputes', externalId, async (number) => {
      const answer = await card.readDispute(externalId)
      if (answer.ok) return record(topupId, (tx, topup) => recordDispute(tx, topup, answer.value, number))
      return unread('disputes', externalId, answer)
    })
  }

  /** The same of an early fraud warning. */
  function learnWarning(topupId: string, externalId: string): Promise<'done' | 'not_ours'> {
    return look('fraud_warnings', externalId, async (number) => {
      const answer = await card.readFraudWarning(externalId)
      if (answer.ok) return record(topupId, (tx, topup) => recordWarning(tx, topup, answer.value, number))
      return unread('fraud_warnings', externalId, answer)
    })
  }

  async function look(
    table: Table,
    externalId: string,
    read: (number: number) => Promise<Recorded>,
  ): Promise<'done' | 'not_ours'> {
    for (let reads = 0; reads < READS_MAX; reads++) {
      const { rows } = await database.pool.query<{ look: number }>(`select look from ${table} where external_id = $1`, [
        externalId,
      ])
      const recorded = await read(rows[0]?.look ?? 0)
      if (recorded !== 'overtaken') return recorded
    }
    throw new Error(`${externalId} kept changing while it was looked at`)
  }

  /** What follows when Stripe did not tell. */
  async function unread(
    table: Table,
    externalId: string,
    answer: Extract<Answer<unknown>, { ok: false }>,
  ): Promise<'not_ours'> {
    const needsSomebody = answer.why === 'refused' || answer.code === KEY_REFUSED
    const { rows } = await database.pool.query<{ alarm: boolean }>(
      `update ${table}
          set last_error = $2,
              next_look_at = now() + make_interval(secs => $3),
              alarmed_at = case when $4 and (alarmed_at is null or alarmed_at <= now() - make_interval(secs => $5)) then now()
                                else alarmed_at end
        where external_id = $1
       returning coalesce(alarmed_at = now(), false) as alarm`,
      [
        externalId,
        answer.message.slice(0, LAST_ERROR_CHARACTERS_MAX),
        NEXT_TRY_SECONDS,
        needsSomebody,
        ALARM_AGAIN_SECONDS,
      ],
    )
    if (answer.why === 'refused' && rows.length === 0) return 'not_ours'
    if (needsSomebody && (rows[0]?.alarm ?? true))
      alarm('Stripe does not tell what it told before of a dispute', { external: externalId, stripe: answer.message })
    throw new Error(`${externalId} could not be read: ${answer.message}`)
  }

  /** Runs `work` behind the lock of the top-up, and announces what it changed. */
  async function record(
    topupId: string,
    work: (tx: pg.PoolClient, topup: TopupRow) => Promise<Recorded>,
  ): Promise<Recorded> {
    let accountId = 0n
    const recorded = await database.transaction(async (tx) => {
      await lockTopup(tx, topupId)
      const topup = await find(tx, topupId)
      if (!topup) return 'not_ours'
      accountId = topup.accountId
      return work(tx, topup)
    })
    if (recorded === 'done') tell(accountId, topupId)
    return recorded
  }

  function tell(accountId: bigint, topupId: string): void {
    announce.publish({ what: 'topup', accountId, id: topupId })
    announce.publish({ what: 'balance', accountId })
  }

  async function recordDispute(
    tx: pg.PoolClient,
    topup: TopupRow,
    dispute: Dispute,
    number: number,
  ): Promise<Recorded> {
    const ours = await isAbout(tx, topup, dispute)
    if (ours !== true) return ours
    const standing = standingOf(dispute)
    if (standing.unheardOf)
      alarm('A dispute has a status that this version does not know; its credits stay frozen', {
        dispute: dispute.id,
        status: dispute.status,
      })
    const disputes = await disputesOfTopup(tx, topup)
    const before = disputes.find((row) => row.externalId === dispute.id)
    if ((before?.look ?? 0) !== number) return 'overtaken'

    const id = before?.id ?? newId()
    const told = [
      standing.kind,
      dispute.status,
      dispute.reason,
      dispute.network_reason_code ?? null,
      dispute.is_charge_refundable,
      dispute.evidence_details.due_by || null,
    ]
    if (before) {
      await tx.query(
        `update disputes
            set kind = $2, stripe_status = $3, reason = $4, network_reason_code = $5, charge_refundable = $6,
                evidence_due_by = to_timestamp($7), look = look + 1, last_error = null, alarmed_at = null
          where id = $1`,
        [id, ...told],
      )
    } else {
      await tx.query(
        `insert into disputes (id, kind, stripe_status, reason, network_reason_code, charge_refundable, evidence_due_by,
                               external_id, topup_id, account_id, opened_at, amount, state, closed_at, look)
         values ($1, $2, $3, $4, $5, $6, to_timestamp($7), $8, $9, $10, ${openedAt('$11')}, 0, 'released', house_now(), 1)`,
        [id, ...told, dispute.id, topup.id, topup.accountId, dispute.created],
      )
    }
    const amount = amountOf(topup, dispute)
    await bring(tx, topup, disputes, {
      id,
      amount,
      becomes: standing.state,
      outcome: outcomeOf(dispute.status, standing.state),
    })
    // An inquiry that was answered by sending the money back: what comes free of it is gone, before anybody can spend it.
    await settings.refunds.bookFurther(tx, topup)
    const now = (await disputesOfTopup(tx, topup)).find((row) => row.id === id)!
    await lookAgain(tx, 'disputes', id)
    if (now.holdId !== null) await keepFrozen(tx, now.accountId, now.holdId)
    if (!before || before.state !== now.state || before.kind !== now.kind || before.round !== now.round)
      await letters.dispute(tx, topup, now, { reopened: before !== undefined && before.state !== 'frozen' })
    return 'done'
  }

  /** In the order in which they are covered. */
  async function disputesOfTopup(tx: Queryable, topup: TopupRow): Promise<DisputeRow[]> {
    const { rows } = await tx.query(
      `select ${DISPUTE_COLUMNS} from disputes where topup_id = $1 order by opened_at, external_id`,
      [topup.id],
    )
    return rows.map(readDisputeRow)
  }

  /**
   * Whether a dispute or a warning is about this top-up's payment. Throws when that payment is still on its way to its credit: then
   * it is asked again.
   */
  async function isAbout(
    tx: Queryable,
    topup: TopupRow,
    object: { id: string; charge: Dispute['charge']; livemode: boolean; payment_intent?: Dispute['payment_intent'] },
  ): Promise<true | 'not_ours'> {
    if (object.livemode !== settings.livemode) {
      alarm('A dispute of the other mode (test or live) came here', { external: object.id })
      return 'not_ours'
    }
    const { rows } = await tx.query<{ charge_id: string | null }>('select charge_id from topups where id = $1', [
      topup.id,
    ])
    const own = rows[0]!.charge_id
    const isOwn = own === null ? idOf(object.payment_intent) === topup.paymentIntentId : idOf(object.charge) === own
    if (!isOwn) return 'not_ours'
    if (topup.status !== 'credited') throw new Error(`Top-up ${topup.id} is disputed and not credited yet`)
    return true
  }

  /** In the currency of the charge, which is ours by the settings of its payment page. */
  function amountOf(topup: TopupRow, dispute: Dispute): Usd {
    if (dispute.currency === 'usd') return micros(BigInt(dispute.amount) * MICROS_PER_CENT)
    alarm('A dispute is in another currency than its payment; all of the payment counts as disputed', {
      dispute: dispute.id,
      currency: dispute.currency,
    })
    return topup.amount
  }

  /**
   * Brings the credits to where the disputes of this top-up are, `changed` among them as it is now: one group of movements. The other
   * disputes are as they were, but may cover more when this one covers less, and the other way round.
   */
  async function bring(
    tx: pg.PoolClient,
    topup: TopupRow,
    disputes: readonly DisputeRow[],
    changed: Pick<Claim, 'id' | 'amount' | 'becomes' | 'outcome'> | null,
  ): Promise<void> {
    const claims: Claim[] = disputes.map((row) => ({
      id: row.id,
      now: { state: row.state, covered: row.covered },
      round: row.round,
      holdId: row.holdId,
      becomes: row.state,
      amount: row.amount,
      outcome: outcomeOf(row.stripeStatus, row.state),
      ...(row.id === changed?.id ? changed : {}),
    }))
    // The youngest, as far as we know; where it is not, the next look puts it right.
    if (changed && !claims.some(({ id }) => id === changed.id))
      claims.push({ ...changed, now: null, round: 0, holdId: null })

    const left = disputes.reduce<bigint>((sum, row) => sum + row.covered, await remainingOf(tx, topup.id))
    const { rows: time } = await tx.query<{ until: Date }>('select house_now() + make_interval(days => $1) as until', [
      FREEZE_DAYS,
    ])
    const { commands, covered } = cover(topup, claims, micros(left), time[0]!.until)
    const handedOver = claims.some(({ becomes }) => becomes !== 'released') ? await endWarnings(tx, topup) : []
    await move(tx, [...handedOver, ...commands])

    for (const [index, share] of covered.entries()) {
      const { becomes, amount } = claims[index]!
      await noteFreeze(tx, share)
      await tx.query(
        `update disputes d
            set state = $2, covered = $3, round = $4, hold_id = $5, amount = $6,
                shortfall = coalesce((select least($3, f.shortfall) from freezes f where f.dispute_id = d.id and f.round = $4 and $3 > 0), 0),
                closed_at = case when $2 = 'frozen' then null else coalesce(case when d.state = $2 then d.closed_at end, house_now()) end
          where d.id = $1`,
        [share.id, becomes, share.covered, share.round, share.holdId, amount],
      )
    }
  }

  /** All or nothing. They follow a fact that cannot be refused, so a refusal is a bug. */
  async function move(tx: pg.PoolClient, commands: Command[]): Promise<void> {
    const outcomes = await ledger.apply(tx, commands, { asGroup: true })
    const refused = outcomes.findIndex(({ done }) => !done)
    if (refused >= 0)
      throw new Error(
        `The ledger refuses ${commands[refused]!.kind} ${commands[refused]!.id}: ${outcomes[refused]!.result}`,
      )
  }

  async function noteFreeze(tx: Queryable, { id, round, froze, ended }: Covered): Promise<void> {
    if (ended) await tx.query('update freezes set outcome = $2 where hold_id = $1', [ended.holdId, ended.outcome])
    if (!froze) return
    await tx.query(
      `insert into freezes (hold_id, dispute_id, topup_id, account_id, round, why, amount, shortfall, outcome)
       select t.id, d.id, d.topup_id, d.account_id, $3, case when d.stripe_status like 'appeal\\_%' then 'appeal' else d.kind end, t.amount,
              -- Owed after it, less what was owed before it.
              t.owed_after - greatest(0, t.owed_after - t.available_after - t.amount),
              $4
         from transfers t
         join disputes d on d.id = $2
        where t.id = $1`,
      [froze.holdId, id, round, froze.outcome],
    )
  }

  async function keepFrozen(tx: pg.PoolClient, accountId: bigint, holdId: string): Promise<void> {
    const { rows } = await tx.query<{ until: Date }>('select house_now() + make_interval(days => $1) as until', [
      FREEZE_DAYS,
    ])
    await ledger.moveDeadline(tx, { accountId, holdId, expiresAt: rows[0]!.until })
  }

  async function lookAgain(tx: Queryable, table: Table, id: string): Promise<void> {
    await tx.query(
      `update ${table}
          set next_look_at = case
                when closed_at is null then now() + make_interval(secs => $2)
                when $4 and closed_at > house_now() - make_interval(days => $5) then now() + make_interval(secs => $3)
              end
        where id = $1`,
      [id, NEXT_LOOK_OPEN_SECONDS, NEXT_LOOK_CLOSED_SECONDS, table === 'disputes', REOPENED_WITHIN_DAYS],
    )
  }

  async function recordWarning(
    tx: pg.PoolClient,
    topup: TopupRow,
    warning: FraudWarning,
    number: number,
  ): Promise<Recorded> {
    const ours = await isAbout(tx, topup, warning)
    if (ours !== true) return ours
    const before = await readWarning(tx, 'external_id', warning.id)
    if ((before?.look ?? 0) !== number) return 'overtaken'
    const id = before?.id ?? newId()
    await tx.query(
      before
        ? 'update fraud_warnings set actionable = $2, look = look + 1, last_error = null, alarmed_at = null where id = $1'
        : `insert into fraud_warnings (id, actionable, external_id, topup_id, account_id, fraud_type, status, opened_at, closed_at, look)
           values ($1, $2, $3, $4, $5, $6, 'closed', ${openedAt('$7')}, house_now(), 1)`,
      before
        ? [id, warning.actionable]
        : [id, warning.actionable, warning.id, topup.id, topup.accountId, warning.fraud_type, warning.created],
    )
    const disputed = (await disputesOfTopup(tx, topup)).some(({ state }) => state !== 'released')
    const matters = warning.actionable && !disputed
    if (!before && matters) {
      await freezeForWarning(tx, topup, (await readWarning(tx, 'id', id))!)
      await letters.warning(tx, topup, (await readWarning(tx, 'id', id))!, 'opened')
    } else if (before?.status === 'refunding') {
      await followRefund(tx, topup, before, matters)
    } else if (before && !matters && (before.status === 'open' || before.status === 'refund_asked')) {
      await move(tx, await endWarning(tx, before, 'closed', disputed ? 'disputed' : 'closed'))
      // Where a dispute took its place, that is what the customer hears of.
      if (!disputed) await letters.warning(tx, topup, (await readWarning(tx, 'id', id))!, 'closed')
    }
    await lookAgain(tx, 'fraud_warnings', id)
    return 'done'
  }

  async function readWarning(tx: Queryable, by: 'id' | 'external_id', value: string): Promise<WarningRow | null> {
    const { rows } = await tx.query(`select ${WARNING_COLUMNS} from fraud_warnings where ${by} = $1`, [value])
    return rows[0] ? readWarningRow(rows[0]) : null
  }

  /** Keeps what is unspent, as far as the top-up is left. Nobody owes anything because of a warning. */
  async function freezeForWarning(
    tx: pg.PoolClient,
    topup: Pick<TopupRow, 'id' | 'accountId'>,
    warning: WarningRow,
  ): Promise<void> {
    const { rows } = await tx.query<{ kept: string; until: Date }>(
      `select coalesce(sum(frozen), 0) as kept, house_now() + make_interval(days => $2) as until
         from fraud_warnings where topup_id = $1`,
      [topup.id, FREEZE_DAYS],
    )
    const left = (await remainingOf(tx, topup.id)) - BigInt(rows[0]!.kept)
    await ledger.lock(tx, topup.accountId)
    const { available } = (await ledger.balance(tx, topup.accountId))!
    const amount = micros(left < available ? left : available)
    const round = warning.round + 1
    const holdId = amount > 0n ? derivedId(warning.id, 'freeze', round) : null
    await tx.query(
      `update fraud_warnings
          set status = case status when 'refund_asked' then status else 'open' end,
              closed_at = null, frozen = $2, round = $3, hold_id = $4
        where id = $1`,
      [warning.id, holdId ? amount : 0n, holdId ? round : warning.round, holdId],
    )
    if (holdId === null) return
    await move(tx, [
      {
        ...movementOf(topup),
        id: holdId,
        kind: 'clawback_hold',
        amount,
        expiresAt: rows[0]!.until,
        onExpiry: 'alarm',
      },
    ])
    await tx.query(
      `insert into freezes (hold_id, warning_id, topup_id, account_id, round, why, amount)
       values ($1, $2, $3, $4, $5, 'warning', $6)`,
      [holdId, warning.id, topup.id, topup.accountId, round, amount],
    )
  }

  /** What was agreed to was sent back, or was not: then all is as before, and people decide anew. */
  async function followRefund(
    tx: pg.PoolClient,
    topup: TopupRow,
    warning: WarningRow,
    matters: boolean,
  ): Promise<void> {
    const { rows } = await tx.query<{ status: string }>('select status from topup_refunds where id = $1', [
      warning.refundId,
    ])
    const refund = rows[0]!.status
    if (refund !== 'succeeded' && refund !== 'failed') return
    await tx.query(
      `update fraud_warnings
          set status = case when $2 then 'refunded' else 'closed' end, closed_at = house_now()
        where id = $1`,
      [warning.id, refund === 'succeeded'],
    )
    if (refund === 'succeeded' || !matters) return
    await tx.query(
      `update fraud_warnings
          set asked_by = null, asked_at = null, decided_by = null, decided_at = null, why = null, refund_id = null
        where id = $1`,
      [warning.id],
    )
    await freezeForWarning(tx, topup, warning)
  }

  /** What must move for a warning to end: its freeze, where there is one. The row is written here, the caller moves. */
  async function endWarning(
    tx: Queryable,
    warning: WarningRow,
    status: 'closed' | 'released' | 'refunding',
    outcome: 'closed' | 'released' | 'disputed' | 'refunded',
  ): Promise<Command[]> {
    await tx.query(
      `update fraud_warnings
          set status = $2, frozen = 0, hold_id = null, closed_at = case when $2 <> 'refunding' then house_now() end
        where id = $1`,
      [warning.id, status],
    )
    if (warning.holdId === null) return []
    await tx.query('update freezes set outcome = $2 where hold_id = $1', [warning.holdId, outcome])
    return [
      {
        ...movementOf({ id: warning.topupId, accountId: warning.accountId }),
        id: derivedId(warning.id, 'release', warning.round),
        kind: 'void',
        holdId: warning.holdId,
      },
    ]
  }

  /** A dispute has taken the place of these warnings: what they kept is what it freezes. */
  async function endWarnings(tx: Queryable, topup: TopupRow): Promise<Command[]> {
    const { rows } = await tx.query(
      `select ${WARNING_COLUMNS} from fraud_warnings
        where topup_id = $1 and status in ('open', 'refund_asked') order by id for update`,
      [topup.id],
    )
    const commands: Command[] = []
    for (const row of rows) commands.push(...(await endWarning(tx, readWarningRow(row), 'closed', 'disputed')))
    return commands
  }

  /**
   * Something else takes of a top-up what a warning keeps, such as a refund from the card company's own dashboard: the freeze makes room,
   * and afterwards keeps what is left. Behind the lock of the top-up, and all at once for whoever looks.
   */
  async function besideWarnings(
    tx: pg.PoolClient,
    topup: Pick<TopupRow, 'id' | 'accountId'>,
    book: () => Promise<void>,
  ): Promise<void> {
    const { rows } = await tx.query(
      `select ${WARNING_COLUMNS} from fraud_warnings where topup_id = $1 and hold_id is not null order by id for update`,
      [topup.id],
    )
    const warnings = rows.map(readWarningRow)
    await tx.query('update fraud_warnings set frozen = 0, hold_id = null where topup_id = $1', [topup.id])
    const holds = warnings.map(({ holdId }) => holdId)
    await tx.query(`update freezes set outcome = 'changed' where hold_id = any ($1)`, [holds])
    await move(
      tx,
      warnings.map((warning) => ({
        ...movementOf(topup),
        id: derivedId(warning.id, 'release', warning.round),
        kind: 'void',
        holdId: warning.holdId!,
      })),
    )
    await book()
    for (const warning of warnings) await freezeForWarning(tx, topup, warning)
  }

  /**
   * The net under everything: asks again about what is due, covers what a failed refund left, and reads the card company's lists once
   * an hour for what nobody told us of. Alone it brings every dispute to its right end. Bounded; the longest unseen come first.
   */
  async function sweep(signal?: AbortSignal): Promise<void> {
    await sweepTable('disputes', learn, signal)
    await sweepTable('fraud_warnings', learnWarning, signal)
    for (const topupId of await uncoveredTopups(database.pool, SWEEP_ROWS_MAX)) {
      if (signal?.aborted) return
      await coverAnew(topupId).catch((error: unknown) =>
        log.error({ err: error, topup: topupId }, 'A dispute could not be covered anew; the sweeper comes again'),
      )
    }
    if (!signal?.aborted) await readList('disputes', (page) => card.listDisputes(page), learn, signal)
    if (!signal?.aborted) await readList('fraud_warnings', (page) => card.listFraudWarnings(page), learnWarning, signal)
  }

  async function sweepTable(table: Table, ask: typeof learn, signal?: AbortSignal): Promise<void> {
    // Each is claimed for a while, so that two sweepers do not ask about the same; one that dies leaves it for later.
    const { rows } = await database.pool.query<{ topup_id: string; external_id: string }>(
      `update ${table}
          set next_look_at = now() + make_interval(secs => $2)
        where id in (select id from ${table} where next_look_at <= now() order by next_look_at limit $1 for update skip locked)
       returning topup_id, external_id`,
      [SWEEP_ROWS_MAX, NEXT_TRY_SECONDS],
    )
    const left = [...rows]
    await Promise.all(
      Array.from({ length: SWEEP_AT_ONCE }, async () => {
        for (let row = left.shift(); row !== undefined && !signal?.aborted; row = left.shift()) {
          const { topup_id, external_id } = row
          await ask(topup_id, external_id).catch((error: unknown) =>
            log.warn({ err: error, topup: topup_id }, 'A dispute could not be looked at; the sweeper comes again'),
          )
        }
      }),
    )
  }

  /** A refund failed after a dispute had found nothing left: now there is something. */
  async function coverAnew(topupId: string): Promise<void> {
    await record(topupId, async (tx, topup) => {
      await bring(tx, topup, await disputesOfTopup(tx, topup), null)
      return 'done'
    })
  }

  async function readList<Item extends Dispute | FraudWarning>(
    list: Table,
    read: (page: ListPage) => Promise<Answer<Listed<Item>>>,
    ask: typeof learn,
    signal?: AbortSignal,
  ): Promise<void> {
    const { rows } = await database.pool.query<{ begun: Date; from: Date | null }>(
      `update card_lists
          set next_read_at = now() + make_interval(secs => $2)
        where list = $1
          and next_read_at <= now()
       returning now() as begun,
                 -- Nothing can stand against a payment that had not begun.
                 (select greatest(read_until, min(asked_at)) from topups where method = 'card' having count(*) > 0) as from`,
      [list, LIST_EVERY_SECONDS],
    )
    const from = rows[0]?.from
    if (!from) return
    const createdFrom = Math.floor(from.getTime() / 1000) - LIST_OVERLAP_SECONDS
    let startingAfter: string | undefined
    let failed: string | null = null
    for (let pages = 0; pages < LIST_PAGES_MAX && !signal?.aborted; pages++) {
      const page: Answer<Listed<Item>> = await read({ limit: LIST_PAGE_ITEMS, createdFrom, startingAfter })
      if (!page.ok) return readSooner(list, page.message)
      for (const { topupId, item } of await unseen(list, page.value.data)) {
        try {
          await ask(topupId, item.id)
        } catch (error) {
          // The others are heard of all the same.
          log.warn({ err: error, topup: topupId }, 'A dispute of the list could not be looked at')
          failed = String(error)
        }
      }
      startingAfter = page.value.data.at(-1)?.id
      if (!page.value.has_more || startingAfter === undefined) {
        if (failed !== null) return readSooner(list, failed)
        await database.pool.query('update card_lists set read_until = $2 where list = $1', [list, rows[0]!.begun])
        return
      }
    }
    if (!signal?.aborted) alarm(`The list of ${list} is longer than can be read at once`, { pages: LIST_PAGES_MAX })
  }

  async function readSooner(list: Table, why: string): Promise<void> {
    log.warn({ list, why }, 'A list of the card company could not be read to its end; it is read again soon')
    await database.pool.query(
      'update card_lists set next_read_at = now() + make_interval(secs => $2) where list = $1',
      [list, NEXT_TRY_SECONDS],
    )
  }

  /** What of a page is about payments of ours, and not what we know already. */
  async function unseen<Item extends Dispute | FraudWarning>(
    list: Table,
    items: readonly Item[],
  ): Promise<{ topupId: string; item: Item }[]> {
    const word = list === 'disputes' ? 'stripe_status' : 'actionable::text'
    const { rows } = await database.pool.query<{
      charge: string
      topup_id: string
      external_id: string | null
      word: string
    }>(
      `select d.external_id as charge, d.subject as topup_id, k.external_id, k.${word} as word
         from directory d
         left join ${list} k on k.topup_id = d.subject
        where d.source = 'stripe:charge'
          and d.external_id = any ($1)`,
      [items.map((item) => idOf(item.charge))],
    )
    return items.flatMap((item) => {
      const own = rows.filter(({ charge }) => charge === idOf(item.charge))
      const now = 'status' in item ? item.status : String(item.actionable)
      if (own.length === 0 || own.some((row) => row.external_id === item.id && row.word === now)) return []
      return [{ topupId: own[0]!.topup_id, item }]
    })
  }

  /**
   * A member of staff wants the money of a payment sent back that its bank warns of. The first one asks; a second one, who is an approver,
   * asks for the same and so agrees: then what is frozen goes back to the card. Repeating it changes nothing. Null: no such warning.
   */
  async function refundWarning(by: Member, warningId: string, why: string | null): Promise<Decided | null> {
    const decided = await decide(warningId, async (tx, topup, warning): Promise<Decided> => {
      if (warning.status === 'refunding' || warning.status === 'refunded') return { ok: true, refundId: null }
      if (warning.closedAt !== null) return refuse(alreadyDecided(warning))
      if (warning.status === 'open') {
        const amount = wholeCents(warning.frozen)
        if (amount === 0n) return refuse(nothingFrozen())
        await tx.query(
          `update fraud_warnings set status = 'refund_asked', asked_by = $2, asked_at = house_now(), why = $3 where id = $1`,
          [warning.id, by.accountId, why],
        )
        return { ok: true, refundId: null }
      }
      if (warning.askedBy === by.accountId || by.role !== 'approver') return refuse(secondPersonNeeded())
      // Since it was asked for, it may have gone back in the dashboard.
      const amount = wholeCents(warning.frozen)
      if (amount === 0n) return refuse(nothingFrozen())
      await tx.query('update fraud_warnings set decided_by = $2, decided_at = house_now() where id = $1', [
        warning.id,
        by.accountId,
      ])
      await move(tx, await endWarning(tx, warning, 'refunding', 'refunded'))
      const refundId = await settings.refunds.intendForFraud(tx, topup, amount)
      if (refundId === null) throw new Undone(accountSuspended())
      await tx.query('update fraud_warnings set refund_id = $2, next_look_at = now() where id = $1', [
        warning.id,
        refundId,
      ])
      return { ok: true, refundId }
    })
    if (decided?.ok && decided.refundId) await settings.refunds.goOn(decided.refundId)
    return decided
  }

  /** A member of staff finds the payment in order: what is frozen returns. Also when somebody had asked to send it back. */
  function releaseWarning(by: Member, warningId: string, why: string | null): Promise<Decided | null> {
    return decide(warningId, async (tx, topup, warning): Promise<Decided> => {
      if (warning.status === 'released') return { ok: true, refundId: null }
      if (warning.status !== 'open' && warning.status !== 'refund_asked') return refuse(alreadyDecided(warning))
      await tx.query(
        'update fraud_warnings set decided_by = $2, decided_at = house_now(), why = coalesce($3, why) where id = $1',
        [warning.id, by.accountId, why],
      )
      await move(tx, await endWarning(tx, warning, 'released', 'released'))
      await letters.warning(tx, topup, (await readWarning(tx, 'id', warning.id))!, 'released')
      return { ok: true, refundId: null }
    })
  }

  /**
   * A member of staff takes the cards of a customer again who lost a dispute: all that he lost so far are lifted, what he loses from now on
   * blocks again. Repeating it changes nothing. Null: no such dispute.
   */
  async function takeCardsAgain(by: Member, disputeId: string, why: string): Promise<Decided | null> {
    const decided = await database.transaction(async (tx) => {
      const { rows } = await tx.query<{ topup_id: string; account_id: string; stripe_status: string }>(
        'select topup_id, account_id, stripe_status from disputes where id = $1',
        [disputeId],
      )
      const found = rows[0]
      if (!found) return null
      if (found.stripe_status !== 'lost') return { found, answer: refuse(notLost()) }
      await tx.query(
        `insert into card_block_lifts (dispute_id, round, account_id, lifted_by, lifted_at, why)
         select id, round, account_id, $2, house_now(), $3
           from disputes
          where account_id = $1
            and stripe_status = 'lost'
          order by id
         on conflict do nothing`,
        [found.account_id, by.accountId, why],
      )
      return { found, answer: { ok: true, refundId: null } satisfies Decided }
    })
    if (decided?.answer.ok) {
      tell(BigInt(decided.found.account_id), decided.found.topup_id)
      log.warn(
        { staff: String(by.accountId), account: decided.found.account_id },
        'Somebody of the staff takes cards again of a customer who had lost a dispute',
      )
    }
    return decided?.answer ?? null
  }

  async function decide(
    warningId: string,
    work: (tx: pg.PoolClient, topup: TopupRow, warning: WarningRow) => Promise<Decided>,
  ): Promise<Decided | null> {
    const found = await readWarning(database.pool, 'id', warningId)
    if (!found) return null
    let decided: Decided | null = null
    try {
      await record(found.topupId, async (tx, topup) => {
        decided = await work(tx, topup, (await readWarning(tx, 'id', warningId))!)
        return 'done'
      })
    } catch (error) {
      if (!(error instanceof Undone)) throw error
      return refuse(error.refused)
    }
    return decided
  }

  /** For an operator: something that needs a person's eyes. */
  function alarm(sentence: string, more: object): void {
    log.error({ alarm: true, ...more }, `Alarm: ${sentence}`)
  }

  return { learn, learnWarning, sweep, besideWarnings, refundWarning, releaseWarning, takeCardsAgain }
}

/** Who of staff decides. */
export type Member = { accountId: bigint; role: 'customer' | 'admin' | 'approver' }
/** `refundId`: of the refund that was begun just now. */
export type Decided = { ok: true; refundId: string | null } | { ok: false; refused: Refused }

/** Nothing of the transaction is to stand. */
class Undone extends Error {
  readonly refused: Refused
  constructor(refused: Refused) {
    super(refused.detail)
    this.refused = refused
  }
}

function refuse(refused: Refused): Decided {
  return { ok: false, refused }
}

function wholeCents(amount: Usd): Usd {
  return micros(amount - (amount % MICROS_PER_CENT))
}

function alreadyDecided({ status }: WarningRow): Refused {
  const how = {
    released: 'The credits were given back to the customer.',
    refunded: 'The money was sent back to the card.',
    refunding: 'The money is on its way back to the card.',
    closed: 'The bank does not warn any more, or a dispute has taken its place.',
    open: '',
    refund_asked: '',
  }[status]
  return { code: 'already_decided', detail: `${how} Nothing was changed. Look at the payment as it stands now.` }
}

function secondPersonNeeded(): Refused {
  return {
    code: 'second_person_needed',
    detail:
      'Somebody asked for this refund, and another one must agree to it, who is an approver. Nothing was sent back; the credits stay frozen until then.',
  }
}

function nothingFrozen(): Refused {
  return {
    code: 'nothing_to_return',
    detail:
      'Nothing of this payment is frozen: it was spent before the bank warned of it. Release the warning, or send the whole payment back in the dashboard of the card company, which makes the customer owe it.',
  }
}

function notLost(): Refused {
  return {
    code: 'already_decided',
    detail:
      'This dispute is not lost, so it is not what keeps cards away for good: they are taken again when the bank has decided for us. Nothing was changed.',
  }
}

function accountSuspended(): Refused {
  return {
    code: 'account_suspended',
    detail:
      'This account is suspended, so nothing can be sent back from it. End the suspension first; nothing was changed.',
  }
}

/** When it began outside, in house time: as long ago as it is by the clock on the wall. */
const openedAt = (parameter: string) =>
  `least(house_now(), house_now() - (now() - to_timestamp(${parameter}::double precision)))`

function movementOf(topup: { id: string; accountId: bigint }) {
  return { accountId: topup.accountId, reference: topup.id, code: 'dispute', contra: 'disputes' } as const
}

function idOf(object: string | { id: string } | null | undefined): string | null {
  return typeof object === 'object' ? (object?.id ?? null) : (object ?? null)
}

/** How a freeze ends with this status; null: it does not. */
function outcomeOf(status: string, state: DisputeState): FreezeOutcome | null {
  switch (state) {
    case 'frozen':
      return null
    case 'taken':
      return status === 'lost' ? 'lost' : 'refunded'
    case 'released':
      return status === 'won' ? 'won' : status === 'prevented' ? 'prevented' : 'closed'
  }
}
