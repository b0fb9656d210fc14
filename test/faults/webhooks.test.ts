/**
 * The bank's events are delivered up to twenty times, in any order, a third of them never, and the server dies by `kill -9` in between.
 * What is left is what one clean run leaves, and what the bank's own books say.
 *
 *   npm run faults -- --webhooks 10000 --seed 7
 */
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { inspect } from 'node:util'
import Stripe from 'stripe'
import type { CardTopup } from '../../contract/contract.ts'
import { MICROS_PER_CENT, micros, printAmount } from '../../contract/money.ts'
import { signEvent } from '../../server/payments/card/stripe.ts'
import { createReconciliation, openStripe } from '../../server/payments/payments.ts'
import { pause } from '../../server/platform/clock.ts'
import { readId } from '../../server/platform/ids.ts'
import { openLog } from '../../server/platform/log.ts'
import { type Chance, chance, SEED } from '../random.ts'
import { until } from '../until.ts'
import { startWorld, type World } from '../world.ts'
import { MS_PER_EVENT_MAX, tellFigures, tellProgress, WEBHOOKS } from './kills.ts'

/** The fewest that a payment causes, on average over a plan; what is told beyond the wish is delivered as well. */
const EVENTS_PER_PAYMENT = 6.5
const EVENTS_PER_KILL = 400
const KILLS_MIN = 2
const COPIES_MAX = 20
const LOST = 0.3
const PAYMENTS_AT_ONCE = 16
const DELIVERIES_AT_ONCE = 8
/** As many events lie in a heap before the first of them leaves: out of order, and not too late for those who wait. */
const HEAP_MIN = 60
const LIST_EVERY_MS = 250
const SOON_MS = 400
const AGAIN_MS = 400
const ANSWER_MS_MAX = 10_000
const PATIENCE_MS = 120_000
const SETTLING_ROUNDS_MAX = 40
const TOPUP_LIFE_SECONDS = 45 * 60

const cards = {
  taken: '4000000032200000',
  confirmed: '4000000000003220',
  letGo: '4242424242424242',
  declined: '4000000000000002',
}
const aftermaths = [
  'nothing',
  'refunded',
  'part refunded',
  'refund fails later',
  'disputed',
  'dispute lost',
  'dispute won',
  'inquiry',
  'warned',
] as const

type Payment = {
  n: number
  dollars: number
  card: keyof typeof cards
  aftermath: (typeof aftermaths)[number]
  comesBack: boolean
}

/** Drawn once, for both runs. */
function planOf(luck: Chance, payments: number): Payment[] {
  return Array.from({ length: payments }, (_, n) => {
    const card = luck.oneOf([
      'taken',
      'taken',
      'taken',
      'taken',
      'taken',
      'confirmed',
      'confirmed',
      'letGo',
      'declined',
    ] as const)
    const isTaken = card === 'taken' || card === 'confirmed'
    const after = luck.happens(0.5) ? luck.oneOf(aftermaths) : 'nothing'
    return { n, dollars: luck.whole(5, 60), card, aftermath: isTaken ? after : 'nothing', comesBack: luck.happens(0.2) }
  })
}

test(`${WEBHOOKS} events, each up to ${COPIES_MAX} times, out of order, a third lost, the server killed in between: as in one clean run`, {
  timeout: 200_000 + WEBHOOKS * MS_PER_EVENT_MAX,
}, async (t) => {
  const plan = planOf(chance(SEED), Math.ceil(WEBHOOKS / EVENTS_PER_PAYMENT))
  const stormy = await storm(t, plan)
  const clean = await calm(plan)
  for (const [n, payment] of plan.entries())
    assert.deepEqual(stormy.books[n], clean.books[n], `seed ${SEED}, payment ${n}: ${JSON.stringify(payment)}`)
  assert.deepEqual(stormy.totals, clean.totals)
  const figures = { ...stormy.figures, states: new Set(stormy.books.map((book) => JSON.stringify(book))).size }
  tellFigures({ kind: 'webhooks', ...figures })
  t.diagnostic(`seed ${SEED}: ${JSON.stringify(figures)}`)
  assert.ok(figures.events >= WEBHOOKS, `only ${figures.events} events`)
})

async function storm(t: TestContext, plan: Payment[]) {
  const world = await startWorld({ asProcess: true, env: settings })
  const luck = chance(SEED + 1)
  const heap = createHeap(world, luck)
  try {
    await world.control('/stripe/webhooks', { mode: 'off' })
    const everybody = payAll(world, plan)
    everybody.catch(() => {})
    const delivering = heap.deliver()
    delivering.catch(() => {})
    const kills = Math.max(KILLS_MIN, Math.floor(WEBHOOKS / EVENTS_PER_KILL))
    let killed = 0
    let isOver = false
    void Promise.allSettled([everybody]).then(() => {
      isOver = true
    })
    // Spread over the deliveries; when everybody has paid, what is left of them.
    const isDue = () => heap.counts.posts > ((killed + 1) * WEBHOOKS * COPIES_MAX * (1 - LOST)) / 2.5 / (kills + 1)
    while (!isOver || killed < kills) {
      if (killed < kills && (isOver || isDue())) {
        await world.server.kill()
        killed++
        await world.server.start()
      }
      // A failure of theirs is this test's, at once.
      await Promise.race([pause(luck.whole(50, 250)), failureOf(everybody), failureOf(delivering)])
    }
    await everybody
    heap.end()
    await delivering
    await everythingSettles(world)
    const left = await whatIsLeft(world, plan)
    return { ...left, figures: { payments: plan.length, kills: killed, ...heap.counts } }
  } catch (error) {
    t.diagnostic(`seed ${SEED}; the server said at last:\n${world.server.said().slice(-4_000)}`)
    throw error
  } finally {
    heap.abandon()
    await world.stop()
  }
}

/** Never ends well: for a race. */
function failureOf(work: Promise<unknown>): Promise<never> {
  return new Promise((_, reject) => void work.catch(reject))
}

/** The bank delivers each event once, in the order in which it happened, and nobody dies. */
async function calm(plan: Payment[]) {
  const world = await startWorld({ env: settings })
  try {
    await payAll(world, plan)
    await until(async () => (await world.control('/stripe/webhooks'))['waiting'] === 0)
    await everythingSettles(world)
    return await whatIsLeft(world, plan)
  } finally {
    await world.stop()
  }
}

const settings = { LOG_LEVEL: 'warn' }

/** Everything that was told and is on its way, which is anything but in order. */
function createHeap(world: World, luck: Chance) {
  const counts = { events: 0, lost: 0, posts: 0, delivered: 0, unanswered: 0 }
  const heap: string[] = []
  let isEnding = false
  let last: string | null = null
  let latest = performance.now()
  const stripe = new Stripe('sk_test_sandbox', {
    host: '127.0.0.1',
    port: String(world.sandbox.port),
    protocol: 'http',
    telemetry: false,
  })

  /** What has happened since the last time; each event's copies go onto the heap, or nowhere. */
  async function listen(): Promise<number> {
    // Before the first one there is no place to read on from: all of them are read, newest first.
    const data =
      last === null
        ? (await stripe.events.list({ limit: 100 }).autoPagingToArray({ limit: 10_000 })).toReversed()
        : (await stripe.events.list({ limit: 100, ending_before: last })).data.toReversed()
    for (const event of data) {
      last = event.id
      counts.events++
      if (luck.happens(LOST)) counts.lost++
      else for (let copies = luck.whole(1, COPIES_MAX); copies > 0; copies--) heap.push(JSON.stringify(event))
    }
    return data.length
  }

  async function post(body: string): Promise<boolean> {
    const answer = await fetch(`${world.server.url}/webhooks/stripe`, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        'stripe-signature': signEvent(body, 'whsec_sandbox', new Date()),
      },
      body,
      signal: AbortSignal.timeout(ANSWER_MS_MAX),
    }).catch(() => null)
    await answer?.body?.cancel().catch(() => {})
    if (answer && answer.status !== 503) assert.equal(answer.status, 200)
    return answer?.status === 200
  }

  async function courier(): Promise<void> {
    for (;;) {
      // Who waits for the last few shall not wait for ever.
      const isHigh = heap.length >= HEAP_MIN || isEnding || performance.now() - latest > SOON_MS
      if (heap.length === 0 && isEnding) return
      if (heap.length === 0 || !isHigh) {
        await pause(20)
        continue
      }
      const place = luck.whole(0, heap.length - 1)
      const body = heap[place]!
      heap[place] = heap.at(-1)!
      heap.pop()
      counts.posts++
      if (await post(body)) counts.delivered++
      else {
        // As the bank does: what was not taken is sent again.
        counts.unanswered++
        heap.push(body)
        await pause(AGAIN_MS)
      }
    }
  }

  return {
    counts,
    async deliver(): Promise<void> {
      const listening = (async () => {
        while (!isEnding) {
          if ((await listen()) > 0) latest = performance.now()
          tellProgress({ kind: 'webhooks', done: counts.events, of: Math.max(WEBHOOKS, counts.events) })
          await pause(LIST_EVERY_MS)
        }
        while ((await listen()) > 0);
      })()
      await Promise.all([listening, ...Array.from({ length: DELIVERIES_AT_ONCE }, courier)])
    },
    /** The test has failed: nobody waits for it any more. */
    abandon(): void {
      isEnding = true
      heap.length = 0
    },
    /** Nothing more happens: what is on its way arrives. */
    end(): void {
      isEnding = true
    },
  }
}

async function payAll(world: World, plan: Payment[]): Promise<void> {
  const left = [...plan]
  let isOver = false
  // Sweepers come by the minute: what is a minute of wire time is written, not waited for.
  const minutes = (async () => {
    while (!isOver) {
      await pause(3_000)
      await aMinuteLater(world)
    }
  })()
  try {
    await Promise.all(
      Array.from({ length: PAYMENTS_AT_ONCE }, async () => {
        for (let payment = left.shift(); payment; payment = left.shift()) await pays(world, payment)
      }),
    )
  } finally {
    isOver = true
    await minutes
  }
}

async function pays(world: World, payment: Payment): Promise<void> {
  const who = await world.customer({ name: `customer${payment.n}` })
  const headers = {
    authorization: `Bearer ${who.key}`,
    'content-type': 'application/json',
  }
  const asked = JSON.stringify({ method: 'card', amount: `${payment.dollars}.00` })
  const started = await insist(() =>
    fetch(`${world.server.url}/api/v1/topups`, {
      method: 'POST',
      headers: { ...headers, 'idempotency-key': `payment-${payment.n}` },
      body: asked,
      signal: AbortSignal.timeout(ANSWER_MS_MAX),
    }),
  )
  assert.equal(started.status, 201, JSON.stringify(started.body))
  const topup = started.body as unknown as CardTopup
  await world.pay(topup, cards[payment.card])
  if (payment.comesBack)
    await fetch(`${world.server.url}/api/v1/topups/${topup.id}/return`, {
      method: 'POST',
      headers,
      body: '{}',
      signal: AbortSignal.timeout(ANSWER_MS_MAX),
    })
      .then((answer) => answer.body?.cancel())
      .catch(() => {})
  if (payment.aftermath === 'nothing') return
  // What comes afterwards is about money that was taken.
  const begun = performance.now()
  for (;;) {
    const { rows } = await world.db.database.pool.query<{ status: string }>('select status from topups where id = $1', [
      readId('top', topup.id),
    ])
    if (rows[0]?.status === 'credited') break
    assert.ok(performance.now() - begun < PATIENCE_MS, `payment ${payment.n} was not taken`)
    await pause(100)
  }
  const at = (path: string, more: object = {}) => world.control(`/stripe${path}`, { payment: topup.id, ...more })
  switch (payment.aftermath) {
    case 'refunded':
      return void (await at('/refunds'))
    case 'part refunded':
      return void (await at('/refunds', { amount: 250 }))
    case 'refund fails later':
      await at('/refunds/next', { outcome: 'fails_later', after_seconds: 1 })
      return void (await at('/refunds', { amount: 300 }))
    case 'disputed':
      return void (await at('/disputes'))
    case 'inquiry':
      return void (await at('/disputes', { kind: 'inquiry' }))
    case 'dispute lost':
    case 'dispute won':
      await at('/disputes')
      return void (await world.control(`/stripe/disputes/${topup.id}`, {
        outcome: payment.aftermath === 'dispute lost' ? 'lose' : 'win',
      }))
    case 'warned':
      return void (await at('/warnings'))
  }
}

/** Asks until there is an answer, under the same key. */
async function insist(ask: () => Promise<Response>): Promise<{ status: number; body: Record<string, unknown> }> {
  for (const begun = performance.now(); ; ) {
    const answer = await ask().catch(() => null)
    const body = await answer?.json().catch(() => null)
    if (answer && body && answer.status !== 503) return { status: answer.status, body: body as Record<string, unknown> }
    assert.ok(performance.now() - begun < PATIENCE_MS, `no answer for ${PATIENCE_MS} ms`)
    await pause(AGAIN_MS)
  }
}

/** What has a look of its own coming is due, and what a dead server was looking at is free. */
async function aMinuteLater(world: World): Promise<void> {
  for (const table of ['topups', 'topup_refunds', 'disputes', 'fraud_warnings']) {
    const claims = table.startsWith('topup') ? ', claimed_until = least(claimed_until, now())' : ''
    // What somebody is working on at this moment needs no reminder.
    await world.db.database.pool.query(
      `update ${table} set next_look_at = now()${claims}
        where id in (select id from ${table} where next_look_at > now() for update skip locked)`,
    )
  }
}

async function everythingSettles(world: World): Promise<void> {
  // What the bank itself does later: refunds fail, its accounts are written.
  await pause(1_500)
  await world.advance(TOPUP_LIFE_SECONDS)
  for (let round = 1; ; round++) {
    await aMinuteLater(world)
    await world.advance(150)
    const { rows } = await world.db.database.pool.query(
      `select (select count(*)::int from topups where next_look_at is not null) as topups,
              (select count(*)::int from topup_refunds where status not in ('succeeded', 'failed')) as refunds,
              (select count(*)::int from inbox where source = 'stripe' and handled_at is null) as inbox`,
    )
    if (round > 2 && Object.values(rows[0]).every((count) => count === 0)) return
    assert.ok(round < SETTLING_ROUNDS_MAX, `still open: ${JSON.stringify(rows[0])}`)
  }
}

/** The books without names and times: of each customer, and of the house. Proven by the audit, and by the bank's own. */
async function whatIsLeft(world: World, plan: Payment[]) {
  const { pool } = world.db.database
  await world.audit()
  await world.expectBankAgrees()
  const { rows } = await pool.query<{ name: string; book: object }>(
    `select a.username as name, jsonb_build_object(
              'topup', (select jsonb_agg(jsonb_build_array(status, reason, amount, release_due)) from topups where account_id = a.id),
              -- One that failed was taken and given back, or never taken when it was heard of too late: both leave the same.
              'refunds', (select jsonb_agg(jsonb_build_array(status, amount, case when status <> 'failed' then booked end, origin) order by amount)
                            from topup_refunds where account_id = a.id),
              'disputes', (select jsonb_agg(jsonb_build_array(kind, stripe_status, state, amount, covered, shortfall) order by amount)
                             from disputes where account_id = a.id),
              'warnings', (select count(*) from fraud_warnings where account_id = a.id),
              'balance', (select jsonb_build_array(credits - debits - held - frozen, held, frozen, owed) from ledger_accounts where id = a.id)) as book
       from accounts a
      where a.username like 'customer%'`,
  )
  const bookOf = new Map(rows.map(({ name, book }) => [name, book]))
  const { rows: totals } = await pool.query(
    `select platform, sum(credits - debits)::text as net from platform_totals group by platform having sum(credits - debits) <> 0 order by platform`,
  )

  // Each movement of the bank's account has its counterpart here, and the other way round.
  const reconciliation = createReconciliation({
    database: world.db.database,
    ledger: world.ledger,
    card: openStripe({ secretKey: 'sk_test_sandbox', apiUrl: world.sandbox.url }),
    log: openLog({ level: 'silent' }),
    menders: null,
    graceHours: 0,
    toldWithinMinutes: 0,
  })
  const { id, done } = await reconciliation.begin('command')
  await done
  const run = await until(async () =>
    (await reconciliation.runs(10)).find((one) => one.id === id && one.status !== 'running'),
  )
  assert.equal(run.status, 'clean', inspect(await reconciliation.items(20)))
  await reconciliation.close()

  const { totals: bank } = (await world.control('/stripe/books')) as { totals: Record<string, number> }
  const { rows: sums } = await pool.query<{ amount: string }>(
    `select coalesce(sum(amount), 0) as amount from topup_refunds where status = 'succeeded'`,
  )
  const refunded = printAmount(micros(BigInt(bank['refunded']!) * MICROS_PER_CENT))
  assert.equal(printAmount(micros(sums[0]!.amount)), refunded)
  return { books: plan.map(({ n }) => bookOf.get(`customer${n}`)), totals }
}
