/**
 * Accounts: who is asking. People sign in and get a session in a cookie; programs bring an API key. Either leads to one account, and
 * an account is opened with the first request of a login that has none, so that a crash between the two costs nobody anything.
 */
import type { Context, MiddlewareHandler } from 'hono'
import type { KeyScope } from '../../contract/contract.ts'
import type { Announce } from '../platform/announce.ts'
import { Refusal, type Refused, type RequestVariables } from '../platform/answer.ts'
import type { WireClock } from '../platform/clock.ts'
import type { Database, Queryable } from '../platform/db.ts'
import type { Log } from '../platform/log.ts'
import type { Outbox } from '../platform/mail.ts'
import type { Tick } from '../platform/queue.ts'
import type { Policy, RouteTable } from '../platform/route.ts'
import { isPassing } from '../platform/trouble.ts'
import { createBrowsers } from './browsers.ts'
import { createJoining, loginOf } from './joining.ts'
import { createKeys, type KeyOfCaller } from './keys.ts'
import { lettersOf } from './letters.ts'
import { comesFromOurPages } from './origin.ts'
import { createPasswords, type PasswordWork } from './passwords.ts'
import { createSessions, RECENT_SECONDS } from './sessions.ts'
import { createSettings } from './settings.ts'
import { createSignIn, type Login } from './sign-in.ts'
import { createThrottle, type Limit, tooMany } from './throttle.ts'

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
  /** The session; null: a key. `passwordAt`: when its password was given last, wire time. */
  session: { id: string; userId: string; passwordAt: Date } | null
}

/** The context of a request whose sender is known. */
export type SignedIn = { Variables: RequestVariables & { caller: Caller } }

/** The server's routes, for the rooms that declare theirs. */
export type Routes = RouteTable<Caller>

/** What tests make lighter: what a hash of a password costs, and how long a refused sign-in waits at least (milliseconds). */
export type AccountsOverrides = { passwordWork?: PasswordWork; refusalMsMin?: number }

export type Accounts = ReturnType<typeof createAccounts>

/** A sign-in whose password is changed while it is looked at is looked at once more. */
const LOOKS_MAX = 2
/** Wrong passwords of one session that is open already. Who stole one guesses no better with it; its owner signs in anew. */
const WRONG_PASSWORDS_OF_SESSION: Limit = { attemptsMax: 10, windowSeconds: 900 }

export function createAccounts(settings: {
  database: Database
  /** The same database as `mobilesms_auth`: passwords, sessions, links. */
  authDatabase: Database
  /** Keys what a session is recognised by. */
  authSecret: string
  publicUrl: string
  brandName: string
  /** Where a person writes whose account is in danger. */
  supportEmail: string
  mail: Outbox
  announce: Pick<Announce, 'publish'>
  clock: WireClock
  log: Log
  /** For tests. */
  overrides?: AccountsOverrides
}) {
  const { authDatabase, clock, database, publicUrl } = settings
  const own = createSettings(settings)
  const throttle = createThrottle({ db: authDatabase.pool })
  const passwords = createPasswords(settings.overrides?.passwordWork)
  const browsers = createBrowsers(settings)
  const sessions = createSessions(settings)
  const letters = lettersOf(settings)
  const keys = createKeys({
    ...settings,
    async tellOwner(tx, accountId, key) {
      const { rows } = await tx.query<{ username: string; email: string }>(
        'select username, mail_address_of(id) as email from accounts where id = $1',
        [accountId.toString()],
      )
      const { username, email } = rows[0]!
      await settings.mail.send(tx, { to: email, letter: letters.keyMade(username, key), accountId })
    },
  })
  const joining = createJoining({ ...settings, browsers, letters, passwords, sessions, throttle })
  const entrance = createSignIn({
    ...settings,
    ...settings.overrides,
    browsers,
    letters,
    passwords,
    throttle,
    async wantsLetter(userId) {
      const accountId = BigInt((await openAccount(userId)).account_id)
      return { accountId, wanted: await own.wantsMail(database.pool, accountId, 'sign_ins') }
    },
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

  type SessionRow = { session_id: string; user_id: string; password_at: Date; use_to_be_written: boolean }

  /** `used`: somebody asked for something just now, and not only a page that stands open. */
  async function holderOfSession(token: string, used: boolean): Promise<Caller | null> {
    const { rows } = await database.pool.query<SessionRow & (AccountRow | { [column in keyof AccountRow]: null })>({
      name: 'session_holder',
      text: `
        select session_id, user_id, password_at, use_to_be_written, account_id, username, role, time_zone
          from session_holder($1)`,
      values: [sessions.hashOf(token)],
    })
    const row = rows[0]
    if (!row) return null
    // Who only reads shall read also while nothing can be written.
    if (used && row.use_to_be_written)
      await sessions.noteUse(row.session_id).catch((error: unknown) => {
        if (!isPassing(error)) throw error
        settings.log.warn({ err: error }, 'That a session was used could not be written')
      })
    const caller = callerOf(row.account_id === null ? await openAccount(row.user_id) : row)
    const session = { id: row.session_id, userId: row.user_id, passwordAt: row.password_at }
    return { ...caller, via: 'session', key: null, session }
  }

  async function holderOfKey(key: string, address: string, used: boolean): Promise<Caller | Refused> {
    const holder = await keys.holderOf(key, address, used)
    return 'code' in holder ? holder : { ...callerOf(holder.account), via: 'key', key: holder.key, session: null }
  }

  /** Who holds the key or the cookie of this request; the refusal that says what is missing, where nobody does. */
  async function identify(c: Context, used = true): Promise<Caller | Refused> {
    const authorization = c.req.header('authorization')
    if (authorization !== undefined) {
      const key = /^Bearer ([^\s]{1,200})$/i.exec(authorization)?.[1]
      if (key) return holderOfKey(key, c.get('address'), used)
      return {
        code: 'unauthenticated',
        detail: 'The header Authorization is written "Bearer <API key>". Correct it and send the request again.',
      }
    }
    const token = sessions.tokenOf(c)
    const holder = token && (await holderOfSession(token, used))
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
      if (caller.via === 'session' && !/^(GET|HEAD)$/.test(c.req.method)) onlyFromOurPages(c)
      mayPass(caller, c)
      c.set('caller', caller)
      await next()
    }

  /** Lets nothing pass that another site's page makes a browser send. */
  function onlyFromOurPages(c: Context): void {
    if (comesFromOurPages(c, publicUrl)) return
    throw new Refusal({
      code: 'forbidden',
      detail: `This request came from another site's page, so it was not carried out. Open ${publicUrl} and repeat it there.`,
    })
  }

  /** The session of a caller whom a guard let pass as a person. */
  function sessionOf({ session }: Caller): NonNullable<Caller['session']> {
    if (session === null) throw new Error('An API key passed where a session is needed')
    return session
  }

  /** Opens a session, and hands its cookies to the answer. Null: the password was changed, or the session ended, meanwhile. */
  async function enter(c: Context, login: Login, password: string | null): Promise<Caller | null> {
    const token = await sessions.open(c, { ...login, password })
    return token === null ? null : holderOfSession(token, false)
  }

  /** Whether this is the password of the one who is signed in: the hash it was compared with, or the refusal. */
  async function checkPassword(
    caller: Caller,
    password: string,
    field: string,
  ): Promise<{ ok: true; hash: string } | ({ ok: false } & Refused)> {
    const { id, userId } = sessionOf(caller)
    const counts = [[['password', id], WRONG_PASSWORDS_OF_SESSION]] as const
    const wait = await throttle.take(counts)
    if (wait > 0) return { ok: false, ...tooMany('Too many wrong passwords were given in this sign-in.', wait) }
    const { rows } = await authDatabase.pool.query<{ password: string }>(
      `select "password" from "account" where "userId" = $1 and "providerId" = 'credential'`,
      [userId],
    )
    const hash = rows[0]?.password ?? null
    if (hash === null || !(await passwords.verify(password, hash)).ok) {
      return {
        ok: false,
        code: 'password_needed',
        detail: 'This is not your password. Check it and try again; nothing was changed.',
        field,
      }
    }
    await throttle.forgive(counts)
    return { ok: true, hash }
  }

  /** The guard of each policy (platform/route.ts) that asks who it is. */
  const guards = {
    read: guard(withScope('read')),
    order: guard(withScope('order')),
    topup: guard(withScope('topup')),
    session: guard(bySession),
    recent: guard((caller) => {
      bySession(caller)
      if (clock.now().getTime() - sessionOf(caller).passwordAt.getTime() <= RECENT_SECONDS * 1000) return
      throw new Refusal({
        code: 'password_needed',
        detail: `This asks for your password again, since you gave it more than ${RECENT_SECONDS / 60} minutes ago. Give it, then repeat this; nothing was done.`,
      })
    }),
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
      return !('code' in (await identify(c, false)))
    },

    /** Or another site could sign its visitors in as somebody of its choice, and read what they then do here. */
    onlyFromOurPages,

    /** Opens a session for who knows the password, under a new token: one that was planted before is worth nothing. */
    async signIn(
      c: Context,
      who: { username: string; password: string },
    ): Promise<{ ok: true; caller: Caller } | ({ ok: false } & Refused)> {
      for (let look = 0; look < LOOKS_MAX; look++) {
        const entered = await entrance.enter(c, who)
        if (entered.ok) {
          const caller = await enter(c, entered.login, entered.password)
          if (!caller) continue
          await entrance.tellOfNewBrowser(c, entered.login)
          return { ok: true, caller }
        }
        if (entered.why === 'wrong_name_or_password') break
        return {
          ok: false,
          ...tooMany(
            'Too many sign-ins from your network, or in this name, have failed. From a browser that was signed in before, and with a new password by mail, it goes at once.',
            entered.waitSeconds,
          ),
        }
      }
      return {
        ok: false,
        code: 'unauthenticated',
        detail: 'This username and password do not belong together. Check both and sign in again.',
      }
    },

    /** Opens the first session of who has just joined. */
    async welcome(c: Context, login: Login): Promise<Caller> {
      const caller = await enter(c, login, null)
      if (!caller) throw new Error('The session that was just opened is not there')
      return caller
    },

    /** Ends the session of this request; that there is none (any more) is fine. */
    async signOut(c: Context): Promise<void> {
      const token = sessions.tokenOf(c)
      const caller = token && (await holderOfSession(token, false))
      await sessions.leave(c)
      if (caller) accessEnded(caller)
    },

    /** By the link of a mail; ends every session of the login, and signs nobody in. */
    async resetPassword(
      c: Context,
      asked: { token: string; password: string },
    ): Promise<{ ok: true } | ({ ok: false } & Refused)> {
      const outcome = await joining.reset(c, asked)
      if (outcome.ok) accessEnded({ accountId: BigInt((await openAccount(outcome.userId)).account_id) })
      return outcome
    },

    /** The password, given again, opens what asks for it anew. The session goes on under a new token. */
    async confirmPassword(c: Context, caller: Caller, password: string): Promise<Refused | null> {
      const checked = await checkPassword(caller, password, 'password')
      if (!checked.ok) return checked
      const renewed = await sessions.renew(c, authDatabase.pool, { id: sessionOf(caller).id, role: caller.role })
      return renewed ? null : sessionEnded
    },

    /** Refused: a wrong password, one that is too easy. The other sessions end where that is asked for. */
    async changePassword(
      c: Context,
      caller: Caller,
      asked: { current: string; next: string; endOthers: boolean },
    ): Promise<{ ok: true; ended: number } | ({ ok: false } & Refused)> {
      const checked = await checkPassword(caller, asked.current, 'current_password')
      if (!checked.ok) return checked
      const { id, userId } = sessionOf(caller)
      const login = (await loginOf(authDatabase.pool, userId))!
      const changed = await joining.changePassword(
        login,
        { before: checked.hash, password: asked.next, endOthersExcept: asked.endOthers ? id : null },
        async (tx) => ((await sessions.renew(c, tx, { id, role: caller.role })) ? null : sessionEnded),
      )
      if (changed.ok && changed.ended > 0) accessEnded(caller)
      return changed
    },

    async changeEmail(caller: Caller, email: string): Promise<{ ok: true } | ({ ok: false } & Refused)> {
      return joining.changeEmail((await loginOf(authDatabase.pool, sessionOf(caller).userId))!, email)
    },

    /** A person's own open sign-ins, newest first. */
    listSessions(caller: Caller, page: { limit: number; before: string | null }) {
      const { id, userId } = sessionOf(caller)
      return sessions.list(userId, id, page)
    },
    /** False: the caller has no such session (any more). */
    async endSession(caller: Caller, sessionId: string): Promise<boolean> {
      const ended = await sessions.end(sessionOf(caller).userId, sessionId)
      if (ended) accessEnded(caller)
      return ended
    },
    /** Ends every session of the caller but this one; answers how many. */
    async endOtherSessions(caller: Caller): Promise<number> {
      const { id, userId } = sessionOf(caller)
      const ended = await sessions.endOthers(authDatabase.pool, userId, id)
      if (ended > 0) accessEnded(caller)
      return ended
    },

    joining,
    keys,
    settings: own,

    /** What becomes due here. */
    ticks: [
      joining.errandsTick,
      sessions.forgetTick,
      joining.forgetTick,
      browsers.forgetTick,
      throttle.forgetTick,
    ] satisfies Tick[],

    /**
     * Makes a login with its account, its address taken for proven; a login of that name that is there already stays as it is. Returns
     * the account. Nothing a visitor sends leads here: he joins.
     */
    async createLogin(login: { username: string; password: string; role: Role; email?: string }): Promise<bigint> {
      const { username, role } = login
      const known = await authDatabase.pool.query<{ id: string }>('select "id" from "user" where "username" = $1', [
        username,
      ])
      const email = login.email ?? `${username}@sandbox.example`
      const userId =
        known.rows[0]?.id ?? (await insertLogin({ username, role, email }, await passwords.hash(login.password)))
      return BigInt((await openAccount(userId)).account_id)
    },

    /** Whether somebody opened the link that was sent to this account's address. */
    async hasProvenAddress(db: Queryable, accountId: bigint): Promise<boolean> {
      const { rows } = await db.query<{ proven: boolean }>('select address_is_proven($1) as proven', [accountId])
      return rows[0]!.proven
    },

    /** Writes what waits to be written, at the end. */
    close: keys.close,
  }

  /** Open pages end with what opened them, at once and not with their next heartbeat. */
  function accessEnded({ accountId }: Pick<Caller, 'accountId'>): void {
    settings.announce.publish({ what: 'access', accountId })
  }

  /** Two processes may make the same login at once: the second finds the first's. */
  function insertLogin(login: { username: string; role: Role; email: string }, passwordHash: string): Promise<string> {
    const { username, role, email } = login
    return authDatabase.transaction(async (tx) => {
      const inserted = await tx.query<{ id: string }>(
        `insert into "user" ("name", "email", "emailVerified", "username", "role")
         values ($1, $3, true, $1, $2)
         on conflict do nothing
         returning "id"`,
        [username, role, email],
      )
      const userId = inserted.rows[0]?.id
      if (!userId) {
        const { rows } = await tx.query<{ id: string }>('select "id" from "user" where "username" = $1', [username])
        if (!rows[0]) throw new Error(`The login ${username} cannot be made: another one has its e-mail`)
        return rows[0].id
      }
      await tx.query(
        `insert into "account" ("accountId", "providerId", "userId", "password", "updatedAt")
         values ($1, 'credential', $2, $3, now())`,
        [userId, userId, passwordHash],
      )
      return userId
    })
  }

  function callerOf(row: AccountRow): Omit<Caller, 'via' | 'key' | 'session'> {
    return {
      accountId: BigInt(row.account_id),
      username: row.username,
      role: row.role,
      timeZone: row.time_zone,
    }
  }
}

const sessionEnded: Refused = {
  code: 'unauthenticated',
  detail: 'This sign-in was ended meanwhile. Sign in again, then repeat this; nothing was changed.',
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
