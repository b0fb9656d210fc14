/**
 * Browsers that an account has signed in from. Each has a random mark in a cookie of its own, and the database its hash. Who signs
 * in from one that is not known is told of by mail; and who fails in somebody's name does not fill what is counted for his browser.
 */
import { createHash } from 'node:crypto'
import type { Context } from 'hono'
import { getCookie, setCookie } from 'hono/cookie'
import type { Database, Queryable } from '../platform/db.ts'
import { hashOfToken, randomToken } from '../platform/ids.ts'
import type { Tick } from '../platform/queue.ts'
import { cookieOf } from './sessions.ts'
import { networkOf } from './throttle.ts'

/** The longest that browsers keep a cookie; what is not seen for so long is forgotten here too. Source: RFC 6265bis, 5.5. */
const KNOWN_DAYS_MAX = 400
const MARK_BYTES = 32
/** Of one login; another one forgets the one that was seen least lately. */
const BROWSERS_MAX = 100
const FORGOTTEN_AT_ONCE_MAX = 10_000

export type Browsers = ReturnType<typeof createBrowsers>

export function createBrowsers(settings: { authDatabase: Database; publicUrl: string }) {
  const { name, secure } = cookieOf('browser', settings.publicUrl)

  function markOf(c: Context): Buffer | null {
    const mark = getCookie(c, name)
    return mark !== undefined && /^[A-Za-z0-9_-]{43}$/.test(mark) ? hashOfToken(mark) : null
  }

  /** For browsers that take no cookies along: the same program from the same network. */
  function lookOf(c: Context): Buffer {
    return createHash('sha256')
      .update(JSON.stringify([networkOf(c.get('address')), c.req.header('user-agent') ?? '']))
      .digest()
  }

  return {
    /** What this browser is recognised by; null: it has no mark. */
    markOf,

    /** The same, and one that has no mark is given one. */
    mark(c: Context): Buffer {
      const known = markOf(c)
      if (known) return known
      const mark = randomToken(MARK_BYTES).toString('base64url')
      setCookie(c, name, mark, { path: '/', maxAge: KNOWN_DAYS_MAX * 86_400, httpOnly: true, sameSite: 'Lax', secure })
      return hashOfToken(mark)
    },

    /** From now on this login is known to be used here. False: it was not known before. */
    async remember(c: Context, db: Queryable, userId: string): Promise<boolean> {
      const { rows } = await db.query<{ known: boolean }>(
        `with before as (select from known_browsers where user_id = $1 and mark_sha256 = any ($2)),
              now_known as (
                insert into known_browsers (user_id, mark_sha256)
                select $1, unnest($2::bytea[])
                on conflict (user_id, mark_sha256) do update set last_seen_at = now())
         select exists (select from before) as known`,
        [userId, [this.mark(c), lookOf(c)].sort(Buffer.compare)],
      )
      await db.query(
        `delete from known_browsers
          where user_id = $1
            and mark_sha256 in (
              select mark_sha256 from known_browsers where user_id = $1 order by last_seen_at desc offset $2)`,
        [userId, BROWSERS_MAX],
      )
      return rows[0]!.known
    },

    /** Every hour. */
    forgetTick: {
      name: 'accounts_forget_browsers',
      everySeconds: 3600,
      async run() {
        await settings.authDatabase.pool.query(
          `delete from known_browsers
            where (user_id, mark_sha256) in (
              select user_id, mark_sha256 from known_browsers
               where last_seen_at < now() - make_interval(days => $1) limit $2)`,
          [KNOWN_DAYS_MAX, FORGOTTEN_AT_ONCE_MAX],
        )
      },
    } satisfies Tick,
  }
}
