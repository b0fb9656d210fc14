/**
 * What no webhook brought: the card company's list of events is read every minute and at every start, and its objects are gone through
 * where the list does not go back far enough. What is found comes to the inbox, as if it had been told (events.ts).
 */
import type pg from 'pg'
import type { WireClock } from '../../platform/clock.ts'
import type { Database } from '../../platform/db.ts'
import type { Log } from '../../platform/log.ts'
import type { Events } from './events.ts'
import { type CardCompany, type ListedKind, listedKinds } from './stripe.ts'
import { readTold } from './told.ts'

const PAGE_EVENTS = 100
/** What one reading of the list takes in: some ten thousand events, then the next minute goes on. */
const PAGES_MAX = 100
const READING_MS_MAX = 20_000
/** A list without an anchor is read backwards, and can only be kept when it was read to its end. */
const PAGES_WITHOUT_ANCHOR_MAX = 10
const SWEEP_PAGES_MAX = 20
/** The place in the list stays so far behind the present: what appears in it late, before something newer, is read all the same. */
const BEHIND_SECONDS = 120
/** Our clock and the card company's need not agree better. */
const CLOCKS_DIFFER_SECONDS = 300
/** The list goes back 30 days. Source: the card company's documentation of it. */
const LISTED_SECONDS = 30 * 86_400
/** Between a payment and what may become of it later there lies a payment page's life, and a day for a bank to make up its mind. */
const SWEPT_BEFORE_SECONDS = 2 * 86_400
const LAST_ERROR_CHARACTERS_MAX = 500

export function createGaps(settings: {
  database: Database
  log: Log
  clock: WireClock
  card: Pick<CardCompany, 'listEvents' | 'listObjects'>
  livemode: boolean
  installation: () => Promise<string>
  events: Pick<Events, 'store' | 'decide'>
}) {
  const { database, log, clock, card, livemode } = settings
  const { store, decide } = settings.events

  /**
   * Reads the card company's list of events from where it was last read, and stores what no webhook has brought. Together with what a
   * page brings, in one transaction, the place in the list is moved. Two at once do the same work, once.
   */
  async function fillGap(signal?: AbortSignal): Promise<void> {
    const ours = await settings.installation()
    let state = await readState()
    try {
      if (!state.anchored) {
        await anchor(state)
        state = await readState()
      }
      if (state.last_event_id === null) await readWithoutAnchor(ours, state)
      else await readOn(ours, state.last_event_id, signal)
      state = await readState()
      if (state.object_sweep !== null) await sweepObjects(ours, state.object_sweep, signal)
    } catch (error) {
      if (!(error instanceof NotAnswered)) throw error
      log.warn(
        { stripe: error.message },
        "The card company's list of events could not be read; the next minute tries again",
      )
      await note(error.message)
    }
  }

  type State = {
    began: number
    anchored: boolean
    last_event_id: string | null
    last_event: number | null
    read: number | null
    object_sweep: ObjectSweep | null
  }

  /** Begins the account's story at the first start. Times in whole seconds since 1970. */
  async function readState(): Promise<State> {
    const read = () =>
      database.pool.query<State>(
        `select extract(epoch from began_at)::float8 as began, anchored, last_event_id,
                extract(epoch from last_event_at)::float8 as last_event, extract(epoch from read_at)::float8 as read, object_sweep
           from card_event_state`,
      )
    const { rows } = await read()
    if (rows[0]) return rows[0]
    await database.pool.query('insert into card_event_state default values on conflict do nothing')
    return (await read()).rows[0]!
  }

  /** What happened at the card company before our first start is somebody else's story. */
  async function anchor(state: State): Promise<void> {
    const { data } = await listed(card.listEvents({ limit: 1, createdUntil: Math.floor(state.began) }))
    await database.pool.query(
      `update card_event_state
          set anchored = true, last_event_id = $1, last_event_at = to_timestamp($2)
        where not anchored`,
      [data[0]?.id ?? null, data[0]?.created ?? null],
    )
  }

  async function readOn(ours: string, from: string, signal?: AbortSignal): Promise<void> {
    const begun = performance.now()
    let place = from
    for (let pages = 0; pages < PAGES_MAX && !signal?.aborted; pages++) {
      const answer = await card.listEvents({ limit: PAGE_EVENTS, endingBefore: place })
      if (!answer.ok && answer.why === 'refused' && answer.code === 'resource_missing') return lost(from)
      const { data, has_more } = await listed(Promise.resolve(answer))
      const events = data.toReversed()
      await database.transaction(async (tx) => {
        // Who reads the same page at the same time waits here, and finds everything known.
        await tx.query('select from card_event_state for update')
        await storeListed(tx, ours, events)
      })
      const newest = events.at(-1)
      if (!newest || !has_more) return note(null)
      place = newest.id
      if (performance.now() - begun > READING_MS_MAX) return
    }
  }

  /** Until the first event there is no place in the list to read on from. */
  async function readWithoutAnchor(ours: string, state: State): Promise<void> {
    const events: ListedEvent[] = []
    let oldest: string | undefined
    for (let pages = 0; ; pages++) {
      if (pages === PAGES_WITHOUT_ANCHOR_MAX) return lost(null)
      const page = { limit: PAGE_EVENTS, createdFrom: Math.floor(state.began), startingAfter: oldest }
      const { data, has_more } = await listed(card.listEvents(page))
      events.push(...data)
      oldest = data.at(-1)?.id
      if (!has_more || oldest === undefined) break
    }
    await database.transaction(async (tx) => {
      await tx.query('select from card_event_state for update')
      await storeListed(tx, ours, events.reverse())
    })
    await note(null)
  }

  /** Oldest first. The place moves to the last of them that is old enough for nothing to appear before it. */
  async function storeListed(tx: pg.PoolClient, ours: string, events: ListedEvent[]): Promise<void> {
    if (events.length === 0) return
    const told = events.map((event) => {
      const body = JSON.stringify(event)
      return { told: readTold(event, body), body }
    })
    const fresh = (await store(tx, ours, told)).filter(Boolean).length
    if (fresh > 0) log.info({ events: fresh }, 'Events that no webhook brought were read from the list')
    const settled = clock.now().getTime() / 1000 - BEHIND_SECONDS
    const last = events.findLast((event) => event.created <= settled)
    if (!last) return
    await tx.query(
      `update card_event_state
          set last_event_id = $1, last_event_at = to_timestamp($2)
        where last_event_at is null or last_event_at <= to_timestamp($2)`,
      [last.id, last.created],
    )
  }

  /**
   * The list does not go back to where it was last read: it is kept for 30 days. Where nothing happened for so long it is read from
   * the last reading on. Else it is read from now on, and what happened in between is found by going through the objects.
   */
  async function lost(from: string | null): Promise<void> {
    const { pool } = database
    const state = await readState()
    const now = clock.now().getTime() / 1000
    if (from !== null && state.read !== null && state.read > now - LISTED_SECONDS / 2) {
      await pool.query(
        `update card_event_state
            set last_event_id = null, began_at = read_at - make_interval(secs => $2)
          where last_event_id = $1`,
        [from, CLOCKS_DIFFER_SECONDS],
      )
      return
    }
    const { data } = await listed(card.listEvents({ limit: 1 }))
    const sweep: ObjectSweep = {
      since: Math.floor(state.last_event ?? state.began) - SWEPT_BEFORE_SECONDS,
      begun: Math.floor(now),
      left: listedKinds.map((kind) => ({ kind, after: null })),
    }
    const { rowCount } = await pool.query(
      `update card_event_state
          set last_event_id = $2, last_event_at = to_timestamp($3), object_sweep = $4, began_at = now() - make_interval(secs => $5)
        where last_event_id is not distinct from $1`,
      [from, data[0]?.id ?? null, data[0]?.created ?? null, JSON.stringify(sweep), CLOCKS_DIFFER_SECONDS],
    )
    if (rowCount === 1)
      log.error(
        { alarm: true, since: sweep.since },
        'Alarm: the list of events does not go back to where it was last read; the payments themselves are gone through',
      )
  }

  /** One kind after the other, page by page; how far it came is kept, so that the next minute goes on from there. */
  async function sweepObjects(ours: string, sweep: ObjectSweep, signal?: AbortSignal): Promise<void> {
    let { left } = sweep
    for (let pages = 0; pages < SWEEP_PAGES_MAX && left.length > 0 && !signal?.aborted; pages++) {
      const [now, ...others] = left as [ObjectSweep['left'][number], ...ObjectSweep['left']]
      const { data, has_more } = await listed(
        card.listObjects(now.kind, {
          limit: PAGE_EVENTS,
          // A dispute or a refund may be about a payment of long before; it is listed by when it was made itself.
          createdFrom: sweep.since,
          startingAfter: now.after ?? undefined,
        }),
      )
      left = has_more ? [{ kind: now.kind, after: data.at(-1)!.id }, ...others] : others
      const found = data.map((object) => {
        const body = JSON.stringify({
          id: `swept_${sweep.begun}_${object.id}`,
          object: 'event',
          type: `swept.${now.kind}`,
          livemode,
          data: { object },
        })
        return { told: readTold(JSON.parse(body), body), body }
      })
      await database.transaction(async (tx) => {
        await tx.query('select from card_event_state for update')
        const kept: typeof found = []
        for (const one of found) if ((await decide(tx, ours, one.told)).do !== 'end') kept.push(one)
        if (kept.length > 0) await store(tx, ours, kept)
        await tx.query('update card_event_state set object_sweep = $1', [
          left.length === 0 ? null : JSON.stringify({ ...sweep, left }),
        ])
      })
    }
  }

  /** `null`: the list was read to its end. */
  async function note(trouble: string | null): Promise<void> {
    await database.pool.query(
      `update card_event_state
          set last_error = $1, read_at = case when $1::text is null then now() else read_at end`,
      [trouble?.slice(0, LAST_ERROR_CHARACTERS_MAX) ?? null],
    )
  }

  return { fillGap }
}

type ObjectSweep = {
  /** Objects made since then. */
  since: number
  begun: number
  left: { kind: ListedKind; after: string | null }[]
}
type ListedEvent = { id: string; created: number }

/** The card company gave no answer, or a refusal that we can do nothing about here. */
class NotAnswered extends Error {}

async function listed<Page>(call: Promise<{ ok: true; value: Page } | { ok: false; message: string }>): Promise<Page> {
  const answer = await call
  if (!answer.ok) throw new NotAnswered(answer.message)
  return answer.value
}
