/** The journey without a mouse. */
import type { Page } from '@playwright/test'
import { expect, test } from './browser.ts'
import { expectBalance } from './person.ts'

const TABS_MAX = 60

test.use({ autoSmsSeconds: 1 })

test('a top-up and an order need no mouse', async ({ page, context }) => {
  await context.grantPermissions(['clipboard-read', 'clipboard-write'])
  await page.goto('/')
  await press(page, 'button', 'Use the demo account')
  await expect(page.getByRole('heading', { level: 1, name: 'Home' })).toBeVisible()
  await press(page, 'link', 'Top up')

  // A change of page gives the focus to its title.
  await expect(page.getByRole('heading', { level: 1, name: 'Top-Up' })).toBeFocused()
  await reach(page, 'radio', '$10')
  await page.keyboard.press('ArrowRight')
  await expect(page.getByRole('radio', { name: '$25' })).toBeChecked()
  await press(page, 'button', 'Pay $25.00 by card')

  await press(page, 'button', /^4000 0000 0000 3220/)
  await press(page, 'button', 'Pay $25.00')
  await press(page, 'button', 'Complete')
  await expect(page.getByText('$25.00 added. You have $25.00 to spend.')).toBeVisible()
  await press(page, 'link', 'Order a number')

  await expect(page.getByRole('searchbox', { name: 'Service or country' })).toBeFocused()
  await page.keyboard.type('whatsapp germany')
  await press(page, 'button', /^Order: WhatsApp, Germany/)
  await expect(page.getByRole('heading', { level: 1, name: /^Order / })).toBeFocused()
  await expect(page.getByText(/Code received at/)).toBeVisible()
  await page.keyboard.press('c')
  await expect(page.getByRole('button', { name: 'Copy the code' })).toHaveText('Copied')
  expect(await page.evaluate<string>('navigator.clipboard.readText()')).toMatch(/^\d{6}$/)

  await press(page, 'link', 'Home')
  await expectBalance(page, { available: '$23.35', held: '$0.00' })
  await press(page, 'button', 'Sign out')
  await expect(page.getByRole('button', { name: 'Sign in' })).toBeVisible()
})

/** Goes on by Tab until it is there, and sees that the place where the focus stands is marked. */
async function reach(page: Page, role: 'button' | 'link' | 'radio', name: string | RegExp): Promise<void> {
  const wanted = page.getByRole(role, { name, exact: true })
  await expect(wanted.first()).toBeVisible()
  for (let tabs = 0; tabs < TABS_MAX; tabs += 1) {
    await page.keyboard.press('Tab')
    if (await wanted.and(page.locator(':focus')).count()) {
      expect(await page.evaluate<boolean>(MARKED), `a mark on the focused ${role} ${name}`).toBe(true)
      return
    }
  }
  throw new Error(`${TABS_MAX} times Tab on ${page.url()} did not reach the ${role} ${name}`)
}

/** The mark is an outline of the element, of the row that it opens, or of the label around it. */
const MARKED = `(() => {
  const at = document.activeElement
  return [[at], [at, '::after'], [at.closest('label') ?? at]].some(([element, part]) => {
    const { outlineStyle, outlineWidth } = getComputedStyle(element, part)
    return outlineStyle !== 'none' && parseFloat(outlineWidth) >= 2
  })
})()`

async function press(page: Page, role: 'button' | 'link', name: string | RegExp): Promise<void> {
  await reach(page, role, name)
  await page.keyboard.press('Enter')
}
