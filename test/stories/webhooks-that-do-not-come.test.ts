/**
 * R3 and R9. Webhooks are lost, late, or about what nobody here knows yet: the house asks for what it was not told, waits where waiting
 * helps, and calls a person where nothing else does. Credits come all the same.
 */
import assert from 'node:assert/strict'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, afterEach, before, beforeEach, test } from 'node:test'
import type { CardTopup, StaffEvent } from '../../contract/contract.ts'
import { createEvents } from '../../server/payments/card/events.ts'
import { signEvent } from '../../server/payments/card/stripe.ts'
import { wireClock } from '../../server/platform/clock.ts'
import { readId } from '../../server/platform/ids.ts'
import { openLog } from '../../server/platform/log.ts'
import { type CardCompany, type CardWorld, cards, sessionOf, startCardWorld } from '../card-world.ts'
import { until } from '../until.ts'

let world: CardWorld
before(async () => {
  world = await startCardWorld()
  await world.payments.fillGap()
})
after(() => world?.stop())
beforeEach(() => world.webhooks('off'))
afterEach(() => assert.deepEqual(world.alarms, []))

type Customer = Awaited<ReturnType<CardWorld['customer']>>

async function paid(amount = '10.00'): Promise<{ ana: Customer; topup: CardTopup }> {
  const ana = await world.customer()
  const topup = await ana.startsTopup(amount)
  assert.equal(await world.pay(topup, cards.frictionless), 'authorized')
  return { ana, topup }
}

const credited = (ana: Customer, topup: CardTopup) =>
  until(async () => (await ana.looksAt(topup)).status === 'credited')

async function query<Row>(text: string, values: unknown[] = []): Promise<Row[]> {
  return (await world.db.database.pool.query(text, values)).rows as Row[]
}

async function staff<Body = StaffEvent>(path: string, asked?: object): Promise<{ status: number; body: Body }> {
  const { call } = await world.customer()
  return call<Body>(`/staff${path}`, asked)
}

const listedEvents = async (status: string) =>
  (await staff<{ items: StaffEvent[] }>(`/events?status=${status}`)).body.items

let webhooks = 0

/** A webhook with this content. */
async function told(type: string, object: object, more: object = {}): Promise<string> {
  const id = `evt_${++webhooks}_${type}`
  const body = JSON.stringify({ id, object: 'event', type, livemode: false, data: { object }, ...more })
  const answer = await fetch(`${world.serverUrl}/webhooks/stripe`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'stripe-signature': signEvent(body, 'whsec_sandbox', new Date()) },
    body,
  })
  assert.equal(answer.status, 200, await answer.text())
  return id
}

const eventNow = async (id: string) =>
  (
    await query<{
      outcome: string | null
      attempts: number
      handled: boolean
      aside: boolean
      last_error: string | null
    }>(
      `select outcome, attempts, handled_at is not null as handled, set_aside_at is not null as aside, last_error
       from inbox where external_id = $1`,
      [id],
    )
  )[0]!

const place = async () =>
  (await query<{ last_event_id: string | null }>('select last_event_id from card_event_state'))[0]

test('no webhook comes and no customer returns: the list of events brings the credit', async () => {
  const { ana, topup } = await paid()
  await world.payments.fillGap()
  await credited(ana, topup)
  await until(async () => (await listedEvents('waiting')).length === 0)
})

test('what a webhook has brought is not taken from the list a second time', async () => {
  await world.webhooks('on')
  const { ana, topup } = await paid()
  await credited(ana, topup)
  await until(async () => (await world.control('/stripe/webhooks'))['waiting'] === 0)
  const jobs: { topupId: string }[] = []
  const takesJobs = { send: async (_tx: unknown, _queue: string, job: object) => void jobs.push(job as never) }
  const list: CardCompany = {
    ...world.stripe,
    async listEvents(page) {
      const answer = await world.stripe.listEvents(page)
      if (!answer.ok) return answer
      // What the bank tells a second later, of its own accounts, may be under way.
      const { data, has_more } = answer.value
      return { ok: true, value: { data: data.filter(({ type }) => type !== 'charge.updated'), has_more } }
    },
  }
  const room = world.room(list, { takesJobs })
  await Promise.all([room.fillGap(), room.fillGap()])
  assert.ok(!jobs.some(({ topupId }) => topupId === readId('top', topup.id)))
})

test('two processes read the list at once: each event once, one job for each', async () => {
  const jobs: object[] = []
  const takesJobs = { send: async (_tx: unknown, _queue: string, job: object) => void jobs.push(job) }
  const { ana, topup } = await paid()
  const rooms = [1, 2, 3].map(() => world.room(world.stripe, { takesJobs }))
  await Promise.all(rooms.map((room) => room.fillGap()))
  const inboxIds = jobs.map((job) => (job as { inboxId: string }).inboxId)
  assert.ok(jobs.length >= 3)
  assert.equal(new Set(inboxIds).size, jobs.length)
  // The jobs of this story went nowhere: as after a crash, the sweeper takes the events when their two minutes are over.
  await world.houseTimePasses(121)
  await world.payments.sweep()
  assert.equal((await ana.looksAt(topup)).status, 'credited')
})

test('killed in the middle of a page: nothing of it is stored, the place in the list stands, and the next minute reads it', async () => {
  const { ana, topup } = await paid()
  // Old enough for the place to move on.
  const old: CardCompany = {
    ...world.stripe,
    async listEvents(page) {
      const answer = await world.stripe.listEvents(page)
      if (answer.ok) for (const event of answer.value.data) event.created -= 3600
      return answer
    },
  }
  const [stood, stored] = [await place(), await query('select count(*)::int as count from inbox')]
  let sent = 0
  const dying = world.room(old, {
    takesJobs: {
      async send() {
        if (++sent === 3) throw new Error('killed')
      },
    },
  })
  await assert.rejects(dying.fillGap(), /killed/)
  assert.deepEqual([await place(), await query('select count(*)::int as count from inbox')], [stood, stored])
  await world.room(old).fillGap()
  assert.notDeepEqual(await place(), stood)
  await credited(ana, topup)
})

test('an event that appears in the list behind newer ones is read all the same', async () => {
  const { ana, topup } = await paid()
  const hidden: CardCompany = {
    ...world.stripe,
    async listEvents(page) {
      const answer = await world.stripe.listEvents(page)
      if (!answer.ok) return answer
      const about = (event: unknown) => JSON.stringify(event).includes(topup.id)
      return { ok: true, value: { ...answer.value, data: answer.value.data.filter((event) => !about(event)) } }
    },
  }
  const later = await paid()
  await world.room(hidden).fillGap()
  await credited(later.ana, later.topup)
  assert.equal((await ana.looksAt(topup)).status, 'awaiting_payment')
  await world.payments.fillGap()
  await credited(ana, topup)
})

test('a card company that does not answer is asked again the next minute, and staff can read why nothing came', async () => {
  const { ana, topup } = await paid()
  const away: CardCompany = {
    ...world.stripe,
    listEvents: async () => ({ ok: false, why: 'unknown', code: 'test', message: 'It is away.' }),
  }
  await world.room(away).fillGap()
  type State = { list: { problem: string | null; read_at: string | null } }
  assert.equal((await staff<State>('/events/state')).body.list.problem, 'It is away.')
  await world.payments.fillGap()
  const { list } = (await staff<State>('/events/state')).body
  assert.equal(list.problem, null)
  assert.ok(list.read_at)
  await credited(ana, topup)
})

test('a session that we had called expired, and that was paid after all, is credited by the list', async () => {
  const ana = await world.customer()
  const topup = await ana.startsTopup('10.00')
  await query(
    `update topups set status = 'expired', ended_at = house_now(), next_look_at = null where session_id = $1`,
    [sessionOf(topup)],
  )
  await world.pay(topup, cards.frictionless)
  await world.payments.fillGap()
  await credited(ana, topup)
})

/** As the card company answers when the place in its list is more than 30 days old. */
const forgetful: CardCompany['listEvents'] = async (page) =>
  page.endingBefore === undefined
    ? { ok: true, value: { data: [], has_more: false } }
    : { ok: false, why: 'refused', code: 'resource_missing', message: 'No such event' }

test('away for more than the 30 days that the list goes back: the objects themselves are gone through', async () => {
  await world.db.asOwner(
    `update card_event_state set last_event_id = 'evt_long_ago', last_event_at = now() - interval '40 days', read_at = now() - interval '40 days'`,
  )
  const { ana, topup } = await paid('20.00')
  const spent = await paid()
  await spent.ana.comesBack(spent.topup)
  await world.control('/stripe/refunds', { payment: spent.topup.id })
  // Nothing but a look at the objects can find them.
  await query('update topups set next_look_at = null where next_look_at is not null')
  const room = world.room({ ...world.stripe, listEvents: forgetful })
  await room.fillGap()
  assert.match(world.alarms.splice(0).join(), /does not go back/)
  await until(async () => {
    await room.fillGap()
    return (await query<{ left: boolean }>('select object_sweep is null as left from card_event_state'))[0]!.left
  })
  await credited(ana, topup)
  assert.equal(await ana.has(), '20.00, on its way 0.00')
  await until(async () => (await spent.ana.has()) === '0.00, on its way 0.00')
})

test('nothing happened for a month, and the list was read every minute: nobody is called', async () => {
  await world.db.asOwner(
    `update card_event_state set last_event_id = 'evt_a_month_ago', last_event_at = now() - interval '40 days', read_at = now()`,
  )
  await world.room({ ...world.stripe, listEvents: forgetful }).fillGap()
  const { ana, topup } = await paid()
  await world.payments.fillGap()
  await credited(ana, topup)
})

test('what happened in the account before the first start is left alone', async () => {
  const own = await startCardWorld()
  try {
    await own.webhooks('off')
    const ana = await own.customer()
    const topup = await ana.startsTopup('10.00')
    await own.pay(topup, cards.frictionless)
    // The clocks of the card company's events tell whole seconds.
    await new Promise((resolve) => setTimeout(resolve, 1_100))
    await own.payments.fillGap()
    await own.payments.fillGap()
    const stored = async () => (await own.db.database.pool.query("select from inbox where source = 'stripe'")).rowCount
    assert.equal(await stored(), 0)
    const later = await ana.startsTopup('5.00')
    await own.pay(later, cards.frictionless)
    await own.payments.fillGap()
    assert.ok((await stored())! > 0)
  } finally {
    await own.stop()
  }
})

test('webhooks off for days: each top-up reaches its right end by the sweeper alone', async () => {
  const outcomes = []
  for (const [card, challenge, expected] of [
    [cards.confirms, 'complete', 'credited null'],
    [cards.frictionless, undefined, 'credited null'],
    [cards.notEnrolled, undefined, 'refused bank_does_not_verify'],
    [cards.declined, undefined, 'refused declined'],
    [cards.confirms, 'close', 'refused abandoned'],
    [null, undefined, 'expired null'],
  ] as const) {
    const ana = await world.customer()
    const topup = await ana.startsTopup('10.00')
    if (card) await world.pay(topup, card, challenge)
    outcomes.push({ ana, topup, expected })
  }
  await world.houseTimePasses(3 * 86_400)
  await world.aMinuteLater()
  await world.payments.sweep()
  await world.aMinuteLater()
  await world.payments.sweep()
  for (const { ana, topup, expected } of outcomes) {
    const { status, reason } = await ana.looksAt(topup)
    assert.equal(`${status} ${reason}`, expected)
  }
})

test('an event about what nobody here knows yet waits, and is dealt with when it is known', async () => {
  const { ana, topup } = await paid()
  await ana.comesBack(topup)
  await world.control('/stripe/refunds', { payment: topup.id })
  const [row] = await query<{ payment_intent_id: string; id: string }>(
    'select id, payment_intent_id from topups where session_id = $1',
    [sessionOf(topup)],
  )
  const listed = await world.stripe.listObjects('refund', { limit: 1 })
  assert.ok(listed.ok)
  // As if our own write had not come yet.
  const names = await query<{ source: string; external_id: string; account_id: string; subject: string }>(
    'select * from directory where subject = $1',
    [row!.id],
  )
  await world.db.asOwner('delete from directory where subject = $1', [row!.id])
  const id = await told('refund.created', { ...listed.value.data[0]! })
  assert.equal((await eventNow(id)).outcome, 'unknown_object')
  await world.houseTimePasses(31)
  await world.payments.sweep()
  const still = await eventNow(id)
  assert.deepEqual([still.handled, still.outcome, still.attempts], [false, 'unknown_object', 2])
  for (const { source, external_id, account_id, subject } of names)
    await query('insert into directory values ($1, $2, $3, $4)', [source, external_id, account_id, subject])
  await world.houseTimePasses(61)
  await world.payments.sweep()
  assert.equal((await eventNow(id)).handled, true)
  assert.equal(await ana.has(), '0.00, on its way 0.00')
})

test('what is still unknown after three days is somebody else’s', async () => {
  const refund = { id: 're_foreign', object: 'refund', payment_intent: 'pi_foreign', charge: 'ch_foreign' }
  const id = await told('refund.updated', refund)
  await world.houseTimePasses(3 * 86_400 + 1)
  await world.payments.sweep()
  assert.equal((await eventNow(id)).outcome, 'not_ours')
})

test('what could not be dealt with for three days is set aside, and deals with itself when it is replayed', async () => {
  const { ana, topup } = await paid()
  const away = world.room(
    {
      ...world.stripe,
      readSession: async () => ({ ok: false, why: 'unknown', code: 'test', message: 'no answer' }),
    },
    { takesJobs: { send: async () => {} } },
  )
  world.serve(away)
  const id = await told('checkout.session.completed', { id: sessionOf(topup), object: 'checkout.session' })
  await world.houseTimePasses(121)
  await away.sweep()
  const first = await eventNow(id)
  assert.deepEqual([first.handled, first.aside, first.last_error], [false, false, 'read_session: no answer'])
  await world.houseTimePasses(3 * 86_400)
  await away.sweep()
  assert.equal((await eventNow(id)).aside, true)
  assert.equal(world.alarms.splice(0).length, 1)
  // Nobody tries it again by himself.
  await world.houseTimePasses(86_400)
  await away.sweep()
  assert.equal((await eventNow(id)).attempts, 2)
  world.serve(world.payments)
  const { status, body } = await staff(`/events/${id}/replay`, {})
  assert.equal(status, 200)
  assert.deepEqual([body.id, body.status, body.outcome, body.last_error], [id, 'handled', 'credited', null])
  assert.equal((await ana.looksAt(topup)).status, 'credited')
})

test('a kind of event that nobody has heard of, about a top-up of ours: it is looked at, and shown to a person', async () => {
  const { ana, topup } = await paid()
  const id = await told('checkout.session.wished', { id: sessionOf(topup), object: 'checkout.session' })
  await credited(ana, topup)
  await until(async () => (await eventNow(id)).aside)
  assert.match((await eventNow(id)).last_error!, /looked at: credited/)
  assert.equal(world.alarms.splice(0).length, 1)
  assert.ok((await listedEvents('set_aside')).some((item) => item.id === id))
})

test('what this version cannot deal with is set aside with an alarm; the next version deals with it when it is replayed', async () => {
  const { ana, topup } = await paid()
  await ana.comesBack(topup)
  await world.control('/stripe/refunds', { payment: topup.id })
  const listed = await world.stripe.listObjects('refund', { limit: 1 })
  assert.ok(listed.ok)
  const alarms: object[] = []
  const log = openLog({ level: 'silent' })
  log.error = ((about: object) => alarms.push(about)) as typeof log.error
  const older = createEvents({
    database: world.db.database,
    queue: { send: async () => {} },
    log,
    clock: wireClock,
    livemode: false,
    secrets: ['whsec_sandbox'],
    installation: async () => (await query<{ id: string }>('select id from installation'))[0]!.id,
    actions: { settle: async () => 'credited' },
  })
  const id = `evt_of_the_future_${topup.id}`
  const body = JSON.stringify({ id, object: 'event', type: 'refund.created', data: { object: listed.value.data[0] } })
  const signature = signEvent(body, 'whsec_sandbox', new Date())
  assert.equal(await older.receive({ body: Buffer.from(body), signature }), 'accepted')
  assert.equal((await eventNow(id)).aside, true)
  assert.equal(alarms.length, 1)
  // The old version, asked again, can do no more than before.
  assert.equal((await older.replay(id))!.status, 'set_aside')
  const { body: item } = await staff(`/events/${id}/replay`, {})
  assert.equal(item.status, 'handled')
  assert.equal(await ana.has(), '0.00, on its way 0.00')
})

// The process dies at each of these points of what an event goes through.
test('killed before the commit that stores a webhook: it was not answered, so the bank sends it again', async () => {
  const { ana, topup } = await paid()
  const body = JSON.stringify({
    id: 'evt_cut_off',
    object: 'event',
    type: 'checkout.session.completed',
    data: { object: { id: sessionOf(topup), object: 'checkout.session' } },
  })
  const received = () => ({ body: Buffer.from(body), signature: signEvent(body, 'whsec_sandbox', new Date()) })
  const dying = world.room(world.stripe, {
    takesJobs: {
      async send() {
        throw new Error('killed')
      },
    },
  })
  await assert.rejects(dying.event(received()), /killed/)
  assert.equal(await eventNow('evt_cut_off'), undefined)
  assert.equal(await world.payments.event(received()), 'accepted')
  assert.equal(await world.payments.event(received()), 'duplicate')
  await credited(ana, topup)
})

for (const [point, acts] of [
  ['before its top-up is looked at', false],
  ['after its top-up was credited, before that is written on the event', true],
] as const) {
  test(`killed in the job of an event ${point}: it is dealt with once more, and credited once`, async () => {
    const { ana, topup } = await paid()
    const topupId = readId('top', topup.id)!
    const dying = createEvents({
      database: world.db.database,
      queue: { send: async () => {} },
      log: openLog({ level: 'silent' }),
      clock: wireClock,
      livemode: false,
      secrets: ['whsec_sandbox'],
      installation: async () => (await query<{ id: string }>('select id from installation'))[0]!.id,
      actions: {
        async settle() {
          if (acts) await world.payments.settle(topupId)
          throw new Error('killed')
        },
      },
    })
    const id = `evt_dying_${acts}`
    const object = { id: sessionOf(topup), object: 'checkout.session' }
    const body = JSON.stringify({ id, object: 'event', type: 'checkout.session.completed', data: { object } })
    const signature = signEvent(body, 'whsec_sandbox', new Date())
    assert.equal(await dying.receive({ body: Buffer.from(body), signature }), 'accepted')
    const [row] = await query<{ id: string }>('select id from inbox where external_id = $1', [id])
    await assert.rejects(dying.job({ topupId, inboxId: row!.id }), /killed/)
    assert.equal((await ana.looksAt(topup)).status, acts ? 'credited' : 'awaiting_payment')
    // As a job that an older version has sent.
    await world.payments.settleJob({ topupId, inboxId: row!.id })
    await world.payments.settleJob({ topupId, inboxId: row!.id })
    assert.deepEqual([(await eventNow(id)).outcome, await ana.has()], ['credited', '10.00, on its way 0.00'])
  })
}

test('an event replayed twice, and twice at once, does nothing twice; one that nobody told is not found', async () => {
  const { ana, topup } = await paid()
  const id = await told('payment_intent.succeeded', {
    id: 'pi_x',
    object: 'payment_intent',
    metadata: { topup_id: topup.id },
  })
  await credited(ana, topup)
  const answers = await Promise.all(Array.from({ length: 5 }, () => staff(`/events/${id}/replay`, {})))
  for (const { body } of [...answers, await staff(`/events/${id}/replay`, {})])
    assert.equal(body.outcome ?? 'credited', 'credited')
  assert.equal((await eventNow(id)).outcome, 'credited')
  assert.equal(await ana.has(), '10.00, on its way 0.00')
  assert.equal((await staff('/events/evt_nobody/replay', {})).status, 404)
})

test('staff read the events newest first, in pages, by how they stand', async () => {
  type Page = { items: StaffEvent[]; next_cursor: string | null }
  const { body: first } = await staff<Page>('/events?limit=2')
  assert.equal(first.items.length, 2)
  const { body: second } = await staff<Page>(`/events?limit=2&cursor=${first.next_cursor}`)
  const times = [...first.items, ...second.items].map((item) => item.received_at)
  assert.deepEqual(times, times.toSorted().reverse())
  assert.equal(new Set([...first.items, ...second.items].map((item) => item.id)).size, 4)
  for (const item of await listedEvents('handled')) assert.equal(item.status, 'handled')
  assert.equal((await staff('/events?status=lost')).status, 400)
})

/** Something else that answers at our address. */
async function inOurPlace<Result>(answer: RequestListener, work: (url: string) => Promise<Result>): Promise<Result> {
  const server = createServer(answer)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  try {
    return await work(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
  } finally {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  }
}

for (const [name, answer, words] of [
  [
    'leads elsewhere',
    (_, to) => to.writeHead(307, { location: 'https://www.sms.example/webhooks/stripe' }).end(),
    /answers 307 and leads to https:\/\/www.sms.example.*Stripe follows no redirect/,
  ],
  ['knows nothing of it', (_, to) => to.writeHead(404).end('Not Found'), /nothing at .* that takes webhooks \(404\)/],
  ['says yes to everything', (_, to) => to.writeHead(200).end('{"status":"accepted"}'), /not this server that answers/],
  ['asks for a login', (_, to) => to.writeHead(401).end(), /answers 401/],
] as const satisfies [string, RequestListener, RegExp][]) {
  test(`the house finds out by itself that what answers at its address ${name}, and says so in words`, async () => {
    const { problem } = await inOurPlace(answer, (publicUrl) => world.room(world.stripe, { publicUrl }).endpoint.test())
    assert.match(problem!, words)
    assert.equal(world.alarms.splice(0).length, 1)
    const { body } = await staff<{ endpoint: { problem: string } }>('/events/state')
    assert.equal(body.endpoint.problem, problem)
  })
}

test('where the address leads here, the test of it is over, and nothing of it is stored', async () => {
  const stored = () => query('select count(*)::int as count from inbox')
  const before = await stored()
  const room = world.room(world.stripe, { publicUrl: world.serverUrl })
  assert.equal((await room.endpoint.test()).problem, null)
  assert.deepEqual(await stored(), before)
  world.serve(room)
  const { status, body } = await staff<{ problem: null; tested_at: string }>('/events/test', {})
  world.serve(world.payments)
  assert.deepEqual([status, body.problem], [200, null])
  assert.ok(body.tested_at)
  // Whoever has other secrets is another house.
  const other = world.room(world.stripe, { publicUrl: world.serverUrl, webhookSecrets: ['whsec_other'] })
  assert.match((await other.endpoint.test()).problem!, /does not accept our signature/)
  assert.equal(world.alarms.splice(0).length, 1)
  await room.endpoint.test()
})

test('a secret is rotated without a gap: old, both, new', async () => {
  const header = (...secrets: string[]) => {
    const [first, ...others] = secrets.map((secret) => signEvent(body, secret, new Date()))
    return [first, ...others.map((each) => each.split(',').find((part) => part.startsWith('v1=')))].join(',')
  }
  const body = JSON.stringify({ id: 'evt_rotation', object: 'event', type: 'payout.paid', data: { object: {} } })
  const accepts = async (webhookSecrets: string[], signature: string) => {
    const received = await world.room(world.stripe, { webhookSecrets }).event({ body: Buffer.from(body), signature })
    return received !== 'invalid_signature'
  }
  // While it is rolled, the card company signs with both.
  const [old, both, fresh] = [header('whsec_old'), header('whsec_old', 'whsec_new'), header('whsec_new')]
  for (const [secrets, accepted] of [
    [['whsec_old'], [true, true, false]],
    [
      ['whsec_new', 'whsec_old'],
      [true, true, true],
    ],
    [['whsec_new'], [false, true, true]],
  ] as const)
    for (const [index, signature] of [old, both, fresh].entries())
      assert.equal(await accepts([...secrets], signature), accepted[index], `${secrets} ${signature}`)
})
