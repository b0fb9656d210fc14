/**
 * What stands in the database before anything is measured: accounts with a past, and one with a long past. Made once, by SQL that
 * writes what the ledger would have written (`npm run audit` passes on it), and kept; each run works on a copy.
 */
import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import pg from 'pg'
import { queues } from '../../server/jobs.ts'
import { causes, platformAccounts } from '../../server/ledger/chart.ts'
import { migrate } from '../../server/platform/migrate.ts'

export type Size = { accounts: number; transfers: number }
export type Say = (doing: string) => void

const MIGRATIONS = join(import.meta.dirname, '../../db/migrations')
const ROWS_A_STATEMENT = 500_000
/** $200: callers draw top-ups and orders by chance, and with $20 some accounts run out of credit on a machine that is fast enough. */
const CREDIT = 200_000_000n
const PRICE = 500_000n
const YEAR_SECONDS = 365 * 24 * 3600

/** The account with the long past: a hundredth of all transfers are its own. */
export const longPastOf = (size: Size) => BigInt(size.accounts + 1)
export const longPastTransfers = (size: Size) => Math.floor(size.transfers / 100)
/** Every other account has as many, at least a credit and an order. */
export const transfersEach = (size: Size) =>
  Math.max(3, Math.round((size.transfers - longPastTransfers(size)) / size.accounts))

/** Answers the name of the database that holds it, made now if need be. */
export async function base(owner: pg.Client, size: Size, say: Say): Promise<string> {
  const name = `bench_base_${size.accounts}_${size.transfers}_${fingerprint()}`
  const { rows } = await owner.query<{ datname: string }>(
    `select datname from pg_database where datname ~ '^bench_base_'`,
  )
  if (rows.some(({ datname }) => datname === name)) return name
  // Those of the same size that an earlier version made, and one that was not finished.
  for (const { datname } of rows)
    if (datname.startsWith(`bench_base_${size.accounts}_${size.transfers}_`))
      await owner.query(`drop database ${datname} with (force)`)
  const unfinished = `${name}_unfinished`
  await owner.query(`drop database if exists ${unfinished} with (force)`)
  await owner.query(`create database ${unfinished}`)
  const url = urlOf(owner, unfinished)
  await migrate({ ownerUrl: url, serverUrl: url, mode: 'sandbox', queues })
  const db = new pg.Client({ connectionString: url })
  await db.connect()
  try {
    await fill(db, size, say)
  } finally {
    await db.end()
  }
  await owner.query(`alter database ${unfinished} rename to ${name}`)
  return name
}

/** A copy to work on, with the functions as they are now. Answers its URL. */
export async function copyOf(owner: pg.Client, name: string): Promise<string> {
  await owner.query('drop database if exists bench_run with (force)')
  await owner.query(`create database bench_run template ${name} strategy file_copy`)
  const url = urlOf(owner, 'bench_run')
  await migrate({ ownerUrl: url, serverUrl: url, mode: 'sandbox', queues })
  return url
}

export function urlOf(owner: pg.Client, database: string): string {
  const { host, port, user, password } = owner
  return `postgres://${user}:${encodeURIComponent(password ?? '')}@${host}:${port}/${database}`
}

function fingerprint(): string {
  const hash = createHash('sha256').update(readFileSync(import.meta.filename))
  for (const file of readdirSync(MIGRATIONS).sort()) hash.update(readFileSync(join(MIGRATIONS, file)))
  return hash.digest('hex').slice(0, 12)
}

/** Writes it into an empty database of the current version. */
export async function fill(db: pg.Client, size: Size, say: Say): Promise<void> {
  const each = transfersEach(size)
  const long = longPastTransfers(size)
  await db.query(`set synchronous_commit = off; set maintenance_work_mem = '512MB'`)
  const indexes = await withoutIndexes(db)
  await db.query(`
    -- The id of an account's transfer: a UUIDv7 of its time, the rest from what it is of.
    create function pg_temp.named(p_at timestamptz, p_account bigint, p_number bigint) returns uuid language sql immutable as $$
      select (lpad(to_hex((extract(epoch from p_at) * 1000)::bigint), 12, '0') || '7' || substr(h, 1, 3) || '8' || substr(h, 4, 15))::uuid
        from md5(p_account || ':' || p_number) h $$`)
  const { rows: clock } = await db.query<{ from: Date }>(`select house_now() - interval '366 days' as from`)
  const from = clock[0]!.from

  // Number 1 is a credit, then orders: a hold and its capture. An even last one is another credit.
  const shape = `
    case when number = 1 or (number = last and last % 2 = 0) then 'credit' when number % 2 = 0 then 'hold' else 'capture' end`
  const insert = (source: string, last: string) => `
    insert into transfers (id, account_id, number, kind, code, contra, amount, hold_id, reference,
                           available_after, held_after, frozen_after, owed_after, happened_at, recorded_at)
    select pg_temp.named(at, account, number), account, number, kind::transfer_kind,
           case kind when 'credit' then ${causes.topup_card} else ${causes.order} end,
           case kind when 'credit' then ${platformAccounts.card_clearing} else ${platformAccounts.revenue} end,
           case kind when 'credit' then credit else ${PRICE} end,
           case kind when 'capture' then pg_temp.named(before, account, number - 1) end,
           pg_temp.named(case kind when 'capture' then before else at end, account, case kind when 'capture' then -number + 1 else -number end),
           credit * (1 + (kind = 'credit' and number > 1)::int) - ${PRICE} * ((case when number = last and last % 2 = 0 then number - 2 else number end) / 2),
           case kind when 'hold' then ${PRICE} else 0 end, 0, 0, at, at
      from (select *, ${shape} as kind from (${source}) placed, lateral (select ${last}::bigint as last) l) shaped
     order by number, account`

  const steps = each * Math.ceil(size.accounts / ROWS_A_STATEMENT)
  let step = 0
  for (let number = 1; number <= each; number++) {
    for (let first = 1; first <= size.accounts; first += ROWS_A_STATEMENT) {
      say(`transfers, ${Math.floor((100 * step++) / steps)} %`)
      const to = Math.min(size.accounts, first + ROWS_A_STATEMENT - 1)
      const at = (n: string) =>
        `$1::timestamptz + make_interval(secs => ${YEAR_SECONDS}::float8 * ((${n})::float8 * ${size.accounts} + account) / ${(each + 1) * size.accounts})`
      await db.query(
        insert(
          `select account, number, ${at('number')} as at, ${at('number - 1')} as before, ${CREDIT}::bigint as credit
             from generate_series(${first}::bigint, ${to}) account, lateral (select ${number}::bigint as number) n`,
          String(each),
        ),
        [from],
      )
    }
  }
  const longCredit = PRICE * BigInt(long)
  const longAt = (n: string) =>
    `$1::timestamptz + make_interval(secs => ${YEAR_SECONDS}::float8 * (${n})::float8 / ${long + 1})`
  say('the account with the long past')
  await db.query(
    insert(
      `select ${longPastOf(size)}::bigint as account, number, ${longAt('number')} as at, ${longAt('number - 1')} as before, ${longCredit}::bigint as credit
         from generate_series(1::bigint, ${long}) number`,
      String(long),
    ),
    [from],
  )

  say('accounts')
  await db.query(`
    insert into ledger_accounts (id, credits, debits, transfer_count, last_at)
    select account_id,
           sum(amount) filter (where kind = 'credit'), sum(amount) filter (where kind = 'capture'), max(number), max(recorded_at)
      from transfers group by account_id order by account_id`)
  await db.query(`
    insert into platform_sums (platform, code, debits, credits, entries)
    select contra, code, coalesce(sum(amount) filter (where kind = 'credit'), 0), coalesce(sum(amount) filter (where kind = 'capture'), 0), count(*)
      from transfers where kind <> 'hold' group by contra, code`)
  for (const [index, sql] of indexes.entries()) {
    say(`index ${index + 1} of ${indexes.length}`)
    await db.query(sql)
  }
  say('statistics')
  // Frozen, as rows of a year are, and as pgbench makes its own: or PostgreSQL would begin with it in the middle of a round.
  await db.query('vacuum (freeze, analyze) transfers')
  await db.query('vacuum (freeze, analyze) ledger_accounts')
}

/** Takes the indexes away until the rows are there; answers what brings them back. */
async function withoutIndexes(db: pg.Client): Promise<string[]> {
  const { rows } = await db.query<{ drop: string; make: string }>(`
    select format('alter table %s drop constraint %I', conrelid::regclass, conname) as drop,
           format('alter table %s add constraint %I %s', conrelid::regclass, conname, pg_get_constraintdef(oid)) as make
      from pg_constraint where conrelid = 'transfers'::regclass and contype in ('p', 'u')
    union all
    select format('drop index %s', indexrelid::regclass), pg_get_indexdef(indexrelid)
      from pg_index where indrelid = 'transfers'::regclass
       and not exists (select from pg_constraint where conindid = indexrelid)`)
  for (const { drop } of rows) await db.query(drop)
  return rows.map(({ make }) => make)
}
