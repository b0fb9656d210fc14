/**
 * The two clocks.
 *
 * House time is the database's `now()` plus an offset (migration 0001): order life, seven days, quotes, limits. SQL reads it with
 * `house_now()`, TypeScript with `houseNow`. Wire time is real time: signatures, Stripe's expiry, sign-ins, timeouts.
 * Nothing else in the server may ask what time it is, so that tests can drive both.
 */
import type { Queryable } from './db.ts'

export type WireClock = { now(): Date }

export const wireClock: WireClock = { now: () => new Date() }

export async function houseNow(db: Queryable): Promise<Date> {
  const { rows } = await db.query<{ now: Date }>('select house_now() as now')
  return rows[0]!.now
}

/**
 * Moves house time forward. In a sandbox-stamped database only: the function in the database refuses anywhere else.
 * Unit: whole seconds, 1 to 31,536,000 (a year) a call; the sum stays below ten years.
 */
export async function advanceHouseClock(db: Queryable, seconds: number): Promise<Date> {
  const { rows } = await db.query<{ now: Date }>('select house_clock_advance($1) as now', [seconds])
  return rows[0]!.now
}

/** Waits in wire time; ends early, without an error, when the signal aborts. */
export function pause(milliseconds: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted) return resolve()
    const done = () => {
      clearTimeout(timer)
      signal?.removeEventListener('abort', done)
      resolve()
    }
    const timer = setTimeout(done, milliseconds)
    signal?.addEventListener('abort', done, { once: true })
  })
}

/** Waits until the work has ended, well or not, or the time is over. */
export async function atMost(work: Promise<unknown>, milliseconds: number): Promise<void> {
  const ended = new AbortController()
  const end = () => ended.abort()
  work.then(end, end)
  await pause(Math.max(0, milliseconds), ended.signal)
}
