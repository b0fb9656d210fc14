/** The pages for everybody: what a stranger reads, how he joins, and that none of them leaves anybody out. */
import type { Page } from '@playwright/test'
import { until } from '../until.ts'
import { expect, inspect, test } from './browser.ts'
import { expectBalance, goTo, signIn } from './person.ts'

const readable = [
  { path: '/', title: 'Phone numbers for one code each' },
  { path: '/sign-in', title: 'Sign in' },
  { path: '/join', title: 'Join' },
  { path: '/join/check-mail', title: 'Check your mail' },
  { path: '/join/confirm', title: 'Open the link in the mail' },
  { path: '/join/confirm#no-such-token', title: 'Confirm your e-mail' },
  { path: '/email/confirm#no-such-token', title: 'Confirm your new e-mail' },
  { path: '/password/forgotten', title: 'Forgotten password' },
  { path: '/password/reset#no-such-token', title: 'Choose a new password' },
  { path: '/status', title: 'Status' },
  { path: '/help', title: 'Help' },
  { path: '/help?q=wallet', title: 'Help' },
  { path: '/help/paying-by-card', title: 'Topping up by card, and 3-D Secure' },
  { path: '/terms', title: 'Terms' },
  { path: '/privacy', title: 'Privacy' },
  { path: '/acceptable-use', title: 'Acceptable use' },
  { path: '/refund-policy', title: 'Refund policy' },
  { path: '/nowhere', title: 'Not found' },
  { path: '/billing', title: 'Sign in to see this page' },
]

test('every page for everybody can be read by everybody: light and dark, wide, narrow and enlarged', async ({
  page,
}) => {
  test.setTimeout(600_000)
  for (const { path, title } of readable) {
    await test.step(path, async () => {
      await page.goto(path)
      await expect(page.getByRole('heading', { level: 1, name: title, exact: true })).toBeVisible()
      await expect(page).toHaveTitle(/ · MobileSMS$/)
      await expect(page.getByRole('contentinfo').getByRole('link', { name: 'Terms' })).toBeVisible()
      await inspect(page)
      for (const [width, what] of [
        [768, 'a tablet'],
        // What a window of 1280 px shows at 200 % zoom, and at the 400 % that WCAG 1.4.10 asks for.
        [640, 'twice the size'],
        [320, 'four times the size'],
      ] as const)
        await expectNothingBeside(page, width, `${path} on ${what}`)
    })
  }
})

test('the prices are searched while one types, and ordering leads through the sign-in to the row', async ({ page }) => {
  await page.goto('/')
  const prices = page.getByRole('table', { name: 'What numbers cost' })
  await expect(prices.getByRole('row')).toHaveCount(7)
  await page.getByRole('searchbox', { name: 'Service or country' }).fill('telegram +44')
  await expect(prices.getByRole('row')).toHaveCount(2)
  await expect(prices.getByRole('row', { name: /Telegram United Kingdom/ })).toContainText('$1.20')
  await page.getByRole('searchbox', { name: 'Service or country' }).fill('zeppelin')
  await expect(prices.getByText('Nothing is called “zeppelin”.')).toBeVisible()

  await page.getByRole('searchbox', { name: 'Service or country' }).fill('signal poland')
  await prices.getByRole('link', { name: 'Order: Signal, Poland, $0.69' }).click()
  await expect(page.getByRole('heading', { level: 1, name: 'Sign in' })).toBeVisible()
  await page.getByRole('button', { name: 'Use the demo account' }).click()
  await expect(page.getByRole('heading', { level: 1, name: 'Numbers' })).toBeVisible()
  await expect(page.getByRole('searchbox', { name: 'Service or country' })).toHaveValue('Signal Poland')
  await expect(page.getByRole('table', { name: 'Numbers to order' }).getByRole('row')).toHaveCount(2)
})

test('a sign-in leads where one wanted to go, and to no other site', async ({ page, baseURL }) => {
  await page.goto('/billing?type=topup')
  await expect(page.getByText('Sign in to see this page')).toBeVisible()
  await page.getByRole('textbox', { name: 'Username' }).fill('demo')
  await page.getByRole('textbox', { name: 'Password' }).fill('wrong')
  await page.getByRole('button', { name: 'Sign in' }).click()
  await expect(page.getByRole('alert')).toBeFocused()
  await page.getByRole('textbox', { name: 'Password' }).fill('demo-password')
  await page.getByRole('button', { name: 'Show the password' }).click()
  await expect(page.getByRole('textbox', { name: 'Password' })).toHaveAttribute('type', 'text')
  await page.getByRole('button', { name: 'Sign in' }).click()
  await expect(page.getByRole('table', { name: 'Billing History' })).toBeVisible()
  expect(page.url()).toBe(`${baseURL}/billing?type=topup`)
  await page.getByRole('button', { name: 'Sign out' }).click()

  await page.goto('/sign-in?next=//evil.example/')
  await page.getByRole('button', { name: 'Use the demo account' }).click()
  await expect(page.getByRole('heading', { level: 1, name: 'Home' })).toBeVisible()
  expect(page.url()).toBe(`${baseURL}/`)
})

test('joining says what is missing beside each field and above all of them, and keeps what was typed', async ({
  page,
}) => {
  await page.goto('/join')
  await page.getByRole('main').getByRole('button', { name: 'Join' }).click()
  const summary = page.getByRole('alert')
  await expect(summary).toBeFocused()
  await expect(summary.getByRole('listitem')).toHaveCount(5)
  await inspect(page)
  await summary.getByRole('link', { name: 'Give your e-mail address.' }).click()
  await expect(page.getByRole('textbox', { name: 'E-mail' })).toBeFocused()

  await fillJoin(page, { username: 'eve', email: 'eve@strangers.example', password: 'password' })
  await page.getByRole('main').getByRole('button', { name: 'Join' }).click()
  await expect(summary.getByRole('listitem')).toHaveCount(1)
  await expect(page.getByRole('textbox', { name: 'Password' })).toHaveAccessibleDescription(
    /among those that are tried first/,
  )
  await expect(page.getByRole('textbox', { name: 'Username' })).toHaveValue('eve')
  await inspect(page)

  await page.getByRole('textbox', { name: 'Password' }).fill('engines weave algebra')
  await expect(page.getByText('21 characters: good.')).toBeVisible()
  await page.getByRole('main').getByRole('button', { name: 'Join' }).click()
  await expect(page.getByRole('heading', { level: 1, name: 'Check your mail' })).toBeFocused()
  await expect(page.getByText('eve@strangers.example')).toBeVisible()
  expect(page.url(), 'no address of a person in the address of a page').not.toContain('eve')
  await expect(page.getByRole('button', { name: 'Send it again' })).toBeDisabled()
  await expect(page.getByText(/^Possible in \d+ seconds?\.$/)).toBeVisible()
  await inspect(page)
})

test('who wanted a number before joining stands before it afterwards, under another name if need be', async ({
  page,
  world,
}) => {
  await page.goto('/')
  await page.getByRole('searchbox', { name: 'Service or country' }).fill('signal poland')
  await page.getByRole('link', { name: 'Order: Signal, Poland, $0.69' }).click()
  await page.getByRole('main').getByRole('link', { name: 'Join instead' }).click()
  await fillJoin(page, { username: 'fay', email: 'fay@strangers.example', password: 'engines weave algebra' })
  await page.getByRole('main').getByRole('button', { name: 'Join' }).click()
  await expect(page.getByRole('heading', { level: 1, name: 'Check your mail' })).toBeVisible()
  const { links } = await world.mail('fay@strangers.example')
  await world.customer({ name: 'fay' })

  await page.goto(links.find((link) => link.includes('/join/confirm#'))!)
  await page.getByRole('button', { name: 'Make the account' }).click()
  await expect(page.getByRole('alert')).toBeFocused()
  await inspect(page)
  await page.getByRole('textbox', { name: 'Another username' }).fill('fay.w')
  await page.getByRole('button', { name: 'Make the account' }).click()
  await expect(page.getByRole('heading', { level: 1, name: 'Numbers' })).toBeVisible()
  await expect(page.getByRole('searchbox', { name: 'Service or country' })).toHaveValue('Signal Poland')
  await expect(page.getByRole('complementary').or(page.getByText('fay.w')).first()).toBeVisible()
})

test('a link opened in another browser asks for the password, and a link that is used up says so', async ({
  page,
  world,
  browser,
  baseURL,
}) => {
  await page.goto('/join')
  await fillJoin(page, { username: 'gil', email: 'gil@strangers.example', password: 'engines weave algebra' })
  await page.getByRole('main').getByRole('button', { name: 'Join' }).click()
  const { links } = await world.mail('gil@strangers.example')
  const link = links.find((each) => each.includes('/join/confirm#'))!

  const phone = await (await browser.newContext({ baseURL: baseURL! })).newPage()
  await phone.goto(link)
  await phone.getByRole('button', { name: 'Make the account' }).click()
  await expect(phone.getByRole('alert')).toBeFocused()
  await inspect(phone)
  await phone.getByRole('textbox', { name: 'Password' }).fill('engines weave algebra')
  await phone.getByRole('button', { name: 'Make the account' }).click()
  await expect(phone.getByRole('heading', { level: 1, name: 'Home' })).toBeVisible()
  await phone.context().close()

  await page.goto(link)
  await page.getByRole('button', { name: 'Make the account' }).click()
  await expect(page.getByRole('heading', { level: 1, name: 'This link does not work' })).toBeVisible()
  await inspect(page)
  await page.getByRole('main').getByRole('link', { name: 'Sign in' }).click()
  await expect(page.getByRole('heading', { level: 1, name: 'Sign in' })).toBeVisible()
})

test('a forgotten password is replaced by the link of a mail', async ({ page, world }) => {
  await page.goto('/join')
  await fillJoin(page, { username: 'hal', email: 'hal@strangers.example', password: 'engines weave algebra' })
  await page.getByRole('main').getByRole('button', { name: 'Join' }).click()
  const { links } = await world.mail('hal@strangers.example')
  await page.goto(links.find((each) => each.includes('/join/confirm#'))!)
  await page.getByRole('button', { name: 'Make the account' }).click()
  await expect(page.getByText('Your movements will stand here.')).toBeVisible()
  await page.getByRole('button', { name: 'Sign out' }).click()

  await page.getByRole('main').getByRole('link', { name: 'Forgotten password' }).click()
  await page.getByRole('button', { name: 'Send the link' }).click()
  await expect(page.getByRole('alert')).toBeFocused()
  await inspect(page)
  await page.getByRole('textbox', { name: 'Username or e-mail' }).fill('hal')
  await page.getByRole('button', { name: 'Send the link' }).click()
  await expect(page.getByRole('heading', { level: 1, name: 'Check your mail' })).toBeVisible()
  await inspect(page)
  const reset = await until(async () =>
    (await world.mail('hal@strangers.example', /password/i)).links.find((each) => each.includes('/password/reset#')),
  )
  await page.goto(reset)
  await expect(page, 'the token has left the address').toHaveURL(/\/password\/reset$/)
  await page.getByRole('textbox', { name: 'New password' }).fill('short')
  await page.getByRole('button', { name: 'Change the password' }).click()
  await expect(page.getByRole('alert')).toBeFocused()
  await inspect(page)
  await page.getByRole('textbox', { name: 'New password' }).fill('looms and flowers, 1843')
  await page.getByRole('button', { name: 'Change the password' }).click()
  await expect(page.getByRole('heading', { level: 1, name: 'Your password is changed' })).toBeVisible()
  await inspect(page)
  await page.getByRole('main').getByRole('link', { name: 'Sign in' }).click()
  await page.getByRole('textbox', { name: 'Username' }).fill('hal')
  await page.getByRole('textbox', { name: 'Password' }).fill('looms and flowers, 1843')
  await page.getByRole('button', { name: 'Sign in' }).click()
  await expect(page.getByRole('heading', { level: 1, name: 'Home' })).toBeVisible()
})

test('policies and help have addresses for their parts, versions and searches', async ({ page }) => {
  await page.goto('/terms')
  await page.getByRole('navigation', { name: 'On this page' }).getByRole('link', { name: 'Ending it' }).click()
  await expect(page).toHaveURL(/\/terms#ending$/)
  await expect(page.getByRole('heading', { level: 2, name: 'Ending it' })).toBeInViewport()
  await page.goto('/terms?version=2026-11-23')
  await expect(page.getByText('In force since 23 November 2026.')).toBeVisible()
  await page.goto('/terms?version=1999-01-01')
  await expect(page.getByRole('heading', { level: 1, name: 'Not found' })).toBeVisible()

  await page.goto('/help')
  await page.getByRole('searchbox', { name: 'Search the articles' }).fill('late')
  await expect(page).toHaveURL(/\/help\?q=late$/)
  await page.getByRole('main').getByRole('link', { name: 'Late codes', exact: true }).first().click()
  await expect(page.getByRole('heading', { level: 1, name: 'Late codes' })).toBeFocused()
  await page.getByRole('navigation', { name: 'Where this page stands' }).getByRole('link', { name: 'Help' }).click()
  await expect(page.getByRole('heading', { level: 1, name: 'Help' })).toBeFocused()
})

test('the status says what was seen, and signed in everything for everybody is there, too', async ({ page }) => {
  await page.goto('/status')
  await expect(page.getByRole('region', { name: 'Pages and API' })).toContainText('Works.')
  await expect(page.getByRole('region', { name: 'Top-ups by card' })).toContainText('Not known.')
  await signIn(page)
  for (const path of ['/status', '/help', '/terms', '/nowhere']) {
    await page.goto(path)
    await expect(page.getByRole('heading', { level: 1 })).toBeVisible()
    await expect(page.getByRole('navigation', { name: 'Rooms' })).toBeVisible()
    await inspect(page)
  }
  await page.goto('/sign-in?next=/billing')
  await expect(page.getByRole('heading', { level: 1, name: 'Billing History' })).toBeVisible()
})

test('a stranger needs no mouse', async ({ page }) => {
  await page.goto('/')
  await expect(page.getByRole('heading', { level: 1 })).toBeVisible()
  await page.keyboard.press('Tab')
  await expect(page.getByRole('link', { name: 'To the content' })).toBeFocused()
  await page.keyboard.press('Enter')
  await page.keyboard.press('Tab')
  await expect(page.getByRole('main').getByRole('link', { name: 'Join', exact: true })).toBeFocused()
  await page.keyboard.press('Enter')
  await expect(page.getByRole('heading', { level: 1, name: 'Join' })).toBeFocused()
  for (const typed of ['ivy', 'ivy@strangers.example', 'engines weave algebra']) {
    await tabTo(page, 'input')
    await page.keyboard.type(typed)
  }
  for (let boxes = 0; boxes < 2; boxes += 1) {
    await tabTo(page, 'input')
    await page.keyboard.press('Space')
  }
  await tabTo(page, 'main button[type=submit]')
  await page.keyboard.press('Enter')
  await expect(page.getByRole('heading', { level: 1, name: 'Check your mail' })).toBeFocused()
})

test('without a connection the page says so and says that no money moved; with one it goes on', async ({
  page,
  context,
}) => {
  await signIn(page)
  await context.setOffline(true)
  await goTo(page, 'Billing History')
  await expect(page.getByText('The server did not answer, so this cannot be shown.')).toBeVisible({ timeout: 30_000 })
  await expect(page.getByText('Nothing was done to your money.')).toBeVisible()
  await context.setOffline(false)
  // By itself, once there is a connection.
  await expect(page.getByText('Your movements will stand here.')).toBeVisible()
  await goTo(page, 'Home')
  await expectBalance(page, { available: '$0.00', held: '$0.00' })
})

test('a long name, a wide colour and a seller of many words break no page', async ({ page }) => {
  await page.route('**/api/v1/site', async (route) => {
    const answer = await route.fetch()
    const site = await answer.json()
    site.brand = { name: 'Verification Numbers of Aberystwyth Inc', link_colour: '#8a0f5c' }
    site.seller = { name: 'A'.repeat(120), address: 'B'.repeat(200), support_email: `${'c'.repeat(60)}@sms.example` }
    await route.fulfill({ response: answer, json: site })
  })
  for (const path of ['/', '/terms', '/help/reaching-us']) {
    await page.goto(path)
    await expect(page.getByRole('heading', { level: 1 })).toBeVisible()
    await inspect(page)
    expect(
      await page.evaluate<string>("getComputedStyle(document.querySelector('footer a')).color"),
      'links are of the brand',
    ).toBe('rgb(138, 15, 92)')
  }
})

async function fillJoin(page: Page, who: { username: string; email: string; password: string }): Promise<void> {
  await page.getByRole('textbox', { name: 'Username' }).fill(who.username)
  await page.getByRole('textbox', { name: 'E-mail' }).fill(who.email)
  await page.getByRole('textbox', { name: 'Password' }).fill(who.password)
  await page.getByRole('checkbox', { name: 'I am 18 or over.' }).check()
  await page.getByRole('checkbox', { name: /accept the four policies/ }).check()
}

/** Nothing to scroll sideways for at this width. Unit: px. */
async function expectNothingBeside(page: Page, width: number, what: string): Promise<void> {
  const before = page.viewportSize()!
  await page.setViewportSize({ width, height: 800 })
  await expect
    .poll(
      () => page.evaluate<number>('document.documentElement.scrollWidth - document.documentElement.clientWidth'),
      `how far ${what} scrolls sideways`,
    )
    .toBeLessThanOrEqual(0)
  await page.setViewportSize(before)
}

const TABS_MAX = 20
async function tabTo(page: Page, selector: string): Promise<void> {
  for (let tabs = 0; tabs < TABS_MAX; tabs += 1) {
    await page.keyboard.press('Tab')
    if (await page.locator(selector).and(page.locator(':focus')).count()) return
  }
  throw new Error(`${TABS_MAX} times Tab on ${page.url()} did not reach ${selector}`)
}
