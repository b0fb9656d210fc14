/**
 * Joining, and what a login does without being signed in: links by mail.
 *
 * Whoever asks for a mail learns nothing of whom we know: each request does the same work, stores one errand and is answered; the
 * errand is looked at afterwards, and the letter written then (`errandsTick`).
 */
import type { Context } from 'hono'
import type pg from 'pg'
import type { ConfirmSignUp, SignUp } from '../../contract/contract.ts'
import { type PolicyName, policyVersions } from '../../contract/policy-versions.ts'
import type { Refused } from '../platform/answer.ts'
import type { Database, Queryable } from '../platform/db.ts'
import { hashOfToken, newId, randomToken } from '../platform/ids.ts'
import type { Log } from '../platform/log.ts'
import type { Outbox } from '../platform/mail.ts'
import type { Tick } from '../platform/queue.ts'
import type { Browsers } from './browsers.ts'
import { LINK_SECONDS, type lettersOf } from './letters.ts'
import { readEmail, readUsername } from './names.ts'
import { type Passwords, whyNotPassword } from './passwords.ts'
import type { Sessions } from './sessions.ts'
import type { Login } from './sign-in.ts'
import { type Count, type Limit, networkOf, type Throttle, tooMany } from './throttle.ts'

/** What asks for mail, from one network. Source: a school or a telephone company's gateway, on a busy day. */
const ASKED_BY_NETWORK: Limit = { attemptsMax: 30, windowSeconds: 3600 }
/** What asks for mail to one address or login, from one network. */
const ASKED_FOR_ONE: Limit = { attemptsMax: 5, windowSeconds: 900 }
/** Letters to one address that nobody proved to be his, whoever asks for them. */
const LETTERS_TO_STRANGER: Limit = { attemptsMax: 20, windowSeconds: 3600 }
/** Links that do not work, from one network. They cannot be guessed; this keeps programs that try from being a load. */
const LINKS_OF_NETWORK: Limit = { attemptsMax: 60, windowSeconds: 3600 }
/** Passwords tried with one link of a sign-up. */
const PASSWORDS_OF_LINK: Limit = { attemptsMax: 10, windowSeconds: 900 }
/** Names tried with one link of a sign-up: enough to find a free one, too few to learn who is here. */
const NAMES_OF_LINK: Limit = { attemptsMax: 10, windowSeconds: 900 }
const ADDRESS_CHANGES: Limit = { attemptsMax: 5, windowSeconds: 3600 }

/**
 * Links of a login that open at the same time. One more is not sent, and needs not be: the last ones are in the mailbox, and each
 * opens for the whole of the window in which they are counted. So nobody can use up another's.
 */
const RESETS_OPEN_MAX = 3
const TOKEN_BYTES = 32
const ERRANDS_AT_ONCE_MAX = 100
const ERRAND_TURNS_MAX = 20
/** An errand that fails is tried so long; who asked has asked again by then. */
const ERRAND_SECONDS_MAX = 3600
/** Beyond that somebody is told to come back: letters cannot be written as fast as they are asked for. */
const ERRANDS_WAITING_MAX = 20_000
/** So long an old link can be told from an unknown one. */
const LINKS_KEPT_DAYS = 7
const FORGOTTEN_AT_ONCE_MAX = 10_000
/** PostgreSQL's word for somebody else's having been first. */
const UNIQUE_VIOLATION = '23505'

export type Joining = ReturnType<typeof createJoining>
type Refusing = { ok: false } & Refused

export function createJoining(settings: {
  database: Database
  authDatabase: Database
  throttle: Throttle
  passwords: Passwords
  browsers: Browsers
  sessions: Pick<Sessions, 'endOthers'>
  mail: Outbox
  letters: ReturnType<typeof lettersOf>
  log: Log
}) {
  const { authDatabase, browsers, letters, log, mail, passwords, sessions, throttle } = settings
  const { pool } = authDatabase

  /** Refuses when this network, or this network for that one, asks for too much mail. */
  async function mayAsk(c: Context, one: string): Promise<Refusing | null> {
    const network = networkOf(c.get('address'))
    const wait = await throttle.take([
      [['mail', network], ASKED_BY_NETWORK],
      [['mail', network, one.toLowerCase()], ASKED_FOR_ONE],
    ])
    return wait === 0 ? null : { ok: false, ...tooMany('Mail was asked for too often from your network.', wait) }
  }

  /** One row, whatever we know. */
  async function leaveErrand(db: Queryable, errand: Errand): Promise<Refusing | null> {
    const { rowCount } = await db.query(
      `insert into errands (kind, about, user_id)
       select $1, $2, $3
        where (select count(*) from (select from errands limit $4) waiting) < $4`,
      [errand.kind, errand.about, errand.userId ?? null, ERRANDS_WAITING_MAX],
    )
    if (rowCount === 1) return null
    return {
      ok: false,
      code: 'temporarily_unavailable',
      detail: 'More mail is asked for than can be written right now. Try again in a minute; nothing was done.',
      retryAfterSeconds: 60,
    }
  }

  return {
    /** Asks to join. `check_mail` whatever is known of name and address; refused is only what can be refused of any. */
    async signUp(c: Context, wish: SignUp): Promise<{ ok: true } | Refusing> {
      const name = readUsername(wish.username)
      if (!name.ok) return name
      const address = readEmail(wish.email)
      if (!address.ok) return address
      const { username } = name
      const { email } = address
      const weak = await whyNotPassword(wish.password, { username, email })
      if (weak) return { ok: false, ...weak }
      if (!wish.adult) {
        return {
          ok: false,
          code: 'invalid_request',
          detail: 'Accounts are for people of 18 and over. Say that you are, or do not join; nothing was stored.',
          field: 'adult',
        }
      }
      for (const [policy, version] of Object.entries(policyVersions) as [PolicyName, string][]) {
        if (wish.accepted[policy] === version) continue
        return {
          ok: false,
          code: 'invalid_request',
          detail: `The version in force of this policy is ${version}, and another one was accepted. Read it, then accept that one; nothing was stored.`,
          field: `accepted.${policy}`,
          extra: { current: version },
        }
      }
      const over = await mayAsk(c, email)
      if (over) return over

      const password = await passwords.hash(wish.password)
      const id = newId()
      const browser = browsers.mark(c)
      return authDatabase.transaction(async (tx) => {
        await tx.query(
          `insert into sign_ups (id, username, email, password, accepted, browser_sha256, expires_at)
           values ($1, $2, $3, $4, $5, $6, now() + make_interval(secs => $7))`,
          [id, username, email, password, JSON.stringify(policyVersions), browser, LINK_SECONDS.sign_up],
        )
        return (await leaveErrand(tx, { kind: 'sign_up', about: id })) ?? { ok: true }
      })
    },

    /** Sends the link of a sign-up anew; nothing, where there is none. */
    async resend(c: Context, given: string): Promise<{ ok: true } | Refusing> {
      const address = readEmail(given)
      if (!address.ok) return address
      return (
        (await mayAsk(c, address.email)) ??
        (await leaveErrand(pool, { kind: 'resend', about: address.email })) ?? { ok: true }
      )
    },

    /** Makes the account of a proven address. Answers whose it is, for the sign-in that follows. */
    async confirm(
      c: Context,
      { token, username, password }: ConfirmSignUp,
    ): Promise<{ ok: true; login: Login } | Refusing> {
      let name: string | null = null
      if (username !== undefined) {
        const read = readUsername(username)
        if (!read.ok) return read
        name = read.username
      }
      const counts = linkCounts(c)
      const over = await mayOpen(counts)
      if (over) return over

      const hash = hashOfToken(token)
      const { rows } = await pool.query<{ password: string; browser_sha256: Buffer }>(
        `select s.password, s.browser_sha256
           from links l
           join sign_ups s on s.id = l.sign_up_id
          where l.token_sha256 = $1 and l.used_at is null and l.expires_at > now()`,
        [hash],
      )
      const signUp = rows[0]
      if (signUp && !browsers.markOf(c)?.equals(signUp.browser_sha256)) {
        // Somebody may have signed up with a stranger's address and his own password, and wait for the stranger to follow the link.
        if (password === undefined) {
          return {
            ok: false,
            code: 'password_needed',
            detail:
              'You signed up in another browser, so give the password that you chose there. If it was not you who signed up, close this page: there is no account.',
            field: 'password',
          }
        }
        const wait = await throttle.take([[['link', hash.toString('hex')], PASSWORDS_OF_LINK]])
        if (wait > 0) return { ok: false, ...tooMany('Too many passwords were tried with this link.', wait) }
        if (!(await passwords.verify(password, signUp.password)).ok) {
          return {
            ok: false,
            code: 'password_needed',
            detail:
              'This is not the password that was chosen at sign-up. Check it, or sign up again with one that you remember.',
            field: 'password',
          }
        }
      }

      if (signUp && name !== null) {
        const wait = await throttle.take([[['link name', hash.toString('hex')], NAMES_OF_LINK]])
        if (wait > 0) return { ok: false, ...tooMany('Too many names were tried with this link.', wait) }
      }

      const made = await settings.database.pool.query<{ outcome: string; user_id: string; username: string }>(
        'select outcome, user_id, username from sign_up_confirm($1, $2)',
        [hash, name],
      )
      const outcome = made.rows[0]!
      switch (outcome.outcome) {
        case 'joined': {
          await throttle.forgive(counts)
          const login = await loginOf(pool, outcome.user_id)
          return { ok: true, login: login! }
        }
        case 'username_taken':
          await throttle.forgive(counts)
          return {
            ok: false,
            code: 'username_taken',
            detail: `Somebody took the name ${outcome.username} in the meantime. Choose another one: the same link still works.`,
            field: 'username',
          }
        case 'email_known':
          return invalidLink(
            `This address has an account already; its username is ${outcome.username}. Sign in, or choose a new password if you forgot it.`,
          )
        case 'used':
          return invalidLink(
            'This link was used already, and your account is there. Sign in with the name and password that you chose.',
          )
        case 'expired':
          return invalidLink(
            'This link is more than 24 hours old and no longer works. Ask for another one, or sign up again.',
          )
        default:
          return unknownLink()
      }
    },

    /** Asks for a link to a new password, by username or e-mail. */
    async forgotten(c: Context, given: string): Promise<{ ok: true } | Refusing> {
      const about = given.trim().slice(0, 254)
      return (await mayAsk(c, about)) ?? (await leaveErrand(pool, { kind: 'forgotten', about })) ?? { ok: true }
    },

    /** Sets the password by a link, and ends every session. It signs nobody in: what else a sign-in asks for, it asks for. */
    async reset(
      c: Context,
      asked: { token: string; password: string },
    ): Promise<{ ok: true; userId: string } | Refusing> {
      const counts = linkCounts(c)
      const over = await mayOpen(counts)
      if (over) return over
      const hash = hashOfToken(asked.token)
      // The hash takes long: before the transaction, and of a link that works only.
      const before = await findLink(pool, hash, ['reset', 'first_password'])
      if (!before.ok) return before
      const login = (await loginOf(pool, before.link.user_id!))!
      const weak = await whyNotPassword(asked.password, login)
      if (weak) return { ok: false, ...weak }
      const password = await passwords.hash(asked.password)

      const outcome = await authDatabase.transaction(async (tx): Promise<{ ok: true; userId: string } | Refusing> => {
        await lockLogin(tx, login.id)
        const found = await findLink(tx, hash, ['reset', 'first_password'])
        if (!found.ok) return found
        await tx.query('update links set used_at = now() where token_sha256 = $1', [hash])
        await setPassword(tx, login.id, password)
        const ended = await sessions.endOthers(tx, login.id, null)
        // By the link the owner has shown that the mailbox is his; strangers' failures elsewhere do not keep him out of here.
        await browsers.remember(c, tx, login.id)
        await mail.send(tx, { to: login.email, letter: letters.passwordChanged(login.username, ended) })
        return { ok: true, userId: login.id }
      })
      if (outcome.ok) await throttle.forgive(counts)
      return outcome
    },

    /**
     * The password of a login that is signed in, and knows the one `before`, whose hash this is: by then a link may have set another
     * one, which stays. `renew` refuses where the session is gone. Answers how many other sessions were ended.
     */
    async changePassword(
      login: Login,
      asked: { before: string; password: string; endOthersExcept: string | null },
      renew: (tx: pg.PoolClient) => Promise<Refused | null>,
    ): Promise<{ ok: true; ended: number } | Refusing> {
      const weak = await whyNotPassword(asked.password, login)
      if (weak) return { ok: false, ...weak }
      const password = await passwords.hash(asked.password)
      return authDatabase.transaction(async (tx) => {
        await lockLogin(tx, login.id)
        if (!(await isInForce(tx, login.id, asked.before))) return passwordReplaced
        const gone = await renew(tx)
        if (gone) return { ok: false, ...gone }
        await setPassword(tx, login.id, password)
        const ended = asked.endOthersExcept === null ? 0 : await sessions.endOthers(tx, login.id, asked.endOthersExcept)
        await mail.send(tx, { to: login.email, letter: letters.passwordChanged(login.username, ended) })
        return { ok: true as const, ended }
      })
    },

    /** Asks to use another address. Whether somebody has an account with it is told to that address only. */
    async changeEmail(login: Login, given: string): Promise<{ ok: true } | Refusing> {
      const address = readEmail(given)
      if (!address.ok) return address
      const wait = await throttle.take([[['address', login.id], ADDRESS_CHANGES]])
      if (wait > 0) return { ok: false, ...tooMany('You asked for another address too often.', wait) }
      return (await leaveErrand(pool, { kind: 'email_change', about: address.email, userId: login.id })) ?? { ok: true }
    },

    /** From here on mail goes to the address that this link proves. */
    async confirmEmail(c: Context, token: string): Promise<{ ok: true; email: string } | Refusing> {
      const counts = linkCounts(c)
      const over = await mayOpen(counts)
      if (over) return over
      const hash = hashOfToken(token)
      const before = await findLink(pool, hash, ['email'])
      if (!before.ok) return before
      try {
        const outcome = await authDatabase.transaction(async (tx): Promise<{ ok: true; email: string } | Refusing> => {
          const userId = before.link.user_id!
          await lockLogin(tx, userId)
          const found = await findLink(tx, hash, ['email'])
          if (!found.ok) return found
          const login = (await loginOf(tx, userId))!
          const email = found.link.email!
          await tx.query(
            'update "user" set "email" = $2, "emailVerified" = true, "updatedAt" = now() where "id" = $1',
            [userId, email],
          )
          await tx.query('update links set used_at = now() where token_sha256 = $1', [hash])
          // What went to the old address, or was meant for a third one, opens nothing any more.
          await voidLinks(tx, userId)
          await mail.send(tx, { to: login.email, letter: letters.addressChanged(login.username, email) })
          return { ok: true, email }
        })
        if (outcome.ok) await throttle.forgive(counts)
        return outcome
      } catch (error) {
        if ((error as { code?: unknown }).code !== UNIQUE_VIOLATION) throw error
        return invalidLink(
          'Another account uses this address in the meantime. Ask for another address; yours stays as it is.',
        )
      }
    },

    /** A link for a login's first password, for whoever made the login to hand over. Answers the token. */
    async firstPasswordLink(db: Queryable, userId: string): Promise<string> {
      return makeLink(db, 'first_password', { userId })
    },

    /** Writes the letters that were asked for. */
    errandsTick: {
      name: 'accounts_errands',
      everySeconds: 1,
      async run(signal) {
        let last = '0'
        for (let turn = 0; turn < ERRAND_TURNS_MAX && !signal.aborted; turn++) {
          const { rows } = await pool.query<{ id: string }>(
            'select id from errands where id > $1 order by id limit $2',
            [last, ERRANDS_AT_ONCE_MAX],
          )
          for (const { id } of rows) {
            if (signal.aborted) return
            await tryErrand(id)
            last = id
          }
          if (rows.length < ERRANDS_AT_ONCE_MAX) return
        }
      },
    } satisfies Tick,

    /** Throws away sign-ups that nobody confirmed, and links that are long over. */
    forgetTick: {
      name: 'accounts_forget_links',
      everySeconds: 600,
      async run() {
        await pool.query(
          'delete from sign_ups where id in (select id from sign_ups where expires_at <= now() order by expires_at limit $1)',
          [FORGOTTEN_AT_ONCE_MAX],
        )
        await pool.query(
          `delete from links where token_sha256 in (
             select token_sha256 from links where expires_at < now() - make_interval(days => $2) order by expires_at limit $1)`,
          [FORGOTTEN_AT_ONCE_MAX, LINKS_KEPT_DAYS],
        )
      },
    } satisfies Tick,
  }

  function linkCounts(c: Context): Count[] {
    return [[['links', networkOf(c.get('address'))], LINKS_OF_NETWORK]]
  }

  async function mayOpen(counts: Count[]): Promise<Refusing | null> {
    const wait = await throttle.take(counts)
    return wait === 0
      ? null
      : { ok: false, ...tooMany('Too many links that do not work were opened from your network.', wait) }
  }

  /** One that cannot be run keeps no other waiting. */
  async function tryErrand(id: string): Promise<void> {
    try {
      await authDatabase.transaction((tx) => runErrand(tx, id))
    } catch (error) {
      log.error({ err: error }, 'A mail that was asked for could not be written; it is tried again')
      await pool.query('delete from errands where id = $1 and made_at < now() - make_interval(secs => $2)', [
        id,
        ERRAND_SECONDS_MAX,
      ])
    }
  }

  /** Once, and by one process: the errand goes with the letter. */
  async function runErrand(tx: pg.PoolClient, id: string): Promise<void> {
    const { rows } = await tx.query<{ kind: ErrandKind; about: string; user_id: string | null }>(
      `delete from errands
        where id = (select id from errands where id = $1 for update skip locked)
       returning kind, about, user_id`,
      [id],
    )
    const errand = rows[0]
    if (!errand) return
    switch (errand.kind) {
      case 'sign_up': {
        const found = await tx.query<SignUpRow>('select id, username, email from sign_ups where id = $1', [
          errand.about,
        ])
        if (found.rows[0]) await writeToJoin(tx, found.rows[0])
        return
      }
      case 'resend': {
        const found = await tx.query<SignUpRow>(
          `select id, username, email from sign_ups
            where lower(email) = lower($1) and expires_at > now() order by id desc limit 1`,
          [errand.about],
        )
        // An address that has an account is told so, as at sign-up: whoever asks has forgotten that he joined.
        await writeToJoin(tx, found.rows[0] ?? { id: null, username: '', email: errand.about })
        return
      }
      case 'forgotten': {
        const byEmail = errand.about.includes('@')
        const found = await tx.query<{ id: string }>(
          byEmail
            ? 'select "id" from "user" where lower("email") = lower($1)'
            : 'select "id" from "user" where "username" = lower($1)',
          [errand.about],
        )
        const userId = found.rows[0]?.id
        if (!userId) return
        await lockLogin(tx, userId)
        const { rows: open } = await tx.query<{ count: number }>(
          `select count(*)::int as count from links
            where user_id = $1 and purpose = 'reset' and used_at is null and voided_at is null and expires_at > now()`,
          [userId],
        )
        if (open[0]!.count >= RESETS_OPEN_MAX) return
        const login = (await loginOf(tx, userId))!
        const token = await makeLink(tx, 'reset', { userId })
        await mail.send(tx, { to: login.email, letter: letters.reset(login.username, token) })
        return
      }
      case 'email_change': {
        const login = errand.user_id && (await loginOf(tx, errand.user_id))
        if (!login || login.email === errand.about) return
        if (!(await mayWriteTo(errand.about))) return
        const owner = await holderOfEmail(tx, errand.about)
        if (owner && owner.id !== login.id) {
          await mail.send(tx, { to: errand.about, letter: letters.alreadyHere(owner.username) })
        } else {
          const token = await makeLink(tx, 'email', { userId: login.id, email: errand.about })
          await mail.send(tx, { to: errand.about, letter: letters.proveAddress(login.username, token) })
        }
        await mail.send(tx, { to: login.email, letter: letters.addressAsked(login.username, errand.about) })
      }
    }
  }

  async function writeToJoin(
    tx: pg.PoolClient,
    signUp: SignUpRow | { id: null; username: string; email: string },
  ): Promise<void> {
    const owner = await holderOfEmail(tx, signUp.email)
    if (!owner && signUp.id === null) return
    if (!(await mayWriteTo(signUp.email))) return
    const letter = owner
      ? letters.alreadyHere(owner.username)
      : letters.confirm(await makeLink(tx, 'sign_up', { signUpId: signUp.id!, email: signUp.email }))
    await mail.send(tx, { to: signUp.email, letter })
  }

  /** Nobody can have a stranger's mailbox filled by us. Outside the errand's transaction: what is counted is not locked till its end. */
  async function mayWriteTo(email: string): Promise<boolean> {
    return (await throttle.take([[['letters', email.toLowerCase()], LETTERS_TO_STRANGER]])) === 0
  }
}

type ErrandKind = 'sign_up' | 'resend' | 'forgotten' | 'email_change'
type Errand = { kind: ErrandKind; about: string; userId?: string }
type SignUpRow = { id: string; username: string; email: string }
type LinkRow = { purpose: string; user_id: string | null; email: string | null }

export async function loginOf(db: Queryable, userId: string): Promise<Login | null> {
  const { rows } = await db.query<Login>('select "id", "username", "role", "email" from "user" where "id" = $1', [
    userId,
  ])
  return rows[0] ?? null
}

async function holderOfEmail(db: Queryable, email: string): Promise<{ id: string; username: string } | null> {
  const { rows } = await db.query<{ id: string; username: string }>(
    'select "id", "username" from "user" where lower("email") = lower($1)',
    [email],
  )
  return rows[0] ?? null
}

/** Everything that a link or a password changes, one after the other for one login. */
async function lockLogin(tx: pg.PoolClient, userId: string): Promise<void> {
  await tx.query('select from "user" where "id" = $1 for no key update', [userId])
}

/** Answers the token. */
export async function makeLink(
  db: Queryable,
  purpose: keyof typeof LINK_SECONDS,
  of: { userId?: string; signUpId?: string; email?: string },
): Promise<string> {
  const token = randomToken(TOKEN_BYTES).toString('base64url')
  await db.query(
    `insert into links (token_sha256, purpose, user_id, sign_up_id, email, expires_at)
     values ($1, $2, $3, $4, $5, now() + make_interval(secs => $6))`,
    [hashOfToken(token), purpose, of.userId ?? null, of.signUpId ?? null, of.email ?? null, LINK_SECONDS[purpose]],
  )
  return token
}

async function findLink(
  db: Queryable,
  hash: Buffer,
  purposes: readonly (keyof typeof LINK_SECONDS)[],
): Promise<{ ok: true; link: LinkRow } | Refusing> {
  const { rows } = await db.query<LinkRow & { used: boolean; voided: boolean; expired: boolean }>(
    `select purpose, user_id, email, used_at is not null as used, voided_at is not null as voided, expires_at <= now() as expired
       from links where token_sha256 = $1 and purpose = any ($2)`,
    [hash, purposes],
  )
  const link = rows[0]
  if (!link) return unknownLink()
  if (link.used)
    return invalidLink(
      'This link was used already, and works once only. If you need another one, ask for it; nothing was changed.',
    )
  if (link.voided) {
    return invalidLink(
      'This link was replaced by what happened since: the password or the address was changed. Ask for another one if you need it; nothing was changed.',
    )
  }
  if (link.expired)
    return invalidLink('This link is too old and no longer works. Ask for another one; nothing was changed.')
  return { ok: true, link }
}

async function isInForce(tx: pg.PoolClient, userId: string, hash: string): Promise<boolean> {
  const { rowCount } = await tx.query(
    `select from "account" where "userId" = $1 and "providerId" = 'credential' and "password" = $2`,
    [userId, hash],
  )
  return rowCount === 1
}

const passwordReplaced: Refusing = {
  ok: false,
  code: 'password_needed',
  detail:
    'Your password was changed somewhere else meanwhile, and stays so. Sign in with that one; nothing was changed here.',
  field: 'current_password',
}

async function setPassword(tx: pg.PoolClient, userId: string, password: string): Promise<void> {
  await tx.query(
    `insert into "account" ("accountId", "providerId", "userId", "password", "updatedAt")
     select $1::uuid, 'credential', $1::uuid, $2, now()
      where not exists (select from "account" where "userId" = $1 and "providerId" = 'credential')`,
    [userId, password],
  )
  await tx.query(
    `update "account" set "password" = $2, "updatedAt" = now() where "userId" = $1 and "providerId" = 'credential'`,
    [userId, password],
  )
  // What was asked for by whoever knew the old password opens nothing any more, also where its letter is not written yet.
  await tx.query('delete from errands where user_id = $1', [userId])
  await voidLinks(tx, userId)
}

async function voidLinks(tx: pg.PoolClient, userId: string): Promise<void> {
  await tx.query('update links set voided_at = now() where user_id = $1 and used_at is null and voided_at is null', [
    userId,
  ])
}

function invalidLink(detail: string): Refusing {
  return { ok: false, code: 'invalid_link', detail, field: 'token' }
}

function unknownLink(): Refusing {
  return invalidLink(
    'This link is not known. Open it from the mail again, whole, or ask for another one; nothing was changed.',
  )
}
