/**
 * What every test in the browser has: a world of its own, a browser that may speak to nothing else and must not complain, and a
 * look at a page as the rules of the house demand it.
 */
import { AxeBuilder } from '@axe-core/playwright'
import { type BrowserContext, test as base, expect, type Page } from '@playwright/test'
import { startWorld, type World } from '../world.ts'

/** WCAG 2.2 AA, and what axe holds to be good practice beyond it. */
const RULES = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']
const NARROW = { width: 360, height: 740 }

type Options = {
  /** The phones answer the demo customer's orders by themselves after this long; 0: never. Unit: seconds. */
  autoSmsSeconds: number
  /** Coins are taken, over the sandbox's chains. */
  crypto: boolean
  /** Settings of the server beyond those that every world has. */
  settings: Record<string, string>
}

export const test = base.extend<Options & { world: World }>({
  autoSmsSeconds: [0, { option: true }],

  crypto: [false, { option: true }],

  settings: [{}, { option: true }],

  world: async ({ autoSmsSeconds, crypto, settings }, use, testInfo) => {
    // In the process of the test: another one would cost each test a second of two processors. What needs one stands in test/faults.
    const world = await startWorld({ autoSmsSeconds, crypto, env: settings })
    try {
      // A server that has just started knows no price and no network yet. Pages ask for them every ten seconds: nobody waits for that here.
      if (crypto) await world.server.parts.queue.runTicks()
      await use(world)
      // Whatever was pressed: the books are whole, and the bank's say the same.
      await world.audit()
      await world.expectBankAgrees()
    } finally {
      if (testInfo.status !== testInfo.expectedStatus)
        await testInfo.attach('the server said', { body: world.server.said(), contentType: 'text/plain' })
      await world.stop()
    }
  },

  baseURL: ({ world }, use) => use(world.server.publicUrl),

  context: async ({ context, world }, use) => {
    const complaints = listen(context, [world.server.publicUrl, world.sandbox.url])
    await use(context)
    expect(complaints, 'what the browser complained of').toEqual([])
  },
})

export { expect }

/** Collects errors and warnings of pages, violations of their security policy among them, and requests to anybody else. */
function listen(context: BrowserContext, origins: string[]): string[] {
  const complaints: string[] = []
  context.on('console', (message) => {
    if (message.type() !== 'error' && message.type() !== 'warning') return
    const { url } = message.location()
    if (!isAnswerOfOurs(message.text(), url)) complaints.push(`${message.type()} at ${url}: ${message.text()}`)
  })
  context.on('weberror', (error) => {
    complaints.push(String(error.error().stack))
  })
  context.on('request', (request) => {
    const url = new URL(request.url())
    if (/^(https?|wss?):$/.test(url.protocol) && !origins.includes(url.origin))
      complaints.push(`a request to ${url.href}`)
  })
  return complaints
}

/** Browsers write each answer from 400 on into their console: an amount that is refused, a password that is asked for. */
function isAnswerOfOurs(text: string, url: string): boolean {
  // The test has cut the connection.
  if (/ERR_INTERNET_DISCONNECTED/.test(text)) return true
  const { pathname } = URL.parse(url) ?? { pathname: '' }
  const status = Number(/status of (\d{3}) /.exec(text)?.[1])
  return (refusedOnPurpose[pathname.replace(/(top|ref)_[0-9a-f]{32}/, ':id')] ?? []).includes(status)
}

/** What the tests provoke, by the address that refuses it. */
const refusedOnPurpose: Record<string, number[]> = {
  '/api/v1/topups': [400, 409, 429],
  '/api/v1/topups/:id/refunds': [400, 409],
  '/api/v1/staff/crypto-refunds/:id/paid': [409],
  '/api/v1/orders': [409],
  '/api/v1/keys': [400, 403],
  '/api/auth/sign-in/username': [401],
  '/api/auth/sign-up': [400],
  '/api/auth/sign-up/confirm': [400, 403, 404, 409, 410],
  '/api/auth/password/reset': [400],
  '/api/auth/confirm-password': [401, 403],
  '/api/auth/password/change': [400, 401, 403],
  '/api/auth/email/change': [400, 403],
}

/** The page as it is now: nothing for axe to report in light and dark, wide and narrow, and nothing to scroll sideways at 360 px. */
export async function inspect(page: Page): Promise<void> {
  const wide = page.viewportSize()!
  await expectNothingReported(page, 'light')
  await page.emulateMedia({ colorScheme: 'dark' })
  await expectNothingReported(page, 'dark')
  await page.setViewportSize(NARROW)
  await expectNothingReported(page, 'dark, narrow')
  await page.emulateMedia({ colorScheme: 'light' })
  await expect
    .poll(
      () => page.evaluate<number>('document.documentElement.scrollWidth - document.documentElement.clientWidth'),
      `how far ${page.url()} scrolls sideways at ${NARROW.width} px`,
    )
    .toBeLessThanOrEqual(0)
  await page.setViewportSize(wide)
}

async function expectNothingReported(page: Page, as: string): Promise<void> {
  // What axe is made of stays in the document from one look to the next, and is half a megabyte.
  const isThere = await page.evaluate<boolean>('typeof axe === "object"')
  const { violations } = await new AxeBuilder({ page, ...(isThere && { axeSource: 'null' }) })
    .options({ resultTypes: ['violations'] })
    .withTags(RULES)
    // One run in the page itself. What that cannot see, frames of other origins, our pages do not have.
    .setLegacyMode()
    .analyze()
  const found = violations.flatMap((violation) =>
    violation.nodes.map((node) => `${violation.id}: ${node.target.join(' ')}: ${node.failureSummary}`),
  )
  expect(found, `axe on ${page.url()}, ${as}`).toEqual([])
}

/** Does something and sees that the page is still the same document: what changed on it came by itself. */
export async function withoutReload(page: Page, act: () => Promise<void>): Promise<void> {
  const born = () => page.evaluate<number>('performance.timeOrigin')
  const before = await born()
  await act()
  expect(await born(), `${page.url()} was loaded again`).toBe(before)
}
