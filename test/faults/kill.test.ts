/**
 * The server dies by `kill -9` in the middle of orders and top-ups, again and again, and is started each time, while customers, the
 * phone network and the bank go on as if nothing were the matter. Whatever anybody was told stays true.
 *
 *   npm run faults -- --kills 500 --seed 7
 */
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import type { CardTopup, Order } from '../../contract/contract.ts'
import { MICROS_PER_CENT, micros, printAmount, type Usd, usd } from '../../contract/money.ts'
import { platformAccounts } from '../../server/ledger/chart.ts'
import { pause } from '../../server/platform/clock.ts'
import { newId, readId } from '../../server/platform/ids.ts'
import { type Chance, chance, SEED } from '../random.ts'
import { until } from '../until.ts'
import { type Customer, signSms, startWorld, type World } from '../world.ts'
import { KILLS, MS_PER_KILL_MAX, tellFigures, tellProgress } from './kills.ts'

/** A world does not grow beyond what this many kills leave in it: then another one begins. */
const KILLS_PER_WORLD_MAX = 25
/** So many kills lose an answer of each kind. */
const KILLS_FOR_ALL_KINDS = 20
const CUSTOMERS = 6
const CREDIT = '5000.00'
/** The server lives this long between two kills. */
const BURST_MS = { from: 700, to: 1_500 }
/** Or longer: whoever asked so long ago is answered first, by a server that lives. On a slow machine no life would be long enough for him. */
const UNANSWERED_MS_MAX = 15_000
/** Orders end by themselves while the server is being killed. */
const LIFETIME_SECONDS = 60
const TOPUP_LIFE_SECONDS = 45 * 60
const TOPUPS_AT_ONCE = 2
const AGAIN_MS = 200
const ANSWER_MS_MAX = 10_000
/** Without any answer for so long, the server is not merely being restarted. */
const PATIENCE_MS = 120_000
const SETTLING_ROUNDS_MAX = 40

const cards = {
  taken: ['4000000032200000', '4000000000003220'],
  letGo: ['4242424242424242', '378282246310005'],
  declined: ['4000000000000002'],
}

type Answer = { status: number; body: Record<string, unknown> }

for (let done = 0; done < KILLS.server; done += KILLS_PER_WORLD_MAX) {
  const kills = Math.min(KILLS_PER_WORLD_MAX, KILLS.server - done)
  test(
    `${kills} times killed, nothing acknowledged is missing, and the books of bank and house agree`,
    {
      timeout: 100_000 + kills * MS_PER_KILL_MAX,
    },
    (t) => killAgainAndAgain(t, { kills, done, seed: SEED + done }),
  )
}

/** `done`: kills of the worlds before this one. */
async function killAgainAndAgain(t: TestContext, { kills, done, seed }: { kills: number; done: number; seed: number }) {
  const world = await startWorld({
    asProcess: true,
    env: {
      ORDER_LIFETIME_SECONDS: String(LIFETIME_SECONDS),
      ORDER_CANCEL_AFTER_SECONDS: '0',
      NUMBER_REST_SECONDS: '0',
    },
  })
  const crowd = createCrowd(world)
  try {
    const luck = chance(seed)
    const customers = await Promise.all(
      Array.from({ length: CUSTOMERS }, (_, n) => world.customer({ name: `customer${n}`, credit: CREDIT })),
    )
    // Two programs of each, so that they meet on his account.
    const lives = customers.flatMap((who, n) => [
      crowd.ordersNumbers(who, chance(seed + 2 * n + 1)),
      crowd.topsUpByCard(who, chance(seed + 2 * n + 2)),
    ])
    const everybody = Promise.all(lives)
    // Awaited between the kills and after them; meanwhile a failure of one of them shall not end the process.
    everybody.catch(() => {})
    const readyMs: number[] = []
    let dyingPayments = 0
    for (let kill = 1; kill <= kills; kill++) {
      await Promise.race([everybody, pause(luck.whole(BURST_MS.from, BURST_MS.to))])
      await Promise.race([everybody, until(async () => crowd.longestWaitMs() < UNANSWERED_MS_MAX)])
      await world.server.kill()
      dyingPayments += await paymentsUnderWay(world)
      const begun = performance.now()
      await world.server.start()
      readyMs.push(performance.now() - begun)
      await world.audit()
      tellProgress({ kind: 'server', done: done + kill, of: KILLS.server })
    }
    crowd.stop()
    await aMinuteLater(world)
    await everybody

    await everythingSettles(world)
    await world.audit()
    await crowd.whatWasToldIsTrue()
    await theBooksAgree(world, customers)
    readyMs.sort((a, b) => a - b)
    const figures = {
      kills,
      ...crowd.counts,
      dyingPayments,
      medianUpAgainMs: Math.round(readyMs[Math.floor(kills / 2)]!),
      slowestUpAgainMs: Math.round(readyMs.at(-1)!),
    }
    tellFigures({ kind: 'server', ...figures })
    t.diagnostic(`seed ${seed}: ${JSON.stringify(figures)}`)
    // Or this would have proved little.
    assert.ok(Object.values(crowd.counts.answersLost).some((count) => count > 0))
    if (kills >= KILLS_FOR_ALL_KINDS)
      for (const [what, count] of Object.entries(crowd.counts.answersLost))
        assert.ok(count > 0, `no answer lost: ${what}`)
  } catch (error) {
    t.diagnostic(`seed ${seed}; the server said at last:\n${world.server.said?.().slice(-4_000)}`)
    throw error
  } finally {
    crowd.abandon()
    await world.stop()
  }
}

/** The customers with their programs, the phone network, and the cards: what they do, and what they were told. */
function createCrowd(world: World) {
  const counts = {
    asked: 0,
    orders: 0,
    codes: 0,
    cancelled: 0,
    topups: 0,
    credited: 0,
    /** Requests under way when the server died. Each is repeated with its key. */
    answersLost: { order: 0, sms: 0, cancel: 0, topup: 0, return: 0 },
  }
  const orderOf = new Map<string, { id: string }>()
  const cancelOf = new Map<string, string>()
  const smsOf = new Map<string, { outcome: string; text: string }>()
  const topupOf = new Map<string, { id: string; paid: 'taken' | 'letGo' | 'declined' }>()
  const credited = new Set<string>()
  const unanswered = new Set<{ at: number }>()
  let stopped = false
  let abandoned = false

  async function request(path: string, headers: Record<string, string>, body: string): Promise<Answer> {
    const answer = await fetch(world.server.url + path, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body,
      signal: AbortSignal.timeout(ANSWER_MS_MAX),
    })
    return { status: answer.status, body: (await answer.json()) as Record<string, unknown> }
  }

  /** Null: there was no answer, and it may have happened or not. */
  async function once(what: keyof typeof counts.answersLost, ask: () => Promise<Answer>): Promise<Answer | null> {
    counts.asked++
    const answer = await ask().catch((error: Error) => {
      // Refused at the door: nobody was there to hear it.
      if ((error.cause as { code?: string } | undefined)?.code !== 'ECONNREFUSED') counts.answersLost[what]++
      return null
    })
    return answer?.status === 503 ? null : answer
  }

  /** Asks until there is an answer, as a careful program does: the same question, under the same key. */
  async function insist(what: keyof typeof counts.answersLost, ask: () => Promise<Answer>): Promise<Answer> {
    const asked = { at: performance.now() }
    unanswered.add(asked)
    try {
      for (;;) {
        const answer = await once(what, ask)
        if (answer) return answer
        const waited = performance.now() - asked.at
        assert.ok(waited < PATIENCE_MS && !abandoned, `${what} was not answered for ${PATIENCE_MS} ms`)
        await pause(AGAIN_MS)
      }
    } finally {
      unanswered.delete(asked)
    }
  }

  function send(who: Customer, path: string, body: object, key = newId()): Promise<Answer> {
    const headers = { authorization: `Bearer ${who.key}`, 'idempotency-key': key }
    return request(`/api/v1${path}`, headers, JSON.stringify(body))
  }

  async function orders(who: Customer, luck: Chance): Promise<Order | null> {
    const key = newId()
    const asked = { service: luck.oneOf(['telegram', 'google', 'uber']), country: luck.oneOf(['GB', 'US', 'IN', 'PL']) }
    for (let again = luck.happens(0.2) ? 2 : 1; again > 0; again--) {
      const { status, body } = await insist('order', () => send(who, '/orders', asked, key))
      if (status !== 201) {
        const refusals = ['too_many_open_orders', 'insufficient_credits', 'no_numbers']
        assert.ok(refusals.includes(body['code'] as string) && !orderOf.has(key), JSON.stringify(body))
        return null
      }
      const known = orderOf.get(key)
      assert.ok(known === undefined || known.id === body['id'], 'the same key is the same order')
      if (!known) {
        orderOf.set(key, { id: body['id'] as string })
        counts.orders++
      }
      if (again === 1) return body as unknown as Order
    }
    return null
  }

  async function writes(order: Order, luck: Chance): Promise<void> {
    const id = newId()
    const text = luck.happens(0.8) ? `Your code is ${luck.whole(100_000, 999_999)}. ${id}` : `Welcome! ${id}`
    const from = { telegram: 'Telegram', google: 'Google', uber: 'Uber' }[order.service]!
    const sms = JSON.stringify({ id, to: order.phone_number, from, text })
    const send = () => request('/webhooks/sms/generic', { 'x-signature': signSms(sms) }, sms)
    const { status, body } = await insist('sms', send)
    assert.equal(status, 200, JSON.stringify(body))
    smsOf.set(id, { outcome: body['outcome'] as string, text })
    if (body['outcome'] === 'charged') counts.codes++
    if (luck.happens(0.2)) assert.equal((await insist('sms', send)).body['status'], 'duplicate')
  }

  async function cancels(who: Customer, order: Order): Promise<void> {
    const key = newId()
    const { status, body } = await insist('cancel', () => send(who, `/orders/${order.id}/cancel`, {}, key))
    const word = (body['code'] ?? body['status']) as string
    const words = ['cancelled', 'expired', 'already_received', 'already_closed']
    assert.ok([200, 409].includes(status) && words.includes(word), JSON.stringify(body))
    cancelOf.set(order.id, word)
    if (word === 'cancelled') counts.cancelled++
  }

  async function topsUp(who: Customer, luck: Chance): Promise<void> {
    const key = newId()
    const asked = { method: 'card', amount: `${luck.whole(5, 50)}.00` }
    const started = await insist('topup', () => send(who, '/topups', asked, key))
    assert.equal(started.status, 201, JSON.stringify(started.body))
    const topup = started.body as unknown as CardTopup
    counts.topups++
    const paid = luck.oneOf(['taken', 'taken', 'taken', 'letGo', 'declined'] as const)
    topupOf.set(key, { id: topup.id, paid })
    await world.pay(topup, luck.oneOf(cards[paid]))
    // Some close the browser: then the webhook or the sweeper finds out.
    if (luck.happens(0.4)) return
    const back = await once('return', () => send(who, `/topups/${topup.id}/return`, {}))
    if (!back) return
    assert.equal(back.status, 200, JSON.stringify(back.body))
    if (back.body['status'] === 'credited') {
      credited.add(topup.id)
      counts.credited++
    }
  }

  /** One thing after the other, until it is said that it is enough. */
  async function ordersNumbers(who: Customer, luck: Chance): Promise<void> {
    const open: Order[] = []
    while (!stopped) {
      const act = luck.whole(1, 12)
      if (act <= 6 || open.length === 0) {
        const order = await orders(who, luck)
        if (order) open.push(order)
      } else if (act <= 10) await writes(luck.oneOf(open), luck)
      else await cancels(who, luck.oneOf(open))
      if (open.length > 12) open.shift()
      await pause(luck.whole(0, 15))
    }
  }

  /** Several at a time: who hears nothing of one tries another, and repeats the first meanwhile. */
  async function topsUpByCard(who: Customer, luck: Chance): Promise<void> {
    const underWay = new Set<Promise<void>>()
    while (!stopped) {
      const topup = topsUp(who, luck).finally(() => underWay.delete(topup))
      underWay.add(topup)
      if (underWay.size >= TOPUPS_AT_ONCE) await Promise.race(underWay)
      await pause(luck.whole(0, 100))
    }
    await Promise.all(underWay)
  }

  async function whatWasToldIsTrue(): Promise<void> {
    const { pool } = world.db.database
    // Each key is one order, also where the first answer was lost; and there are no others.
    const { rows: orderRows } = await pool.query<{ id: string; status: string }>('select id, status from orders')
    const statusOf = new Map(orderRows.map(({ id, status }) => [id, status]))
    assert.equal(new Set([...orderOf.values()].map(({ id }) => id)).size, orderOf.size)
    assert.equal(statusOf.size, orderOf.size)
    for (const { id } of orderOf.values()) {
      const status = statusOf.get(readId('ord', id)!)
      assert.ok(['finished', 'cancelled', 'expired'].includes(status!), `order ${id} is ${status}`)
      const word = cancelOf.get(id)
      if (word === 'cancelled' || word === 'expired') assert.equal(status, word, `its customer was told ${word}`)
      if (word === 'already_received') assert.equal(status, 'finished', 'its customer was told that a code had come')
    }

    // Each message that was taken is stored once, and stands where it was said to.
    const { rows: messages } = await pool.query<{
      external_id: string
      outcome: string
      text: string | null
      late: boolean | null
      status: string | null
    }>(
      `select i.external_id, i.outcome, m.text, m.late, o.status
         from inbox i left join messages m on m.inbox_id = i.id left join orders o on o.id = m.order_id
        where i.source = 'sms:generic'`,
    )
    assert.equal(messages.length, smsOf.size)
    for (const { external_id, outcome, text, late, status } of messages) {
      const told = smsOf.get(external_id)!
      // Whoever had lost the first answer was told "duplicate", or that it is stored.
      if (told.outcome !== 'duplicate' && told.outcome !== 'stored') assert.equal(outcome, told.outcome)
      const isShown = ['charged', 'further', 'no_code', 'late'].includes(outcome)
      assert.equal(text, isShown ? told.text : null, `the message ${external_id} was ${outcome}`)
      if (isShown) assert.equal(late, outcome === 'late')
      if (outcome === 'charged') assert.equal(status, 'finished')
    }

    const { rows: topups } = await pool.query<{ id: string; status: string; reason: string | null }>(
      'select id, status, reason from topups',
    )
    const topupNow = new Map(topups.map((row) => [row.id, row]))
    assert.equal(topups.length, topupOf.size)
    for (const { id, paid } of topupOf.values()) {
      const { status, reason } = topupNow.get(readId('top', id)!)!
      const expected = paid === 'taken' ? 'credited' : 'refused'
      assert.equal(status, expected, `${id}: a card that is ${paid} (${reason})`)
      if (paid === 'declined') assert.equal(reason, 'declined')
    }
    for (const id of credited) assert.equal(topupNow.get(readId('top', id)!)!.status, 'credited')
  }

  return {
    counts,
    ordersNumbers,
    topsUpByCard,
    whatWasToldIsTrue,
    longestWaitMs: () => performance.now() - Math.min(performance.now(), ...[...unanswered].map(({ at }) => at)),
    stop(): void {
      stopped = true
    },
    /** The test has failed: nobody insists any more. */
    abandon(): void {
      stopped = true
      abandoned = true
    },
  }
}

/** Payments at which the dead server was looking: what it had asked of the bank may have happened or not. */
async function paymentsUnderWay(world: World): Promise<number> {
  const { rows } = await world.db.database.pool.query<{ count: number }>(
    'select count(*)::int as count from topups where look_done < look',
  )
  return rows[0]!.count
}

/** Time passes until nothing is open any more: orders end, payment pages close, sweepers find what was left. */
async function everythingSettles(world: World): Promise<void> {
  const { pool } = world.db.database
  await timePasses(world, LIFETIME_SECONDS)
  await timePasses(world, TOPUP_LIFE_SECONDS)
  for (let round = 1; ; round++) {
    const { rows } = await pool.query(
      `select (select count(*)::int from orders where status in ('waiting', 'received')) as orders,
              (select count(*)::int from open_holds) as holds,
              (select count(*)::int from inbox where handled_at is null) as inbox,
              (select count(*)::int from topups where next_look_at is not null) as topups`,
    )
    const left = rows[0]
    if (Object.values(left).every((count) => count === 0)) return
    assert.ok(round < SETTLING_ROUNDS_MAX, `still open: ${JSON.stringify(left)}`)
    await aMinuteLater(world)
    await timePasses(world, 150)
  }
}

/**
 * House time, and what becomes due by it. Of a thousand top-ups that may take longer than a request may: then it goes on, and the rounds
 * wait for it.
 */
async function timePasses(world: World, seconds: number): Promise<void> {
  const { status } = await fetch(`${world.server.url}/api/sandbox/clock`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ advance_seconds: seconds }),
  })
  assert.ok(status === 200 || status === 503, `the clock answered ${status}`)
}

/** A minute of wire time, in which the looks of a dead server at payments run out and others are due, is written, not waited for. */
async function aMinuteLater(world: World): Promise<void> {
  await world.db.database.pool.query(
    'update topups set next_look_at = now(), claimed_until = least(claimed_until, now()) where next_look_at is not null',
  )
}

/** Ours, the bank's, and the sum of what everybody has. */
async function theBooksAgree(world: World, customers: Customer[]): Promise<void> {
  const { totals } = (await world.control('/stripe/books')) as { totals: Record<string, number> }
  const { pool } = world.db.database
  const { rows } = await pool.query<
    Record<'credited' | 'clearing' | 'earned', string> & { topups: number; sessions: number }
  >(
    `select (select coalesce(sum(amount), 0) from topups where status = 'credited') as credited,
            (select count(*)::int from topups where status = 'credited') as topups,
            (select count(session_id)::int from topups) as sessions,
            (select coalesce(sum(debits - credits), 0) from platform_totals where platform = $1) as clearing,
            (select coalesce(sum(price), 0) from orders where status = 'finished') as earned`,
    [platformAccounts.card_clearing],
  )
  const ours = rows[0]!
  const print = (amount: string | bigint) => printAmount(micros(amount))
  const bank = print(BigInt(totals['captured']!) * MICROS_PER_CENT)
  assert.deepEqual(
    {
      credited: print(ours.credited),
      clearing: print(ours.clearing),
      payments: ours.topups,
      sessions: ours.sessions,
      reserved: totals['capturable'],
    },
    { credited: bank, clearing: bank, payments: totals['captured_charges'], sessions: totals['sessions'], reserved: 0 },
  )
  let owned = 0n
  for (const who of customers) {
    const balance = await who.balance()
    assert.deepEqual(
      { ...balance, available: '' },
      { ...balance, available: '', held: '0.00', pending: '0.00', owed: '0.00' },
    )
    owned += usd(balance.available)
  }
  const gifts: Usd = micros(usd(CREDIT) * BigInt(customers.length))
  assert.equal(print(owned), print(gifts + BigInt(ours.credited) - BigInt(ours.earned)))
  await world.expectBooks(`revenue ${print(ours.earned)}`)
}
