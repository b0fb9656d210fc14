/** Settings: what an account says about itself, who is signed in to it, and the keys of its programs. */
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import type { Page } from '@playwright/test'
import pg from 'pg'
import { until } from '../until.ts'
import { expect, inspect, test } from './browser.ts'
import { signIn, topUp } from './person.ts'

const run = promisify(execFile)
const COMMAND_MS_MAX = 30_000

async function openSettings(page: Page, section = 'Profile'): Promise<void> {
  await page.getByRole('navigation', { name: 'Rooms' }).getByRole('link', { name: 'Settings' }).click()
  await expect(page.getByRole('heading', { level: 1, name: 'Profile' })).toBeVisible()
  if (section === 'Profile') return
  await page.getByRole('navigation', { name: 'Settings' }).getByRole('link', { name: section }).click()
  await expect(page.getByRole('heading', { level: 1, name: section })).toBeVisible()
}

test('a key is made in the page, and the line that stands there works as it is, until the key is revoked', async ({
  page,
  context,
}) => {
  test.slow() // the page is looked at in each of its states
  await context.grantPermissions(['clipboard-read', 'clipboard-write'])
  await signIn(page)
  await openSettings(page, 'API keys')
  await inspect(page)

  await test.step('a form that is not filled in says what is missing, above and beside it', async () => {
    await page.getByRole('checkbox', { name: 'Read' }).uncheck()
    await page.getByRole('button', { name: 'Make the key' }).click()
    await expect(page.getByRole('alert')).toBeFocused()
    await expect(page.getByRole('alert')).toContainText('No key was made')
    await expect(page.getByRole('textbox', { name: 'Name' })).toHaveAccessibleDescription(/Give the key a name/)
    await page.getByRole('link', { name: /Give the key a name/ }).click()
    await expect(page.getByRole('textbox', { name: 'Name' })).toBeFocused()
    await inspect(page)
  })

  await test.step('what the server refuses stands under its field', async () => {
    await page.getByRole('textbox', { name: 'Name' }).fill('Server in Frankfurt')
    await page.getByRole('checkbox', { name: 'Read' }).check()
    await page.getByRole('checkbox', { name: 'Order numbers' }).check()
    await page.getByRole('textbox', { name: 'Daily cap' }).fill('25')
    await page.getByRole('textbox', { name: 'Only from these addresses' }).fill('127.0.0.0/8\n::1\n192.0.2.300')
    await page.getByRole('radio', { name: 'In 90 days' }).check()
    await page.getByRole('button', { name: 'Make the key' }).click()
    await expect(page.getByRole('textbox', { name: 'Only from these addresses' })).toHaveAccessibleDescription(
      /"192\.0\.2\.300" is neither an address nor a network/,
    )
    await page.getByRole('textbox', { name: 'Only from these addresses' }).fill('127.0.0.0/8\n::1')
    await page.getByRole('button', { name: 'Make the key' }).click()
  })

  const slip = page.getByRole('article', { name: 'The new key Server in Frankfurt' })
  await expect(slip.getByRole('heading')).toBeFocused()
  await inspect(page)
  await slip.getByRole('button', { name: 'Copy the line' }).click()
  const line = await page.evaluate<string>('navigator.clipboard.readText()')
  expect(line).toMatch(/^curl -H "Authorization: Bearer msk_[0-9A-Za-z]{32}" http:\/\/localhost:\d+\/api\/v1\/balance$/)
  const said = async () => JSON.parse((await run('sh', ['-c', `${line} -sS`], { timeout: COMMAND_MS_MAX })).stdout)
  expect(await said()).toMatchObject({ currency: 'USD', available: '0.00' })

  await test.step('the list knows it by its first letters, and when it was used', async () => {
    await slip.getByRole('button', { name: 'I have copied it' }).click()
    await expect(slip).toHaveCount(0)
    const key = /msk_\w+/.exec(line)![0]
    const row = page.getByRole('table', { name: 'Keys that work' }).getByRole('row', { name: /Server in Frankfurt/ })
    await expect(row).toContainText(`${key.slice(0, 8)}…`)
    await expect(row).toContainText('read, order')
    await expect(row).toContainText('$25.00')
    expect(await page.content()).not.toContain(key)
    await expect
      .poll(async () => {
        await page.reload()
        return row.textContent()
      })
      .toMatch(/from 127\.0\.0\.1|from ::1/)
  })

  await test.step('revoking says first what follows', async () => {
    await page.getByRole('button', { name: 'Revoke the key Server in Frankfurt' }).click()
    await expect(page.getByText(/Every program that uses “Server in Frankfurt” is refused from then on/)).toBeVisible()
    await inspect(page)
    await page.getByRole('button', { name: /^Revoke msk_/ }).click()
    await expect(
      page.getByText('“Server in Frankfurt” is revoked. Nothing can be done with it any more.'),
    ).toBeVisible()
    await expect(page.getByRole('alert')).toBeFocused()
    const ended = page.getByRole('table', { name: 'Keys that have ended' })
    await expect(ended.getByRole('row', { name: /Server in Frankfurt.*revoked/ })).toBeVisible()
    expect(await said()).toMatchObject({
      code: 'unauthenticated',
      detail: expect.stringContaining('revoked'),
    })
    await inspect(page)
  })
})

test('times on every page follow the time zone at once, and each page names it', async ({ page }) => {
  await signIn(page)
  await topUp(page)
  const when = async () => {
    await page.getByRole('navigation', { name: 'Rooms' }).getByRole('link', { name: 'Billing History' }).click()
    await expect(page.getByText('Times in')).toBeVisible()
    const row = page.getByRole('table', { name: 'Billing History' }).getByRole('row', { name: /Top-up by Visa/ })
    return {
      time: (await row.getByRole('cell').first().textContent())!,
      zone: await page.getByText(/^Times in/).textContent(),
    }
  }
  const before = await when()
  expect(before.zone).toContain('UTC')

  await openSettings(page)
  const field = page.getByRole('combobox', { name: 'Time zone' })
  await field.click()
  await field.fill('europe/berlin')
  await field.press('Tab')
  await expect(field).toHaveValue('Europe/Berlin')
  await field.press('ArrowDown')
  await expect(page.getByRole('option', { name: 'Europe/Berlin' })).toHaveAttribute('aria-selected', 'true')
  await field.press('Escape')
  await expect(page.getByRole('listbox')).toHaveCount(0)
  await expect(field).toHaveValue('Europe/Berlin')
  await field.fill('kathmandu')
  await expect(page.getByRole('option')).toHaveCount(1)
  await field.fill('nowhere at all')
  await expect(page.getByText('There is no time zone of that name.')).toBeVisible()
  await field.fill('kolkata')
  await expect(page.getByRole('option', { name: /Calcutta|Kolkata/ })).toBeVisible()
  await inspect(page)
  await field.press('Enter')
  await expect(field).toHaveValue(/Calcutta|Kolkata/)
  await page.getByRole('button', { name: 'Save the time zone' }).click()
  await expect(page.getByText('Saved', { exact: true })).toBeVisible()

  const after = await when()
  expect(after.zone).toMatch(/Calcutta|Kolkata/)
  expect(minutesOf(after.time)).toBe((minutesOf(before.time) + 330) % (24 * 60))
})

function minutesOf(time: string): number {
  const [hours, minutes] = time.split(':').map(Number)
  return hours! * 60 + minutes!
}

test('what stands on receipts and which mails come is kept, with the longest values, at every width', async ({
  page,
}) => {
  await signIn(page)
  await openSettings(page)
  await page
    .getByRole('textbox', { name: 'Company' })
    .fill('Donaudampfschifffahrtsgesellschaft '.repeat(4).slice(0, 120))
  await page.getByRole('textbox', { name: 'Tax id' }).fill('DE'.repeat(20))
  await page.getByRole('button', { name: 'Save company and tax id' }).click()
  await expect(page.getByText('Saved', { exact: true })).toBeVisible()
  await inspect(page)
  await page.getByRole('navigation', { name: 'Settings' }).getByRole('link', { name: 'Mails' }).click()
  await expect(page.getByText(/cannot be switched off/)).toBeVisible()
  await page.getByRole('checkbox', { name: 'A mail when a new browser signs in' }).uncheck()
  await page.getByRole('button', { name: 'Save the choice of mails' }).click()
  await expect(page.getByText('Saved', { exact: true })).toBeVisible()
  await inspect(page)
  await page.reload()
  await expect(page.getByRole('checkbox', { name: 'A mail when a new browser signs in' })).not.toBeChecked()
  await expect(page.getByRole('checkbox', { name: 'A receipt for each payment' })).toBeChecked()
  await openSettings(page)
  await expect(page.getByRole('textbox', { name: 'Tax id' })).toHaveValue('DE'.repeat(20))
})

test('another sign-in is seen, ended, and out at once', async ({ page, browser, world }) => {
  const elsewhere = await browser.newContext({
    baseURL: world.server.publicUrl,
    userAgent: 'Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0',
  })
  const other = await elsewhere.newPage()
  await signIn(other)
  await signIn(page)
  await openSettings(page, 'Sign-in and security')
  const list = page.getByRole('list', { name: 'Open sign-ins' })
  await expect(list.getByRole('listitem')).toHaveCount(2)
  await expect(list.getByRole('listitem').filter({ hasText: 'this browser' })).toContainText('Chrome on Linux')
  await inspect(page)
  await list.getByRole('button', { name: /^End the sign-in of Firefox on Windows from / }).click()
  await expect(list.getByRole('listitem')).toHaveCount(1)
  await expect(page.getByText(/^The sign-in of Firefox on Windows from .* has ended\.$/)).toBeVisible()
  await expect(page.getByText('Nobody else is signed in to this account.')).toBeVisible()

  await other.goto('/billing')
  await expect(other.getByRole('heading', { level: 1, name: /Sign in/ })).toBeVisible()
  await elsewhere.close()
})

test('the password is changed; a wrong one is refused beside its field', async ({ page }) => {
  await signIn(page)
  await openSettings(page, 'Sign-in and security')
  const [now, next] = [page.getByLabel('Password now'), page.getByLabel('New password')]
  await now.fill('not-the-password')
  await next.fill('a plain but long one')
  await page.getByRole('button', { name: 'Change the password' }).click()
  await expect(now).toHaveAccessibleDescription(/This is not your password/)
  await expect(page.getByRole('alert')).toContainText('The password stays as it is')
  await inspect(page)
  await now.fill('demo-password')
  await next.fill('short')
  await page.getByRole('button', { name: 'Change the password' }).click()
  await expect(next).toHaveAccessibleDescription(/this one has 5/)
  await next.fill('a plain but long one')
  await page.getByRole('button', { name: 'Change the password' }).click()
  await expect(
    page.getByText('Your password is changed. Every other sign-in has ended; this one goes on.'),
  ).toBeVisible()
  await expect(now).toHaveValue('')
  await inspect(page)
})

test('who gave the password long ago is asked for it in place, and then it goes on by itself', async ({
  page,
  world,
}) => {
  await signIn(page)
  const owner = new pg.Client({ connectionString: world.db.url })
  await owner.connect()
  await owner.query(`update auth.sessions set password_at = now() - interval '6 minutes'`)
  await owner.end()

  await openSettings(page, 'API keys')
  await page.getByRole('textbox', { name: 'Name' }).fill('Reader')
  await page.getByRole('button', { name: 'Make the key' }).click()
  const step = page.getByRole('form', { name: 'Your password' })
  await expect(step.getByLabel('Password', { exact: true })).toBeFocused()
  await inspect(page)
  await step.getByLabel('Password', { exact: true }).fill('not-the-password')
  await step.getByRole('button', { name: 'Go on' }).click()
  await expect(step.getByLabel('Password', { exact: true })).toHaveAccessibleDescription(/This is not your password/)
  await step.getByLabel('Password', { exact: true }).fill('demo-password')
  await step.getByRole('button', { name: 'Go on' }).click()
  await expect(page.getByRole('article', { name: 'The new key Reader' })).toBeVisible()
  await expect(step).toHaveCount(0)
})

test('a new e-mail counts when its link is opened, and the old address is told', async ({ page, world }) => {
  await signIn(page)
  await openSettings(page)
  await page.getByRole('button', { name: 'Change the e-mail' }).click()
  const field = page.getByRole('textbox', { name: 'New e-mail' })
  await expect(field).toBeFocused()
  await field.fill('not an address')
  await page.getByRole('button', { name: 'Send the link' }).click()
  await expect(page.getByRole('alert')).toContainText('The e-mail stays as it is')
  await inspect(page)
  await field.fill('demo-anew@example.com')
  await page.getByRole('button', { name: 'Send the link' }).click()
  await expect(page.getByText(/We have sent a link to demo-anew@example\.com/)).toBeVisible()

  const mail = await until(async () => {
    const { items } = (await world.control('/mail')) as { items: { to: string; links: string[] }[] }
    return items.find(({ to }) => to.includes('demo-anew@example.com'))
  })
  await page.goto(mail.links.find((link) => link.includes('/email/confirm'))!)
  await page.getByRole('button', { name: 'Use this address' }).click()
  await expect(page.getByRole('heading', { level: 1, name: 'Your e-mail is changed' })).toBeVisible()
  await page.goto('/settings')
  await expect(page.getByText('demo-anew@example.com', { exact: true })).toBeVisible()
})

test('on a phone Settings is in the menu of the account', async ({ page }) => {
  await page.setViewportSize({ width: 360, height: 740 })
  await signIn(page)
  await page.getByRole('banner').locator('summary').click()
  await page.getByRole('link', { name: 'Settings' }).click()
  await expect(page.getByRole('heading', { level: 1, name: 'Profile' })).toBeFocused()
})
