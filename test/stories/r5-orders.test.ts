/**
 * R5. An order holds its price. Credits are deducted only when an SMS with a code is accepted for that order. No SMS: the hold is
 * voided in full, at cancel or at expiry, without anybody asking. When a code meets a cancel or the end, the order's row decides,
 * and the other is told the truth. A code that came too late is shown to the last customer of the number while nobody else has had
 * it since, and never charged.
 */
import assert from 'node:assert/strict'
import { after, before, beforeEach, test } from 'node:test'
import type { Order } from '../../contract/contract.ts'
import { add, micros, printAmount, type Usd, usd } from '../../contract/money.ts'
import type { Problem } from '../../contract/refusals.ts'
import { platformAccounts } from '../../server/ledger/chart.ts'
import { advanceHouseClock, pause } from '../../server/platform/clock.ts'
import { until } from '../until.ts'
import { startWorld, type World } from '../world.ts'

const LIFETIME_SECONDS = 1200
const CANCEL_AFTER_SECONDS = 120
const REST_SECONDS = 86_400

let world: World
/** What the house had earned when the test began. */
let earnedBefore: Usd

before(async () => {
  world = await startWorld()
})
after(async () => {
  if (!world) return
  try {
    await world.audit()
    assert.deepEqual(world.alarms, [])
  } finally {
    await world.stop()
  }
})
beforeEach(async () => {
  const { rows } = await world.db.database.pool.query<{ earned: string }>(
    'select coalesce(sum(credits - debits), 0) as earned from platform_totals where platform = $1',
    [platformAccounts.revenue],
  )
  earnedBefore = micros(rows[0]!.earned)
})

/** The line of the books that says what the house has earned since the test began. */
function revenue(grown: string): string {
  return `revenue ${printAmount(add(earnedBefore, usd(grown)))}`
}

/** Every number of a country but one is taken out of the shop. */
async function oneNumberIsLeftIn(country: string): Promise<void> {
  await world.db.database.pool.query(
    `update offers set free_from = 'infinity'
      where country = $1 and number_id <> (select min(id) from numbers where country = $1)`,
    [country],
  )
}

/** The word of an answer: a refusal's code, else how the order stands. */
type Told = { code?: string; status: string }

function codes(order: Order): (string | null)[] {
  return order.messages.map((message) => message.code)
}

test('a code deducts exactly the price that was held, and is shown', async () => {
  const ana = await world.customer({ name: 'ana', credit: '5.00' })
  const order = await ana.order()
  assert.equal(order.price, '1.20')
  assert.equal(order.status, 'waiting')
  await world.expectBooks(`
    ana available 3.80
    ana held      1.20
    ${revenue('0.00')}`)

  const carried = await world.sms({ to: order.phone_number, from: 'Telegram', text: 'Telegram code 48213' })
  assert.equal(carried.body['outcome'], 'charged')
  const received = await ana.orderNow(order.id)
  assert.equal(received.status, 'received')
  assert.deepEqual(codes(received), ['48213'])
  assert.equal(received.received_at, received.messages[0]!.received_at)
  await world.expectBooks(`
    ana available 3.80
    ana held      0.00
    ${revenue('1.20')}`)

  await world.advance(LIFETIME_SECONDS)
  assert.equal((await ana.orderNow(order.id)).status, 'finished')
  await world.expectBooks(`
    ana available 3.80
    ana held      0.00
    ${revenue('1.20')}`)
})

test('an order that gets no SMS costs nothing: its end comes by itself, and an open page hears of it', async () => {
  const ben = await world.customer({ name: 'ben', credit: '1.20' })
  const page = await world.live(ben)
  const order = await ben.order()
  await world.expectBooks(`
    ben available 0.00
    ben held      1.20`)
  await advanceHouseClock(world.db.database.pool, LIFETIME_SECONDS)
  // Nobody asks from here on: the page only listens.
  const told = await page.hears('order', ({ id, status }) => id === order.id && status === 'expired')
  assert.equal(told.data['received_at'], null)
  await page.hears('balance', ({ available, held }) => available === '1.20' && held === '0.00')
  await world.expectBooks(`
    ben available 1.20
    ben held      0.00
    ${revenue('0.00')}`)
  await page.end()
})

test('a code in the last seconds counts, one after the end does not, even when nobody had ended the order yet', async () => {
  const cleo = await world.customer({ name: 'cleo', credit: '5.00' })
  const [inTime, late] = [await cleo.order(), await cleo.order()]
  await advanceHouseClock(world.db.database.pool, LIFETIME_SECONDS - 30)
  const counted = await world.sms({ to: inTime.phone_number, from: 'Telegram', text: 'Telegram code 11111' })
  assert.equal(counted.body['outcome'], 'charged')
  await advanceHouseClock(world.db.database.pool, 30)
  const tooLate = await world.sms({ to: late.phone_number, from: 'Telegram', text: 'Telegram code 22222' })
  assert.equal(tooLate.body['outcome'], 'late')
  assert.equal((await cleo.orderNow(late.id)).status, 'expired')
  await until(async () => (await cleo.orderNow(inTime.id)).status === 'finished')
  await world.expectBooks(`
    cleo available 3.80
    cleo held      0.00
    ${revenue('1.20')}`)
})

test('a late code is shown to the last customer of the number, free, while nobody else has had it since', async () => {
  await oneNumberIsLeftIn('NL')
  const dora = await world.customer({ name: 'dora', credit: '5.00' })
  const emil = await world.customer({ name: 'emil', credit: '5.00' })
  const hers = await dora.order({ country: 'NL' })
  await world.advance(LIFETIME_SECONDS)
  const sms = (text: string, from = 'Telegram') => world.sms({ to: hers.phone_number, from, text })

  assert.equal((await sms('Telegram code 31415')).body['outcome'], 'late')
  const shown = await dora.orderNow(hers.id)
  assert.equal(shown.status, 'expired')
  assert.deepEqual(
    shown.messages.map(({ code, late }) => ({ code, late })),
    [{ code: '31415', late: true }],
  )
  await world.expectBooks(`
    dora available 5.00
    dora held      0.00
    ${revenue('0.00')}`)

  // The number rests for its service; for another one it is sold at once.
  const resting = await emil.post<Problem>('/orders', { service: 'telegram', country: 'NL' })
  assert.equal(resting.body.code, 'no_numbers')
  const his = await emil.order({ service: 'google', country: 'NL' })
  assert.equal(his.phone_number, hers.phone_number)

  assert.equal((await sms('Telegram code 92653')).body['outcome'], 'other_service')
  assert.deepEqual(codes(await dora.orderNow(hers.id)), ['31415'])
  assert.deepEqual(codes(await emil.orderNow(his.id)), [])

  await world.advance(LIFETIME_SECONDS)
  assert.equal((await sms('Your code is 58979', 'INFO')).body['outcome'], 'late')
  assert.deepEqual(codes(await dora.orderNow(hers.id)), ['31415'])
  assert.deepEqual(codes(await emil.orderNow(his.id)), ['58979'])
  await world.expectBooks(`
    dora available 5.00
    emil available 5.00
    emil held      0.00
    ${revenue('0.00')}`)

  await world.advance(REST_SECONDS)
  assert.equal((await emil.order({ country: 'NL' })).phone_number, hers.phone_number)
})

test('cancelling too early is refused with the time from which it works; then the whole hold comes back', async () => {
  const finn = await world.customer({ name: 'finn', credit: '5.00' })
  const order = await finn.order()
  const early = await finn.post<Problem>(`/orders/${order.id}/cancel`)
  assert.equal(early.status, 409)
  assert.equal(early.body.code, 'cancel_too_early')
  assert.equal(early.body['cancel_from'], order.cancel_from)
  assert.equal((await finn.orderNow(order.id)).status, 'waiting')
  await world.expectBooks(`
    finn available 3.80
    finn held      1.20`)

  await world.advance(CANCEL_AFTER_SECONDS)
  const cancelled = await finn.post<Order>(`/orders/${order.id}/cancel`)
  assert.equal(cancelled.status, 200)
  assert.equal(cancelled.body.status, 'cancelled')
  await world.expectBooks(`
    finn available 5.00
    finn held      0.00
    ${revenue('0.00')}`)

  const again = await finn.post<Problem>(`/orders/${order.id}/cancel`)
  assert.equal(again.status, 409)
  assert.equal(again.body.code, 'already_closed')
  assert.equal(again.body['order_status'], 'cancelled')
  // A code after that is shown, and free.
  const late = await world.sms({ to: order.phone_number, from: 'Telegram', text: 'Telegram code 27182' })
  assert.equal(late.body['outcome'], 'late')
  assert.deepEqual(codes(await finn.orderNow(order.id)), ['27182'])
  await world.expectBooks(`
    finn available 5.00
    ${revenue('0.00')}`)
})

test('an order that has its code cannot be cancelled any more', async () => {
  const gina = await world.customer({ name: 'gina', credit: '5.00' })
  const order = await gina.order()
  await world.advance(CANCEL_AFTER_SECONDS)
  await world.sms({ to: order.phone_number, from: 'Telegram', text: 'Telegram code 16180' })
  const refused = await gina.post<Problem>(`/orders/${order.id}/cancel`)
  assert.equal(refused.status, 409)
  assert.equal(refused.body.code, 'already_received')
  assert.match(refused.body.detail, /\$1\.20 was deducted/)
  await world.expectBooks(`
    gina available 3.80
    gina held      0.00
    ${revenue('1.20')}`)
})

test('a cancel and a code at once, a hundred times: one wins, and the other is told the truth', async () => {
  const hugo = await world.customer({ name: 'hugo', credit: '200.00' })
  let taken = usd('0.00')
  const won = { code: 0, cancel: 0 }
  for (const [round, country] of ['GB', 'US', 'DE', 'FR', 'PL'].entries()) {
    // The slower the machine, the further apart the two must begin for either to win.
    const stepMs = 2 ** round
    const orders = await Promise.all(Array.from({ length: 20 }, () => hugo.order({ country })))
    await world.advance(CANCEL_AFTER_SECONDS)
    await Promise.all(
      orders.map(async (order, n) => {
        const code = String(10_000 + n)
        const [sms, cancel] = await Promise.all([
          pause((n % 5) * 2 * stepMs).then(() =>
            world.sendSms({ id: `race-${order.id}`, to: order.phone_number, from: 'Telegram', text: `Code ${code}` }),
          ),
          pause((n % 3) * 3 * stepMs).then(() => hugo.post<Told>(`/orders/${order.id}/cancel`)),
        ])
        const now = await hugo.orderNow(order.id)
        const told = { sms: sms.body.outcome, cancel: cancel.body.code ?? cancel.body.status, order: now.status }
        assert.deepEqual(
          told,
          now.status === 'received'
            ? { sms: 'charged', cancel: 'already_received', order: 'received' }
            : { sms: 'late', cancel: 'cancelled', order: 'cancelled' },
        )
        // Whoever won, the code is not withheld.
        assert.deepEqual(
          now.messages.map((message) => ({ code: message.code, late: message.late })),
          [{ code, late: now.status === 'cancelled' }],
        )
        if (now.status === 'received') {
          won.code++
          taken = add(taken, usd(order.price))
        } else won.cancel++
      }),
    )
  }
  assert.ok(Math.min(won.code, won.cancel) > 0, `both must have won sometimes: ${JSON.stringify(won)}`)
  await world.expectBooks(`
    hugo available ${printAmount(micros(usd('200.00') - taken))}
    hugo held      0.00
    ${revenue(printAmount(taken))}`)
})

test('of two codes for one order the second is free, also when both come at once', async () => {
  const ida = await world.customer({ name: 'ida', credit: '5.00' })
  const [first, second] = [await ida.order(), await ida.order()]
  const sms = (order: Order, text: string) => world.sms({ to: order.phone_number, from: 'Telegram', text })

  assert.equal((await sms(first, 'Telegram code 10001')).body['outcome'], 'charged')
  assert.equal((await sms(first, 'Telegram code 10002')).body['outcome'], 'further')
  assert.deepEqual(codes(await ida.orderNow(first.id)), ['10001', '10002'])
  assert.ok((await ida.orderNow(first.id)).messages.every((message) => !message.late))

  const both = await Promise.all([sms(second, 'Telegram code 20001'), sms(second, 'Telegram code 20002')])
  assert.deepEqual(both.map(({ body }) => body['outcome']).sort(), ['charged', 'further'])
  assert.deepEqual(codes(await ida.orderNow(second.id)).sort(), ['20001', '20002'])
  await world.expectBooks(`
    ida available 2.60
    ida held      0.00
    ${revenue('2.40')}`)
})

test('a text without a code is shown and not charged, and the order goes on waiting', async () => {
  const jon = await world.customer({ name: 'jon', credit: '5.00' })
  const [answered, silent] = [await jon.order(), await jon.order()]
  for (const order of [answered, silent]) {
    const welcome = await world.sms({ to: order.phone_number, from: 'Telegram', text: 'Welcome to Telegram!' })
    assert.equal(welcome.body['outcome'], 'no_code')
    const now = await jon.orderNow(order.id)
    assert.equal(now.status, 'waiting')
    assert.deepEqual(
      now.messages.map(({ text, code, late }) => ({ text, code, late })),
      [{ text: 'Welcome to Telegram!', code: null, late: false }],
    )
  }
  await world.expectBooks(`
    jon available 2.60
    jon held      2.40
    ${revenue('0.00')}`)

  const code = await world.sms({ to: answered.phone_number, from: 'Telegram', text: 'Telegram code 60221' })
  assert.equal(code.body['outcome'], 'charged')
  await world.advance(LIFETIME_SECONDS)
  assert.equal((await jon.orderNow(silent.id)).status, 'expired')
  await world.expectBooks(`
    jon available 3.80
    jon held      0.00
    ${revenue('1.20')}`)
})

test('the same SMS delivered five times at once, and once more later, is one message and one deduction', async () => {
  const kim = await world.customer({ name: 'kim', credit: '5.00' })
  const order = await kim.order()
  const sms = { id: 'five-times', to: order.phone_number, from: 'Telegram', text: 'Telegram code 66260' }
  const deliveries = await Promise.all(Array.from({ length: 5 }, () => world.sendSms(sms)))
  deliveries.push(await world.sendSms(sms))
  // The gateway must hear yes each time, or it would never stop.
  assert.deepEqual(new Set(deliveries.map(({ status }) => status)), new Set([200]))
  assert.deepEqual(deliveries.map(({ body }) => body.status).sort(), ['accepted', ...Array(5).fill('duplicate')])
  assert.deepEqual(codes(await kim.orderNow(order.id)), ['66260'])
  await world.expectBooks(`
    kim available 3.80
    kim held      0.00
    ${revenue('1.20')}`)
})

test("another service's sender writes to nobody: nothing is shown, nothing deducted, the order goes on waiting", async () => {
  const lea = await world.customer({ name: 'lea', credit: '5.00' })
  const order = await lea.order()
  const foreign = await world.sms({ to: order.phone_number, from: 'WhatsApp', text: 'WhatsApp code 123-456' })
  assert.equal(foreign.body['outcome'], 'other_service')
  const now = await lea.orderNow(order.id)
  assert.equal(now.status, 'waiting')
  assert.deepEqual(now.messages, [])
  await world.expectBooks(`
    lea available 3.80
    lea held      1.20
    ${revenue('0.00')}`)

  // A number that nobody has: the same.
  const nobody = await world.sms({ to: '+447700900999', from: 'Telegram', text: 'Telegram code 10203' })
  assert.equal(nobody.body['outcome'], 'nobody')

  assert.equal(
    (await world.sms({ to: order.phone_number, from: 'Telegram', text: 'Telegram code 29979' })).body['outcome'],
    'charged',
  )
  assert.deepEqual(codes(await lea.orderNow(order.id)), ['29979'])
})

test('an open page sees the whole life of an order and of its money without asking once', async () => {
  const mia = await world.customer({ name: 'mia', credit: '5.00' })
  const page = await world.live(mia)
  await page.hears('hello')

  const order = await mia.order()
  const hears = async (status: string, messages: number, balance: { available: string; held: string }) => {
    await page.hears('order', (told) => {
      const { id, status: now, messages: shown } = told as unknown as Order
      return id === order.id && now === status && shown.length === messages
    })
    await page.hears('balance', ({ available, held }) => available === balance.available && held === balance.held)
    page.told.length = 0
  }
  await hears('waiting', 0, { available: '3.80', held: '1.20' })
  await world.sms({ to: order.phone_number, from: 'Telegram', text: 'Welcome to Telegram!' })
  await hears('waiting', 1, { available: '3.80', held: '1.20' })
  await world.sms({ to: order.phone_number, from: 'Telegram', text: 'Telegram code 48213' })
  await hears('received', 2, { available: '3.80', held: '0.00' })
  await world.sms({ to: order.phone_number, from: 'Telegram', text: 'Telegram code 48214' })
  await hears('received', 3, { available: '3.80', held: '0.00' })
  await advanceHouseClock(world.db.database.pool, LIFETIME_SECONDS)
  await hears('finished', 3, { available: '3.80', held: '0.00' })
  await world.sms({ to: order.phone_number, from: 'Telegram', text: 'Telegram code 48215' })
  await hears('finished', 4, { available: '3.80', held: '0.00' })
  await page.end()
})
