/**
 * The races of one server, between two on one database, with a worker beside them: whichever process a request reaches, credit, limits
 * and stock are one.
 */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { CardTopup, Order } from '../../contract/contract.ts'
import type { Problem } from '../../contract/refusals.ts'
import { newId } from '../../server/platform/ids.ts'
import { until } from '../until.ts'
import type { Answer } from '../world.ts'
import { asOwner, type House, insist, startHouse, tally } from './house.ts'

let house: House
before(async () => {
  house = await startHouse({ ORDER_CANCEL_AFTER_SECONDS: '0' })
  await house.stock(400)
})
after(async () => {
  try {
    await house.audit()
    await house.expectBankAgrees()
  } finally {
    await house.stop()
  }
})

/** An order, or why there is none. */
type Placed = Order & Pick<Problem, 'code'>

const word = ({ status, body }: Answer<Placed>) => (status === 201 ? 'placed' : body.code)

function ordersAtOnce(count: number, key: string, headers: Record<string, string> = {}) {
  return Promise.all(
    Array.from({ length: count }, (_, n) =>
      insist(() =>
        house.clientAt(house.turn(n), { key }).post<Placed>('/orders', { service: 'telegram', country: 'GB' }, headers),
      ),
    ),
  )
}

test('each process does what its role says', async () => {
  for (const path of ['/', '/api/v1/services', '/api/v1/me', '/webhooks/stripe', '/api/sandbox/clock', '/metrics/x'])
    assert.equal((await fetch(house.worker.url + path)).status, 404, path)
  for (const one of [...house.webs, house.worker])
    for (const path of ['/healthz', '/readyz', '/metrics'])
      assert.equal((await fetch(one.url + path)).status, 200, `${one.url}${path}`)
  const { rows } = await house.db.database.pool.query(
    `select application_name as name, count(*)::int as connections
       from pg_stat_activity
      where datname = current_database() and application_name in ('mobilesms_relay')
      group by 1`,
  )
  assert.deepEqual(rows, [{ name: 'mobilesms_relay', connections: 3 }])
})

test('of 200 orders at once over both, with credit for 50, exactly 50 are placed', async () => {
  const placed: Answer<Placed>[] = []
  // Four customers with credit for 50 between them keep below the limit of open orders; each has to lose some.
  const rich = await Promise.all(
    [13, 13, 12, 12].map((orders, n) => house.customer({ name: `rich${n}`, credit: (orders * 1.2).toFixed(2) })),
  )
  await Promise.all(
    rich.map(async (who) => {
      placed.push(...(await ordersAtOnce(50, who.key)))
    }),
  )
  assert.deepEqual(tally(placed.map(word)), { placed: 50, insufficient_credits: 150 })
  const numbers = placed.filter(({ status }) => status === 201).map(({ body }) => body.phone_number)
  assert.equal(new Set(numbers).size, 50, 'no number is sold twice')
  for (const who of rich) assert.deepEqual((await who.balance()).available, '0.00')
})

test('at the limit of 20 open orders, 20 of 100 at once are placed', async () => {
  const ana = await house.customer({ credit: '500.00' })
  assert.deepEqual(tally((await ordersAtOnce(100, ana.key)).map(word)), { placed: 20, too_many_open_orders: 80 })
})

test('the same Idempotency-Key 50 times at once over both is one order', async () => {
  const ana = await house.customer({ credit: '50.00' })
  const answers = await ordersAtOnce(50, ana.key, { 'idempotency-key': newId() })
  const placed = answers.filter(({ status }) => status === 201 || status === 200)
  assert.equal(placed.length, 50, JSON.stringify(tally(answers.map(word))))
  assert.equal(new Set(placed.map(({ body }) => body.id)).size, 1)
  assert.deepEqual(await ana.balance().then(({ held }) => held), placed[0]!.body.price)
})

test('a cancel at the one and a code at the other, forty times: one wins, and the other is told the truth', async () => {
  const ana = await house.customer({ credit: '500.00' })
  const ends: string[] = []
  for (let round = 0; round < 40; round++) {
    const order = await ana.order()
    const sms = { id: newId(), to: order.phone_number, from: 'Telegram', text: 'Your code is 482913' }
    const [cancelled, sent] = await Promise.all([
      house.clientAt(house.turn(round), ana).post<Placed>(`/orders/${order.id}/cancel`),
      house.sendSms(sms, {}, house.turn(round + 1)),
    ])
    assert.equal(sent.status, 200, JSON.stringify(sent.body))
    const { status } = await ana.orderNow(order.id)
    ends.push(status)
    if (status === 'cancelled') {
      assert.equal(cancelled.status, 200)
      assert.equal(sent.body.outcome, 'late')
    } else {
      assert.equal(status, 'received')
      assert.deepEqual([cancelled.status, cancelled.body.code], [409, 'already_received'])
      assert.equal(sent.body.outcome, 'charged')
      await house.advance(1200)
    }
  }
  const charged = ends.filter((end) => end === 'received').length
  assert.equal((await ana.balance()).available, (500 - 1.2 * charged).toFixed(2))
})

test('one message sent to both at once is one message and one deduction', async () => {
  const ana = await house.customer({ credit: '5.00' })
  const order = await ana.order()
  const sms = { id: newId(), to: order.phone_number, from: 'Telegram', text: 'Your code is 111222' }
  const answers = await Promise.all(
    Array.from({ length: 20 }, (_, n) => insist(() => house.sendSms(sms, {}, house.turn(n)))),
  )
  assert.deepEqual(tally(answers.map(({ body }) => body.outcome)), { charged: 1, duplicate: 19 })
  assert.equal((await ana.orderNow(order.id)).messages.length, 1)
  assert.equal((await ana.balance()).available, '3.80')
})

test('a top-up settled by both at once, and by the worker, is credited once', async () => {
  for (let round = 0; round < 5; round++) {
    const ana = await house.customer()
    const topup = await ana.startTopup('10.00')
    assert.equal(await house.pay(topup, '4000000000003220', 'complete'), 'authorized')
    // Meanwhile the bank's webhook arrives, and the worker acts on it.
    await Promise.all(
      Array.from({ length: 10 }, (_, n) =>
        house.clientAt(house.turn(n), ana).post<CardTopup>(`/topups/${topup.id}/return`),
      ),
    )
    await until(async () => (await ana.get<CardTopup>(`/topups/${topup.id}`)).body.status === 'credited')
    assert.equal((await ana.balance()).available, '10.00')
    assert.deepEqual(
      (await ana.history()).map(({ type, amount }) => ({ type, amount })),
      [{ type: 'topup', amount: '10.00' }],
    )
  }
})

test('a webhook that one process took is acted on by the worker, without anybody returning', async () => {
  const ana = await house.customer()
  const page = await house.live(ana, house.webs[1])
  const topup = await ana.startTopup('25.00')
  assert.equal(await house.pay(topup, '4000000000003220', 'complete'), 'authorized')
  await page.hears('topup', ({ id, status }) => id === topup.id && status === 'credited')
  await page.hears('balance', ({ available }) => available === '25.00')
  await page.end()
})

test('moving the clock at one process ends what is due, and tells the pages of both', async () => {
  const ana = await house.customer({ credit: '5.00' })
  const order = await ana.order()
  const pages = await Promise.all(house.webs.map((web) => house.live(ana, web)))
  for (const page of pages) await page.hears('hello')
  const moved = await fetch(`${house.webs[1].url}/api/sandbox/clock`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ advance_seconds: 1200 }),
  })
  assert.equal(moved.status, 200)
  // What became due has run when the answer is there, whichever process is asked.
  assert.equal((await ana.orderNow(order.id)).status, 'expired')
  for (const page of pages) {
    await until(async () => page.told.filter(({ event }) => event === 'hello').length >= 2)
    await page.hears('order', ({ id, status }) => id === order.id && status === 'expired')
    await page.end()
  }
  assert.equal((await ana.balance()).available, '5.00')
})

test('two workers at once: each order ends once, each payment is credited once, and nobody complains', async () => {
  const second = await house.beside({ ROLE: 'worker' })
  const people = await Promise.all(
    Array.from({ length: 5 }, (_, n) => house.customer({ name: `many${n}`, credit: '30.00' })),
  )
  const orders = await Promise.all(
    people.flatMap((who) =>
      Array.from({ length: 10 }, async () => ({
        who,
        order: (await insist(() => who.post<Order>('/orders', { service: 'telegram', country: 'GB' }))).body,
      })),
    ),
  )
  const topups = await Promise.all(people.map(async (who) => ({ who, topup: await who.startTopup('10.00') })))
  // Time moves in the database, told to nobody: both find what is due at the same moment, and the bank's webhooks come in.
  await asOwner(house.db.url, (owner) => owner.query('select house_clock_advance(1200)'))
  await Promise.all(topups.map(({ topup }) => house.pay(topup, '4000000000003220', 'complete')))
  for (const { who, order } of orders) await until(async () => (await who.orderNow(order.id)).status === 'expired')
  for (const { who, topup } of topups)
    await until(async () => (await who.get<CardTopup>(`/topups/${topup.id}`)).body.status === 'credited')
  for (const who of people) {
    const { available, held } = await who.balance()
    assert.deepEqual({ available, held }, { available: '40.00', held: '0.00' })
    const kinds = tally((await who.history('?limit=100')).map(({ type }) => type))
    assert.deepEqual(kinds, { gift: 1, hold: 10, release: 10, topup: 1 })
  }
  for (const worker of [house.worker, second])
    assert.deepEqual(worker.said().match(/^.*"level":"(error|fatal)".*$/gm) ?? [], [])
})
