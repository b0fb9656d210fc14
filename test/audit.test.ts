/**
 * The auditor is only worth what it finds. Each line is damage that a bug or a hand with the power of the owner could do; most leave
 * the sums right. Each is done alone, in a transaction that is rolled back, and the audit must name what was done.
 */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import pg from 'pg'
import { usd } from '../contract/money.ts'
import { auditLedger, findOverdue } from '../server/ledger/audit/audit.ts'
import { createLedger, type Ledger } from '../server/ledger/ledger.ts'
import { createOrders, type Orders } from '../server/orders/orders.ts'
import { createAnnounce } from '../server/platform/announce.ts'
import { derivedId, newId, readId } from '../server/platform/ids.ts'
import { openLog } from '../server/platform/log.ts'
import { freshDatabase, type TestDatabase } from './database.ts'

const AUDIT = join(import.meta.dirname, '../server/ledger/audit/audit.ts')
const TOPUP = newId()
const REFUSED = newId()
const log = openLog({ level: 'silent' })
let db: TestDatabase
let owner: pg.Client
let ledger: Ledger
let orders: Orders
/** Ids of orders of account 1. */
let charged: string
let cancelled: string
let waiting: string

before(async () => {
  db = await freshDatabase()
  owner = new pg.Client({ connectionString: db.url })
  await owner.connect()
  ledger = createLedger({ database: db.database, log })
  orders = createOrders({
    database: db.database,
    ledger,
    announce: createAnnounce(),
    log,
    settings: { lifetimeSeconds: 1200, cancelAfterSeconds: 0, restSeconds: 0, openMax: 20 },
  })
  await owner.query(`
    insert into services (code, name, sender_pattern) values ('telegram', 'Telegram', '^telegram$');
    insert into countries (code, name, dial_code) values ('GB', 'United Kingdom', '+44');
    insert into prices (service, country, price, valid_from) values ('telegram', 'GB', 1200000, now());
    insert into numbers (phone_number, country) select '+4477009000' || n, 'GB' from generate_series(10, 19) n;
    insert into offers (number_id, service, country) select id, 'telegram', 'GB' from numbers;
    select ledger_open(1), ledger_open(2);`)
  await owner.query(
    `insert into topups (id, account_id, amount, status, session_call, payment_intent_id, charge_id, created_at, expires_at, credited_at)
     values ($1, 1, 10000000, 'credited', '{}', 'pi', 'ch', now(), now(), now())`,
    [TOPUP],
  )
  await owner.query(
    `insert into topups (id, account_id, amount, status, reason, session_call, created_at, expires_at, ended_at)
     values ($1, 1, 10000000, 'refused', 'declined', '{}', now(), now(), now())`,
    [REFUSED],
  )
  const credit = { id: derivedId(TOPUP, 'credit'), kind: 'credit', accountId: 1n, reference: TOPUP } as const
  await ledger.submit({ ...credit, code: 'topup_card', contra: 'card_clearing', amount: usd('10.00') })
  charged = await place()
  cancelled = await place()
  waiting = await place()
  const { phone_number: to } = (await orders.get(1n, charged))!
  const sms = { source: 'generic', externalId: newId(), to, from: 'Telegram', text: 'Telegram code 48213' }
  assert.equal(await orders.accept({ ...sms, body: JSON.stringify(sms) }), 'charged')
  assert.ok((await orders.cancel({ accountId: 1n, orderId: cancelled, idempotencyKey: null })).ok)
  assert.deepEqual(await auditLedger(db.database.pool), [])
})
after(async () => {
  await orders.close()
  await ledger.close()
  await owner.end()
  await db.close()
})

async function place(): Promise<string> {
  const placed = await orders.place({
    accountId: 1n,
    service: 'telegram',
    country: 'GB',
    maxPrice: null,
    idempotencyKey: null,
    key: null,
  })
  assert.ok(placed.ok)
  return readId('ord', placed.order.id)!
}

/** One movement more, by the ledger's own function: its sums stay right. */
function movement(kind: 'credit' | 'debit', account: number, contra: number, code: number, reference: string): string {
  return `select ledger_apply(array[gen_random_uuid()], array['${kind}']::transfer_kind[], array[${account}]::bigint[],
    array[${contra}]::smallint[], array[${code === 30 ? 10_000_000 : 1_200_000}]::bigint[], array[null]::uuid[], array[${code}]::smallint[],
    array['${reference}']::uuid[], array[null]::timestamptz[], array[null]::timestamptz[], array[null]::text[], array[null]::int[],
    array[null]::int[])`
}

const damages: Record<string, () => string> = {
  'an amount is changed': () => 'update transfers set amount = amount + 1 where number = 1',
  'an amount is changed, and every figure with it': () => `
    update transfers set amount = amount + 1 where number = 1;
    update transfers set available_after = available_after + 1;
    update ledger_accounts set credits = credits + 1 where id = 1;
    update platform_deltas set debits = debits + 1 where platform = 1`,
  'the last transfer is deleted': () => 'delete from transfers where number = (select max(number) from transfers)',
  'a sum of deltas is changed': () =>
    'select ledger_compact(1000); update platform_sums set debits = debits + 1 where platform = 1',
  'a sum of deltas is dropped': () => 'select ledger_compact(1000); delete from platform_sums where platform = 3',
  'deltas are summed up and kept': () =>
    'create temp table kept on commit drop as table platform_deltas; select ledger_compact(1000); insert into platform_deltas table kept',
  'a delta is dropped': () => 'delete from platform_deltas where platform = 3',
  'two rows change places': () => `
    drop index transfers_history;
    update transfers set number = 5 - number where number in (2, 3)`,
  'a hold is resolved twice': () => `
    drop index transfers_resolves;
    insert into transfers
    select gen_random_uuid(), nextval('transfer_seq'), account_id, 99, kind, code, contra, amount, returned, hold_id, reference,
           available_after, held_after, frozen_after, owed_after, happened_at, recorded_at
      from transfers where kind = 'capture'`,
  'an open hold is forgotten': () => 'delete from open_holds',
  'an account disappears with all its rows': () => `
    delete from transfers; delete from ledger_accounts where id = 1; delete from open_holds; delete from platform_deltas`,
  'a top-up is credited twice': () => movement('credit', 1, 1, 30, TOPUP),
  'a top-up is credited to somebody else, too': () => movement('credit', 2, 1, 30, TOPUP),
  'a top-up nobody paid is credited': () => movement('credit', 2, 1, 30, newId()),
  'a refused top-up is credited': () => movement('credit', 1, 1, 30, REFUSED),
  'a credited top-up says that it is not': () =>
    `update topups set status = 'expired', credited_at = null, ended_at = now()`,
  'a top-up is credited against another account of the platform': () => `
    update transfers set contra = 3 where number = 1; update platform_deltas set platform = 3 where platform = 1`,
  'an order is charged once more, beside its hold': () => movement('debit', 1, 3, 1, charged),
  'a price is earned by another account of the platform': () => `
    update transfers set contra = 5 where kind = 'capture'; update platform_deltas set platform = 5 where platform = 3`,
  'a capture names another cause': () =>
    `update transfers set reference = '${waiting}' where kind = 'capture' and reference = '${charged}'`,
  'a release is called something else': () => `update transfers set code = 42 where kind = 'void'`,
  'an order is given to somebody else': () => `update orders set account_id = 2 where id = '${charged}'`,
  'an order costs more than was held': () => `update orders set price = price + 10000 where id = '${waiting}'`,
  'an order whose money is held is deleted': () => `delete from orders where id = '${waiting}'`,
  'an order that ended is deleted': () => `delete from orders where id = '${cancelled}'`,
  'a code was never there': () => 'delete from messages',
  'a code came too late': () => 'update messages set late = true',
  'a code came at another time than the order says': () =>
    `update orders set received_at = given_at - interval '1 day' where id = '${charged}'`,
  'a message is shown to somebody else': () => 'update messages set account_id = 2',
  'the evidence of a message is gone': () =>
    'alter table messages drop constraint messages_inbox_id_fkey; delete from inbox',
  'a message had been sent to another number': () => `update inbox set subject = '+447700900019'`,
  'a number is free while its order waits': () => `update numbers set order_id = null where order_id = '${waiting}'`,
  'a number is kept by an order that ended': () =>
    `update numbers set order_id = '${cancelled}' where last_order_id = '${cancelled}'`,
  'a movement of the house is changed': () => `
    select ledger_book(gen_random_uuid(), 8::smallint, 1::smallint, 5, 61::smallint, gen_random_uuid(), null);
    update house_entries set amount = 6`,
}

for (const [damage, sql] of Object.entries(damages)) {
  test(`the audit finds it when ${damage}`, async () => {
    await owner.query('begin')
    try {
      await owner.query(sql())
      assert.notDeepEqual(await auditLedger({ connect: insideTheTransaction }), [])
    } finally {
      await owner.query('rollback')
    }
    assert.deepEqual(await auditLedger(db.database.pool), [])
  })
}

const delays: Record<string, () => string> = {
  'an order waits beyond its end': () =>
    `update orders set expires_at = house_now() - interval '16 minutes' where id = '${waiting}'`,
  'a hold is open beyond its deadline': () => `update open_holds set expires_at = house_now() - interval '21 minutes'`,
  'a message was never decided': () =>
    `insert into inbox (source, external_id, subject, body, received_at) values ('sms:generic', 'x', '+447700900010', '{}', house_now() - interval '16 minutes')`,
  'nobody looks at a payment': () =>
    `update topups set next_look_at = now() - interval '16 minutes' where id = '${REFUSED}'`,
  'a letter is not sent': () =>
    `insert into mail_outbox (id, to_address, subject, body_text, body_html, can_switch_off, next_attempt_at)
     values (gen_random_uuid(), 'ana@example.com', 's', 't', 'h', true, now() - interval '16 minutes')`,
}

for (const [delay, sql] of Object.entries(delays)) {
  test(`the audit calls it overdue, and not a difference, when ${delay}`, async () => {
    await owner.query('begin')
    try {
      await owner.query(sql())
      assert.equal((await findOverdue({ connect: insideTheTransaction })).length, 1)
      assert.deepEqual(await auditLedger({ connect: insideTheTransaction }), [])
    } finally {
      await owner.query('rollback')
    }
    assert.deepEqual(await findOverdue(db.database.pool), [])
  })
}

test('the program says which of the two it found by what it exits with', async () => {
  const run = () =>
    new Promise<{ code: number | null; said: string }>((resolve) => {
      const program = spawn(process.execPath, [AUDIT], { env: { DATABASE_URL: db.url } })
      let said = ''
      program.stdout.on('data', (text) => {
        said += text
      })
      program.on('close', (code) => resolve({ code, said }))
    })
  assert.equal((await run()).code, 0)
  await owner.query(`update orders set expires_at = expires_at - interval '1 hour' where id = '${waiting}'`)
  const overdue = await run()
  assert.equal(overdue.code, 3)
  assert.match(overdue.said, /OVERDUE: an order ends when its time is over/)
  assert.match(overdue.said, /Nothing differs/)
  await owner.query('insert into platform_deltas values (3, 1, 0, 1, 1)')
  const wrong = await run()
  assert.equal(wrong.code, 1)
  assert.match(wrong.said, /DIFFERS/)
  await owner.query(`update orders set expires_at = expires_at + interval '1 hour' where id = '${waiting}'`)
  await owner.query('insert into platform_deltas values (3, 1, 0, -1, -1)')
  assert.equal((await run()).code, 0)
})

test('the first row that differs is named first, not one that only follows from it', async () => {
  const { rows } = await owner.query('select id, number from transfers where account_id = 1 order by number')
  await owner.query('begin')
  try {
    await owner.query(
      `update transfers set amount = amount + 1, available_after = available_after + 1 where number = 1`,
    )
    const found = await auditLedger({ connect: insideTheTransaction })
    const follows = found.filter(({ check }) => check === 'each row says what was there after it')
    assert.equal(follows[0]!.row['transfer'], rows[1].id)
    assert.deepEqual(
      follows.map(({ row }) => Number(row['number'])),
      [2, 3, 4, 5, 6],
    )
  } finally {
    await owner.query('rollback')
  }
})

test('seals that were rewritten in the database are found by the file outside, which the program is told', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'audit-'))
  const file = join(folder, 'seals.log')
  const sealing = createLedger({ database: db.database, log, sealFile: file })
  await sealing.seal()
  const run = (...args: string[]) =>
    new Promise<{ code: number | null; said: string }>((resolve) => {
      const program = spawn(process.execPath, [AUDIT, ...args], { env: { DATABASE_URL: db.url } })
      let said = ''
      for (const stream of [program.stdout, program.stderr]) stream.on('data', (text) => (said += text))
      program.on('close', (code) => resolve({ code, said }))
    })
  const { rows } = await owner.query(`select id, happened_at::text as happened from transfers order by seq limit 1`)
  const rewrite = (happened: string) => `
    set session_replication_role = replica;
    update transfers set happened_at = '${happened}' where id = '${rows[0].id}';
    delete from seals;
    set session_replication_role = default;
    select ledger_seal((select last_value from transfer_seq), '{}', 10000)`
  try {
    const right = await run('--seals', file)
    assert.equal(right.code, 0, right.said)
    assert.match(right.said, /Seals compared with/)

    await owner.query(rewrite('2001-01-01'))
    const unseen = await run()
    assert.equal(unseen.code, 0)
    assert.match(unseen.said, /whether they were rewritten is not known/)
    const seen = await run('--seals', file)
    assert.equal(seen.code, 1)
    assert.match(seen.said, /DIFFERS: the rows and their seals are those of the file outside/)
    assert.match(seen.said, new RegExp(`"what":"changed","transfer":"${rows[0].id}"`))

    await writeFile(`${file}.empty`, '')
    assert.match((await run('--seals', `${file}.empty`)).said, /lacks the last 1\./)
    const nowhere = await run('--seals', `${file}.not`)
    assert.equal(nowhere.code, 2)
    assert.match(nowhere.said, /could not run/)
    await owner.query(rewrite(rows[0].happened))
    assert.equal((await run('--seals', file)).code, 0)
  } finally {
    await sealing.close()
    await rm(folder, { recursive: true })
  }
})

/** The audit's own transaction is this one, which sees the damage. */
async function insideTheTransaction(): Promise<pg.PoolClient> {
  const query = (text: string) => (/^(begin|rollback)/.test(text) ? { rows: [] } : owner.query(text))
  return { query, release() {} } as unknown as pg.PoolClient
}
