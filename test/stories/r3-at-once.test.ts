/**
 * R3. Card credits appear at once: within 2 seconds of the webhook or of the customer's return, whichever is first; within 10 minutes
 * when neither comes. Webhook first, return page first, both at once, or no webhook at all: the same result, once.
 */
import assert from 'node:assert/strict'
import { after, afterEach, before, beforeEach, test } from 'node:test'
import type { CardTopup } from '../../contract/contract.ts'
import { readId } from '../../server/platform/ids.ts'
import { type CardCompany, type CardWorld, cards, sessionOf, startCardWorld } from '../card-world.ts'
import { until } from '../until.ts'

let world: CardWorld
before(async () => {
  world = await startCardWorld()
})
after(() => world?.stop())

let taken = 0
beforeEach(() => world.webhooks('off'))
afterEach(async () => {
  assert.deepEqual(world.alarms, [])
  const { rows } = await world.db.database.pool.query(
    `select id from topups where next_look_at is not null and (status = 'credited' or (ended_at is not null and not release_due))`,
  )
  assert.deepEqual(rows, [])
  await world.booksAgree({ taken: `${taken * 10}.00`, payments: taken })
})

type Customer = Awaited<ReturnType<CardWorld['customer']>>

async function paidTopup(): Promise<{ ana: Customer; topup: CardTopup }> {
  const ana = await world.customer()
  const topup = await ana.startsTopup('10.00')
  assert.equal(await world.pay(topup, cards.confirms, 'complete'), 'authorized')
  taken++
  return { ana, topup }
}

const credited = (ana: Customer, topup: CardTopup) =>
  until(async () => {
    const seen = await ana.looksAt(topup)
    return seen.status === 'credited' && seen
  })

/** Everything that the bank has told about this top-up was dealt with, and none of it twice. */
async function everythingHandled(): Promise<void> {
  await until(async () => {
    const { rows } = await world.db.database.pool.query(
      `select from inbox where source = 'stripe' and handled_at is null`,
    )
    return rows.length === 0
  })
}

test('webhook first: credited without anybody asking, announced, and the return finds it done', async (t) => {
  await world.webhooks('on')
  const { ana, topup } = await paidTopup()
  const started = Date.now()
  const seen = await credited(ana, topup)
  t.diagnostic(`credited ${Date.now() - started} ms after the customer paid; the promise is two seconds`)
  assert.deepEqual(await ana.comesBack(topup), seen)
  assert.equal(await ana.has(), '10.00, on its way 0.00')
  const id = readId('top', topup.id)!
  assert.ok(world.announced.some((each) => each.what === 'topup' && each.id === id && each.accountId === ana.accountId))
  assert.ok(world.announced.some((each) => each.what === 'balance' && each.accountId === ana.accountId))
  await everythingHandled()
})

test('return first: credited in the answer, and the webhooks find it done', async () => {
  await world.webhooks('late')
  const { ana, topup } = await paidTopup()
  assert.equal((await ana.comesBack(topup)).status, 'credited')
  await world.webhooks('on')
  await world.control('/stripe/webhooks')
})

for (const mode of ['double', 'reordered'] as const) {
  test(`both at once, webhooks ${mode}: credited once`, async () => {
    await world.webhooks(mode)
    const { ana, topup } = await paidTopup()
    const [back] = await Promise.all([ana.comesBack(topup), ana.comesBack(topup), credited(ana, topup)])
    assert.equal(back.status, 'credited')
    await everythingHandled()
    assert.equal(await ana.has(), '10.00, on its way 0.00')
  })
}

test('ten customers pay at the same moment: each is credited by his webhook, none waits for the sweeper', async (t) => {
  await world.webhooks('on')
  const customers = await Promise.all(Array.from({ length: 10 }, () => world.customer()))
  const topups = await Promise.all(customers.map((ana) => ana.startsTopup('10.00')))
  await Promise.all(topups.map((topup) => world.pay(topup, cards.frictionless)))
  taken += 10
  await Promise.all(topups.map((topup, i) => credited(customers[i]!, topup)))
  await everythingHandled()
  const { rows } = await world.db.database.pool.query(
    `select max(extract(epoch from t.credited_at - first.received_at)) as longest
       from topups t
       join lateral (select min(received_at) as received_at from inbox where position($1 || replace(t.id::text, '-', '') in body) > 0) first
         on true
      where t.account_id = any ($2)`,
    ['top_', customers.map((ana) => ana.accountId)],
  )
  t.diagnostic(
    `the longest of ten took ${Number(rows[0].longest).toFixed(2)} s from webhook to credit; the promise is two seconds`,
  )
})

test('neither comes: the sweeper credits when a minute has passed', async () => {
  const { ana, topup } = await paidTopup()
  await world.payments.sweep()
  assert.equal((await ana.looksAt(topup)).status, 'awaiting_payment')
  await world.aMinuteLater()
  await world.payments.sweep()
  assert.equal((await ana.looksAt(topup)).status, 'credited')
})

test('nothing waits longer for the sweeper than ten minutes', async () => {
  const { rows } = await world.db.database.pool.query(
    `select max(next_look_at - now()) <= interval '10 minutes' as soon from topups where handed_out and status in ('awaiting_payment', 'confirming')`,
  )
  assert.notEqual(rows[0].soon, false)
})

test('settled 20 times at once, in two processes: one call to take the money, one credit', async () => {
  const calls = counted()
  const [one, other] = [world.room(calls.card), world.room(calls.card)]
  const { ana, topup } = await paidTopup()
  const id = readId('top', topup.id)!
  const ended = await Promise.all(Array.from({ length: 20 }, (_, i) => (i % 2 ? one : other).settle(id)))
  assert.deepEqual(new Set(ended), new Set([true]))
  assert.deepEqual(calls.made, { readSession: 1, capture: 1 })
  assert.equal(await ana.has(), '10.00, on its way 0.00')
})

test('asked 20 times at once about a page that is still open: at most two looks', async () => {
  const calls = counted()
  const gate = door()
  const ana = await world.customer()
  const topup = await ana.startsTopup('10.00')
  world.serve(
    world.room({
      ...calls.card,
      async readSession(id) {
        gate.reached()
        await gate.opened
        return calls.card.readSession(id)
      },
    }),
  )
  const asking = Promise.all(Array.from({ length: 20 }, () => ana.comesBack(topup)))
  // The first look ends when all of them have asked: none of their statements is under way.
  await gate.standing
  const { pool } = world.db.database
  await until(async () => pool.waitingCount === 0 && pool.idleCount === pool.totalCount)
  gate.open()
  await asking
  world.serve(world.payments)
  assert.ok(calls.made['readSession']! <= 2, JSON.stringify(calls.made))
})

test('who asks while somebody looks hears what was true after he asked', async () => {
  const ana = await world.customer()
  const topup = await ana.startsTopup('10.00')
  const gate = door()
  const slow = world.room({
    ...world.stripe,
    async readSession(id) {
      const before = await world.stripe.readSession(id)
      gate.reached()
      await gate.opened
      return before
    },
  })
  // A look that has read "not paid yet" and is still on its way home.
  const early = slow.settle(readId('top', topup.id)!)
  await gate.standing
  await world.pay(topup, cards.confirms, 'complete')
  taken++
  const back = ana.comesBack(topup)
  setTimeout(gate.open, 300)
  assert.equal((await back).status, 'credited')
  await early
})

for (const dropped of ['capture', 'retrieve', 'create_session'] as const) {
  test(`an answer lost at ${dropped} is asked for again, and nothing happens twice`, async () => {
    const ana = await world.customer()
    if (dropped === 'create_session') await world.control('/stripe/answers', { drop_next: dropped, count: 1 })
    const topup = await ana.startsTopup('10.00')
    await world.pay(topup, cards.confirms, 'complete')
    taken++
    if (dropped !== 'create_session') await world.control('/stripe/answers', { drop_next: dropped, count: 1 })
    assert.equal((await ana.comesBack(topup)).status, 'credited')
  })
}

test('the bank took the money and no answer came through at all: on its way, then credited', async () => {
  const { ana, topup } = await paidTopup()
  await world.control('/stripe/answers', { drop_next: 'capture', count: 3 })
  const back = await ana.comesBack(topup)
  assert.equal(back.status, 'confirming')
  assert.deepEqual(
    back.trace.map(({ state }) => state),
    ['done', 'done', 'done', 'waiting', 'to_come'],
  )
  assert.equal(await ana.has(), '0.00, on its way 10.00')
  // Twenty seconds at most, with the sweeper's pace: the next try is due after fifteen.
  await world.aMinuteLater()
  await world.payments.sweep()
  assert.equal((await ana.looksAt(topup)).status, 'credited')
})

// The process dies at each of these points: its call was made or not, and nothing of it was written down.
for (const [point, dyingAt] of [
  ['before the session is read', { readSession: 'before' }],
  ['after the session was read', { readSession: 'after' }],
  ['before the capture', { capture: 'before' }],
  ['after the capture', { capture: 'after' }],
] as const) {
  test(`killed ${point}: another process takes over when the claim has run out`, async () => {
    const { ana, topup } = await paidTopup()
    const dead = dying(dyingAt)
    void world.room(dead.card, { dies: true }).settle(readId('top', topup.id)!)
    await dead.died
    await world.payments.sweep()
    assert.notEqual((await ana.looksAt(topup)).status, 'credited', 'not before')
    await world.claimsRunOut()
    const back = await ana.comesBack(topup)
    assert.equal(back.status, 'credited')
    assert.equal(await ana.has(), '10.00, on its way 0.00')
    assert.equal(back.reason, null)
  })
}

for (const [point, dyingAt] of [
  ['before the cancel', { cancel: 'before' }],
  ['after the cancel', { cancel: 'after' }],
] as const) {
  test(`killed ${point}: the refusal stands and the sweeper lets go`, async () => {
    const ana = await world.customer()
    const topup = await ana.startsTopup('10.00')
    await world.pay(topup, cards.notEnrolled)
    const dead = dying(dyingAt)
    void world.room(dead.card, { dies: true }).settle(readId('top', topup.id)!)
    await dead.died
    assert.equal((await ana.looksAt(topup)).status, 'refused')
    await world.claimsRunOut()
    await world.aMinuteLater()
    await world.payments.sweep()
    assert.equal((await world.row(topup))['release_due'], false)
  })
}

test('an error right after the credit costs nothing and leaves nothing to look for', async () => {
  const { ana, topup } = await paidTopup()
  const stop = world.announce.subscribe((each) => {
    if (each.what === 'topup') throw new Error('a listener failed')
  })
  let failures = 0
  for (let tries = 0; tries < 3; tries++) {
    await world.payments.settle(readId('top', topup.id)!).catch(() => failures++)
  }
  stop()
  assert.equal(failures, 2) // deciding to take, taking; then there is nothing left to do
  assert.equal((await ana.looksAt(topup)).status, 'credited')
  assert.equal((await world.row(topup))['next_look_at'], null)
})

test('a look that was taken over writes nothing when it wakes up', async () => {
  const { ana, topup } = await paidTopup()
  const gate = door()
  const zombie = world.room({
    ...world.stripe,
    async readSession(id) {
      const answer = await world.stripe.readSession(id)
      gate.reached()
      await gate.opened
      // What it saw long ago, made worse: were it believed, the payment would be let go.
      if (answer.ok) Object.assign(answer.value.payment_intent as object, { amount: 1 })
      return answer
    },
  })
  const waking = zombie.settle(readId('top', topup.id)!)
  await gate.standing
  await world.claimsRunOut()
  const seen = await ana.comesBack(topup)
  assert.equal(seen.status, 'credited')
  gate.open()
  await waking
  assert.deepEqual(await ana.looksAt(topup), seen)
  // It raised the alarm about what it believed to see; nothing came of it.
  world.alarms.splice(0)
})

test('killed after the payment page was opened: the same key repeats the same call', async () => {
  const ana = await world.customer()
  const sessions = (await world.bankBooks()).sessions.length
  const dead = dying({ createSession: 'after' })
  void world.room(dead.card, { dies: true }).start({
    accountId: ana.accountId,
    method: 'card',
    amount: '10.00',
    idempotencyKey: 'again',
  })
  await dead.died
  await world.claimsRunOut()
  const topup = await ana.startsTopup('10.00', { 'idempotency-key': 'again' })
  const books = await world.bankBooks()
  assert.equal(books.sessions.length, sessions + 1)
  assert.equal(books.sessions.find(({ id }) => id === sessionOf(topup))!.metadata.topup_id, topup.id)
  assert.equal(((await ana.call<{ items: [] }>('/topups')).body.items as []).length, 1)
  await world.pay(topup, cards.frictionless)
  taken++
  assert.equal((await ana.comesBack(topup)).status, 'credited')
})

test('Stripe is away: 503, no money moved, and the same key succeeds later', async () => {
  const ana = await world.customer()
  const away = world.room({
    ...world.stripe,
    createSession: async () => ({ ok: false, why: 'unknown', code: 'test', message: 'no answer' }),
  })
  world.serve(away)
  const headers = { 'idempotency-key': 'patience' }
  const { status, body } = await ana.refused('/topups', { method: 'card', amount: '10.00' }, headers)
  assert.equal(status, 503)
  assert.equal(body.code, 'temporarily_unavailable')
  assert.match(body.detail, /No money moved/)
  world.serve(world.payments)
  await ana.startsTopup('10.00', headers)
})

test('a payment page that nobody was given is closed by the sweeper, and its key begins anew', async () => {
  const ana = await world.customer()
  const headers = { 'idempotency-key': 'late' }
  const dead = dying({ createSession: 'after' })
  void world.room(dead.card, { dies: true }).start({
    accountId: ana.accountId,
    method: 'card',
    amount: '10.00',
    idempotencyKey: 'late',
  })
  await dead.died
  await world.claimsRunOut()
  const { rows } = await world.db.database.pool.query(
    `update topups set asked_at = now() - interval '11 minutes', next_look_at = now() where account_id = $1 returning id`,
    [ana.accountId],
  )
  await world.payments.sweep()
  const { body: first } = await ana.call(`/topups/top_${rows[0].id.replaceAll('-', '')}`)
  assert.equal(first.status, 'expired')
  assert.equal(first.checkout_url, null)
  const closed = (await world.bankBooks()).sessions.find(({ metadata }) => metadata.topup_id === first.id)
  assert.equal(closed!.status, 'expired')
  // The key has had no success yet.
  const second = await ana.startsTopup('10.00', headers)
  assert.notEqual(second.id, first.id)
  assert.deepEqual((await ana.startsTopup('10.00', headers)).id, second.id)
})

test('a key that comes back after ten minutes begins anew, and the old call can hand out nothing more', async () => {
  const ana = await world.customer()
  const headers = { 'idempotency-key': 'zombie' }
  const gate = door()
  const slow = world.room({
    ...world.stripe,
    async createSession(id, call) {
      gate.reached()
      await gate.opened
      return world.stripe.createSession(id, call)
    },
  })
  const old = slow.start({ accountId: ana.accountId, method: 'card', amount: '10.00', idempotencyKey: 'zombie' })
  await gate.standing
  await world.db.database.pool.query(
    `update topups set asked_at = now() - interval '11 minutes' where account_id = $1`,
    [ana.accountId],
  )
  const topup = await ana.startsTopup('10.00', headers)
  gate.open()
  const late = await old
  assert.equal(late.ok, false)
  await world.payments.sweep()
  const { items } = (await ana.call<{ items: CardTopup[] }>('/topups')).body
  assert.deepEqual(
    items.map(({ id, status }) => [id === topup.id, status]),
    [
      [true, 'awaiting_payment'],
      [false, 'expired'],
    ],
  )
})

test('a key whose payment page was handed out stays that top-up for good: nobody pays one wish twice', async () => {
  const ana = await world.customer()
  const headers = { 'idempotency-key': 'handed-out' }
  const topup = await ana.startsTopup('10.00', headers)
  await world.db.database.pool.query(
    `update topups set asked_at = now() - interval '11 minutes' where account_id = $1`,
    [ana.accountId],
  )
  assert.equal((await ana.startsTopup('10.00', headers)).id, topup.id)
  assert.equal((await ana.call<{ items: CardTopup[] }>('/topups')).body.items.length, 1)
})

test("another top-up's session, or another customer's top-up: not found, and nothing is looked at", async () => {
  const calls = counted()
  const ana = await world.customer()
  const ben = await world.customer()
  const [first, second] = [await ana.startsTopup('10.00'), await ana.startsTopup('10.00')]
  const foreign = await ben.startsTopup('10.00')
  await world.pay(second, cards.frictionless)
  taken++
  world.serve(world.room(calls.card))
  const before = await world.row(first)
  for (const [who, topup, session_id] of [
    [ana, first, sessionOf(second)],
    [ana, first, sessionOf(foreign)],
    [ana, first, 'cs_test_nothing'],
    [ana, first, ''],
    [ana, foreign, sessionOf(foreign)],
    [ben, first, sessionOf(first)],
    [ben, second, null],
  ] as const) {
    const { status, body } = await who.refused(`/topups/${topup.id}/return`, { session_id })
    assert.equal(status, 404)
    assert.equal(body.code, 'not_found')
  }
  for (const id of ['top_0', 'ord_00000000000000000000000000000000', '%00', first.id.toUpperCase(), '..%2f']) {
    assert.equal((await ana.refused(`/topups/${id}/return`, {})).status, 404, id)
  }
  assert.equal((await ben.call(`/topups/${first.id}`)).status, 404)
  assert.equal((await ana.refused(`/topups/${first.id}/return`, { session_id: 1 })).body.code, 'invalid_request')
  world.serve(world.payments)
  assert.deepEqual(calls.made, {})
  assert.deepEqual(await world.row(first), before)
  assert.equal((await ana.comesBack(second)).status, 'credited')
})

/** The card company, with its calls counted. */
function counted(): { card: CardCompany; made: Record<string, number> } {
  const made: Record<string, number> = {}
  const card = Object.fromEntries(
    Object.entries(world.stripe).map(([name, call]) => [
      name,
      (...parameters: never[]) => {
        made[name] = (made[name] ?? 0) + 1
        return (call as (...all: never[]) => unknown)(...parameters)
      },
    ]),
  ) as CardCompany
  return { card, made }
}

/** A process that dies around one call: nothing of it ever goes on, as after `kill -9`. */
function dying(at: Partial<Record<keyof CardCompany, 'before' | 'after'>>): { card: CardCompany; died: Promise<void> } {
  let die = () => {}
  const died = new Promise<void>((resolve) => {
    die = resolve
  })
  const card = Object.fromEntries(
    Object.entries(world.stripe).map(([name, call]) => [
      name,
      async (...parameters: never[]) => {
        const when = at[name as keyof CardCompany]
        if (when !== 'before') {
          const answer = await (call as (...all: never[]) => Promise<unknown>)(...parameters)
          if (!when) return answer
        }
        die()
        return new Promise(() => {})
      },
    ]),
  ) as CardCompany
  return { card, died }
}

function door() {
  let reached = () => {}
  let open = () => {}
  const standing = new Promise<void>((resolve) => {
    reached = resolve
  })
  const opened = new Promise<void>((resolve) => {
    open = resolve
  })
  return { standing, opened, reached: () => reached(), open: () => open() }
}
