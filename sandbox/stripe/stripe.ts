/** The door of the stand-in for Stripe: its API, its checkout page, its webhooks, and the controls of the desk over them. */
import { Hono } from 'hono'
import type { Books } from '../books.ts'
import type { Clock } from '../clock.ts'
import type { Bindings } from '../web.ts'
import { defineAnswers, forgetOldAnswers, stripeApi } from './api.ts'
import type { Bank } from './bank.ts'
import { checkoutPages } from './checkout.ts'
import { controls } from './controls.ts'
import { deliveryControls } from './delivery.ts'
import { settleDue } from './due.ts'
import { defineEvents } from './events.ts'
import { openFaults } from './faults.ts'
import { laterControls } from './later.ts'
import { defineRecords } from './records.ts'
import { type BankView, bankView } from './view.ts'
import { courier } from './webhooks.ts'

export type { DeliveryMode } from './events.ts'
export type { BankView, LaterView, PaymentView } from './view.ts'

export type StripeStandIn = {
  /** What the desk shows of it. */
  view: () => BankView
  /** `/v1/…`, `/c/…` (what customers see), `/stripe/…` (what the real Stripe does not have). */
  routes: Hono<Bindings>
  /** Works off what time has made due; called a few times a second. */
  tick: () => void
  stop: () => Promise<void>
}

export function openStripe(world: {
  books: Books
  clock: Clock
  url: () => string
  serverUrl: () => string
  shopName: string
  secretKey: string
  webhookSecret: string
  /** What the customer sees of a top-up. */
  topupPage: (id: string) => string
  /** One sentence for the desk's log. */
  note: (sentence: string, link?: string) => void
}): StripeStandIn {
  const { books, clock, url } = world
  const bank: Bank = { books, clock, url, shopName: world.shopName }
  defineRecords(books)
  defineEvents(books)
  defineAnswers(bank)
  const faults = openFaults()
  const sender = courier({
    books,
    clock,
    serverUrl: world.serverUrl,
    webhookSecret: world.webhookSecret,
  })

  const routes = new Hono<Bindings>()
  // Whatever a call changed is told right after its answer, without waiting for the next tick.
  routes.use('*', async (c, next) => {
    await next()
    if (c.req.method === 'POST') setImmediate(tick)
  })
  routes.route('/v1', stripeApi(bank, world.secretKey, faults))
  routes.route('/c', checkoutPages(bank))
  routes.route('/stripe', laterControls(bank, world.note, world.topupPage))
  routes.route('/stripe', deliveryControls(bank, world.note))
  routes.route('/stripe', controls(bank, faults))

  let stopped = false
  function tick(): void {
    // The last answer may leave while the books are being closed.
    if (stopped) return
    settleDue(bank)
    forgetOldAnswers(bank)
    sender.send()
  }

  return {
    view: () => bankView(bank),
    routes,
    tick,
    async stop() {
      stopped = true
      await sender.stop()
    },
  }
}
