/**
 * Pictures of every page of the first journey, to be looked at beside look.md, into PICTURES_FOLDER: wide, middle and narrow, light and
 * dark. The one that the README shows goes to docs/pictures/home.png.
 */
import { mkdirSync, statSync } from 'node:fs'
import { join, resolve } from 'node:path'
import type { Page } from '@playwright/test'
import { expect, test } from './browser.ts'
import { answerBank, cards, goTo, openDesk, order, payBy, signIn, startPaying, topUp } from './person.ts'

const widths = [1440, 768, 360]
const HEIGHT_MIN = 740
const schemes = ['light', 'dark'] as const
const README_PICTURE = join(import.meta.dirname, '../../docs/pictures/home.png')
const README_PICTURE_WIDTH = 1100
const README_PICTURE_BYTES_MAX = 150_000

const folder = resolve(process.env['PICTURES_FOLDER'] ?? '')

test('pictures of the pages', async ({ page }) => {
  test.setTimeout(300_000)
  mkdirSync(folder, { recursive: true })
  let taken = 0
  async function picture(name: string, of: Page = page): Promise<void> {
    taken += 1
    const number = String(taken).padStart(2, '0')
    for (const width of widths) {
      await showWhole(of, width)
      for (const colorScheme of schemes) {
        await of.emulateMedia({ colorScheme })
        await of.screenshot({ path: join(folder, `${number}-${name}-${width}-${colorScheme}.png`) })
      }
    }
    await of.emulateMedia({ colorScheme: 'light' })
    await of.setViewportSize({ width: 1440, height: 900 })
  }

  await page.goto('/')
  await expect(page.getByRole('button', { name: 'Use the demo account' })).toBeVisible()
  await picture('signed-out')
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
  await goHome(page)
  await picture('home')
  await page.goto('/nowhere')
  await expect(page.getByText('There is nothing at this address.')).toBeVisible()
  await picture('not-found')

  await goHome(page)
  await showWhole(page, README_PICTURE_WIDTH)
  mkdirSync(join(README_PICTURE, '..'), { recursive: true })
  await page.screenshot({ path: README_PICTURE })
  expect(statSync(README_PICTURE).size).toBeLessThan(README_PICTURE_BYTES_MAX)
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
  await page.setViewportSize({ width, height: Math.max(height, HEIGHT_MIN) })
}
