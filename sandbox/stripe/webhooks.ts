/**
 * Sends what `events.ts` wrote down to the server's webhook: signed, in the order in which it happened, repeated with back-off
 * until it is taken or given up. What was due when this program died is sent by the next one.
 */
import Stripe from 'stripe'
import type { Books } from '../books.ts'
import { type Clock, SECOND } from '../clock.ts'

/** Stripe's sandbox gives up after a few hours; ours, made for people who wait, after some eight minutes. */
const ATTEMPTS_MAX = 14
const BACKOFF_MILLISECONDS_MAX = 60 * SECOND
const ANSWER_MILLISECONDS_MAX = 10 * SECOND
const AT_ONCE_MAX = 8

export type Courier = {
  /** Starts what is due; returns at once. */
  send: () => void
  /** Ends the calls in flight; their deliveries stay due. */
  stop: () => Promise<void>
}

type Due = { id: number; attempts: number; session: string; body: string }

export function courier(world: {
  books: Books
  clock: Clock
  serverUrl: () => string
  webhookSecret: string
}): Courier {
  const { books, clock } = world
  const stripe = new Stripe('sk_test_sandbox')
  const stopping = new AbortController()
  const busy = new Map<string, Promise<void>>()

  function send(): void {
    if (stopping.signal.aborted) return
    const due = books.all<Due>(
      // The first of each session: SQLite takes the other columns from the row that holds the minimum.
      `select delivery.id, delivery.attempts, event.session, event.body, min(delivery.place) as place
         from stripe_deliveries delivery join stripe_events event on event.seq = delivery.event
        where delivery.state = 'due' and delivery.due_at <= ?
        group by event.session
        order by place
        limit ?`,
      clock(),
      // Those that are busy may stand among them.
      2 * AT_ONCE_MAX,
    )
    for (const delivery of due) {
      if (busy.size >= AT_ONCE_MAX) return
      // One at a time for each session: the first attempts keep the order of what happened.
      if (busy.has(delivery.session)) continue
      const attempt = deliver(delivery).finally(() => {
        busy.delete(delivery.session)
        if (!stopping.signal.aborted) setImmediate(send)
      })
      busy.set(delivery.session, attempt)
    }
  }

  async function deliver(delivery: Due): Promise<void> {
    const { taken, answer } = await post(delivery.body)
    if (stopping.signal.aborted && !taken) return
    const attempts = delivery.attempts + 1
    const state = taken ? 'delivered' : attempts >= ATTEMPTS_MAX ? 'given_up' : 'due'
    const wait = Math.min(BACKOFF_MILLISECONDS_MAX, SECOND * 2 ** Math.min(attempts - 1, 10))
    books.run(
      'update stripe_deliveries set state = ?, attempts = ?, due_at = ?, last_answer = ? where id = ?',
      state,
      attempts,
      clock() + wait,
      answer,
      delivery.id,
    )
  }

  async function post(payload: string): Promise<{ taken: boolean; answer: string }> {
    const signature = stripe.webhooks.generateTestHeaderString({
      payload,
      secret: world.webhookSecret,
      timestamp: Math.floor(clock() / SECOND),
    })
    try {
      const answered = await fetch(new URL('/webhooks/stripe', world.serverUrl()), {
        method: 'POST',
        headers: {
          'content-type': 'application/json; charset=utf-8',
          'user-agent': 'Stripe/1.0 (stand-in)',
          'stripe-signature': signature,
        },
        body: payload,
        redirect: 'manual',
        signal: AbortSignal.any([stopping.signal, AbortSignal.timeout(ANSWER_MILLISECONDS_MAX)]),
      })
      await answered.body?.cancel()
      return { taken: answered.ok, answer: String(answered.status) }
    } catch (error) {
      return { taken: false, answer: error instanceof Error ? error.name : 'no answer' }
    }
  }

  return {
    send,
    async stop() {
      stopping.abort()
      await Promise.allSettled(busy.values())
    },
  }
}
