/**
 * Proves the ledger of a database: derives everything anew from the transfers, by queries of its own, and names the first rows that
 * differ. It only reads, in one snapshot, so it may run beside a busy server; and it shares no code with what it checks.
 *
 * It also finds what is *overdue*: money or messages that are right as they stand, and should not stand like that any more. A customer
 * whose hold is not given back has lost the use of his money as surely as by a wrong sum, so this is no success; but the books are
 * right, and a house that was stopped for an hour has it until it runs again. So it has a word and an exit code of its own.
 *
 *   npm run audit [-- --seals FILE]
 *
 * Exits 0 when nothing differs and nothing is overdue, 1 when something differs, 2 when it could not run, 3 when something is overdue
 * only. FILE: where the seals are kept outside the database; SEAL_FILE unless told.
 */
import { existsSync } from 'node:fs'
import { parseArgs } from 'node:util'
import pg from 'pg'
import { cryptoChecks, cryptoOverdue } from './crypto.ts'
import { compareWithSeals, readSealFile, sealChecks } from './seals.ts'

/** What differs: which check, and the row. */
export type Difference = { check: string; row: Record<string, unknown> }

const DIFFERENCES_PER_CHECK_MAX = 5

// What each kind of transfer does to the five figures. Written out here on purpose, instead of asking the ledger.
const effects = `
  select t.id, t.account_id, t.number, t.kind, t.available_after, t.held_after, t.frozen_after, t.owed_after, t.recorded_at,
         case t.kind when 'credit' then t.amount else 0 end as credits,
         case when t.kind in ('debit', 'clawback_debit', 'capture') then t.amount else 0 end as debits,
         case when t.kind = 'hold' then t.amount when h.kind = 'hold' then -h.amount else 0 end as held,
         case when t.kind = 'clawback_hold' then t.amount when h.kind = 'clawback_hold' then -h.amount else 0 end as frozen
    from transfers t
    left join transfers h on h.id = t.hold_id`

/** The ledger by itself. In an order that names the first row first: what follows from it may differ as well. */
const ledgerChecks: Record<string, string> = {
  "an account's counters are the sums of its transfers": `
    select coalesce(a.id, s.account_id) as account, a.credits, a.debits, a.held, a.frozen, a.transfer_count, a.last_at,
           s.credits as credits_derived, s.debits as debits_derived, s.held as held_derived, s.frozen as frozen_derived, s.n as count_derived,
           s.last_at as last_at_derived
      from ledger_accounts a
      full join (select account_id, sum(credits) as credits, sum(debits) as debits, sum(held) as held, sum(frozen) as frozen, count(*) as n,
                        max(recorded_at) as last_at
                   from (${effects}) e group by account_id) s on s.account_id = a.id
     where a.id is null
        or (a.credits, a.debits, a.held, a.frozen, a.transfer_count, a.last_at)
           is distinct from (coalesce(s.credits, 0), coalesce(s.debits, 0), coalesce(s.held, 0), coalesce(s.frozen, 0), coalesce(s.n, 0),
                             coalesce(s.last_at, '-infinity'))
     order by 1`,

  'what is owed is exactly what clawbacks took beyond what was there': `
    select id as account, credits, debits, held, frozen, owed
      from ledger_accounts
     where owed <> greatest(0, debits + held + frozen - credits)
        or least(credits, debits, held, frozen, owed) < 0
     order by 1`,

  'running numbers go 1, 2, 3 … without a gap': `
    select id as transfer, account_id as account, number, position
      from (select id, account_id, number, row_number() over (partition by account_id order by number) as position from transfers) s
     where number <> position
     order by account_id, number`,

  'rows are recorded in the order of their numbers': `
    select id as transfer, account_id as account, number, recorded_at, before
      from (select id, account_id, number, recorded_at, lag(recorded_at) over (partition by account_id order by number) as before
              from transfers) s
     where recorded_at < before
     order by account_id, number`,

  'each row says what was there after it': `
    select id as transfer, account_id as account, number, available_after, held_after, frozen_after, owed_after, free, held_sum, frozen_sum
      from (select e.*,
                   sum(credits - debits - held - frozen) over w as free,
                   sum(held) over w as held_sum,
                   sum(frozen) over w as frozen_sum
              from (${effects}) e
            window w as (partition by account_id order by number)) s
     where available_after <> greatest(0, free) or owed_after <> greatest(0, -free) or held_after <> held_sum or frozen_after <> frozen_sum
     order by account_id, number`,

  'a capture or a void resolves one hold of the same account, whole': `
    select t.id as transfer, t.kind, t.amount, t.returned, t.hold_id as hold, h.amount as hold_amount, h.kind as hold_kind
      from transfers t
      left join transfers h on h.id = t.hold_id
     where t.kind in ('capture', 'void')
       and (h.id is null or h.kind not in ('hold', 'clawback_hold') or h.account_id <> t.account_id
            or h.number >= t.number or t.amount + t.returned <> h.amount)
     order by t.seq`,

  'no hold is resolved twice': `
    select hold_id as hold, count(*) as resolutions from transfers where hold_id is not null group by hold_id having count(*) > 1 order by min(seq)`,

  'the open holds are the holds that nothing resolved': `
    select coalesce(o.hold_id, h.id) as hold, o.amount as open_amount, h.amount as hold_amount, h.account_id as account
      from open_holds o
      full join (select h.* from transfers h
                  where h.kind in ('hold', 'clawback_hold') and not exists (select from transfers r where r.hold_id = h.id)) h
        on h.id = o.hold_id
     where o.hold_id is null or h.id is null or (o.account_id, o.kind, o.code, o.amount) <> (h.account_id, h.kind, h.code, h.amount)
     order by h.seq`,

  "an account's count of open holds is right for each cause": `
    select a.id as account, c.code, c.counted, coalesce(o.n, 0) as open
      from ledger_accounts a
     cross join lateral (values (a.open_orders, 1), (a.open_topup_refunds, 2), (a.open_disputes, 3)) c(counted, code)
      left join (select account_id, code, count(*) as n from open_holds group by account_id, code) o on o.account_id = a.id and o.code = c.code
     where c.counted <> coalesce(o.n, 0)
     order by 1, 2`,

  "a platform account's total is the sum of what moved it": `
    with derived as (
      select platform, code, sum(debits) as debits, sum(credits) as credits, sum(entries) as entries
        from (select contra as platform, code, case kind when 'credit' then amount else 0 end as debits,
                     case kind when 'credit' then 0 else amount end as credits, 1 as entries
                from transfers where kind in ('credit', 'debit', 'clawback_debit', 'capture')
               union all select debit, code, amount, 0, 1 from house_entries
               union all select credit, code, 0, amount, 1 from house_entries) m
       group by platform, code
    ), kept as (
      select platform, code, sum(debits) as debits, sum(credits) as credits, sum(entries) as entries
        from (select platform, code, debits, credits, entries from platform_deltas
               union all select platform, code, debits, credits, entries from platform_sums) m
       group by platform, code
    )
    select coalesce(k.platform, d.platform) as platform, coalesce(k.code, d.code) as code,
           k.debits, k.credits, k.entries, d.debits as debits_derived, d.credits as credits_derived, d.entries as entries_derived
      from kept k
      full join derived d using (platform, code)
     where (k.debits, k.credits, k.entries) is distinct from (d.debits, d.credits, d.entries)
     order by 1, 2`,

  'everything together is zero': `
    select customers, platform
      from (select coalesce(sum(credits - debits), 0) as customers from ledger_accounts) a,
           (select coalesce(sum(credits - debits), 0) as platform
              from (select debits, credits from platform_deltas union all select debits, credits from platform_sums) m) p
     where customers + platform <> 0`,
}

/** What the rooms say happened, against what the ledger says. */
const roomChecks: Record<string, string> = {
  "an order's hold stands as the order does: waiting, captured by its code, or given back": `
    select o.id as "order", o.number, o.status, o.price, h.amount as hold_amount, r.kind as resolution, r.amount as resolved
      from orders o
      left join transfers h on h.id = o.hold_id and h.kind = 'hold' and h.account_id = o.account_id and h.reference = o.id
      left join transfers r on r.hold_id = o.hold_id
     where h.id is null
        or h.amount <> o.price
        or r.reference <> o.id
        or (case o.status when 'waiting' then r.id is null
                          when 'received' then r.kind = 'capture' and r.amount = o.price
                          when 'finished' then r.kind = 'capture' and r.amount = o.price
                          else r.kind = 'void' end) is not true`,

  'a hold for an order has its order': `
    select h.id as hold, h.account_id as account, h.amount
      from transfers h
     where h.kind = 'hold' and h.code = 1
       and not exists (select from orders o where o.hold_id = h.id)`,

  'a price was taken exactly when a code was accepted before the end': `
    select o.id as "order", o.number, o.status, o.received_at, o.expires_at, m.first_code
      from orders o
      left join (select order_id, min(received_at) as first_code, array_agg(received_at) as codes
                   from messages where code is not null and not late group by order_id) m
        on m.order_id = o.id
     where (o.received_at is not null) <> (m.first_code is not null)
        or m.first_code >= o.expires_at
        or o.received_at <> all (m.codes)`,

  'a number is with one live order at most, and knows it': `
    select n.id as number_id, n.phone_number, n.order_id, o.id as live_order
      from numbers n
      full join (select * from orders where status in ('waiting', 'received')) o on o.number_id = n.id
     where n.order_id is distinct from o.id`,

  'a message is shown to the customer of its order, and its inbox row is the evidence': `
    select m.id as message, m.account_id as account, o.account_id as order_account, e.id as inbox
      from messages m
      join orders o on o.id = m.order_id
      left join inbox e on e.id = m.inbox_id
     where m.account_id <> o.account_id
        or e.id is null
        or (e.subject, e.received_at) is distinct from (o.phone_number, m.received_at)`,

  'a top-up was credited once, exactly when it says so, with its amount': `
    select p.id as topup, p.status, p.amount, t.credits, t.amount as credited
      from topups p
      full join (select reference, account_id, count(*) as credits, sum(amount) as amount
                   from transfers
                  where kind = 'credit' and code = 30
                  group by reference, account_id) t on t.reference = p.id and t.account_id = p.account_id
     where case when p.status = 'credited' and p.method = 'card' then 1 else 0 end <> coalesce(t.credits, 0)
        or p.amount <> t.amount`,

  // Whatever is on its way back counts as gone. Codes: 2 refund of a top-up, 43 taken back outside; platform 4 refunds.
  'what went back of a top-up is what its refunds say, and no more than it credited': `
    select p.id as topup, p.amount, coalesce(r.booked, 0) as refunds, coalesce(t.gone, 0) as gone
      from topups p
      left join (select topup_id, sum(booked) as booked
                   from (select topup_id, booked from topup_refunds where status <> 'failed'
                          union all
                         select topup_id, amount from crypto_refunds where status not in ('declined', 'failed')) b
                  group by topup_id) r on r.topup_id = p.id
      left join (select reference, account_id,
                        sum(case when kind in ('void', 'credit') then -amount when kind = 'capture' then 0 else amount end) as gone
                   from transfers
                  where code = 2 or (code = 43 and contra = 4)
                  group by reference, account_id) t on t.reference = p.id and t.account_id = p.account_id
     where coalesce(r.booked, 0) <> coalesce(t.gone, 0)
        or r.booked > case p.method when 'card' then p.amount else (select sum(c.amount) from transfers c
                                                                      where c.reference = p.id and c.account_id = p.account_id
                                                                        and c.kind = 'credit' and c.code in (31, 42)) end`,

  'money that goes back by a chain stands as its refund does: held, taken, or given back': `
    select r.id as refund, r.topup_id as topup, r.status, r.amount, h.amount as held, e.kind as ended_by, c.amount as came_back
      from crypto_refunds r
      left join transfers h on h.id = derived_id(r.id, 'hold')
       and (h.kind, h.code, h.account_id, h.reference, h.amount) = ('hold', 2, r.account_id, r.topup_id, r.amount)
      left join transfers e on e.hold_id = h.id
      left join transfers c on c.id = derived_id(r.id, 'failed')
     where h.id is null
        or e.kind::text is distinct from case when r.captured_at is not null then 'capture'
                                              when r.status in ('declined', 'failed') then 'void' end
        or c.amount is distinct from case when r.status = 'failed' and r.captured_at is not null then r.amount end`,

  "a refund's money stands as the refund does: held, taken, or given back": `
    select r.id as refund, r.topup_id as topup, r.status, r.amount, h.amount as held, e.kind as ended_by, c.amount as came_back
      from topup_refunds r
      left join transfers h on h.id = derived_id(r.id, 'hold')
       and (h.kind, h.code, h.account_id, h.reference, h.amount) = ('hold', 2, r.account_id, r.topup_id, r.amount)
      left join transfers e on e.hold_id = h.id
      left join transfers c on c.id = derived_id(r.id, 'failed')
     where case when r.refund_call is null then h.id is not null
                when r.succeeded_at is not null then e.kind is distinct from 'capture'
                when r.status = 'failed' then e.kind is distinct from 'void'
                else h.id is null or e.id is not null end
        or c.amount is distinct from
           case when r.status = 'failed' and r.booked > 0 and (r.refund_call is null or r.succeeded_at is not null) then r.booked end`,

  // Code 3: what banks freeze, take, and give back after a dispute that was lost. A warning keeps, and takes nothing.
  'what banks froze and took of a top-up is what its disputes and warnings say, and no more than was left of it': `
    select p.id as topup, p.amount, coalesce(c.frozen, 0) as frozen, coalesce(c.taken, 0) as taken,
           coalesce(t.frozen, 0) as frozen_derived, coalesce(t.taken, 0) as taken_derived, h.hold_id as hold
      from topups p
      left join (select topup_id, sum(frozen) as frozen, sum(taken) as taken
                   from (select topup_id, case state when 'frozen' then covered else 0 end, case state when 'taken' then covered else 0 end
                           from disputes
                          union all
                         select topup_id, frozen, 0 from fraud_warnings) said(topup_id, frozen, taken)
                  group by topup_id) c on c.topup_id = p.id
      left join (select m.reference, m.account_id,
                        sum(m.amount) filter (where m.kind in ('hold', 'clawback_hold') and r.id is null) as frozen,
                        sum(case when m.kind in ('capture', 'debit', 'clawback_debit') then m.amount when m.kind = 'credit' then -m.amount end)
                          as taken
                   from transfers m
                   left join transfers r on r.hold_id = m.id
                  where m.code = 3
                  group by m.reference, m.account_id) t on t.reference = p.id and t.account_id = p.account_id
      left join (select said.topup_id, min(said.hold_id::text) as hold_id
                   from (select topup_id, hold_id, covered from disputes union all select topup_id, hold_id, frozen from fraud_warnings)
                        said(topup_id, hold_id, amount)
                   left join open_holds o on o.hold_id = said.hold_id
                  where said.hold_id is not null and o.amount is distinct from said.amount
                  group by said.topup_id) h on h.topup_id = p.id
     where coalesce(c.frozen, 0) <> coalesce(t.frozen, 0)
        or coalesce(c.taken, 0) <> coalesce(t.taken, 0)
        or h.hold_id is not null
        or (c.frozen + c.taken > 0
            and c.frozen + c.taken > p.amount - (select coalesce(sum(b.booked), 0) from topup_refunds b
                                                  where b.topup_id = p.id and b.status <> 'failed'))`,

  // Numbers of the chart: 1 order, 20 to 22 the ends of an order without a code, 30 top-up by card; platform 1 card clearing, 3 revenue.
  'orders, card top-ups and refunds to the card move money in their own ways only, against their own platform account': `
    select t.id as transfer, t.account_id as account, t.number, t.kind, t.code, t.contra, t.amount, h.code as hold_code
      from transfers t
      left join transfers h on h.id = t.hold_id
     where (t.code = 30 and (t.kind <> 'credit' or t.contra <> 1))
        or (t.code = 1 and (t.kind not in ('hold', 'capture') or t.contra <> 3))
        or (t.code in (20, 21) and (t.kind <> 'void' or h.code <> 1))
        or (h.code = 1 and t.code not in (1, 20, 21, 22))
        or (t.code = 2 and (t.kind not in ('hold', 'capture', 'void', 'credit') or t.contra <> 4))
        or (h.code = 2 and t.code not in (2, 22))`,

  ...cryptoChecks,
}

/** Everything open is over, or somebody was told, within its time. A quarter of an hour, so that a restart is none of this. */
const overdueChecks: Record<string, string> = {
  'an order ends when its time is over': `
    select id as "order", number, account_id as account, status, expires_at
      from orders
     where status in ('waiting', 'received') and expires_at < house_now() - interval '15 minutes'`,

  // The ledger's own sweep gives back a quarter of an hour after the deadline; what only raises an alarm waits for a person.
  'a hold is resolved when its deadline has passed': `
    select hold_id as hold, account_id as account, amount, expires_at, on_expiry
      from open_holds
     where expires_at < house_now() - interval '20 minutes'`,

  // What is set aside was told to a person; what is about an object that nobody here knows is somebody else's, most of the time.
  'what the outside told us is acted on': `
    select id as inbox, source, external_id, received_at, attempts
      from inbox
     where handled_at is null and set_aside_at is null and outcome is null and received_at < house_now() - interval '15 minutes'`,

  'what was written is sealed': `
    select s.id, s.seq, s.recorded_at
      from (select id, seq, recorded_at from transfers union all select id, seq, recorded_at from house_entries) s
     where s.seq > (select coalesce(max(last_seq), 0) from seals) and s.recorded_at < house_now() - interval '1 hour'`,

  // Wire time, these four.
  'a payment is looked at when its look is due': `
    select id as topup, account_id as account, status, next_look_at
      from topups
     where next_look_at < now() - interval '15 minutes'`,

  'a refund is looked at when its look is due': `
    select id as refund, topup_id as topup, status, next_look_at
      from topup_refunds
     where next_look_at < now() - interval '15 minutes'`,

  'a dispute is looked at when its look is due': `
    select id as dispute, topup_id as topup, stripe_status as status, next_look_at
      from disputes
     where next_look_at < now() - interval '15 minutes'
     union all
    select id, topup_id, status, next_look_at
      from fraud_warnings
     where next_look_at < now() - interval '15 minutes'`,

  'a letter is sent when its turn has come': `
    select id as letter, attempts, next_attempt_at
      from mail_outbox
     where next_attempt_at < now() - interval '15 minutes'`,

  ...cryptoOverdue,
}

/** Everything found that is overdue, at most five a check; none means that nobody waits for what should have happened. */
export function findOverdue(database: Pick<pg.Pool, 'connect'>): Promise<Difference[]> {
  return check(database, overdueChecks)
}

/**
 * Every difference found, at most five a check; none means the books are right. `ledger` asks the ledger by itself only: for books
 * that no room has written. `sealFile`: the seals outside the database; null compares with those inside only.
 */
export async function auditLedger(
  database: Pick<pg.Pool, 'connect'>,
  what: 'everything' | 'ledger' = 'everything',
  sealFile: string | null = null,
): Promise<Difference[]> {
  const file = sealFile === null ? null : await readSealFile(sealFile)
  const checks = what === 'ledger' ? ledgerChecks : { ...ledgerChecks, ...roomChecks }
  return check(database, checks, (client) => compareWithSeals(client, file))
}

async function check(
  database: Pick<pg.Pool, 'connect'>,
  checks: Record<string, string>,
  more: (client: pg.PoolClient) => Promise<Difference[]> = async () => [],
): Promise<Difference[]> {
  const client = await database.connect()
  const differences: Difference[] = []
  try {
    await client.query('begin transaction isolation level repeatable read read only')
    await client.query('set local statement_timeout = 0')
    // Over all rows, hash joins are what one wants, and a plan for these very tables.
    await client.query("set local plan_cache_mode = 'auto'")
    for (const [check, query] of Object.entries(checks)) {
      const { rows } = await client.query(`${query} limit ${DIFFERENCES_PER_CHECK_MAX}`)
      for (const row of rows) differences.push({ check, row })
    }
    differences.push(...(await more(client)))
  } finally {
    await client.query('rollback')
    client.release()
  }
  return differences
}

async function main(): Promise<void> {
  const url = process.env['MIGRATION_DATABASE_URL'] ?? process.env['DATABASE_URL']
  if (!url) throw new Error('Set DATABASE_URL to the database whose ledger is to be proved.')
  const asked = parseArgs({ options: { seals: { type: 'string' } } }).values.seals
  const usual = process.env['SEAL_FILE'] || null
  const sealFile = asked ?? (usual !== null && existsSync(usual) ? usual : null)
  const pool = new pg.Pool({ connectionString: url, max: 1 })
  try {
    const { rows } = await pool.query(
      `select (select count(*) from ledger_accounts) as accounts, (select count(*) from transfers) as transfers,
              (select count(*) from open_holds) as open_holds, (select count(*) from seals) as seals`,
    )
    const differences = await auditLedger(pool, 'everything', sealFile)
    const overdue = await findOverdue(pool)
    const { accounts, transfers, open_holds, seals } = rows[0]
    const checks = [...[ledgerChecks, roomChecks, overdueChecks].flatMap(Object.keys), ...sealChecks]
    console.log(
      `${accounts} accounts, ${transfers} transfers, ${open_holds} open holds, ${seals} seals; ${checks.length} checks.`,
    )
    if (sealFile !== null) {
      const { lines } = await readSealFile(sealFile)
      const lacks = Math.max(0, Number(seals) - lines.length)
      console.log(`Seals compared with ${sealFile}${lacks > 0 ? `, which lacks the last ${lacks}` : ''}.`)
    } else if (usual !== null)
      console.log(`There is no file of seals at ${usual}: whether they were rewritten is not known.`)
    else
      console.log('No file of seals is named (SEAL_FILE, or --seals FILE): whether they were rewritten is not known.')
    for (const { check, row } of differences) console.log(`DIFFERS: ${check}\n  ${JSON.stringify(row)}`)
    console.log(
      differences.length === 0 ? 'Nothing differs: the ledger is right.' : `${differences.length} rows differ.`,
    )
    for (const { check, row } of overdue) console.log(`OVERDUE: ${check}\n  ${JSON.stringify(row)}`)
    if (overdue.length > 0)
      console.log(
        `${overdue.length} things should have happened and have not: is the server running? It makes up for them.`,
      )
    if (differences.length > 0) process.exitCode = 1
    else if (overdue.length > 0) process.exitCode = 3
  } finally {
    await pool.end()
  }
}

if (import.meta.main) {
  await main().catch((error: Error) => {
    console.error(`The audit could not run: ${error.message}`)
    process.exitCode = 2
  })
}
