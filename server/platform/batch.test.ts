/**
 * The batcher against a real PostgreSQL, and what breaks between the two. The work is a small one, so that what is seen is the
 * batcher's: each item locks its customer's row, is written once under its id, and answers `exists` when it was there.
 */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import pg from 'pg'
import { freshDatabase, type TestDatabase } from '../../test/database.ts'
import { until } from '../../test/until.ts'
import { openWire } from '../../test/wire.ts'
import { type Batcher, createBatcher, OutcomeUnknown, Overloaded } from './batch.ts'
import { type Database, openDatabase } from './db.ts'
import { openLog } from './log.ts'

type Item = { id: string; customer: bigint }
type Answer = 'ok' | 'exists'

const log = openLog({ level: 'silent' })
let db: TestDatabase
let owner: pg.Client

before(async () => {
  db = await freshDatabase({ connectionsMax: 12 })
  owner = new pg.Client({ connectionString: db.url })
  await owner.connect()
  await owner.query(`
    create table work_customers (id bigint primary key);
    insert into work_customers select generate_series(1, 200);
    create table work_done (id text primary key, customer bigint not null, place bigserial);
    create function work_do(p_id text[], p_customer bigint[]) returns text[] language plpgsql as $$
    declare answers text[];
    begin
      if exists (select from unnest(p_id) id where id like 'poison%') then raise exception 'this cannot pass'; end if;
      perform from work_customers where id = any (p_customer) order by id for update;
      if p_id[1] like 'slow%' then perform pg_sleep(case when p_id[1] like 'slower%' then 1.2 else 0.3 end); end if;
      with written as (
        insert into work_done (id, customer)
        select id, customer from unnest(p_id, p_customer) with ordinality u(id, customer, i) order by i
        on conflict (id) do nothing returning id)
      select array_agg(case when w.id is null then 'exists' else 'ok' end order by u.i) into answers
        from unnest(p_id) with ordinality u(id, i) left join written w on w.id = u.id;
      return answers;
    end $$;
    grant select, insert on work_done to mobilesms_app;
    grant select, update on work_customers to mobilesms_app;
    grant usage on all sequences in schema public to mobilesms_app;`)
})
after(async () => {
  await owner.end()
  await db.close()
})

function batcher(
  more: { database?: Database; lanes?: number; waitMsMax?: number; queueItemsMax?: number } = {},
  seen: { items: Item[]; repeated: boolean }[] = [],
): Batcher<Item, Answer> {
  return createBatcher<Item, Answer>({
    name: 'work',
    database: db.database,
    lanes: 1,
    log,
    keyOf: (item) => item.customer,
    async run(connection, items, repeated) {
      seen.push({ items, repeated })
      const { rows } = await connection.query<{ answers: Answer[] }>({
        name: 'work',
        text: 'select work_do($1, $2) as answers',
        values: [items.map(({ id }) => id), items.map(({ customer }) => customer)],
      })
      return rows[0]!.answers
    },
    ...more,
  })
}

let drawn = 0
function items(count: number, more: Partial<Item> = {}): Item[] {
  return Array.from({ length: count }, (_, n) => ({ id: `item${++drawn}`, customer: BigInt((n % 200) + 1), ...more }))
}

async function timesDone(ids: string[]): Promise<number> {
  const { rows } = await owner.query('select count(*)::int as count from work_done where id = any ($1)', [ids])
  return rows[0].count
}

/** Somebody keeps this customer's row. */
async function keepRow(customer: number): Promise<() => Promise<void>> {
  const other = new pg.Client({ connectionString: db.url })
  await other.connect()
  await other.query('begin')
  await other.query('select from work_customers where id = $1 for update', [customer])
  return async () => {
    await other.query('rollback')
    await other.end()
  }
}

/** PostgreSQL behind a wire that can be cut. */
async function wire() {
  const between = await openWire(db.url)
  const database = openDatabase({ url: between.url, role: 'mobilesms_app', connectionsMax: 4, onIdleError: () => {} })
  return { ...between, database }
}

test('what comes together goes together, at most 128 a call, and each gets its own answer', async () => {
  const calls: { items: Item[] }[] = []
  const work = batcher({}, calls as never)
  const asked = items(300)
  const answers = await Promise.all([...asked, asked[0]!].map((item) => work.submit(item)))
  assert.deepEqual(new Set(answers.slice(0, 300)), new Set(['ok']))
  assert.equal(answers[300], 'exists')
  assert.deepEqual(
    calls.map((call) => call.items.length),
    [128, 128, 45],
  )
  await work.close()
})

test('an answer that is lost after the commit is asked for again, and everything happened once', async () => {
  const between = await wire()
  const calls: { items: Item[]; repeated: boolean }[] = []
  const work = batcher({ database: between.database }, calls)
  await work.submit(items(1)[0]!)
  for (const cut of ['cut_after', 'cut_before', 'silence'] as const) {
    calls.length = 0
    const asked = items(20)
    between.nextCall(cut)
    const answers = await Promise.all(asked.map((item) => work.submit(item)))
    // The repetition finds what the lost call had done; after a cut on the way there it had done nothing.
    assert.deepEqual(new Set(answers), new Set([cut === 'cut_before' ? 'ok' : 'exists']), cut)
    assert.deepEqual(
      calls.map((call) => call.repeated),
      [false, true],
    )
    assert.equal(await timesDone(asked.map(({ id }) => id)), 20)
  }
  await work.close()
  await between.database.close()
  await between.close()
})

test('connections that are ended in the middle of calls lose nothing and do nothing twice', async () => {
  const work = batcher({ lanes: 2 })
  const asked = items(1_000).map((item, n) => (n % 100 === 0 ? { ...item, id: `slow${item.id}` } : item))
  let ended = 0
  let over = false
  // Of every second hundred one call, once: its repetition is slow, too, and is not ended again, however long it takes.
  let mayEnd = false
  const ending = (async () => {
    while (!over) {
      if (mayEnd) {
        const { rows } = await owner.query(
          `select pg_terminate_backend(pid) from pg_stat_activity
            where datname = current_database() and wait_event = 'PgSleep' and query like '%work_do%' limit 1`,
        )
        if (rows.length > 0) mayEnd = false
        ended += rows.length
      }
      await new Promise((resolve) => setTimeout(resolve, 10))
    }
  })()
  try {
    for (let at = 0; at < asked.length; at += 100) {
      mayEnd = at % 200 === 0
      await Promise.all(asked.slice(at, at + 100).map((item) => work.submit(item)))
    }
  } finally {
    over = true
    await ending
  }
  assert.ok(ended > 0)
  assert.equal(await timesDone(asked.map(({ id }) => id)), 1_000)
  await work.close()
})

test('when nobody can be asked what became of a call, its callers are told just that; the next ones, that nothing was done', async () => {
  const between = await wire()
  const work = batcher({ database: between.database })
  const [first, second] = items(2)
  await work.submit(items(1)[0]!)
  between.nextCall('cut_after_for_good')
  await assert.rejects(work.submit(first!), OutcomeUnknown)
  assert.equal(await timesDone([first!.id]), 1)
  await assert.rejects(work.submit(second!), Overloaded)
  assert.equal(await timesDone([second!.id]), 0)
  // Whoever asks again under the id finds out.
  const again = batcher()
  assert.equal(await again.submit(first!), 'exists')
  await Promise.all([work.close(), again.close(), between.database.close()])
  await between.close()
})

/** A batcher whose calls fail as they are told, and then answer. */
function failing(...failures: object[]) {
  const connection = { query: async () => {}, release() {} } as unknown as pg.PoolClient
  const repeated: boolean[] = []
  const work = createBatcher<Item, Answer>({
    name: 'work',
    database: { ...db.database, connect: async () => connection },
    lanes: 1,
    log,
    keyOf: (item) => item.customer,
    async run(_, batch, isRepeated) {
      repeated.push(isRepeated)
      const failure = failures.shift()
      if (failure) throw Object.assign(new Error('as it was told'), failure)
      return batch.map(() => 'ok')
    },
  })
  return { work, repeated }
}

test('while PostgreSQL takes no changes, everybody is told at once, and nobody is asked for again', async () => {
  for (const code of ['53100', '58030', '25006']) {
    const { work, repeated } = failing({ code, severity: 'ERROR' })
    const outcomes = await Promise.allSettled(items(20).map((item) => work.submit(item)))
    for (const outcome of outcomes) assert.ok(outcome.status === 'rejected' && outcome.reason instanceof Overloaded)
    assert.deepEqual(repeated, [false], code)
    assert.equal(await work.submit(items(1)[0]!), 'ok')
    await work.close()
  }
})

test("PostgreSQL's last word, before it goes down, does not say that nothing was done", async () => {
  const panic = { code: '53100', severity: 'PANIC' }
  const panicInGerman = { code: '53100', severity: 'PANIK' }
  const full = { code: '53100', severity: 'ERROR' }
  for (const last of [panic, panicInGerman]) {
    const asked = failing(last, full)
    assert.equal(await asked.work.submit(items(1)[0]!), 'ok')
    assert.deepEqual(asked.repeated, [false, true, true])
    await asked.work.close()
  }
  const unanswered = failing(panic, full, full, full, full)
  await assert.rejects(unanswered.work.submit(items(1)[0]!), OutcomeUnknown)
  await unanswered.work.close()
})

test('one item that cannot pass is found among 128, and only its caller is told', async () => {
  const calls: { items: Item[]; repeated: boolean }[] = []
  const work = batcher({}, calls)
  const asked = items(128)
  const poison = { ...asked[77]!, id: `poison${drawn}` }
  asked[77] = poison
  const outcomes = await Promise.allSettled(asked.map((item) => work.submit(item)))
  for (const [n, outcome] of outcomes.entries()) {
    if (n !== 77) assert.deepEqual(outcome, { status: 'fulfilled', value: 'ok' })
    else assert.match(String((outcome as PromiseRejectedResult).reason), /this cannot pass/)
  }
  // PostgreSQL had said each time that nothing was done, so no call was a repetition of one with an unknown outcome.
  assert.ok(calls.every((call) => !call.repeated))
  assert.ok(calls.length < 40, `${calls.length} calls`)
  await work.close()
})

test('a row that somebody keeps lets only its own customer wait, and what comes after him of the same customer', async () => {
  const work = batcher()
  await work.submit(items(1)[0]!)
  const release = await keepRow(78)
  const asked = items(128)
  const order: string[] = []
  const submit = async (item: Item) => {
    const answer = await work.submit(item)
    order.push(item.id)
    return answer
  }
  const [own] = asked.splice(77, 1)
  const [later] = items(1, { customer: 78n })
  const others = asked.map(submit)
  const waiting = [submit(own!), submit(later!)]
  assert.deepEqual(new Set(await Promise.all(others)), new Set(['ok']), 'all others, while the row is still kept')
  assert.equal(await submit(items(1)[0]!), 'ok', 'and the lane is free')
  assert.equal(order.includes(own!.id), false)
  await release()
  assert.deepEqual(await Promise.all(waiting), ['ok', 'ok'])
  assert.ok(order.indexOf(own!.id) < order.indexOf(later!.id))
  const { rows } = await owner.query('select id from work_done where id = any ($1) order by place', [
    [own!.id, later!.id],
  ])
  assert.deepEqual(
    rows.map((row) => row.id),
    [own!.id, later!.id],
  )
  await work.close()
})

test('who waits behind one that was set aside is not overtaken when that one is done in the middle of the batch', async () => {
  const [k, other] = [7n, 8n]
  const asked = (
    [
      ['A', k],
      ['x', other],
      ['B', k],
      ['y', other],
      ['C', k],
    ] as const
  ).map(([id, customer]): Item => ({ id, customer }))
  const done: string[] = []
  let timesAlone = 0
  let letGo = () => {}
  const rowIsFree = new Promise<void>((resolve) => {
    letGo = resolve
  })
  const connection = { query: async () => {}, release() {} } as unknown as pg.PoolClient
  const work = createBatcher<Item, Answer>({
    name: 'work',
    database: { ...db.database, connect: async () => connection },
    lanes: 1,
    log,
    keyOf: (item) => item.customer,
    async run(_, batch) {
      const ids = batch.map(({ id }) => id)
      // Somebody keeps the row of k: first all of them meet it, then A alone, which is set aside and waits there.
      if (ids.length === 5 || (ids[0] === 'A' && ++timesAlone === 1))
        throw Object.assign(new Error(), { code: '55P03' })
      if (ids[0] === 'A') await rowIsFree
      if (ids[0] === 'y') {
        letGo()
        await answers[0]
        // The lane has heard of it, too.
        for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve))
      }
      done.push(...ids)
      return ids.map(() => 'ok')
    },
  })
  const answers = asked.map((item) => work.submit(item))
  await Promise.all(answers)
  assert.deepEqual(done, ['x', 'A', 'y', 'B', 'C'])
  await work.close()
})

test('a row that is kept for too long: its customer is told that nothing was done', async () => {
  const work = batcher()
  const release = await keepRow(5)
  const [own] = items(1, { customer: 5n })
  await assert.rejects(work.submit(own!), Overloaded)
  await release()
  assert.equal(await timesDone([own!.id]), 0)
  assert.equal(await work.submit(own!), 'ok')
  await work.close()
})

test('the queue has an end: beyond it one is refused at once, with the time after which to ask again', async () => {
  const work = batcher({ queueItemsMax: 150 })
  const slow = work.submit({ id: `slower${++drawn}`, customer: 1n })
  await until(
    async () =>
      (await owner.query("select from pg_stat_activity where query like '%work_do%' and wait_event = 'PgSleep'"))
        .rowCount,
  )
  const outcomes = await Promise.allSettled(items(200).map((item) => work.submit(item)))
  const refused = outcomes.filter((outcome) => outcome.status === 'rejected').map(({ reason }) => reason)
  assert.equal(refused.length, 51)
  for (const reason of refused) {
    assert.ok(reason instanceof Overloaded)
    assert.ok(Number.isInteger(reason.retryAfterSeconds) && reason.retryAfterSeconds >= 1)
  }
  assert.equal(await slow, 'ok')
  assert.equal(await work.submit(items(1)[0]!), 'ok')
  await work.close()
})

test('who would wait beyond all use is refused instead of being carried out late', async () => {
  const work = batcher({ waitMsMax: 100 })
  const slow = work.submit({ id: `slower${++drawn}`, customer: 1n })
  await until(
    async () =>
      (await owner.query("select from pg_stat_activity where query like '%work_do%' and wait_event = 'PgSleep'"))
        .rowCount,
  )
  const asked = items(5)
  const outcomes = await Promise.allSettled(asked.map((item) => work.submit(item)))
  for (const outcome of outcomes) assert.ok(outcome.status === 'rejected' && outcome.reason instanceof Overloaded)
  assert.equal(await slow, 'ok', 'what is under way is never refused')
  assert.equal(await timesDone(asked.map(({ id }) => id)), 0)
  assert.equal(await work.submit(asked[0]!), 'ok')
  await work.close()
})

test('a row that somebody kept for long makes nobody else be refused', async (t) => {
  const seen: { items: Item[]; repeated: boolean }[] = []
  const work = batcher({ waitMsMax: 500 }, seen)
  t.after(() => work.close())
  await work.submit(items(1)[0]!)
  const letGo = await keepRow(150)
  const kept = work.submit({ id: `item${++drawn}`, customer: 150n })
  await new Promise((resolve) => setTimeout(resolve, 1_900))
  await letGo()
  assert.equal(await kept, 'ok')
  // While a call is under way, whoever comes is judged by how long calls take: those of the lane, not the one that waited beside it.
  const id = `slow${++drawn}`
  const slow = work.submit({ id, customer: 1n })
  await until(async () => seen.some((call) => call.items[0]!.id === id))
  assert.deepEqual(await Promise.all([slow, work.submit(items(1)[0]!)]), ['ok', 'ok'])
})

test('a lane that is busy for long keeps nobody waiting but those in it, and who comes after them', async (t) => {
  const seen: { items: Item[]; repeated: boolean }[] = []
  const work = batcher({ lanes: 2 }, seen)
  t.after(() => work.close())
  await Promise.all(items(2).map((item) => work.submit(item)))
  const ids = { slow: `slower${++drawn}`, later: `item${++drawn}` }
  const slow = work.submit({ id: ids.slow, customer: 1n })
  await until(async () => seen.some((call) => call.items[0]!.id === ids.slow))
  const later = work.submit({ id: ids.later, customer: 1n })
  let over = false
  void slow.then(() => {
    over = true
  })
  assert.deepEqual(
    new Set(await Promise.all(items(400).map((item) => work.submit({ ...item, customer: item.customer + 1n })))),
    new Set(['ok']),
  )
  assert.equal(over, false, 'all others were answered while one lane was busy')
  assert.ok(!seen.some((call) => call.items.some(({ id }) => id === ids.later)), 'but not who comes after him')
  assert.deepEqual(await Promise.all([slow, later]), ['ok', 'ok'])
})

test('free lanes share what waits evenly', async (t) => {
  const seen: { items: Item[]; repeated: boolean }[] = []
  const work = batcher({ lanes: 2 }, seen)
  t.after(() => work.close())
  await Promise.all(items(32).map((item) => work.submit(item)))
  assert.deepEqual(
    seen.map((call) => call.items.length),
    [16, 16],
  )
})

test('items of one customer are carried out in the order in which they came, whatever shares a key', async () => {
  const underWay = new Set<bigint>()
  const work = createBatcher<Item & { key: string }, Answer>({
    name: 'keys',
    database: db.database,
    lanes: 3,
    log,
    keyOf: (item) => item.customer,
    conflictsOf: (item) => [item.key],
    async run(connection, batch) {
      assert.equal(new Set(batch.map(({ key }) => key)).size, batch.length, 'a key is once in a call')
      const customers = new Set(batch.map(({ customer }) => customer))
      for (const customer of customers) {
        assert.ok(!underWay.has(customer), 'a customer is in one lane at a time')
        underWay.add(customer)
      }
      const { rows } = await connection.query('select work_do($1, $2) as answers', [
        batch.map(({ id }) => id),
        batch.map(({ customer }) => customer),
      ])
      for (const customer of customers) underWay.delete(customer)
      return rows[0].answers
    },
  })
  const asked = items(400).map((item, n) => ({ ...item, customer: BigInt((n % 5) + 1), key: `key${n % 37}` }))
  await Promise.all(asked.map((item) => work.submit(item)))
  const { rows } = await owner.query<{ id: string; customer: string }>(
    'select id, customer from work_done where id = any ($1) order by place',
    [asked.map(({ id }) => id)],
  )
  for (let customer = 1n; customer <= 5n; customer++) {
    assert.deepEqual(
      rows.filter((row) => BigInt(row.customer) === customer).map(({ id }) => id),
      asked.filter((item) => item.customer === customer).map(({ id }) => id),
    )
  }
  await work.close()
})

test('a batcher that closes answers what it has, and takes nothing more', async () => {
  const work = batcher()
  const asked = items(200)
  const answers = Promise.all(asked.map((item) => work.submit(item)))
  const closing = work.close()
  await assert.rejects(work.submit(items(1)[0]!), Overloaded)
  assert.deepEqual(new Set(await answers), new Set(['ok']))
  await closing
  assert.equal(await timesDone(asked.map(({ id }) => id)), 200)
})
