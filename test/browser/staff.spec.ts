/** The pages of those who work here: beside a rail of ink, for members of staff only. */
import pg from 'pg'
import { expect, inspect, test } from './browser.ts'
import { signIn, signInAs, topUp } from './person.ts'

test('a customer finds nothing where the pages of staff are, and no way there', async ({ page }) => {
  await signIn(page)
  await expect(page.getByRole('link', { name: 'Staff pages' })).toHaveCount(0)
  const rooms = ['reconciliation', 'disputes', 'crypto', 'crypto-refunds', 'cards', 'events']
  for (const address of rooms.map((room) => `/staff/${room}`)) {
    await page.goto(address)
    await expect(page.getByRole('heading', { level: 1, name: 'Not found' })).toBeVisible()
  }
})

test('staff compare the books with Stripe’s, and read what does not fit and where the money lies', async ({
  page,
  world,
}) => {
  test.slow()
  await signIn(page)
  await topUp(page)
  await page.getByRole('button', { name: 'Sign out' }).filter({ visible: true }).click()

  await signInAs(page, 'staff', '/staff/reconciliation')
  await expect(page.getByRole('heading', { level: 1, name: 'Reconciliation' })).toBeVisible()
  await expect(page.getByText('Not compared yet.')).toBeVisible()
  await inspect(page)

  const compare = page.getByRole('button', { name: 'Compare with Stripe now' })
  // Stripe books a charge a moment after it took it.
  await expect
    .poll(async () => {
      await compare.click()
      await expect(compare).toBeEnabled()
      return page.getByRole('table', { name: 'Runs' }).getByRole('row').nth(1).textContent()
    })
    .toContain('1 charge')
  await expect(page.getByText('Our books and Stripe’s agree.')).toBeVisible()
  await expect(page.getByText('Everything that Stripe and we have booked fits.')).toBeVisible()
  await expect(page.getByText('The clearing account')).toBeVisible()
  await inspect(page)

  await test.step('what does not fit says what, whose, since when and what to do', async () => {
    const client = new pg.Client({ connectionString: world.db.url })
    await client.connect()
    await client.query(
      `insert into reconciliation_items (key, rail, kind, state, external_id, topup_id, ours, since)
       select 'charge_not_there:' || id, 'card', 'charge_not_there', 'open', charge_id, id, amount, credited_at from topups;
       insert into reconciliation_items (key, rail, kind, state, external_id, theirs, since)
       values ('source_unknown:x', 'card', 'source_unknown', 'waiting', 'py_${'3'.repeat(24)}', 1000000000, now());`,
    )
    await client.end()
    await page.reload()
    const row = page
      .getByRole('table', { name: 'What does not fit' })
      .getByRole('row', { name: /We credited \$10\.00/ })
    await expect(row).toContainText('demo')
    await expect(row).toContainText('Look the charge up in Stripe’s dashboard.')
    await inspect(page)
  })

  await page.getByRole('link', { name: 'Customer pages' }).click()
  await page.getByRole('link', { name: 'Staff pages' }).filter({ visible: true }).click()
  await expect(page.getByRole('heading', { level: 1, name: 'Reconciliation' })).toBeVisible()
})

test('staff see whether webhooks reach the house, what came of each event, and replay one', async ({ page }) => {
  test.slow()
  await signIn(page)
  await topUp(page)
  await page.getByRole('button', { name: 'Sign out' }).filter({ visible: true }).click()

  await signInAs(page, 'approver', '/staff/events')
  await expect(page.getByRole('heading', { level: 1, name: 'Events' })).toBeVisible()
  await page.getByRole('button', { name: 'Test the address' }).click()
  await expect(page.getByText(/^Webhooks reach us at .*Tested/)).toBeVisible()
  const events = page.getByRole('table', { name: 'Events' })
  const row = events.getByRole('row', { name: /^.* checkout\.session\.completed/ })
  await expect(row).toContainText('handled: credited')
  await inspect(page)

  await row.getByRole('button', { name: /^Replay checkout\.session\.completed/ }).click()
  await expect(page.getByRole('alert')).toContainText('Dealt with once more: handled: credited')
  await inspect(page)

  await page.getByRole('combobox', { name: 'State' }).selectOption('set_aside')
  await expect(page).toHaveURL(/\?status=set_aside$/)
  await expect(page.getByText('No event is like that.')).toBeVisible()
})

test('what a bank says against payments stands with its due date, and two people decide about a warning', async ({
  page,
  browser,
  world,
}) => {
  test.slow()
  await signIn(page)
  await topUp(page)
  await topUp(page)
  const { charges } = (await world.control('/stripe/books')) as { charges: { id: string }[] }
  await world.control('/stripe/disputes', { payment: charges[1]!.id, kind: 'dispute' })
  await world.control('/stripe/warnings', { payment: charges[0]!.id })
  await page.getByRole('button', { name: 'Sign out' }).filter({ visible: true }).click()

  await signInAs(page, 'staff', '/staff/disputes')
  const disputes = page.getByRole('table', { name: 'Disputes' })
  await expect
    .poll(async () => {
      await page.reload()
      await expect(disputes).toBeVisible()
      return disputes.textContent()
    })
    .toMatch(/Warning of fraud.*Dispute|Dispute.*Warning of fraud/s)
  await expect(disputes.getByRole('row', { name: /Dispute: / })).toContainText('Answer until')
  await expect(page.getByRole('link', { name: 'Download the evidence' })).toBeVisible()
  await inspect(page)

  await page.getByRole('textbox', { name: 'Why, for your colleagues' }).fill('The cardholder called.')
  await page.getByRole('button', { name: 'Ask to send $10.00 back' }).click()
  await expect(page.getByText('Not by you: you asked for it, and a second person must agree.')).toBeVisible()
  await inspect(page)

  const second = await browser.newContext({ baseURL: world.server.publicUrl })
  const approver = await second.newPage()
  await signInAs(approver, 'approver', '/staff/disputes')
  await approver.getByRole('button', { name: /^Agree: send \$10\.00 back to Visa 3220/ }).click()
  await expect(approver.getByText(/staff asked, approver agreed: the money/)).toBeVisible()
  await second.close()

  await test.step('who lost a dispute pays by card again when somebody says why', async () => {
    const { disputes: all } = (await world.control('/stripe/books')) as { disputes: { id: string }[] }
    await world.control(`/stripe/disputes/${all[0]!.id}`, { outcome: 'lose' })
    const again = page.getByRole('button', { name: 'Take cards of demo again' })
    await expect
      .poll(async () => {
        await page.reload()
        await expect(disputes).toBeVisible()
        return again.count()
      })
      .toBe(1)
    await expect(again).toBeDisabled()
    await page.getByRole('textbox', { name: 'Why, for your colleagues' }).fill('Paid what was owed.')
    await inspect(page)
    await again.click()
    await expect(page.getByText(/^staff takes cards of demo again since .*Paid what was owed\.$/)).toBeVisible()
  })

  await test.step('card payments are paused for everybody, and opened again, by a hand with a name', async () => {
    await page.getByRole('link', { name: 'Card payments' }).click()
    await expect(page.getByText('New card payments are begun as ever.')).toBeVisible()
    await page.getByRole('button', { name: 'Pause card payments for everybody' }).click()
    await expect(page.getByText('staff paused card payments for everybody.')).toBeVisible()
    await inspect(page)
    await page.getByRole('button', { name: 'Open card payments again' }).click()
    await expect(page.getByText('New card payments are begun as ever.')).toBeVisible()
    await expect(page.getByRole('table', { name: 'Pauses' }).getByRole('row').nth(1)).toContainText(
      /Paused by staff.*by staff/s,
    )
    await inspect(page)
  })
})
