/**
 * Against card testing: somebody with a list of stolen cards tries them here, to learn which of them work. Each authorisation tells
 * him, whatever becomes of the money; so what counts is how many cards he can try.
 *
 * Counted are payment pages (by customer, and by network, before one is opened) and attempts (by customer, by card, and of all, when the
 * card company tells of them). Who is over a limit gets no new payment page, and the one that stands open is closed. What is under way
 * is settled and credited as ever.
 */
import { createHash } from 'node:crypto'
import type pg from 'pg'
import type { StaffCards } from '../../../contract/contract.ts'
import type { Refused } from '../../platform/answer.ts'
import type { Database, Queryable } from '../../platform/db.ts'
import type { Log } from '../../platform/log.ts'
import type { TopupRow } from '../topup.ts'
import type { CardCompany, Charge, PaymentIntent } from './stripe.ts'

/** Source of the first four: the design's S11 and S13, what is held against the attacks that shops report. */
export type CardLimits = {
  /** Payment pages that one customer may open in an hour. */
  sessionsPerHourMax: number
  /** Payment pages that may be opened from one network (an IPv4 address, an IPv6 /64) in an hour. */
  sessionsPerNetworkPerHourMax: number
  /** Different cards of one customer in 24 hours of which none was paid with; a card more, when some were. */
  cardsPerDayMax: number
  /** Attempts of one customer that banks declined, in 24 hours. */
  declinesPerDayMax: number
  /** Customers who tried one card in 24 hours. A family shares one; a list is sold to more. */
  customersPerCardPerDayMax: number
  /** Top-ups of one customer that are neither credited nor over. */
  openTopupsMax: number
  /** The breaker looks at the last 10 minutes, and at nothing while there were fewer attempts than this. */
  breakerAttemptsMin: number
  /** More of them declined than this, and cards are paused for everybody. Unit: percent. */
  breakerDeclinesPercentMax: number
  /** Then they open again by themselves. Unit: seconds of house time. */
  breakerPauseSeconds: number
}

export const CARD_LIMITS: CardLimits = {
  sessionsPerHourMax: 5,
  sessionsPerNetworkPerHourMax: 10,
  cardsPerDayMax: 3,
  declinesPerDayMax: 5,
  customersPerCardPerDayMax: 3,
  openTopupsMax: 3,
  breakerAttemptsMin: 10,
  breakerDeclinesPercentMax: 40,
  breakerPauseSeconds: 1_800,
}

const BREAKER_WINDOW_SECONDS = 600
const PAUSES_SHOWN_MAX = 20
/** By hand, cards stay paused until somebody opens them again, or so long. */
const PAUSE_BY_HAND_SECONDS = 7 * 86_400
/** Two keys for locks that last one transaction: who is counted is counted by one at a time. */
const LOCK_OF_ACCOUNT = 7_203_020
const LOCK_OF_NETWORK = 7_203_021
const LOCK_OF_BREAKER = 7_203_022

/** In SQL: the network of an address, which is counted as one. Null of null. */
export const NETWORK_OF = (parameter: string) =>
  `network(set_masklen(${parameter}::inet, case family(${parameter}::inet) when 4 then 32 else 64 end))::cidr`

export type Attempt = { id: string; card: Buffer | null; declined: boolean; triedAtSeconds: number | null }

export type CardTesting = ReturnType<typeof createCardTesting>

export function createCardTesting(settings: {
  database: Database
  log: Log
  card: CardCompany
  limits: CardLimits
  /** Whether the house takes coins, too; what keeps cards closed says so. */
  takesCrypto: boolean
  /** Whether the e-mail address of this account's login was proven by a link. */
  hasProvenAddress: (db: Queryable, accountId: bigint) => Promise<boolean>
}) {
  const { database, log, card, limits, takesCrypto, hasProvenAddress } = settings

  /**
   * Whether this customer may open another payment page now; null: yes. In the transaction that writes the intent, before it does:
   * requests of the same customer, and of the same network, wait for one another here, so that ten at once are counted as ten.
   */
  async function admit(tx: pg.PoolClient, who: { accountId: bigint; address: string | null }): Promise<Refused | null> {
    if (!(await hasProvenAddress(tx, who.accountId))) {
      return {
        code: 'email_not_proven',
        detail:
          'Prove your e-mail address before the first card payment: open Settings and have the link sent. Nothing was charged.',
      }
    }
    await tx.query('select pg_advisory_xact_lock($1, hashint8($2))', [LOCK_OF_ACCOUNT, who.accountId])
    if (who.address !== null)
      await tx.query(`select pg_advisory_xact_lock($1, hashtext(${NETWORK_OF('$2')}::text))`, [
        LOCK_OF_NETWORK,
        who.address,
      ])

    const { rows } = await tx.query<{
      open: number
      pages_at: Date | null
      network_at: Date | null
      now: Date
    }>(
      `select (select count(*)::int from topups
                where account_id = $1 and method = 'card' and status in ('awaiting_payment', 'confirming')) as open,
              (select created_at + interval '1 hour' from topups
                where account_id = $1 and method = 'card' and created_at > house_now() - interval '1 hour'
                order by created_at desc offset $2 limit 1) as pages_at,
              (select created_at + interval '1 hour' from topups
                where asked_network = ${NETWORK_OF('$3')} and method = 'card' and created_at > house_now() - interval '1 hour'
                order by created_at desc offset $4 limit 1) as network_at,
              house_now() as now`,
      [who.accountId, limits.sessionsPerHourMax - 1, who.address, limits.sessionsPerNetworkPerHourMax - 1],
    )
    const { open, pages_at: pagesAt, network_at: networkAt, now } = rows[0]!
    const cardsOpenAt = await pausedUntil(tx)
    if (cardsOpenAt) return paused(cardsOpenAt, now, takesCrypto)
    const cardsAt = await closedUntil(tx, who.accountId)
    if (cardsAt) return limitReached('Too many card payments of yours failed.', cardsAt, now, takesCrypto)
    if (open >= limits.openTopupsMax) {
      return {
        code: 'too_many_open_topups',
        detail: `You have ${open} open ${open === 1 ? 'top-up' : 'top-ups'}, and may have ${limits.openTopupsMax}. ${open === 1 ? 'Pay on its page, or wait until it closes' : 'Pay on one of their pages, or wait until one closes'}; nothing was charged.`,
        extra: { open, max_open: limits.openTopupsMax },
      }
    }
    if (pagesAt)
      return limitReached(
        `You began ${limits.sessionsPerHourMax} ${limits.sessionsPerHourMax === 1 ? 'top-up' : 'top-ups'} within the last hour.`,
        pagesAt,
        now,
        takesCrypto,
      )
    if (networkAt)
      return limitReached(
        'Too many top-ups were begun from your network within the last hour.',
        networkAt,
        now,
        takesCrypto,
      )
    return null
  }

  /**
   * Until when this customer gets no payment page, because of the cards that were tried on those he had. Null: nothing speaks against
   * it. A card that was paid with speaks for the customer; the others count.
   */
  async function closedUntil(db: Queryable, accountId: bigint): Promise<Date | null> {
    const { rows } = await db.query<{ opens_at: Date | null }>(
      `with mine as (
         select a.card, a.declined, a.tried_at,
                exists (select from topups t where t.charge_id = a.id and t.status = 'credited') as paid
           from card_attempts a
          where a.account_id = $1 and a.tried_at > house_now() - interval '1 day'
       ), cards as (
         select card, max(tried_at) as tried_at, bool_or(paid) as paid from mine where card is not null group by card
       )
       select max(at) + interval '1 day' as opens_at
         from (select (select tried_at from cards where not paid order by tried_at desc offset $2 limit 1)
               union all
               select (select tried_at from cards order by tried_at desc offset $2 + 1 limit 1)
               union all
               select (select tried_at from mine where declined order by tried_at desc offset $3 limit 1)
               union all
               select max(c.tried_at) from cards c
                where (select count(distinct o.account_id) from card_attempts o
                        where o.card = c.card and o.tried_at > house_now() - interval '1 day') > $4) x (at)`,
      [accountId, limits.cardsPerDayMax - 1, limits.declinesPerDayMax - 1, limits.customersPerCardPerDayMax],
    )
    return rows[0]!.opens_at
  }

  /**
   * Notes which cards were tried on a payment page, and says whether the page shall be closed. Asks the card company once where an
   * attempt failed: between two looks there may have been others. What cannot be found out now is found out with the next attempt.
   */
  async function watch(topup: TopupRow, intent: PaymentIntent | null): Promise<{ close: boolean }> {
    const told = intent ? attemptsOf(intent, []) : []
    const failed = told.some((attempt) => attempt.declined)
    if (intent) {
      if (failed && !(await allKnown(told))) {
        const answer = await card.listCharges(intent.id)
        await note(topup, attemptsOf(intent, answer.ok ? answer.value : []))
      } else await note(topup, told)
    }
    if ((await closedUntil(database.pool, topup.accountId)) !== null) return { close: true }
    // While cards are paused, who has paid is credited; a page on which a card failed takes no other one.
    return { close: failed && (await pausedUntil(database.pool)) !== null }
  }

  async function pausedUntil(db: Queryable): Promise<Date | null> {
    const { rows } = await db.query<{ until: Date | null }>(
      'select max(until) as until from card_pauses where ended_at is null and until > house_now()',
    )
    return rows[0]!.until
  }

  async function allKnown(told: Attempt[]): Promise<boolean> {
    const { rows } = await database.pool.query('select from card_attempts where id = any ($1)', [
      told.map(({ id }) => id),
    ])
    return rows.length === told.length
  }

  async function note(topup: TopupRow, attempts: Attempt[]): Promise<void> {
    if (attempts.length === 0) return
    await database.transaction(async (tx) => {
      // An outside time in house time: as long ago as it is by the clock on the wall.
      const { rows } = await tx.query<{ declined: boolean }>(
        `insert into card_attempts (id, topup_id, account_id, card, declined, tried_at)
         select id, $1, $2, card, declined,
                least(house_now(), coalesce(house_now() - (now() - to_timestamp(tried_at)), house_now()))
           from unnest($3::text[], $4::bytea[], $5::boolean[], $6::float8[]) as a (id, card, declined, tried_at)
          order by id
         on conflict (id) do nothing
         returning declined`,
        [
          topup.id,
          topup.accountId,
          attempts.map(({ id }) => id),
          attempts.map((attempt) => attempt.card),
          attempts.map(({ declined }) => declined),
          attempts.map(({ triedAtSeconds }) => triedAtSeconds),
        ],
      )
      if (!rows.some(({ declined }) => declined)) return
      await trip(tx)
      // His other pages are closed with the next look at them.
      if ((await closedUntil(tx, topup.accountId)) !== null) await lookSoon(tx, topup)
    })
  }

  async function lookSoon(tx: pg.PoolClient, topup: TopupRow): Promise<void> {
    await tx.query(
      `update topups set next_look_at = now()
        where id in (select id from topups
                      where account_id = $1 and id <> $2 and method = 'card' and status = 'awaiting_payment' and next_look_at > now()
                      order by id
                        for update skip locked)`,
      [topup.accountId, topup.id],
    )
  }

  /** The breaker: too many of the last attempts were declined. What came before somebody opened it by hand does not count again. */
  async function trip(tx: pg.PoolClient): Promise<void> {
    await tx.query('select pg_advisory_xact_lock($1)', [LOCK_OF_BREAKER])
    const { rows } = await tx.query<{ attempts: number; declines: number; until: Date }>(
      `with last as (
         select count(*)::int as attempts, (count(*) filter (where declined))::int as declines
           from card_attempts
          where tried_at > greatest(house_now() - make_interval(secs => $1),
                                    (select max(coalesce(ended_at, until)) from card_pauses))
       )
       insert into card_pauses (begun_at, until, attempts, declines)
       select house_now(), house_now() + make_interval(secs => $4), attempts, declines
         from last
        where attempts >= $2
          and declines * 100 > attempts * $3
          and not exists (select from card_pauses where ended_at is null and until > house_now())
       returning attempts, declines, until`,
      [BREAKER_WINDOW_SECONDS, limits.breakerAttemptsMin, limits.breakerDeclinesPercentMax, limits.breakerPauseSeconds],
    )
    const [tripped] = rows
    if (!tripped) return
    log.error(
      { alarm: true, attempts: tripped.attempts, declines: tripped.declines, until: tripped.until },
      'Alarm: so many cards are declined that somebody may be testing them; new card payments are paused for everybody',
    )
  }

  /** How it stands, for staff. */
  async function state(): Promise<StaffCards> {
    const { rows } = await database.pool.query<{
      begun_at: Date
      until: Date
      ended_at: Date | null
      attempts: number
      declines: number
      begun_by: string | null
      ended_by: string | null
      now: Date
    }>(
      `select p.begun_at, p.until, p.ended_at, p.attempts, p.declines, b.username as begun_by, e.username as ended_by,
              house_now() as now
         from card_pauses p
         left join accounts b on b.id = p.begun_by
         left join accounts e on e.id = p.ended_by
        order by p.id desc
        limit $1`,
      [PAUSES_SHOWN_MAX],
    )
    const { rows: last } = await database.pool.query<{ attempts: number; declines: number }>(
      `select count(*)::int as attempts, (count(*) filter (where declined))::int as declines
         from card_attempts where tried_at > house_now() - make_interval(secs => $1)`,
      [BREAKER_WINDOW_SECONDS],
    )
    const newest = rows.find((row) => row.ended_at === null && row.until > row.now)
    return {
      state: newest ? 'paused' : 'open',
      opens_at: newest ? newest.until.toISOString() : null,
      last_minutes: {
        seconds: BREAKER_WINDOW_SECONDS,
        attempts: last[0]!.attempts,
        declines: last[0]!.declines,
        attempts_min: limits.breakerAttemptsMin,
        declines_percent_max: limits.breakerDeclinesPercentMax,
      },
      pauses: rows.map((row) => ({
        begun_at: row.begun_at.toISOString(),
        ended_at: (row.ended_at ?? (row.until <= row.now ? row.until : null))?.toISOString() ?? null,
        attempts: row.attempts,
        declines: row.declines,
        begun_by: row.begun_by,
        ended_by: row.ended_by,
      })),
    }
  }

  /** By hand. Twice is as once. */
  async function setPaused(paused: boolean, by: bigint): Promise<StaffCards> {
    await database.transaction(async (tx) => {
      await tx.query('select pg_advisory_xact_lock($1)', [LOCK_OF_BREAKER])
      if (paused) {
        await tx.query(
          `insert into card_pauses (begun_at, until, attempts, declines, begun_by)
           select house_now(), house_now() + make_interval(secs => $2), 0, 0, $1
            where not exists (select from card_pauses where ended_at is null and until > house_now())`,
          [by, PAUSE_BY_HAND_SECONDS],
        )
      } else {
        await tx.query(
          'update card_pauses set ended_at = house_now(), ended_by = $1 where ended_at is null and until > house_now()',
          [by],
        )
      }
    })
    log.warn({ account: String(by), paused }, 'Somebody of the staff paused card payments, or opened them again')
    return state()
  }

  return { admit, watch, state, setPaused }
}

/** What a payment, and the charges that were made for it, tell of the cards that were tried. */
export function attemptsOf(intent: PaymentIntent, charges: readonly Charge[]): Attempt[] {
  const latest = intent.latest_charge
  const all = latest !== null && typeof latest !== 'string' ? [latest, ...charges] : charges
  const attempts = new Map<string, Attempt>()
  for (const charge of all) {
    attempts.set(charge.id, {
      id: charge.id,
      card: markOf(charge.payment_method_details?.card?.fingerprint),
      declined: charge.status === 'failed',
      triedAtSeconds: charge.created,
    })
  }
  // A confirmation that failed makes no charge, and is an attempt all the same.
  const error = intent.last_payment_error
  if (error && !error.charge && error.code !== 'payment_intent_payment_attempt_expired') {
    const method = error.payment_method
    attempts.set(`${intent.id}:${method?.id ?? 'unknown'}`, {
      id: `${intent.id}:${method?.id ?? 'unknown'}`,
      card: markOf(method?.card?.fingerprint),
      declined: true,
      triedAtSeconds: null,
    })
  }
  return [...attempts.values()]
}

/** The card company's own mark says nothing to anybody else; hashed, it says nothing even to who reads both. */
function markOf(fingerprint: string | null | undefined): Buffer | null {
  return fingerprint ? createHash('sha256').update(fingerprint).digest().subarray(0, 16) : null
}

function paused(until: Date, now: Date, takesCrypto: boolean): Refused {
  return {
    code: 'cards_paused',
    detail: `Card payments are paused for everybody: too many cards were declined within a few minutes. They open again in ${inWords(until, now)} at the latest.${cryptoIsOpen(takesCrypto)} What was begun before goes on, your credits stay usable, and nothing was charged.`,
    retryAfterSeconds: secondsTo(until, now),
    extra: { opens_at: until.toISOString() },
  }
}

function limitReached(what: string, opensAt: Date, now: Date, takesCrypto: boolean): Refused {
  return {
    code: 'card_limit_reached',
    detail: `${what} Card payments open again for you in ${inWords(opensAt, now)}.${cryptoIsOpen(takesCrypto)} Your credits stay usable, and nothing was charged.`,
    retryAfterSeconds: secondsTo(opensAt, now),
    extra: { opens_at: opensAt.toISOString() },
  }
}

function cryptoIsOpen(takesCrypto: boolean): string {
  return takesCrypto ? ' Crypto is open now.' : ''
}

function secondsTo(then: Date, now: Date): number {
  return Math.max(1, Math.ceil((then.getTime() - now.getTime()) / 1_000))
}

function inWords(then: Date, now: Date): string {
  const minutes = Math.ceil(secondsTo(then, now) / 60)
  if (minutes < 120) return minutes === 1 ? 'a minute' : `${minutes} minutes`
  return `${Math.ceil(minutes / 60)} hours`
}
