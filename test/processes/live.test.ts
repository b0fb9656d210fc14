/**
 * What one process learned, on the page that another holds: at once, in a browser too, and also after the connection between them broke,
 * and after the worker died.
 */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { chromium } from '@playwright/test'
import type { CardTopup, Order } from '../../contract/contract.ts'
import { newId } from '../../server/platform/ids.ts'
import { until } from '../until.ts'
import { asOwner, type House, startHouse } from './house.ts'

let house: House
before(async () => {
  house = await startHouse({ ORDER_LIFETIME_SECONDS: '60' })
  await house.stock(50)
})
after(async () => {
  try {
    await house.audit()
    await house.expectBankAgrees()
  } finally {
    await house.stop()
  }
})

function code(order: Order, digits: string) {
  return { id: newId(), to: order.phone_number, from: 'Telegram', text: `Your code is ${digits}` }
}

const heard = (digits: string) => (data: Record<string, unknown>) =>
  (data['messages'] as { code: string }[] | undefined)?.some((message) => message.code === digits) ?? false

test('an SMS that one server accepted is on the page that the other holds', async (t) => {
  const ana = await house.customer({ name: 'ana', credit: '50.00' })
  const page = await house.live(ana, house.webs[1])
  await page.hears('hello')
  const delays: number[] = []
  for (let round = 0; round < 10; round++) {
    const order = await ana.order()
    const begun = performance.now()
    await house.sendSms(code(order, `48291${round}`), {}, house.webs[0])
    const told = await page.hears('order', heard(`48291${round}`))
    delays.push(told.at - begun)
  }
  delays.sort((a, b) => a - b)
  t.diagnostic(
    `on the other server's page ${delays[5]!.toFixed(0)} ms after it was sent (median), ${delays[9]!.toFixed(0)} ms at most`,
  )
  await page.hears('balance', ({ available, held }) => available === '38.00' && held === '0.00')
  // Nothing is told twice by having gone around.
  assert.equal(page.told.filter(({ event }) => event === 'hello').length, 1)
  await page.end()
})

test('the same in a browser, without a reload', async () => {
  const bob = await house.customer({ name: 'bob', credit: '5.00' })
  const browser = await chromium.launch({
    executablePath: process.env['CHROMIUM_PATH'] || '/usr/bin/chromium',
    args: ['--no-sandbox', '--disable-gpu'],
  })
  try {
    const page = await browser.newPage()
    // The second server, under the address that the house does not go by: a browser on this machine may.
    const at = house.webs[1].url
    await page.goto(`${at}/sign-in`)
    await page.getByLabel('Username').fill(bob.name)
    await page.getByLabel('Password', { exact: true }).fill(bob.password)
    await page.getByRole('button', { name: 'Sign in', exact: true }).click()
    await page.getByRole('heading', { level: 1, name: 'Home' }).waitFor()
    const order = await bob.order()
    await page.goto(`${at}/numbers/${order.id}`)
    await page.getByRole('heading', { level: 1, name: /^Order / }).waitFor()
    const born = await page.evaluate<number>('performance.timeOrigin')
    await house.sendSms(code(order, '739104'), {}, house.webs[0])
    await page
      .getByText(/739\s?104/)
      .first()
      .waitFor()
    assert.equal(await page.evaluate<number>('performance.timeOrigin'), born)
  } finally {
    await browser.close()
  }
})

test('the connection between them is cut: nothing is lost for an open page', async () => {
  const eve = await house.customer({ name: 'eve', credit: '10.00' })
  const page = await house.live(eve, house.webs[1])
  await page.hears('hello')
  const [first, second] = [await eve.order(), await eve.order()]
  await page.hears('order', ({ id }) => id === second.id)
  await asOwner(house.db.url, (owner) =>
    owner.query(
      `select pg_terminate_backend(pid) from pg_stat_activity
        where application_name = 'mobilesms_relay' and datname = current_database()`,
    ),
  )
  // At the very moment at which nobody hears anybody.
  await house.sendSms(code(first, '111222'), {}, house.webs[0])
  // Either it is told after all, or the page is told to read everything, and then it is there.
  await until(
    async () =>
      page.told.some(({ event, data }) => event === 'order' && heard('111222')(data)) ||
      page.told.filter(({ event }) => event === 'hello').length > 1,
  )
  assert.equal((await house.clientAt(house.webs[1], eve).get<Order>(`/orders/${first.id}`)).body.messages.length, 1)
  await until(async () => page.told.filter(({ event }) => event === 'hello').length > 1)
  // And from then on it is told again.
  await until(async () => {
    const { rows } = await house.db.database.pool.query(
      "select from pg_stat_activity where application_name = 'mobilesms_relay' and datname = current_database()",
    )
    return rows.length === 3
  })
  await house.sendSms(code(second, '333444'), {}, house.webs[0])
  await page.hears('order', heard('333444'))
  assert.ok(page.isOpen(), 'the stream itself never broke')
  await page.end()
})

test('a key that is revoked at one server ends the page that it holds open at the other', async (t) => {
  const fay = await house.customer({ name: 'fay' })
  const page = await house.live(fay, house.webs[1])
  await page.hears('hello')
  const person = await house.signIn(fay)
  const { items } = (await person.get<{ items: { id: string }[] }>('/keys')).body
  const begun = performance.now()
  assert.equal((await person.post(`/keys/${items[0]!.id}/revoke`)).status, 200)
  await until(async () => !page.isOpen())
  t.diagnostic(
    `ended after ${Math.round(performance.now() - begun)} ms; each page is asked again every 15 s in any case`,
  )
})

test('the worker is killed in the middle of its work, and another one takes over', async () => {
  const dan = await house.customer({ name: 'dan', credit: '20.00' })
  const page = await house.live(dan, house.webs[0])
  const orders = await Promise.all(Array.from({ length: 10 }, () => dan.order()))
  const topups = await Promise.all(Array.from({ length: 4 }, () => dan.startTopup('10.00')))
  // What becomes due runs in the worker; it dies while the bank's webhooks come in.
  const paying = Promise.all(topups.map((topup) => house.pay(topup, '4000000000003220', 'complete')))
  await until(async () =>
    (await dan.get<{ items: CardTopup[] }>('/topups')).body.items.some(({ status }) => status !== 'awaiting_payment'),
  )
  await house.worker.kill()
  assert.deepEqual(new Set(await paying), new Set(['authorized']))
  // A minute passes for the orders, told to the database only: no process runs what became due.
  await asOwner(house.db.url, (owner) => owner.query('select house_clock_advance(60)'))
  assert.equal((await dan.orderNow(orders[0]!.id)).status, 'waiting', 'nobody ends it while there is no worker')

  await house.beside({ ROLE: 'worker' })
  for (const order of orders) await page.hears('order', ({ id, status }) => id === order.id && status === 'expired')
  // What the dead one had begun is looked at when its claim has run out: written, not waited for.
  await until(async () => {
    await asOwner(house.db.url, (owner) =>
      owner.query(
        'update topups set next_look_at = now(), claimed_until = least(claimed_until, now()) where next_look_at is not null',
      ),
    )
    const { items } = (await dan.get<{ items: CardTopup[] }>('/topups')).body
    return items.every(({ status }) => status === 'credited')
  })
  await page.hears('balance', ({ available, held }) => available === '60.00' && held === '0.00')
  await page.end()
})
