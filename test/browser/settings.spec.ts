/** Settings: what an account says about itself, who is signed in to it, and the keys of its programs. */
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import type { Page } from '@playwright/test'
import { expect, inspect, test } from './browser.ts'
import { signIn, topUp } from './person.ts'

const run = promisify(execFile)
const COMMAND_MS_MAX = 10_000

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
  await page.getByRole('checkbox', { name: 'A mail for each new sign-in' }).uncheck()
  await page.getByRole('button', { name: 'Save the choice of mails' }).click()
  await expect(page.getByText('Saved', { exact: true })).toBeVisible()
  await inspect(page)
  await page.reload()
  await expect(page.getByRole('checkbox', { name: 'A mail for each new sign-in' })).not.toBeChecked()
  await expect(page.getByRole('checkbox', { name: 'A receipt for each payment' })).toBeChecked()
  await openSettings(page)
  await expect(page.getByRole('textbox', { name: 'Tax id' })).toHaveValue('DE'.repeat(20))
})

test('on a phone Settings is in the menu of the account', async ({ page }) => {
  await page.setViewportSize({ width: 360, height: 740 })
  await signIn(page)
  await page.getByRole('banner').locator('summary').click()
  await page.getByRole('link', { name: 'Settings' }).click()
  await expect(page.getByRole('heading', { level: 1, name: 'Profile' })).toBeFocused()
})
