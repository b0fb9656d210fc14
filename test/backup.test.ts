/**
 * A backup is worth what can be restored from it. The house is copied while customers order, and everything that was promised to them
 * holds in the copy; whatever is wrong with a file is found before anything of it is in a database.
 */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import {
  chmodSync,
  closeSync,
  existsSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import pg from 'pg'
import type { Order } from '../contract/contract.ts'
import { checkBackup } from '../server/backup/check.ts'
import { CannotRestore, createWriter, type Frame, readBackup } from '../server/backup/file.ts'
import { restoreBackup } from '../server/backup/restore.ts'
import { queues } from '../server/jobs.ts'
import { auditLedger } from '../server/ledger/audit/audit.ts'
import { openDatabase } from '../server/platform/db.ts'
import { CannotMigrate, migrate } from '../server/platform/migrate.ts'
import { clusterUrl, operatorsDatabase } from './database.ts'
import { until } from './until.ts'
import { startWorld, type World } from './world.ts'

const CHECKOUT = join(import.meta.dirname, '..')
const LAUNCHER = join(CHECKOUT, 'bin/run.mjs')
const BACKUP = join(CHECKOUT, 'server/backup/backup.ts')
const RESTORE = join(CHECKOUT, 'server/backup/restore.ts')
/** Other runs of this file look for it: they may be on another PostgreSQL. */
const SHARED = process.env['MOBILESMS_TEST_DATA'] ?? tmpdir()
/** Old messages, so that a copy takes long enough to be met in its middle. */
const FILLER_ROWS = 5_000
/** Until one meets a backup in its middle. */
const KILLS_MAX = 10

let place: string
let world: World
/** Of the house at rest. */
let file: string
let postgres: string
const programs: ChildProcess[] = []
const emptied: string[] = []

before(async () => {
  place = mkdtempSync(join(SHARED, 'backup-'))
  chmodSync(place, 0o711)
  world = await startWorld()
  const { rows } = await ask(world.db.url, "select current_setting('server_version_num')::int / 10000 as major")
  postgres = String(rows[0]!['major'])
  // Text that nothing makes shorter.
  await ask(
    world.db.url,
    `insert into inbox (source, external_id, subject, body, received_at, handled_at, outcome)
     select 'sms:old', n::text, '+447700900000', (select string_agg(md5(n || ' ' || m), '') from generate_series(1, 60) m), now(), now(), 'nobody'
       from generate_series(1, ${FILLER_ROWS}) n`,
  )
})
after(async () => {
  for (const program of programs) program.kill('SIGKILL')
  await world.stop()
  await Promise.all(emptied.map((name) => ask(clusterUrl(), `drop database if exists ${name} with (force)`)))
  rmSync(place, { recursive: true, force: true })
})

// ── Words ──────────────────────────────────────────────────────────────────────────────────────────────────────────

async function ask(
  url: string,
  text: string,
  values: unknown[] = [],
): Promise<pg.QueryResult<Record<string, unknown>>> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    return await client.query(text, values)
  } finally {
    await client.end()
  }
}

/** A database with nothing in it, as an operator makes one. */
async function emptyDatabase(): Promise<string> {
  const name = `restored_${randomBytes(4).toString('hex')}`
  await ask(clusterUrl(), `create database ${name} encoding 'UTF8' template template0`)
  emptied.push(name)
  const url = new URL(clusterUrl())
  url.pathname = `/${name}`
  return url.toString()
}

type Ran = { code: number | null; said: string }
type Running = { child: ChildProcess; said: () => string; ended: Promise<Ran> }

function begin(args: string[], env: Record<string, string>): Running {
  const clean = Object.entries(process.env).filter(([name]) =>
    /^(PATH|HOME|USER|LANG|TMPDIR|NODE_COMPILE_CACHE)$/.test(name),
  )
  const child = spawn(process.execPath, args, {
    cwd: CHECKOUT,
    env: { ...Object.fromEntries(clean), ...env },
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  programs.push(child)
  let said = ''
  const hear = (chunk: Buffer) => {
    said += chunk
  }
  child.stdout.on('data', hear)
  child.stderr.on('data', hear)
  child.stdin.on('error', () => {})
  const ended = once(child, 'close').then(([code]): Ran => ({ code: code as number | null, said }))
  return { child, said: () => said, ended }
}

const backup = (target: string, url = world.db.url) => begin([BACKUP, target], { DATABASE_URL: url }).ended
/** In this process: what it does is the same, and a program costs a second to begin. */
async function load(source: string, url: string): Promise<Ran> {
  const said: string[] = []
  try {
    await restoreBackup(source, { DATABASE_URL: url }, (sentence) => said.push(sentence))
    return { code: 0, said: said.join('\n') }
  } catch (error) {
    assert.ok(error instanceof CannotRestore || error instanceof CannotMigrate, String(error))
    return { code: 1, said: [...said, error.message].join('\n') }
  }
}

/** What is wrong with a file, in words. */
function troubleWith(path: string): string | null {
  try {
    checkBackup(path)
    return null
  } catch (error) {
    assert.ok(error instanceof CannotRestore, String(error))
    return error.message
  }
}

/** Every row of every table, in as many hashes; what the start of a server writes by itself and what a crash may empty left out. */
async function contentOf(url: string): Promise<Record<string, unknown>> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    const { rows } = await client.query<{ name: string }>(
      `select n.nspname || '.' || c.relname as name from pg_class c join pg_namespace n on n.oid = c.relnamespace
        where n.nspname in ('public', 'auth') and c.relkind = 'r' and c.relpersistence = 'p'
          and c.relname not in ('migrations', 'function_files') order by 1`,
    )
    const content: Record<string, unknown> = {}
    for (const { name } of rows) {
      const { rows: found } = await client.query(
        `select count(*)::int as rows, md5(coalesce(string_agg(md5(t::text), '' order by md5(t::text)), '')) as hash from ${name} t`,
      )
      content[name] = found[0]
    }
    const { rows: sequences } = await client.query(
      "select schemaname, sequencename, last_value from pg_sequences where schemaname in ('public', 'auth') order by 1, 2",
    )
    return { ...content, sequences }
  } finally {
    await client.end()
  }
}

async function auditOf(url: string): Promise<unknown[]> {
  const pool = new pg.Pool({ connectionString: url, max: 1 })
  try {
    return await auditLedger(pool)
  } finally {
    await pool.end()
  }
}

function framesOf(path: string): Frame[] {
  const fd = openSync(path, 'r')
  try {
    return [...readBackup(fd)]
  } finally {
    closeSync(fd)
  }
}

/** A whole backup with a seal that fits, with another header than it had. */
function rewritten(name: string, change: (header: Extract<Frame, { kind: 'header' }>['header']) => void): string {
  const path = join(place, name)
  const fd = openSync(path, 'wx')
  const writer = createWriter(fd)
  for (const frame of framesOf(file)) {
    if (frame.kind === 'header') {
      change(frame.header)
      writer.header(frame.header)
    } else if (frame.kind === 'table') writer.table(frame.table)
    else if (frame.kind === 'rows') writer.rows(frame.bytes)
    else writer.end(frame.end)
  }
  closeSync(fd)
  return path
}

const isHalfRestored = (error: unknown) => error instanceof CannotMigrate && /half restored/.test(error.message)
const startOn = (url: string) => migrate({ ownerUrl: url, serverUrl: url, mode: 'sandbox', queues })

// ── Stories ────────────────────────────────────────────────────────────────────────────────────────────────────────

test('a backup taken while customers order is the house as it was at one instant', async (t) => {
  const target = join(place, 'busy.backup')
  const transfers = async (url: string) => Number((await ask(url, 'select count(*) as n from transfers')).rows[0]!['n'])
  const { rows: pairs } = await ask(world.db.url, 'select service, country from prices order by random()')
  let busy = true
  const customers = await Promise.all(Array.from({ length: 4 }, () => world.customer({ credit: '500.00' })))
  const ordering = customers.map(async (customer) => {
    while (busy) {
      const pair = pairs[Math.floor(pairs.length * Math.random())]!
      const { status, body: order } = await customer.post<Order>('/orders', pair)
      if (status !== 201) continue
      await world.sms({ to: order.phone_number!, text: `Your code is ${1000 + Math.floor(Math.random() * 9000)}` })
      await customer.post(`/orders/${order.id}/finish`)
    }
  })
  let before = 0
  let ran: Ran
  try {
    before = await until(async () => {
      const n = await transfers(world.db.url)
      return n > 20 && n
    })
    ran = await backup(target)
  } finally {
    busy = false
    await Promise.all(ordering)
  }
  assert.equal(ran.code, 0, ran.said)
  assert.match(ran.said, /\d0 %: .* rows, in public\.inbox/)
  assert.match(ran.said, /Backed up \d+ tables, [\d,]+ rows.* read back whole/)
  assert.equal(statSync(target).mode & 0o777, 0o600)

  const url = await emptyDatabase()
  const restored = await begin([LAUNCHER, 'restore', target], { DATABASE_URL: url }).ended
  assert.equal(restored.code, 0, restored.said)
  assert.match(restored.said, /The restored ledger is right/)
  assert.deepEqual(await auditOf(url), [])

  const [kept, later] = [await transfers(url), await transfers(world.db.url)]
  t.diagnostic(`${before} transfers before the backup began, ${kept} in it, ${later} when it was done`)
  assert.ok(before <= kept && kept < later, `${before} <= ${kept} < ${later}`)
  // Each row of the copy is a row of the house, to the micro-dollar and the microsecond.
  const rowsOf = async (at: string) => {
    const { rows } = await ask(at, 'select t::text as row from transfers t')
    return new Set(rows.map(({ row }) => row))
  }
  const all = await rowsOf(world.db.url)
  assert.deepEqual(
    [...(await rowsOf(url))].filter((row) => !all.has(row)),
    [],
  )
})

test('a server goes on from a restored house: every row, balances, keys, sessions, numbers', async () => {
  const ana = await world.customer({ credit: '20.00' })
  const browser = await world.signIn(ana)
  const wish = { service: 'telegram', country: 'GB' }
  const ordered = await ana.post<Order>('/orders', wish, { 'idempotency-key': 'the-one' })
  assert.equal(ordered.status, 201)
  const balance = await ana.balance()
  // At rest, so that there is one answer to what it was.
  await world.server.stop()
  file = join(place, 'house.backup')
  const ran = await backup(file)
  assert.equal(ran.code, 0, ran.said)
  const url = await emptyDatabase()
  const restored = await load(file, url)
  assert.equal(restored.code, 0, restored.said)
  assert.deepEqual(await contentOf(url), await contentOf(world.db.url))
  assert.deepEqual(await auditOf(url), [])

  const server = await world.beside({ DATABASE_URL: url })
  const again = world.clientAt(server, ana)
  assert.deepEqual(await again.balance(), balance)
  const repeated = await again.post<Order>('/orders', wish, { 'idempotency-key': 'the-one' })
  assert.ok(repeated.status === 200 || repeated.status === 201, JSON.stringify(repeated.body))
  assert.equal(repeated.body.id, ordered.body.id)
  const me = await fetch(`${server.url}/api/v1/me`, { headers: { cookie: browser.cookie } })
  assert.equal(me.status, 200, 'the session goes on')
  const next = await again.order(wish)
  assert.notEqual(next.id, ordered.body.id)
  await again.get('/billing/history')
  assert.deepEqual(await auditOf(url), [])
  await server.stop()
  await world.server.start()
})

test('a backup of one PostgreSQL is restored on another, into the embedded database of a new folder', async () => {
  const dataDir = join(place, 'new')
  const restored = await begin([LAUNCHER, 'restore', file], { DATA_DIR: dataDir }).ended
  assert.equal(restored.code, 0, restored.said)
  assert.match(restored.said, new RegExp(`\\(PostgreSQL ${postgres}\\.`))
  assert.match(restored.said, /PostgreSQL 18.*, empty[\s\S]*The restored ledger is right/)

  const twice = await begin([LAUNCHER, 'restore', file], { DATA_DIR: dataDir }).ended
  assert.equal(twice.code, 1)
  assert.match(twice.said, /There is a database in .* already[\s\S]*Nothing was changed/)

  // What another run has left, on 18 for the one on 15.
  for (const name of readdirSync(SHARED).filter((name) => /^from-postgres-\d+\.backup$/.test(name))) {
    const url = await emptyDatabase()
    const other = await load(join(SHARED, name), url)
    assert.equal(other.code, 0, other.said)
    assert.deepEqual(await auditOf(url), [])
  }
  const left = join(SHARED, `from-postgres-${postgres}.backup`)
  if (process.env['MOBILESMS_TEST_DATA']) writeFileSync(left, readFileSync(file))
})

test('a backup goes through a pipe, and nothing but the backup', async () => {
  const running = spawn(process.execPath, [LAUNCHER, 'backup', '-'], {
    cwd: CHECKOUT,
    env: { PATH: process.env['PATH'], HOME: process.env['HOME'], DATABASE_URL: world.db.url },
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  programs.push(running)
  const url = await emptyDatabase()
  const restoring = begin([RESTORE, '-'], { DATABASE_URL: url })
  running.stdout.pipe(restoring.child.stdin!)
  const { code, said } = await restoring.ended
  assert.equal(code, 0, said)
  assert.deepEqual(await auditOf(url), [])
})

// ── Refusals ───────────────────────────────────────────────────────────────────────────────────────────────────────

test('a file that was cut short, changed, or is something else is refused', async () => {
  const whole = readFileSync(file)
  const made = (bytes: Uint8Array) => {
    const path = join(place, 'made.backup')
    writeFileSync(path, bytes)
    return troubleWith(path) ?? 'nothing'
  }
  for (const length of [0, 10]) assert.match(made(whole.subarray(0, length)), /is no backup of MobileSMS/)
  for (const length of [20, 5_000, Math.floor(whole.length / 2), whole.length - 37, whole.length - 1])
    assert.match(made(whole.subarray(0, length)), new RegExp(`incomplete: it ends after ${length} bytes`))
  for (const at of [
    0,
    17,
    19,
    60,
    9_000,
    Math.floor(whole.length / 3),
    whole.length - 60,
    whole.length - 36,
    whole.length - 1,
  ]) {
    const changed = Buffer.from(whole)
    changed[at]! ^= 1
    assert.match(made(changed), /damaged|incomplete|is no backup/, `byte ${at}`)
  }
  assert.match(made(Buffer.concat([whole, Buffer.from('x')])), /This backup is damaged/)
  assert.match(troubleWith(join(place, 'nowhere'))!, /cannot be read/)
  // The launcher asks before it makes a database.
  writeFileSync(join(place, 'short.backup'), whole.subarray(0, 5_000))
  const dataDir = join(place, 'never')
  const { code, said } = await begin([LAUNCHER, 'restore', join(place, 'short.backup')], { DATA_DIR: dataDir }).ended
  assert.deepEqual([code, /is incomplete/.test(said)], [1, true], said)
  assert.ok(!existsSync(dataDir))
})

test('a file that is found damaged while it is loaded leaves a database that no server starts on', async () => {
  const changed = Buffer.from(readFileSync(file))
  changed[changed.length - 1]! ^= 1
  const url = await emptyDatabase()
  const loading = begin([RESTORE, '-'], { DATABASE_URL: url })
  loading.child.stdin!.end(changed)
  const { code, said } = await loading.ended
  assert.deepEqual([code, /This backup is damaged/.test(said)], [1, true], said)
  assert.equal((await ask(url, 'select count(*)::int as n from transfers')).rows[0]!['n'], 0)
  await assert.rejects(startOn(url), isHalfRestored)
  const again = await load(file, url)
  assert.deepEqual([again.code, /half restored/.test(again.said)], [1, true], again.said)
  const copied = await backup(join(place, 'half.backup'), url)
  assert.deepEqual([copied.code, /half restored/.test(copied.said)], [1, true], copied.said)
})

test('a backup of another version is refused, by name', () => {
  const newer = rewritten('newer', ({ migrations }) => migrations.push({ name: '9999_later.sql', checksum: 'x' }))
  const other = rewritten('other', ({ migrations }) => {
    migrations[0]!.checksum = 'x'
  })
  const format = rewritten('format', (header) => {
    header.format = 2
  })
  for (const [path, words] of [
    [newer, /made by a newer version \(it knows 9999_later\.sql\)/],
    [other, /made with another db\/migrations\/0001_platform\.sql/],
    [format, /has the format 2/],
  ] as const) {
    assert.match(troubleWith(path)!, words)
  }
})

test('a backup of an older version is restored and brought to this one', async () => {
  const old = await emptyDatabase()
  const names = readdirSync(join(CHECKOUT, 'db/migrations')).filter((name) => name < '0012')
  await ask(
    old,
    'create table migrations (name text primary key, checksum text not null, applied_at timestamptz not null default now())',
  )
  for (const name of names) {
    const text = readFileSync(join(CHECKOUT, 'db/migrations', name), 'utf8')
    await ask(old, text)
    await ask(old, "insert into migrations values ($1, encode(sha256(convert_to($2, 'UTF8')), 'hex'))", [name, text])
  }
  await ask(
    old,
    `insert into installation values (true, 'sandbox', now());
     update house_clock set offset_seconds = 86400;
     with login as (insert into auth."user" (name, email, "emailVerified", username, role)
                    values ('ana', E'a\\\\n\\t"ä\\n@sandbox.example', true, 'ana', 'customer') returning "id")
     insert into accounts (user_id, username, role, created_at) select "id", 'ana', 'customer', now() from login;
     create table colours (name text);
     insert into colours values ('red');
     -- A gift, and of it a refund and a dispute under way, as the ledger counted them then.
     insert into ledger_accounts (id, credits, held, frozen, transfer_count, open_holds, last_at)
     values (1, 9000000, 2000000, 3000000, 3, array[0, 1, 1] || array_fill(0, array[13]), now()),
            (2, 0, 0, 0, 0, array_fill(0, array[16]), '-infinity');
     insert into transfers (id, account_id, number, kind, code, contra, amount, reference,
                            available_after, held_after, frozen_after, owed_after, happened_at, recorded_at)
     select lpad(number::text, 32, '0')::uuid, 1, number, kind::transfer_kind, code, contra, amount, gen_random_uuid(),
            available, held, frozen, 0, now(), now()
       from (values (1, 'credit', 41, 6, 9000000, 9000000, 0, 0), (2, 'hold', 2, 4, 2000000, 7000000, 2000000, 0),
                    (3, 'clawback_hold', 3, 5, 3000000, 4000000, 2000000, 3000000))
            v (number, kind, code, contra, amount, available, held, frozen);
     insert into open_holds (hold_id, account_id, code, amount, expires_at, on_expiry)
     select id, 1, code, amount, 'infinity', 'alarm' from transfers where number > 1;
     insert into platform_deltas values (6, 41, 9000000, 0, 1)`,
  )
  const path = join(place, 'old.backup')
  assert.equal((await backup(path, old)).code, 0)
  const url = await emptyDatabase()
  const { code, said } = await load(path, url)
  assert.equal(code, 0, said)
  assert.match(said, /Left out: public\.colours, a table that is not of MobileSMS/)
  await startOn(url)
  const accounts = (at: string) =>
    ask(at, 'select a.id, a.username, u.email from accounts a join auth."user" u on u.id = a.user_id')
  assert.deepEqual((await accounts(url)).rows, (await accounts(old)).rows)
  const { rows } = await ask(
    url,
    'select offset_seconds, (select count(*)::int from migrations) as migrations from house_clock',
  )
  assert.equal(rows[0]!['offset_seconds'], '86400')
  assert.equal(rows[0]!['migrations'], readdirSync(join(CHECKOUT, 'db/migrations')).length)
  const { rows: counted } = await ask(
    url,
    `select open_orders, open_topup_refunds, open_disputes,
            (select string_agg(kind || ' ' || code, ', ' order by code) from open_holds where account_id = a.id) as open
       from ledger_accounts a order by id`,
  )
  assert.deepEqual(counted, [
    { open_orders: 0, open_topup_refunds: 1, open_disputes: 1, open: 'hold 2, clawback_hold 3' },
    { open_orders: 0, open_topup_refunds: 0, open_disputes: 0, open: null },
  ])
})

test('the two logins that operators have: the owner copies and restores, and the server then runs as what it is given', async () => {
  const db = await operatorsDatabase()
  try {
    await restoreBackup(file, { DATABASE_URL: db.serverUrl, MIGRATION_DATABASE_URL: db.ownerUrl }, () => {})
    const target = join(place, 'owners.backup')
    const copied = await begin([BACKUP, target], { DATABASE_URL: db.serverUrl, MIGRATION_DATABASE_URL: db.ownerUrl })
      .ended
    assert.equal(copied.code, 0, copied.said)
    assert.equal(troubleWith(target), null)
    const server = openDatabase({ url: db.serverUrl, role: 'mobilesms_app', connectionsMax: 1, onIdleError: () => {} })
    try {
      const { rows } = await server.pool.query('select count(*)::int as n from orders')
      assert.ok(rows[0].n > 0)
      await assert.rejects(server.pool.query('delete from transfers'), /permission denied/)
    } finally {
      await server.close()
    }
  } finally {
    await db.close()
  }
})

test('a backup that is not what it says of itself is taken back', async () => {
  const lying = join(place, 'lying')
  const fd = openSync(lying, 'wx')
  const writer = createWriter(fd)
  for (const frame of framesOf(file)) {
    if (frame.kind === 'header') writer.header(frame.header)
    else if (frame.kind === 'table') writer.table(frame.table)
    else if (frame.kind === 'rows') writer.rows(frame.bytes)
    else writer.end({ ...frame.end, figures: { ...frame.end.figures, transfers: { number: 1, amount: '1' } } })
  }
  closeSync(fd)
  const target = await emptyDatabase()
  const { code, said } = await load(lying, target)
  assert.deepEqual([code, /the ledger's figures differ\. Nothing of it was kept/.test(said)], [1, true], said)
  assert.equal((await ask(target, 'select count(*)::int as n from accounts')).rows[0]!['n'], 0)
})

test('a target that is taken is refused, on either way', async () => {
  const { code, said } = await load(file, world.db.url)
  assert.deepEqual([code, /is not empty .* Nothing was changed/.test(said)], [1, true], said)
  const url = await emptyDatabase()
  await ask(url, "create type colour as enum ('red')")
  const other = await load(file, url)
  assert.deepEqual([other.code, /there is the type colour/.test(other.said)], [1, true], other.said)

  const twice = await backup(file)
  assert.deepEqual([twice.code, /is there already: give another name/.test(twice.said)], [1, true], twice.said)
  const nowhere = await backup(join(place, 'no', 'folder'))
  assert.deepEqual([nowhere.code, /cannot be written/.test(nowhere.said)], [1, true], nowhere.said)
  const nothing = await backup(join(place, 'nothing'), await emptyDatabase())
  assert.deepEqual([nothing.code, /nothing of MobileSMS in this database/.test(nothing.said)], [1, true], nothing.said)
  assert.ok(!existsSync(join(place, 'nothing')))
})

// ── Kills ──────────────────────────────────────────────────────────────────────────────────────────────────────────

test('kill -9 in the middle of a backup leaves nothing that bears its name', async () => {
  const target = join(place, 'killed.backup')
  const draft = () => readdirSync(place).find((name) => name.startsWith('killed.backup.'))
  for (let tries = 1; ; tries++) {
    const running = begin([BACKUP, target], { DATABASE_URL: world.db.url })
    await until(async () => {
      const name = draft()
      return existsSync(target) || (name && statSync(join(place, name)).size > 1_000_000)
    })
    running.child.kill('SIGKILL')
    await running.ended
    if (!existsSync(target) && troubleWith(join(place, draft()!)) !== null) break
    // Whole before it was killed, but perhaps for its name: it was looked at too late.
    assert.ok(tries < KILLS_MAX, 'it was never met in its middle')
    for (const left of [target, join(place, draft() ?? 'killed.backup')]) rmSync(left, { force: true })
  }
  assert.ok(!existsSync(target))
  assert.match(troubleWith(join(place, draft()!))!, /is incomplete/)
  // The next one to that place clears up.
  assert.equal((await backup(target)).code, 0)
  assert.equal(draft(), undefined)
  assert.equal(troubleWith(target), null)
})

test('kill -9 in the middle of a restore leaves a database that says so', async () => {
  const whole = readFileSync(file)
  const url = await emptyDatabase()
  const loading = begin([RESTORE, '-'], { DATABASE_URL: url })
  loading.child.stdin!.write(whole.subarray(0, Math.floor(whole.length * 0.7)))
  // It has taken rows, and waits for more of them.
  await until(async () => {
    const { rows } = await ask(
      clusterUrl(),
      `select from pg_stat_activity where datname = $1 and query ilike 'copy %' and state = 'active' and wait_event = 'ClientRead'`,
      [new URL(url).pathname.slice(1)],
    )
    return rows.length > 0
  })
  loading.child.kill('SIGKILL')
  await loading.ended
  await assert.rejects(startOn(url), isHalfRestored)
  const again = await load(file, url)
  assert.deepEqual([again.code, /half restored/.test(again.said)], [1, true], again.said)
})

test('a restore whose connection is cut says so, and leaves a database that says so', async () => {
  const whole = readFileSync(file)
  const url = await emptyDatabase()
  const loading = begin([RESTORE, '-'], { DATABASE_URL: url })
  loading.child.stdin!.write(whole.subarray(0, Math.floor(whole.length * 0.7)))
  await until(async () => {
    const { rows } = await ask(
      clusterUrl(),
      `select pg_terminate_backend(pid) from pg_stat_activity where datname = $1 and query ilike 'copy %' and state = 'active'`,
      [new URL(url).pathname.slice(1)],
    )
    return rows.length > 0
  })
  loading.child.stdin!.end(whole.subarray(Math.floor(whole.length * 0.7)))
  const { code, said } = await loading.ended
  assert.deepEqual([code, /The database cannot be used .* make another empty database/.test(said)], [1, true], said)
  await assert.rejects(startOn(url), isHalfRestored)
})
