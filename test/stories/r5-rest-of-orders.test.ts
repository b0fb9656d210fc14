/**
 * R5, the rest of it: an order is finished by its customer, waits for another code, is never charged above the price that was seen,
 * is found again, and is ordered by a key that may spend so much a day. Prices are found by words, and favourites are kept.
 */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { Favourite, Order, Page, Price } from '../../contract/contract.ts'
import { usd } from '../../contract/money.ts'
import type { Problem } from '../../contract/refusals.ts'
import { until } from '../until.ts'
import { type Customer, startWorld, type World } from '../world.ts'

/** What of a refusal an order does not have too. */
type Refusal = Pick<Problem, 'code' | 'detail' | 'field'> & { [extra: string]: unknown }

const LIFETIME_SECONDS = 1200
const CANCEL_AFTER_SECONDS = 120

let world: World
before(async () => {
  world = await startWorld()
})
after(() => world?.proveAndStop())

const sms = (order: Order, text: string) => world.sms({ to: order.phone_number, from: 'Telegram', text })
const codes = (order: Order) => order.messages.map((message) => message.code)

async function listed(who: Customer, query: string): Promise<Order[]> {
  const answer = await who.get<Page<Order>>(`/orders${query}`)
  assert.equal(answer.status, 200, JSON.stringify(answer.body))
  return answer.body.items
}

test('a finished order charges nothing more, and its number is free for another service at once', async () => {
  const ana = await world.customer({ name: 'ana', credit: '5.00' })
  const page = await world.live(ana)
  // One number is left in the country.
  await world.db.database.pool.query(
    `update offers set free_from = 'infinity'
      where country = 'NL' and number_id <> (select min(id) from numbers where country = 'NL')`,
  )
  const order = await ana.order({ country: 'NL' })
  await sms(order, 'Telegram code 48213')
  const finished = await ana.post<Order>(`/orders/${order.id}/finish`)
  assert.equal(finished.status, 200)
  assert.equal(finished.body.status, 'finished')
  assert.ok(finished.body.ended_at! < order.expires_at)
  await page.hears('order', ({ id, status }) => id === order.id && status === 'finished')
  await page.end()
  await world.expectBooks(`
    ana available 3.70
    ana held      0.00`)

  const again = await ana.post<Order>(`/orders/${order.id}/finish`)
  assert.deepEqual([again.status, again.body], [200, finished.body])
  assert.equal(again.headers.get('idempotent-replayed'), 'true')
  const cancel = await ana.post<Problem>(`/orders/${order.id}/cancel`)
  assert.equal(cancel.body.code, 'already_closed')

  // For the same service it rests.
  const same = await ana.post<Problem>('/orders', { service: 'telegram', country: 'NL' })
  assert.equal(same.body.code, 'no_numbers')
  const other = await ana.order({ service: 'discord', country: 'NL' })
  assert.equal(other.phone_number, order.phone_number)
  await world.advance(CANCEL_AFTER_SECONDS)
  assert.equal((await ana.post(`/orders/${other.id}/cancel`)).status, 200)
})

test('finishing an order without a code is cancelling it: too early at first, then the hold returns', async () => {
  const ben = await world.customer({ name: 'ben', credit: '5.00' })
  const order = await ben.order()
  const early = await ben.post<Problem>(`/orders/${order.id}/finish`)
  assert.deepEqual(
    [early.status, early.body.code, early.body['cancel_from']],
    [409, 'cancel_too_early', order.cancel_from],
  )
  await world.advance(CANCEL_AFTER_SECONDS)
  const finished = await ben.post<Order>(`/orders/${order.id}/finish`, {}, { 'idempotency-key': 'enough' })
  assert.deepEqual([finished.status, finished.body.status], [200, 'cancelled'])
  await world.expectBooks(`
    ben available 5.00
    ben held      0.00`)
  const again = await ben.post<Order>(`/orders/${order.id}/finish`, {}, { 'idempotency-key': 'enough' })
  assert.deepEqual([again.status, again.body.status], [200, 'cancelled'], 'the same key answers as it did')
  const closed = await ben.post<Problem>(`/orders/${order.id}/finish`)
  assert.deepEqual([closed.status, closed.body.code, closed.body['order_status']], [409, 'already_closed', 'cancelled'])

  const expired = await ben.order()
  await world.advance(LIFETIME_SECONDS)
  const late = await ben.post<Problem>(`/orders/${expired.id}/finish`)
  assert.deepEqual([late.body.code, late.body['order_status']], ['already_closed', 'expired'])
})

test('another code is free: the order says that it waits for one until it comes', async () => {
  const cleo = await world.customer({ name: 'cleo', credit: '5.00' })
  const page = await world.live(cleo)
  const order = await cleo.order()
  const ask = (more: Record<string, string> = {}) =>
    cleo.post<Order & Refusal>(`/orders/${order.id}/another-code`, {}, more)

  const waiting = await ask()
  assert.deepEqual(
    [waiting.status, waiting.body.status, waiting.body.another_code_requested_at],
    [200, 'waiting', null],
  )
  await sms(order, 'Telegram code 10001')

  const asked = await ask({ 'idempotency-key': 'more' })
  assert.equal(asked.status, 200)
  assert.ok(asked.body.another_code_requested_at! >= asked.body.received_at!)
  await page.hears('order', (told) => told['another_code_requested_at'] === asked.body.another_code_requested_at)
  assert.deepEqual((await ask()).body, asked.body, 'asking twice changes nothing')
  assert.equal((await ask({ 'idempotency-key': 'more' })).headers.get('idempotent-replayed'), 'true')

  await sms(order, 'Telegram code 10002')
  await page.hears(
    'order',
    (told) => told['another_code_requested_at'] === null && (told['messages'] as unknown[]).length === 2,
  )
  const received = await cleo.orderNow(order.id)
  assert.deepEqual(codes(received), ['10001', '10002'])
  assert.equal(new Set(received.messages.map(({ id }) => id)).size, 2)
  assert.ok(received.messages.every(({ id }) => /^msg_[0-9a-f]{32}$/.test(id)))
  await page.end()

  // It waits in vain: the order ends, says so, and nothing was charged but the first.
  await ask()
  await world.advance(LIFETIME_SECONDS)
  const over = await ask()
  assert.deepEqual([over.status, over.body.code, over.body['order_status']], [409, 'already_closed', 'finished'])
  await world.expectBooks(`
    cleo available 3.80
    cleo held      0.00`)
})

test('the phone network of the sandbox sends the demo customer another code when he asks for one', async () => {
  const own = await startWorld({ autoSmsSeconds: 0.2 })
  try {
    const demo = await own.demo()
    await own.giveCredit(demo.accountId, usd('5.00'))
    const order = await demo.order()
    const withCodes = (count: number) =>
      until(async () => {
        const now = await demo.orderNow(order.id)
        return now.messages.length === count && now
      })
    assert.equal((await withCodes(1)).status, 'received')
    const asked = await demo.post<Order>(`/orders/${order.id}/another-code`)
    assert.ok(asked.body.another_code_requested_at)
    assert.equal((await withCodes(2)).another_code_requested_at, null)
    await own.expectBooks(`
      demo available 3.80
      demo held      0.00`)
    await own.audit()
  } finally {
    await own.stop()
  }
})

test('a price that rose since it was seen is not charged: the refusal names the new one, and that can be agreed to', async () => {
  const dora = await world.customer({ name: 'dora', credit: '5.00' })
  const price = async (cents: number) =>
    world.db.database.pool.query(`update prices set price = $1 * 10000 where service = 'uber' and country = 'DE'`, [
      cents,
    ])
  const seen = (await dora.get<Page<Price>>('/prices?service=uber&country=DE')).body.items[0]!.price
  assert.equal(seen, '0.98')
  await price(107)
  const order = (max_price: string) =>
    dora.post<Order & Refusal>('/orders', { service: 'uber', country: 'DE', max_price })
  const refused = await order(seen)
  assert.deepEqual([refused.status, refused.body.code, refused.body.field], [409, 'above_max_price', 'max_price'])
  assert.equal(refused.body['price'], '1.07')
  assert.match(refused.body.detail, /costs \$1\.07, which is above your maximum of \$0\.98/)
  await world.expectBooks(`
    dora available 5.00
    dora held      0.00`)
  const agreed = await order(refused.body['price'] as string)
  assert.deepEqual([agreed.status, agreed.body.price], [201, '1.07'])
  // Less than the maximum is charged where less is asked.
  await price(50)
  assert.equal((await order('1.07')).body.price, '0.50')
  await price(98)
  await world.advance(LIFETIME_SECONDS)
})

test('a key orders up to its daily cap, which says when it opens again; the person himself goes on', async () => {
  const ella = await world.customer({ name: 'ella', credit: '20.00' })
  const session = await world.signIn(ella)
  const made = await session.post<{ key: string }>('/keys', {
    name: 'Bot',
    scopes: ['read', 'order'],
    daily_cap: '3.00',
  })
  assert.equal(made.status, 201, JSON.stringify(made.body))
  const byKey = (country: string) =>
    world
      .stranger()
      .post<Order & Refusal>('/orders', { service: 'telegram', country }, { authorization: `Bearer ${made.body.key}` })
  const placed = await Promise.all(Array.from({ length: 6 }, () => byKey('GB')))
  assert.deepEqual(placed.map(({ status }) => status).sort(), [201, 201, 409, 409, 409, 409])
  const refused = placed.find(({ status }) => status === 409)!.body
  assert.equal(refused.code, 'spending_limit_reached')
  assert.deepEqual([refused['daily_cap'], refused['spent'], refused['price']], ['3.00', '2.40', '1.20'])
  assert.match(String(refused['opens_at']), /T00:00:00\.000Z$/)
  assert.match(refused.detail, /may spend \$3\.00 a day and has spent \$2\.40 today; this number costs \$1\.20/)
  await world.expectBooks(`
    ella available 17.60
    ella held      2.40`)
  assert.equal((await session.post('/orders', { service: 'telegram', country: 'GB' })).status, 201)
  // A cheaper number still fits.
  assert.equal(
    (
      await world
        .stranger()
        .post('/orders', { service: 'amazon', country: 'PL' }, { authorization: `Bearer ${made.body.key}` })
    ).status,
    201,
  )
  // What comes back can be spent again.
  await world.advance(LIFETIME_SECONDS)
  assert.equal((await byKey('GB')).status, 201)
  await world.advance(LIFETIME_SECONDS)
})

test('orders are found by state, service, country, day, and the digits of their numbers', async () => {
  const finn = await world.customer({ name: 'finn', credit: '20.00' })
  const [first, second, third] = [
    await finn.order(),
    await finn.order({ country: 'US' }),
    await finn.order({ service: 'google' }),
  ]
  const stranger = await world.customer({ name: 'gabi', credit: '20.00' })
  await stranger.order()
  await sms(first!, 'Telegram code 48213')
  await finn.post(`/orders/${first!.id}/finish`)
  await sms(second!, 'Telegram code 48214')
  const found = async (query: string) =>
    (await listed(finn, query)).map(({ id }) => [first, second, third].findIndex((order) => order!.id === id))

  assert.deepEqual(await found(''), [2, 1, 0])
  assert.deepEqual(await found('?status=open'), [2, 1])
  assert.deepEqual(await found('?status=ended'), [0])
  assert.deepEqual(await found('?status=finished'), [0])
  assert.deepEqual(await found('?status=received'), [1])
  assert.deepEqual(await found('?status=waiting'), [2])
  assert.deepEqual(await found('?status=requested'), [])
  assert.deepEqual(await found('?service=telegram'), [1, 0])
  assert.deepEqual(await found('?service=telegram&country=GB'), [0])
  assert.deepEqual(await found('?country=US&status=open'), [1])
  const day = first!.created_at.slice(0, 10)
  assert.deepEqual(await found(`?from=${day}&to=${third!.created_at.slice(0, 10)}`), [2, 1, 0])
  assert.deepEqual(await found(`?from=${second!.created_at}`), [2, 1])
  assert.deepEqual(await found(`?to=${encodeURIComponent(second!.created_at.replace('Z', '+00:00'))}`), [0])
  assert.deepEqual(await found('?to=2020-01-01'), [])
  const number = String(second!.number).replace(/\B(?=(\d{3})+$)/g, ' ')
  assert.deepEqual(await found(`?search=${encodeURIComponent(number)}`), [1])
  assert.deepEqual(await found(`?search=${encodeURIComponent(second!.phone_number)}`), [1])
  assert.deepEqual(await found(`?search=${second!.phone_number.slice(-7)}&status=ended`), [])
  assert.deepEqual(
    await listed(finn, `?search=${(await listed(stranger, ''))[0]!.number}`),
    [],
    'nobody finds another’s',
  )

  const pages: string[] = []
  for (let cursor = ''; ; ) {
    const page = (await finn.get<Page<Order>>(`/orders?limit=1${cursor}`)).body
    pages.push(...page.items.map(({ id }) => id))
    if (!page.next_cursor) break
    cursor = `&cursor=${page.next_cursor}`
  }
  assert.deepEqual(pages, [third!.id, second!.id, first!.id])
  await world.advance(LIFETIME_SECONDS)
})

test('favourites are marked once and unmarked once, a hundred at most, also when they come at once', async () => {
  const hugo = await world.customer({ name: 'hugo' })
  const favourite = { service: 'telegram', country: 'GB' }
  const mark = (what: object) => hugo.post<Favourite & Refusal>('/favourites', what)
  const marked = async () => (await hugo.get<Page<Favourite>>('/favourites?limit=100')).body.items
  const unmark = ({ service, country }: Favourite) =>
    hugo.request('DELETE', `/favourites/${service}/${country}`, undefined, {})

  assert.deepEqual(await marked(), [])
  const answers = await Promise.all(Array.from({ length: 5 }, () => mark(favourite)))
  assert.deepEqual(new Set(answers.map(({ status }) => status)), new Set([200]))
  assert.deepEqual(await marked(), [favourite])
  assert.deepEqual([(await unmark(favourite)).status, (await unmark(favourite)).status], [204, 204])
  assert.deepEqual(await marked(), [])

  assert.deepEqual(
    [
      (await mark({ ...favourite, service: 'nonsense' })).body.code,
      (await mark({ ...favourite, country: 'XX' })).body.code,
    ],
    ['unknown_service', 'unknown_country'],
  )
  await world.db.database.transaction(async (tx) => {
    await tx.query(
      `insert into countries (code, name, dial_code) select 'X' || chr(64 + n), 'X', '+999' from generate_series(1, 9) n`,
    )
  })
  const services = (await hugo.get<Page<{ code: string }>>('/services')).body.items.map(({ code }) => code)
  const pairs = services.flatMap((service) =>
    Array.from({ length: 9 }, (_, n) => ({ service, country: `X${String.fromCharCode(65 + n)}` })),
  )
  // No more at once than are served in time by any machine; the hundredth is among the last.
  const many: Awaited<ReturnType<typeof mark>>[] = []
  while (pairs.length > 0) many.push(...(await Promise.all(pairs.splice(0, 36).map(mark))))
  assert.equal(many.filter(({ status }) => status === 200).length, 100)
  const refused = many.find(({ status }) => status === 409)!.body
  assert.deepEqual([refused.code, refused['limit']], ['too_many_favourites', 100])
  assert.equal((await marked()).length, 100)
  assert.equal((await mark((await marked())[0]!)).status, 200, 'what is marked stays so')
  const page = (await hugo.get<Page<Favourite>>('/favourites?limit=60')).body
  const rest = (await hugo.get<Page<Favourite>>(`/favourites?limit=60&cursor=${page.next_cursor}`)).body
  assert.deepEqual([...page.items, ...rest.items], await marked())
  // Nobody else sees or removes them.
  const ida = await world.customer({ name: 'ida' })
  assert.deepEqual((await ida.get<Page<Favourite>>('/favourites')).body.items, [])
  const [one] = await marked()
  assert.equal((await ida.request('DELETE', `/favourites/${one!.service}/${one!.country}`, undefined, {})).status, 204)
  assert.equal((await marked()).length, 100)
})

test('prices come in pages to anybody, and are found by words', async () => {
  const anybody = world.stranger()
  const prices = async (query: string) => {
    const answer = await anybody.get<Page<Price>>(`/prices${query}`)
    assert.equal(answer.status, 200, JSON.stringify(answer.body))
    return answer.body
  }
  const pairs = async (query: string) =>
    (await prices(query)).items.map(({ service, country }) => `${service} ${country}`)
  const whole: string[] = []
  for (let cursor = ''; ; ) {
    const page = await prices(`?limit=40${cursor}`)
    whole.push(...page.items.map(({ service, country }) => `${service} ${country}`))
    if (!page.next_cursor) break
    cursor = `&cursor=${page.next_cursor}`
  }
  assert.equal(whole.length, 96)
  assert.deepEqual(whole, [...new Set(whole)].sort())
  assert.equal((await pairs('?search=tele')).length, 8)
  assert.deepEqual(await pairs('?search=UNITED+telegram'), ['telegram GB', 'telegram US'])
  assert.deepEqual(
    await pairs('?search=t%C3%A9l%C3%A9gram+kingdom'),
    ['telegram GB'],
    'case and accents make no difference',
  )
  assert.deepEqual(await pairs('?search=%2B44+whats'), ['whatsapp GB'])
  assert.deepEqual(await pairs('?search=pl&service=uber'), ['uber PL'])
  assert.deepEqual(await pairs('?search=gram'), [], 'words are begun, not searched')
  assert.deepEqual(await pairs('?search=%25_'), [])
  assert.equal((await pairs('?search=')).length, 50)
})
