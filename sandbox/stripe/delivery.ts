/** How webhooks travel, on demand, and what the server answered to them. */
import { Hono } from 'hono'
import { type Bindings, isForm, problem, readAsked } from '../web.ts'
import { nothing, refusedPress, whole, word, wrong } from './asking.ts'
import type { Bank } from './bank.ts'
import {
  type DeliveryMode,
  deliveryMode,
  deliveryModes,
  release,
  releaseOrders,
  resend,
  setDeliveryMode,
} from './events.ts'

const LISTED_MAX = 50
const COPIES_MAX = 20

const modeSentences: Record<DeliveryMode, string> = {
  on: 'Webhooks are sent at once.',
  off: 'Webhooks are lost from now on.',
  double: 'Each webhook is sent twice from now on.',
  late: 'Webhooks come five seconds late from now on.',
  withheld: 'Webhooks are withheld from now on, until they are released.',
  reordered: 'Webhooks that belong together come last first from now on.',
}

export function deliveryControls(bank: Bank, note: (sentence: string, link?: string) => void): Hono<Bindings> {
  const app = new Hono<Bindings>()

  app.get('/webhooks', (c) => c.json({ ...webhookState(bank), deliveries: deliveries(bank) }))

  app.post('/webhooks', async (c) => {
    const asked = await readAsked(c)
    if (asked instanceof Response) return asked
    const mode = deliveryModes.find((each) => each === asked['mode'])
    if (!mode) return problem(c, 400, 'invalid_request', `mode is one of ${deliveryModes.join(', ')}.`, 'mode')
    bank.books.transaction(() => {
      if (deliveryMode(bank.books) !== mode) note(modeSentences[mode])
      setDeliveryMode(bank.books, mode)
    })
    return isForm(c) ? c.redirect('/#bank', 303) : c.json(webhookState(bank))
  })

  app.post('/webhooks/release', async (c) => {
    const asked = await readAsked(c)
    if (asked instanceof Response) return asked
    try {
      const order = word(asked, 'order', releaseOrders) ?? 'happened'
      const released = release(bank, order, whole(asked, 'copies', 1, COPIES_MAX) ?? 1)
      note(released === 1 ? 'One webhook was released.' : `${released} webhooks were released.`)
      return isForm(c) ? c.redirect('/#bank', 303) : c.json({ released, ...webhookState(bank) })
    } catch (error) {
      return refusedPress(c, error)
    }
  })

  app.post('/webhooks/resend', async (c) => {
    const asked = await readAsked(c)
    if (asked instanceof Response) return asked
    try {
      const event = asked['event']
      if (typeof event !== 'string') wrong('event', 'the id of an event')
      if (!resend(bank, event)) nothing('event', event)
      note('An event is sent once more.')
      return isForm(c) ? c.redirect('/#bank', 303) : c.json(webhookState(bank))
    } catch (error) {
      return refusedPress(c, error)
    }
  })

  return app
}

export function webhookState(bank: Bank) {
  const counted = bank.books.all<{ state: string; count: number }>(
    'select state, count(*) as count from stripe_deliveries group by state',
  )
  const count = (state: string) => counted.find((row) => row.state === state)?.count ?? 0
  return {
    mode: deliveryMode(bank.books),
    waiting: count('due'),
    withheld: count('withheld'),
    delivered: count('delivered'),
    lost: count('lost'),
    given_up: count('given_up'),
  }
}

/** The newest, and what the server answered last: a status, or how the call ended without one. */
function deliveries(bank: Bank) {
  return bank.books.all<{ event: string; type: string; state: string; attempts: number; last_answer: string | null }>(
    `select event.id as event, event.type, delivery.state, delivery.attempts, delivery.last_answer
       from stripe_deliveries delivery join stripe_events event on event.seq = delivery.event
      order by delivery.id desc limit ?`,
    LISTED_MAX,
  )
}
