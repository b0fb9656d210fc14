/**
 * Tells an open page what changed, as server-sent events. The page gets `hello` first and reads everything; from then on it gets each
 * changed order, top-up and balance whole, read anew through the doors. Nothing is replayed: who was away gets another `hello`.
 */
import type { Context } from 'hono'
import type { Balance, LiveEvents, Order, Topup } from '../contract/contract.ts'
import type { Accounts, SignedIn } from './accounts/accounts.ts'
import { type Announce, type Announcement, keyOf } from './platform/announce.ts'
import { Refusal } from './platform/answer.ts'
import { houseNow, pause } from './platform/clock.ts'
import type { Database } from './platform/db.ts'
import type { Log } from './platform/log.ts'

const HEARTBEAT_SECONDS = 15
/** What changes within this time goes out together, each thing once. */
const GATHER_MS = 20
/** More than this at once, and the page is told to read everything instead. */
const CHANGES_MAX = 50
/** What may wait for a reader that does not read; then its stream ends, and it may come back. Unit: bytes. */
const UNREAD_BYTES_MAX = 256 * 1024
/** Between two pages that are told to read everything. */
const TURN_MS = 1
const STREAMS_PER_ACCOUNT_MAX = 20
const STREAMS_MAX = 5_000
/** How long a page waits before it comes back. */
const RETRY_MS = 1_000

export type Live = ReturnType<typeof createLive>

export function createLive(settings: {
  database: Database
  announce: Announce
  accounts: Pick<Accounts, 'stillSignedIn'>
  log: Log
  /** Default 15; for tests. */
  heartbeatSeconds?: number
  /** What a page is shown of each thing; null where it is not (or no longer) the account's. */
  read: {
    order(accountId: bigint, id: string): Promise<Order | null>
    topup(accountId: bigint, id: string): Promise<Topup | null>
    balance(accountId: bigint): Promise<Balance>
  }
}) {
  const { database, log, read } = settings
  const streams = new Map<bigint, Set<Stream>>()
  let count = 0
  let closed = false

  type Change = Exclude<Announcement, { what: 'access' }>
  type Stream = { tell(change: Change): void; askAnew(): Promise<void>; end(): void }

  const unsubscribe = settings.announce.subscribe((announcement) => {
    if (announcement.what === 'everything') {
      // One after the other: thousands of pages that read everything at the same moment would stand in each other's way.
      const everyone = [...streams.values()].flatMap((own) => [...own])
      for (const [turn, stream] of everyone.entries()) void pause(turn * TURN_MS).then(() => stream.tell(announcement))
      return
    }
    for (const stream of streams.get(announcement.accountId) ?? []) {
      if (announcement.what === 'access') void stream.askAnew()
      else stream.tell(announcement)
    }
  })

  function open(c: Context<SignedIn>): Response {
    const { accountId } = c.get('caller')
    if (closed || count >= STREAMS_MAX) {
      throw new Refusal({ code: 'temporarily_unavailable', detail: 'No live updates at the moment. Try again soon.' })
    }
    if ((streams.get(accountId)?.size ?? 0) >= STREAMS_PER_ACCOUNT_MAX) {
      throw new Refusal({
        code: 'rate_limited',
        detail: `You have ${STREAMS_PER_ACCOUNT_MAX} live pages open. Close one of them, then open this one again.`,
        extra: { limit: STREAMS_PER_ACCOUNT_MAX },
      })
    }

    const encoder = new TextEncoder()
    const ended = new AbortController()
    const changes = new Map<string, Change>()
    let gathering = false
    let controller!: ReadableStreamDefaultController<Uint8Array>

    const stream: Stream = {
      tell(announcement) {
        changes.set(keyOf(announcement), announcement)
        if (changes.size > CHANGES_MAX) {
          changes.clear()
          changes.set('everything', { what: 'everything' })
        }
        if (!gathering) void gather()
      },
      /** Ends when its session or key did. */
      async askAnew() {
        const goesOn = await settings.accounts.stillSignedIn(c).catch(() => true) // the database is away: not the page's fault
        if (!goesOn) stream.end()
      },
      end() {
        if (ended.signal.aborted) return
        ended.abort()
        count--
        const own = streams.get(accountId)!
        own.delete(stream)
        if (own.size === 0) streams.delete(accountId)
        try {
          controller.close()
        } catch {
          // The reader went away first.
        }
      },
    }

    function write(text: string): void {
      if (ended.signal.aborted) return
      const bytes = encoder.encode(text)
      // A page that lags is not waited for: it would take memory from all the others, and `hello` heals it when it comes back.
      if ((controller.desiredSize ?? 0) < bytes.byteLength) stream.end()
      else controller.enqueue(bytes)
    }

    function send<Name extends keyof LiveEvents>(name: Name, value: LiveEvents[Name] | null): void {
      if (value !== null) write(`event: ${name}\ndata: ${JSON.stringify(value)}\n\n`)
    }

    async function sendHello(): Promise<void> {
      send('hello', { now: (await houseNow(database.pool)).toISOString() })
    }

    async function gather(): Promise<void> {
      gathering = true
      try {
        while (changes.size > 0 && !ended.signal.aborted) {
          await pause(GATHER_MS, ended.signal)
          const now = [...changes.values()]
          changes.clear()
          for (const change of now) {
            if (ended.signal.aborted) return
            switch (change.what) {
              case 'everything':
                await sendHello()
                break
              case 'balance':
                send('balance', await read.balance(accountId))
                break
              case 'order':
                send('order', await read.order(accountId, change.id))
                break
              case 'topup':
                send('topup', await read.topup(accountId, change.id))
                break
            }
          }
        }
      } catch (error) {
        // The page comes back by itself and reads everything: better than a stream with a hole.
        log.warn({ err: error }, 'A live stream ends because what changed could not be read')
        stream.end()
      } finally {
        gathering = false
      }
    }

    async function beat(): Promise<void> {
      while (!ended.signal.aborted) {
        await pause((settings.heartbeatSeconds ?? HEARTBEAT_SECONDS) * 1000, ended.signal)
        await stream.askAnew()
        write(': still here\n\n')
      }
    }

    const body = new ReadableStream<Uint8Array>(
      {
        start(control) {
          controller = control
        },
        cancel: () => stream.end(),
      },
      { highWaterMark: UNREAD_BYTES_MAX, size: (chunk) => chunk.byteLength },
    )
    // Listening before `hello` is read: what changes in between is told after it.
    count++
    if (!streams.has(accountId)) streams.set(accountId, new Set())
    streams.get(accountId)!.add(stream)
    write(`retry: ${RETRY_MS}\n\n`)
    sendHello().catch((error: unknown) => {
      log.warn({ err: error }, 'A live stream ends because the time could not be read')
      stream.end()
    })
    void beat()
    return c.body(body, 200, {
      'content-type': 'text/event-stream',
      'cache-control': 'no-store',
      'x-accel-buffering': 'no', // a proxy that gathers would hold the code back
    })
  }

  return {
    open,
    /** Ends every stream and opens no other: the server waits for its open answers when it stops. */
    close(): void {
      closed = true
      unsubscribe()
      for (const own of [...streams.values()]) for (const stream of [...own]) stream.end()
    },
  }
}
