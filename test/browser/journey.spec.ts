/** The first journey: a newcomer tops up, gets a code, and sees exactly what it cost. */
import { expect, inspect, test, withoutReload } from './browser.ts'
import {
  answerBank,
  cards,
  expectBalance,
  expectRow,
  goTo,
  openDesk,
  order,
  payBy,
  rowsOf,
  startPaying,
} from './person.ts'

test.use({ autoSmsSeconds: 1 })

test('a newcomer tops up, gets a code and sees what it cost; a number without a code costs nothing', async ({
  page,
  world,
}) => {
  test.slow()
  await test.step('meets the signed-out page and uses the demo account', async () => {
    await page.goto('/')
    await expect(page.getByText('You pay for a number only when its code arrives.')).toBeVisible()
    await expect(page.getByText('Sandbox. No real money moves.')).toBeVisible()
    await inspect(page)
    await page.getByRole('button', { name: 'Use the demo account' }).click()
  })

  await test.step('finds Home empty', async () => {
    await expect(page.getByRole('heading', { level: 1, name: 'Home' })).toBeVisible()
    await expectBalance(page, { available: '$0.00', held: '$0.00' })
    await expect(
      page.getByText('You have no credits yet. Top up $5.00 or more; you pay for a number only when its code arrives.'),
    ).toBeVisible()
    await expect(page.getByText('Your movements will stand here.')).toBeVisible()
    await inspect(page)
    await page.getByRole('main').getByRole('link', { name: 'Top up', exact: true }).first().click()
  })

  await test.step('tops up $10.00 by a card that asks the bank', async () => {
    await expect(page.getByRole('heading', { level: 1, name: 'Top-Up' })).toBeVisible()
    await expect(page.getByRole('radio', { name: '$10', exact: true })).toBeChecked()
    await inspect(page)
    await startPaying(page, '$10.00')
    await expect(page.getByText('Stand-in for Stripe')).toBeVisible()
    await inspect(page)
    await payBy(page, cards.asks)
    await expect(page.getByText('Stand-in for your bank')).toBeVisible()
    await inspect(page)
    await answerBank(page, 'Complete')
    await page.waitForURL(/\/topups\/[^/]+\/return\?session_id=/)
    await withoutReload(page, () => expect(page.getByText('$10.00 added. You have $10.00 to spend.')).toBeVisible())
    await expect(page.getByText('$10.00 taken from your card.')).toBeVisible()
    await inspect(page)
  })

  await test.step('orders a number, and the code appears by itself', async () => {
    await page.getByRole('link', { name: 'Order a number' }).click()
    await expect(page.getByRole('heading', { level: 1, name: 'Numbers' })).toBeVisible()
    await inspect(page)
    // Quiet until what stands there before the code was read, however long that takes.
    await world.control('/phones/silence', { silent: true })
    await order(page, 'Telegram', 'United Kingdom')
    await withoutReload(page, async () => {
      await expect(page.getByText(/Held, not charged: \$1\.20 is kept for this number until/)).toBeVisible()
      await world.control('/phones/silence', { silent: false })
      await expect(page.getByText(/Code received at \d\d:\d\d:\d\d\. \$1\.20 deducted\./)).toBeVisible()
    })
    await expect(page.getByRole('button', { name: 'Copy the code' })).toBeVisible()
    await inspect(page)
  })

  await test.step('reads the deduction in the Billing History', async () => {
    await goTo(page, 'Billing History')
    await expect(page.getByRole('columnheader')).toHaveText(['When', 'What happened', 'Amount', 'Held', 'Balance'])
    await expectRow(rowsOf(page, 'Code received'), [
      /^Code received: Telegram, United Kingdom, order [\d\s]+$/,
      '−$1.20',
      '−$1.20',
      '$8.80',
    ])
    await expectRow(rowsOf(page, 'Held, not charged'), [/^Held, not charged: Telegram/, '', '+$1.20', '$10.00'])
    await expectRow(rowsOf(page, 'Top-up'), ['Top-up by Visa ending in 3220 Receipt', '+$10.00', '', '$10.00'])
    await inspect(page)
  })

  const desk = await test.step('silences the phones at the desk', async () => {
    const opened = await openDesk(page)
    await expect(opened.getByText('No real money', { exact: true })).toBeVisible()
    await opened.getByRole('button', { name: 'Stay silent for all orders' }).click()
    await expect(opened.getByText('It sends nothing by itself.')).toBeVisible()
    return opened
  })

  await test.step('orders a second number; nothing comes, and it costs nothing', async () => {
    await goTo(page, 'Numbers')
    await order(page, 'Telegram', 'United Kingdom')
    await expect(page.getByText(/Held, not charged: \$1\.20 is kept/)).toBeVisible()
    await expect(page.getByText('Cancel from')).toBeVisible()
    await inspect(page)
    await expect(desk.getByText(/Waits until/)).toBeVisible()
    await inspect(desk)
    await withoutReload(page, async () => {
      await desk.getByRole('button', { name: '+20 min' }).click()
      await expect(page.getByText('No code came. The $1.20 is yours again; nothing was charged.')).toBeVisible()
    })
    await inspect(page)
    await inspect(desk)
  })

  await test.step('sees the hold come and go in the Billing History, the balance unchanged', async () => {
    await goTo(page, 'Billing History')
    await expectRow(rowsOf(page, 'Released, no code came').first(), [
      /^Released, no code came: Telegram, United Kingdom, order [\d\s]+$/,
      '',
      '−$1.20',
      '$8.80',
    ])
    await expectRow(rowsOf(page, 'Held, not charged').first(), [/^Held, not charged: Telegram/, '', '+$1.20', '$8.80'])
    await expect(rowsOf(page, 'Code received')).toHaveCount(1)
    await goTo(page, 'Home')
    await expectBalance(page, { available: '$8.80', held: '$0.00' })
    await inspect(page)
  })

  await test.step('signs out', async () => {
    await page.getByRole('button', { name: 'Sign out' }).click()
    await expect(page.getByRole('button', { name: 'Sign in' })).toBeVisible()
    await page.goto('/billing')
    await expect(page.getByText('Sign in to see this page')).toBeVisible()
    await expect(page.getByText('8.80')).toHaveCount(0)
  })
})
