/**
 * Pictures of every page, to be looked at beside the look: `npm run pictures`. Each as it stands in the end goes into PICTURES_FOLDER,
 * one file a picture; for keeping, all of one page stand on one sheet in docs/pictures/: wide, middle, narrow, at 200 % zoom, light,
 * dark and without colours. The picture that the README shows goes there, too.
 */
import { mkdirSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import type { Page } from '@playwright/test'
import { expect, test } from './browser.ts'
import {
  answerBank,
  cards,
  goTo,
  openDesk,
  order,
  payAtDesk,
  payBy,
  signIn,
  startPaying,
  startPayingIn,
  topUp,
} from './person.ts'
import { drawSheet, type Shot } from './sheet.ts'

/** A window of 1440 px at 200 % zoom shows 720 px. */
const shots = [
  { width: 1440, scheme: 'light', say: '1440 px' },
  { width: 1440, scheme: 'dark', say: '1440 px, dark' },
  { width: 768, scheme: 'light', say: '768 px' },
  { width: 720, scheme: 'light', say: '1440 px at 200 %' },
  { width: 360, scheme: 'light', say: '360 px' },
  { width: 360, scheme: 'dark', say: '360 px, dark' },
] as const
const HEIGHT_MIN = 740
/** What of a long page is shown. */
const HEIGHT_MAX = 2_600
const KEPT = join(import.meta.dirname, '../../docs/pictures')
const KEPT_BYTES_MAX = 6_000_000
const README_PICTURE = join(KEPT, 'home.png')
const CRYPTO_PICTURE = join(KEPT, 'crypto.png')
const README_PICTURE_WIDTH = 1100
const README_PICTURE_BYTES_MAX = 200_000

const folder = resolve(process.env['PICTURES_FOLDER'] ?? '')

test.use({ crypto: true })

test('pictures of the pages', async ({ page, context, world }) => {
  test.setTimeout(1_800_000)
  mkdirSync(folder, { recursive: true })
  mkdirSync(KEPT, { recursive: true })
  for (const name of readdirSync(KEPT)) if (name.endsWith('.webp')) rmSync(join(KEPT, name))
  const table = await context.newPage()
  const taken: string[] = []

  async function picture(name: string, of: Page = page): Promise<void> {
    const number = String(taken.length + 1).padStart(2, '0')
    const pictures: Shot[] = []
    for (const { width, scheme, say } of shots) {
      await of.emulateMedia({ colorScheme: scheme })
      await showWhole(of, width)
      const png = await of.screenshot({ path: join(folder, `${number}-${name}-${width}-${scheme}.png`) })
      pictures.push({ png, width, say })
      if (width === 1440 && scheme === 'light')
        pictures.push({ png, width, say: '1440 px, without colours', grey: true })
    }
    await of.emulateMedia({ colorScheme: 'light' })
    await of.setViewportSize({ width: 1440, height: 900 })
    writeFileSync(join(KEPT, `${number}-${name}.webp`), await drawSheet(table, pictures))
    taken.push(`${number}-${name}`)
  }

  for (const [name, path, heading] of [
    ['front', '/', 'Phone numbers for one code each'],
    ['sign-in', '/sign-in', 'Sign in'],
    ['sign-in-first', '/billing', 'Sign in to see this page'],
    ['join', '/join', 'Join'],
    ['check-mail', '/join/check-mail', 'Check your mail'],
    ['confirm', '/join/confirm#no-such-token', 'Confirm your e-mail'],
    ['link-missing', '/password/reset', 'Open the link in the mail'],
    ['password-forgotten', '/password/forgotten', 'Forgotten password'],
    ['status-not-known', '/status', 'Status'],
    ['help', '/help', 'Help'],
    ['help-article', '/help/paying-by-crypto', 'Topping up with crypto'],
    ['terms', '/terms', 'Terms'],
    ['privacy', '/privacy', 'Privacy'],
    ['acceptable-use', '/acceptable-use', 'Acceptable use'],
    ['refund-policy', '/refund-policy', 'Refund policy'],
    ['not-found', '/nowhere', 'Not found'],
    ['api', '/api/docs', 'API'],
  ] as const) {
    await page.goto(path)
    await expect(page.getByRole('heading', { level: 1, name: heading, exact: true })).toBeVisible()
    if (path === '/') await expect(page.getByRole('link', { name: /^Order: / })).toHaveCount(6)
    if (path === '/status') await expect(page.getByRole('region', { name: 'E-mail from us' })).toBeVisible()
    await picture(name)
  }
  await page.goto('/password/reset#no-such-token')
  await page.getByRole('textbox', { name: 'New password' }).fill('engines weave algebra')
  await page.getByRole('button', { name: 'Change the password' }).click()
  await expect(page.getByRole('heading', { level: 1, name: 'This link does not work' })).toBeVisible()
  await picture('link-does-not-work')
  await page.goto('/join')
  await page.getByRole('main').getByRole('button', { name: 'Join' }).click()
  await expect(page.getByRole('alert')).toBeVisible()
  await picture('join-refused')
  await page.goto('/sign-in')
  await page.getByRole('textbox', { name: 'Username' }).fill('demo')
  await page.getByRole('textbox', { name: 'Password' }).fill('wrong')
  await page.getByRole('button', { name: 'Sign in' }).click()
  await expect(page.getByRole('alert')).toBeVisible()
  await picture('sign-in-refused')

  await signIn(page)
  await expect(page.getByText('You have no credits yet.')).toBeVisible()
  await picture('home-empty')
  await goTo(page, 'Billing History')
  await expect(page.getByText('Your movements will stand here.')).toBeVisible()
  await picture('billing-empty')

  await goTo(page, 'Top-Up')
  await picture('top-up')
  await page.getByRole('radio', { name: 'Other' }).check()
  await page.getByRole('textbox', { name: 'Other amount' }).fill('4.99')
  await page.getByRole('button', { name: /by card$/ }).click()
  await expect(page.getByRole('alert')).toBeVisible()
  await picture('top-up-refused-amount')
  await page.getByRole('radio', { name: '$10', exact: true }).check()
  await startPaying(page, '$10.00')
  await picture('payment-page')
  await payBy(page, cards.asks)
  await picture('bank-asks')
  await answerBank(page, 'Fail')
  await expect(page.getByText('The bank did not confirm that it was you.')).toBeVisible()
  await picture('payment-page-not-confirmed')
  await page.getByRole('link', { name: /^Back to / }).click()
  await expect(page.getByText('No money was taken.').first()).toBeVisible()
  await picture('return-not-paid')
  await goTo(page, 'Billing History')
  await expect(page.getByRole('link', { name: 'Go on paying' })).toBeVisible()
  await expect(page.getByText('Your movements will stand here.')).toBeVisible()
  await picture('billing-top-up-open')
  await goTo(page, 'Top-Up')
  await startPaying(page, '$10.00')
  await payBy(page, cards.notEnrolled)
  await expect(page.getByText(/^Your bank did not verify this card/)).toBeVisible()
  await picture('return-refused')
  await topUp(page)
  await picture('return-credited')

  await goTo(page, 'Top-Up')
  await page.getByRole('radio', { name: 'Crypto' }).check()
  await page.getByRole('radio', { name: '$5', exact: true }).check()
  await page.getByRole('radio', { name: /^Bitcoin/ }).check()
  await picture('top-up-crypto')
  // A new page, with its own first choice.
  await goTo(page, 'Home')
  await startPayingIn(page, /^Tether/, 'Pay $10.00 in USDT')
  await picture('crypto-token')
  await startPayingIn(page, /^Litecoin/, 'Pay $10.00 in LTC')
  await picture('crypto-pay')
  await showWhole(page, README_PICTURE_WIDTH)
  mkdirSync(join(CRYPTO_PICTURE, '..'), { recursive: true })
  await page.screenshot({ path: CRYPTO_PICTURE })
  expect(statSync(CRYPTO_PICTURE).size).toBeLessThan(README_PICTURE_BYTES_MAX)
  await page.setViewportSize({ width: 1440, height: 900 })
  const chains = await payAtDesk(page)
  await world.control('/chains/ltc/mine', { blocks: 1 })
  await expect(page.getByText(/^We see your payment\. 1 of 3/)).toBeVisible()
  await picture('crypto-on-its-way')
  await world.control('/chains/ltc/reorg', { depth: 1, drop: false })
  await expect(page.getByRole('status').filter({ hasText: /^The chain took back/ })).toBeVisible()
  await picture('crypto-taken-back')
  await picture('desk-chains', chains)
  await chains.close()
  await world.control('/chains/ltc/mine', { blocks: 3 })
  await expect(page.getByText(/^\$10\.00 added\./)).toBeVisible()
  await picture('crypto-credited')
  await page.getByRole('link', { name: 'Receipt' }).click()
  await expect(page.getByRole('heading', { level: 1, name: 'Receipt' })).toBeVisible()
  await picture('crypto-receipt')

  await goTo(page, 'Numbers')
  await expect(page.getByRole('button', { name: /^Order: / }).first()).toBeVisible()
  await picture('numbers')
  await order(page, 'Telegram', 'United Kingdom')
  await expect(page.getByText(/Held, not charged/)).toBeVisible()
  await picture('order-waiting')
  const desk = await openDesk(page)
  await desk.getByRole('button', { name: /^Send a code/ }).click()
  await expect(page.getByText(/Code received at/)).toBeVisible()
  await picture('order-received')
  await goTo(page, 'Numbers')
  await order(page, 'WhatsApp', 'Germany')
  await desk.getByRole('button', { name: /^Send a text without a code.* to \+49/ }).click()
  await expect(page.getByText(/A message came without a code\. We show it/)).toBeVisible()
  await picture('order-text-without-code')
  await desk.getByRole('button', { name: '+20 min' }).click()
  await expect(page.getByText('No code came. The $1.65 is yours again')).toBeVisible()
  await picture('order-no-code')

  await goTo(page, 'Numbers')
  await order(page, 'Signal', 'France')
  await expect(desk.getByText(/Waits until/)).toBeVisible()
  await picture('desk', desk)
  await desk.getByRole('link', { name: 'Mailbox' }).first().click()
  await expect(desk.getByRole('link', { name: 'Receipt: $10.00 added' })).toBeVisible()
  await picture('mailbox', desk)
  await desk.getByRole('link', { name: 'Receipt: $10.00 added' }).click()
  await expect(desk.frameLocator('iframe').getByRole('heading', { name: 'Receipt: $10.00 added' })).toBeVisible()
  await picture('mailbox-receipt', desk)
  await goTo(page, 'Billing History')
  await expect(page.getByText('Top-up by Visa ending in 3220')).toBeVisible()
  await picture('billing')
  await page.goto('/numbers/orders')
  await expect(page.getByRole('table').getByRole('row')).toHaveCount(5)
  await picture('orders')
  for (const section of ['Profile', 'Sign-in and security', 'API keys', 'Mails']) {
    await page.goto('/settings')
    await page.getByRole('navigation', { name: 'Settings' }).getByRole('link', { name: section }).click()
    await expect(page.getByRole('heading', { level: 1, name: section })).toBeVisible()
    await expect(page.getByRole('main').getByText('Loading', { exact: true })).toHaveCount(0)
    await picture(`settings-${section.toLowerCase().replaceAll(' ', '-')}`)
  }
  await page.goto('/status')
  await expect(page.getByRole('region', { name: 'Top-ups by card' })).toContainText('Works.')
  await picture('status')
  await goHome(page)
  await picture('home')
  await showWhole(page, README_PICTURE_WIDTH)
  mkdirSync(join(README_PICTURE, '..'), { recursive: true })
  await page.screenshot({ path: README_PICTURE })
  expect(statSync(README_PICTURE).size).toBeLessThan(README_PICTURE_BYTES_MAX)

  // The longest values: a name of 30 letters, the most that one top-up brings, a message of many lines.
  const long = await world.customer({ name: 'wolfeschlegelsteinhausenberger', credit: '1000.00' })
  await page.getByRole('button', { name: 'Sign out' }).click()
  await page.goto('/sign-in')
  await page.getByRole('textbox', { name: 'Username' }).fill(long.name)
  await page.getByRole('textbox', { name: 'Password' }).fill(long.password)
  await page.getByRole('button', { name: 'Sign in' }).click()
  await goTo(page, 'Numbers')
  await order(page, 'Telegram', 'United Kingdom')
  await desk.goto(world.sandbox.url)
  await expect(page.getByText(/Held, not charged/)).toBeVisible()
  const { body: open } = await long.get<{ items: { phone_number: string }[] }>('/api/v1/orders?status=open')
  await world.sms({
    to: open.items[0]!.phone_number,
    from: 'Telegram',
    text: `Code 482771. ${'Do not share it. '.repeat(20)}`,
  })
  await expect(page.getByText(/Code received at/)).toBeVisible()
  await picture('long-order')
  await goTo(page, 'Home')
  await expect(page.getByText('$998.80').first()).toBeVisible()
  await picture('long-home')
  await goTo(page, 'Billing History')
  await expect(page.getByText('$998.80').first()).toBeVisible()
  await picture('long-billing')
  await page.goto('/settings/keys')
  await page.getByRole('textbox', { name: 'Name' }).fill('Donaudampfschifffahrtsgesellschaftskapitän im Hafen von Wien')
  await page.getByRole('checkbox', { name: 'Order numbers' }).check()
  await page.getByRole('textbox', { name: 'Daily cap' }).fill('1000.00')
  await page
    .getByRole('textbox', { name: 'Only from these addresses' })
    .fill('2001:db8:ffff:ffff:ffff:ffff:ffff:0/112 2001:db8:ffff:ffff:ffff:ffff:ffff:ffff 198.51.100.0/24')
  await page.getByRole('radio', { name: 'In a year' }).check()
  await page.getByRole('button', { name: 'Make the key' }).click()
  await expect(page.getByRole('article', { name: /^The new key/ })).toBeVisible()
  await page.getByRole('button', { name: 'Revoke the key First key' }).click()
  await picture('long-key')

  // Broken: the server does not answer.
  await context.setOffline(true)
  await page.getByRole('navigation', { name: 'Rooms' }).getByRole('link', { name: 'Numbers' }).click()
  await expect(page.getByText('The server did not answer, so this cannot be shown.').first()).toBeVisible()
  await picture('no-connection')
  await context.setOffline(false)

  const bytes = taken.reduce((sum, name) => sum + statSync(join(KEPT, `${name}.webp`)).size, 0)
  expect(bytes, 'what is kept stays small').toBeLessThan(KEPT_BYTES_MAX)
  writeFileSync(
    join(KEPT, 'README.md'),
    `# Pictures of every page

By \`npm run pictures\`. Each sheet shows one page: wide, without colours, dark, middle, at 200 % zoom, narrow, narrow and dark.
Of a long page the first ${HEIGHT_MAX} px are shown.

${taken.map((name) => `- [${name.slice(3).replaceAll('-', ' ')}](${name}.webp)`).join('\n')}
`,
  )
})

/** Home with all that stands there at the end: an open order, prices of its service, five movements under their heads. */
async function goHome(page: Page): Promise<void> {
  await goTo(page, 'Home')
  await expect(page.getByRole('article', { name: /^Order / })).toBeVisible()
  await expect(page.getByRole('button', { name: /^Order: Signal, / })).toHaveCount(6)
  await expect(page.getByRole('table', { name: 'Last movements' }).getByRole('row')).toHaveCount(6)
}

/** Makes the window as high as the page, so that what sticks to its edges stands where it would. */
async function showWhole(page: Page, width: number): Promise<void> {
  await page.setViewportSize({ width, height: HEIGHT_MIN })
  const height = await page.evaluate<number>('document.documentElement.scrollHeight')
  await page.setViewportSize({ width, height: Math.min(Math.max(height, HEIGHT_MIN), HEIGHT_MAX) })
}
