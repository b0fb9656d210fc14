import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { Problem } from '../contract/refusals.ts'
import { startWorld, until, type World } from '../test/world.ts'

let world: World
before(async () => {
  world = await startWorld()
})
after(() => world.stop())

test('a page is greeted with the house time, then told of its order and its balance as they change', async () => {
  const ana = await world.customer({ name: 'ana', credit: '5.00' })
  const page = await world.live(ana)
  await page.hears('hello', ({ now }) => typeof now === 'string')

  const order = await ana.order()
  await page.hears('order', ({ id, status }) => id === order.id && status === 'waiting')
  await page.hears('balance', ({ available, held }) => available === '3.80' && held === '1.20')

  const begun = performance.now()
  await world.sendSms({ id: 'live-1', to: order.phone_number, from: 'Telegram', text: 'Your code is 482913' })
  const told = await page.hears('order', ({ status }) => status === 'received')
  assert.deepEqual((told.data['messages'] as { code: string }[])[0]!.code, '482913')
  await page.hears('balance', ({ available, held }) => available === '3.80' && held === '0.00')
  assert.ok(told.at - begun < 2_000, `the code took ${Math.round(told.at - begun)} ms to the page`)
  await page.end()
})

test("nobody is told of another customer's affairs", async () => {
  const [bob, eve] = [await world.customer({ credit: '5.00' }), await world.customer({ credit: '5.00' })]
  const [bobs, eves] = [await world.live(bob), await world.live(eve)]
  await eves.hears('hello')
  await bob.order()
  await bobs.hears('order')
  // What follows on Eve's stream would have come after anything of Bob's.
  await eve.order()
  await eves.hears('order')
  assert.equal(eves.told.filter(({ event }) => event === 'order').length, 1)
  await Promise.all([bobs.end(), eves.end()])
})

test('moving the clock greets every page anew', async () => {
  const page = await world.live(await world.customer())
  await page.hears('hello')
  const now = await world.advance(60)
  await page.hears('hello', (data) => Math.abs(new Date(data['now'] as string).getTime() - now.getTime()) < 5_000)
  assert.equal(page.told.filter(({ event }) => event === 'hello').length, 2)
  await page.end()
})

test('a burst of changes goes out as one', async () => {
  const ana = await world.customer()
  const page = await world.live(ana)
  await page.hears('hello')
  const { announce } = world.server.parts
  for (let i = 0; i < 1_000; i++) announce.publish({ what: 'balance', accountId: ana.accountId })
  await page.hears('balance')
  await until(async () => page.told.length > 1)
  assert.ok(page.told.filter(({ event }) => event === 'balance').length <= 2)
  await page.end()
})

test('of more changes than can be told, the page is told to read everything', async () => {
  const ana = await world.customer()
  const page = await world.live(ana)
  await page.hears('hello')
  const { announce } = world.server.parts
  for (let i = 0; i < 100; i++) {
    announce.publish({
      what: 'order',
      accountId: ana.accountId,
      id: `00000000-0000-7000-8000-${String(i).padStart(12, '0')}`,
    })
  }
  await until(async () => page.told.filter(({ event }) => event === 'hello').length === 2)
  await page.end()
})

test('the twenty-first open page is refused, until another is closed', async () => {
  const ana = await world.customer()
  const pages = await Promise.all(Array.from({ length: 20 }, () => world.live(ana)))
  const refused = await ana.get<Problem>('/events')
  assert.equal(refused.status, 429)
  assert.equal(refused.body.code, 'rate_limited')
  await pages.pop()!.end()
  const another = await until(async () => world.live(ana).catch(() => null))
  for (const page of [...pages, another]) await page.end()
})

test('a stream needs a caller', async () => {
  const answer = await world.stranger().get<Problem>('/events')
  assert.equal(answer.status, 401)
  assert.equal(answer.body.code, 'unauthenticated')
})

test('when the server stops, its streams end first and the stop is short', async () => {
  const own = await startWorld()
  try {
    const page = await own.live(await own.customer())
    await page.hears('hello')
    const begun = performance.now()
    await own.server.stop()
    assert.ok(performance.now() - begun < 2_000)
    await until(async () => !page.isOpen())
  } finally {
    await own.stop()
  }
})
