/** Joining, signing in and out, and what guards a login. */
import { z } from 'zod'
import { confirmSignUpSchema, type Me, meSchema, pageOf, sessionSchema, signUpSchema } from '../../contract/contract.ts'
import { policyVersions } from '../../contract/policy-versions.ts'
import { printCursor, Refusal, type Refused, readCursor, readLimit } from '../platform/answer.ts'
import { readId } from '../platform/ids.ts'
import type { Accounts, Caller, Routes } from './accounts.ts'

/** Of what is typed: enough for 128 characters of any alphabet; longer ones are refused before anything is computed of them. */
const TYPED_CHARACTERS_MAX = 1_000

const typed = z.string().max(TYPED_CHARACTERS_MAX)
const link = z.string().max(200)
const accepted = signUpSchema.shape.accepted.shape
const signUpBody = signUpSchema.extend({
  username: typed,
  email: typed,
  password: typed,
  accepted: z.object({
    terms: accepted.terms.max(100),
    privacy: accepted.privacy.max(100),
    acceptable_use: accepted.acceptable_use.max(100),
    refunds: accepted.refunds.max(100),
  }),
})
const confirmBody = confirmSignUpSchema.extend({ token: link, username: typed.optional(), password: typed.optional() })

const checkMail = z.object({ status: z.literal('check_mail') })
/** The same whatever is known: nobody learns from it who has an account. */
const MAIL_WORDS = 'The answer is the same, and as fast, whether the name or address is known or not.'

export function accountsRoutes(table: Routes, accounts: Accounts): void {
  const { joining } = accounts

  table.post(
    '/api/auth/sign-up',
    {
      policy: 'public',
      summary: 'Join',
      description: `Sends a link to the address; the account opens when it is followed. ${MAIL_WORDS}`,
      body: signUpBody,
      example: {
        username: 'ana',
        email: 'ana@example.com',
        password: 'correct horse battery staple',
        adult: true,
        accepted: policyVersions,
      },
      answers: { 202: checkMail },
      refuses: ['username_taken', 'password_too_common', 'forbidden', 'rate_limited', 'temporarily_unavailable'],
    },
    async (c, { body }) => {
      accounts.onlyFromOurPages(c)
      must(await joining.signUp(c, body))
      return c.json({ status: 'check_mail' }, 202)
    },
  )

  table.post(
    '/api/auth/sign-up/confirm',
    {
      policy: 'public',
      summary: 'Open the account with the link of the mail',
      description:
        'Signs in. In another browser than the one that signed up, the password is asked for. `username`: another one, where the first was taken meanwhile.',
      body: confirmBody,
      answers: { 200: meSchema },
      refuses: ['invalid_link', 'username_taken', 'password_needed', 'forbidden', 'rate_limited'],
    },
    async (c, { body }) => {
      accounts.onlyFromOurPages(c)
      const joined = must(await joining.confirm(c, body))
      return c.json(meOf(await accounts.welcome(c, joined.login)))
    },
  )

  table.post(
    '/api/auth/sign-up/resend',
    {
      policy: 'public',
      summary: 'Send the link of the sign-up again',
      description: MAIL_WORDS,
      body: z.object({ email: typed }),
      answers: { 202: checkMail },
      refuses: ['forbidden', 'rate_limited', 'temporarily_unavailable'],
    },
    async (c, { body }) => {
      accounts.onlyFromOurPages(c)
      must(await joining.resend(c, body.email))
      return c.json({ status: 'check_mail' }, 202)
    },
  )

  table.post(
    '/api/auth/sign-in/username',
    {
      policy: 'public',
      summary: 'Sign in',
      description: 'For browsers: opens a session in a cookie. Programs use an API key instead.',
      body: z.object({ username: typed, password: typed }),
      answers: { 200: meSchema },
      refuses: ['unauthenticated', 'forbidden', 'rate_limited', 'temporarily_unavailable'],
    },
    async (c, { body }) => {
      accounts.onlyFromOurPages(c)
      return c.json(meOf(must(await accounts.signIn(c, body)).caller))
    },
  )

  table.post(
    '/api/auth/sign-out',
    {
      policy: 'public',
      summary: 'Sign out',
      description: 'Ends the session of the cookie. That there is none (any more) is fine.',
      answers: { 200: z.object({ status: z.literal('signed_out') }) },
      refuses: ['forbidden'],
    },
    async (c) => {
      accounts.onlyFromOurPages(c)
      await accounts.signOut(c)
      return c.json({ status: 'signed_out' })
    },
  )

  table.post(
    '/api/auth/password/forgotten',
    {
      policy: 'public',
      summary: 'Ask for a link to a new password',
      description: `\`login\` is the username or the e-mail. At most three such links of an account open at the same time. ${MAIL_WORDS}`,
      body: z.object({ login: typed }),
      answers: { 202: checkMail },
      refuses: ['forbidden', 'rate_limited', 'temporarily_unavailable'],
    },
    async (c, { body }) => {
      accounts.onlyFromOurPages(c)
      must(await joining.forgotten(c, body.login))
      return c.json({ status: 'check_mail' }, 202)
    },
  )

  table.post(
    '/api/auth/password/reset',
    {
      policy: 'public',
      summary: 'Set a new password by the link of the mail',
      description: 'Ends every session of the account. It signs nobody in.',
      body: z.object({ token: link, password: typed }),
      answers: { 200: z.object({ status: z.literal('password_set') }) },
      refuses: ['invalid_link', 'password_too_common', 'forbidden', 'rate_limited', 'temporarily_unavailable'],
    },
    async (c, { body }) => {
      accounts.onlyFromOurPages(c)
      must(await accounts.resetPassword(c, body))
      return c.json({ status: 'password_set' })
    },
  )

  table.post(
    '/api/auth/password/change',
    {
      policy: 'session',
      summary: 'Change the password',
      description:
        'The session goes on under a new cookie. `end_other_sessions` ends every other one; links that were mailed before no longer work.',
      body: z.object({ current_password: typed, password: typed, end_other_sessions: z.boolean().optional() }),
      answers: { 200: z.object({ status: z.literal('password_set'), ended_sessions: z.int() }) },
      refuses: ['password_needed', 'password_too_common', 'rate_limited', 'temporarily_unavailable'],
    },
    async (c, { body }) => {
      const changed = await accounts.changePassword(c, c.get('caller'), {
        current: body.current_password,
        next: body.password,
        endOthers: body.end_other_sessions ?? false,
      })
      return c.json({ status: 'password_set', ended_sessions: must(changed).ended })
    },
  )

  table.post(
    '/api/auth/confirm-password',
    {
      policy: 'session',
      summary: 'Give the password again',
      description: 'For five minutes opens what asks for it anew. The session goes on under a new cookie.',
      body: z.object({ password: typed }),
      answers: { 200: z.object({ status: z.literal('confirmed') }) },
      refuses: ['password_needed', 'rate_limited', 'temporarily_unavailable'],
    },
    async (c, { body }) => {
      const refused = await accounts.confirmPassword(c, c.get('caller'), body.password)
      if (refused) throw new Refusal(refused)
      return c.json({ status: 'confirmed' })
    },
  )

  table.post(
    '/api/auth/email/change',
    {
      policy: 'recent',
      summary: 'Ask to use another e-mail',
      description: `Sends a link to the new address, and a notice to the one in force. ${MAIL_WORDS}`,
      body: z.object({ email: typed }),
      answers: { 202: checkMail },
      refuses: ['rate_limited', 'temporarily_unavailable'],
    },
    async (c, { body }) => {
      must(await accounts.changeEmail(c.get('caller'), body.email))
      return c.json({ status: 'check_mail' }, 202)
    },
  )

  table.post(
    '/api/auth/email/confirm',
    {
      policy: 'public',
      summary: 'Use the new e-mail, by the link of the mail',
      body: z.object({ token: link }),
      answers: { 200: z.object({ status: z.literal('confirmed'), email: z.string() }) },
      refuses: ['invalid_link', 'forbidden', 'rate_limited'],
    },
    async (c, { body }) => {
      accounts.onlyFromOurPages(c)
      return c.json({ status: 'confirmed', email: must(await joining.confirmEmail(c, body.token)).email })
    },
  )

  table.get('/api/v1/me', { policy: 'read', summary: 'Read who you are', answers: { 200: meSchema } }, (c) =>
    c.json(meOf(c.get('caller'))),
  )

  table.get(
    '/api/v1/sessions',
    {
      policy: 'session',
      summary: 'List your open sign-ins',
      description: 'Newest first.',
      list: true,
      answers: { 200: pageOf(sessionSchema) },
    },
    async (c) => {
      const before = readCursor(c, /^ses_[0-9a-f]{32}$/)
      const { items, next } = await accounts.listSessions(c.get('caller'), {
        limit: readLimit(c),
        before: before && readId('ses', before),
      })
      return c.json({ items, next_cursor: next && printCursor(next) })
    },
  )

  table.post(
    '/api/v1/sessions/:id/end',
    {
      policy: 'session',
      summary: 'End one of your sign-ins',
      description: 'Its cookie and its open pages are worth nothing from then on. Ending this very one signs you out.',
      params: { id: z.string().meta({ description: 'A sign-in: ses_ and 32 hexadecimal digits' }) },
      answers: { 200: z.object({ status: z.literal('ended') }) },
      refuses: ['not_found'],
    },
    async (c) => {
      const id = readId('ses', c.req.param('id'))
      if (id === null || !(await accounts.endSession(c.get('caller'), id))) {
        throw new Refusal({
          code: 'not_found',
          detail: 'You have no open sign-in with this id. Look at the list: it may have ended already.',
        })
      }
      return c.json({ status: 'ended' })
    },
  )

  table.post(
    '/api/v1/sessions/end-others',
    {
      policy: 'session',
      summary: 'End every sign-in but this one',
      answers: { 200: z.object({ status: z.literal('ended'), ended_sessions: z.int() }) },
    },
    async (c) => c.json({ status: 'ended', ended_sessions: await accounts.endOtherSessions(c.get('caller')) }),
  )
}

/** What was done, or the refusal on its way to the caller. */
function must<Done extends { ok: true }>(outcome: Done | ({ ok: false } & Refused)): Done {
  if (outcome.ok) return outcome
  const { ok: _, ...refused } = outcome
  throw new Refusal(refused)
}

export function meOf(caller: Caller): Me {
  return {
    username: caller.username,
    role: caller.role === 'customer' ? 'customer' : 'staff',
    time_zone: caller.timeZone,
  }
}
