/**
 * How often something may be tried, by network and by account, counted in the database, so that all web processes count together.
 *
 * A throttle is no weapon: what a stranger does in somebody's name fills what is counted for the stranger's own network, and, from
 * many networks, what is counted for browsers that the account has never seen. The owner's browser, which has signed in before, is
 * counted by itself (sign-in.ts), and a link by mail opens the account from anywhere: of those the last three always work
 * (joining.ts). So nobody can keep an owner out by failing in his name.
 */
import { createHash } from 'node:crypto'
import type { Refused } from '../platform/answer.ts'
import type { Queryable } from '../platform/db.ts'
import type { Tick } from '../platform/queue.ts'

/** So many attempts a window; a window begins with its first attempt. */
export type Limit = { attemptsMax: number; windowSeconds: number }
/** What is counted, in the order in which it is counted: the network first, the account last. */
export type Count = readonly [subject: readonly string[], limit: Limit]

/** Rows of the table; a flood from more networks than this forgets the windows that end first. About 100 bytes each. */
const ROWS_MAX = 1_000_000
const FORGOTTEN_AT_ONCE_MAX = 20_000
const FORGETS_A_TURN_MAX = 20

export type Throttle = ReturnType<typeof createThrottle>

export function createThrottle(settings: { db: Queryable }) {
  const { db } = settings

  return {
    /** Counts one attempt under each. Answers 0, or how many seconds to wait. */
    async take(counts: readonly Count[]): Promise<number> {
      const { rows } = await db.query<{ wait: number }>({
        name: 'throttle_take',
        text: 'select auth.throttle_take($1, $2, $3) as wait',
        values: [
          counts.map(keyOf),
          counts.map(([, limit]) => limit.attemptsMax),
          counts.map(([, limit]) => limit.windowSeconds),
        ],
      })
      return rows[0]!.wait
    },

    /** What succeeded does not count. */
    async forgive(counts: readonly Count[]): Promise<void> {
      await db.query({
        name: 'throttle_forgive',
        text: 'select auth.throttle_forgive($1)',
        values: [counts.map(keyOf)],
      })
    },

    /** Throws away what is over, and keeps the table to its size. */
    forgetTick: {
      name: 'accounts_forget_throttles',
      everySeconds: 60,
      async run(signal) {
        for (let turn = 0; turn < FORGETS_A_TURN_MAX && !signal.aborted; turn++) {
          const { rows } = await db.query<{ forgotten: number }>('select auth.throttles_forget($1, $2) as forgotten', [
            ROWS_MAX,
            FORGOTTEN_AT_ONCE_MAX,
          ])
          if (rows[0]!.forgotten < FORGOTTEN_AT_ONCE_MAX) return
        }
      },
    } satisfies Tick,
  }
}

/** Hashed: who was asked for stands nowhere in the table, and a long name is as short as any. */
function keyOf([subject, limit]: Count): Buffer {
  return createHash('sha256')
    .update(JSON.stringify([...subject, limit.windowSeconds]))
    .digest()
    .subarray(0, 16)
}

/** `what`: how the sentence begins. */
export function tooMany(what: string, waitSeconds: number): Refused {
  return {
    code: 'rate_limited',
    detail: `${what} Try again in ${inWords(waitSeconds)}; nothing was done.`,
    retryAfterSeconds: waitSeconds,
  }
}

function inWords(seconds: number): string {
  if (seconds < 120) return seconds === 1 ? 'a second' : `${seconds} seconds`
  return `${Math.ceil(seconds / 60)} minutes`
}

/**
 * The network that an address counts as. Who has an IPv4 address has that one; who has an IPv6 address has 2^64 of them, so a /64
 * counts as one.
 */
export function networkOf(address: string): string {
  const mapped = /^::ffff:(\d{1,3}(?:\.\d{1,3}){3})$/i.exec(address)
  if (mapped) return mapped[1]!
  if (!address.includes(':')) return address
  const [left = '', right] = address.toLowerCase().replace(/%.*$/, '').split('::')
  const groups = left.split(':').filter((group) => group !== '')
  const missing = right === undefined ? 0 : 8 - groups.length - right.split(':').filter((group) => group !== '').length
  return [...groups, ...Array<string>(Math.max(0, missing)).fill('0')]
    .slice(0, 4)
    .map((group) => group.replace(/^0+(?=.)/, ''))
    .join(':')
}
