import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { Hono } from 'hono'
import type { Balance } from '../contract/contract.ts'
import type { Problem } from '../contract/refusals.ts'
import { until } from '../test/until.ts'
import { startWorld, type World } from '../test/world.ts'
import type { SignedIn } from './accounts/accounts.ts'
import { createLive } from './live.ts'
import { createAnnounce } from './platform/announce.ts'
import { openLog } from './platform/log.ts'

let world: World
before(async () => {
  world = await startWorld()
})
after(() => world.stop())

test('a page is greeted with the house time, then told of its order and its balance as they change', async (t) => {
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
  t.diagnostic(`the code was on the page ${Math.round(told.at - begun)} ms after the phone network sent it`)
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
  await page.hears('hello', (data) => Math.abs(new Date(data['now'] as string).getTime() - now.getTime()) < 30_000)
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

/** The streams by themselves: what is read, and who is still signed in, is the test's. */
function streams() {
  const house = { signedIn: true, balances: 0 }
  const announce = createAnnounce()
  const live = createLive({
    database: world.db.database,
    announce,
    accounts: { stillSignedIn: async () => house.signedIn },
    log: openLog({ level: 'silent' }),
    heartbeatSeconds: 0.05,
    read: {
      order: async () => null,
      topup: async () => null,
      balance: async () => {
        house.balances++
        return { available: 'x'.repeat(60_000) } as Balance
      },
    },
  })
  const app = new Hono<SignedIn>()
  app.get('/', (c) => {
    c.set('caller', {
      accountId: 1n,
      username: 'ana',
      role: 'customer',
      timeZone: 'UTC',
      via: 'session',
      key: null,
      session: null,
    })
    return live.open(c)
  })
  return {
    house,
    announce,
    live,
    open: async () => (await app.request('/')).body!.pipeThrough(new TextDecoderStream()).getReader(),
  }
}

test('a stream ends soon after its session did', async () => {
  const { house, live, open } = streams()
  const reader = await open()
  let text = ''
  while (!text.includes(': still here')) text += (await reader.read()).value
  house.signedIn = false
  await until(async () => (await reader.read()).done)
  live.close()
})

test('a page that does not read is not waited for', async () => {
  const { house, announce, live, open } = streams()
  const lagging = await open()
  const reading = await open()
  let bytes = 0
  const read = (async () => {
    for (let chunk = await reading.read(); !chunk.done; chunk = await reading.read()) bytes += chunk.value.length
  })()
  let told = 0
  /** For how many pages the balance was read anew. The page that lags was opened first, and is told first while it is told at all. */
  async function tell(): Promise<number> {
    const before = house.balances
    announce.publish({ what: 'balance', accountId: 1n })
    told++
    await until(async () => bytes >= told * 60_000)
    return house.balances - before
  }
  assert.equal(await tell(), 2)
  // Sooner or later it is told to one page only: the other's stream has ended.
  while ((await tell()) === 2) assert.ok(told < 20, 'the page that does not read is still waited for')

  let kept = 0
  for (let chunk = await lagging.read(); !chunk.done; chunk = await lagging.read()) kept += chunk.value.length
  assert.ok(kept < 500_000, `${kept} characters were kept for it`)
  live.close()
  await read
  assert.ok(bytes >= told * 60_000, 'the other page was told everything')
})

test('when the server stops, it ends its streams itself, and does not wait until they must be cut', async () => {
  const own = await startWorld()
  try {
    const { key } = await own.customer()
    const page = await fetch(`${own.server.url}/api/v1/events`, { headers: { authorization: `Bearer ${key}` } })
    const reader = page.body!.pipeThrough(new TextDecoderStream()).getReader()
    for (let text = ''; !text.includes('event: hello'); ) text += (await reader.read()).value
    const stopping = own.server.stop()
    // A stream that is cut is read with an error.
    while (!(await reader.read()).done);
    await stopping
  } finally {
    await own.stop()
  }
})
