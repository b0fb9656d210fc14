/** Numbers, the rest of the basics: favourites, another code, finish, a price that rose, and every order again. */
import type { Page } from '@playwright/test'
import { expect, inspect, test, withoutReload } from './browser.ts'
import { goTo, order, signIn } from './person.ts'

const rows = (page: Page) => page.getByRole('table', { name: 'Numbers to order' }).getByRole('row')
const orders = (page: Page) => page.getByRole('table', { name: 'Your orders' })
/** Without the head, and without the days that they stand under: an order may be of yesterday by now. */
const listed = (page: Page) =>
  orders(page)
    .getByRole('row')
    .filter({ has: page.getByRole('link') })

test('a star puts a pair first, by keyboard too, and nothing jumps while one looks', async ({ page }) => {
  test.slow()
  await signIn(page)
  await goTo(page, 'Numbers')
  const search = page.getByRole('searchbox', { name: 'Service or country' })
  await search.fill('germany')
  const star = page.getByRole('button', { name: 'Favourite: WhatsApp, Germany', exact: true })
  await expect(star).toHaveAttribute('aria-pressed', 'false')
  const place = await rows(page).allInnerTexts()
  await star.focus()
  await page.keyboard.press('Space')
  await expect(star).toHaveAttribute('aria-pressed', 'true')
  expect((await rows(page).allInnerTexts()).map(firstLine)).toEqual(place.map(firstLine))
  await inspect(page)

  await search.fill('whats')
  await expect(rows(page).nth(1)).toContainText('Germany')
  await search.fill('')
  await expect(rows(page).nth(1)).toContainText('WhatsApp')
  await expect(rows(page).nth(1)).toContainText('Germany')
  await expect(page.getByText('Your favourites, and each service in its cheapest country.')).toBeVisible()
  await goTo(page, 'Home')
  await expect(rows(page).nth(1)).toContainText('Germany')
  await page.reload()
  await expect(rows(page).nth(1)).toContainText('Germany')

  await rows(page).nth(1).getByRole('button', { name: 'Favourite: WhatsApp, Germany' }).click()
  await expect(star).toHaveAttribute('aria-pressed', 'false')
  await page.reload()
  await expect(rows(page).nth(1)).not.toContainText('Germany')
})

test('an order with its code asks for another, gets it on the open page, and is finished; every order is found again', async ({
  page,
  world,
}) => {
  test.slow()
  const demo = await world.demo()
  await world.giveCredit(demo.accountId, 10_000_000n as never)
  await signIn(page)
  await goTo(page, 'Numbers')
  await order(page, 'Telegram', 'United Kingdom')
  const [placed] = (await demo.get<{ items: { id: string; number: number; phone_number: string }[] }>('/orders')).body
    .items
  const sms = (text: string) => world.sms({ to: placed!.phone_number, from: 'Telegram', text })
  await sms('Telegram code 482771')

  await test.step('another code is free, and said to be waited for until it comes', async () => {
    const another = page.getByRole('button', { name: /^Another code for order \d+, free$/ })
    await withoutReload(page, async () => {
      await another.click()
      await expect(page.getByText('Waiting for another code. It is free.').first()).toBeVisible()
      await expect(another).toHaveCount(0)
    })
    await inspect(page)
    await withoutReload(page, async () => {
      await sms('Telegram code 918273')
      await expect(page.getByText('Telegram code 918273')).toBeVisible()
      await expect(page.getByText('Waiting for another code. It is free.')).toHaveCount(0)
      await expect(another).toBeVisible()
    })
    await expect(page.getByText('Another code, 91••73, received. It is free.')).toBeVisible()
  })

  await test.step('finishing ends it, and the same can be ordered again', async () => {
    await page.getByRole('button', { name: /^Finish order \d+$/ }).click()
    await expect(page.getByText('Order finished.')).toBeVisible()
    await expect(page.getByRole('button', { name: /^Order the same again for \$1\.20/ })).toBeVisible()
  })

  await test.step('a price that rose meanwhile is told, and agreed to by one press', async () => {
    await world.db.database.pool.query(
      `update prices set price = 1400000 where service = 'telegram' and country = 'GB'`,
    )
    await page.getByRole('button', { name: /^Order the same again for \$1\.20/ }).click()
    await expect(
      page.getByText(
        'The price went from $1.20 to $1.40 while you were looking. Nothing was ordered and nothing held.',
      ),
    ).toBeVisible()
    await inspect(page)
    await page.getByRole('button', { name: 'Order for $1.40' }).click()
    await expect(page.getByText(/Held, not charged: \$1\.40 is kept/)).toBeVisible()
  })

  await test.step('every order stands in a list, whose filters stand in the address', async () => {
    await page.getByRole('link', { name: 'Your orders' }).click()
    await expect(page.getByRole('heading', { level: 1, name: 'Your orders' })).toBeVisible()
    await expect(listed(page)).toHaveCount(2)
    await inspect(page)
    await page.getByRole('combobox', { name: 'State' }).selectOption('Open')
    await expect(page).toHaveURL(/\?status=open$/)
    await expect(listed(page)).toHaveCount(1)
    await expect(orders(page)).toContainText('Waiting for a code')
    await page.getByRole('combobox', { name: 'State' }).selectOption('Finished')
    await expect(orders(page)).toContainText('−$1.20')
    await page.getByRole('combobox', { name: 'State' }).selectOption('Everything')
    const found = page.getByRole('searchbox', { name: 'Order or phone number' })
    await found.fill('48')
    await expect(page.getByText('Type 3 to 15 digits')).toBeVisible()
    await found.fill(String(placed!.number).replace(/\B(?=(\d{3})+$)/g, ' '))
    await expect(listed(page)).toHaveCount(1)
    await page.reload()
    await expect(listed(page)).toHaveCount(1)
    await page.getByRole('combobox', { name: 'Country' }).selectOption('Poland')
    await expect(page.getByText('No order fits.')).toBeVisible()
    await page.getByRole('link', { name: 'Show everything' }).click()
    await expect(listed(page)).toHaveCount(2)
    await orders(page).getByRole('link').last().click()
    await expect(page.getByRole('heading', { level: 1, name: /^Order / })).toBeVisible()
    await expect(page.getByText('Order finished.')).toBeVisible()
  })
})

function firstLine(text: string): string {
  return text.trim().split('\n')[0]!
}
