/** After a top-up: its receipt, what goes back to the card, and what a bank disputes. */
import type { Page } from '@playwright/test'
import { expect, inspect, test, withoutReload } from './browser.ts'
import { goTo, rowsOf, signIn, topUp } from './person.ts'

const SUM = 'Then you have to spend'

/** The top-up's own page, from its row in the Billing History. Answers with its id. */
async function openTopup(page: Page): Promise<string> {
  await goTo(page, 'Billing History')
  await rowsOf(page, 'Top-up by Visa')
    .getByRole('link', { name: /^Top-up by/ })
    .click()
  await expect(page.getByRole('heading', { level: 1, name: /^Top-up of/ })).toBeVisible()
  return new URL(page.url()).pathname.split('/').at(-1)!
}

test('the receipt stands behind the credits, as a page and as a file', async ({ page }) => {
  await signIn(page)
  await topUp(page)
  await page.getByRole('link', { name: 'Receipt' }).click()
  await expect(page.getByRole('heading', { level: 1, name: 'Receipt' })).toBeVisible()
  const slip = page.getByRole('article', { name: /^Receipt \d{8}-[0-9A-F]{12}$/ })
  for (const words of ['Visa 3220', 'MOBILESMS* CREDITS', 'demo', 'Prepaid credits added'])
    await expect(slip.getByText(words, { exact: true })).toBeVisible()
  await inspect(page)
  const href = await page.getByRole('link', { name: 'Open the PDF' }).getAttribute('href')
  const file = await page.request.get(href!)
  expect(file.headers()['content-type']).toBe('application/pdf')
  expect((await file.body()).subarray(0, 5).toString()).toBe('%PDF-')

  await goTo(page, 'Billing History')
  await rowsOf(page, 'Top-up by Visa').getByRole('link', { name: 'Receipt' }).click()
  await expect(slip).toBeVisible()
})

test('what is unspent goes back to the card, in parts, with its effect above the button', async ({ page }) => {
  await signIn(page)
  await topUp(page)
  await openTopup(page)
  await expect(page.getByRole('heading', { name: 'Return unspent $10.00 to Visa 3220' })).toBeVisible()
  await page.getByRole('textbox', { name: 'Amount to return' }).fill('3')
  await expect(page.getByText(SUM).locator('xpath=..')).toHaveText(`${SUM}$7.00`)
  await inspect(page)
  await withoutReload(page, async () => {
    await page.getByRole('button', { name: 'Return $3.00 to Visa 3220' }).click()
    await expect(page.getByText('Sent to Visa 3220.')).toBeVisible()
  })
  const refund = page.getByRole('article', { name: 'Refund of $3.00 to Visa 3220' })
  await expect(refund.getByText('You asked for $3.00 back.')).toBeVisible()
  await expect(refund.getByText(/^Your bank shows it by \d{1,2} \w+ \d{4}\.$/)).toBeVisible()
  const href = await refund.getByRole('link', { name: 'Refund receipt (PDF)' }).getAttribute('href')
  expect((await page.request.get(href!)).headers()['content-type']).toBe('application/pdf')
  await inspect(page)

  await page.getByRole('textbox', { name: 'Amount to return' }).fill('8')
  await page.getByRole('button', { name: 'Return to Visa 3220' }).click()
  await expect(page.getByRole('textbox', { name: 'Amount to return' })).toHaveAccessibleDescription(
    /\$8\.00 is more than what is unspent of this top-up: \$7\.00 can be returned now\. Nothing was sent back\./,
  )
  await page.getByRole('textbox', { name: 'Amount to return' }).fill('7.00')
  await page.getByRole('button', { name: 'Return $7.00 to Visa 3220' }).click()
  await expect(page.getByRole('article', { name: 'Refund of $7.00 to Visa 3220' })).toBeVisible()
  await expect(page.getByRole('button', { name: /^Return/ })).toHaveCount(0)
  await goTo(page, 'Billing History')
  await page.getByRole('combobox', { name: 'What' }).selectOption('Returned')
  await expect(rowsOf(page, 'Sent back to your Visa ending in 3220')).toHaveCount(2)
})

test('a refund that the bank refuses says why, and the money is in the credits again', async ({ page, world }) => {
  await signIn(page)
  await topUp(page)
  const topup = await openTopup(page)
  await world.control('/stripe/refunds/next', {
    payment: topup,
    outcome: 'fails',
    failure_reason: 'expired_or_canceled_card',
  })
  await page.getByRole('button', { name: 'Return $10.00 to Visa 3220' }).click()
  await expect(
    page.getByText('It could not be returned. Your bank says that the card has expired or was closed.'),
  ).toBeVisible()
  await expect(page.getByText('$10.00 is in your credits again.')).toBeVisible()
  await expect(page.getByRole('heading', { name: 'Return unspent $10.00 to Visa 3220' })).toBeVisible()
  await inspect(page)
})

test.describe('where coins are taken, too', () => {
  test.use({ crypto: true })

  test('a dispute says what is frozen, what may still be done, and how it ended', async ({ page, world }) => {
    await signIn(page)
    await topUp(page)
    const topup = await openTopup(page)
    await world.control('/stripe/disputes', { payment: topup })
    await expect(page.getByText(/^The payment of \$10\.00 by Visa 3220 was disputed at the bank/)).toBeVisible()
    await expect(
      page.getByText(/Until it is decided no card is taken, and nothing of this top-up can be returned\./),
    ).toBeVisible()
    await inspect(page)
    await goTo(page, 'Home')
    await expect(
      page.getByText('A bank is deciding about a payment. Until then these credits cannot be spent.'),
    ).toBeVisible()
    await inspect(page)
    await goTo(page, 'Top-Up')
    await expect(
      page.getByText(
        'Your bank disputes a payment to us, so no card is taken until it has decided. Crypto is taken as before.',
      ),
    ).toBeVisible()
    await expect(page.getByRole('radio', { name: 'Card' })).toBeDisabled()
    await expect(page.getByRole('button', { name: 'Pay $10.00 in LTC' })).toBeEnabled()
    await inspect(page)
    await page.getByRole('link', { name: 'The payment in question' }).click()
    await rowsOf(page, 'Frozen, your bank disputes this payment: top-up of $10.00 by Visa ending in 3220')
      .getByRole('link')
      .click()
    await world.control(`/stripe/disputes/${topup}`, { outcome: 'win' })
    await expect(page.getByText(/stands\. Its credits are yours to spend again\.$/)).toBeVisible()
    await inspect(page)
  })
})
