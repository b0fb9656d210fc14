/**
 * Brings a database to what this version of the code expects: tables by migration (db/migrations, forward only), functions by file
 * (server/<room>/*.sql, applied again when their text changes), the roles, the queue's own schema.
 */
import { createHash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import pg from 'pg'
import { migrateQueue, type QueueDefinition } from './queue.ts'

const ROOT = join(import.meta.dirname, '../..')
const MIGRATION_LOCK = 7_203_001 // an arbitrary constant: two servers that start together migrate one after the other

/** The functions' files, callers after what they call. */
const functionFiles = [
  'server/platform/clock.sql',
  'server/platform/mail.sql',
  'server/ledger/apply.sql',
  'server/ledger/house.sql',
  'server/ledger/compact.sql',
  'server/ledger/seal.sql',
  'server/ledger/asof.sql',
  'server/accounts/open.sql',
  'server/accounts/throttle.sql',
  'server/accounts/joining.sql',
  'server/accounts/address.sql',
  'server/inbox/inbox.sql',
  'server/orders/place.sql',
  'server/orders/close.sql',
  'server/orders/accept.sql',
  'server/orders/another-code.sql',
]

/** What the operator must do; the message is the whole sentence. */
export class CannotMigrate extends Error {}

/**
 * Runs as the owner (`MIGRATION_DATABASE_URL`, else `DATABASE_URL`). `serverUrl` is the login the server will use: it must be a
 * member of the two roles. Safe to run at every start and by several servers at once.
 */
export async function migrate(settings: {
  ownerUrl: string
  serverUrl: string
  mode: 'sandbox' | 'production'
  queues: readonly QueueDefinition[]
  /** Fill an empty database from a backup; refused when anything is in it. No server starts on it before that is done. */
  restore?: Restore
}): Promise<void> {
  const client = new pg.Client({ connectionString: settings.ownerUrl, application_name: 'mobilesms_migrate' })
  // When the connection breaks, what is being asked fails and says so.
  client.on('error', () => {})
  await client.connect()
  try {
    await checkDatabase(client)
    await client.query('select pg_advisory_lock($1)', [MIGRATION_LOCK])
    if (settings.restore) await beginRestore(client)
    else await refuseHalfRestored(client)
    await createRoles(client, decodeURIComponent(new URL(settings.serverUrl).username) || null)
    await client.query(`
      create table if not exists migrations (name text primary key, checksum text not null, applied_at timestamptz not null default now());
      create table if not exists function_files (name text primary key, checksum text not null, applied_at timestamptz not null default now());`)
    if (settings.restore) {
      await runMigrations(client, settings.restore.migrations)
      await settings.restore.fill(client)
    }
    await runMigrations(client)
    await applyFunctionFiles(client)
    await stampInstallation(client, settings.mode)
    await migrateQueue(settings.ownerUrl, settings.queues)
    await grant(client)
    if (settings.restore) await client.query('drop table unfinished_restore')
  } finally {
    await client.end()
  }
}

export type Restore = {
  /** Those that the backup knew: its rows fit the tables that these make. */
  migrations: readonly string[]
  /** As the owner, when the tables are there. What it throws ends the restore, and leaves the mark. */
  fill: (client: pg.Client) => Promise<void>
}

/** The mark stands from the first step to the last, whatever dies in between. */
async function beginRestore(client: pg.Client): Promise<void> {
  await refuseHalfRestored(client)
  const { rows } = await client.query<{ what: string }>(
    `select what
       from (select 'the table ' || relname as what, 'pg_class'::regclass as of, oid from pg_class
              where relnamespace = 'public'::regnamespace and relkind in ('r', 'p', 'v', 'm', 'f')
             union all
             select 'the sequence ' || relname, 'pg_class'::regclass, oid from pg_class
              where relnamespace = 'public'::regnamespace and relkind = 'S'
             union all
             select 'the function ' || proname, 'pg_proc'::regclass, oid from pg_proc where pronamespace = 'public'::regnamespace
             union all
             select 'the type ' || typname, 'pg_type'::regclass, oid from pg_type
              where typnamespace = 'public'::regnamespace and typtype = 'e'
             union all
             select 'the schema ' || nspname, 'pg_namespace'::regclass, oid from pg_namespace
              where nspname in ('auth', 'pgboss')) found
      where not exists (select from pg_depend d where d.classid = found.of and d.objid = found.oid and d.deptype = 'e') -- an extension's
      limit 1`,
  )
  if (rows[0])
    throw new CannotMigrate(
      `This database is not empty (there is ${rows[0].what}), and a backup is restored into an empty one only: make another with "create database … encoding 'UTF8' template template0" and set DATABASE_URL to it. Nothing was changed.`,
    )
  await client.query('create table unfinished_restore (begun_at timestamptz not null default now())')
}

async function refuseHalfRestored(client: pg.Client): Promise<void> {
  const { rows } = await client.query<{ marked: boolean }>(
    "select to_regclass('public.unfinished_restore') is not null as marked",
  )
  if (rows[0]!.marked)
    throw new CannotMigrate(
      'This database is half restored: a backup was being brought back into it, and that did not come to its end. Throw this database away, make an empty one, and run npm run restore into that.',
    )
}

/** Refuses a database on which money could be lost, or on which this version of the code does not run. */
async function checkDatabase(client: pg.Client): Promise<void> {
  const { rows } = await client.query<ServerSettings>(
    `select current_setting('server_version_num')::int as version, current_setting('server_encoding') as encoding,
            current_setting('fsync') as fsync, current_setting('full_page_writes') as full_page_writes,
            current_setting('synchronous_commit') as synchronous_commit`,
  )
  const trouble = troubleWith(rows[0]!)
  if (trouble) throw new CannotMigrate(trouble)
}

type ServerSettings = { version: number; encoding: string } & Record<Lossless, string>
type Lossless = (typeof lossless)[number]
/** What makes sure that whatever was acknowledged is on the disk, whole, before anybody hears of it. */
const lossless = ['fsync', 'full_page_writes', 'synchronous_commit'] as const
const POSTGRES_MIN = 15

/** In words, what is wrong with such a database; null: nothing. */
export function troubleWith(found: ServerSettings): string | null {
  if (found.version < POSTGRES_MIN * 10_000)
    return `The database is PostgreSQL ${Math.floor(found.version / 10_000)}: MobileSMS needs ${POSTGRES_MIN} or newer. Upgrade it, or set DATABASE_URL to another one.`
  if (found.encoding !== 'UTF8')
    return `The database keeps text as ${found.encoding}: make one with "create database … encoding 'UTF8' template template0" and set DATABASE_URL to it.`
  const off = lossless.filter((name) => found[name] === 'off')
  if (off.length === 0) return null
  return `The database may lose payments that it has acknowledged, because ${off.join(' and ')} ${off.length > 1 ? 'are' : 'is'} off: turn ${off.length > 1 ? 'them' : 'it'} on, then start again.`
}

/**
 * The two roles, and the server's login as their member, which can become them. Since version 16 a login may create a role without being
 * allowed to become it, until it grants that to itself. Where the owner may not do it, it says what a superuser must run, all of it.
 */
async function createRoles(client: pg.Client, serverLogin: string | null): Promise<void> {
  const missing = await missingForRoles(client, serverLogin)
  for (const statement of missing) {
    try {
      await client.query(statement)
    } catch (error) {
      const { code } = error as { code?: string }
      // Another database of the same cluster is being prepared at the same time.
      if (code === '42710' || code === '23505') continue
      if (code !== '42501') throw error
      throw new CannotMigrate(
        `The database login may not create the roles that the server runs as. Run this once as a superuser, then start again: ${(await missingForRoles(client, serverLogin)).join('; ')};`,
      )
    }
  }
}

async function missingForRoles(client: pg.Client, serverLogin: string | null): Promise<string[]> {
  const { rows } = await client.query<{ statement: string }>(
    `with needed as (
       select role,
              coalesce($1, current_user)::name as login, -- a URL that names no login means the owner's own
              to_regrole(role) is not null as is_there
         from unnest(array['mobilesms_app', 'mobilesms_auth']) role)
     select format('create role %I nologin', role) as statement, 1 as turn, role
       from needed
      where not is_there
      union all
     select format('grant %I to %I', role, login), 2, role
       from needed
      where case
              when not is_there then true
              when current_setting('server_version_num')::int >= 160000 then not pg_has_role(login, role, 'set')
              else not pg_has_role(login, role, 'member')
            end
      order by turn, role`,
    [serverLogin],
  )
  return rows.map(({ statement }) => statement)
}

/** All of them, or those named `only`. */
async function runMigrations(client: pg.Client, only?: readonly string[]): Promise<void> {
  const folder = join(ROOT, 'db/migrations')
  const applied = new Map(
    (await client.query<{ name: string; checksum: string }>('select name, checksum from migrations')).rows.map(
      (row) => [row.name, row.checksum],
    ),
  )
  const names = (await readdir(folder)).filter((name) => name.endsWith('.sql')).sort()
  for (const name of names) {
    const text = await readFile(join(folder, name), 'utf8')
    const known = applied.get(name)
    if (only && !only.includes(name)) continue
    if (known === undefined) {
      await inTransaction(client, async () => {
        await client.query(text)
        await client.query('insert into migrations (name, checksum) values ($1, $2)', [name, checksum(text)])
      })
    } else if (known !== checksum(text)) {
      throw new CannotMigrate(
        `db/migrations/${name} was changed after it had been applied to this database. Migrations go forward only: restore the file and add a new one.`,
      )
    }
  }
  const unknown = [...applied.keys()].filter((name) => !names.includes(name))
  if (unknown.length > 0) {
    throw new CannotMigrate(
      `This database was made by a newer version (it knows ${unknown.join(', ')}). Start that version.`,
    )
  }
}

async function applyFunctionFiles(client: pg.Client): Promise<void> {
  const { rows } = await client.query<{ name: string; checksum: string }>('select name, checksum from function_files')
  const applied = new Map(rows.map((row) => [row.name, row.checksum]))
  for (const name of functionFiles) {
    const text = await readFile(join(ROOT, name), 'utf8')
    if (applied.get(name) === checksum(text)) continue
    await inTransaction(client, async () => {
      await client.query(text)
      await client.query(
        `insert into function_files (name, checksum) values ($1, $2)
         on conflict (name) do update set checksum = excluded.checksum, applied_at = now()`,
        [name, checksum(text)],
      )
    })
  }
}

async function stampInstallation(client: pg.Client, mode: 'sandbox' | 'production'): Promise<void> {
  await client.query('insert into installation (mode) values ($1) on conflict do nothing', [mode])
  const { rows } = await client.query<{ mode: string }>('select mode from installation')
  if (rows[0]?.mode !== mode) {
    throw new CannotMigrate(
      `This database belongs to a ${rows[0]?.mode} installation and MODE is ${mode}. Set DATABASE_URL to another database, or MODE to ${rows[0]?.mode}.`,
    )
  }
}

/** The server's role reads everything of the rooms and writes what is not money; money it moves through functions only. */
async function grant(client: pg.Client): Promise<void> {
  await inTransaction(client, async () => {
    await client.query(`
      revoke create on schema public from public;
      grant usage on schema public to mobilesms_app;
      grant select on all tables in schema public to mobilesms_app;
      revoke update on api_keys, directory from mobilesms_app; -- earlier versions gave them whole
      grant insert on api_keys, directory to mobilesms_app;
      grant update (revoked_at, last_used_at, last_used_address) on api_keys to mobilesms_app; -- what a key may do is said once
      grant insert, update on idempotency_keys, inbox, numbers, offers, orders, topups, topup_refunds to mobilesms_app;
      grant insert, update on disputes, fraud_warnings, freezes, card_pauses to mobilesms_app;
      grant insert, update on crypto_keys, crypto_addresses, chain_cursors, crypto_payments to mobilesms_app;
      grant insert, delete on crypto_rates, chain_blocks to mobilesms_app;
      grant insert on crypto_quotes, crypto_payment_events to mobilesms_app; -- what was promised, and what happened, stays
      grant insert, update on crypto_reviews, crypto_refunds, crypto_reconciliations to mobilesms_app;
      grant insert on crypto_refund_prices, crypto_staff_actions to mobilesms_app; -- what was offered, and who did what, stays
      grant update on card_lists to mobilesms_app;
      grant update (time_zone, company, tax_id, mail_receipts, mail_sign_ins) on accounts to mobilesms_app; -- opened, with their role, by account_open only
      grant insert on card_attempts, card_block_lifts to mobilesms_app; -- what was tried, and what was allowed again, stays so
      grant insert on messages to mobilesms_app;
      grant insert, update on balance_transactions, reconciliation_reads, reconciliations, reconciliation_items to mobilesms_app;
      grant insert, delete on favourites to mobilesms_app;
      grant insert, update on card_event_state to mobilesms_app;
      grant update (attempts, next_attempt_at, sent_at, failed_at, last_error) on mail_outbox to mobilesms_app; -- written by mail_post only
      grant insert, update, delete on services, countries, prices to mobilesms_app;
      grant usage on all sequences in schema public to mobilesms_app;
      grant usage on schema pgboss to mobilesms_app;
      grant select, insert, update, delete on all tables in schema pgboss to mobilesms_app;
      grant usage on all sequences in schema pgboss to mobilesms_app;
      grant execute on all functions in schema pgboss to mobilesms_app;
      grant usage on schema auth to mobilesms_auth;
      grant select, insert, update, delete on all tables in schema auth to mobilesms_auth;
      revoke update, delete on auth."user", auth."account" from mobilesms_auth; -- a login's name and role are said once
      grant update ("email", "emailVerified", "updatedAt") on auth."user" to mobilesms_auth;
      grant update ("password", "updatedAt") on auth."account" to mobilesms_auth;`)
  })
}

async function inTransaction(client: pg.Client, work: () => Promise<void>): Promise<void> {
  await client.query('begin')
  try {
    await work()
    await client.query('commit')
  } catch (error) {
    await client.query('rollback')
    throw error
  }
}

function checksum(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}
