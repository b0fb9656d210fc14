/**
 * What the card company tells: by webhook, and through gaps.ts by its lists. All of it comes to the inbox, each event once, and is acted
 * on from there, or set aside for a person.
 *
 * What an event says is never believed: it says which object of which top-up should be asked about, and no more. So events may come
 * in any order, twice, late, or not at all.
 */

import type pg from 'pg'
import type { StaffEvent } from '../../../contract/contract.ts'
import { printCursor } from '../../platform/answer.ts'
import type { WireClock } from '../../platform/clock.ts'
import type { Database, Queryable } from '../../platform/db.ts'
import type { Log } from '../../platform/log.ts'
import type { Queue, QueueDefinition } from '../../platform/queue.ts'
import { API_VERSION, readEvent } from './stripe.ts'
import { type Action, isRecord, kinds, readTold, type Told, types } from './told.ts'

/** Acts on an event that was stored. Its work is `payments.settleJob`. */
export const settleQueue: QueueDefinition = {
  name: 'payments_settle',
  retriesMax: 8,
  retryDelaySeconds: 2,
  timeoutSeconds: 60,
}
export type SettleJob = { topupId: string; inboxId: string }

export type Received =
  /** There is no secret to check a signature with: the endpoint is switched off. */
  | 'off'
  | 'invalid_signature'
  /** Signed, but no event. */
  | 'unreadable'
  | 'accepted'
  | 'duplicate'
  /** The house asked itself whether it can be reached. Nothing is stored. */
  | { selfTest: string }

/** What the house sends itself (endpoint.ts). Nobody else can: it is signed. */
export const SELF_TEST = 'mobilesms.self_test'

/** A job has this long for its event before the sweeper takes it; then the pause doubles with each attempt. Unit: seconds. */
const LEFT_AFTER_SECONDS = 120
const PAUSE_SECONDS_MAX = 6 * 3600
/** An object that nothing of ours is known by: perhaps not yet. As long as the card company itself goes on telling. */
const UNKNOWN_AFTER_SECONDS = 30
const TRIED_SECONDS_MAX = 3 * 86_400
const SWEPT_AT_ONCE_MAX = 50
const WORKERS = 4
const LAST_ERROR_CHARACTERS_MAX = 500

/** Asks the card company for an object and brings our row and the ledger to its state. Throws while that cannot be known. */
export type Learn = (topupId: string, externalId: string) => Promise<string>

type Row = { id: string; body: string; subject: string; attempts: number; old: boolean }

type Decision =
  | { do: 'end'; outcome: string }
  | { do: 'set_aside'; why: string }
  | { do: 'wait' }
  | { do: 'act'; action: Action; topupId: string; externalId: string; unheardOf: boolean }

export type Events = ReturnType<typeof createEvents>

export function createEvents(settings: {
  database: Database
  queue: Pick<Queue, 'send'>
  log: Log
  clock: WireClock
  livemode: boolean
  secrets: readonly string[]
  installation: () => Promise<string>
  /** An action that is absent is one that this version cannot do: its events wait for one that can. */
  actions: { settle: (topupId: string) => Promise<string> } & { [other in Exclude<Action, 'settle'>]?: Learn }
}) {
  const { database, queue, log, clock, livemode, actions } = settings
  const secrets = settings.secrets.filter((secret) => secret.trim() !== '')

  /**
   * A webhook, as it came. It is stored and its job sent in one transaction. Answer 2xx on what is stored only: the rest the card
   * company sends again.
   */
  async function receive(received: { body: Buffer; signature: string | undefined }): Promise<Received> {
    if (secrets.length === 0) return 'off'
    const read = readEvent({ ...received, secrets, now: clock.now() })
    if (!read.signed) return 'invalid_signature'
    if (!isRecord(read.event)) return 'unreadable'
    if (read.event['type'] === SELF_TEST) return { selfTest: await settings.installation() }
    const body = received.body.toString('utf8')
    const ours = await settings.installation()
    const [fresh] = await database.transaction((tx) => store(tx, ours, [{ told: readTold(read.event, body), body }]))
    return fresh ? 'accepted' : 'duplicate'
  }

  /** Each event once. What is new is decided as far as our own rows tell; what needs the card company becomes a job. Answers which were new. */
  async function store(tx: pg.PoolClient, ours: string, events: { told: Told; body: string }[]): Promise<boolean[]> {
    const { rows } = await tx.query<{ id: string; fresh: boolean }>(
      'select id, fresh from inbox_store($1, $2, $3, $4, $5) order by i',
      [
        events.map(() => 'stripe'),
        events.map(({ told }) => told.id),
        events.map(({ told }) => told.subject),
        events.map(({ body }) => body),
        events.map(({ told }) => told.type),
      ],
    )
    for (const [index, { id, fresh }] of rows.entries()) {
      if (!fresh) continue
      const { told } = events[index]!
      if (told.apiVersion !== null && told.apiVersion !== API_VERSION)
        log.info({ stripe_event: told.id, api_version: told.apiVersion }, 'An event speaks another version of the API')
      const decision = await decide(tx, ours, told)
      if (decision.do === 'act' && canDo(decision.action))
        await queue.send(tx, settleQueue.name, { topupId: decision.topupId, inboxId: id } satisfies SettleJob)
      else await conclude(tx, { id, subject: told.subject, attempts: 0, old: false }, told, decision)
    }
    return rows.map((row) => row.fresh)
  }

  /** What there is to do about an event, by what stands in it and in our own rows. */
  async function decide(db: Queryable, ours: string, told: Told): Promise<Decision> {
    if (told.livemode !== null && told.livemode !== livemode) return { do: 'end', outcome: 'wrong_mode' }
    if (told.installation !== null && told.installation !== ours) return { do: 'end', outcome: 'other_installation' }
    const expected = types.get(told.type ?? '')
    const { kind, externalId } = told
    if (!told.readable) return { do: 'set_aside', why: 'It has no id that can be read.' }
    if (expected !== undefined && (kind !== expected || externalId === null)) {
      const found =
        kind === null ? 'none that can be read' : externalId === null ? `a ${kind} without an id` : `a ${kind}`
      return { do: 'set_aside', why: `The event ${told.type} carries a ${expected}; this one has ${found}.` }
    }
    const known = kind === null ? undefined : kinds[kind]
    if (known === undefined || externalId === null) return { do: 'end', outcome: 'not_ours' }
    const topupId = await topupOf(db, told)
    if (topupId !== null)
      return { do: 'act', action: known.action, topupId, externalId, unheardOf: expected === undefined }
    // Without our mark it is somebody else's; with it, or where it bears none of anybody, what is ours may be written yet.
    return known.bearsOurMark && told.topupIds.length === 0 ? { do: 'end', outcome: 'not_ours' } : { do: 'wait' }
  }

  /** Which top-up an event leads to: by what we wrote on the object, else by the directory. Null: none that is known. */
  async function topupOf(db: Queryable, told: Told): Promise<string | null> {
    const { rows } = await db.query<{ id: string }>(
      `select id from topups where id = any ($1::uuid[]) and method = 'card'
       union all
       select subject from directory
        where (source, external_id) in (select 'stripe:session', unnest($2::text[])
                                        union all select 'stripe:payment_intent', unnest($2::text[])
                                        union all select 'stripe:charge', unnest($2::text[]))
       limit 1`,
      [told.topupIds, told.externalIds],
    )
    return rows[0]?.id ?? null
  }

  function canDo(action: Action): boolean {
    return actions[action] !== undefined
  }

  /** Writes down what was decided without asking anybody. */
  async function conclude(db: Queryable, row: Omit<Row, 'body'>, told: Told, decision: Decision): Promise<void> {
    switch (decision.do) {
      case 'end':
        if (decision.outcome === 'wrong_mode')
          log.error(
            { alarm: true, stripe_event: told.id },
            'Alarm: an event of the other mode (test or live) came here',
          )
        return handled(db, row.id, decision.outcome)
      case 'set_aside':
        return setAside(db, row.id, told, decision.why)
      case 'wait':
        if (row.old) return handled(db, row.id, 'not_ours')
        return later(db, row, UNKNOWN_AFTER_SECONDS, 'Nothing of ours is known by its names.', 'unknown_object')
      case 'act':
        return setAside(db, row.id, told, `This version does not deal with ${told.kind ?? 'it'}.`)
    }
  }

  async function handled(db: Queryable, inboxId: string, outcome: string): Promise<void> {
    await db.query(
      `update inbox
          set handled_at = house_now(),
              outcome = $2,
              attempts = attempts + 1,
              last_error = null,
              next_attempt_at = null,
              set_aside_at = null
        where id = $1
          and handled_at is null`,
      [inboxId, outcome],
    )
  }

  /** Nobody tries again before a person has looked. */
  async function setAside(db: Queryable, inboxId: string, told: Told, why: string): Promise<void> {
    const { rowCount } = await db.query(
      `update inbox
          set set_aside_at = house_now(),
              attempts = attempts + 1,
              last_error = $2,
              next_attempt_at = null
        where id = $1
          and handled_at is null
          and set_aside_at is null`,
      [inboxId, why.slice(0, LAST_ERROR_CHARACTERS_MAX)],
    )
    if (rowCount === 1)
      log.error(
        { alarm: true, stripe_event: told.id, type: told.type, why },
        'Alarm: an event of the card company was set aside; somebody must look, and replay it',
      )
  }

  async function later(
    db: Queryable,
    row: Pick<Row, 'id' | 'attempts'>,
    seconds: number,
    why: string,
    outcome: string | null,
  ): Promise<void> {
    const pauseSeconds = Math.min(PAUSE_SECONDS_MAX, seconds * 2 ** Math.min(row.attempts, 12))
    await db.query(
      `update inbox
          set attempts = attempts + 1,
              last_error = $2,
              outcome = $3,
              next_attempt_at = house_now() + make_interval(secs => $4)
        where id = $1
          and handled_at is null
          and set_aside_at is null`,
      [row.id, why.slice(0, LAST_ERROR_CHARACTERS_MAX), outcome, pauseSeconds],
    )
  }

  /** Acts on a stored event that is not dealt with yet. Throws when nothing could be found out, after noting when to try again. */
  async function act(row: Row): Promise<void> {
    const { pool } = database
    const told = readTold(parse(row.body), row.body)
    const decision = await decide(pool, await settings.installation(), told)
    if (decision.do !== 'act' || !canDo(decision.action)) return conclude(pool, row, told, decision)
    const { action, topupId, externalId } = decision
    let outcome: string
    try {
      outcome = action === 'settle' ? await actions.settle(topupId) : await actions[action]!(topupId, externalId)
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error)
      if (row.old) await setAside(pool, row.id, told, `It could not be dealt with for three days: ${why}`)
      else await later(pool, row, LEFT_AFTER_SECONDS, why, null)
      throw error
    }
    if (!decision.unheardOf) return handled(pool, row.id, outcome)
    await setAside(
      pool,
      row.id,
      told,
      `Nobody here has heard of events ${told.type}. Its top-up was looked at: ${outcome}.`,
    )
  }

  async function find(inboxId: string): Promise<Row | null> {
    const { rows } = await database.pool.query<Row>(
      `select id, body, subject, attempts, ${OLD} as old
         from inbox
        where id = $1
          and source = 'stripe'
          and handled_at is null
          and set_aside_at is null`,
      [inboxId],
    )
    return rows[0] ?? null
  }

  /** The work of `settleQueue`. Throws when nothing could be found out: the queue tries again. */
  async function job({ inboxId }: SettleJob): Promise<void> {
    const row = await find(inboxId)
    if (row) await act(row)
  }

  /** Deals with events whose time has come and that no job dealt with. Bounded; those that waited longest come first. */
  async function sweep(signal?: AbortSignal): Promise<void> {
    const { rows } = await database.pool.query<Row>(
      `select id, body, subject, attempts, ${OLD} as old
         from inbox
        where source = 'stripe'
          and handled_at is null
          and set_aside_at is null
          and coalesce(next_attempt_at, received_at + make_interval(secs => $1)) <= house_now()
        order by coalesce(next_attempt_at, received_at), id
        limit $2`,
      [LEFT_AFTER_SECONDS, SWEPT_AT_ONCE_MAX],
    )
    await Promise.all(
      Array.from({ length: WORKERS }, async () => {
        for (let row = rows.shift(); row !== undefined && !signal?.aborted; row = rows.shift()) {
          const { id } = row
          await act(row).catch((error: unknown) =>
            log.warn({ err: error, inbox: id }, 'An event could not be dealt with; the sweeper comes again'),
          )
        }
      }),
    )
  }

  /** Newest first. `before`: the inbox row at which the page before ended. */
  async function list(page: {
    status: StaffEvent['status'] | null
    limit: number
    before: string | null
  }): Promise<{ items: StaffEvent[]; next_cursor: string | null }> {
    const { rows } = await database.pool.query(
      `select ${ITEM}
         from inbox
        where source = 'stripe'
          and ($1::bigint is null or id < $1)
          and ($2::text is null or ${STATUS} = $2)
        order by id desc
        limit $3`,
      [page.before, page.status, page.limit + 1],
    )
    const items = rows.slice(0, page.limit)
    return {
      items: items.map(printItem),
      next_cursor: rows.length > page.limit ? printCursor(items.at(-1).row) : null,
    }
  }

  /**
   * Deals with an event once more, now, whatever came of it before: after what kept it from being dealt with was mended. Answers how it
   * stands then. Null: there is no such event.
   */
  async function replay(eventId: string): Promise<StaffEvent | null> {
    const { rows } = await database.pool.query<{ id: string }>(
      `update inbox
          set handled_at = null, outcome = null, set_aside_at = null, attempts = 0, last_error = null, next_attempt_at = house_now()
        where source = 'stripe'
          and external_id = $1
       returning id`,
      [eventId],
    )
    const inboxId = rows[0]?.id
    if (inboxId === undefined) return null
    const row = (await find(inboxId))!
    // Its age does not speak against it any more: somebody has just asked for it.
    await act({ ...row, old: false }).catch((error: unknown) =>
      log.warn({ err: error, inbox: inboxId }, 'A replayed event could not be dealt with yet; it is tried again'),
    )
    const { rows: items } = await database.pool.query(`select ${ITEM} from inbox where id = $1`, [inboxId])
    return printItem(items[0])
  }

  /** How far the list was read, and what waits. */
  async function state() {
    const { rows } = await database.pool.query<{
      read_at: Date | null
      last_event: string | null
      last_event_at: Date | null
      problem: string | null
      going_through_objects: boolean | null
      waiting: number
      set_aside: number
    }>(
      `select s.read_at, s.last_event_id as last_event, s.last_event_at, s.last_error as problem,
              s.object_sweep is not null as going_through_objects, e.waiting, e.set_aside
         from (select count(*) filter (where set_aside_at is null)::int as waiting, count(set_aside_at)::int as set_aside
                 from inbox where source = 'stripe' and handled_at is null) e
         left join card_event_state s on true`,
    )
    const row = rows[0]!
    return {
      list: {
        read_at: row.read_at?.toISOString() ?? null,
        last_event: row.last_event,
        last_event_at: row.last_event_at?.toISOString() ?? null,
        problem: row.problem,
        going_through_objects: row.going_through_objects ?? false,
      },
      waiting: row.waiting,
      set_aside: row.set_aside,
    }
  }

  return { receive, store, decide, job, sweep, list, replay, state }
}

const OLD = `received_at < house_now() - make_interval(secs => ${TRIED_SECONDS_MAX})`
const STATUS = `case when handled_at is not null then 'handled' when set_aside_at is not null then 'set_aside' else 'waiting' end`
const ITEM = `id as row, external_id, kind, subject, ${STATUS} as status, outcome, attempts, last_error, received_at, handled_at, set_aside_at,
  case when handled_at is null and set_aside_at is null
       then coalesce(next_attempt_at, received_at + make_interval(secs => ${LEFT_AFTER_SECONDS})) end as next_attempt_at`

// biome-ignore lint/suspicious/noExplicitAny: what the driver hands out, given its types here
function printItem(row: any): StaffEvent {
  return {
    id: row.external_id,
    type: row.kind,
    object: row.subject,
    status: row.status,
    outcome: row.outcome,
    attempts: row.attempts,
    last_error: row.last_error,
    received_at: row.received_at.toISOString(),
    handled_at: row.handled_at?.toISOString() ?? null,
    set_aside_at: row.set_aside_at?.toISOString() ?? null,
    next_attempt_at: row.next_attempt_at?.toISOString() ?? null,
  }
}

function parse(body: string): unknown {
  try {
    return JSON.parse(body)
  } catch {
    return null
  }
}
