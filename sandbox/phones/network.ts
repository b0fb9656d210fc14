/**
 * Carries SMS to one of the server's webhooks, its own or Twilio's: written down first, signed, repeated with back-off while the server is away. An SMS
 * that the server refuses is refused for good, as with any carrier.
 */
import { createHmac } from 'node:crypto'
import type { Books } from '../books.ts'
import { type Clock, SECOND } from '../clock.ts'
import { randomLetters } from '../ids.ts'
import { asTwilioSends } from './twilio.ts'

const ATTEMPTS_MAX = 12
const BACKOFF_MILLISECONDS_MAX = 30 * SECOND
const ANSWER_MILLISECONDS_MAX = 10 * SECOND
const AT_ONCE_MAX = 16
/** Older ones are forgotten once they have arrived or been given up. */
const KEPT_MAX = 2_000

/** Through which of the server's doors a message goes. */
export const doors = ['generic', 'twilio'] as const
export type Door = (typeof doors)[number]

export type Sms = { id: string; to: string; from: string; text: string; via: Door }

export type Carried =
  /** The server stored it; `answer` is what it said. */
  | { outcome: 'taken'; status: number; answer: unknown }
  | { outcome: 'refused'; status: number; answer: unknown }
  /** The server is away: it is tried again. */
  | { outcome: 'queued'; why: string }

export type Network = {
  carry: (sms: Sms) => Promise<Carried>
  /** Writes it down inside the caller's transaction; it leaves with the next tick. */
  hand: (sms: Sms) => void
  send: () => void
  waiting: () => number
  stop: () => Promise<void>
}

export function newSmsId(): string {
  return `sms_${randomLetters(20)}`
}

type Row = Sms & { seq: number; attempts: number }

export function openNetwork(world: {
  books: Books
  clock: Clock
  serverUrl: () => string
  /** The server's address as people know it: what is set at Twilio. */
  publicUrl: () => string
  secret: string
  twilioToken: string
}): Network {
  const { books, clock } = world
  books.define(`
    create table if not exists phone_messages (
      seq integer primary key,
      -- The carrier's message id; the same may be sent twice, as carriers do.
      id text not null,
      recipient text not null,
      sender text not null,
      body text not null,
      -- 'due', 'taken', 'refused', 'given_up'
      state text not null,
      -- Unix milliseconds.
      due_at integer not null,
      attempts integer not null default 0,
      last_answer text
    );
    create index if not exists phone_messages_due on phone_messages (due_at) where state = 'due';
  `)
  // Books of before there was a second door.
  if (!books.one(`select 1 from pragma_table_info('phone_messages') where name = 'via'`))
    books.define(`alter table phone_messages add column via text not null default 'generic'`)
  const stopping = new AbortController()
  const busy = new Map<number, Promise<Carried>>()

  function write(sms: Sms): number {
    books.run(
      `insert into phone_messages (id, recipient, sender, body, via, state, due_at) values (?, ?, ?, ?, ?, 'due', ?)`,
      ...[sms.id, sms.to, sms.from, sms.text, sms.via, clock()],
    )
    const { seq } = books.one<{ seq: number }>('select last_insert_rowid() as seq')!
    books.run(`delete from phone_messages where seq <= ? and state <> 'due'`, seq - KEPT_MAX)
    return seq
  }

  function start(row: Row): Promise<Carried> {
    const attempt = tryOnce(row).finally(() => busy.delete(row.seq))
    busy.set(row.seq, attempt)
    return attempt
  }

  async function tryOnce(row: Row): Promise<Carried> {
    const carried = await post(row)
    if (stopping.signal.aborted && carried.outcome === 'queued') return carried
    const attempts = row.attempts + 1
    const state = carried.outcome !== 'queued' ? carried.outcome : attempts >= ATTEMPTS_MAX ? 'given_up' : 'due'
    const wait = Math.min(BACKOFF_MILLISECONDS_MAX, SECOND * 2 ** (attempts - 1))
    books.run(
      'update phone_messages set state = ?, attempts = ?, due_at = ?, last_answer = ? where seq = ?',
      ...[state, attempts, clock() + wait],
      carried.outcome === 'queued' ? carried.why : String(carried.status),
      row.seq,
    )
    return carried
  }

  function written(sms: Sms, path: string): { headers: Record<string, string>; body: string } {
    if (sms.via === 'twilio') return asTwilioSends(sms, { called: world.publicUrl() + path, token: world.twilioToken })
    const body = JSON.stringify({ id: sms.id, to: sms.to, from: sms.from, text: sms.text })
    const timestamp = Math.floor(clock() / SECOND)
    const signature = createHmac('sha256', world.secret).update(`${timestamp}.${body}`).digest('hex')
    return { headers: { 'content-type': 'application/json', 'x-signature': `t=${timestamp},v1=${signature}` }, body }
  }

  async function post(sms: Sms): Promise<Carried> {
    const path = `/webhooks/sms/${sms.via}`
    try {
      const answered = await fetch(new URL(path, world.serverUrl()), {
        method: 'POST',
        ...written(sms, path),
        redirect: 'manual',
        signal: AbortSignal.any([stopping.signal, AbortSignal.timeout(ANSWER_MILLISECONDS_MAX)]),
      })
      const answer = readJson(await answered.text())
      if (answered.ok) return { outcome: 'taken', status: answered.status, answer }
      const again = answered.status >= 500 || answered.status === 429 || answered.status === 408
      if (again) return { outcome: 'queued', why: `the server answered ${answered.status}` }
      return { outcome: 'refused', status: answered.status, answer }
    } catch {
      return { outcome: 'queued', why: 'the server does not answer' }
    }
  }

  return {
    async carry(sms) {
      const seq = write(sms)
      return start({ ...sms, seq, attempts: 0 })
    },
    hand: (sms) => void write(sms),
    send() {
      if (stopping.signal.aborted) return
      const due = books.all<Row>(
        `select seq, id, recipient as "to", sender as "from", body as text, via, attempts
           from phone_messages where state = 'due' and due_at <= ? order by seq limit ?`,
        clock(),
        2 * AT_ONCE_MAX,
      )
      for (const row of due) {
        if (busy.size >= AT_ONCE_MAX) return
        if (!busy.has(row.seq)) void start(row)
      }
    },
    waiting: () =>
      books.one<{ count: number }>(`select count(*) as count from phone_messages where state = 'due'`)!.count,
    async stop() {
      stopping.abort()
      await Promise.allSettled(busy.values())
    },
  }
}

function readJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return text.slice(0, 500)
  }
}
