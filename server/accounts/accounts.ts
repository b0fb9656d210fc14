/**
 * Accounts: who is asking. People sign in and get a session in a cookie; programs bring an API key. Either leads to one account, and
 * an account is opened with the first request of a login that has none, so that a crash between the two costs nobody anything.
 */
import type { Context, MiddlewareHandler } from 'hono'
import { getSignedCookie } from 'hono/cookie'
import type { KeyScope } from '../../contract/contract.ts'
import { Refusal, type Refused, type RequestVariables } from '../platform/answer.ts'
import type { WireClock } from '../platform/clock.ts'
import type { Database } from '../platform/db.ts'
import type { Log } from '../platform/log.ts'
import type { Tick } from '../platform/queue.ts'
import type { Policy, RouteTable } from '../platform/route.ts'
import { createKeys, type KeyOfCaller } from './keys.ts'
import { comesFromOurPages } from './origin.ts'
import { createSettings } from './settings.ts'
import { createSignIn } from './sign-in.ts'
import { createThrottle } from './throttle.ts'

export type Role = 'customer' | 'admin' | 'approver'

/** Who makes a request. */
export type Caller = {
  accountId: bigint
  username: string
  role: Role
  /** IANA name. */
  timeZone: string
  via: 'session' | 'key'
  /** The API key that was used; null: a session. */
  key: KeyOfCaller | null
}

/** The context of a request whose sender is known. */
export type SignedIn = { Variables: RequestVariables & { caller: Caller } }

/** The server's routes, for the rooms that declare theirs. */
export type Routes = RouteTable<Caller>

export type Accounts = ReturnType<typeof createAccounts>

/** Sign-ins from one address that may fail within a minute. Source: enough for an office with bad memories, too few to guess. */
const SIGN_IN_FAILURES_MAX = 30
const SIGN_IN_WINDOW_SECONDS = 60

export type SignInOutcome =
  | { ok: true; caller: Caller; setCookie: string[] }
  | { ok: false; why: 'wrong_name_or_password' | 'too_many_attempts' | 'not_from_our_pages' }

export function createAccounts(settings: {
  database: Database
  /** The same database as `mobilesms_auth`, for the sign-in library alone. */
  authDatabase: Database
  authSecret: string
  publicUrl: string
  clock: WireClock
  log: Log
}) {
  const { database, publicUrl } = settings
  const entrance = createSignIn(settings)
  const keys = createKeys(settings)
  const throttle = createThrottle({
    attemptsMax: SIGN_IN_FAILURES_MAX,
    windowSeconds: SIGN_IN_WINDOW_SECONDS,
    clock: settings.clock,
  })

  type AccountRow = { account_id: string; username: string; role: Role; time_zone: string }

  async function openAccount(userId: string): Promise<AccountRow> {
    await database.pool.query('select account_open($1)', [userId])
    const { rows } = await database.pool.query<AccountRow>(
      'select id as account_id, username, role, time_zone from accounts where user_id = $1',
      [userId],
    )
    return rows[0]!
  }

  async function holderOfSession(token: string): Promise<Caller | null> {
    const { rows } = await database.pool.query<
      { user_id: string } & (AccountRow | { [column in keyof AccountRow]: null })
    >({
      name: 'session_holder',
      text: 'select user_id, account_id, username, role, time_zone from session_holder($1)',
      values: [token],
    })
    const row = rows[0]
    if (!row) return null
    const caller = callerOf(row.account_id === null ? await openAccount(row.user_id) : row)
    return { ...caller, via: 'session', key: null }
  }

  async function holderOfKey(key: string, address: string): Promise<Caller | Refused> {
    const holder = await keys.holderOf(key, address)
    return 'code' in holder ? holder : { ...callerOf(holder.account), via: 'key', key: holder.key }
  }

  async function sessionToken(c: Context): Promise<string | null> {
    return (await getSignedCookie(c, settings.authSecret, entrance.cookie.name)) || null
  }

  /** Who holds the key or the cookie of this request; the refusal that says what is missing, where nobody does. */
  async function identify(c: Context): Promise<Caller | Refused> {
    const authorization = c.req.header('authorization')
    if (authorization !== undefined) {
      const key = /^Bearer ([^\s]{1,200})$/i.exec(authorization)?.[1]
      if (key) return holderOfKey(key, c.get('address'))
      return {
        code: 'unauthenticated',
        detail: 'The header Authorization is written "Bearer <API key>". Correct it and send the request again.',
      }
    }
    const token = await sessionToken(c)
    const holder = token && (await holderOfSession(token))
    if (holder) return holder
    return {
      code: 'unauthenticated',
      detail: 'Sign in first, or send an API key in the header Authorization: Bearer <API key>.',
    }
  }

  /** Lets a request pass only when it is known who makes it and that he may; `c.get('caller')` is that account. */
  const guard =
    (mayPass: (caller: Caller, c: Context) => void): MiddlewareHandler<SignedIn> =>
    async (c, next) => {
      const caller = await identify(c)
      if ('code' in caller) throw new Refusal(caller)
      if (caller.via === 'session' && !/^(GET|HEAD)$/.test(c.req.method) && !comesFromOurPages(c, publicUrl)) {
        throw new Refusal({
          code: 'forbidden',
          detail: `This request came from another site's page, so it was not carried out. Open ${publicUrl} and repeat it there.`,
        })
      }
      mayPass(caller, c)
      c.set('caller', caller)
      await next()
    }

  /** The guard of each policy (platform/route.ts) that asks who it is. */
  const guards = {
    read: guard(withScope('read')),
    order: guard(withScope('order')),
    topup: guard(withScope('topup')),
    session: guard(bySession),
    recent: guard(bySession),
    staff: guard((caller) => {
      bySession(caller)
      if (caller.role === 'customer') {
        throw new Refusal({ code: 'forbidden', detail: 'This is for members of staff. Nothing was done.' })
      }
    }),
  } satisfies Partial<Record<Policy, MiddlewareHandler<SignedIn>>>

  return {
    guards,

    /** Who makes this request; null: nobody whom we know. For what both may ask. */
    async whoAsks(c: Context): Promise<Caller | null> {
      const caller = await identify(c)
      return 'code' in caller ? null : caller
    },

    /** Asks again, later, what the guards asked: an open stream ends when its session or key did. */
    async stillSignedIn(c: Context): Promise<boolean> {
      return !('code' in (await identify(c)))
    },

    /** Opens a session for who knows the password. */
    async signIn(c: Context, who: { username: string; password: string }): Promise<SignInOutcome> {
      // Or another site could sign its visitors in as somebody of its choice, and read what they then do here.
      if (!comesFromOurPages(c, publicUrl)) return { ok: false, why: 'not_from_our_pages' }
      const address: string = c.get('address')
      if (!throttle.attempt(address)) return { ok: false, why: 'too_many_attempts' }
      const session = await entrance.enter(who, { address, userAgent: c.req.header('user-agent') ?? '' })
      if (!session) return { ok: false, why: 'wrong_name_or_password' }
      throttle.forgive(address)
      const caller = await holderOfSession(session.token)
      if (!caller) throw new Error('The session that was just opened is not there')
      return { ok: true, caller, setCookie: session.setCookie }
    },

    /** Ends the session of this request; that there is none (any more) is fine. */
    async signOut(c: Context): Promise<'signed_out' | 'not_from_our_pages'> {
      if (!comesFromOurPages(c, publicUrl)) return 'not_from_our_pages'
      const token = await sessionToken(c)
      if (token) await entrance.leave(token)
      return 'signed_out'
    },

    cookie: entrance.cookie,

    /** Every hour: sessions that are over are of no use to anybody but a thief. */
    forgetTick: { name: 'accounts_forget_sessions', everySeconds: 3600, run: entrance.forgetEnded } satisfies Tick,

    /**
     * Makes a login with its account; a login of that name that is there already stays as it is. Returns the account.
     * Names: 3 to 30 of a-z, 0-9, dot and underscore. There is no sign-up: nothing a visitor sends leads here.
     */
    async createLogin(login: { username: string; password: string; role: Role }): Promise<bigint> {
      const { username, role } = login
      const known = await settings.authDatabase.pool.query<{ id: string }>(
        'select "id" from "user" where "username" = $1',
        [username],
      )
      const userId =
        known.rows[0]?.id ?? (await insertLogin(username, role, await entrance.hashPassword(login.password)))
      return BigInt((await openAccount(userId)).account_id)
    },

    keys,
    settings: createSettings(settings),

    /** Writes what waits to be written, at the end. */
    close: keys.close,

    /** For the test that asserts that the library wants nothing that the migrations do not give it. */
    libraryOptions: entrance.options,
  }

  /** Two processes may make the same login at once: the second finds the first's. */
  function insertLogin(username: string, role: Role, passwordHash: string): Promise<string> {
    return settings.authDatabase.transaction(async (tx) => {
      const inserted = await tx.query<{ id: string }>(
        `insert into "user" ("name", "email", "emailVerified", "username", "role")
         values ($1, $1 || '@sandbox.invalid', false, $1, $2)
         on conflict ("username") do nothing
         returning "id"`,
        [username, role],
      )
      const userId = inserted.rows[0]?.id
      if (!userId) {
        const { rows } = await tx.query<{ id: string }>('select "id" from "user" where "username" = $1', [username])
        return rows[0]!.id
      }
      await tx.query(
        `insert into "account" ("accountId", "providerId", "userId", "password", "updatedAt")
         values ($1, 'credential', $2, $3, now())`,
        [userId, userId, passwordHash],
      )
      return userId
    })
  }

  function callerOf(row: AccountRow): Omit<Caller, 'via' | 'key'> {
    return {
      accountId: BigInt(row.account_id),
      username: row.username,
      role: row.role,
      timeZone: row.time_zone,
    }
  }
}

function withScope(scope: KeyScope): (caller: Caller) => void {
  return ({ key }) => {
    if (key === null || key.scopes.includes(scope)) return
    throw new Refusal({
      code: 'forbidden',
      detail: `This API key may not do this: it lacks the scope "${scope}". Make a key with it in Settings; nothing was done.`,
      extra: { scope },
    })
  }
}

function bySession({ via }: Caller): void {
  if (via === 'session') return
  throw new Refusal({
    code: 'forbidden',
    detail: 'API keys do not open this. Sign in at the pages and do it there; nothing was done.',
  })
}
