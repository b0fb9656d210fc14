/**
 * Open sign-ins. The cookie carries a random token; the database has its keyed hash only. The token is a new one after each step that
 * gives more power (sign-in, password given again, password changed), so that one that was planted or copied before is worth nothing.
 *
 * How long they last: session_ends_at in open.sql.
 */
import { createHmac } from 'node:crypto'
import type { Context } from 'hono'
import { getCookie, setCookie } from 'hono/cookie'
import type { Session } from '../../contract/contract.ts'
import type { Database, Queryable } from '../platform/db.ts'
import { newId, printId, randomToken } from '../platform/ids.ts'
import type { Tick } from '../platform/queue.ts'
import type { Role } from './accounts.ts'

/** The password given so long ago at most opens what asks for it anew. Source: the house's rule for step-up. */
export const RECENT_SECONDS = 5 * 60
/** The cookie stays as long as a session can: 30 days, those of staff half a day. Its end is decided by the database. */
const COOKIE_SECONDS: Record<Role, number> = { customer: 30 * 86_400, admin: 12 * 3600, approver: 12 * 3600 }
/** Open sign-ins of one login; one more ends the one that was used least lately. */
const SESSIONS_MAX = 50
const FORGOTTEN_AT_ONCE_MAX = 10_000
const TOKEN_BYTES = 32
const ADDRESS_CHARACTERS_MAX = 100
const USER_AGENT_CHARACTERS_MAX = 300

export type Sessions = ReturnType<typeof createSessions>

/** The cookie that carries the session. Over https its name binds it to this very host (`__Host-`). */
export function sessionCookie(publicUrl: string): { name: string; secure: boolean } {
  return cookieOf('session', publicUrl)
}

export function cookieOf(purpose: 'session' | 'browser', publicUrl: string): { name: string; secure: boolean } {
  const secure = publicUrl.startsWith('https:')
  return { name: `${secure ? '__Host-' : ''}mobilesms_${purpose}`, secure }
}

export function createSessions(settings: { authDatabase: Database; authSecret: string; publicUrl: string }) {
  const { pool } = settings.authDatabase
  const cookie = sessionCookie(settings.publicUrl)

  /** With a secret that is not in the database: who may write there still cannot make himself a session. */
  function hashOf(token: string): Buffer {
    return createHmac('sha256', settings.authSecret).update(token).digest()
  }

  function give(c: Context, token: string, seconds: number): void {
    const { name, secure } = cookie
    setCookie(c, name, token, { path: '/', maxAge: seconds, httpOnly: true, sameSite: 'Lax', secure })
  }

  return {
    hashOf,

    /** What the cookie of this request carries; null: nothing that could be a session. */
    tokenOf(c: Context): string | null {
      const token = getCookie(c, cookie.name)
      return token !== undefined && /^[A-Za-z0-9_-]{43}$/.test(token) ? token : null
    },

    /**
     * Opens a session for a login and hands its cookie to the answer; the one that this browser had until now ends. Answers the
     * session's token. `password`: the hash that was looked at, and null where none was; where it is not in force any more, nothing
     * is opened and the answer is null.
     */
    async open(c: Context, user: { id: string; role: Role; password: string | null }): Promise<string | null> {
      const before = this.tokenOf(c)
      const token = randomToken(TOKEN_BYTES).toString('base64url')
      const address: string = c.get('address')
      const userAgent = c.req.header('user-agent') ?? ''
      // With the password's row held: a reset, which ends every session, comes before this one or ends it too.
      const { rowCount } = await pool.query(
        `with in_force as (
           select "userId" from "account"
            where "userId" = $2 and "providerId" = 'credential' and ($6::text is null or "password" = $6)
              for share)
         insert into sessions (id, user_id, token_sha256, address, user_agent)
         select $1, "userId", $3, $4, $5 from in_force`,
        [
          newId(),
          user.id,
          hashOf(token),
          address.slice(0, ADDRESS_CHARACTERS_MAX),
          userAgent.slice(0, USER_AGENT_CHARACTERS_MAX),
          user.password,
        ],
      )
      if (rowCount === 0) return null
      await pool.query(
        `delete from sessions
          where id in (select id from sessions where user_id = $1 order by last_used_at desc, id desc offset $2)
             or token_sha256 = $3`,
        [user.id, SESSIONS_MAX, before && hashOf(before)],
      )
      give(c, token, COOKIE_SECONDS[user.role])
      return token
    },

    /** The password was given again: the session goes on under a new token. False: it was ended meanwhile. */
    async renew(c: Context, db: Queryable, session: { id: string; role: Role }): Promise<boolean> {
      const token = randomToken(TOKEN_BYTES).toString('base64url')
      const { rowCount } = await db.query(
        'update sessions set token_sha256 = $2, password_at = now(), last_used_at = now() where id = $1',
        [session.id, hashOf(token)],
      )
      if (rowCount === 0) return false
      give(c, token, COOKIE_SECONDS[session.role])
      return true
    },

    async noteUse(sessionId: string): Promise<void> {
      await pool.query('update sessions set last_used_at = now() where id = $1', [sessionId])
    },

    /** Ends the session of this request and takes its cookie away. Until the row is gone this has not happened, so errors travel on. */
    async leave(c: Context): Promise<void> {
      const token = this.tokenOf(c)
      if (token) await pool.query('delete from sessions where token_sha256 = $1', [hashOf(token)])
      give(c, '', 0)
    },

    /** Newest first. `current`: the session that asks. */
    async list(
      userId: string,
      currentId: string,
      page: { limit: number; before: string | null },
    ): Promise<{ items: Session[]; next: string | null }> {
      const { rows } = await pool.query<{
        id: string
        created_at: Date
        last_used_at: Date
        address: string
        user_agent: string
      }>(
        `select s.id, s.created_at, s.last_used_at, s.address, s.user_agent
           from sessions s
           join "user" u on u."id" = s.user_id
          where s.user_id = $1
            and ($2::uuid is null or s.id < $2)
            and auth.session_ends_at(u."role", s.created_at, s.last_used_at) > now()
          order by s.id desc
          limit $3`,
        [userId, page.before, page.limit + 1],
      )
      const items = rows.slice(0, page.limit)
      return {
        items: items.map((row) => ({
          id: printId('ses', row.id),
          current: row.id === currentId,
          created_at: row.created_at.toISOString(),
          last_used_at: row.last_used_at.toISOString(),
          address: row.address,
          user_agent: row.user_agent,
        })),
        next: rows.length > page.limit ? items.at(-1)!.id : null,
      }
    },

    /** Ends one of this login's sessions. False: it has no such one (any more). */
    async end(userId: string, sessionId: string): Promise<boolean> {
      const { rowCount } = await pool.query('delete from sessions where user_id = $1 and id = $2', [userId, sessionId])
      return rowCount === 1
    },

    /** Ends all of this login's sessions but one; without one, all. Answers how many. */
    async endOthers(db: Queryable, userId: string, keptId: string | null): Promise<number> {
      const { rowCount } = await db.query(
        'delete from sessions where user_id = $1 and ($2::uuid is null or id <> $2)',
        [userId, keptId],
      )
      return rowCount ?? 0
    },

    /** Every hour: sessions that are over are of no use to anybody but a thief. */
    forgetTick: {
      name: 'accounts_forget_sessions',
      everySeconds: 3600,
      async run() {
        await pool.query(
          `delete from sessions where id in (
             select s.id
               from sessions s
               join "user" u on u."id" = s.user_id
              where auth.session_ends_at(u."role", s.created_at, s.last_used_at) <= now()
              limit $1)`,
          [FORGOTTEN_AT_ONCE_MAX],
        )
      },
    } satisfies Tick,
  }
}
