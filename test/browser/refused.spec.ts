/** Top-ups that come to nothing: the page says why in plain words, no money moves, and the next try works. */
import type { Page } from '@playwright/test'
import { expect, inspect, test, withoutReload } from './browser.ts'
import { answerBank, cards, expectBalance, goTo, payBy, signIn, startPaying, topUp } from './person.ts'

test('cards that the bank does not verify are refused in plain words, and a card that it verifies works', async ({
  page,
}) => {
  await signIn(page)
  await topUp(page)
  await goTo(page, 'Top-Up')
  await startPaying(page, '$10.00')
  await payBy(page, cards.notEnrolled)
  await page.waitForURL(/\/topups\/[^/]+\/return\?session_id=/)
  await withoutReload(page, () =>
    expect(
      page.getByText(
        'Your bank did not verify this card with 3-D Secure, so we took no money. Your bank may show $10.00 as pending for a few days; it disappears by itself.',
      ),
    ).toBeVisible(),
  )
  await expect(page.getByText('Try a card that asks you to confirm in your banking app.')).toBeVisible()
  await expect(page.getByText('No credits were added.')).toBeVisible()
  await inspect(page)
  const refused = page.url()
  await expectNothingCame(page)

  // The same address says the same, and leads on.
  await page.goto(refused)
  await page.getByRole('link', { name: 'Another card' }).click()
  await startPaying(page, '$10.00')
  await payBy(page, cards.without3ds)
  await expect(page.getByText(/^Your bank did not verify this card with 3-D Secure/)).toBeVisible()
  await expectNothingCame(page)

  await topUp(page)
  await expect(page.getByText('$10.00 added. You have $20.00 to spend.')).toBeVisible()
})

test('a failed confirmation takes no money, there or after going back, and can be repeated', async ({ page }) => {
  await signIn(page)
  await topUp(page)
  await goTo(page, 'Top-Up')
  await startPaying(page, '$10.00')
  const paymentPage = page.url()
  await payBy(page, cards.asks)
  await answerBank(page, 'Fail')
  await expect(page.getByText('The bank did not confirm that it was you.')).toBeVisible()
  await inspect(page)

  await payBy(page, cards.asks)
  await answerBank(page, 'Close the window')
  await expect(page.getByRole('heading', { name: 'You closed the bank’s window' })).toBeVisible()
  await inspect(page)
  await page.getByRole('link', { name: /^Back to .* without paying$/ }).click()
  await expect(page).toHaveURL(/\/topups\/[^/]+\/cancelled$/)
  await expect(page.getByText('No money was taken.')).toBeVisible()
  await inspect(page)
  await expectNothingCame(page)

  await page.goto(paymentPage)
  await payBy(page, cards.asks)
  await answerBank(page, 'Complete')
  await expect(page.getByText('$10.00 added. You have $20.00 to spend.')).toBeVisible()
})

test('an amount that is too small is refused beside its field, and nothing is paid', async ({ page }) => {
  await signIn(page)
  await goTo(page, 'Top-Up')
  await page.getByRole('radio', { name: 'Other' }).check()
  await page.getByRole('textbox', { name: 'Other amount' }).fill('4.99')
  await page.getByRole('button', { name: /by card$/ }).click()
  await expect(page.getByRole('alert')).toBeFocused()
  await expect(page.getByRole('textbox', { name: 'Other amount' })).toHaveAccessibleDescription(/\$5\.00/)
  await inspect(page)
  await page.getByRole('textbox', { name: 'Other amount' }).fill('5')
  await startPaying(page, '$5.00')
})

test.describe('as a production has them', () => {
  test.use({ settings: { CARD_OPEN_TOPUPS: '3', CARD_CARDS_PER_DAY: '3' } })

  test('who has begun too many top-ups, or tried too many cards, is told when cards open again, and where to look', async ({
    page,
    world,
  }) => {
    await signIn(page)
    const demo = await world.demo()
    const open = [await demo.startTopup(), await demo.startTopup(), await demo.startTopup()]
    await goTo(page, 'Top-Up')
    await page.getByRole('button', { name: 'Pay $10.00 by card' }).click()
    await expect(page.getByRole('alert')).toContainText('You have 3 open top-ups, and may have 3.')
    await inspect(page)
    await page.getByRole('link', { name: 'Your open top-ups' }).click()
    await expect(page.getByRole('link', { name: 'Go on paying' })).toHaveCount(3)

    for (const [index, card] of ['4242424242424242', '378282246310005', '4000000000003097'].entries()) {
      await world.pay(open[index]!, card)
      await demo.post(`/topups/${open[index]!.id}/return`, {})
    }
    await goTo(page, 'Top-Up')
    await page.getByRole('button', { name: 'Pay $10.00 by card' }).click()
    await expect(page.getByRole('alert')).toContainText('Too many card payments of yours failed.')
    await expect(page.getByText(/^Open again from .*\d\d:\d\d\.$/)).toBeVisible()
    await inspect(page)
    await page.getByRole('link', { name: 'Why cards are limited' }).click()
    await expect(page.getByRole('heading', { level: 1, name: 'Why was my card declined?' })).toBeVisible()
  })
})

/** What was there before, $10.00, is all that is there. */
async function expectNothingCame(page: Page): Promise<void> {
  await goTo(page, 'Billing History')
  await expect(page.getByRole('table', { name: 'Billing History' }).getByText('+$10.00')).toHaveCount(1)
  await goTo(page, 'Home')
  await expectBalance(page, { available: '$10.00', held: '$0.00' })
}
