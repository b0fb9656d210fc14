/**
 * Carries announcements between the processes of one house, by LISTEN and NOTIFY on one connection of its own.
 *
 * Never inside a transaction that moves money: a NOTIFY takes a lock of the whole cluster until its commit, and would let the orders of
 * all customers wait for one another. What a process announces within GATHER_MS goes out as one statement, ids only; a payload has
 * less than 8,000 bytes because PostgreSQL takes no more. What was published here is delivered here by announce.ts, at once, and not a
 * second time.
 *
 * A connection that breaks is opened again, with growing pauses. Meanwhile others may have announced what was not heard, so every open
 * page is then told to read everything anew; what was published here meanwhile is kept and told to the others.
 */
import pg from 'pg'
import { type Announce, type Announcement, keyOf } from './announce.ts'
import { atMost, pause } from './clock.ts'
import type { Log } from './log.ts'

export type Relay = Awaited<ReturnType<typeof openRelay>>

const CHANNEL = 'mobilesms_announcements'
/** What changes within this time goes out in one statement. */
const GATHER_MS = 20
/** Different things that wait to be told; of more than these, the others are told to read everything. */
const WAITING_MAX = 2_000
/** PostgreSQL refuses 8,000. */
const PAYLOAD_BYTES_MAX = 7_900
const RECONNECT_MS = { first: 100, most: 5_000 }
const STATEMENT_MS_MAX = 5_000
/** A connection that says nothing may be cut without anybody having been told. */
const STILL_THERE_SECONDS = 15
const LAST_WORDS_MS_MAX = 1_000

/** `url` must lead to PostgreSQL itself, or to a pooler that keeps a connection for the whole session. */
export async function openRelay(settings: { url: string; announce: Announce; log: Log }) {
  const { announce, log } = settings
  const closing = new AbortController()
  const waiting = new Map<string, Announcement>()
  let client: pg.Client | null = null
  let sending: Promise<void> | null = null
  let reconnecting: Promise<void> | null = null

  const unsubscribe = announce.subscribe((announcement, origin) => {
    if (origin === 'elsewhere') return
    waiting.set(keyOf(announcement), announcement)
    if (waiting.size > WAITING_MAX) tellEverything()
    sending ??= sendSoon()
  })

  function tellEverything(): void {
    waiting.clear()
    waiting.set('everything', { what: 'everything' })
  }

  async function connect(): Promise<void> {
    const fresh = new pg.Client({
      connectionString: settings.url,
      application_name: 'mobilesms_relay',
      // An announcement that a crash of PostgreSQL takes along is missed by nobody: all connections broke with it.
      options: '-c role=mobilesms_app -c synchronous_commit=off',
      connectionTimeoutMillis: STATEMENT_MS_MAX,
      query_timeout: STATEMENT_MS_MAX,
      keepAlive: true,
    })
    fresh.on('error', (error) => lost(fresh, error))
    fresh.on('end', () => lost(fresh, null))
    try {
      await fresh.connect()
      const { processID } = fresh as unknown as { processID: number }
      fresh.on('notification', ({ processId, payload }) => {
        if (processId !== processID && payload) hear(payload)
      })
      await fresh.query(`listen ${CHANNEL}`)
    } catch (error) {
      fresh.removeAllListeners('end')
      void fresh.end().catch(() => {})
      throw error
    }
    client = fresh
  }

  function lost(which: pg.Client, error: Error | null): void {
    if (client !== which) return
    client = null
    if (closing.signal.aborted) return
    log.warn({ err: error }, 'The connection for announcements broke; it is opened again')
    reconnecting ??= reconnect().finally(() => {
      reconnecting = null
    })
  }

  async function reconnect(): Promise<void> {
    for (let wait = RECONNECT_MS.first; !closing.signal.aborted; wait = Math.min(wait * 2, RECONNECT_MS.most)) {
      await pause(wait, closing.signal)
      if (closing.signal.aborted) return
      try {
        await connect()
      } catch (error) {
        log.warn({ err: error }, 'Announcements cannot be heard yet')
        continue
      }
      log.info('Announcements are heard again')
      announce.publish({ what: 'everything' }, 'elsewhere')
      if (waiting.size > 0) sending ??= sendSoon()
      return
    }
  }

  async function sendSoon(): Promise<void> {
    try {
      do {
        await pause(GATHER_MS, closing.signal)
        await send()
      } while (waiting.size > 0 && client && !closing.signal.aborted)
    } finally {
      sending = null
    }
  }

  async function send(): Promise<void> {
    const now = [...waiting.values()]
    const through = client
    if (!through || now.length === 0) return
    waiting.clear()
    try {
      await through.query({
        name: 'announce',
        text: 'select pg_notify($1, payload) from unnest($2::text[]) payload',
        values: [CHANNEL, print(now)],
      })
    } catch (error) {
      // Told or not, nobody knows; told twice does no harm. What was announced meanwhile is newer and stays.
      if (now.length + waiting.size > WAITING_MAX) tellEverything()
      else for (const announcement of now) waiting.set(keyOf(announcement), announcement)
      lost(through, error as Error)
      void through.end().catch(() => {})
    }
  }

  function hear(payload: string): void {
    for (const announcement of read(payload)) announce.publish(announcement, 'elsewhere')
  }

  async function stillThere(): Promise<void> {
    while (!closing.signal.aborted) {
      await pause(STILL_THERE_SECONDS * 1000, closing.signal)
      const through = client
      if (closing.signal.aborted || !through || sending) continue
      await through.query('select 1').catch((error: Error) => {
        lost(through, error)
        void through.end().catch(() => {})
      })
    }
  }

  await connect()
  void stillThere()

  return {
    /** Whether the other processes are heard at this moment. */
    isOpen: () => client !== null,
    /** Different things that wait to be told; for tests. */
    waiting: () => waiting.size,
    /** Tells what is still to be told, then ends. */
    async close(): Promise<void> {
      unsubscribe()
      closing.abort()
      await atMost(Promise.all([sending, reconnecting]), LAST_WORDS_MS_MAX)
      await atMost(send(), LAST_WORDS_MS_MAX)
      const last = client
      client = null
      if (last) await atMost(last.end(), LAST_WORDS_MS_MAX)
    },
  }
}

/** The announcements as payloads: a line each. */
function print(announcements: readonly Announcement[]): string[] {
  const payloads: string[] = []
  let payload = ''
  for (const line of announcements.map(keyOf)) {
    if (payload.length + 1 + line.length > PAYLOAD_BYTES_MAX) {
      payloads.push(payload)
      payload = ''
    }
    payload += payload === '' ? line : `\n${line}`
  }
  return [...payloads, payload]
}

/** What another process announced. Of a newer version it may be something that this one does not know, and has no page for. */
function read(payload: string): Announcement[] {
  return payload.split('\n').flatMap((line): Announcement[] => {
    const [what, account = '', id = ''] = line.split(' ')
    if (what === 'everything') return [{ what }]
    if (!/^\d{1,19}$/.test(account)) return []
    if (what === 'balance' || what === 'access') return [{ what, accountId: BigInt(account) }]
    if ((what === 'order' || what === 'topup') && id !== '') return [{ what, accountId: BigInt(account), id }]
    return []
  })
}
