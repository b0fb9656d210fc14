/** Top-ups by crypto as their customer sees them: what to send, how far it is, and what a chain that changes its mind does. */
import type { Page } from '@playwright/test'
import type { World } from '../world.ts'
import { expect, inspect, test, withoutReload } from './browser.ts'
import { cards, goTo, order, payAtDesk, payBy, rowsOf, signIn, startPaying, startPayingIn } from './person.ts'

test.use({ crypto: true })

const MINE_3 = 'Mine 3 on Litecoin'
const TAKEN_BACK = 'The chain took back the block with your payment. It is at 0 of 3 again; your coins are not lost.'

/** At the desk; and what the server does within seconds by itself, it does at once. */
async function onChain(world: World, verb: 'pay' | 'mine' | 'reorg', asked: object): Promise<void> {
  await world.control(`/chains/ltc/${verb}`, asked)
  await world.server.parts.queue.runTicks()
}

/** The sentence that says how it stands, which a screen reader hears when it changes. */
const said = (page: Page, sentence: string | RegExp) =>
  expect(page.getByRole('status').filter({ hasText: sentence })).toBeVisible()

test('choose a coin, pay at the desk, mine three blocks: credited, and nobody reloads', async ({ page }) => {
  await signIn(page)
  await goTo(page, 'Top-Up')
  await page.getByRole('radio', { name: 'Crypto' }).check()
  await expect(page.getByText('Less, more or late')).toBeVisible()
  await inspect(page)
  await startPayingIn(page, /^Litecoin/, 'Pay $10.00 in LTC')
  await expect(page.getByText(/^Send [\d.]+ LTC on the Litecoin network\.$/)).toBeVisible()
  await expect(page.getByText(/^Litecoin only\. Not /)).toBeVisible()
  await expect(page.getByRole('img', { name: /^QR code: pay [\d.]+ LTC to / })).toBeVisible()
  await expect(page.getByRole('button', { name: 'Copy the address' })).toBeVisible()
  await expect(page.getByRole('button', { name: 'Copy the amount' })).toBeVisible()
  await expect(page.getByRole('link', { name: 'Open in your wallet' })).toHaveAttribute('href', /^litecoin:/)
  await said(page, /^Waiting for your payment\./)
  await inspect(page)

  await withoutReload(page, async () => {
    const desk = await payAtDesk(page)
    await said(page, /^We see your payment\. 0 of 3 confirmations/)
    await inspect(page)
    await desk.getByRole('button', { name: MINE_3 }).click()
    await said(page, '$10.00 added. You have $10.00 to spend.')
  })
  await expect(page.getByText(/^3 of 3 confirmations, block [\d,]+\.$/)).toBeVisible()
  await inspect(page)

  await goTo(page, 'Billing History')
  await rowsOf(page, 'Top-up by crypto').getByRole('link').first().click()
  await said(page, '$10.00 added.')
})

test('a reload in the middle, and Home and the Billing History meanwhile: each says how far it is', async ({
  page,
  world,
}) => {
  await signIn(page)
  await startPayingIn(page, /^Litecoin/, 'Pay $10.00 in LTC')
  await payAtDesk(page)
  await onChain(world, 'mine', { blocks: 1 })
  await said(page, /^We see your payment\. 1 of 3 confirmations/)
  await page.reload()
  await said(page, /^We see your payment\. 1 of 3 confirmations/)
  for (const room of ['Home', 'Billing History'] as const) {
    await goTo(page, room)
    await expect(page.getByRole('article', { name: 'Top-up of $10.00 in LTC' })).toContainText('1/3 confirmations')
    await inspect(page)
  }
  await onChain(world, 'mine', { blocks: 1 })
  await expect(page.getByRole('article', { name: 'Top-up of $10.00 in LTC' })).toContainText('2/3 confirmations')
  await page.getByRole('link', { name: 'Top-up of $10.00 in LTC' }).click()
  await onChain(world, 'mine', { blocks: 1 })
  await said(page, '$10.00 added.')
})

test('two blocks that are taken back before the credit: at 0 again, and counted anew', async ({ page, world }) => {
  await signIn(page)
  await startPayingIn(page, /^Litecoin/, 'Pay $10.00 in LTC')
  await payAtDesk(page)
  await onChain(world, 'mine', { blocks: 2 })
  await said(page, /^We see your payment\. 2 of 3 confirmations/)
  await withoutReload(page, async () => {
    await onChain(world, 'reorg', { depth: 2, drop: false })
    await said(page, TAKEN_BACK)
  })
  await expect(page.getByText(/^In block [\d,]+\.$/)).toBeVisible()
  await inspect(page)
  await onChain(world, 'mine', { blocks: 3 })
  await said(page, '$10.00 added.')
  await expect(page.getByText(TAKEN_BACK)).toBeVisible()
})

test.describe('four blocks that are taken back after the credit', () => {
  test.use({ autoSmsSeconds: 1 })

  test('what was added is taken back, what was spent of it is owed, and both say why', async ({ page, world }) => {
    await signIn(page)
    await startPayingIn(page, /^Litecoin/, 'Pay $10.00 in LTC')
    const topup = page.url()
    await payAtDesk(page)
    await onChain(world, 'mine', { blocks: 4 })
    await said(page, '$10.00 added.')
    await goTo(page, 'Numbers')
    await order(page, 'Telegram', 'United Kingdom')
    await expect(page.getByText(/\$1\.20 deducted/)).toBeVisible()

    await page.goto(topup)
    await withoutReload(page, async () => {
      await onChain(world, 'reorg', { depth: 4, drop: true })
      await onChain(world, 'mine', { blocks: 3 })
      await said(page, /^\$10\.00 were added and have been taken back: .* You owe \$1\.20/)
    })
    await inspect(page)
    await goTo(page, 'Home')
    await expect(page.getByRole('region', { name: 'Balance' })).toContainText(/Owed.*\$1\.20$/)
    await goTo(page, 'Billing History')
    await expect(rowsOf(page, /taken back/i).first()).toContainText('−$10.00')
    await inspect(page)
  })
})

test('where a transaction is: the box knows it, or says what to do', async ({ page, world }) => {
  await signIn(page)
  await startPayingIn(page, /^Litecoin/, 'Pay $10.00 in LTC')
  const box = page.getByRole('textbox', { name: 'Transaction id' })
  const ask = page.getByRole('button', { name: 'Where is it?' })
  await box.fill('ab'.repeat(32))
  await ask.click()
  await expect(page.getByRole('alert')).toContainText('The Litecoin network does not know this transaction.')
  await inspect(page)
  await payAtDesk(page)
  await said(page, /^We see your payment\. 0 of 3/)
  const id = (await page.getByText(/^[0-9a-f]{64}$/).textContent())!
  await box.fill(id)
  await ask.click()
  await expect(page.getByRole('alert')).toContainText('We see it. It pays this top-up, and waits for its first block.')
  await onChain(world, 'mine', { blocks: 1 })
  await said(page, /1 of 3 confirmations/)
  await ask.click()
  await expect(page.getByRole('alert')).toContainText(/^It is in block [\d,]+ and pays this top-up: 1 of 3/)
})

test('the rate has ended: the page says so by itself, the address is watched, and what comes is credited', async ({
  page,
  world,
}) => {
  await signIn(page)
  await startPayingIn(page, /^Litecoin/, 'Pay $10.00 in LTC')
  const pay = await page.getByRole('link', { name: 'Pay this at the desk' }).getAttribute('href')
  await world.advance(16 * 60)
  await withoutReload(page, () => said(page, /^The rate ended at .* at the rate of the block that carries it\./))
  await expect(page.getByRole('link', { name: 'Start again with a new rate' })).toBeVisible()
  await inspect(page)
  const asked = new URL(pay!).searchParams
  await onChain(world, 'pay', { address: asked.get('address'), amount: asked.get('amount') })
  await onChain(world, 'mine', { blocks: 3 })
  await said(page, /^\$[\d.]+ added\.|^\$[\d.]+ of \$10\.00 arrived/)
  await expect(page.getByText(/^A payment came after the rate had ended at/)).toBeVisible()
})

test('a card that does not do leads to crypto, with the amount', async ({ page }) => {
  await signIn(page)
  await goTo(page, 'Top-Up')
  await startPaying(page, '$10.00')
  await payBy(page, cards.notEnrolled)
  await expect(
    page.getByText('Try a card that asks you to confirm in your banking app, or pay $10.00 with crypto.'),
  ).toBeVisible()
  await inspect(page)
  await page.getByRole('link', { name: 'Pay $10.00 with crypto' }).click()
  await expect(page.getByRole('radio', { name: 'Crypto' })).toBeChecked()
  await expect(page.getByRole('button', { name: 'Pay $10.00 in LTC' })).toBeVisible()
})
