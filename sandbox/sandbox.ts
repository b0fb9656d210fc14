/**
 * The outside world in a box: a bank that speaks Stripe's API, a phone network, a mail server, and the desk that controls them. One
 * program, a port for HTTP and one for SMTP, always on loopback. It imports nothing of the server and knows it only as the outside does.
 */
import type { Server } from 'node:http'
import { join } from 'node:path'
import { createAdaptorServer } from '@hono/node-server'
import { Hono } from 'hono'
import { assets } from './assets.ts'
import { openBooks } from './books.ts'
import { openChains } from './chains/chains.ts'
import type { Clock } from './clock.ts'
import { openMailbox } from './mail/mail.ts'
import { mailboxRoutes } from './mail/mailbox.ts'
import { openLog } from './page/log.ts'
import { openDesk } from './page/page.ts'
import { openPhones } from './phones/phones.ts'
import { openRates } from './rates/rates.ts'
import type { Settings } from './settings.ts'
import { openStripe } from './stripe/stripe.ts'
import { type Bindings, onlyOurOwnPages, problem } from './web.ts'

const TICK_MILLISECONDS = 200
/** How long requests in flight may take to end when the sandbox stops. */
const STOP_MILLISECONDS_MAX = 3_000

export type Sandbox = {
  /** `http://127.0.0.1:<port>` */
  url: string
  port: number
  /** Where it takes mail, on 127.0.0.1. */
  smtpPort: number
  /** The server has moved: where webhooks, SMS and clock moves go from now on. */
  serverMovedTo: (serverUrl: string, publicUrl?: string) => void
  /** Ends calls in flight and closes the books; what was due is done after the next start. */
  stop: () => Promise<void>
}

type Options = Pick<Settings, 'port' | 'dataDir' | 'serverUrl'> & Partial<Settings> & { clock?: Clock }

export async function startSandbox(options: Options): Promise<Sandbox> {
  const settings: Settings = {
    smtpPort: 0,
    publicUrl: options.serverUrl,
    shopName: 'MobileSMS',
    stripeKey: 'sk_test_sandbox',
    webhookSecret: 'whsec_sandbox',
    smsSecret: 'sms_sandbox',
    twilioToken: 'twilio_sandbox',
    autoSmsSeconds: 6,
    demoKey: 'msk_sandbox_demo',
    ...options,
  }
  const clock = options.clock ?? Date.now
  const books = openBooks(join(settings.dataDir, 'sandbox.sqlite'))
  let url = ''

  const serverUrl = () => settings.serverUrl
  const log = openLog(books, clock)
  const topupPage = (id: string) => `${settings.publicUrl}/topups/${id}`
  const stripe = openStripe({
    books,
    clock,
    url: () => url,
    serverUrl,
    shopName: settings.shopName,
    secretKey: settings.stripeKey,
    webhookSecret: settings.webhookSecret,
    topupPage,
    note: log.note,
  })
  const chains = openChains({
    books,
    clock,
    dataDir: settings.dataDir,
    topupPage,
    advance: (seconds) => desk.advance(seconds),
    houseAhead: () => phones.view().houseAhead,
    note: log.note,
  })
  const phones = openPhones({
    books,
    clock,
    serverUrl,
    publicUrl: () => settings.publicUrl,
    orderPage: (order) => `${settings.publicUrl}/numbers/${order.id}`,
    secret: settings.smsSecret,
    twilioToken: settings.twilioToken,
    key: settings.demoKey,
    autoSeconds: settings.autoSmsSeconds,
    heardTopups: chains.hear,
    note: log.note,
  })
  const mailbox = openMailbox({ books, clock, note: log.note })
  const desk = openDesk({
    view: () => ({
      phones: phones.view(),
      chains: chains.view(),
      bank: stripe.view(),
      mail: mailbox.view(),
      log: log.newest(),
      publicUrl: settings.publicUrl,
      now: clock(),
    }),
    serverUrl,
    note: log.note,
  })

  const app = new Hono<Bindings>()
  app.get('/healthz', (c) => c.json({ status: 'ok' }))
  app.use('*', onlyOurOwnPages)
  app.route('/assets', assets())
  app.route('/phones', phones.routes)
  app.route('/chains', chains.routes)
  app.route('/rates', openRates({ clock, note: log.note }).routes)
  app.route('/mail', mailboxRoutes({ mailbox, publicUrl: () => settings.publicUrl }))
  app.route('/', desk.routes)
  app.route('/', stripe.routes)
  app.notFound((c) => problem(c, 404, 'not_found', `There is no ${c.req.method} ${c.req.path}.`))
  app.onError((error, c) => {
    console.error(`sandbox: ${c.req.method} ${c.req.path} failed`, error)
    return c.req.path.startsWith('/v1/')
      ? c.json({ error: { type: 'api_error', message: 'The stand-in for Stripe made a mistake; see its log.' } }, 500)
      : problem(c, 500, 'internal_error', 'The sandbox made a mistake; see its log.')
  })

  const server = createAdaptorServer({ fetch: app.fetch, overrideGlobalObjects: false }) as Server
  server.requestTimeout = 30_000
  server.headersTimeout = 10_000
  let smtpPort: number
  try {
    url = `http://127.0.0.1:${await listen(server, settings.port)}`
    smtpPort = await mailbox.listen(settings.smtpPort)
  } catch (error) {
    server.close()
    await phones.stop()
    books.close()
    throw error
  }
  const ticking = setInterval(() => {
    stripe.tick()
    phones.tick()
  }, TICK_MILLISECONDS)

  return {
    url,
    port: Number(new URL(url).port),
    smtpPort,
    serverMovedTo(serverUrl, publicUrl) {
      settings.serverUrl = serverUrl
      settings.publicUrl = publicUrl ?? serverUrl
    },
    async stop() {
      clearInterval(ticking)
      const closed = new Promise((resolve) => server.close(resolve))
      // A connection whose answer ends only now would otherwise be kept alive for the next request.
      const idling = setInterval(() => server.closeIdleConnections(), 50)
      const patience = setTimeout(() => server.closeAllConnections(), STOP_MILLISECONDS_MAX)
      desk.stop()
      await Promise.all([stripe.stop(), phones.stop(), mailbox.stop(), chains.stop()])
      await closed
      clearInterval(idling)
      clearTimeout(patience)
      books.close()
    },
  }
}

function listen(server: Server, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, '127.0.0.1', () => {
      server.off('error', reject)
      const address = server.address()
      resolve(typeof address === 'object' && address ? address.port : port)
    })
  })
}
