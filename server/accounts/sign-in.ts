/**
 * Signing in. Whether a name is known can be learned neither from the answer nor from how long it takes: the same statements are run
 * and one password hash is computed in either case, and a refusal leaves at a fixed moment after the request came.
 */
import type { Context } from 'hono'
import { pause, type WireClock } from '../platform/clock.ts'
import type { Database } from '../platform/db.ts'
import type { Log } from '../platform/log.ts'
import type { Outbox } from '../platform/mail.ts'
import type { Role } from './accounts.ts'
import type { Browsers } from './browsers.ts'
import type { lettersOf } from './letters.ts'
import type { Passwords } from './passwords.ts'
import { type Count, type Limit, networkOf, type Throttle } from './throttle.ts'

/**
 * Failures from one network. Source: enough for an office with bad memories; of 1,000 stuffed passwords 30 are tried in the first
 * minute, 300 in the hour.
 */
const OF_NETWORK: Limit = { attemptsMax: 30, windowSeconds: 60 }
const OF_NETWORK_AN_HOUR: Limit = { attemptsMax: 300, windowSeconds: 3600 }
/** Failures of one account from one network: 40 an hour, below what all strangers together may. */
const OF_ACCOUNT_AND_NETWORK: Limit = { attemptsMax: 10, windowSeconds: 900 }
/** Failures of one account from all browsers that it has never seen. */
const OF_ACCOUNT: Limit = { attemptsMax: 100, windowSeconds: 3600 }
/** Failures of one account from a browser that it knows, whatever strangers do. */
const OF_KNOWN_BROWSER: Limit = { attemptsMax: 20, windowSeconds: 900 }

/**
 * The earliest that a refusal leaves, after its request came. Longer than the work takes on a machine at rest, also for a password
 * that is kept in the older form; on a busy one the equal work makes them alike. Unit: milliseconds.
 */
const REFUSAL_MS_MIN = 150
/** Mails of one login about new sign-ins. Who has its password could otherwise flood it. */
const LETTERS_OF_SIGN_INS: Limit = { attemptsMax: 20, windowSeconds: 86_400 }

export type Login = { id: string; username: string; role: Role; email: string }
export type Entered =
  /** `password`: the hash that it was compared with. */
  | { ok: true; login: Login; password: string }
  | { ok: false; why: 'wrong_name_or_password' }
  | { ok: false; why: 'too_many_attempts'; waitSeconds: number }

export function createSignIn(settings: {
  authDatabase: Database
  throttle: Throttle
  passwords: Passwords
  browsers: Browsers
  mail: Outbox
  letters: ReturnType<typeof lettersOf>
  /** Whether the account of this login wants such a mail, and which account it is. */
  wantsLetter: (userId: string) => Promise<{ wanted: boolean; accountId: bigint }>
  /** For tests of what is left when nothing waits. */
  refusalMsMin?: number
  clock: WireClock
  log: Log
}) {
  const { throttle, passwords, browsers, clock } = settings
  const { pool } = settings.authDatabase
  const log = settings.log.child({ part: 'sign-in' })

  return {
    /** Whose name and password these are. Counted before it is tried, and forgiven when it succeeds. */
    async enter(c: Context, who: { username: string; password: string }): Promise<Entered> {
      const earliest = pause(settings.refusalMsMin ?? REFUSAL_MS_MIN)
      const username = who.username.trim().toLowerCase()
      const mark = browsers.markOf(c)
      const { rows } = await pool.query<Login & { password: string | null; known_browser: boolean }>({
        name: 'sign_in',
        text: `
          select u."id", u."username", u."role", u."email", a."password",
                 exists (select from known_browsers k where k.user_id = u."id" and k.mark_sha256 = $2) as known_browser
            from "user" u
            join "account" a on a."userId" = u."id" and a."providerId" = 'credential'
           where u."username" = $1`,
        values: [username.slice(0, 100), mark],
      })
      const found = rows[0]

      const network = networkOf(c.get('address'))
      const counts: Count[] = [
        [['sign-in', network], OF_NETWORK],
        [['sign-in', network], OF_NETWORK_AN_HOUR],
      ]
      if (found?.known_browser) counts.push([['sign-in', username, mark!.toString('hex')], OF_KNOWN_BROWSER])
      else {
        counts.push([['sign-in', username, network], OF_ACCOUNT_AND_NETWORK], [['sign-in', username], OF_ACCOUNT])
      }
      const waitSeconds = await throttle.take(counts)
      if (waitSeconds > 0) return { ok: false, why: 'too_many_attempts', waitSeconds }

      const verified = await passwords.verify(who.password, found?.password ?? null)
      if (!found || !verified.ok) {
        await earliest
        return { ok: false, why: 'wrong_name_or_password' }
      }
      await throttle.forgive(counts)
      let password = found.password!
      if (verified.outdated) {
        const anew = await passwords.hash(who.password)
        const { rowCount } = await pool.query(
          `update "account" set "password" = $2, "updatedAt" = now()
            where "userId" = $1 and "providerId" = 'credential' and "password" = $3`,
          [found.id, anew, password],
        )
        if (rowCount === 1) password = anew
      }
      const { id, role, email } = found
      return { ok: true, login: { id, username: found.username, role, email }, password }
    },

    /** Tells the owner of a sign-in from a browser that is not known. That this fails is no reason to keep anybody out. */
    async tellOfNewBrowser(c: Context, login: Login): Promise<void> {
      try {
        if (await browsers.remember(c, pool, login.id)) return
        const { wanted, accountId } = await settings.wantsLetter(login.id)
        if (!wanted) return
        if ((await throttle.take([[['sign-in letter', login.id], LETTERS_OF_SIGN_INS]])) > 0) return
        await settings.mail.send(pool, {
          to: login.email,
          accountId,
          letter: settings.letters.signIn(login.username, {
            at: clock.now(),
            address: c.get('address'),
            userAgent: (c.req.header('user-agent') ?? '').slice(0, 200),
          }),
        })
      } catch (error) {
        log.warn({ err: error }, 'The owner of an account could not be told of a new sign-in')
      }
    },
  }
}
