/**
 * R6. The Billing History shows what happened to money in the order in which it happened. Columns: Amount, Held, Balance (available
 * + held). A hold moves Held only; a deduction moves Amount and Held; a release moves Held only: so nobody thinks that he paid
 * twice. One row per transfer. Amount sums to available + held + frozen − owed, Held to held + frozen.
 */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import {
  balanceSchema,
  type HistoryRow,
  historyRowSchema,
  type Order,
  type PastBalance,
  pageOf,
} from '../../contract/contract.ts'
import { micros, printAmount, usd } from '../../contract/money.ts'
import type { Problem } from '../../contract/refusals.ts'
import type { Command } from '../../server/ledger/ledger.ts'
import { newId } from '../../server/platform/ids.ts'
import { chance, SEED } from '../random.ts'
import { until } from '../until.ts'
import { type Customer, startWorld, type World } from '../world.ts'

const LIFETIME_SECONDS = 1200
const CANCEL_AFTER_SECONDS = 120
const FRICTIONLESS = '4000000032200000'
const NOT_ENROLLED = '4242424242424242'

let world: World
before(async () => {
  world = await startWorld()
})
after(() => world?.proveAndStop())

const pageSchema = pageOf(historyRowSchema)

/** Every row, newest first, walked page by page. */
async function wholeHistory(who: Customer, query = '', limit = 100): Promise<HistoryRow[]> {
  const rows: HistoryRow[] = []
  let cursor: string | null = null
  do {
    const from: string = cursor === null ? '' : `&cursor=${cursor}`
    const answer = await who.get(`/billing/history?limit=${limit}${query && `&${query}`}${from}`)
    assert.equal(answer.status, 200, JSON.stringify(answer.body))
    const page = pageSchema.parse(answer.body)
    assert.ok(page.items.length <= limit)
    assert.ok(page.items.length === limit || page.next_cursor === null, 'only the last page may be short')
    rows.push(...page.items)
    cursor = page.next_cursor
  } while (cursor !== null)
  return rows
}

function columns(rows: HistoryRow[]): string[] {
  return rows.map(({ type, amount, held, balance }) => [type, amount, held, balance].join(' | '))
}

/** What happens to a customer's money outside his own hands: gifts, refunds, corrections, banks. */
type Movement = Pick<Command, 'kind' | 'code' | 'contra'> & { amount?: string; holdId?: string; happenedAt?: Date }
async function moves(who: Customer, { amount, ...movement }: Movement): Promise<{ id: string; done: boolean }> {
  const id = newId()
  const outcome = await world.ledger.submit({
    id,
    accountId: who.accountId,
    reference: newId(),
    expiresAt: new Date(Date.now() + 365 * 86_400_000),
    onExpiry: 'alarm',
    ...(amount === undefined ? {} : { amount: usd(amount) }),
    ...movement,
  } as Command)
  return { id, done: outcome.done }
}
const gift = (who: Customer, amount: string, happenedAt?: Date) =>
  moves(who, { kind: 'credit', code: 'gift', contra: 'goodwill', amount, ...(happenedAt ? { happenedAt } : {}) })

async function topsUp(who: Customer, amount: string, card = FRICTIONLESS): Promise<string> {
  const topup = await who.startTopup(amount)
  await world.pay(topup, card)
  await until(async () => {
    const { body } = await who.post<{ status: string }>(`/topups/${topup.id}/return`)
    return body.status === (card === FRICTIONLESS ? 'credited' : 'refused')
  })
  return topup.id
}

test('top-up, hold, deduction and release each move their columns, and name their cause', async () => {
  const ana = await world.customer({ name: 'ana' })
  const unpaid = await ana.startTopup('25.00')
  assert.deepEqual(await wholeHistory(ana), [], 'a top-up that is only begun is no row')
  const topup = await topsUp(ana, '10.00')

  const coded = await ana.order()
  await world.sms({ to: coded.phone_number, from: 'Telegram', text: 'Telegram code 48213' })
  const cancelled = await ana.order({ service: 'google', country: 'IN' })
  await world.advance(CANCEL_AFTER_SECONDS)
  await ana.post(`/orders/${cancelled.id}/cancel`)
  const expired = await ana.order({ service: 'whatsapp', country: 'DE' })
  await world.advance(LIFETIME_SECONDS)

  const rows = (await wholeHistory(ana)).reverse()
  assert.deepEqual(columns(rows), [
    'topup | 10.00 | 0.00 | 10.00',
    'hold | 0.00 | 1.20 | 10.00',
    'deduction | -1.20 | -1.20 | 8.80',
    'hold | 0.00 | 0.50 | 8.80',
    'release | 0.00 | -0.50 | 8.80',
    'hold | 0.00 | 1.65 | 8.80',
    'release | 0.00 | -1.65 | 8.80',
  ])
  assert.deepEqual(
    rows.map(({ order_id, topup_id }) => order_id ?? topup_id),
    [topup, coded.id, coded.id, cancelled.id, cancelled.id, expired.id, expired.id],
  )
  const number = (order: Order) => String(order.number).replace(/\B(?=(\d{3})+$)/g, '\u202f')
  assert.deepEqual(
    rows.map(({ text }) => text),
    [
      'Top-up by Visa ending in 0000',
      `Held, not charged: Telegram, United Kingdom, order ${number(coded)}`,
      `Code received: Telegram, United Kingdom, order ${number(coded)}`,
      `Held, not charged: Google, India, order ${number(cancelled)}`,
      `Released, you cancelled: Google, India, order ${number(cancelled)}`,
      `Held, not charged: WhatsApp, Germany, order ${number(expired)}`,
      `Released, no code came: WhatsApp, Germany, order ${number(expired)}`,
    ],
  )
  const times = rows.map(({ happened_at }) => happened_at)
  assert.deepEqual(times, [...times].sort(), 'in the order in which it happened')
  assert.ok(!JSON.stringify(rows).includes(unpaid.id))
  await world.expectBooks(`
    ana available 8.80
    ana held      0.00`)
})

test('whatever happens to a customer, Amount and Held add up to his balance after every step', async () => {
  const luck = chance(SEED)
  const where = `repeat with SEED=${SEED}`
  const bob = await world.customer({ name: 'bob' })
  const orders: Order[] = []
  const disputes: string[] = []
  const dollars = (from: number, to: number) => `${luck.whole(from, to)}.${String(luck.whole(0, 99)).padStart(2, '0')}`
  const pairs = { telegram: 'Telegram', google: 'Google', discord: 'Discord' }

  const steps: [weight: number, step: () => Promise<unknown>][] = [
    [3, () => topsUp(bob, dollars(5, 30))],
    [1, () => topsUp(bob, dollars(5, 30), NOT_ENROLLED)],
    [
      12,
      async () => {
        const service = luck.oneOf(Object.keys(pairs))
        const placed = await bob.post<Order>('/orders', { service, country: luck.oneOf(['GB', 'IN', 'PL']) })
        if (placed.status === 201) orders.push(placed.body)
        else assert.ok([402, 409].includes(placed.status), JSON.stringify(placed.body))
      },
    ],
    [
      12,
      async () => {
        if (orders.length === 0) return
        const order = luck.oneOf(orders)
        const from = pairs[order.service as keyof typeof pairs]
        const text = luck.happens(0.7) ? `Your code is ${luck.whole(10_000, 99_999)}` : 'Welcome!'
        await world.sendSms({ id: newId(), to: order.phone_number, from, text })
      },
    ],
    [6, async () => orders.length > 0 && bob.post(`/orders/${luck.oneOf(orders).id}/cancel`)],
    [2, () => world.advance(CANCEL_AFTER_SECONDS)],
    [1, () => world.advance(LIFETIME_SECONDS)],
    [2, () => gift(bob, dollars(0, 2).replace('0.00', '0.01'))],
    [2, () => moves(bob, { kind: 'credit', code: 'order_refund', contra: 'revenue', amount: '1.20' })],
    [1, () => moves(bob, { kind: 'debit', code: 'adjustment', contra: 'goodwill', amount: dollars(1, 4) })],
    [1, () => moves(bob, { kind: 'clawback_debit', code: 'reversal', contra: 'disputes', amount: dollars(20, 70) })],
    [
      2,
      async () => {
        const hold = { kind: 'clawback_hold', code: 'dispute', contra: 'disputes', amount: dollars(1, 20) } as const
        disputes.push((await moves(bob, hold)).id)
      },
    ],
    [
      2,
      async () => {
        const holdId = disputes.shift()
        if (!holdId) return
        await moves(bob, { kind: luck.happens(0.5) ? 'capture' : 'void', code: 'dispute', contra: 'disputes', holdId })
      },
    ],
  ]
  const lots = steps.flatMap(([weight, step]) => Array<typeof step>(weight).fill(step))
  const seen = { types: new Set<string>(), owed: 0, frozen: 0, held: 0 }

  for (let step = 0; step < 110; step++) {
    await (steps[step]?.[1] ?? luck.oneOf(lots))() // each once, then as chance has it
    const balance = balanceSchema.parse(await bob.balance())
    const rows = (await wholeHistory(bob, '', luck.whole(40, 100))).reverse()
    let [sum, held, frozen] = [0n, 0n, 0n]
    for (const row of rows) {
      sum += usd(row.amount)
      if (row.type === 'dispute') frozen += usd(row.held)
      else held += usd(row.held)
      // Balance is available + held, and what is available is never below nothing.
      const available = sum - held - frozen > 0n ? sum - held - frozen : 0n
      assert.equal(row.balance, printAmount(micros(available + held)), `${where}, step ${step}, row ${row.id}`)
      seen.types.add(row.type)
    }
    const now = {
      available: usd(balance.available),
      held: usd(balance.held),
      frozen: usd(balance.frozen),
      owed: usd(balance.owed),
    }
    assert.equal(sum, now.available + now.held + now.frozen - now.owed, `${where}, step ${step}: Amount`)
    assert.equal(held + frozen, now.held + now.frozen, `${where}, step ${step}: Held`)
    if (rows.length > 0) assert.equal(rows.at(-1)!.balance, printAmount(micros(now.available + now.held)))
    const times = rows.map(({ happened_at }) => Date.parse(happened_at))
    const back = times.findIndex((time, n) => n > 0 && time < times[n - 1]!)
    assert.equal(back, -1, `${where}, step ${step}: in the order in which it happened`)
    if (now.owed > 0n) seen.owed++
    if (now.frozen > 0n) seen.frozen++
    if (now.held > 0n) seen.held++
  }
  assert.equal(seen.types.size, 9, `a life with everything in it, not only ${[...seen.types]}; ${where}`)
  assert.ok(Math.min(seen.owed, seen.frozen, seen.held) > 0, `${JSON.stringify(seen)}; ${where}`)
})

test('filters by type give exactly the rows of these types, also page by page', async () => {
  const cleo = await world.customer({ name: 'cleo', credit: '20.00' })
  await topsUp(cleo, '5.00')
  for (const ending of ['code', 'none', 'code', 'none']) {
    const order = await cleo.order({ service: 'uber', country: 'PL' })
    if (ending === 'code') await world.sms({ to: order.phone_number, from: 'Uber', text: 'Your Uber code is 4821' })
  }
  await world.advance(LIFETIME_SECONDS)
  const all = await wholeHistory(cleo)
  assert.deepEqual(
    ['topup', 'gift', 'hold', 'deduction', 'release'].map((type) => all.filter((row) => row.type === type).length),
    [1, 1, 4, 2, 2],
  )
  for (const types of ['hold', 'deduction', 'release', 'topup', 'gift', 'hold,release', 'topup,deduction', 'refund']) {
    const expected = all.filter((row) => types.split(',').includes(row.type))
    assert.deepEqual(await wholeHistory(cleo, `type=${types}`), expected, types)
    assert.deepEqual(await wholeHistory(cleo, `type=${types}`, 1), expected, types)
  }
})

test("filters by day mean the customer's own days, from midnight to midnight, also when the clocks change", async () => {
  const dora = await world.customer({ name: 'dora' })
  const zones = { 'America/New_York': '2027-03-14', 'Europe/Berlin': '2027-10-31', 'Pacific/Chatham': '2027-09-26' }
  for (const [zone, changing] of Object.entries(zones)) {
    const { rows: midnights } = await world.db.database.pool.query<{ at: Date }>(
      `select (d.day at time zone $1) as at from generate_series($2::date - 2, $2::date + 2, interval '1 day') d(day)`,
      [zone, changing],
    )
    for (const { at } of midnights) {
      for (const from of [-1, 0, 1, 6 * 3_600_000]) await gift(dora, '0.01', new Date(at.getTime() + from))
    }
  }
  const all = await wholeHistory(dora)
  for (const [zone, changing] of Object.entries(zones)) {
    await world.db.database.pool.query('update accounts set time_zone = $2 where username = $1', ['dora', zone])
    const calendar = new Intl.DateTimeFormat('en-CA', { timeZone: zone, dateStyle: 'short' })
    const dayOf = (row: HistoryRow) => calendar.format(new Date(row.happened_at))
    const ids = (rows: HistoryRow[]) => rows.map(({ id }) => id)
    const days = [...new Set(all.map(dayOf))]
    assert.ok(days.includes(changing))
    for (const day of days) {
      const expected = all.filter((row) => dayOf(row) === day)
      assert.deepEqual(ids(await wholeHistory(dora, `from=${day}&to=${day}`)), ids(expected), `${zone} ${day}`)
    }
    for (const [query, within] of [
      [`from=${changing}`, (day: string) => day >= changing],
      [`to=${changing}`, (day: string) => day <= changing],
      ['from=0001-01-01&to=9999-12-31', () => true],
      [`from=2027-03-13&to=${changing}`, (day: string) => day >= '2027-03-13' && day <= changing],
      [`from=${changing}&to=2027-03-13`, (day: string) => day >= changing && day <= '2027-03-13'],
    ] as const) {
      const expected = all.filter((row) => within(dayOf(row)))
      assert.deepEqual(ids(await wholeHistory(dora, query, 7)), ids(expected), `${zone} ${query}`)
    }
  }
})

test('who turns the pages while new rows arrive loses none and sees none twice', async () => {
  const emil = await world.customer({ name: 'emil' })
  for (let i = 1; i <= 25; i++) await gift(emil, `0.${String(i).padStart(2, '0')}`)
  const before = await wholeHistory(emil)
  for (const limit of [1, 3, 25]) {
    const walked: HistoryRow[] = []
    let cursor: string | null = ''
    while (cursor !== null) {
      const answer = await emil.get(`/billing/history?limit=${limit}&cursor=${cursor}`)
      const page = pageSchema.parse(answer.body)
      walked.push(...page.items)
      cursor = page.next_cursor
      // Two at once, and not waited for in any order.
      if (walked.length < 10) await Promise.all([gift(emil, '1.00'), gift(emil, '2.00')])
    }
    const old = new Set(before.map(({ id }) => id))
    assert.deepEqual(
      walked.filter(({ id }) => old.has(id)),
      before,
    )
    assert.equal(new Set(walked.map(({ id }) => id)).size, walked.length)
    const whole = await wholeHistory(emil)
    assert.deepEqual(walked, whole.slice(whole.findIndex(({ id }) => id === walked[0]!.id)))
  }
})

test("nobody sees another customer's rows, whatever cursor or filter he brings", async () => {
  const [finn, gina] = [await world.customer({ name: 'finn' }), await world.customer({ name: 'gina', credit: '5.00' })]
  for (let i = 0; i < 9; i++) await gift(finn, '1.00')
  const order = await gina.order()
  const his = new Set((await wholeHistory(finn)).map(({ id }) => id))
  const hers = await wholeHistory(gina)
  assert.deepEqual(
    hers.map(({ order_id }) => order_id),
    [order.id, undefined],
  )
  const { next_cursor } = pageSchema.parse((await finn.get('/billing/history?limit=1')).body)
  for (const query of [
    '',
    `&cursor=${next_cursor}`,
    '&type=gift',
    '&from=2020-01-01',
    '&account_id=1',
    '&username=finn',
  ]) {
    const { body } = await gina.get(`/billing/history?limit=100${query}`)
    const { items } = pageSchema.parse(body)
    assert.ok(
      items.every(({ id }) => !his.has(id) && hers.some((row) => row.id === id)),
      query,
    )
  }
  const nobody = await world.stranger().get<Problem>('/billing/history')
  assert.equal(nobody.status, 401)
  assert.equal(nobody.body.code, 'unauthenticated')
})

test('a balance can be asked for as of any past instant, and not of the future', async () => {
  const hana = await world.customer({ name: 'hana', credit: '10.00' })
  const instants: string[] = []
  /** Some time goes by on both sides of the instant. */
  const remember = async () => {
    instants.push((await world.advance(10)).toISOString())
    await world.advance(10)
  }
  await remember()
  const order = await hana.order()
  await remember()
  await world.sms({ to: order.phone_number, from: 'Telegram', text: 'Telegram code 48213' })
  await remember()
  const told = await Promise.all(instants.map((instant) => hana.get<PastBalance>(`/balance?as_of=${instant}`)))
  const figures = (available: string, held: string, as_of: string) => ({
    ...{ currency: 'USD', available, held, frozen: '0.00', owed: '0.00', as_of },
  })
  assert.deepEqual(
    told.map(({ body }) => body),
    [
      figures('10.00', '0.00', instants[0]!),
      figures('8.80', '1.20', instants[1]!),
      figures('8.80', '0.00', instants[2]!),
    ],
  )
  // The same instant, written with an offset; and before there was anything.
  const inUtc = instants[1]!.replace(/Z$/, '%2B00:00')
  assert.deepEqual((await hana.get(`/balance?as_of=${inUtc}`)).body, told[1]!.body)
  const long = '2001-01-01T00:00:00.000Z'
  assert.deepEqual((await hana.get(`/balance?as_of=${long}`)).body, figures('0.00', '0.00', long))

  for (const unusable of [
    'yesterday',
    '2026-11-23',
    '2026-02-30T00:00:00Z',
    '',
    '2126-01-01T00:00:00Z',
    '0000-01-01T00:00:00Z',
  ]) {
    const refused = await hana.get<Problem>(`/balance?as_of=${unusable}`)
    assert.deepEqual(
      [refused.status, refused.body.code, refused.body.field],
      [400, 'invalid_request', 'as_of'],
      unusable,
    )
  }
  const future = await hana.get<Problem>('/balance?as_of=2126-01-01T00:00:00Z')
  assert.match(future.body.detail, /still to come/)
})
