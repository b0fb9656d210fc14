/** The mailbox of the sandbox: where a newcomer reads what the product mails to anybody. */
import { until } from '../until.ts'
import { expect, inspect, test, withoutReload } from './browser.ts'
import { openDesk, signIn, topUp } from './person.ts'

test('a receipt appears in the open mailbox, can be read in every way, and leads back to the product', async ({
  page,
}) => {
  await signIn(page)
  const desk = await openDesk(page)
  await desk.getByRole('link', { name: 'Mailbox' }).first().click()
  const mailbox = desk
  await expect(mailbox.getByRole('heading', { level: 1, name: 'Everybody’s mail' })).toBeVisible()
  await inspect(mailbox)

  const receipt = mailbox.getByRole('link', { name: 'Receipt: $10.00 added' })
  await withoutReload(mailbox, async () => {
    await topUp(page)
    await expect(receipt).toBeVisible()
  })
  await inspect(mailbox)

  await receipt.click()
  await expect(mailbox.getByRole('heading', { level: 1, name: 'Receipt: $10.00 added' })).toBeVisible()
  await expect(mailbox.getByRole('region', { name: 'As plain text' })).toContainText('Paid by: Visa 3220')
  await expect(mailbox.getByRole('link', { name: /\/topups\/top_[0-9a-f]{32}\/receipt$/ })).toBeVisible()
  await inspect(mailbox)

  await test.step('the letter in its frame leads to the receipt, in a tab of its own', async () => {
    const letter = mailbox.frameLocator('iframe')
    await expect(letter.getByRole('heading', { name: 'Receipt: $10.00 added' })).toBeVisible()
    const link = letter.getByRole('link', { name: 'Open the receipt' })
    // A press that comes while the list beside the letter is drawn anew may miss it.
    await expect(async () => {
      const [opened] = await Promise.all([mailbox.context().waitForEvent('page', { timeout: 5_000 }), link.click()])
      await expect(opened.getByRole('heading', { level: 1, name: 'Receipt' })).toBeVisible()
    }).toPass({ timeout: 30_000 })
  })
})

test('a letter by itself has nothing for axe to report, light and dark, wide and narrow', async ({ page, world }) => {
  await signIn(page)
  await topUp(page)
  const { html } = await world.mail('demo@sandbox.example', /^Receipt/)
  const reader = await page.context().newPage()
  await reader.setContent(html)
  await inspect(reader)
})

test('the desk makes the mail server refuse, and lets it work again', async ({ page, world }) => {
  await signIn(page)
  const desk = await openDesk(page)
  const button = (name: string) => desk.getByRole('button', { name, exact: true })
  await withoutReload(desk, async () => {
    await button('Refuses for now').click()
    await expect(button('Refuses for now')).toHaveAttribute('aria-pressed', 'true')
    await topUp(page)
    await until(async () => {
      const tried = `select from mail_outbox where once_key like 'receipt:%' and attempts > 0`
      return (await world.db.database.pool.query(tried)).rowCount
    })
    await expect(desk.getByText(/Receipt/)).toBeHidden()
    await button('Works').click()
    await expect(desk.getByText(/Receipt: \$10\.00 added, to demo@/)).toBeVisible()
  })
  await inspect(desk)
})
