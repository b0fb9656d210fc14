/** What members of staff do about crypto: money that goes back, payments that no rule decides, and a network that is halted. */
import type { Page } from '@playwright/test'
import type { World } from '../world.ts'
import { expect, inspect, test, withoutReload } from './browser.ts'
import { payAtDesk, signIn, signInAs, startPayingIn } from './person.ts'

test.use({ crypto: true })

/** Somebody's wallet on the sandbox's Litecoin. */
const WALLET = 'rltc1q9e7jcqaf2pawye0v7k6n26y955ee8gszarclnk'

/** In a browser of his own. */
async function memberOfStaff(page: Page, world: World, at: string): Promise<Page> {
  const context = await page.context().browser()!.newContext({ baseURL: world.server.publicUrl })
  const staff = await context.newPage()
  await signInAs(staff, 'staff', at)
  return staff
}

test('a customer asks for what is unspent at an address; staff agree, pay, name the transaction, and it is confirmed', async ({
  page,
  world,
}) => {
  test.slow()
  await signIn(page)
  await startPayingIn(page, /^Litecoin/, 'Pay $10.00 in LTC')
  await payAtDesk(page)
  await world.control('/chains/ltc/mine', { blocks: 3 })
  await expect(page.getByRole('heading', { name: 'Return unspent $10.00 to an address' })).toBeVisible()
  const address = page.getByRole('textbox', { name: 'Your address on the Litecoin network' })
  const ask = page.getByRole('button', { name: /^Return .*in LTC$/ })

  await test.step('a wrong address, and more than there is, say so beside the field', async () => {
    await address.fill(`${WALLET}q`)
    await ask.click()
    await expect(address).toHaveAccessibleDescription(
      /This is no address on the Litecoin network that LTC can be sent to\./,
    )
    await inspect(page)
    await address.fill(WALLET)
    await page.getByRole('textbox', { name: 'Amount to return' }).fill('11')
    await ask.click()
    await expect(page.getByRole('textbox', { name: 'Amount to return' })).toHaveAccessibleDescription(
      /\$11\.00 is more than what is unspent of this top-up: \$10\.00 can be returned now\./,
    )
    await page.getByRole('textbox', { name: 'Amount to return' }).fill('10')
  })
  await ask.click()
  const refund = page.getByRole('article', { name: 'Refund of $10.00 in LTC' })
  await expect(refund.getByText('A person looks at it, usually within a day.')).toBeVisible()
  await inspect(page)

  const staff = await memberOfStaff(page, world, '/staff/crypto-refunds')
  const row = staff.getByRole('table', { name: 'Returns by crypto' }).getByRole('row', { name: WALLET }).first()
  await expect(row).toContainText(/Asked for/)
  await inspect(staff)
  await withoutReload(page, async () => {
    await staff.getByRole('button', { name: 'Agree: send $10.00' }).click()
    await expect(row).toContainText(/To be paid/)
    await expect(refund.getByText('We agreed to it.')).toBeVisible()
  })

  await staff.getByRole('button', { name: 'What is to be paid now?' }).click()
  const amount = staff.getByRole('definition').filter({ hasText: /^[\d.]+ LTC$/ })
  await expect(amount).toBeVisible()
  const [coins] = (await amount.textContent())!.split(' ')
  const transaction = staff.getByRole('textbox', { name: 'Transaction id, when you have paid it' })
  const paid = staff.getByRole('button', { name: 'I have paid $10.00' })
  await transaction.fill('ab'.repeat(32))
  await paid.click()
  await expect(transaction).toHaveAccessibleDescription(/Our node of Litecoin knows no such transaction\./)
  await inspect(staff)
  const sent = await world.control('/chains/ltc/pay', { address: WALLET, amount: coins })
  await transaction.fill(String(sent['transaction_id']))
  await withoutReload(page, async () => {
    await paid.click()
    await expect(row).toContainText('Sent')
    await expect(refund.getByText(`Sent: ${coins} LTC on Litecoin.`)).toBeVisible()
    await inspect(staff)
    await world.control('/chains/ltc/mine', { blocks: 3 })
    await expect(refund.getByText('Confirmed by the network.')).toBeVisible()
  })
  await expect(refund).toContainText('−$10.00')
  await inspect(page)
  await expect(row).toContainText('Confirmed')
  await expect(staff.getByText(/: Confirmed$/)).toBeVisible()
  await inspect(staff)
  await expect
    .poll(async () => (await world.control('/mail'))['items'])
    .toEqual(expect.arrayContaining([expect.objectContaining({ subject: '$10.00 was sent back to you' })]))
  await staff.context().close()
})

test('a payment that no rule decides says what it is and what to do; staff look it up and credit it', async ({
  page,
  world,
}) => {
  test.slow()
  await signIn(page)
  await startPayingIn(page, /^Litecoin/, 'Pay $10.00 in LTC')
  await world.db.asOwner(
    `update ledger_accounts set suspended = true where id = (select id from accounts where username = 'demo')`,
  )
  await payAtDesk(page)
  await world.control('/chains/ltc/mine', { blocks: 3 })
  await expect(
    page.getByText('Your payment is there, and somebody of us must look at it before it is credited.'),
  ).toBeVisible()
  const txid = (await page
    .getByText(/^[0-9a-f]{64}$/)
    .first()
    .textContent())!

  const staff = await memberOfStaff(page, world, '/staff/crypto')
  const items = staff.getByRole('table', { name: 'Payments that need a look' })
  await expect(items).toContainText(/[\d.]+ LTC arrived on Litecoin for an account that is suspended\./)
  await staff.getByRole('combobox', { name: 'Network' }).selectOption('Litecoin')
  await staff.getByRole('textbox', { name: 'Transaction id' }).fill(txid)
  await staff.getByRole('button', { name: 'Look it up' }).click()
  await expect(
    staff.getByText(/^It is in block \d+\. What it pays to us waits for a decision, and stands in the list\.$/),
  ).toBeVisible()
  await expect(items).toContainText('Left empty: $10.00, as the rules value it.')
  await inspect(staff)

  await staff.getByRole('textbox', { name: 'Why, for your colleagues' }).fill('He wrote; it is his.')
  await withoutReload(page, async () => {
    await staff.getByRole('button', { name: 'Credit $10.00' }).click()
    await expect(items).toContainText('Credited by decision')
    await expect(page.getByText('$10.00 added. You have $10.00 to spend.')).toBeVisible()
  })
  await expect(items).toContainText('staff credited $10.00. He wrote; it is his.')
  await inspect(staff)
  await inspect(page)

  await test.step('a halted network says what to look at, and goes on when somebody says why', async () => {
    await world.db.asOwner(`update chain_cursors set halted = 'rewritten' where chain = 'litecoin'`)
    await staff.reload()
    const panel = staff.getByRole('region', { name: 'Litecoin is halted' })
    await expect(panel).toContainText('Nothing of it is read, and nothing is credited.')
    const goOn = panel.getByRole('button', { name: 'Let Litecoin go on' })
    await expect(goOn).toBeDisabled()
    await inspect(staff)
    await panel.getByRole('textbox', { name: /^What you looked at/ }).fill('Two explorers show the branch of our node.')
    await goOn.click()
    await expect(panel).toHaveCount(0)
  })
  await staff.context().close()
})
