/**
 * Where the bank keeps its objects: one row each, as they are told to others, plus when something becomes due for them.
 */
import type Stripe from 'stripe'
import type { Books } from '../books.ts'

export type Kinds = {
  'checkout.session': Stripe.Checkout.Session
  payment_intent: Stripe.PaymentIntent
  payment_method: Stripe.PaymentMethod
  charge: Stripe.Charge
  balance_transaction: Stripe.BalanceTransaction
  refund: Stripe.Refund
  dispute: Stripe.Dispute
  payout: Stripe.Payout
  'radar.early_fraud_warning': Stripe.Radar.EarlyFraudWarning
  item: Stripe.LineItem
}
export type Kind = keyof Kinds

export function defineRecords(books: Books): void {
  books.define(`
    create table if not exists stripe_objects (
      seq integer primary key,
      id text not null unique,
      kind text not null,
      -- The checkout session it belongs to: webhooks of one session leave in order.
      session text not null,
      -- Unix seconds: a session's end, an intent's lapse, the end of a refund or a dispute. Null: nothing due.
      due_at integer,
      body text not null,
      -- What the object does not tell: the payment_intent_data of a session whose intent is not yet born, what a card will do.
      extra text
    );
    -- Lists and the desk read the newest of a kind.
    create index if not exists stripe_objects_by_kind on stripe_objects (kind, seq);
    -- The lines of a session, the charges of a session.
    create index if not exists stripe_objects_by_session on stripe_objects (session, kind);
    create index if not exists stripe_objects_due on stripe_objects (due_at) where due_at is not null;
    create table if not exists stripe_challenges (
      id text primary key,
      session text not null,
      method text not null,
      -- A test number; others are declined before they could be kept.
      number text not null
    ) without rowid;
  `)
}

type Place = { session: string; dueAt?: number | null; extra?: unknown }

export function put<K extends Kind>(books: Books, object: Kinds[K] & { object: K }, place: Place): void {
  books.run(
    `insert into stripe_objects (id, kind, session, due_at, body, extra) values (?, ?, ?, ?, ?, ?)`,
    object.id,
    object.object,
    place.session,
    place.dueAt ?? null,
    JSON.stringify(object),
    place.extra === undefined ? null : JSON.stringify(place.extra),
  )
}

/** `dueAt` is always said anew: what was due is done, or stands again. */
export function change(books: Books, object: Kinds[Kind], dueAt: number | null): void {
  books.run('update stripe_objects set body = ?, due_at = ? where id = ?', JSON.stringify(object), dueAt, object.id)
}

/** Changes what it tells and leaves what is due for it. */
export function rewrite(books: Books, object: Kinds[Kind]): void {
  books.run('update stripe_objects set body = ? where id = ?', JSON.stringify(object), object.id)
}

export function find<K extends Kind>(books: Books, kind: K, id: string): Kinds[K] | undefined {
  const row = books.one<{ body: string }>('select body from stripe_objects where id = ? and kind = ?', id, kind)
  return row && (JSON.parse(row.body) as Kinds[K])
}

export function findAny(books: Books, id: string): Kinds[Kind] | undefined {
  const row = books.one<{ body: string }>('select body from stripe_objects where id = ?', id)
  return row && (JSON.parse(row.body) as Kinds[Kind])
}

export function extraOf<Extra>(books: Books, id: string): Extra {
  const row = books.one<{ extra: string | null }>('select extra from stripe_objects where id = ?', id)
  return JSON.parse(row?.extra ?? 'null') as Extra
}

export function keepExtra(books: Books, id: string, extra: unknown): void {
  books.run('update stripe_objects set extra = ? where id = ?', JSON.stringify(extra), id)
}

export function sessionOf(books: Books, id: string): string | undefined {
  return books.one<{ session: string }>('select session from stripe_objects where id = ?', id)?.session
}

export function ofSession<K extends Kind>(books: Books, kind: K, session: string): Kinds[K][] {
  return books
    .all<{ body: string }>('select body from stripe_objects where session = ? and kind = ? order by seq', session, kind)
    .map((row) => JSON.parse(row.body) as Kinds[K])
}

export function newest<K extends Kind>(books: Books, kind: K, limit: number): Kinds[K][] {
  return books
    .all<{ body: string }>('select body from stripe_objects where kind = ? order by seq desc limit ?', kind, limit)
    .map((row) => JSON.parse(row.body) as Kinds[K])
}

export function dueBefore(books: Books, now: number, limit: number): { id: string; kind: Kind }[] {
  return books.all<{ id: string; kind: Kind }>(
    'select id, kind from stripe_objects where due_at <= ? order by due_at, seq limit ?',
    now,
    limit,
  )
}

export type Challenge = { id: string; session: string; method: string; number: string }

export function putChallenge(books: Books, challenge: Challenge): void {
  const { id, session, method, number } = challenge
  books.run('insert into stripe_challenges values (?, ?, ?, ?)', id, session, method, number)
}

export function findChallenge(books: Books, id: string): Challenge | undefined {
  return books.one<Challenge>('select * from stripe_challenges where id = ?', id)
}

/** Values replace, empty ones take away, the rest stays. */
export function mergedMetadata(kept: Stripe.Metadata | null, asked: Record<string, string>): Stripe.Metadata {
  return Object.fromEntries(Object.entries({ ...kept, ...asked }).filter(([, value]) => value !== ''))
}
