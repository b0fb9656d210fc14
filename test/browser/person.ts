/** What a person does on the pages, by what can be seen and read there. */
import { expect, type Locator, type Page } from '@playwright/test'

/** The test cards by the row on the payment page that fills them in. */
export const cards = {
  asks: /^4000 0000 0000 3220/,
  notEnrolled: /^4242 4242 4242 4242/,
  without3ds: /^3782 822463 10005/,
} as const

export async function signIn(page: Page): Promise<void> {
  await page.goto('/')
  await page.getByRole('button', { name: 'Use the demo account' }).click()
  await expect(page.getByRole('heading', { level: 1, name: 'Home' })).toBeVisible()
}

/** With the password that the sandbox gave him. Ends on a page of staff. */
export async function signInAs(page: Page, who: 'staff' | 'approver', at: string): Promise<void> {
  await page.goto(at)
  await page.getByRole('textbox', { name: 'Username' }).fill(who)
  await page.getByLabel('Password', { exact: true }).fill(`${who}-password`)
  await page.getByRole('button', { name: 'Sign in', exact: true }).click()
  await expect(page.getByRole('navigation', { name: 'Staff' })).toBeVisible()
}

/** By the rail, or below 1024 px by the tabs. */
export async function goTo(page: Page, room: 'Home' | 'Numbers' | 'Top-Up' | 'Billing History'): Promise<void> {
  await page.getByRole('navigation', { name: 'Rooms' }).getByRole('link', { name: room }).click()
  await expect(page.getByRole('heading', { level: 1, name: room })).toBeVisible()
}

/** From the page Top-Up to the payment page, by the amount that stands there. */
export async function startPaying(page: Page, amount: string): Promise<void> {
  await page.getByRole('button', { name: `Pay ${amount} by card` }).click()
  await expect(page.getByRole('heading', { level: 1, name: `Pay ${amount}` })).toBeVisible()
}

/** On the payment page. */
export async function payBy(page: Page, card: RegExp): Promise<void> {
  await page.getByRole('button', { name: card }).click()
  await page.getByRole('button', { name: /^Pay \$/ }).click()
}

/** On the bank's page. */
export async function answerBank(page: Page, answer: 'Complete' | 'Fail' | 'Close the window'): Promise<void> {
  await page.getByRole('button', { name: answer, exact: true }).click()
}

/** Ends on the return page, credited. */
export async function topUp(page: Page, amount = '$10.00'): Promise<void> {
  await goTo(page, 'Top-Up')
  await startPaying(page, amount)
  await payBy(page, cards.asks)
  await answerBank(page, 'Complete')
  await expect(page.getByText(`${amount} added.`)).toBeVisible()
}

/** From Home or any other room; ends on the page that says what to send. */
export async function startPayingIn(page: Page, coin: RegExp, words: string): Promise<void> {
  await goTo(page, 'Top-Up')
  await page.getByRole('radio', { name: 'Crypto' }).check()
  await page.getByRole('radio', { name: coin }).check()
  await page.getByRole('button', { name: words }).click()
  await expect(page.getByRole('heading', { level: 1, name: /^Top-up of/ })).toBeVisible()
  await expect(page.getByText(/^Rate held until/)).toBeVisible()
}

/** From the page that says what to send, at the desk of the sandbox, which has it filled in. Answers with the desk. */
export async function payAtDesk(page: Page): Promise<Page> {
  const opened = page.context().waitForEvent('page')
  await page.getByRole('link', { name: 'Pay this at the desk' }).click()
  const desk = await opened
  await desk.getByRole('button', { name: 'Pay this' }).click()
  await expect(desk.getByText(/were sent to/).first()).toBeVisible()
  return desk
}

/** From the page Numbers; ends on the order's own page. */
export async function order(page: Page, service: string, country: string): Promise<void> {
  await page.getByRole('searchbox', { name: 'Service or country' }).fill(`${service} ${country}`)
  await page.getByRole('button', { name: `Order: ${service}, ${country}` }).click()
  await expect(page.getByRole('heading', { level: 1, name: /^Order / })).toBeVisible()
}

/** The desk of the sandbox, in a tab of its own. */
export async function openDesk(page: Page): Promise<Page> {
  // The link moves up when what the customer has comes in below it, and a click that begins before would end beside it.
  await expect(
    page
      .getByText(/^\$[\d.,]+ available$/)
      .filter({ visible: true })
      .first(),
  ).toBeVisible()
  const opened = page.context().waitForEvent('page')
  await page.getByRole('link', { name: 'Desk' }).click({ modifiers: ['ControlOrMeta'] })
  const desk = await opened
  await expect(desk.getByRole('heading', { level: 2, name: 'Phones' })).toBeVisible()
  return desk
}

/** Figure by figure, as the balance stands on Home. */
export async function expectBalance(
  page: Page,
  { available, held, onItsWay = '$0.00' }: { available: string; held: string; onItsWay?: string },
): Promise<void> {
  await expect(page.getByRole('region', { name: 'Balance' })).toHaveText(
    new RegExp(`Available\\s*${literal(available)}\\s*Held\\s*${literal(held)}\\s*On its way\\s*${literal(onItsWay)}`),
  )
}

/** The cells of a row of the Billing History after its time: what happened, amount, held, balance. */
export async function expectRow(row: Locator, cells: (string | RegExp)[]): Promise<void> {
  await expect(row.getByRole('cell')).toHaveText([/^\d\d:\d\d$/, ...cells], { useInnerText: true })
}

/** The rows of the Billing History with this in their sentence. */
export function rowsOf(page: Page, sentence: string | RegExp): Locator {
  return page.getByRole('table', { name: 'Billing History' }).getByRole('row').filter({ hasText: sentence })
}

function literal(text: string): string {
  return text.replace(/[$.]/g, '\\$&')
}
