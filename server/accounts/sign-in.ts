/**
 * Signing in, with the library better-auth: it checks passwords and keeps sessions, in its own schema, as its own role. Its HTTP
 * handler is not mounted: of its some thirty endpoints this house needs one, and calls it as a function.
 */
import { betterAuth } from 'better-auth'
import { APIError } from 'better-auth/api'
import { username } from 'better-auth/plugins/username'
import type { Database } from '../platform/db.ts'
import type { Log } from '../platform/log.ts'

/** A session ends this long after its sign-in, used or not. Wire time. Staff's end after 12 hours (open.sql). */
export const SESSION_SECONDS = 14 * 24 * 3600
/** Ended sessions thrown away at a time. */
const SESSIONS_FORGOTTEN_MAX = 10_000
/** Where the client's address is handed to the library: a header that no client can set, because it is set here. */
const ADDRESS_HEADER = 'x-mobilesms-client-address'

export type SignInSettings = { authDatabase: Database; authSecret: string; publicUrl: string; log: Log }

/** The cookie that carries the session. Over https its name binds it to this very host (`__Host-`). */
export function sessionCookie(publicUrl: string): { name: string; secure: boolean } {
  const secure = publicUrl.startsWith('https:')
  return { name: `${secure ? '__Host-' : ''}mobilesms_session`, secure }
}

export function createSignIn(settings: SignInSettings) {
  const log = settings.log.child({ part: 'sign-in' })
  const cookie = sessionCookie(settings.publicUrl)
  const auth = betterAuth({
    baseURL: settings.publicUrl,
    secret: settings.authSecret,
    database: settings.authDatabase.pool,
    plugins: [username({ displayUsername: false })],
    emailAndPassword: { enabled: true, disableSignUp: true },
    user: { additionalFields: { role: { type: 'string', required: true, input: false } } },
    session: { expiresIn: SESSION_SECONDS, disableSessionRefresh: true, cookieCache: { enabled: false } },
    // The house counts attempts before the library is asked (throttle.ts).
    rateLimit: { enabled: false },
    telemetry: { enabled: false },
    advanced: {
      database: { generateId: 'uuid' },
      useSecureCookies: false, // it would add a prefix of its own to the name
      cookies: { session_token: { name: cookie.name, attributes: { secure: cookie.secure } } },
      ipAddress: { ipAddressHeaders: [ADDRESS_HEADER] },
    },
    logger: {
      level: 'warn',
      // Its messages only: what comes with them may be a person's.
      log: (level, message) => log[level === 'error' ? 'error' : 'debug'](message),
    },
  })

  return {
    cookie,
    /** For the test that asserts that the library wants nothing that the migrations do not give it. */
    options: auth.options,

    /** Opens a session. Null: name and password do not fit together, and nothing says which of them is wrong. */
    async enter(
      who: { username: string; password: string },
      from: { address: string; userAgent: string },
    ): Promise<{ token: string; setCookie: string[] } | null> {
      const headers = new Headers({ [ADDRESS_HEADER]: from.address, 'user-agent': from.userAgent })
      try {
        const entered = await auth.api.signInUsername({ body: who, headers, returnHeaders: true })
        return { token: entered.response.token, setCookie: entered.headers.getSetCookie() }
      } catch (error) {
        if (error instanceof APIError && error.statusCode >= 400 && error.statusCode < 500) return null
        throw error
      }
    },

    /** Ends a session, if there is such a one. Until the row is gone this has not happened, so its errors travel on. */
    async leave(token: string): Promise<void> {
      await settings.authDatabase.pool.query('delete from "session" where "token" = $1', [token])
    },

    /** Throws away what has ended anyway. */
    async forgetEnded(): Promise<void> {
      await settings.authDatabase.pool.query(
        'delete from "session" where "id" in (select "id" from "session" where "expiresAt" < now() limit $1)',
        [SESSIONS_FORGOTTEN_MAX],
      )
    },

    async hashPassword(password: string): Promise<string> {
      return (await auth.$context).password.hash(password)
    },
  }
}
