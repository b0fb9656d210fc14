/**
 * What the bank tells: events, kept in the books, and their deliveries to the server's webhook. The event is written in the
 * transaction of what it tells; sending comes after.
 */
import type Stripe from 'stripe'
import type { Books } from '../books.ts'
import { type Clock, SECOND, seconds } from '../clock.ts'
import { randomLetters } from '../ids.ts'
import type { Kind, Kinds } from './records.ts'

/** The version that the pinned SDK speaks. */
export const API_VERSION = '2026-10-28.endive'

/** The API call that caused it; null when a customer or the passing of time did. */
export type Cause = { id: string; idempotency_key: string | null } | null

/**
 * How webhooks travel: `on`; `off`: lost, also afterwards; `double`: each twice; `late`: five seconds later; `reordered`: what
 * happened together arrives last first; `withheld`: not before they are released.
 */
export const deliveryModes = ['on', 'off', 'double', 'late', 'reordered', 'withheld'] as const
export type DeliveryMode = (typeof deliveryModes)[number]

const LATE_MILLISECONDS = 5 * SECOND
/** Long enough for all events of one payment to be there before the last of them leaves. */
const REORDER_MILLISECONDS = 700

export function defineEvents(books: Books): void {
  books.define(`
    create table if not exists stripe_events (
      seq integer primary key,
      id text not null unique,
      type text not null,
      created integer not null,
      -- The checkout session: one delivery at a time for each, so that the first attempts keep the order.
      session text not null,
      -- The exact bytes that are signed and sent.
      body text not null
    );
    create table if not exists stripe_deliveries (
      id integer primary key,
      event integer not null references stripe_events (seq),
      -- 'due', 'delivered', 'given_up', 'lost', 'withheld'
      state text not null,
      -- Unix milliseconds.
      due_at integer not null,
      -- What is due together leaves in this order.
      place integer not null,
      attempts integer not null default 0,
      last_answer text
    );
    create index if not exists stripe_deliveries_due on stripe_deliveries (due_at) where state = 'due';
    create index if not exists stripe_deliveries_of on stripe_deliveries (event);
  `)
}

export function deliveryMode(books: Books): DeliveryMode {
  const kept = books.setting('stripe_webhooks')
  return deliveryModes.find((mode) => mode === kept) ?? 'on'
}

export function setDeliveryMode(books: Books, mode: DeliveryMode): void {
  books.set('stripe_webhooks', mode)
}

export function write(
  bank: { books: Books; clock: Clock },
  session: string,
  type: Stripe.Event['type'],
  object: Kinds[Exclude<Kind, 'payment_method' | 'balance_transaction' | 'item'>],
  cause: Cause,
  previous?: Record<string, unknown>,
): void {
  const { books, clock } = bank
  const event = {
    id: `evt_${randomLetters(24)}`,
    object: 'event',
    api_version: API_VERSION,
    created: seconds(clock),
    data: { object, ...(previous && { previous_attributes: previous }) },
    livemode: false,
    pending_webhooks: 1,
    request: cause ?? { id: null, idempotency_key: null },
    type,
  } satisfies Stripe.EventBase
  books.run(
    'insert into stripe_events (id, type, created, session, body) values (?, ?, ?, ?, ?)',
    event.id,
    type,
    event.created,
    session,
    JSON.stringify(event),
  )
  const { seq } = books.one<{ seq: number }>('select seq from stripe_events where id = ?', event.id)!
  const mode = deliveryMode(books)
  const delay = mode === 'late' ? LATE_MILLISECONDS : mode === 'reordered' ? REORDER_MILLISECONDS : 0
  for (let copy = 0; copy < (mode === 'double' ? 2 : 1); copy++) {
    books.run(
      'insert into stripe_deliveries (event, state, due_at, place) values (?, ?, ?, ?)',
      seq,
      mode === 'off' ? 'lost' : mode === 'withheld' ? 'withheld' : 'due',
      clock() + delay,
      mode === 'reordered' ? -seq : seq,
    )
  }
}

export const releaseOrders = ['happened', 'reversed', 'shuffled'] as const

/** Lets go what was withheld, each `copies` times. Answers how many events that were. */
export function release(
  { books, clock }: { books: Books; clock: Clock },
  order: (typeof releaseOrders)[number],
  copies: number,
): number {
  const places = { happened: 'event', reversed: '-event', shuffled: 'random() % 1000000000' }
  return books.transaction(() => {
    const held = books.all<{ event: number }>(`select event from stripe_deliveries where state = 'withheld'`)
    for (const { event } of held) {
      for (let copy = 1; copy < copies; copy++)
        books.run(
          `insert into stripe_deliveries (event, state, due_at, place) values (?, 'withheld', ?, ?)`,
          ...[event, clock(), event],
        )
    }
    books.run(
      `update stripe_deliveries set state = 'due', due_at = ?, place = ${places[order]} where state = 'withheld'`,
      clock(),
    )
    return held.length
  })
}

/** Once more, as by a press in Stripe's dashboard. False: no such event. */
export function resend({ books, clock }: { books: Books; clock: Clock }, id: string): boolean {
  return (
    books.run(
      `insert into stripe_deliveries (event, state, due_at, place) select seq, 'due', ?, seq from stripe_events where id = ?`,
      ...[clock(), id],
    ).changes > 0
  )
}
