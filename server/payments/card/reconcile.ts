/**
 * Reconciliation: the card company's account of our balance, compared with our books in both directions.
 *
 *   read ─ whose is each entry ─ mend what can be mended ─ match and book ─ name what is left
 *
 * An entry *matches* when it has exactly one counterpart here: a credited top-up with this charge, a refund or a dispute with this id,
 * of the same amount. With the match, and once, the house's own part of it is booked: the card company's fee, what left or came back
 * for a refund or a dispute, a payout. What has no counterpart is an *item*, by name, from either side, until it has one.
 *
 * What can be mended is mended by whoever mends it otherwise, too: a top-up is settled, a refund or a dispute is learned anew. A run may
 * die anywhere: what it read is kept, what it booked has an id derived from the entry, and the next run does the rest.
 */
import type { Usd } from '../../../contract/money.ts'
import { micros, printAmount } from '../../../contract/money.ts'
import type { HouseEntry, Ledger, PlatformAccount } from '../../ledger/ledger.ts'
import type { Database, Queryable } from '../../platform/db.ts'
import { derivedId, newId, originAt } from '../../platform/ids.ts'
import type { Log } from '../../platform/log.ts'
import { createInstallation } from '../installation.ts'
import { CannotRead, categories, createBalance, microsOfCents } from './balance.ts'
import type { CardCompany } from './stripe.ts'

/** So young, ours may lack theirs: the card company books later than it acts. Unit: hours. */
export const GRACE_HOURS = 48
/** So young, theirs may lack ours: we are told, and ask, within this. Unit: minutes. */
const TOLD_WITHIN_MINUTES = 10
/** A run that is silent for so long has died. Longer than its longest call. Unit: seconds. */
const CLAIM_SECONDS = 120
const BOOKED_PER_GO = 200
const MENDED_PER_RUN_MAX = 500
/** A difference is tried again after 1, 2, 4 … minutes, and no more than once a day. */
const TRY_AGAIN_MINUTES_MAX = 1_440
const ERROR_CHARACTERS_MAX = 500

export type StartedBy = 'schedule' | 'staff' | 'command'

/** What does not fit. The words for people are made where they are shown. */
export type ItemKind =
  /** Theirs without ours. */
  | 'credit_missing'
  | 'topup_unknown'
  | 'refund_missing'
  | 'dispute_missing'
  | 'source_unknown'
  /** Ours without theirs. */
  | 'charge_not_there'
  | 'refund_not_there'
  | 'dispute_not_there'
  /** Both, and not the same. */
  | 'amount_differs'
  | 'currency_differs'
  | 'entry_doubled'

export type Item = {
  key: string
  kind: ItemKind
  /** `waiting`: too young to be a difference. */
  state: 'waiting' | 'open'
  /** There. */
  externalId: string | null
  /** Here; of `topup_unknown` the id that it says. */
  topupId: string | null
  /** Whose; null: nobody's who is known. */
  username: string | null
  ours: Usd | null
  theirs: Usd | null
  since: Date
  tries: number
  lastError: string | null
}

/** Counts of what matched, and the sums; money as on the wire. */
export type Result = {
  charges: number
  refunds: number
  disputes: number
  fees: number
  payouts: number
  /** Of other business on the same account there: named, and never an error. */
  foreign: { entries: number; net: string }
  open: number
  waiting: number
  mended: number
  sums: Sums
}

/** I11: clearing is what lies at the card company, and what is on its way there; anything else is unexplained. */
export type Sums = {
  clearing: string
  at_stripe: string
  /** Credited, and not matched there: each an item or waiting. */
  on_its_way: string
  unexplained: string
  fees: string
  paid_out: string
}

type Step = 'reading' | 'asking' | 'mending' | 'comparing'

export type Run = {
  id: string
  startedBy: StartedBy
  status: 'running' | 'clean' | 'open' | 'failed'
  step: Step
  entries: number
  result: Result | null
  error: string | null
  startedAt: Date
  endedAt: Date | null
}

/** Who mends what is found. Each asks the card company itself, is idempotent, and throws when the outcome is not known. */
export type Menders = {
  settle: (topupId: string) => Promise<unknown>
  learnRefund: (topupId: string, refundId: string) => Promise<unknown>
  learnDispute: (topupId: string, disputeId: string) => Promise<unknown>
}

export type CardReconciliation = ReturnType<typeof createReconciliation>

class TakenOver extends Error {}

/** `menders` null: differences are named and left to whoever has them. `graceHours`: for tests. */
export function createReconciliation(settings: {
  database: Database
  ledger: Ledger
  card: CardCompany
  log: Log
  menders: Menders | null
  graceHours?: number
  toldWithinMinutes?: number
}) {
  const { database, ledger, card, log, menders, graceHours = GRACE_HOURS } = settings
  const { toldWithinMinutes = TOLD_WITHIN_MINUTES } = settings
  const balance = createBalance({ database, card, installation: createInstallation(database) })
  const underWay = new Set<Promise<void>>()
  const stopping = new AbortController()

  /** Begins a run, or names the one that is under way; `done` when that is this one's to wait for. */
  async function begin(startedBy: StartedBy): Promise<{ id: string; done: Promise<void> | null }> {
    await database.pool.query(
      `update reconciliations
          set status = 'failed', error = 'It was cut off; the next run goes on where it stopped.', ended_at = now()
        where rail = 'card' and status = 'running' and claimed_until <= now()`,
    )
    const { rows } = await database.pool.query<{ id: string; mine: boolean }>(
      `with mine as (
         insert into reconciliations (id, rail, started_by, claimed_until)
         values ($1, 'card', $2, now() + make_interval(secs => $3))
             on conflict do nothing
         returning id
       )
       select id, true as mine from mine
        union all
       select id, false from reconciliations where rail = 'card' and status = 'running'
        limit 1`,
      [newId(), startedBy, CLAIM_SECONDS],
    )
    // It ended between the two looks.
    if (!rows[0]) return begin(startedBy)
    if (!rows[0].mine) return { id: rows[0].id, done: null }
    const done = drive(rows[0].id)
    underWay.add(done)
    void done.finally(() => underWay.delete(done))
    return { id: rows[0].id, done }
  }

  async function drive(id: string): Promise<void> {
    try {
      const result = await run((step, entries) => goOn(id, step, entries))
      await end(id, result.open === 0 ? 'clean' : 'open', result, null)
    } catch (error) {
      if (error instanceof TakenOver) return
      if (!(error instanceof CannotRead)) log.error({ err: error, run: id }, 'A reconciliation broke off')
      const said =
        error instanceof CannotRead ? error.message : 'It broke off by a fault of this program; the log has more.'
      await end(id, 'failed', null, said).catch((cause: unknown) =>
        log.error({ err: cause, run: id }, 'A reconciliation could not be ended; its claim runs out'),
      )
    }
  }

  /** Renews the claim and says how far it is. */
  async function goOn(id: string, step: Step, entries: number): Promise<void> {
    if (stopping.signal.aborted)
      throw new CannotRead('The server was stopped. The next run goes on where this one was.')
    const { rowCount } = await database.pool.query(
      `update reconciliations
          set step = $2, entries = entries + $3, claimed_until = now() + make_interval(secs => $4)
        where id = $1 and status = 'running'`,
      [id, step, entries, CLAIM_SECONDS],
    )
    if (rowCount === 0) throw new TakenOver()
  }

  async function end(id: string, status: Run['status'], result: Result | null, error: string | null): Promise<void> {
    await database.pool.query(
      `update reconciliations set status = $2, result = $3, error = $4, ended_at = now() where id = $1 and status = 'running'`,
      [id, status, result && JSON.stringify(result), error?.slice(0, ERROR_CHARACTERS_MAX) ?? null],
    )
  }

  async function run(goOn: (step: Step, entries: number) => Promise<void>): Promise<Result> {
    const all = await balance.read((entries) => goOn('reading', entries))
    await balance.findOwners(() => goOn('asking', 0))
    await match(() => goOn('comparing', 0))
    let left = await compare(database.pool)
    let mended = 0
    if (menders && left.length > 0) {
      await keep(left, { quietly: true })
      const tried = await mend(menders, () => goOn('mending', 0))
      await balance.findOwners(() => goOn('asking', 0))
      await match(() => goOn('comparing', 0))
      left = await compare(database.pool)
      const still = new Set(left.map(({ key }) => key))
      mended = tried.filter((key) => !still.has(key)).length
    }
    await keep(left)
    if (!all) throw new CannotRead('There is more at Stripe than one run reads: the next one goes on.')
    return { ...(await resultOf(database.pool)), mended }
  }

  // ── Match and book ───────────────────────────────────────────────────────────────────────────────────────────────

  /** Books what has its counterpart, a few at a time, each exactly once. */
  async function match(step: () => Promise<void>): Promise<void> {
    for (;;) {
      const booked = await database.transaction(async (tx) => {
        // The rows are locked: of two runs at once the second finds them booked.
        const { rows } = await tx.query<Matched>(
          `select b.id, b.reporting_category as category, b.amount, b.fee, b.reference, b.created
             from balance_transactions b
            where b.booked_at is null
              and b.currency = 'usd'
              and (b.owner = 'house'
                   or b.owner = 'ours'
                      and exists (select from (${COUNTERPART}) f where f.amount = abs(b.amount) * 10000)
                      and not exists (${TWIN}))
            order by b.id
            limit $1
              for update of b`,
          [BOOKED_PER_GO],
        )
        if (rows.length === 0) return 0
        for (const entry of rows) for (const move of movesOf(entry)) await ledger.book(tx, move)
        await tx.query('update balance_transactions set booked_at = now() where id = any ($1) and booked_at is null', [
          rows.map(({ id }) => id),
        ])
        return rows.length
      })
      if (booked === 0) return
      await step()
    }
  }

  /** What can be asked for again is asked for; answers the keys that were tried. */
  async function mend(menders: Menders, step: () => Promise<void>): Promise<string[]> {
    const { rows } = await database.pool.query<Mendable>(
      `select key, kind, topup_id, external_id
         from reconciliation_items
        where rail = 'card' and ${MENDABLE} and ${TRY_DUE}
        order by tries, key
        limit $1`,
      [MENDED_PER_RUN_MAX],
    )
    for (const item of rows) {
      let failed: string | null = null
      try {
        await mendOne(menders, item)
      } catch (error) {
        failed = String(error).slice(0, ERROR_CHARACTERS_MAX)
        log.warn({ err: error, topup: item.topup_id }, 'A difference could not be mended; it is tried again')
      }
      await database.pool.query(
        'update reconciliation_items set tries = tries + 1, tried_at = now(), last_error = $2 where key = $1',
        [item.key, failed],
      )
      await step()
    }
    return rows.map(({ key }) => key)
  }

  // ── Name what is left ────────────────────────────────────────────────────────────────────────────────────────────

  async function compare(db: Queryable): Promise<Found[]> {
    const { rows } = await db.query<Found>(DIFFERENCES, [graceHours, toldWithinMinutes])
    return rows
  }

  /** What is found stays by its key; what is not found any more is closed. A new difference calls somebody, unless `quietly`. */
  async function keep(found: Found[], { quietly = false } = {}): Promise<void> {
    const column = (of: (item: Found) => unknown) => found.map(of)
    const { rows } = await database.pool.query<{ key: string; kind: string; topup_id: string | null }>(
      `with found as (
         select * from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::uuid[], $6::bigint[], $7::bigint[], $8::timestamptz[])
                         f(key, kind, state, external_id, topup_id, ours, theirs, since)
       ), closed as (
         update reconciliation_items i
            set state = 'closed', closed_at = now()
          where i.rail = 'card' and i.state <> 'closed' and not exists (select from found f where f.key = i.key)
       ), kept as (
         insert into reconciliation_items as i (key, rail, kind, state, external_id, topup_id, ours, theirs, since)
         select key, 'card', kind, state, external_id, topup_id, ours, theirs, since from found order by key
             on conflict (key) do update
            set kind = excluded.kind, state = excluded.state, external_id = excluded.external_id, topup_id = excluded.topup_id,
                ours = excluded.ours, theirs = excluded.theirs, since = excluded.since, closed_at = null
         returning i.key, i.kind, i.state, i.called, i.topup_id
       )
       select k.key, k.kind, k.topup_id from kept k where k.state = 'open' and not k.called`,
      [
        column(({ key }) => key),
        column(({ kind }) => kind),
        column(({ state }) => state),
        column(({ external_id }) => external_id),
        column(({ topup_id }) => topup_id),
        column(({ ours }) => ours),
        column(({ theirs }) => theirs),
        column(({ since }) => since),
      ],
    )
    if (quietly || rows.length === 0) return
    for (const item of rows)
      log.error({ alarm: true, item: item.key, topup: item.topup_id }, `Alarm: reconciliation found ${item.kind}`)
    await database.pool.query('update reconciliation_items set called = true where key = any ($1)', [
      rows.map(({ key }) => key),
    ])
  }

  async function resultOf(db: Queryable): Promise<Omit<Result, 'mended'>> {
    const { rows } = await db.query<Record<string, string>>(
      `select count(*) filter (where booked_at is not null and reporting_category = any ($1)) as charges,
              count(*) filter (where booked_at is not null and reporting_category = any ($2)) as refunds,
              count(*) filter (where booked_at is not null and reporting_category = any ($3)) as disputes,
              count(*) filter (where booked_at is not null and reporting_category = any ($4)) as fees,
              count(*) filter (where booked_at is not null and reporting_category = any ($5)) as payouts,
              count(*) filter (where owner = 'foreign') as foreign_entries,
              coalesce(sum(net) filter (where owner = 'foreign' and currency = 'usd'), 0) as foreign_net,
              coalesce(sum(net) filter (where booked_at is not null), 0) as at_stripe,
              (select coalesce(sum(t.amount), 0)
                 from topups t
                where t.method = 'card'
                  and t.status = 'credited'
                  and not exists (select from balance_transactions b
                                   where b.source = t.charge_id and b.reporting_category = any ($1) and b.booked_at is not null)
              ) as on_its_way,
              (select count(*) from reconciliation_items where rail = 'card' and state = 'open') as open,
              (select count(*) from reconciliation_items where rail = 'card' and state = 'waiting') as waiting
         from balance_transactions`,
      [categories.charge, categories.refund, categories.dispute, categories.fee, categories.payout],
    )
    const row = rows[0]!
    const clearing = await ledger.platformBalance(db, 'card_clearing')
    const atStripe = microsOfCents(row['at_stripe']!)
    const onItsWay = micros(row['on_its_way']!)
    return {
      charges: Number(row['charges']),
      refunds: Number(row['refunds']),
      disputes: Number(row['disputes']),
      fees: Number(row['fees']),
      payouts: Number(row['payouts']),
      foreign: { entries: Number(row['foreign_entries']), net: printAmount(microsOfCents(row['foreign_net']!)) },
      open: Number(row['open']),
      waiting: Number(row['waiting']),
      sums: {
        clearing: printAmount(clearing),
        at_stripe: printAmount(atStripe),
        on_its_way: printAmount(onItsWay),
        unexplained: printAmount(micros(clearing - atStripe - onItsWay)),
        fees: printAmount(await ledger.platformBalance(db, 'card_fees')),
        paid_out: printAmount(await ledger.platformBalance(db, 'bank')),
      },
    }
  }

  // ── What is told of it ───────────────────────────────────────────────────────────────────────────────────────────

  /** Newest first. */
  async function runs(limit: number): Promise<Run[]> {
    const { rows } = await database.pool.query(
      `select id, started_by, status, step, entries, result, error, started_at, ended_at
         from reconciliations where rail = 'card' order by id desc limit $1`,
      [limit],
    )
    return rows.map((row) => ({
      id: row.id,
      startedBy: row.started_by,
      status: row.status,
      step: row.step,
      entries: row.entries,
      result: row.result,
      error: row.error,
      startedAt: row.started_at,
      endedAt: row.ended_at,
    }))
  }

  /** What does not fit, and what is too young to; the oldest first. */
  async function items(limit: number): Promise<Item[]> {
    const { rows } = await database.pool.query(
      `select i.*, a.username
         from reconciliation_items i
         left join topups t on t.id = i.topup_id
         left join accounts a on a.id = t.account_id
        where i.rail = 'card' and i.state <> 'closed'
        order by i.state, i.since, i.key
        limit $1`,
      [limit],
    )
    return rows.map((row) => ({
      key: row.key,
      kind: row.kind,
      state: row.state,
      externalId: row.external_id,
      topupId: row.topup_id,
      username: row.username,
      ours: row.ours === null ? null : micros(row.ours),
      theirs: row.theirs === null ? null : micros(row.theirs),
      since: row.since,
      tries: row.tries,
      lastError: row.last_error,
    }))
  }

  /** Once a day, and when a difference is due to be mended: begins a run, and does not wait for its end. Wire time. */
  async function tick(): Promise<void> {
    if (stopping.signal.aborted) return
    const { rows } = await database.pool.query<{ due: boolean }>(
      `select coalesce((select max(started_at) from reconciliations where rail = 'card'), (select created_at from installation))
                < now() - interval '1 day'
           or exists (select from reconciliation_items where rail = 'card' and ${MENDABLE} and ${TRY_DUE}) as due`,
    )
    if (rows[0]!.due) await begin('schedule')
  }

  return {
    begin,
    runs,
    items,
    tick,
    /** Whether something is left that menders mend by themselves. */
    async mendable(): Promise<boolean> {
      const { rows } = await database.pool.query<{ is: boolean }>(
        `select exists (select from reconciliation_items where rail = 'card' and ${MENDABLE}) as is`,
      )
      return rows[0]!.is
    },
    /** Ends the run under way at its next step; what it did is kept. */
    async close(): Promise<void> {
      stopping.abort()
      await Promise.all(underWay)
    },
  }
}

/** What menders mend. `topup_unknown` is looked at by every run anyway. */
const MENDABLE = `state <> 'closed' and kind in ('credit_missing', 'refund_missing', 'dispute_missing') and topup_id is not null`
const TRY_DUE = `(tried_at is null or tried_at < now() - make_interval(mins => least(${TRY_AGAIN_MINUTES_MAX}, power(2, least(tries, 16))::int)))`

type Mendable = { key: string; kind: ItemKind; topup_id: string; external_id: string }

function mendOne(menders: Menders, item: Mendable): Promise<unknown> {
  switch (item.kind) {
    case 'credit_missing':
      return menders.settle(item.topup_id)
    case 'refund_missing':
      return menders.learnRefund(item.topup_id, item.external_id)
    case 'dispute_missing':
      return menders.learnDispute(item.topup_id, item.external_id)
    default:
      throw new Error(`Nobody mends ${item.kind}`)
  }
}

type Matched = { id: string; category: string; amount: string; fee: string; reference: string | null; created: Date }

/** What entry `b` can have for its counterpart here, with its amount. */
const COUNTERPART = `
  select c.amount
    from (select t.amount
            from topups t
           where b.reporting_category = 'charge' and t.charge_id = b.source and t.status = 'credited'
           union all
          select r.amount
            from topup_refunds r
           where b.reporting_category in ('refund', 'refund_failure') and r.external_id = b.source
             and (b.reporting_category = 'refund' or r.status = 'failed')
           union all
          select d.amount
            from disputes d
           where b.reporting_category in ('dispute', 'dispute_reversal') and d.external_id = b.source
             and d.kind = 'dispute' and (b.reporting_category = 'dispute' or d.state <> 'taken')
         ) c`

/**
 * An elder entry of the same kind and cause, or one that was matched before: a counterpart has one only. What a dispute took comes back
 * when it is won, and goes again with an appeal: it has one more of its kind than of the other, or as many.
 */
const TWIN = `
  select
   where exists (select from balance_transactions o
                  where b.reporting_category not like 'dispute%'
                    and o.source = b.source
                    and o.reporting_category = b.reporting_category
                    and o.id <> b.id
                    and (o.booked_at is not null or (o.created, o.id) < (b.created, b.id)))
      or b.reporting_category like 'dispute%'
         and (select count(*) from balance_transactions o
               where o.source = b.source
                 and o.reporting_category = b.reporting_category
                 and (o.created, o.id) <= (b.created, b.id))
           > (select count(*) from balance_transactions o
               where o.source = b.source
                 and o.reporting_category like 'dispute%'
                 and o.reporting_category <> b.reporting_category
                 and o.created <= b.created)  -- of what happened in one second nobody knows the order
             + case b.reporting_category when 'dispute' then 1 else 0 end`

type Found = {
  key: string
  kind: ItemKind
  state: 'waiting' | 'open'
  external_id: string | null
  topup_id: string | null
  ours: string | null
  theirs: string | null
  since: Date
}

/** $1: hours that ours may wait for theirs. $2: minutes that theirs may wait for ours. */
const DIFFERENCES = `
  -- Theirs without ours, or not the same.
  select l.kind || ':' || l.id as key, l.kind,
         -- What nobody here knows becomes known by no waiting.
         case when l.owner is not null and l.created > now() - make_interval(mins => $2) then 'waiting' else 'open' end as state,
         coalesce(l.source, l.id) as external_id,
         l.reference as topup_id,
         l.ours,
         abs(l.amount) * 10000 as theirs,
         l.created as since
    from (select b.*, c.amount as ours,
                 case when b.currency <> 'usd' then 'currency_differs'
                      when b.owner is null and b.reference is null then 'source_unknown'
                      when b.owner is null then 'topup_unknown'
                      when c.amount is null then case when b.reporting_category = 'charge' then 'credit_missing'
                                                      when b.reporting_category like 'refund%' then 'refund_missing'
                                                      else 'dispute_missing' end
                      when c.amount <> abs(b.amount) * 10000 then 'amount_differs'
                      else 'entry_doubled' end as kind
            from balance_transactions b
            left join lateral (${COUNTERPART}) c on true
           where b.booked_at is null
             and b.owner is distinct from 'foreign') l
   union all
  -- Ours without theirs. How young it is, by wire time: when it was begun.
  select 'charge_not_there:' || t.id, 'charge_not_there',
         case when t.asked_at > now() - make_interval(hours => $1) then 'waiting' else 'open' end,
         t.charge_id, t.id, t.amount, null, t.credited_at
    from topups t
   where t.method = 'card'
     and t.status = 'credited'
     and not exists (select from balance_transactions b where b.source = t.charge_id and b.reporting_category = 'charge')
   union all
  select 'refund_not_there:' || r.id, 'refund_not_there',
         case when r.asked_at > now() - make_interval(hours => $1) then 'waiting' else 'open' end,
         r.external_id, r.topup_id, r.amount, null, r.succeeded_at
    from topup_refunds r
   where r.succeeded_at is not null
     and not exists (select from balance_transactions b where b.source = r.external_id and b.reporting_category = 'refund')
   union all
  -- What a bank has taken for good went there once, and did not come back.
  select 'dispute_not_there:' || d.id, 'dispute_not_there',
         case when d.closed_at > house_now() - make_interval(hours => $1) then 'waiting' else 'open' end,
         d.external_id, d.topup_id, d.amount, null, d.closed_at
    from disputes d
   where d.state = 'taken'
     and (select count(*) filter (where b.reporting_category = 'dispute') - count(*) filter (where b.reporting_category = 'dispute_reversal')
            from balance_transactions b where b.source = d.external_id) <> 1
   order by 8, 1`

/** What an entry moves between the house's own accounts: where the card company's money went, or came from, and what it kept. */
function movesOf(entry: Matched): HouseEntry[] {
  const origin = originAt(entry.created)
  const amount = microsOfCents(entry.amount)
  const fee = microsOfCents(entry.fee)
  const moves: HouseEntry[] = []
  const move = (other: PlatformAccount, code: HouseEntry['code'], out: Usd, purpose: string) => {
    if (out === 0n) return
    moves.push({
      id: derivedId(origin, `stripe ${entry.id} ${purpose}`),
      debit: out > 0n ? other : 'card_clearing',
      credit: out > 0n ? 'card_clearing' : other,
      amount: micros(out > 0n ? out : -out),
      code,
      reference: entry.reference ?? origin,
    })
  }
  switch (entry.category) {
    // Its amount came with the credit.
    case 'charge':
      break
    case 'refund':
    case 'refund_failure':
      move('refunds', 'topup_refund', micros(-amount), 'amount')
      break
    case 'dispute':
    case 'dispute_reversal':
      move('disputes', 'dispute', micros(-amount), 'amount')
      break
    case 'payout':
    case 'payout_reversal':
      move('bank', 'payout', micros(-amount), 'amount')
      break
    default:
      move('card_fees', 'fee', micros(-amount), 'amount')
  }
  move('card_fees', 'fee', fee, 'fee')
  return moves
}
