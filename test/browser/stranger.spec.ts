/**
 * A stranger's way in: joins, tops up, orders, reads what it cost, changes the password, ends another sign-in, makes an API key, and goes
 * the same way again with the lines for a terminal that stand on the docs page.
 */
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import type { Browser, Page } from '@playwright/test'
import type { Balance, CardTopup, HistoryRow, Order } from '../../contract/contract.ts'
import { until } from '../until.ts'
import { expect, inspect, test } from './browser.ts'
import { expectBalance, expectRow, goTo, order, rowsOf, topUp } from './person.ts'

const run = promisify(execFile)
const COMMAND_MS_MAX = 30_000
const stranger = { username: 'ada.byron', email: 'ada@strangers.example', password: 'engines weave algebra' }
const later = 'looms and flowers, 1843'

test.use({ autoSmsSeconds: 0 })

test('a stranger joins, gets a code, looks after the account, and does it all again from a terminal', async ({
  page,
  world,
  browser,
  baseURL,
}) => {
  test.slow()

  await test.step('reads what is promised, signed out', async () => {
    await page.goto('/')
    for (const policy of ['Terms', 'Privacy', 'Acceptable use', 'Refund policy']) {
      await page.getByRole('contentinfo').getByRole('link', { name: policy, exact: true }).click()
      await expect(page.getByRole('heading', { level: 1 })).toBeVisible()
      await expect(page.getByText(/in force since/i).first()).toBeVisible()
    }
  })

  await test.step('joins, and is sent a mail', async () => {
    await page.goto('/join')
    await page.getByRole('textbox', { name: 'Username' }).fill(stranger.username)
    await page.getByRole('textbox', { name: 'E-mail' }).fill(stranger.email)
    await page.getByRole('textbox', { name: 'Password' }).fill(stranger.password)
    await page.getByRole('checkbox', { name: 'I am 18 or over.' }).check()
    await page.getByRole('checkbox', { name: /accept the four policies/ }).check()
    await page.getByRole('main').getByRole('button', { name: 'Join' }).click()
    await expect(page.getByRole('heading', { level: 1, name: 'Check your mail' })).toBeVisible()
    await inspect(page)
  })

  await test.step('opens the link, and has an account', async () => {
    await open(page, (await world.mail(stranger.email)).links, /\/join\/confirm#/)
    await expect(page.getByRole('heading', { level: 1, name: 'Confirm your e-mail' })).toBeVisible()
    expect(page.url(), 'the token has left the address').not.toContain('#')
    await inspect(page)
    await page.getByRole('button', { name: 'Make the account' }).click()
    await expect(page.getByRole('heading', { level: 1, name: 'Home' })).toBeVisible()
    await expectBalance(page, { available: '$0.00', held: '$0.00' })
  })

  await test.step('tops up, and a receipt comes by mail', async () => {
    await topUp(page)
    const receipt = await world.mail(stranger.email, /\$10\.00/)
    expect(receipt.text).toContain('$10.00')
    expect(receipt.html).toContain('3220')
  })

  await test.step('orders a number, and the code appears by itself', async () => {
    await page.getByRole('link', { name: 'Order a number' }).click()
    await order(page, 'Telegram', 'United Kingdom')
    const phone = await phoneOf(page)
    await world.sms({ to: phone, from: 'Telegram', text: 'Telegram code 48113' })
    await expect(page.getByText(/Code received at \d\d:\d\d:\d\d\. \$1\.20 deducted\./)).toBeVisible()
  })

  await test.step('reads the history', async () => {
    await goTo(page, 'Billing History')
    await expectRow(rowsOf(page, 'Code received'), [/^Code received: Telegram/, '−$1.20', '−$1.20', '$8.80'])
  })

  await test.step('changes the password; the old one no longer opens anything, and a mail says so', async () => {
    await settings(page, 'Sign-in and security')
    await page.getByRole('textbox', { name: 'Password now' }).fill(stranger.password)
    await page.getByRole('textbox', { name: 'New password' }).fill(later)
    await page.getByRole('button', { name: 'Change the password' }).click()
    await expect(page.getByText('Your password is changed.')).toBeVisible()
    expect((await world.mail(stranger.email, /password/i)).text).toContain(stranger.username)
    const refused = await world.stranger().post('/api/auth/sign-in/username', {
      username: stranger.username,
      password: stranger.password,
    })
    expect(refused.status).toBe(401)
  })

  await test.step('ends another sign-in', async () => {
    const elsewhere = await signInElsewhere(browser, baseURL!)
    await settings(page, 'Sign-in and security')
    const signIns = page.getByRole('list', { name: 'Open sign-ins' }).getByRole('listitem')
    await expect(signIns).toHaveCount(2)
    await page.getByRole('button', { name: /^End the sign-in of/ }).click()
    await expect(signIns).toHaveCount(1)
    await elsewhere.reload()
    await expect(elsewhere.getByRole('button', { name: 'Sign in' })).toBeVisible()
    await elsewhere.context().close()
  })

  const key = await test.step('makes an API key that may do everything', async () => {
    await settings(page, 'API keys')
    await page.getByRole('textbox', { name: 'Name' }).fill('My terminal')
    for (const scope of ['Read', 'Order numbers', 'Start top-ups'])
      await page.getByRole('checkbox', { name: scope }).check()
    await page.getByRole('button', { name: 'Make the key' }).click()
    const made = page.getByRole('article', { name: 'The new key My terminal' })
    return (await made.getByText(/^msk_\w+$/).textContent())!
  })

  await test.step('goes the same way by the lines of the docs page', async () => {
    await page.goto('/api/docs')
    await expect(page.getByRole('heading', { level: 1, name: 'API' })).toBeVisible()
    await inspect(page)
    const lines = await page
      .getByRole('region', { name: 'From nothing to a code' })
      .getByRole('listitem')
      .locator('code', { hasText: /^curl / })
      .allTextContents()
    expect(lines).toHaveLength(8)
    const [balance, startTopup, readTopup, prices, place, read, finish, history] = lines as [
      string,
      string,
      string,
      string,
      string,
      string,
      string,
      string,
    ]
    const shell = terminal(key)

    expect(await shell.run<Balance>(balance)).toMatchObject({ available: '8.80', held: '0.00' })

    const topup = await shell.run<CardTopup>(startTopup)
    expect(topup).toMatchObject({ status: 'awaiting_payment', amount: '10.00' })
    shell.keep('TOPUP', topup.id)
    await world.pay(topup, '4000000000003220', 'complete')
    await until(async () => (await shell.run<CardTopup>(readTopup)).status === 'credited')

    const { items } = await shell.run<{ items: { price: string; in_stock: number }[] }>(prices)
    expect(items[0]).toMatchObject({ price: '1.20' })

    const placed = await shell.run<Order>(place)
    expect(placed).toMatchObject({ status: 'waiting', price: '1.20' })
    shell.keep('ORDER', placed.id)
    await world.sms({ to: placed.phone_number, from: 'Telegram', text: 'Telegram code 55320' })
    const received = await until(async () => {
      const now = await shell.run<Order>(read)
      return now.messages.length > 0 && now
    })
    expect(received).toMatchObject({ status: 'received', messages: [{ code: '55320' }] })
    expect(await shell.run<Order>(finish)).toMatchObject({ status: 'finished' })

    const rows = (await shell.run<{ items: HistoryRow[] }>(history)).items
    expect(rows.slice(0, 3).map(({ type, amount, balance: after }) => [type, amount, after])).toEqual([
      ['deduction', '-1.20', '17.60'],
      ['hold', '0.00', '18.80'],
      ['topup', '10.00', '18.80'],
    ])
  })

  await test.step('and every line of the page for a route is one that the server knows', async () => {
    const lines = await page
      .getByRole('main')
      .getByRole('article')
      .locator('code', { hasText: /^curl / })
      .allTextContents()
    expect(lines.length).toBeGreaterThan(10)
    const shell = terminal(key)
    for (const line of lines.filter(
      (each) => !each.includes('-X ') && !each.includes('{') && !each.includes('/events'),
    ))
      expect(await shell.run<object>(line), line).not.toHaveProperty('code')
  })
})

/** A shell in which the reader has put his key. */
function terminal(key: string) {
  const env: Record<string, string> = { KEY: key, PATH: process.env['PATH'] ?? '' }
  return {
    keep(name: 'TOPUP' | 'ORDER', value: string): void {
      env[name] = value
    },
    async run<Answer>(line: string): Promise<Answer> {
      const { stdout } = await run('sh', ['-c', `${line} -sS`], { timeout: COMMAND_MS_MAX, env })
      return JSON.parse(stdout) as Answer
    },
  }
}

/** Follows a link of a mail, in the tab that is open. */
async function open(page: Page, links: string[], like: RegExp): Promise<void> {
  const link = links.find((each) => like.test(each))
  expect(link, `a link like ${like} among ${links.join(', ')}`).toBeTruthy()
  await page.goto(link!)
}

async function settings(page: Page, section: string): Promise<void> {
  await page.getByRole('navigation', { name: 'Rooms' }).getByRole('link', { name: 'Settings' }).click()
  await expect(page.getByRole('heading', { level: 1, name: 'Profile' })).toBeVisible()
  await page.getByRole('navigation', { name: 'Settings' }).getByRole('link', { name: section }).click()
  await expect(page.getByRole('heading', { level: 1, name: section })).toBeVisible()
}

async function signInElsewhere(browser: Browser, baseURL: string): Promise<Page> {
  const context = await browser.newContext({ baseURL })
  const page = await context.newPage()
  await page.goto('/sign-in')
  await page.getByRole('textbox', { name: 'Username' }).fill(stranger.username)
  await page.getByRole('textbox', { name: 'Password' }).fill(later)
  await page.getByRole('main').getByRole('button', { name: 'Sign in' }).click()
  await expect(page.getByRole('heading', { level: 1, name: 'Home' })).toBeVisible()
  return page
}

/** The number that stands on the order's page, as its button copies it. */
async function phoneOf(page: Page): Promise<string> {
  const text = await page
    .getByText(/^\+\d[\d\s]{6,}$/)
    .first()
    .textContent()
  return text!.replace(/\s/g, '')
}
