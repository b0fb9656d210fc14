/**
 * Looks: finding out what became of something outside, one look at a row at a time, for the rows that have the columns of a look
 * (`look`, `look_done`, `claimed_until`, `next_look_at`, `last_error`; README.md tells why).
 *
 * A look is claimed, asks and acts outside any transaction, and records each thing that it learns or decides before it acts on it. One
 * that died is taken over when its claim runs out, and what it wants to write then is refused by its number.
 */
import type pg from 'pg'
import { atMost, pause } from '../../platform/clock.ts'
import type { Database, Queryable } from '../../platform/db.ts'
import type { Log } from '../../platform/log.ts'

/** What a row says about its looks. */
export type Looked = {
  id: string
  look: number
  lookDone: number
  /** Somebody is looking. */
  claimed: boolean
  lastError: string | null
}

export type Found<Row> = {
  row: Row
  /** True: what the row says was found out after the call began, or cannot change any more. */
  fresh: boolean
}

/** What a look came to: when the next one is due (null: nothing is left to find out), and why this one found nothing out. */
export type Ending = { nextSeconds: number | null; error: string | null }
/** After a step: the row as it was recorded, to go on with, or the end. */
export type Next<Row> = { row: Row } | { ending: Ending }

/** How long a look may be silent before it counts as dead. A claim is renewed with every step, and a step makes one call; a call that takes longer is taken over, which does no harm. */
const CLAIM_SECONDS = 30
/** Reading, acting, reading again because the other side knew better. */
const STEPS_MAX = 4
const WAIT_STEP_MS = 50
export const NEXT_LOOK_SECONDS = 60
/** After a call whose outcome is not known. */
export const NEXT_TRY_SECONDS = 15
/** What cannot be settled without a person. */
export const NEXT_LOOK_AFTER_ALARM_SECONDS = 600
const LAST_ERROR_CHARACTERS_MAX = 500
const SWEEP_ROWS_MAX = 100
const SWEEP_AT_ONCE = 4

/** Somebody else has taken this look over. */
class TakenOver extends Error {}

export function createLooks<Row extends Looked>(of: {
  database: Database
  log: Log
  table: 'topups' | 'topup_refunds'
  columns: string
  // biome-ignore lint/suspicious/noExplicitAny: what the driver hands out
  readRow: (row: any) => Row
  /** In SQL: nothing is left to find out, however the last look came to its end. */
  ended: string
  /** What is locked before the row itself, where a record touches more. */
  lockFirst?: (tx: pg.PoolClient, mine: Row) => Promise<void>
  /** After each commit that changed the row. */
  changed: (row: Row) => void
}) {
  const { database, log, table, columns, readRow, ended, changed } = of
  const underWay = new Set<Promise<void>>()

  async function find(db: Queryable, id: string): Promise<Row | null> {
    const { rows } = await db.query(`select ${columns} from ${table} where id = $1`, [id])
    return rows[0] ? readRow(rows[0]) : null
  }

  /**
   * Looks, or waits for a look that began after this call did; at most `waitMs`, then tells what is known. Null: no such row. A look of
   * one's own is not cut short by `waitMs`.
   */
  async function look(
    id: string,
    how: {
      waitMs: number
      /** No look can tell more than this row does. */
      enough: (row: Row) => boolean
      /** One step of a look: makes one call at most. */
      step: (mine: Row) => Promise<Next<Row>>
    },
  ): Promise<Found<Row> | null> {
    let row = await find(database.pool, id)
    if (!row) return null
    const wanted = row.look + 1
    for (let waited = 0; ; waited += WAIT_STEP_MS) {
      if (how.enough(row)) return { row, fresh: true }
      if (row.lookDone >= wanted) return { row, fresh: row.lastError === null }
      const mine = row.claimed ? null : await claim(id)
      if (mine) {
        await track(goThrough(mine, how.step))
        row = (await find(database.pool, id))!
        return { row, fresh: row.lookDone >= wanted && row.lastError === null }
      }
      if (waited >= how.waitMs) return { row, fresh: false }
      await pause(WAIT_STEP_MS)
      row = (await find(database.pool, id))!
    }
  }

  async function claim(id: string): Promise<Row | null> {
    const { rows } = await database.pool.query(
      `update ${table}
          set look = look + 1,
              claimed_until = now() + make_interval(secs => $2),
              -- Should this look die, the next one is due when its claim runs out.
              next_look_at = case when next_look_at is not null then least(next_look_at, now() + make_interval(secs => $2)) end
        where id = $1
          and (claimed_until is null or claimed_until <= now())
       returning ${columns}`,
      [id, CLAIM_SECONDS],
    )
    return rows[0] ? readRow(rows[0]) : null
  }

  async function goThrough(claimed: Row, step: (mine: Row) => Promise<Next<Row>>): Promise<void> {
    let mine = claimed
    let ending: Ending = { nextSeconds: NEXT_LOOK_SECONDS, error: 'It kept changing' }
    try {
      for (let steps = 0; steps < STEPS_MAX; steps++) {
        const next = await step(mine)
        if ('ending' in next) {
          ending = next.ending
          return
        }
        mine = next.row
      }
    } catch (error) {
      if (error instanceof TakenOver) return
      ending = { nextSeconds: NEXT_LOOK_SECONDS, error: String(error) }
      throw error
    } finally {
      await finish(mine, ending)
    }
  }

  /** Runs `work` in one transaction, unless this look was taken over, and announces what it changed. The claim is renewed. */
  async function record(mine: Row, work: (tx: pg.PoolClient) => Promise<unknown>): Promise<Row> {
    const row = await database.transaction(async (tx) => {
      await of.lockFirst?.(tx, mine)
      const { rowCount } = await tx.query(
        `update ${table} set claimed_until = now() + make_interval(secs => $3) where id = $1 and look = $2`,
        [mine.id, mine.look, CLAIM_SECONDS],
      )
      if (rowCount === 0) throw new TakenOver()
      await work(tx)
      await tx.query(`update ${table} set next_look_at = null where id = $1 and ${ended}`, [mine.id])
      return (await find(tx, mine.id))!
    })
    changed(row)
    return row
  }

  async function finish(mine: Row, ending: Ending): Promise<void> {
    await database.pool.query(
      `update ${table}
          set look_done = look,
              claimed_until = null,
              last_error = $3,
              next_look_at = case when not (${ended}) then now() + make_interval(secs => $4) end
        where id = $1
          and look = $2`,
      [mine.id, mine.look, ending.error?.slice(0, LAST_ERROR_CHARACTERS_MAX) ?? null, ending.nextSeconds],
    )
  }

  /** Looks at what is due; the longest unseen come first. Bounded. `due`: in SQL, what is due besides by its `next_look_at`. */
  async function sweep(settle: (id: string) => Promise<unknown>, signal?: AbortSignal, due = 'false'): Promise<void> {
    const { rows } = await database.pool.query<{ id: string }>(
      `select id
         from ${table}
        where next_look_at is not null
          and (next_look_at <= now() or ${due})
          and (claimed_until is null or claimed_until <= now())
        order by next_look_at
        limit $1`,
      [SWEEP_ROWS_MAX],
    )
    const left = rows.map((row) => row.id)
    await Promise.all(
      Array.from({ length: SWEEP_AT_ONCE }, async () => {
        for (let id = left.shift(); id !== undefined && !signal?.aborted; id = left.shift()) {
          await settle(id).catch((error: unknown) =>
            log.error({ err: error, [table]: id }, 'A look failed; the sweeper comes again'),
          )
        }
      }),
    )
  }

  function track<T>(work: Promise<T>): Promise<T> {
    const settled = work.then(
      () => {},
      () => {},
    )
    underWay.add(settled)
    void settled.then(() => underWay.delete(settled))
    return work
  }

  return {
    look,
    record,
    sweep,
    /** Waits for the looks under way, `waitMs` at most; what is left is taken over by whoever comes next. */
    async close(waitMs: number): Promise<void> {
      await atMost(Promise.all(underWay), waitMs)
    },
  }
}

/** There is nothing more to find out. */
export const over = () => ({ ending: { nextSeconds: null, error: null } })
export const waitOneMore = () => ({ ending: { nextSeconds: NEXT_LOOK_SECONDS, error: null } })
